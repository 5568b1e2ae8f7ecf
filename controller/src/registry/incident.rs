//! One node's failure history, as committed.

use std::collections::BTreeMap;
use std::fmt;

use fencing::evidence::Evidence;
use fencing::{BootId, Epoch, IncidentId, NodeId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::{Before, Kind, Verdict};
use super::node::Arming;

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// The node.
    pub node: NodeId,
    /// The boot it is about.
    pub boot: BootId,
    /// How that boot was armed when the incident began.
    pub armed: Option<Arming>,
    /// The row that applied.
    pub verdict: Verdict,
    /// What it does.
    pub course: Course,
    /// Where it stands.
    pub state: State,
    /// Why its recovery was halted (contradiction rule).
    pub frozen: Option<String>,
    /// Nova's service record.
    pub service: Option<Uuid>,
    /// Whether the disable is ours to undo.
    pub disabled_by_us: bool,
    /// Newest migration record that is older than this incident; those up to it are not ours.
    pub last_record: u64,
    /// Whether the VMs of the node were listed.
    pub planned: bool,
    /// The VMs of the node.
    pub vms: BTreeMap<Uuid, Vm>,
    /// When each state began: (state, wall clock in ms, index).
    pub phases: Vec<(State, u64, u64)>,
    /// How it ended or who released it, for people.
    pub note: String,
    /// The registry's minute in which it began.
    pub minute: u64,
    /// Who lifted the limit on evacuations for it.
    pub approved: Option<String>,
}

/// What an incident does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Course {
    /// It does not fence.
    Soft(Kind),
    /// It fences.
    Fence(Fence),
}

/// The fence of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// (term, index) of the intent.
    pub epoch: Epoch,
    /// n_X, frozen in the intent.
    pub floor: u64,
    /// Whether the row evacuates.
    pub evacuate: bool,
    /// Why we believe that the node is off.
    pub evidence: Option<Evidence>,
    /// Set when it is a drill.
    pub drill: Option<Drill>,
}

/// A fence of an empty node, to see whether it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Whether the node's watchdog is to fire, and the BMC is left alone.
    pub watchdog: bool,
    /// When it was ordered, wall clock in ms. For display.
    pub ordered_ms: u64,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// The intent is committed, evidence is sought.
    Fencing,
    /// The node is off.
    Fenced,
    /// Nova knows it too.
    ForcedDown,
    /// The VMs are known and on their way.
    Evacuating,
    /// Every VM is moved or parked; the node stays out.
    Recovered,
    /// The node may come back.
    Released,
    /// Its service is in use again.
    Returned,
    /// The intent was cancelled.
    Cancelled,
    /// People are told; it ends when the node is well again.
    Notified,
    /// Nova's service is being disabled.
    Disabling,
    /// The VMs are being live-migrated.
    Migrating,
    /// What could be migrated is; it ends when the node is well again.
    Migrated,
    /// Over.
    Closed,
}

impl State {
    /// Whether nothing more is to be done.
    pub fn is_over(self) -> bool {
        matches!(self, State::Returned | State::Cancelled | State::Closed)
    }

    /// From FenceIntent to Released.
    pub fn is_out(self) -> bool {
        matches!(
            self,
            State::Fencing
                | State::Fenced
                | State::ForcedDown
                | State::Evacuating
                | State::Recovered
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Fencing => "fencing",
            State::Fenced => "fenced",
            State::ForcedDown => "forced_down",
            State::Evacuating => "evacuating",
            State::Recovered => "recovered",
            State::Released => "released",
            State::Returned => "returned",
            State::Cancelled => "cancelled",
            State::Notified => "notified",
            State::Disabling => "disabling",
            State::Migrating => "migrating",
            State::Migrated => "migrated",
            State::Closed => "closed",
        })
    }
}

/// A VM of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// As it was.
    pub before: Before,
    /// How far it is.
    pub progress: Progress,
    /// Attempts that may have had an effect.
    pub attempts: u32,
    /// When the live attempt was committed, wall clock in ms.
    pub began_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
    /// Refusals without effect, and posts that never left, so far.
    pub voids: u32,
    /// The next attempt must name this destination.
    pub same: Option<String>,
    /// Migration records up to this one say nothing about the live attempt.
    pub past: u64,
    /// Nova's migration record of its last attempt, once it is settled.
    pub record: Option<u64>,
    /// Destinations that had no room for it, in the order in which they said so.
    pub no_room: Vec<String>,
    /// How often it was moved off other lost nodes lately: who flaps goes last.
    pub moves: u32,
}

/// How far a VM is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Nothing was sent, or nothing that counts.
    Waiting,
    /// One POST may be sent, or was; what came of it is not committed yet.
    Attempted {
        /// Index of the attempt's entry.
        index: u64,
        /// The destination that it names.
        destination: Option<String>,
    },
    /// Nova queued it.
    Sent {
        /// Index of the attempt's entry.
        index: u64,
        /// The destination that it names.
        destination: Option<String>,
        /// Nova's request id.
        request_id: String,
    },
    /// It runs there.
    Moved {
        /// Service host.
        destination: String,
    },
    /// Left behind.
    Parked {
        /// Why, with the remedy.
        why: String,
    },
}

impl Vm {
    /// A VM before its first attempt.
    pub fn new(before: Before) -> Self {
        let progress = Progress::Waiting;
        let (attempts, voids, began_ms, ended_ms, past) = (0, 0, 0, 0, 0);
        Self {
            before,
            progress,
            attempts,
            began_ms,
            ended_ms,
            voids,
            same: None,
            past,
            record: None,
            no_room: Vec::new(),
            moves: 0,
        }
    }

    /// Whether an attempt is under way, so that no second one may begin.
    pub fn in_flight(&self) -> bool {
        matches!(self.progress, Progress::Attempted { .. } | Progress::Sent { .. })
    }

    /// Where it runs or was ordered to.
    pub fn destination(&self) -> Option<&str> {
        match &self.progress {
            Progress::Attempted { destination, .. } | Progress::Sent { destination, .. } => {
                destination.as_deref()
            }
            Progress::Moved { destination } => Some(destination),
            Progress::Waiting | Progress::Parked { .. } => None,
        }
    }

    /// Moved or parked.
    pub fn is_settled(&self) -> bool {
        matches!(self.progress, Progress::Moved { .. } | Progress::Parked { .. })
    }
}

impl Incident {
    /// Whether it still needs work, or waits for the node.
    pub fn is_open(&self) -> bool {
        !self.state.is_over()
    }

    /// The fence, if this incident is one.
    pub fn fence(&self) -> Option<&Fence> {
        match &self.course {
            Course::Fence(fence) => Some(fence),
            Course::Soft(_) => None,
        }
    }

    /// Whether it is a drill in which the node's watchdog is to fire.
    pub fn is_watchdog_drill(&self) -> bool {
        self.fence().and_then(|fence| fence.drill).is_some_and(|drill| drill.watchdog)
    }

    /// Moves to a state and notes when.
    pub(super) fn enter(&mut self, state: State, at_ms: u64, index: u64) {
        self.state = state;
        self.phases.push((state, at_ms, index));
    }

    /// VMs that run elsewhere now.
    pub fn moved(&self) -> usize {
        self.vms.values().filter(|vm| matches!(vm.progress, Progress::Moved { .. })).count()
    }
}
