//! A swarm that somebody chose: the cluster and the kinds of fault are given, the dice decide the rest.

use std::time::Duration;

use fencing::lease::Profile;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::dice::{self, Dice, Kind};
use crate::oracle::Violation;
use crate::run::Run;
use crate::world::Plan;

/// What an exploration is made from, its seed excepted.
#[derive(Clone, Copy, Debug)]
pub struct Swarm {
    /// Controllers.
    pub controllers: u8,
    /// Nodes.
    pub nodes: u16,
    /// Lease profile.
    pub profile: Profile,
    /// Whether the nodes have BMCs; without, the lease alone decides.
    pub bmcs: bool,
    /// The faults that are on; one that stands here twice comes twice as often.
    pub kinds: &'static [Kind],
    /// Seconds between two faults, on average.
    pub pace: u64,
    /// Simulated minutes of faults.
    pub minutes: u64,
}

impl Swarm {
    /// Runs a seed of it. Faults end, and it goes on for `after`, for what is still on its way.
    ///
    /// # Errors
    /// The first property that was broken, or why the cluster did not come to rest.
    pub fn run(&self, seed: u64, after: Duration) -> Result<(), String> {
        let mut run = Run::settled(self.plan(seed)).map_err(|why| why.to_string())?;
        self.explore(&mut run, seed, after).map_err(|broken| broken.to_string())
    }

    /// The same, going on past everything that is broken: the first word of each oracle, in their order.
    pub fn endure(&self, seed: u64, after: Duration) -> Vec<Violation> {
        let Ok(mut run) = Run::settled_going_past(self.plan(seed)) else { return Vec::new() };
        let stood_still = self.explore(&mut run, seed, after).err();
        let mut broken = run.broken().to_vec();
        broken.extend(stood_still);
        broken
    }

    fn plan(&self, seed: u64) -> Plan {
        let mut plan = Plan::new(seed, self.nodes);
        plan.controllers = self.controllers;
        plan.profile = self.profile;
        plan.without_bmc = if self.bmcs { Vec::new() } else { (1..=self.nodes).collect() };
        plan
    }

    fn explore(&self, run: &mut Run, seed: u64, after: Duration) -> Result<(), Violation> {
        for n in 0..self.nodes * 2 {
            run.world.place_vm(&format!("vm-{}", n + 1), n % self.nodes + 1);
        }
        let rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
        let mut dice = Dice::with(&run.world, rng, self.kinds.to_vec(), self.pace);
        let end = run.world.now() + Duration::from_secs(self.minutes * 60);
        while run.world.now() < end {
            let next = dice.next_at().min(end);
            run.go_on(next.saturating_sub(run.world.now()))?;
            dice.throw(&mut run.world);
        }
        dice.end(&mut run.world);
        dice::mend(&mut run.world);
        let end = run.world.now() + after;
        while run.world.now() < end {
            run.go_on(Duration::from_secs(10))?;
            dice::mend(&mut run.world);
        }
        Ok(())
    }
}
