//! Rule 2 of the lease protocol, as far as sentinels are concerned.

use std::collections::BTreeMap;

use fencing::lease::Adopted;

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::world::World;

/// Nodes above which not every adoption is looked at: a look takes as long as the state is large, and each change is adopted
/// by all. It is another node's turn with each entry.
const MANY: u64 = 64;

/// What a sentinel has adopted as the log up to n is what is committed up to n, whether it came change by change or as a
/// snapshot: by it a node knows who can vouch for it, and whether it may run guests. What a change does to the state is
/// taken from [`Adopted`], which both sides use: this looks at what travels, and at how it is put together.
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
        let Fact::Adopted { node, n } = fact else { return Ok(()) };
        let kept = world.node(*node).and_then(|node| node.kept.as_ref());
        let (Some(kept), Some(registry)) = (kept, world.registry()) else { return Ok(()) };
        let every = 1 + registry.nodes().len() as u64 / MANY;
        let known = self.states.last_key_value().map_or(0, |(index, _)| *index);
        let turn = (n + u64::from(*node)).is_multiple_of(every);
        if !turn || !registry.lease().reaches_back_to(known) {
            return Ok(());
        }
        for (index, change) in registry.lease().changes_after(known) {
            let mut next =
                self.states.last_key_value().map(|(_, state)| state.clone()).unwrap_or_default();
            next.apply(change);
            self.states.insert(*index, next);
        }
        self.judged += 1;
        let (who, n) = (Place::Node(*node), kept.n);
        if n > registry.index() {
            return Err(format!(
                "{who} has adopted {n} entries of {} committed ones",
                registry.index()
            ));
        }
        let committed = self.states.range(..=n).next_back().map(|(_, state)| state);
        if committed.unwrap_or(&Adopted::default()) != &kept.adopted {
            return Err(format!("{who} takes another state for that of the first {n} entries"));
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
