//! Stray copies that are ended.

use controller::registry::Stray;

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, cluster, node_id};
use crate::world::World;

/// A domain is ended by an agent only on an order that two controllers signed, for this very boot, with a committed entry
/// behind it, and while the same VM runs elsewhere: the only copy is never ended.
#[derive(Debug, Default)]
pub(super) struct StrayOnly {
    judged: u64,
}

impl Oracle for StrayOnly {
    fn name(&self) -> &'static str {
        "stray_only"
    }

    fn promise(&self) -> &'static str {
        "a domain is ended only where another copy of it runs"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Ended { node, order, signers } = fact else { return Ok(()) };
        self.judged += 1;
        let place = Place::Node(*node);
        let name = world.vms.get(&order.domain).cloned().unwrap_or_default();
        let wrong = |why: &str| Err(format!("{place} ends {name} {why}"));
        if order.cluster != cluster() || order.node != node_id(*node) {
            return wrong("on an order that is not for it");
        }
        if world.node(*node).is_none_or(|machine| machine.boot() != order.boot) {
            return wrong("on an order for another boot of it");
        }
        if signers.iter().all(|one| signers.first() == Some(one)) {
            return wrong("on an order that two controllers have not signed");
        }
        let is_it = |stray: &Stray| stray.index == order.index && stray.node == order.node;
        let entry = |registry: &controller::registry::Registry| {
            registry.strays().get(&order.domain).is_some_and(is_it)
        };
        if !world.registry().is_some_and(entry) {
            return wrong("without a committed entry");
        }
        if !world.runs_on(order.domain).iter().any(|on| on != node) {
            return wrong("and it was the only copy");
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
