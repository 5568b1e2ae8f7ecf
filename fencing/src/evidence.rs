//! The seven kinds of evidence. Everything else is suspicion: gossip, ping, votes of peers, an acknowledged fence
//! event, a BMC command's reply, Nova's view, an unreachable BMC.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bmc::Identity;
use crate::{BootId, NodeId};

/// Why we believe that a node is off. Only the rules in [`crate::e1`], [`crate::e2`] and the registry make one; what
/// turns it into permission to evacuate is the committed entry that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// E1: a hard off was sent in this epoch, then two consecutive reads said exactly "off".
    Bmc {
        /// Identity that both reads carried, equal to the enrolled one.
        identity: Identity,
        /// Time between the two reads, at least [`crate::e1::READS_APART`].
        apart: Duration,
    },
    /// E2: lease and watchdog time are over, with the promise of the peers and VERIFY.
    Lease {
        /// The wait that was kept, from the intent and from the promise.
        waited: Duration,
        /// Voters (node, boot) that reported past the intent and past VERIFY.
        promised_by: Vec<(NodeId, BootId)>,
        /// Raft index of the VERIFY entry.
        verify: u64,
    },
    /// E3: the node answered with a new boot id, booted after the intent, and runs no domain.
    NewBoot {
        /// The new boot.
        boot: BootId,
    },
    /// E4: an authenticated beacon of that boot's crash kernel.
    CrashKernel,
    /// E5: all outlets of all feeds read back off.
    Pdu,
    /// E6: every client address of the node is on the storage's block list.
    Storage,
    /// E7: the operator's word.
    Operator {
        /// Who said so.
        person: String,
        /// Why, in the operator's words.
        reason: String,
    },
}

impl Evidence {
    /// Its short name, `E1` to `E7`.
    pub fn class(&self) -> &'static str {
        match self {
            Evidence::Bmc { .. } => "E1",
            Evidence::Lease { .. } => "E2",
            Evidence::NewBoot { .. } => "E3",
            Evidence::CrashKernel => "E4",
            Evidence::Pdu => "E5",
            Evidence::Storage => "E6",
            Evidence::Operator { .. } => "E7",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class())?;
        match self {
            Evidence::Bmc { apart, .. } => {
                write!(f, " bmc: two reads off, {:.1} s apart", apart.as_secs_f64())
            }
            Evidence::Lease { waited, promised_by, .. } => write!(
                f,
                " lease: {:.1} s waited, {} peers promised",
                waited.as_secs_f64(),
                promised_by.len()
            ),
            Evidence::NewBoot { boot } => write!(f, " new boot {boot}, no domain running"),
            Evidence::CrashKernel => f.write_str(" crash kernel's beacon"),
            Evidence::Pdu => f.write_str(" all outlets off"),
            Evidence::Storage => f.write_str(" storage block list"),
            Evidence::Operator { person, .. } => write!(f, " operator {person}"),
        }
    }
}
