//! Hunts by dice: where chance finds a break soon, nobody has to write a story.

use mutants::Mutant;

use crate::explore::Swarm;

/// A mutant's swarm, and how many seeds of it, from 1 on, it may live through.
pub(super) fn of(_mutant: Mutant) -> Option<(Swarm, u64)> {
    None
}
