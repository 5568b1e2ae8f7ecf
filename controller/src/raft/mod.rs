//! The replicated log of the controllers: one leader, one order of commands, nothing done that a
//! majority does not hold on disk.
//!
//! ```text
//!   tick, step, propose, read_index, transfer, compact            Store (a directory)
//!                     |                                              ^      |
//!                     v                                        Write |      | Restored
//!                   Raft  ------- Vec<Output> ------->  shell: Persist      v
//!              (no clock, no I/O)                       then Send, Apply    Raft::new
//! ```
//!
//! The one duty of the caller: carry the outputs out in the order in which they came, and let no
//! output pass a [`Output::Persist`] that is not durable yet. A shell that cannot make a write
//! durable ends the process.
//!
//! Leading is not an authority. An old leader believes in itself for up to a second while a new
//! one works; only a committed entry, and [`Raft::read_index`] after it, authorise an effect.
//!
//! What it does not do: change the set of peers, choose when a snapshot is taken, send anything.
//! Which library stands behind it is known in this module alone (`docs/decisions/0002`).

mod admit;
#[cfg(test)]
mod admit_tests;
mod bent;
mod core;
#[cfg(test)]
mod exploration;
mod log;
mod message;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod rig_tests;
mod shelf;
pub mod store;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::core::Raft;
pub use self::log::{Gap, Restored, Write};
pub use self::message::{BadMessage, Message};

/// Longest command, in bytes. The owner bounds what it proposes; [`Raft::propose`] asserts it.
pub const MAX_COMMAND: usize = 1 << 20;

/// Longest state in a snapshot, in bytes: it travels in one message and is one record on disk.
pub const MAX_STATE: usize = 16 << 20;

/// Most reads that may wait for their confirmation at once; later ones are refused.
pub const MAX_READS: usize = 1024;

/// Place of an entry in the log; the first is 1, 0 means none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Index(pub u64);

/// Number of an election; the first is 1, 0 means none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Term(pub u64);

/// A controller in the group, 1 to 5. Never given to a second disk: see [`store`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PeerId(pub u64);

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "controller-{}", self.0)
    }
}

/// What a [`Raft`] is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// This controller; one of `peers`.
    pub me: PeerId,
    /// All controllers: 1, 3 or 5 different ids out of 1 to 5, the same everywhere.
    pub peers: Vec<PeerId>,
    /// Spreads the election timeouts, together with id and term. The same on all controllers, so
    /// that no two of them ever wait equally long.
    pub seed: u64,
    /// Entries applied since the last snapshot before the next is wanted; 1000 is sensible. Too
    /// small: much is written for little. Too large: a long log to read at start.
    pub snapshot_every: u64,
}

/// What the caller must do, in the order given. What follows a `Persist` waits until it is
/// durable: then nothing was ever said that a crash can take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable. Twice is harmless for the log (the same entries replace themselves).
    Persist(Write),
    /// Send a message; it may be lost, doubled, late or overtaken.
    Send {
        /// Addressee.
        to: PeerId,
        /// The message.
        message: Message,
    },
    /// A committed command, each index once and in order within one life of this `Raft`; empty for
    /// the entry with which a leader begins its term.
    Apply {
        /// Its place.
        index: Index,
        /// Term of the leader that proposed it.
        term: Term,
        /// As proposed.
        command: Vec<u8>,
    },
    /// Replace the state machine by this state: a snapshot from the leader, or, as the first
    /// output after a start, this controller's own.
    Install {
        /// Last index that the state contains.
        index: Index,
        /// Term of that entry.
        term: Term,
        /// As given to [`Raft::compact`] by whoever made it.
        state: Vec<u8>,
    },
    /// The log is long. The state machine stands at exactly this index when this output is
    /// reached: serialise it and call [`Raft::compact`]. Ignoring it costs only space.
    SnapshotWanted {
        /// Index to compact up to.
        index: Index,
    },
    /// Leader, own role or term changed. When `me_leading` turns false, all tickets of
    /// `read_index` that are not answered are void, and so is the fate of proposals not applied.
    Role {
        /// Who leads, as far as is known here.
        leader: Option<PeerId>,
        /// Whether it is this controller.
        me_leading: bool,
        /// The current term.
        term: Term,
    },
    /// A majority confirmed this leader after the ticket was asked; once `index` is applied the
    /// state machine holds all that was committed before the question.
    ReadReady {
        /// As given to [`Raft::read_index`].
        ticket: u64,
        /// Commit index at the time of the question.
        index: Index,
    },
    /// This controller's state contradicts what the others know: its disk is older than its word,
    /// or two logs disagree below the commit index. End the process, do not restart it by itself;
    /// this `Raft` has stopped for good.
    Halt {
        /// What was seen, for the operator.
        reason: String,
    },
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Persist(write) => write!(f, "persist {write}"),
            Output::Send { to, message } => write!(f, "send {to} {message}"),
            Output::Apply { index, term, command } => {
                write!(f, "apply index={index} term={term} bytes={}", command.len())
            }
            Output::Install { index, term, state } => {
                write!(f, "install index={index} term={term} bytes={}", state.len())
            }
            Output::SnapshotWanted { index } => write!(f, "snapshot wanted index={index}"),
            Output::Role { me_leading: true, term, .. } => write!(f, "leads term={term}"),
            Output::Role { leader: Some(leader), term, .. } => {
                write!(f, "follows {leader} term={term}")
            }
            Output::Role { leader: None, term, .. } => write!(f, "no leader term={term}"),
            Output::ReadReady { ticket, index } => {
                write!(f, "read ready ticket={ticket} index={index}")
            }
            Output::Halt { reason } => write!(f, "halt: {reason}"),
        }
    }
}

/// This controller does not take it now: it does not lead, is handing its role over, or has too
/// much in flight. Nothing was proposed or asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this controller does not lead")]
pub struct NotLeader {
    /// Where to go instead, if known.
    pub leader: Option<PeerId>,
}
