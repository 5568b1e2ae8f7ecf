//! S6 and S7, as far as BMCs are concerned.

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_id};
use crate::world::World;

/// S6, S7: a power off reaches the BMC only of a node that is out: after its intent, and never after its release.
#[derive(Debug, Default)]
pub(super) struct LateEffectHarmless {
    judged: u64,
}

impl Oracle for LateEffectHarmless {
    fn name(&self) -> &'static str {
        "late_effect_harmless"
    }

    fn promise(&self) -> &'static str {
        "nobody is switched off who is in service"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::OffArrived { controller, node, .. } = fact else { return Ok(()) };
        self.judged += 1;
        let Some(registry) = world.registry() else { return Ok(()) };
        if registry.is_out(node_id(*node)) {
            return Ok(());
        }
        let (who, whom) = (Place::Controller(*controller), Place::Node(*node));
        Err(format!("{who} switches {whom} off, which is not out"))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
