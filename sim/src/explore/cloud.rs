//! How the cloud of an exploration is used: what its VMs are, which of them the policy moves, how many at once, and where
//! to. Drawn apart from the faults, so that these are the same as without.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::core::Missing;
use controller::nova::Labels;
use controller::policy::{Match, Rule, Setting, Wish};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Kind;
use super::script::{self, Step};
use crate::fault::Deed;
use crate::place::Place;
use crate::run::Run;
use crate::world::Plan;

fn own_dice(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ 0xc10d)
}

/// Narrow windows, a limit that is met, cells, a reserved host, a policy: some of them, sometimes.
pub(super) fn draw(plan: &mut Plan) {
    let mut rng = own_dice(plan.seed);
    let recovery = &mut plan.recovery;
    if rng.random_bool(0.3) {
        recovery.pace.cloud = rng.random_range(1..=3);
        recovery.pace.destination = rng.random_range(1..=2);
    }
    if rng.random_bool(0.1) {
        recovery.pace.hold_after = rng.random_range(1..=4);
    }
    if rng.random_bool(0.15) {
        recovery.reserved = vec![Place::Node(plan.nodes).to_string()];
    }
    if rng.random_bool(0.1) && plan.nodes >= 6 {
        plan.cells = 2;
    }
    if rng.random_bool(0.4) {
        let rule = |name: &str, key: &str, wish, order| Rule {
            name: name.to_owned(),
            condition: Match {
                metadata: BTreeMap::from([("use".to_owned(), key.to_owned())]),
                ..Match::default()
            },
            setting: Setting { wish, order, priority: None },
        };
        recovery.policy.rules = vec![
            rule("batch", "batch", Some(Wish::Leave), None),
            rule("licence", "licence", Some(Wish::Stop), None),
            rule("databases", "db", None, Some(10)),
        ];
        recovery.policy.waits = BTreeMap::from([(10, 5)]);
    }
    // Drawn last, and by dice of its own: what was drawn before it stays as it was.
    let mut rng = own_dice(plan.seed ^ 2);
    if rng.random_bool(0.2) {
        recovery.actual.compare = true;
        recovery.actual.holds = Duration::from_secs(15);
        if rng.random_bool(0.8) {
            recovery.actual.missing = Missing::Reboot;
        }
    }
}

/// Guests that die by themselves, at most one of each node's, where somebody looks for them. Later throws are numbered from
/// 0 on, so that these stand apart.
pub(super) fn crashes(run: &Run, span: Duration) -> Vec<Step> {
    let plan = run.world.plan();
    if !plan.recovery.actual.compare {
        return Vec::new();
    }
    let mut rng = own_dice(plan.seed ^ 3);
    let vms = run.world.vms.keys().take(usize::from(plan.nodes));
    let mut steps = Vec::new();
    for (vm, throw) in vms.zip((0..usize::MAX).rev()) {
        if rng.random_bool(0.5) {
            let at = run.world.now() + span.mul_f64(rng.random_range(0.0..0.6));
            let acts = script::deeds(vec![Deed::GuestCrashes(*vm)]);
            steps.push(Step { at, throw, kind: Kind::GuestCrashes, acts });
        }
    }
    steps
}

/// What each VM is for, whatever the policy makes of it; some belong to one anti-affinity group.
pub(super) fn label(run: &mut Run) {
    let mut rng = own_dice(run.world.plan().seed ^ 1);
    let vms: Vec<_> = run.world.vms.keys().copied().collect();
    for vm in vms {
        let of = ["web", "web", "db", "batch", "licence"];
        let metadata =
            BTreeMap::from([("use".to_owned(), of[rng.random_range(0..of.len())].to_owned())]);
        let groups = if rng.random_bool(0.25) { vec!["apart".to_owned()] } else { Vec::new() };
        run.world.label_vm(vm, Labels { metadata, ..Labels::default() }, &groups);
    }
}
