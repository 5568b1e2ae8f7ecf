//! What sentinels and controllers say to each other. Each message travels alone in one signed datagram
//! ([`crate::sign`]) on a port of its own; a message from another signer than it names is dropped by the receiver.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hazards::Hazards;
use super::log::LogPart;
use super::times::LeaseTimes;
use crate::watchdog::Class;
use crate::{BootId, NodeId};

/// One datagram of the lease protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Sentinel to all controllers, every p, over each of its networks. Who asks is its signer, and nobody else can be
    /// meant: nine of these leave a node in a second, and none names it twice.
    Renew {
        /// The boot of the node that signed.
        boot: BootId,
        /// Counts up within one boot; an ack quotes it.
        seq: u64,
        /// n: length of the committed log that this sentinel has adopted (and written to memory-backed storage).
        n: u64,
        /// Fresh random number; a fence event must quote one that is younger than L.
        challenge: u64,
        /// The device.
        watchdog: WatchdogState,
        /// The times that this sentinel goes by now; it is armed with these and no others.
        times: LeaseTimes,
        /// How long the node has been up (CLOCK_BOOTTIME), for E3: a duration, never a point in time.
        uptime: Duration,
        /// The piece that it wants if the answer brings one of a snapshot; 0 while none is on its way.
        piece: u16,
    },
    /// Controller to sentinel: it stands for the node. Silence is the refusal.
    Ack {
        /// The node that was acked.
        node: NodeId,
        /// Its boot.
        boot: BootId,
        /// The renewal that this answers.
        seq: u64,
        /// The controller's commit index, so that a sentinel can require a majority for its gate.
        committed: u64,
        /// What the sentinel lacks of the committed log, as much as fits.
        log: LogPart,
    },
    /// Controller to sentinel: no lease is given, but the log goes on being told (a node that is out must learn of it).
    NoAck {
        /// The renewal that this answers.
        seq: u64,
        /// The controller's commit index.
        committed: u64,
        /// What the sentinel lacks of the committed log.
        log: LogPart,
    },
    /// Sentinel to a voter: do you stand for me?
    Ask {
        /// Who asks.
        node: NodeId,
        /// Its boot.
        boot: BootId,
        /// Counts up within one boot.
        seq: u64,
    },
    /// Voter to sentinel: VOUCH.
    Vouch {
        /// The voter.
        voter: NodeId,
        /// The voter's boot: a voter is (node, boot).
        voter_boot: BootId,
        /// For whom.
        node: NodeId,
        /// Its boot.
        boot: BootId,
        /// The ask that this answers.
        seq: u64,
    },
    /// Voter to sentinel: FENCED. No vouch, and nothing more.
    NoVouch {
        /// The voter.
        voter: NodeId,
        /// The ask that this answers.
        seq: u64,
    },
    /// Crash kernel to all controllers, once a second, signed by the node: the kernel of this boot has crashed (E4).
    Crashed {
        /// The node.
        node: NodeId,
        /// The boot that ended; the crash kernel has an id of its own.
        boot: BootId,
    },
}

/// What a sentinel says of its watchdog device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchdogState {
    /// No device, or none that may be opened.
    Absent,
    /// There is a device; it is not open yet (no lease of this boot so far, or disarmed).
    Closed,
    /// Open and fed.
    Open {
        /// Timeout as read back.
        timeout: Duration,
        /// What kind of device it is.
        class: Class,
        /// Whether its class may carry E2: a hardware class, or one that the operator allowed by name.
        counts_for_e2: bool,
    },
    /// Not to be opened: something on the node would start guests by itself, so it must not be armed.
    Refused {
        /// What.
        hazards: Hazards,
    },
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Renew { boot, seq, n, .. } => {
                write!(f, "renew boot={boot} seq={seq} n={n}")
            }
            Message::Ack { seq, committed, .. } => write!(f, "ack seq={seq} committed={committed}"),
            Message::NoAck { seq, committed, .. } => {
                write!(f, "no ack seq={seq} committed={committed}")
            }
            Message::Ask { node, seq, .. } => write!(f, "ask node={node} seq={seq}"),
            Message::Vouch { voter, node, seq, .. } => {
                write!(f, "VOUCH voter={voter} node={node} seq={seq}")
            }
            Message::Crashed { node, boot } => write!(f, "CRASHED node={node} boot={boot}"),
            Message::NoVouch { voter, seq } => write!(f, "FENCED voter={voter} seq={seq}"),
        }
    }
}
