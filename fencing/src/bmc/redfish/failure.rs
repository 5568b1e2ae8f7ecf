//! Where a question over Redfish can fail, and why.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The requests of one question, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The service root; needs no login.
    Root,
    /// A new session.
    LogIn,
    /// The list of systems, where none is named in the inventory.
    Systems,
    /// The system: identity, power, and where its reset is.
    System,
    /// What the reset takes, where the system itself does not say.
    ActionInfo,
    /// `ComputerSystem.Reset` with ForceOff.
    Reset,
    /// The end of the session.
    LogOut,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "service root",
            Self::LogIn => "login",
            Self::Systems => "list of systems",
            Self::System => "system",
            Self::ActionInfo => "action info",
            Self::Reset => "reset",
            Self::LogOut => "logout",
        })
    }
}

/// Why a question over Redfish has no answer, and what an operator can do about it.
///
/// No failure is evidence of anything about the node. Unless a variant says otherwise, nothing was
/// sent that changes its power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RedfishFailure {
    /// No TLS connection came about. The node is as it was.
    #[error(
        "no connection: {0}; check address and port, the route to the BMC network, and that HTTPS \
         is on"
    )]
    Unreachable(String),
    /// Someone else's certificate, or none that is vouched for. Not even the user name was sent.
    #[error(
        "the certificate is not to be trusted: {0}; check the address, then `fingerprint` or \
         `ca_file` in the inventory"
    )]
    Untrusted(String),
    /// It connected and gave no whole answer. At the reset the node may be off nevertheless.
    #[error("no whole answer at the {stage}: {why}; the BMC is slow, restarting or overloaded")]
    Lost {
        /// At which request.
        stage: Stage,
        /// What happened.
        why: String,
    },
    /// It sends us elsewhere. We do not go.
    #[error(
        "it answers the {stage} with a redirect ({status}), which is not followed: name the BMC's \
         own address in the inventory"
    )]
    Redirected {
        /// At which request.
        stage: Stage,
        /// HTTP status.
        status: u16,
    },
    /// More bytes than any such resource has. They were not read.
    #[error("the answer to the {0} is far too long: is this a BMC?")]
    TooLong(Stage),
    /// 401.
    #[error("login refused at the {0}: set the same user and password on both sides")]
    LoginRefused(Stage),
    /// 403.
    #[error(
        "the user may not do this ({0}): give it the role Operator on the BMC, and enable Redfish for it"
    )]
    NoRight(Stage),
    /// All sessions of the BMC are in use.
    #[error(
        "all sessions of the BMC are taken: end some, wait until they expire, or set login = \"basic\""
    )]
    SlotsFull,
    /// Another HTTP status than one of success. Never at the reset: there reads decide.
    #[error("the {stage} was refused with HTTP status {status}: see the BMC's log")]
    Refused {
        /// Which request.
        stage: Stage,
        /// HTTP status.
        status: u16,
    },
    /// What came back cannot be understood. Its content was not used.
    #[error("the {stage} makes no sense ({why}): check that this is Redfish, update the firmware")]
    Nonsense {
        /// Which request.
        stage: Stage,
        /// What is wrong with it.
        why: Cow<'static, str>,
    },
    /// Several systems, and none is named.
    #[error("there are several systems, write the right one as system = in the inventory: {0}")]
    WhichSystem(String),
    /// There is no such system.
    #[error("there is no system {0}: see /redfish/v1/Systems on the BMC, correct system =")]
    NoSuchSystem(String),
    /// Another machine's serial number, or none.
    #[error(
        "wrong machine: the inventory says serial {expected}, {}: check address and system =",
        .read.as_deref().map_or("it has none".to_owned(), |read| format!("it says {read}"))
    )]
    WrongSerial {
        /// The one in the inventory.
        expected: String,
        /// The one that was read.
        read: Option<String>,
    },
    /// It does not offer the only reset that is sent.
    #[error("it does not offer ForceOff, and nothing softer will do: update the BMC's firmware")]
    NoForceOff,
    /// The reset would act on something else than the system that was asked.
    #[error("its reset points to {0}, outside of the system that was read: update the firmware")]
    ForeignTarget(String),
}
