//! Shrinking: what of a failing seed can be left out while the same oracle still fails.
//!
//! First whole kinds of fault, then one throw after the other, the latest first. Each attempt is a run of its own, so it
//! takes a while; it ends by itself after [`ATTEMPTS`].

use std::collections::BTreeSet;

use super::{Exploration, Failed, Kind, Step};
use crate::scenario;

/// Runs at most.
const ATTEMPTS: usize = 300;

/// What is left.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// How it fails, still.
    pub failed: Box<Failed>,
    /// Throws of the seed, and those that are left.
    pub throws: (usize, usize),
    /// Runs that it took.
    pub attempts: usize,
    /// The cluster and what is done to it, as a scenario; what the language cannot say is a comment.
    pub scenario: String,
}

impl Exploration {
    /// Shrinks it. `None` when it does not fail, or does not even begin. `told` hears of each success.
    pub fn shrink(&self, told: impl Fn(usize)) -> Option<Shrunk> {
        let failed = self.run().err().filter(|failed| failed.oracle.is_some())?;
        let mut shrink = Shrink { exploration: *self, failed, attempts: 0 };
        let before = shrink.throws().len();
        let kinds: BTreeSet<Kind> = shrink.failed.steps.iter().map(|step| step.kind).collect();
        for kind in kinds {
            if shrink.without(|step| step.kind == kind) {
                told(shrink.throws().len());
            }
        }
        for throw in shrink.throws().into_iter().rev() {
            if shrink.without(|step| step.throw == throw) {
                told(shrink.throws().len());
            }
        }
        let throws = (before, shrink.throws().len());
        let scenario = scenario::written(&self.plan(), &shrink.failed.steps);
        Some(Shrunk { throws, attempts: shrink.attempts, failed: shrink.failed, scenario })
    }
}

struct Shrink {
    exploration: Exploration,
    failed: Box<Failed>,
    attempts: usize,
}

impl Shrink {
    fn throws(&self) -> BTreeSet<usize> {
        self.failed.steps.iter().map(|step| step.throw).collect()
    }

    /// Whether the same oracle fails without these steps; then they are left out from here on.
    fn without(&mut self, dropped: impl Fn(&Step) -> bool) -> bool {
        let steps: Vec<Step> =
            self.failed.steps.iter().filter(|step| !dropped(step)).cloned().collect();
        if steps.len() == self.failed.steps.len() || self.attempts >= ATTEMPTS {
            return false;
        }
        self.attempts += 1;
        match self.exploration.replay(&steps) {
            Err(failed) if failed.oracle == self.failed.oracle => {
                self.failed = failed;
                true
            }
            Ok(()) | Err(_) => false,
        }
    }
}
