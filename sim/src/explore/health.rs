//! Health checks that fail, in one of five explorations. Drawn apart from all other faults, so that these are the same as
//! without.

use std::time::Duration;

use fencing::checks::State;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Kind;
use super::script::{self, Step};
use crate::fault::Deed;
use crate::run::Run;
use crate::scenario;
use crate::world::{Finds, Plan, check_plan};

fn own_dice(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ 0x6ea1)
}

/// Whether nodes have a disk check; and whether it fences where their networks are well.
pub(super) fn draw(plan: &mut Plan) {
    let mut rng = own_dice(plan.seed);
    if !rng.random_bool(0.2) {
        return;
    }
    plan.checks = vec![check_plan("disk")];
    if rng.random_bool(0.5) {
        let settle = Duration::from_secs(rng.random_range(1..20));
        // The matrix is the default one but for a row: it loads.
        let _ = scenario::disk_fences(plan, settle);
    }
}

/// Checks that fail, flap or hang on some nodes, reports that are lost, and old ones that are sent again.
pub(super) fn failures(run: &Run, span: Duration) -> Vec<Step> {
    let plan = run.world.plan();
    let Some(name) = plan.checks.first().map(|check| check.name.clone()) else {
        return Vec::new();
    };
    let mut rng = own_dice(plan.seed ^ 1);
    let mut steps = Vec::new();
    let mut throws = (0..usize::MAX / 2).rev();
    for node in 1..=plan.nodes {
        for throw in throws.by_ref().take(2) {
            if rng.random_bool(0.6) {
                continue;
            }
            let check = |finds| Deed::Check(node, name.clone(), finds);
            let well = check(Finds::Always(State::Ok));
            let (deed, undo) = match rng.random_range(0..6) {
                0 | 1 => (check(Finds::Always(State::Critical)), well),
                2 => (check(Finds::Turns(rng.random_range(1..6))), well),
                3 => (check(Finds::Nothing), well),
                4 => (Deed::ChecksLost(node, true), Deed::ChecksLost(node, false)),
                _ => (Deed::ChecksReplayed(node), Deed::ChecksReplayed(node)),
            };
            let at = run.world.now() + span.mul_f64(rng.random_range(0.0..0.8));
            let back = at + Duration::from_secs(rng.random_range(3..90));
            for (at, deed) in [(at, deed), (back, undo)] {
                let acts = script::deeds(vec![deed]);
                steps.push(Step { at, throw, kind: Kind::CheckFails, acts });
            }
        }
    }
    steps
}
