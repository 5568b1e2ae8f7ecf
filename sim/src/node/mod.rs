//! A node's hardware and what lives on it: power, boots, watchdog, guests, and where its programs stand.

mod watchdog;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use fencing::lease::LeaseTimes;
use fencing::{BootId, Epoch};
use mutants::{Mutant, is_on};
use node_agent::agent::{self, Agent};
use node_agent::sentinel::{self, Sentinel};
use uuid::Uuid;

pub use watchdog::{Kind, Watchdog};

use crate::clock::Clock;
use crate::place::{Place, boot_id};
use crate::world::Health;

/// From power on until the programs start.
pub const BOOT_TIME: Duration = Duration::from_secs(20);

/// A node.
#[derive(Debug)]
pub struct Machine {
    /// N of `node-N`.
    pub number: u16,
    /// Its power.
    pub power: Power,
    /// Starts so far.
    pub boots: u32,
    /// CLOCK_BOOTTIME of the present boot.
    pub clock: Clock,
    /// Steps of its wall clock, in milliseconds.
    pub wall_step: i64,
    /// Rate error of its clocks.
    pub ppm: i32,
    /// Whether its kernel hangs: no program runs, guests go on.
    pub hung: bool,
    /// Whether its kernel has crashed and its crash kernel runs: no program and no guest, but a beacon.
    pub crashed: bool,
    /// The device.
    pub watchdog: Watchdog,
    /// Its sentinel.
    pub sentinel: Program<Sentinel, sentinel::Event>,
    /// Its agent.
    pub agent: Program<Agent, agent::Event>,
    /// Starts of its agent, from its disk.
    pub agent_starts: u64,
    /// What the sentinel keeps in memory for its restart.
    pub kept: Option<sentinel::Saved>,
    /// Highest epoch of a fence event, on its disk.
    pub highest_epoch: Option<Epoch>,
    /// Whether the boot gate let nova-compute start.
    pub gate: bool,
    /// Whether nova-compute was last seen connected by Nova.
    pub compute_connected: bool,
    /// Guests that run, and write.
    pub guests: BTreeSet<Uuid>,
    /// Effects that its sentinel was carrying out when it was stopped.
    pub suspended: VecDeque<sentinel::Effect>,
    /// Its sentinel stops for this long between its next check and the feed.
    pub stall_at_feed: Option<Duration>,
    /// It stops for this long between its next feed and the look at the clock that follows.
    pub stall_after_feed: Option<Duration>,
    /// It has fed and not looked at the clock yet.
    pub look_due: bool,
    /// Last time that anything was wrong with it or its links.
    pub troubled: Duration,
    /// What its health checks would find.
    pub health: Health,
}

/// A node's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// No power at all: its BMC is dead too.
    NoFeed,
    /// Off; its BMC answers.
    Off,
    /// On, and no program runs yet.
    Booting,
    /// On.
    Running,
}

/// A program's process on a node.
#[derive(Debug)]
pub struct Program<P, E> {
    /// The core, while the process exists.
    pub core: Option<P>,
    /// Counts processes, so that a timer of an earlier one wakes nobody.
    pub life: u32,
    /// Whether it is stopped (SIGSTOP, starved).
    pub stalled: bool,
    /// What came meanwhile.
    pub backlog: VecDeque<E>,
    /// When it is woken next.
    pub wakes_at: Option<Duration>,
}

/// Datagrams that wait in the sockets of a stopped program; more are lost.
const BACKLOG: usize = 256;

impl<P, E> Default for Program<P, E> {
    fn default() -> Self {
        Self { core: None, life: 0, stalled: false, backlog: VecDeque::new(), wakes_at: None }
    }
}

impl<P, E> Program<P, E> {
    /// A new process.
    pub fn start(&mut self, core: P) {
        self.stop();
        self.core = Some(core);
    }

    /// The process ends.
    pub fn stop(&mut self) {
        *self = Self { life: self.life + 1, ..Self::default() };
    }

    /// Keeps an event for a program that is stopped.
    pub fn keep(&mut self, event: E) {
        if self.backlog.len() < BACKLOG {
            self.backlog.push_back(event);
        }
    }
}

impl Machine {
    /// A node that is off and has never run.
    pub fn new(number: u16, ppm: i32, times: LeaseTimes) -> Self {
        Self {
            number,
            power: Power::Off,
            boots: 0,
            clock: Clock::new(Duration::ZERO, Duration::ZERO, ppm),
            wall_step: 0,
            ppm,
            hung: false,
            crashed: false,
            watchdog: Watchdog::new(times.watchdog),
            sentinel: Program::default(),
            agent: Program::default(),
            agent_starts: 0,
            kept: None,
            highest_epoch: None,
            gate: false,
            compute_connected: false,
            guests: BTreeSet::new(),
            suspended: VecDeque::new(),
            stall_at_feed: None,
            stall_after_feed: None,
            look_due: false,
            troubled: Duration::ZERO,
            health: Health::default(),
        }
    }

    /// What its sentinel takes for CLOCK_BOOTTIME.
    pub fn sentinel_clock(&self, now: Duration) -> Duration {
        let step = Duration::from_millis(self.wall_step.unsigned_abs());
        match self.clock.read(now) {
            reading if !is_on(Mutant::M08) || self.wall_step == 0 => reading,
            reading if self.wall_step < 0 => reading.saturating_sub(step),
            reading => reading + step,
        }
    }

    /// When that clock will show a reading.
    pub fn sentinel_when(&self, reading: Duration) -> Duration {
        let step = Duration::from_millis(self.wall_step.unsigned_abs());
        self.clock.when(match self.wall_step {
            step_back if !is_on(Mutant::M08) || step_back == 0 => reading,
            step_back if step_back < 0 => reading + step,
            _ => reading.saturating_sub(step),
        })
    }

    /// What its sentinel does when it reads the clock after a feed.
    pub fn look_after_feed(&mut self, now: Duration) -> Vec<sentinel::Effect> {
        let reading = self.sentinel_clock(now);
        let mut effects = Vec::new();
        if let Some(core) = self.sentinel.core.as_mut() {
            core.after_feed(reading, &mut effects);
        }
        effects
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        Place::Node(self.number)
    }

    /// Its present or last boot.
    pub fn boot(&self) -> BootId {
        boot_id(self.place(), self.boots)
    }

    /// Whether its programs can run.
    pub fn runs(&self) -> bool {
        self.power == Power::Running && !self.hung
    }

    /// Whether this boot of it goes on, hung or not.
    pub fn is_on(&self, boot: BootId) -> bool {
        self.power == Power::Running && !self.crashed && self.boot() == boot
    }

    /// Whether nova-compute runs.
    pub fn compute_runs(&self) -> bool {
        self.gate && self.runs()
    }

    /// Everything on it ends at once.
    pub fn lose_power(&mut self, power: Power) {
        self.power = power;
        (self.hung, self.crashed) = (false, false);
        self.watchdog.power_lost();
        self.sentinel.stop();
        self.agent.stop();
        self.suspended.clear();
        (self.stall_at_feed, self.stall_after_feed, self.look_due) = (None, None, false);
        self.kept = None;
        self.gate = false;
        self.guests.clear();
    }

    /// The kernel is up.
    pub fn boot_up(&mut self, now: Duration) {
        self.power = Power::Running;
        self.boots += 1;
        // The kernel needed a while before its first program.
        self.clock = Clock::new(now, Duration::from_secs(5), self.ppm);
    }
}
