//! A node, as committed.

use std::time::Duration;

use fencing::bmc::Identity;
use fencing::lease::LeaseTimes;
use fencing::watchdog::Class;
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
    /// What the last drill of its watchdog has shown.
    pub watchdog_test: Option<WatchdogTest>,
    /// Maintenance: why.
    pub maintenance: Option<String>,
    /// Disarmed by an operator.
    pub disarmed: bool,
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
    /// What kind of watchdog it has.
    pub class: Class,
    /// n that its sentinel had reported: the floor for a proposer that has heard nothing.
    pub n: u64,
}

/// What a drill has shown of a watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogTest {
    /// The boot that it ended, or should have.
    pub boot: BootId,
    /// When, wall clock in ms. For display.
    pub at_ms: u64,
    /// From the intent to the last that was heard of that boot.
    pub took: Duration,
    /// What kind of device it was.
    pub class: Class,
    /// Its timeout.
    pub timeout: Duration,
    /// Whether it fired.
    pub fires: Fires,
}

/// Whether a watchdog fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fires {
    /// Within the bound that E2 reckons with.
    InTime,
    /// Its node went on.
    Not,
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
            watchdog_test: None,
            maintenance: None,
            disarmed: false,
            rearm_floor: 0,
            incident: None,
            fenced_at: Vec::new(),
            fences: 0,
            fenced_boots: Vec::new(),
        }
    }

    /// What was ever shown of the device with which this boot is armed; another kind or another timeout is another
    /// device, of which nothing is known.
    pub fn fires(&self, arming: &Arming) -> Option<Fires> {
        let test = self.watchdog_test.as_ref()?;
        let same = test.class == arming.class && test.timeout == arming.times.watchdog;
        same.then_some(test.fires)
    }

    /// The boot that may run guests, by ARMED or ADMITTED.
    pub fn serving_boot(&self) -> Option<BootId> {
        self.armed.map(|arming| arming.boot).or(self.admitted)
    }
}
