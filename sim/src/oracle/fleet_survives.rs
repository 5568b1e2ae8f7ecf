//! S23.

use super::Oracle;
use crate::fact::Fact;
use crate::node::Power;
use crate::place::{Place, node_id};
use crate::world::World;

/// S23: whatever happens to the controllers, a node that nobody fences, and that with half of its peers has been well
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
        let Fact::Reset { node, boot, why } = fact else { return Ok(()) };
        self.judged += 1;
        let Some(machine) = world.node(*node) else { return Ok(()) };
        let out = world.registry().is_some_and(|registry| registry.is_out(node_id(*node)));
        let fenced = world.ghost.fenced_boots.contains(&(node_id(*node), *boot));
        let well = |troubled: std::time::Duration| {
            let times = world.plan().profile.times();
            world.now().saturating_sub(troubled) > times.lease + times.watchdog
        };
        let peers = world.nodes.iter().filter(|peer| {
            peer.number != *node && peer.power == Power::Running && well(peer.troubled)
        });
        let others = world.nodes.len() - 1;
        if out || fenced || !well(machine.troubled) || peers.count() < others.div_ceil(2) {
            return Ok(());
        }
        Err(format!("{} was well, and not out, and {why}", Place::Node(*node)))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
