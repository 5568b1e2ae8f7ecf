//! How long it takes until a dead node is judged down, and what watching costs a node, for a cluster of any size.
//!
//! Nothing is fenced: the controllers are set to `noop`, for only the verdict is measured. Nodes lose their power one after
//! the other, at random moments, and stay dead.

use std::time::{Duration, Instant};

use action_matrix::Reach;
use api::Request;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Broken, Cost, Fleet, LOSS, Measured};
use crate::fault::Deed;
use crate::place::node_id;
use crate::run::Run;
use crate::world::Sent;

/// Each member probes one other in this time, and each other once in a round. Two that have not met name themselves in full,
/// by 110 bytes more.
const PROBE: Duration = Duration::from_secs(1);
/// The longest round that is waited for before it is counted what is sent: simulating more would take hours.
const LONGEST_ROUND: Duration = Duration::from_secs(1200);
/// How exactly times are taken.
const GRAIN: Duration = Duration::from_millis(20);
/// For so long nothing happens first, and it is counted what is sent: both kinds of exchange come by twice.
const CALM: Duration = Duration::from_secs(60);
/// From one verdict to the next death, and up to as much again.
const BETWEEN: Duration = Duration::from_millis(1500);
/// A death that is not judged in this time is missed.
const MISSED: Duration = Duration::from_secs(30);
/// One of so many nodes dies at most: more is a storm.
const SHARE: u16 = 6;

/// What was measured.
#[derive(Clone, Debug)]
pub struct Deaths {
    /// Nodes.
    pub nodes: u16,
    /// Seconds from each death to a case about it at the leader, sorted.
    pub suspected: Vec<f64>,
    /// Seconds from each death until it is down on all networks, sorted.
    pub down: Vec<f64>,
    /// Deaths that nobody judged.
    pub missed: usize,
    /// Nodes that were alive and were judged down on some network.
    pub wrong: usize,
    /// What all nodes sent while nothing happened, and for how many seconds.
    pub calm: (Sent, f64),
    /// What part of a round was over when that began; 1 where all had met.
    pub met: f64,
    /// What the measurement itself cost.
    pub measured: Measured,
}

impl Fleet {
    /// Kills so many nodes, or one of six if those are fewer. `told` hears how far it is.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn deaths(&self, deaths: u16, told: impl Fn(&str)) -> Result<Deaths, Broken> {
        let begin = Instant::now();
        let mut run = Run::settled(self.plan())?;
        told(&format!("at rest after {:.0} s", begin.elapsed().as_secs_f64()));
        let cost = Cost::so_far(&run.world);
        run.world.order(Request::Noop { on: true });
        let met = self.meet(&mut run)?;
        run.world.inflict(&Deed::Background(LOSS));
        let before = run.world.sent;
        run.go_on(CALM).map_err(Broken::Violation)?;
        let calm = (run.world.sent.since(&before), CALM.as_secs_f64());
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ 0xdead);
        let mut alive: Vec<u16> = (1..=self.nodes).collect();
        alive.shuffle(&mut rng);
        let (mut suspected, mut down) = (Vec::new(), Vec::new());
        let (mut missed, mut wrong) = (0, 0);
        for _ in 0..deaths.min(self.nodes / SHARE).max(1) {
            run.go_on(BETWEEN.mul_f64(rng.random_range(1.0..2.0))).map_err(Broken::Violation)?;
            let Some(node) = alive.pop() else { break };
            let (case, verdict) = die(&mut run, node)?;
            suspected.extend(case);
            down.extend(verdict);
            missed += usize::from(verdict.is_none());
            wrong += alive.iter().filter(|node| is_down(&run, **node)).count();
            told(&format!("node-{node}: {verdict:?}"));
        }
        suspected.sort_by(f64::total_cmp);
        down.sort_by(f64::total_cmp);
        let measured = Cost::so_far(&run.world).since(&cost, begin.elapsed());
        Ok(Deaths { nodes: self.nodes, suspected, down, missed, wrong, calm, met, measured })
    }

    /// Waits until all members have met, unless they are too many. The part of a round that is over.
    fn meet(&self, run: &mut Run) -> Result<f64, Broken> {
        let round = PROBE * u32::from(self.nodes + u16::from(self.plan().controllers));
        if round <= LONGEST_ROUND {
            run.go_on(round.saturating_sub(run.world.now())).map_err(Broken::Violation)?;
        }
        Ok((run.world.now().as_secs_f64() / round.as_secs_f64()).min(1.0))
    }
}

/// Seconds until a case was opened, and until it was down everywhere.
fn die(run: &mut Run, node: u16) -> Result<(Option<f64>, Option<f64>), Broken> {
    let at = run.world.now();
    run.world.inflict(&Deed::PowerOff(node, false));
    let mut case = None;
    while run.world.now() < at + MISSED {
        run.go_on(GRAIN).map_err(Broken::Violation)?;
        let since = run.world.now().saturating_sub(at).as_secs_f64();
        let reaches = reaches(run, node);
        if reaches.iter().any(|(_, asked)| *asked) {
            case.get_or_insert(since);
        }
        if !reaches.is_empty() && reaches.iter().all(|(reach, _)| *reach == Reach::Down) {
            return Ok((case, Some(since)));
        }
    }
    Ok((case, None))
}

fn is_down(run: &Run, node: u16) -> bool {
    reaches(run, node).iter().any(|(reach, _)| *reach == Reach::Down)
}

/// What the leader holds a node to be, network by network; nothing while none leads.
fn reaches(run: &Run, node: u16) -> Vec<(Reach, bool)> {
    let leader = run.world.leader().and_then(|number| run.world.seat(number));
    let core = leader.and_then(|seat| seat.core.as_ref());
    core.map(|core| core.reaches(node_id(node)).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_judged_in_the_time_of_the_rule_and_nobody_else_is() {
        let fleet = Fleet::quiet(3, 18);
        let deaths = fleet.deaths(3, |_| {}).expect("measured");
        assert_eq!((deaths.down.len(), deaths.missed, deaths.wrong), (3, 0, 0));
        // A hint within 1.3 s, T_obs and S, and the way of the reports.
        assert!(deaths.down.iter().all(|seconds| (3.0..4.5).contains(seconds)), "{deaths:?}");
        assert!(deaths.suspected.iter().all(|seconds| *seconds < 2.0), "{deaths:?}");
        assert!(deaths.calm.0.gossip > 0 && deaths.calm.0.lease > 0);
    }
    #[test]
    fn one_network_judges_the_dead_too_and_a_node_then_sends_a_third() {
        let one = Fleet { networks: 1, ..Fleet::quiet(3, 18) }.deaths(2, |_| {}).expect("measured");
        let three = Fleet::quiet(3, 18).deaths(2, |_| {}).expect("measured");
        assert_eq!((one.down.len(), one.missed, one.wrong), (2, 0, 0));
        assert!(one.down.iter().all(|seconds| (3.0..4.5).contains(seconds)), "{one:?}");
        let thrice = one.calm.0.gossip * 3;
        assert!(thrice.abs_diff(three.calm.0.gossip) < thrice / 10, "{one:?} {three:?}");
    }
}
