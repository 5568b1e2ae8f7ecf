//! S23.

use std::time::Duration;

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_id, node_number};
use crate::world::World;

/// S23: whatever happens to the controllers, an armed node that nobody fences, and that with half of its peers has been well
/// for long enough, is not reset.
#[derive(Debug, Default)]
pub(super) struct FleetSurvives {
    judged: u64,
}

impl Oracle for FleetSurvives {
    fn name(&self) -> &'static str {
        "fleet_survives"
    }

    fn promise(&self) -> &'static str {
        "nothing that Holdfast itself suffers takes healthy VMs down"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Reset { node, boot, why, voters, armed } = fact else { return Ok(()) };
        self.judged += 1;
        // Between the opening of its device and its arming a node lives by the controllers alone; nothing runs there yet.
        if !armed {
            return Ok(());
        }
        let Some(machine) = world.node(*node) else { return Ok(()) };
        let Some(registry) = world.registry() else { return Ok(()) };
        let well = |troubled: Duration| {
            let times = world.plan().profile.times();
            world.now().saturating_sub(troubled) > times.lease + times.watchdog
        };
        let fenced = world.ghost.fenced_boots.contains(&(node_id(*node), *boot));
        if registry.is_out(node_id(*node)) || fenced || !well(machine.troubled) {
            return Ok(());
        }
        // The voters that it knows, dead or alive; only who lives in the boot that it knows can vouch.
        let others = voters.iter().filter(|(id, _)| *id != node_id(*node));
        let others: Vec<_> = others.collect();
        let vouch = others.iter().filter(|(id, boot)| {
            let peer = world.node(node_number(*id));
            peer.is_some_and(|peer| peer.is_on(*boot) && well(peer.troubled))
        });
        if vouch.count() < others.len().div_ceil(2) {
            return Ok(());
        }
        Err(format!("{} was well, and not out, and {why}", Place::Node(*node)))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
