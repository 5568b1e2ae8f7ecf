//! A controller's machine: its disk, its clock, and the process that may run on it.

use std::collections::VecDeque;
use std::time::Duration;

use controller::core::{Controller, Lives};
use controller::effect::Effect;
use controller::event::Event;
use controller::raft::Restored;
use fencing::bmc::Ask;

use crate::clock::Clock;
use crate::place::Place;

/// A controller's machine.
pub struct Seat {
    /// N of `controller-N`.
    pub number: u8,
    /// CLOCK_MONOTONIC.
    pub clock: Clock,
    /// Steps of its wall clock, in milliseconds.
    pub wall_step: i64,
    /// The process, while it runs.
    pub core: Option<Controller>,
    /// When its process begins another core.
    pub lives: Option<Lives>,
    /// Starts so far; also tells answers to an earlier process from those to this one.
    pub starts: u32,
    /// Its disk.
    pub disk: Restored,
    /// What is wrong with its disk.
    pub disk_fault: Option<DiskFault>,
    /// A copy of its disk, as a backup or a VM's snapshot holds it.
    pub image: Option<Restored>,
    /// How often that copy was put in its place.
    pub images: u32,
    /// Whether the process is stopped (SIGSTOP).
    pub stalled: bool,
    /// Rate error of its clock, while the whole machine is paused and the clock with it.
    pub paused: Option<i32>,
    /// What came meanwhile.
    pub backlog: VecDeque<Event>,
    /// Effects that it was carrying out when it was stopped.
    pub suspended: VecDeque<Effect>,
    /// When it is woken next.
    pub wakes_at: Option<Duration>,
    /// Where it is going to die or to stop.
    pub trap: Option<Trap>,
    /// Why it ended itself.
    pub halted: Option<String>,
    /// Last index that the oracles were told of.
    pub told: u64,
}

/// A place in its effects at which something happens to a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Which effect.
    pub point: Point,
    /// Whether that effect is still carried out.
    pub after: bool,
    /// Stopped for this long; `None` for dead.
    pub stall: Option<Duration>,
    /// Stopped with its whole machine, clock included.
    pub pause: bool,
}

/// What is wrong with a controller's disk. All but the last strike at the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// No space, until it is mended.
    Full,
    /// A sync fails once; the next would succeed.
    Once,
    /// The power fails in the middle of a write: half of the record is there.
    Torn,
    /// The power fails before a write is synced: nothing of it is there.
    Unsynced,
    /// What was kept reads wrongly at the next start.
    Damaged,
}

/// An effect, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// So many effects of any kind from now.
    Count(u32),
    /// A power off.
    Off,
    /// A read of the power.
    Read,
    /// Nova's force-down.
    ForceDown,
    /// An evacuation.
    Evacuate,
    /// A write to the disk.
    Persist,
}

impl DiskFault {
    /// Its word in a scenario.
    pub fn word(self) -> &'static str {
        match self {
            DiskFault::Full => "full",
            DiskFault::Once => "eio",
            DiskFault::Torn => "torn",
            DiskFault::Unsynced => "unsynced",
            DiskFault::Damaged => "damaged",
        }
    }
}

impl Point {
    /// Whether this effect is it.
    pub fn meets(self, effect: &Effect) -> bool {
        use controller::nova::call::Call;
        match effect {
            Effect::Persist(_) => self == Point::Persist,
            Effect::Bmc { ask: Ask::Off, .. } => self == Point::Off,
            Effect::Bmc { ask: Ask::Read, .. } => self == Point::Read,
            Effect::Nova { call: Call::ForceDown { .. }, .. } => self == Point::ForceDown,
            Effect::Nova { call: Call::Evacuate { .. }, .. } => self == Point::Evacuate,
            Effect::Nova { .. }
            | Effect::Peer { .. }
            | Effect::Gossip { .. }
            | Effect::Ping { .. }
            | Effect::Lease { .. }
            | Effect::Answer { .. }
            | Effect::Journal(_)
            | Effect::Halt(_) => false,
        }
    }
}

impl Seat {
    /// A machine on which no controller has ever run.
    pub fn new(number: u8, clock: Clock) -> Self {
        Self {
            number,
            clock,
            wall_step: 0,
            core: None,
            lives: None,
            starts: 0,
            disk: Restored::default(),
            disk_fault: None,
            image: None,
            images: 0,
            stalled: false,
            paused: None,
            backlog: VecDeque::new(),
            suspended: VecDeque::new(),
            wakes_at: None,
            trap: None,
            halted: None,
            told: 0,
        }
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        Place::Controller(self.number)
    }

    /// Its wall clock in ms, for display.
    pub fn wall_ms(&self, at: Duration) -> u64 {
        /// 2026-01-01.
        const EPOCH_MS: i64 = 1_767_225_600_000;
        let ms = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        u64::try_from(EPOCH_MS.saturating_add(ms).saturating_add(self.wall_step)).unwrap_or(0)
    }

    /// Whether the process runs and is not stopped.
    pub fn runs(&self) -> bool {
        self.core.is_some() && !self.stalled
    }

    /// Whether it leads, as far as it knows itself.
    pub fn leads(&self) -> bool {
        self.core.as_ref().is_some_and(Controller::is_leader)
    }
}
