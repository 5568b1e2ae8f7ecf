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
        /// Which of the node's levels of fencing, from 1 on.
        level: u8,
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
    CrashKernel {
        /// The boot that crashed.
        boot: BootId,
    },
    /// E5: all outlets of all feeds, sent and read as in E1, read back off.
    Pdu {
        /// Which of the node's levels of fencing, from 1 on.
        level: u8,
        /// Devices that only together take the node's power away, at least two.
        outlets: u8,
        /// What stands for all their identities, equal to the enrolled one.
        identity: Identity,
        /// Time between the two reads, at least [`crate::e1::READS_APART`].
        apart: Duration,
    },
    /// E6: every client address of the node is on the storage's block list, ordered and read back as in E1.
    Storage {
        /// Which of the node's levels of fencing, from 1 on.
        level: u8,
        /// How many addresses.
        addresses: u8,
        /// What stands for this storage and these addresses, equal to the enrolled one.
        identity: Identity,
        /// Time between the two reads, at least [`crate::e1::READS_APART`].
        apart: Duration,
    },
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
            Evidence::CrashKernel { .. } => "E4",
            Evidence::Pdu { .. } => "E5",
            Evidence::Storage { .. } => "E6",
            Evidence::Operator { .. } => "E7",
        }
    }
}

impl Evidence {
    /// The level of fencing whose reads it rests on, from 1 on.
    pub fn level(&self) -> Option<u8> {
        match self {
            Evidence::Bmc { level, .. }
            | Evidence::Pdu { level, .. }
            | Evidence::Storage { level, .. } => Some(*level),
            Evidence::Lease { .. }
            | Evidence::NewBoot { .. }
            | Evidence::CrashKernel { .. }
            | Evidence::Operator { .. } => None,
        }
    }

    /// The identity that its reads carried, where there were any.
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Evidence::Bmc { identity, .. }
            | Evidence::Pdu { identity, .. }
            | Evidence::Storage { identity, .. } => Some(*identity),
            Evidence::Lease { .. }
            | Evidence::NewBoot { .. }
            | Evidence::CrashKernel { .. }
            | Evidence::Operator { .. } => None,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class())?;
        match self {
            Evidence::Bmc { level, apart, .. } => {
                write!(f, " bmc: two reads off, {:.1} s apart", apart.as_secs_f64())?;
                of_level(f, *level)
            }
            Evidence::Lease { waited, promised_by, .. } => write!(
                f,
                " lease: {:.1} s waited, {} peers promised",
                waited.as_secs_f64(),
                promised_by.len()
            ),
            Evidence::NewBoot { boot } => write!(f, " new boot {boot}, no domain running"),
            Evidence::CrashKernel { boot } => write!(f, " beacon of boot {boot}'s crash kernel"),
            Evidence::Pdu { level, outlets, apart, .. } => {
                let apart = apart.as_secs_f64();
                write!(f, " all {outlets} outlets: two reads off, {apart:.1} s apart")?;
                of_level(f, *level)
            }
            Evidence::Storage { level, addresses, apart, .. } => {
                let apart = apart.as_secs_f64();
                write!(
                    f,
                    " storage keeps {addresses} addresses out: two reads, {apart:.1} s apart"
                )?;
                of_level(f, *level)
            }
            Evidence::Operator { person, .. } => write!(f, " operator {person}"),
        }
    }
}

/// The first level goes without saying.
fn of_level(f: &mut fmt::Formatter<'_>, level: u8) -> fmt::Result {
    if level > 1 { write!(f, ", level {level}") } else { Ok(()) }
}
