//! Copies of VMs that somebody starts past Nova, mostly where the policy ends them. They come first, before all other faults.
//! For whoever starts a second copy has two writers already: what other faults make of that is no question to a recovery. One
//! of the two nodes may be lost meanwhile. Drawn apart from all other faults, so that these are the same as without, but later.

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
/// In this share of the explorations with copies there is one alone, and a node is lost while it runs: its own, or the one
/// that Nova has the VM on.
const LOST_SHARE: f64 = 1.0 / 3.0;
const OWNER_SHARE: f64 = 0.5;

fn own_dice(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ 0x57a7)
}

/// What is lost while a copy runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    None,
    /// The node of the copy.
    OfCopy,
    /// The node that Nova has the VM on.
    OfOwner,
}

impl Loss {
    fn drawn(seed: u64) -> Self {
        if !own_dice(seed ^ 2).random_bool(LOST_SHARE) {
            Self::None
        } else if own_dice(seed ^ 3).random_bool(OWNER_SHARE) {
            Self::OfOwner
        } else {
            Self::OfCopy
        }
    }
}

/// Whether there are copies, in one of five explorations that compare what runs with what Nova says.
fn has_copies(plan: &Plan) -> bool {
    plan.recovery.actual.compare && own_dice(plan.seed).random_bool(0.2)
}

/// Whether copies are ended. Not where the right one's node is lost: should that happen while an order is on its way, the
/// copy was the only one, which nobody could know.
pub(super) fn draw(plan: &mut Plan) {
    if has_copies(plan) && Loss::drawn(plan.seed) != Loss::OfOwner {
        plan.recovery.actual.stray = Stray::Destroy;
    }
}

/// How much later all other faults begin.
pub(super) fn alone_for(plan: &Plan) -> Duration {
    if has_copies(plan) { ALONE } else { Duration::ZERO }
}

/// The copies, and what ends each that is still there when the time is over; beside them what may come between. Throws are
/// numbered apart from all others.
pub(super) fn copies(run: &Run) -> Vec<Step> {
    let plan = run.world.plan();
    if !has_copies(plan) {
        return Vec::new();
    }
    let mut rng = own_dice(plan.seed ^ 1);
    let mut of_loss = own_dice(plan.seed ^ 4);
    let loss = Loss::drawn(plan.seed);
    let mut throws = Vec::new();
    let mut speaks = None;
    let mut vms: Vec<_> = run.world.vms.keys().copied().collect();
    vms.shuffle(&mut rng);
    for vm in vms.into_iter().take(if loss == Loss::None { MOST } else { 1 }) {
        let Some(owner) = run.world.runs_on(vm).first().copied() else { continue };
        // Any node but its owner.
        let node = (owner + rng.random_range(0..plan.nodes - 1)) % plan.nodes + 1;
        let at = Duration::from_millis(rng.random_range(500..10_000));
        let (starts, ends) = (Deed::GuestByHand(vm, node), Deed::GuestEndedByHand(vm, node));
        throws.push((Kind::StrayStarts, [(at, starts), (ALONE, ends)]));
        match loss {
            Loss::None => {}
            Loss::OfCopy => throws.push(lost(node, at, &mut of_loss)),
            Loss::OfOwner => {
                throws.push(lost(owner, at, &mut of_loss));
                // Whose agent stands still says nothing of the copy that runs there: a known gap.
                speaks = Some(node);
            }
        }
    }
    for _ in 0..rng.random_range(0..3) {
        throws.push(between(plan, speaks, &mut rng));
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

/// A node loses its power before the copy is found, while it is looked at, or after it was ended.
fn lost(node: u16, since: Duration, rng: &mut ChaCha8Rng) -> (Kind, [(Duration, Deed); 2]) {
    let at = since + Duration::from_millis(rng.random_range(1_000..60_000));
    let back = at + Duration::from_millis(rng.random_range(15_000..90_000));
    (Kind::NodePower, [(at, Deed::PowerOff(node, false)), (back, Deed::PowerOn(node))])
}

/// Something that costs no node, and what ends it. The agent of `speaks` goes on.
fn between(
    plan: &Plan,
    speaks: Option<u16>,
    rng: &mut ChaCha8Rng,
) -> (Kind, [(Duration, Deed); 2]) {
    let at = Duration::from_millis(rng.random_range(500..60_000));
    let span = Duration::from_millis(rng.random_range(1_000..15_000));
    let number = rng.random_range(1..=plan.controllers);
    let drawn = rng.random_range(1..=plan.nodes);
    let node = if speaks == Some(drawn) { drawn % plan.nodes + 1 } else { drawn };
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
