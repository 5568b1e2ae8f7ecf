//! S2.

use controller::nova::call::Call;
use controller::registry::State;

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_number};
use crate::world::World;

/// S2: each POST evacuate follows a committed `Fenced` and `ForcedDown` of its node's open incident, and at that time no
/// guest of the VM runs on the node.
#[derive(Debug, Default)]
pub(super) struct EvacuateAfterFence {
    judged: u64,
}

impl Oracle for EvacuateAfterFence {
    fn name(&self) -> &'static str {
        "evacuate_after_fence"
    }

    fn promise(&self) -> &'static str {
        "nothing is evacuated before its node is proven off and Nova knows it"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Called { call: Call::Evacuate { server, .. }, .. } = fact else { return Ok(()) };
        self.judged += 1;
        let name = world.vms.get(server).cloned().unwrap_or_default();
        let Some(registry) = world.registry() else { return Ok(()) };
        let servers = world.cloud.servers();
        let host =
            servers.iter().find(|known| known.id == *server).and_then(|known| known.host.clone());
        let node = host.and_then(|host| registry.node_named(&host).map(|(id, _)| id));
        let incident = node.and_then(|node| registry.incident_of(node));
        let Some(incident) = incident else {
            return Err(format!("{name} is evacuated without an open incident"));
        };
        let node = node_number(incident.node);
        let proven = incident.fence().is_some_and(|fence| fence.evidence.is_some());
        let forced = matches!(incident.state, State::ForcedDown | State::Evacuating);
        if !proven || !forced {
            return Err(format!(
                "{name} is evacuated in state {} of incident {}",
                incident.state, incident.id
            ));
        }
        if world.runs_on(*server).contains(&node) && !world.ghost.lied_about.contains(&node) {
            return Err(format!("{name} is evacuated while it runs on {}", Place::Node(node)));
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
