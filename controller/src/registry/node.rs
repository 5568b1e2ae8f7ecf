//! A node, as committed.

use fencing::bmc::Identity;
use fencing::lease::LeaseTimes;
use fencing::{BootId, IncidentId};
use serde::{Deserialize, Serialize};

use super::command::Enrolment;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// As the inventory describes it.
    pub record: Enrolment,
    /// Identity of its BMC, read at enrolment.
    pub bmc: Option<Identity>,
    /// Why its BMC is no longer believed (E1 is off).
    pub bmc_distrusted: Option<String>,
    /// Armed: its boot, its times, and the n that it had reported.
    pub armed: Option<Arming>,
    /// Admitted without being armed.
    pub admitted: Option<BootId>,
    /// Maintenance: why.
    pub maintenance: Option<String>,
    /// Disarmed by an operator.
    pub disarmed: bool,
    /// The registry's minute in which its maintenance or disarm ends by itself.
    pub until: Option<u64>,
    /// Index of the last entry that disarmed the node or ended a disarm: a renewal from before it says nothing about the
    /// device as it is now, so nothing is armed on its word.
    pub rearm_floor: u64,
    /// The incident that is open.
    pub incident: Option<IncidentId>,
    /// The registry's minute of each fence intent, oldest first, `FENCES_KEPT` at most.
    pub fenced_at: Vec<u64>,
    /// Number of fence intents ever.
    pub fences: u32,
    /// Boots that were fenced, oldest first; never acked again.
    pub fenced_boots: Vec<BootId>,
}

/// Fences remembered with their minute: more than enough for a quarantine of two.
pub(super) const FENCES_KEPT: usize = 16;

/// What ARMED committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arming {
    /// The boot.
    pub boot: BootId,
    /// Its times.
    pub times: LeaseTimes,
    /// n that its sentinel had reported: the floor for a proposer that has heard nothing.
    pub n: u64,
}

impl Node {
    /// A node that was just enrolled.
    pub fn new(record: Enrolment) -> Self {
        Self {
            record,
            bmc: None,
            bmc_distrusted: None,
            armed: None,
            admitted: None,
            maintenance: None,
            disarmed: false,
            until: None,
            rearm_floor: 0,
            incident: None,
            fenced_at: Vec::new(),
            fences: 0,
            fenced_boots: Vec::new(),
        }
    }

    /// Whether this boot of it was fenced.
    pub fn was_fenced(&self, boot: BootId) -> bool {
        self.fenced_boots.contains(&boot)
    }

    /// The boot that may run guests, by ARMED or ADMITTED.
    pub fn serving_boot(&self) -> Option<BootId> {
        self.armed.map(|arming| arming.boot).or(self.admitted)
    }
}
