//! Hunts outside of the simulator: a core is tried by itself, for a rule that others hide in the whole system.

use std::collections::BTreeSet;
use std::time::Duration;

use fencing::e2::{Standing, Voter, Waiting};
use fencing::lease::Profile;
use fencing::{BootId, NodeId};
use mutants::Mutant;
use uuid::Uuid;

/// An error says what was broken.
pub(super) type Trial = fn() -> Result<(), String>;

/// A mutant's trial.
pub(super) fn of(mutant: Mutant) -> Option<Trial> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "few of many")]
    match mutant {
        Mutant::M45 => Some(super::canary::is_noticed),
        Mutant::M48 => Some(silent_promisers),
        Mutant::M49 => Some(promiser_rebooted),
        Mutant::M60 => Some(victim_promises),
        _ => None,
    }
}

/// Index of the intent.
const INTENT: u64 = 10;

/// The victim is node 1; 2 to 5 are its peers, of which three must promise. Waits are over at the end.
fn wait(promisers: &[u128]) -> (Waiting, Vec<BTreeSet<Voter>>) {
    let (node, boot) = voter(1, 1);
    let mut waiting = Waiting::new(node, boot, INTENT, Profile::Fast.times());
    waiting.blocked_at(Duration::ZERO);
    for peer in promisers {
        waiting.reported(Duration::ZERO, voter(*peer, 1), INTENT);
    }
    waiting.verify_committed(over(), INTENT + 1);
    (waiting, vec![(1..=5).map(|node| voter(node, 1)).collect()])
}

fn over() -> Duration {
    Profile::Fast.times().wait_after_intent()
}

fn voter(node: u128, boot: u128) -> Voter {
    (NodeId(Uuid::from_u128(node)), BootId(Uuid::from_u128(node << 8 | boot)))
}

fn not_proven(waiting: &Waiting, versions: &[BTreeSet<Voter>], what: &str) -> Result<(), String> {
    match waiting.standing(over(), Some(versions)) {
        Standing::Proven(_) => Err(format!("evidence although {what}")),
        _ => Ok(()),
    }
}

fn silent_promisers() -> Result<(), String> {
    let (waiting, versions) = wait(&[2, 3, 4]);
    not_proven(&waiting, &versions, "no promiser was heard after VERIFY")
}

fn promiser_rebooted() -> Result<(), String> {
    let (mut waiting, versions) = wait(&[2, 3, 4]);
    for peer in [voter(2, 1), voter(3, 1), voter(4, 2)] {
        waiting.reported(over(), peer, INTENT + 1);
    }
    not_proven(&waiting, &versions, "a promiser was reset and has forgotten its promise")
}

fn victim_promises() -> Result<(), String> {
    let (mut waiting, versions) = wait(&[1, 2, 3]);
    for peer in 1..=3 {
        waiting.reported(over(), voter(peer, 1), INTENT + 1);
    }
    not_proven(&waiting, &versions, "the victim is one of the promisers")
}
