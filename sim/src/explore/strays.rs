//! Copies of VMs that somebody starts past Nova, where the policy ends them. They come first, while nothing happens that
//! could cost the node that Nova has them on; then all other faults begin. For whoever starts a second copy has two writers
//! already: what a recovery of the right one makes of that is no question to it. The node of a copy may be lost meanwhile.
//! Drawn apart from all other faults, so that these are the same as without, but later.

use std::time::Duration;

use controller::core::Stray;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Kind;
use super::script::{self, Step};
use crate::fault::Deed;
use crate::run::Run;
use crate::world::Plan;

/// So long nothing else happens. A copy is found after 15 s at the earliest, told after half a minute, and ended after a
/// census and some questions to Nova; with a change of leader meanwhile, somewhat later.
const ALONE: Duration = Duration::from_secs(80);
/// Copies of one exploration, at most: they are ended one after the other.
const MOST: usize = 2;
/// In this share of the explorations with copies there is one alone, and its node is lost while it runs there.
const LOST_SHARE: f64 = 1.0 / 3.0;

fn own_dice(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ 0x57a7)
}

/// Whether copies are ended, in one of five explorations that compare what runs with what Nova says.
pub(super) fn draw(plan: &mut Plan) {
    let actual = &mut plan.recovery.actual;
    if actual.compare && own_dice(plan.seed).random_bool(0.2) {
        actual.stray = Stray::Destroy;
    }
}

/// How much later all other faults begin.
pub(super) fn alone_for(plan: &Plan) -> Duration {
    match plan.recovery.actual.stray {
        Stray::Destroy => ALONE,
        Stray::Report => Duration::ZERO,
    }
}

/// The copies, and what ends each that is still there when the time is over; beside them what may come between. Throws are
/// numbered apart from all others.
pub(super) fn copies(run: &Run) -> Vec<Step> {
    let plan = run.world.plan();
    if plan.recovery.actual.stray == Stray::Report {
        return Vec::new();
    }
    let mut rng = own_dice(plan.seed ^ 1);
    let mut of_loss = own_dice(plan.seed ^ 2);
    let is_lost = of_loss.random_bool(LOST_SHARE);
    let mut throws = Vec::new();
    let mut vms: Vec<_> = run.world.vms.keys().copied().collect();
    vms.shuffle(&mut rng);
    for vm in vms.into_iter().take(if is_lost { 1 } else { MOST }) {
        let Some(owner) = run.world.runs_on(vm).first().copied() else { continue };
        // Any node but its owner.
        let node = (owner + rng.random_range(0..plan.nodes - 1)) % plan.nodes + 1;
        let at = Duration::from_millis(rng.random_range(500..10_000));
        let (starts, ends) = (Deed::GuestByHand(vm, node), Deed::GuestEndedByHand(vm, node));
        throws.push((Kind::StrayStarts, [(at, starts), (ALONE, ends)]));
        if is_lost {
            throws.push(lost(node, at, &mut of_loss));
        }
    }
    for _ in 0..rng.random_range(0..3) {
        throws.push(between(plan, &mut rng));
    }
    let begin = run.world.now();
    let numbered = throws.into_iter().zip((0..usize::MAX / 4).rev());
    let steps = numbered.flat_map(|((kind, deeds), throw)| {
        deeds.map(|(after, deed)| Step {
            at: begin + after,
            throw,
            kind,
            acts: script::deeds(vec![deed]),
        })
    });
    steps.collect()
}

/// The node of a copy loses its power before the copy is found, while it is looked at, or after it was ended. It has no
/// other VM's copy elsewhere: what is evacuated from it runs nowhere else.
fn lost(node: u16, since: Duration, rng: &mut ChaCha8Rng) -> (Kind, [(Duration, Deed); 2]) {
    let at = since + Duration::from_millis(rng.random_range(1_000..60_000));
    let back = at + Duration::from_millis(rng.random_range(15_000..90_000));
    (Kind::NodePower, [(at, Deed::PowerOff(node, false)), (back, Deed::PowerOn(node))])
}

/// Something that costs no node, and what ends it.
fn between(plan: &Plan, rng: &mut ChaCha8Rng) -> (Kind, [(Duration, Deed); 2]) {
    let at = Duration::from_millis(rng.random_range(500..60_000));
    let span = Duration::from_millis(rng.random_range(1_000..15_000));
    let number = rng.random_range(1..=plan.controllers);
    let node = rng.random_range(1..=plan.nodes);
    let (kind, deed, undo) = match rng.random_range(0..5) {
        0 => (Kind::ControllerDies, Deed::StopController(number), Deed::StartController(number)),
        1 => (
            Kind::ControllerStops,
            Deed::StallController(number, Some(span)),
            Deed::ResumeController(number),
        ),
        2 => (Kind::AgentStops, Deed::StallAgent(node, Some(span)), Deed::ResumeAgent(node)),
        3 => (Kind::NovaSlow, Deed::NovaSlow(span / 3), Deed::NovaMends),
        _ => (Kind::NovaDown, Deed::NovaDown(true), Deed::NovaMends),
    };
    (kind, [(at, deed), (at + span, undo)])
}
