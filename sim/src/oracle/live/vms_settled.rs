//! L4.

use std::collections::BTreeSet;
use std::time::Duration;

use controller::policy::Wish;
use controller::registry::{Incident, Progress, State};
use fencing::IncidentId;
use uuid::Uuid;

use super::{calm_for, has_majority, place};
use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::place::Place;
use crate::world::World;

/// L4: "moved" means that the VM runs there and nowhere else, whenever it is said; and when no more faults happen, every
/// VM of a fenced node is moved or left behind with a reason in time.
#[derive(Debug, Default)]
pub(in crate::oracle) struct VmsSettled {
    moved: BTreeSet<(IncidentId, Uuid)>,
    judged: u64,
}

/// T_evac: a record that does not move is given up after 15 minutes, and an order without trace after 3.
const WITHIN: Duration = Duration::from_secs(20 * 60);
/// A node with which something was wrong so lately may have lost what had just been seen there.
const LATELY: Duration = Duration::from_secs(10);

impl Oracle for VmsSettled {
    fn name(&self) -> &'static str {
        "vms_settled"
    }

    fn promise(&self) -> &'static str {
        "each VM runs elsewhere or is left behind with a reason; moved means it runs"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most facts are none of its business")]
    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Some(registry) = world.registry() else { return Ok(()) };
        match fact {
            Fact::Applied { .. } => {
                registry.open_incidents().try_for_each(|incident| self.judge_moved(world, incident))
            }
            Fact::Second => {
                let Some(calm) = calm_for(world) else { return Ok(()) };
                let acts = has_majority(world) && !registry.is_noop() && calm > WITHIN;
                let late = |incident: &&Incident| {
                    let state = incident.state;
                    let under_way =
                        matches!(state, State::Fenced | State::ForcedDown | State::Evacuating);
                    let proven = world.ghost.proven.get(&incident.id);
                    let age = proven.map(|at| world.now().saturating_sub(*at));
                    under_way && incident.frozen.is_none() && age.is_some_and(|age| age > WITHIN)
                };
                match registry.open_incidents().filter(|_| acts).find(late) {
                    None => Ok(()),
                    Some(incident) => Err(format!(
                        "incident {} of {} is still {}",
                        incident.id,
                        place(incident),
                        incident.state
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl VmsSettled {
    fn judge_moved(&mut self, world: &World, incident: &Incident) -> Result<(), String> {
        for (id, vm) in &incident.vms {
            let Progress::Moved { destination } = &vm.progress else { continue };
            if vm.before.treatment.wish == Wish::Stop {
                continue;
            }
            if !self.moved.insert((incident.id, *id)) || vm.before.vm_state != "active" {
                continue;
            }
            let Some(Place::Node(number)) = Place::named(destination) else { continue };
            let well = world.node(number).is_some_and(|node| {
                node.runs() && world.now().saturating_sub(node.troubled) > LATELY
            });
            if !well {
                continue;
            }
            self.judged += 1;
            let on = world.runs_on(*id);
            // Nova may answer so late that its destination has failed too meanwhile: then the later incident is judged.
            let later = world.registry().is_some_and(|registry| {
                let mut others = registry.incidents().values();
                let fenced = |other: &Incident| {
                    place(other) == Place::Node(number)
                        && other.is_open()
                        && other.fence().is_some()
                };
                others.any(|other| {
                    other.id > incident.id && (other.vms.contains_key(id) || fenced(other))
                })
            });
            if on != [number] && !(later && on.len() <= 1) {
                let name = world.vms.get(id).cloned().unwrap_or_default();
                return Err(format!("{name} is moved to {destination}, and runs on {on:?}"));
            }
        }
        Ok(())
    }
}
