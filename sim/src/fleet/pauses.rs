//! Members whose processes stop and go on, again and again: what gossip says of the others meanwhile, and what is judged.
//! It is the experiment by which Lifeguard was measured: of all members some are stopped for D, run for I, are stopped
//! again. Each begins at a moment of its own, so their phases have nothing to do with each other.
//!
//! Agent and sentinel of a member stop together; packets that come meanwhile wait, and are handled when it goes on.
//! There is no cost per message: a member that goes on has read all that waited at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use action_matrix::Reach;
use api::Request;
use gossip::group::State;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::{Broken, Fleet};
use crate::fault::Deed;
use crate::place::{Place, member_id, node_id};
use crate::run::Run;

/// How often views are compared: what is called dead and alive again in between is not seen.
const GRAIN: Duration = Duration::from_millis(100);
/// The network whose gossip is looked at: there is one in the experiment that it is compared with.
const NETWORK: u8 = 0;

/// What is done to the members.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// C: so many are stopped again and again.
    pub members: u16,
    /// D: for so long each time.
    pub stopped: Duration,
    /// I: and run so long in between.
    pub running: Duration,
    /// How long that goes on.
    pub span: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Paused {
    pauses: Pauses,
    nodes: u16,
    seed: u64,
    /// Pauses that began.
    begun: u32,
    /// How often a running member began to call another one dead: one that is stopped now and then, or a healthy one.
    dead: [u64; 2],
    /// How often the leader judged a member down on some network, likewise.
    down: [u64; 2],
    /// Seconds from the beginning of a pause until a first running member called it dead.
    first: Vec<f64>,
    /// Until nine of ten did.
    most: Vec<f64>,
    /// Until the leader judged it down.
    verdict: Vec<f64>,
}

impl Fleet {
    /// Stops members and lets them go on.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn pauses(&self, pauses: Pauses, told: impl Fn(&str)) -> Result<Paused, Broken> {
        let begin = Instant::now();
        let mut plan = self.plan();
        // A watchdog would reset a node that stands still for longer; here it is to go on.
        plan.without_watchdog = (1..=self.nodes).collect();
        let mut run = Run::settled(plan)?;
        told(&format!("at rest after {:.0} s", begin.elapsed().as_secs_f64()));
        run.world.order(Request::Noop { on: true });
        let mut watch = Watch::new(self, pauses, &run);
        let end = run.world.now() + pauses.span;
        while run.world.now() < end {
            watch.stop_and_go(&mut run);
            run.go_on(GRAIN).map_err(Broken::Violation)?;
            watch.look(&run);
        }
        Ok(watch.paused())
    }
}

struct Watch {
    pauses: Pauses,
    rng: ChaCha8Rng,
    nodes: Vec<u16>,
    names: BTreeMap<Uuid, u16>,
    /// Those that are stopped now and then, and when each stops next, or goes on.
    shaky: BTreeMap<u16, (bool, Duration)>,
    /// Since when, and what was seen of this pause: a first, most, a verdict.
    now: BTreeMap<u16, (Duration, [bool; 3])>,
    /// Who calls whom dead.
    called: BTreeSet<(u16, u16)>,
    judged: BTreeSet<u16>,
    out: Paused,
}

impl Watch {
    fn new(fleet: &Fleet, pauses: Pauses, run: &Run) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(fleet.seed ^ 0x57a11);
        let mut nodes: Vec<u16> = (1..=fleet.nodes).collect();
        nodes.shuffle(&mut rng);
        let cycle = pauses.stopped + pauses.running;
        let now = run.world.now();
        let chosen = nodes.iter().take(usize::from(pauses.members));
        let shaky = chosen
            .map(|node| (*node, (false, now + cycle.mul_f64(rng.random_range(0.0..1.0)))))
            .collect();
        nodes.sort_unstable();
        let names = nodes.iter().map(|node| (member_id(Place::Node(*node)), *node)).collect();
        let out = Paused {
            pauses,
            nodes: fleet.nodes,
            seed: fleet.seed,
            begun: 0,
            dead: [0; 2],
            down: [0; 2],
            first: Vec::new(),
            most: Vec::new(),
            verdict: Vec::new(),
        };
        let (called, judged) = (BTreeSet::new(), BTreeSet::new());
        Self { pauses, rng, nodes, names, shaky, now: BTreeMap::new(), called, judged, out }
    }

    /// Whose time has come is stopped, or goes on.
    fn stop_and_go(&mut self, run: &mut Run) {
        let now = run.world.now();
        for (node, (stopped, turns)) in &mut self.shaky {
            if *turns > now {
                continue;
            }
            let deeds = if *stopped {
                [Deed::ResumeAgent(*node), Deed::ResumeSentinel(*node)]
            } else {
                [Deed::StallAgent(*node, None), Deed::StallSentinel(*node, None)]
            };
            deeds.iter().for_each(|deed| run.world.inflict(deed));
            *stopped = !*stopped;
            // A grain of chance, so that members with equal times do not march in step.
            let span = if *stopped { self.pauses.stopped } else { self.pauses.running };
            *turns = now + span + GRAIN.mul_f64(self.rng.random_range(0.0..1.0));
            if *stopped {
                self.out.begun += 1;
                self.now.insert(*node, (now, [false; 3]));
            } else {
                self.now.remove(node);
            }
        }
    }

    fn look(&mut self, run: &Run) {
        let mut called = BTreeSet::new();
        let mut observers = 0;
        for node in &self.nodes {
            let machine = run.world.node(*node).filter(|node| node.runs() && !node.agent.stalled);
            let Some(agent) = machine.and_then(|node| node.agent.core.as_ref()) else { continue };
            observers += 1;
            let dead = agent.members(NETWORK).filter(|(_, state)| *state == State::Down);
            called
                .extend(dead.filter_map(|(member, _)| Some((*node, *self.names.get(&member.id)?))));
        }
        for (_, of) in called.difference(&self.called) {
            self.out.dead[usize::from(!self.shaky.contains_key(of))] += 1;
        }
        let leader = run.world.leader().and_then(|number| run.world.seat(number));
        let core = leader.and_then(|seat| seat.core.as_ref());
        let is_down = |node: &u16| {
            core.is_some_and(|core| {
                core.reaches(node_id(*node)).any(|(reach, _)| reach == Reach::Down)
            })
        };
        let judged: BTreeSet<u16> = self.nodes.iter().copied().filter(is_down).collect();
        for of in judged.difference(&self.judged) {
            self.out.down[usize::from(!self.shaky.contains_key(of))] += 1;
        }
        let now = run.world.now();
        for (node, (since, seen)) in &mut self.now {
            let by = called.iter().filter(|(_, of)| of == node).count();
            let at = now.saturating_sub(*since).as_secs_f64();
            let found = [by > 0, by * 10 >= observers * 9, judged.contains(node)];
            let times = [&mut self.out.first, &mut self.out.most, &mut self.out.verdict];
            for ((times, seen), found) in times.into_iter().zip(seen).zip(found) {
                if found && !*seen {
                    *seen = true;
                    times.push(at);
                }
            }
        }
        (self.called, self.judged) = (called, judged);
    }

    fn paused(self) -> Paused {
        let mut out = self.out;
        for times in [&mut out.first, &mut out.most, &mut out.verdict] {
            times.sort_by(f64::total_cmp);
        }
        out
    }
}

impl Paused {
    /// Verdicts about members that were never stopped.
    pub fn wrong_verdicts(&self) -> u64 {
        self.down[1]
    }
}

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pauses { members, stopped, running, span } = self.pauses;
        let at = |times: &[f64], share: f64| {
            let index = (times.len().saturating_sub(1) as f64 * share).ceil() as usize;
            times.get(index).map_or("-".to_owned(), |at| format!("{at:.1}"))
        };
        let both = |times: &[f64]| format!("{} / {}", at(times, 0.5), at(times, 0.99));
        write!(
            f,
            "| {} | {members} | {:.1} | {:.1} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.nodes,
            stopped.as_secs_f64(),
            running.as_secs_f64(),
            span.as_secs_f64(),
            self.begun,
            self.dead[0],
            self.dead[1],
            both(&self.first),
            both(&self.most),
            self.down[0],
            self.down[1],
            both(&self.verdict),
            self.seed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_stands_still_is_judged_and_no_other() {
        let fleet = Fleet::quiet(5, 16);
        let seconds = Duration::from_secs;
        let pauses =
            Pauses { members: 2, stopped: seconds(8), running: seconds(4), span: seconds(40) };
        let paused = fleet.pauses(pauses, |_| {}).expect("measured");
        assert!(paused.begun >= 4, "{paused:?}");
        assert!(paused.down[0] > 0, "{paused:?}");
        assert_eq!(paused.wrong_verdicts(), 0, "{paused:?}");
    }

    #[test]
    fn a_pause_that_is_shorter_than_the_rule_tolerates_is_judged_by_nobody() {
        let fleet = Fleet::quiet(5, 16);
        let seconds = Duration::from_secs;
        let pauses =
            Pauses { members: 3, stopped: seconds(2), running: seconds(2), span: seconds(30) };
        let paused = fleet.pauses(pauses, |_| {}).expect("measured");
        assert_eq!(paused.down, [0, 0], "{paused:?}");
    }
}
