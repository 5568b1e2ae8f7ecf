//! All checks of a node: which are due, and what the controllers are told of them.

use std::time::Duration;

use fencing::checks::{CHECKS_PER_PART, Check, MOST_CHECKS, Report};
use fencing::{BootId, NodeId};
use rand::{Rng, RngExt as _};

use super::plan::{Outcome, Plan};
use super::watch::{Due, Watch};

/// The controllers are told this often how many changes there have been, over another network each time.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// Checks begin within this time after the agent's start, not all at once.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);
/// Questions that are answered in a second: each answer is several datagrams, and whoever holds the cluster's key may ask.
const MOST_ANSWERS: u32 = 16;

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Begin a check, and come back with its outcome under this number.
    Run {
        /// Its place in the configuration.
        check: u8,
        /// To be quoted.
        run: u64,
    },
    /// Send it to all controllers.
    Tell(Report, Over),
}

/// Which way a report goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Every network: something has changed.
    All,
    /// One, this number modulo how many there are.
    One(u64),
}

/// The checks of one node.
#[derive(Debug)]
pub struct Checks {
    node: NodeId,
    boot: BootId,
    life: u64,
    watches: Vec<Watch>,
    next_beat: Option<Duration>,
    beats: u64,
    /// The second in which questions were answered last, and how many.
    answered: (u64, u32),
}

impl Checks {
    /// Checks that have said nothing yet; more than [`MOST_CHECKS`] are left out. `life` counts the starts of the agent.
    pub fn new(
        now: Duration,
        (node, boot, life): (NodeId, BootId, u64),
        plans: Vec<Plan>,
        rng: &mut impl Rng,
    ) -> Self {
        let mut watches = Vec::new();
        for plan in plans.into_iter().take(MOST_CHECKS) {
            let first = now + plan.every.min(BEGIN_WITHIN).mul_f64(rng.random_range(0.0..1.0));
            watches.push(Watch::new(plan, now, first));
        }
        // An agent without checks says nothing of them, and draws nothing for them.
        let next_beat =
            (!watches.is_empty()).then(|| now + BEAT_EVERY.mul_f64(rng.random_range(0.1..1.0)));
        Self { node, boot, life, watches, next_beat, beats: 0, answered: (0, 0) }
    }

    /// When [`Self::timeout`] wants to be called, and why.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        let checks = self.watches.iter().filter_map(Watch::due).map(|at| (at, "health check"));
        let beat = self.next_beat.map(|at| (at, "state of the health checks"));
        checks.chain(beat).min_by_key(|(at, _)| *at)
    }

    /// The time has come.
    pub fn timeout(&mut self, now: Duration, deeds: &mut Vec<Deed>) {
        let mut changed = Vec::new();
        for (check, watch) in (0..=u8::MAX).zip(&mut self.watches) {
            match watch.timeout(now) {
                Due::Run(run) => deeds.push(Deed::Run { check, run }),
                Due::Changed => changed.push(watch.told(now)),
                Due::Nothing => {}
            }
        }
        self.tell(changed, deeds);
        if self.next_beat.is_some_and(|at| at <= now) {
            self.next_beat = Some(now + BEAT_EVERY);
            self.beats = self.beats.wrapping_add(1);
            deeds.push(Deed::Tell(self.report(None, Vec::new()), Over::One(self.beats)));
        }
    }

    /// A run has ended.
    pub fn ended(
        &mut self,
        now: Duration,
        (check, run): (u8, u64),
        outcome: Outcome,
        deeds: &mut Vec<Deed>,
    ) {
        self.with(now, check, deeds, |watch| watch.ended(now, run, outcome));
    }

    /// Somebody pushed an outcome; one of a check that is not pushed is dropped.
    pub fn pushed(&mut self, now: Duration, check: u8, outcome: Outcome, deeds: &mut Vec<Deed>) {
        self.with(now, check, deeds, |watch| watch.is_pushed() && watch.pushed(now, outcome));
    }

    /// All that there is to say, for a controller that asks. Nothing, where too many ask.
    pub fn answers(&mut self, now: Duration, nonce: u64) -> Vec<Report> {
        let (second, times) = self.answered;
        let times = if second == now.as_secs() { times } else { 0 };
        if times >= MOST_ANSWERS {
            return Vec::new();
        }
        self.answered = (now.as_secs(), times + 1);
        let told: Vec<Check> = self.watches.iter().map(|watch| watch.told(now)).collect();
        let parts = told.chunks(CHECKS_PER_PART);
        parts.map(|part| self.report(Some(nonce), part.to_vec())).collect()
    }

    /// Whether nobody would miss anything if they began anew: a check that failed would be unknown for a while.
    pub fn is_calm(&self) -> bool {
        self.watches.iter().all(Watch::is_calm)
    }

    fn with(
        &mut self,
        now: Duration,
        check: u8,
        deeds: &mut Vec<Deed>,
        step: impl FnOnce(&mut Watch) -> bool,
    ) {
        let Some(watch) = self.watches.get_mut(usize::from(check)) else { return };
        if step(watch) {
            let changed = vec![watch.told(now)];
            self.tell(changed, deeds);
        }
    }

    fn tell(&self, changed: Vec<Check>, deeds: &mut Vec<Deed>) {
        let parts = changed.chunks(CHECKS_PER_PART);
        deeds.extend(parts.map(|part| Deed::Tell(self.report(None, part.to_vec()), Over::All)));
    }

    fn report(&self, answers: Option<u64>, checks: Vec<Check>) -> Report {
        Report {
            node: self.node,
            boot: self.boot,
            life: self.life,
            answers,
            of: u8::try_from(self.watches.len()).unwrap_or(u8::MAX),
            turns: self.watches.iter().fold(0, |sum, watch| sum.wrapping_add(watch.turn())),
            checks,
        }
    }
}
