//! Why a fence agent gave no answer.

use serde::{Deserialize, Serialize};

use super::Action;

/// Why a question to a fence agent has no answer, and what an operator can do about it.
///
/// No failure is evidence of anything about the node, whatever the agent wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AgentFailure {
    /// The program could not be started. Nothing was sent.
    #[error("the agent cannot be started: {0}; check `program` and its mode, install its package")]
    CannotStart(String),
    /// It was still running at the deadline and was killed. An off may have been sent.
    #[error("the agent did not end its {0} in time and was killed: try it by hand on a controller")]
    OutOfTime(Action),
    /// It wrote more than any agent needs to. It was killed; an off may have been sent.
    #[error("the agent wrote far too much at its {0} and was killed: is it a fence agent?")]
    TooMuch(Action),
    /// Its description of itself is none. Nothing was sent.
    #[error("the agent does not describe itself: {0}; is it a fence agent?")]
    NoMetadata(String),
    /// It would pass over a parameter of the inventory, and act on another device. Nothing was sent.
    #[error("the agent knows no parameter {0}: `PROGRAM -o metadata` lists what it knows")]
    UnknownParameter(String),
    /// It lacks `off` or `status`. Nothing was sent.
    #[error("the agent has no action {0}, and cannot be used to fence")]
    NoSuchAction(Action),
    /// It cuts a machine from storage or network, and leaves it running. Nothing was sent.
    #[error("the agent cuts storage or network, not power: what runs there would go on")]
    CutsNoPower,
    /// It found the node off and sent nothing; E1 wants an off that was sent. The node is as it was.
    #[error(
        "the agent found the node off already and sent no off, and reads alone prove nothing: use \
         the IPMI or Redfish driver, or confirm by hand"
    )]
    SentNothing,
    /// It failed. At the off, the off may have been sent.
    #[error("the agent's {action} ended with {how}: {words}")]
    Failed {
        /// Which action.
        action: Action,
        /// Exit code or signal.
        how: String,
        /// Its last words, without the password.
        words: String,
    },
    /// Exit code and words do not say the same. Neither is believed.
    #[error("the agent's status ended with exit code {code} and said {words:?}: not a fence agent")]
    Contradiction {
        /// Exit code.
        code: i32,
        /// Its words.
        words: String,
    },
}
