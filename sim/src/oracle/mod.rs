//! Oracles: judges of one property each, asked after every event. They look at what only the simulator knows, and share no
//! code with the cores that they judge.

mod adopted_is_committed;
mod boot_gate;
mod check_says_so;
mod disarm_holds;
mod evacuate_after_fence;
mod evacuate_once;
mod evidence_rules;
mod fail_static;
mod fence_event_auth;
mod fleet_survives;
mod identity;
mod intent_first;
mod late_effect_harmless;
mod live;
mod mass_cap;
mod matrix_total;
mod mirror;
mod no_ack_after_intent;
mod no_contradiction;
mod no_evacuate_during_move;
mod nova_order;
mod observer_sanity;
mod observers;
mod off_when_fenced;
mod openings;
mod quorum_only;
mod raft;
mod reboot_only_missing;
mod registry_agrees;
mod self_fence_deadline;
mod single_writer;
mod stray_only;

use std::fmt;
use std::time::Duration;

use crate::fact::Fact;
use crate::world::World;

/// A judge of one property.
pub trait Oracle {
    /// Its name, as in `docs/safety.md` and in scenarios.
    fn name(&self) -> &'static str;
    /// The sentence that it protects.
    fn promise(&self) -> &'static str;
    /// Looks at one fact.
    ///
    /// # Errors
    /// What was broken, in a sentence with names and times.
    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String>;
    /// How often it had something to judge: one that never did proves nothing.
    fn judged(&self) -> u64;
}

/// A property was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// By whose judgement.
    pub oracle: &'static str,
    /// True time since the story began.
    pub at: Duration,
    /// What.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken at {:.3} s: {}", self.oracle, self.at.as_secs_f64(), self.what)
    }
}

/// All of them.
pub fn all() -> Vec<Box<dyn Oracle>> {
    let mut all = every();
    if mutants::is_on(mutants::Mutant::M45) {
        all.retain(|oracle| oracle.name() != "evacuate_once");
    }
    all
}

fn every() -> Vec<Box<dyn Oracle>> {
    vec![
        Box::new(single_writer::SingleWriter::default()),
        Box::new(evacuate_after_fence::EvacuateAfterFence::default()),
        Box::new(off_when_fenced::OffWhenFenced::default()),
        Box::new(evidence_rules::EvidenceRules::default()),
        Box::new(self_fence_deadline::SelfFenceDeadline::default()),
        Box::new(no_ack_after_intent::NoAckAfterIntent::default()),
        Box::new(adopted_is_committed::AdoptedIsCommitted::default()),
        Box::new(mirror::Mirror::default()),
        Box::new(identity::Identity::default()),
        Box::new(late_effect_harmless::LateEffectHarmless::default()),
        Box::new(evacuate_once::EvacuateOnce::default()),
        Box::new(observers::Observers::default()),
        Box::new(mass_cap::MassCap::default()),
        Box::new(quorum_only::QuorumOnly::default()),
        Box::new(registry_agrees::RegistryAgrees::default()),
        Box::new(boot_gate::BootGate::default()),
        Box::new(nova_order::NovaOrder::default()),
        Box::new(fleet_survives::FleetSurvives::default()),
        Box::new(intent_first::IntentFirst::default()),
        Box::new(no_evacuate_during_move::NoEvacuateDuringMove::default()),
        Box::new(observer_sanity::ObserverSanity::default()),
        Box::new(fence_event_auth::FenceEventAuth::default()),
        Box::new(matrix_total::MatrixTotal::default()),
        Box::new(fail_static::FailStatic::default()),
        Box::new(disarm_holds::DisarmHolds::default()),
        Box::new(no_contradiction::NoContradiction::default()),
        Box::new(reboot_only_missing::RebootOnlyMissing::default()),
        Box::new(stray_only::StrayOnly::default()),
        Box::new(check_says_so::CheckSaysSo::default()),
        Box::new(raft::ElectionSafety::default()),
        Box::new(raft::LogMatching::default()),
        Box::new(raft::LeaderCompleteness::default()),
        Box::new(raft::CommittedOnQuorum::default()),
        Box::new(raft::NeverGoesBack::default()),
        Box::new(live::OneLeader::default()),
        Box::new(live::Detected::default()),
        Box::new(live::FencedInTime::default()),
        Box::new(live::VmsSettled::default()),
        Box::new(live::NothingStuck::default()),
        Box::new(live::Released::default()),
        Box::new(live::QuietCluster::default()),
        Box::new(live::ViewsConverge::default()),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mutants::Mutant;

    use super::*;

    #[test]
    fn no_oracle_is_without_a_break_that_it_must_notice() {
        let noticed: BTreeSet<&str> = Mutant::ALL.iter().map(|mutant| mutant.oracle()).collect();
        let known = every();
        let without =
            known.iter().map(|oracle| oracle.name()).filter(|name| !noticed.contains(name));
        // The net below the others: docs/safety.md tells in a column of its own which breaks it noticed, too.
        assert_eq!(without.collect::<Vec<_>>(), ["single_writer"]);
    }
}
