//! A node, as committed.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::bmc::{Identity, LevelKind};
use fencing::lease::LeaseTimes;
use fencing::watchdog::Class;
use fencing::{BootId, IncidentId, NodeId};
use serde::{Deserialize, Serialize};

use super::command::Enrolment;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// As the inventory describes it.
    pub record: Enrolment,
    /// Its levels of fencing that were enrolled, by number from 1 on.
    pub bmcs: BTreeMap<u8, Enrolled>,
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
    /// Whether forced_down of its nova-compute is ours to clear.
    pub forced_by_us: bool,
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

/// A level of fencing that was enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its identity, read at enrolment.
    pub identity: Identity,
    /// Why it is no longer believed.
    pub distrusted: Option<String>,
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
            bmcs: BTreeMap::new(),
            armed: None,
            admitted: None,
            watchdog_test: None,
            maintenance: None,
            disarmed: false,
            until: None,
            rearm_floor: 0,
            incident: None,
            fenced_at: Vec::new(),
            fences: 0,
            fenced_boots: Vec::new(),
            forced_by_us: false,
        }
    }

    /// Whether this boot of it was fenced.
    pub fn was_fenced(&self, boot: BootId) -> bool {
        self.fenced_boots.contains(&boot)
    }

    /// The levels of fencing that the inventory names, from 1 on.
    pub fn levels(&self) -> impl Iterator<Item = u8> + use<> {
        1..=u8::try_from(self.record.bmc.len()).unwrap_or(u8::MAX)
    }

    /// The identity of a level that is enrolled, believed, and still in the inventory.
    pub fn believed(&self, level: u8) -> Option<Identity> {
        let known = self.bmcs.get(&level).filter(|known| known.distrusted.is_none())?;
        self.levels().any(|named| named == level).then_some(known.identity)
    }

    /// Levels that may give evidence, in their order.
    pub fn believed_levels(&self) -> Vec<(u8, Identity)> {
        self.levels().filter_map(|level| Some((level, self.believed(level)?))).collect()
    }

    /// What a level proves.
    pub fn kind(&self, level: u8) -> Option<LevelKind> {
        self.record.bmc.get(usize::from(level).checked_sub(1)?).copied()
    }

    /// Nodes by way of which a level is asked; empty where the controllers reach it.
    pub fn via(&self, level: u8) -> &[NodeId] {
        let place = usize::from(level).checked_sub(1);
        place.and_then(|place| self.record.via.get(place)).map_or(&[], Vec::as_slice)
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
