//! Hunts outside of the simulator, for rules that it has no part in: a core is tried by itself.

use mutants::Mutant;

/// An error says what was broken.
pub(super) type Trial = fn() -> Result<(), String>;

/// A mutant's trial.
pub(super) fn of(mutant: Mutant) -> Option<Trial> {
    (mutant == Mutant::M45).then_some(super::canary::is_noticed as Trial)
}
