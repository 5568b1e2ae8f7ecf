//! Why a controller ended.

use std::io;

use super::starts::StartsError;
use crate::nova::client::SetupError;
use crate::raft::store::StoreError;

/// Why the controller ended, or did not start. Nodes keep each other alive without it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state could not be read at start. It did not start, and changed nothing.
    #[error("state: {0}")]
    State(#[source] StoreError),
    /// A write is not known to be durable. It ended before anything that rests on it was done or said.
    #[error(
        "a write to the state is not known to be on disk, so this controller has stopped before it said anything that \
         rests on it. Free space or repair the disk, then start it again; the other controllers go on meanwhile. {0}"
    )]
    Write(#[source] StoreError),
    /// The counter of starts cannot be raised. It did not start.
    #[error("state: {0}")]
    Starts(#[from] StartsError),
    /// An address cannot be listened on. It did not start.
    #[error(
        "cannot listen on {address} ({what}): is another program there, is the address this machine's? {source}"
    )]
    Listen {
        /// What for.
        what: String,
        /// Address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nova or Keystone refuse in a way that waiting does not cure. It did not start.
    #[error("{0}")]
    Nova(#[from] SetupError),
    /// This controller contradicts the others. It ended, and must not be started again before someone has looked.
    #[error(
        "this controller must not go on: {0}. Do not start it again before you know why; see `docs/operate.md`"
    )]
    Halted(String),
    /// The system refused something basic. It ended.
    #[error("cannot {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl RunError {
    /// The exit code: 3 where the service must not be started again by itself, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::Halted(_) => 3,
            RunError::State(_)
            | RunError::Write(_)
            | RunError::Starts(_)
            | RunError::Listen { .. }
            | RunError::Nova(_)
            | RunError::System { .. } => 1,
        }
    }
}
