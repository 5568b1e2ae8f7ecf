//! L6.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::nova::call::MigrationStatus;
use controller::registry::{Incident, Progress, State};
use fencing::IncidentId;

use super::{calm_for, has_majority, place};
use crate::fact::Fact;
use crate::node::Machine;
use crate::oracle::Oracle;
use crate::place::{node_id, node_number};
use crate::world::World;

/// L6: a fenced node that is back, well and empty is let in without a human, unless there is a reason to ask one: it was
/// fenced too often, its evidence was contradicted, or one of its VMs may run elsewhere.
#[derive(Debug, Default)]
pub(in crate::oracle) struct Released {
    ready: BTreeMap<IncidentId, Duration>,
    judged: u64,
}

/// No order may arrive late any more (90 s), all networks up for 10 s, a census, and Nova's clean-up.
const WITHIN: Duration = Duration::from_secs(5 * 60);

impl Oracle for Released {
    fn name(&self) -> &'static str {
        "released"
    }

    fn promise(&self) -> &'static str {
        "a healed node comes back without a human"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if *fact != Fact::Second || calm_for(world).is_none() {
            return Ok(());
        }
        let Some(registry) = world.registry() else { return Ok(()) };
        let acts = has_majority(world) && world.leader().is_some() && !registry.is_noop();
        let ready = |incident: &&Incident| acts && is_ready(world, incident);
        let now: Vec<&Incident> = registry.open_incidents().filter(ready).collect();
        self.ready.retain(|id, _| now.iter().any(|incident| incident.id == *id));
        for incident in now {
            self.judged += 1;
            let since = *self.ready.entry(incident.id).or_insert(world.now());
            let waited = world.now().saturating_sub(since);
            if waited > WITHIN {
                return Err(format!(
                    "{} is well and empty for {:.0} s, and its incident {} is {}",
                    place(incident),
                    waited.as_secs_f64(),
                    incident.id,
                    incident.state
                ));
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

fn is_ready(world: &World, incident: &Incident) -> bool {
    let number = node_number(incident.node);
    let waits = matches!(incident.state, State::Recovered | State::Released);
    let back = |node: &Machine| {
        node.boot() != incident.boot && world.is_well(number) && node.agent.core.is_some()
    };
    let clean = incident.state == State::Released
        || world.node(number).is_some_and(|node| node.guests.is_empty());
    waits
        && incident.frozen.is_none()
        && world.node(number).is_some_and(back)
        && clean
        && !asks_a_human(world, incident)
        && !is_queued(world, incident)
        && (!needs_all(incident) || everybody_answers(world))
}

/// A VM was left behind after Nova was asked to move it: all nodes have to say that they do not run it.
fn needs_all(incident: &Incident) -> bool {
    let left = |progress: &Progress| matches!(progress, Progress::Parked { .. });
    incident.vms.values().any(|vm| left(&vm.progress) && vm.attempts + vm.voids > 0)
}

fn asks_a_human(world: &World, incident: &Incident) -> bool {
    let registry = world.registry();
    let of_node = registry.into_iter().flat_map(|registry| registry.incidents().values());
    let fences = of_node.filter(|i| i.node == incident.node && i.fence().is_some()).count();
    let left = |progress: &Progress| matches!(progress, Progress::Parked { .. });
    let mut vms = incident.vms.iter();
    let in_doubt = vms.any(|(id, vm)| left(&vm.progress) && !world.runs_on(*id).is_empty());
    fences >= 2 || in_doubt
}

/// Nova may still carry out an evacuation from there, or has to clean up after one.
fn is_queued(world: &World, incident: &Incident) -> bool {
    let host = place(incident).to_string();
    world.cloud.migrations().into_iter().any(|record| {
        record.source == host
            && matches!(record.status, MigrationStatus::Accepted | MigrationStatus::PreMigrating)
    })
}

/// A census of all nodes: a boot that is not proven off must answer it. One that is gone and that nothing
/// proves off never will: whoever was paged for it gives the word.
fn everybody_answers(world: &World) -> bool {
    let Some(registry) = world.registry() else { return false };
    world.nodes.iter().all(|node| {
        let id = node_id(node.number);
        let served = registry.node(id).and_then(|known| known.serving_boot());
        let proven = registry.incident_of(id).is_some_and(|i| registry.fenced(i.id).is_some());
        let answers = proven || served.is_none_or(|boot| boot == node.boot());
        answers && node.runs() && node.agent.core.is_some()
    })
}
