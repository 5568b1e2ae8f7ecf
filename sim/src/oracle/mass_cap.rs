//! S12, the cap.

use controller::registry::State;

use super::Oracle;
use crate::fact::Fact;
use crate::world::World;

/// S12: at most one fence at a time up to 20 nodes, two up to 100, four above. A fence by hand is not counted.
#[derive(Debug, Default)]
pub(super) struct MassCap {
    judged: u64,
}

impl Oracle for MassCap {
    fn name(&self) -> &'static str {
        "mass_cap"
    }

    fn promise(&self) -> &'static str {
        "however wrong we are, few nodes are switched off at a time"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Intended { incident, .. } = fact else { return Ok(()) };
        let Some(registry) = world.registry() else { return Ok(()) };
        let Some(intended) = registry.incidents().get(incident) else { return Ok(()) };
        // Only rows have a settle time; an order by hand names no row of the matrix.
        if !world.plan().matrix.rows().iter().any(|row| row.name() == intended.verdict.row) {
            return Ok(());
        }
        self.judged += 1;
        let under_way =
            registry.open_incidents().filter(|incident| incident.state == State::Fencing);
        let most = match world.nodes.len() {
            0..=20 => 1,
            21..=100 => 2,
            _ => 4,
        };
        let under_way = under_way.count();
        if under_way > most {
            return Err(format!("{under_way} fences under way, {most} allowed"));
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
