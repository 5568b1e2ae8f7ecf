//! Rule 2 of the lease protocol, as far as sentinels are concerned.

use std::collections::BTreeMap;

use fencing::lease::Adopted;

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::world::World;

/// What a sentinel has adopted as the log up to n is what is committed up to n, whether it came change by change or as a
/// snapshot: by it a node knows who can vouch for it, and whether it may run guests.
#[derive(Debug, Default)]
pub(super) struct AdoptedIsCommitted {
    /// The state after each change, by its index.
    states: BTreeMap<u64, Adopted>,
    judged: u64,
}

impl Oracle for AdoptedIsCommitted {
    fn name(&self) -> &'static str {
        "adopted_is_committed"
    }

    fn promise(&self) -> &'static str {
        "what a sentinel takes for the committed log is the committed log"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Adopted { node, n, state } = fact else { return Ok(()) };
        let Some(registry) = world.registry().filter(|_| *n > 0) else { return Ok(()) };
        let known = self.states.last_key_value().map_or(0, |(index, _)| *index);
        for (index, change) in registry.lease().changes_after(known) {
            let mut next =
                self.states.last_key_value().map(|(_, state)| state.clone()).unwrap_or_default();
            next.apply(change);
            self.states.insert(*index, next);
        }
        self.judged += 1;
        let committed = self.states.range(..=*n).next_back().map(|(_, state)| state);
        let who = Place::Node(*node);
        if *n > registry.index() {
            return Err(format!(
                "{who} has adopted {n} entries, and {} are committed",
                registry.index()
            ));
        }
        if committed.unwrap_or(&Adopted::default()) != state {
            return Err(format!("{who} takes another state for that of the first {n} entries"));
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
