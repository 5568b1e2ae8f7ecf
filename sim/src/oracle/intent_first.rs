//! S6.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use controller::nova::call::Call;
use controller::registry::{Incident, Progress, Registry, State};
use fencing::NodeId;
use fencing::bmc::Ask;
use uuid::Uuid;

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_id};
use crate::world::World;

/// S6: each power off and each write to Nova cites a committed entry that its sender has applied, and since then a
/// majority of the controllers, the sender included, has shown the sender that it still was in its term. The fence
/// event is judged where it arrives.
#[derive(Debug, Default)]
pub(super) struct IntentFirst {
    lives: BTreeMap<u8, Life>,
    judged: u64,
}

/// What a controller has applied in its present life, and when.
#[derive(Debug, Default)]
struct Life {
    starts: u32,
    applied: VecDeque<(u64, Duration)>,
}

/// Steps of a life that are remembered.
const REMEMBERED: usize = 4096;

impl Oracle for IntentFirst {
    fn name(&self) -> &'static str {
        "intent_first"
    }

    fn promise(&self) -> &'static str {
        "an effect outside follows its committed entry, by a leader that was confirmed after it"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most facts are none of its business")]
    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if let Fact::Applied { controller, index } = fact {
            self.applied(world, *controller, *index);
            return Ok(());
        }
        let (controller, what, entry) = match fact {
            Fact::BmcAsked { controller, node, ask: Ask::Off } => {
                let Some(own) = own_registry(world, *controller) else { return Ok(()) };
                let entry = fence_phase(own, *node, State::Fencing);
                (*controller, "a power off".to_owned(), entry)
            }
            Fact::Called { controller, call } if call.writes() => {
                let Some(own) = own_registry(world, *controller) else { return Ok(()) };
                (*controller, format!("{call:?}"), cited(world, own, call))
            }
            _ => return Ok(()),
        };
        // Nobody can contradict a single controller.
        if world.seats.len() < 2 {
            return Ok(());
        }
        self.judged += 1;
        let who = Place::Controller(controller);
        let Some(entry) = entry else {
            return Err(format!("{who} sends {what} and holds no entry that says so"));
        };
        let applied = self.lives.get(&controller).and_then(|life| {
            let first = life.applied.iter().find(|(index, _)| *index >= entry);
            first.map(|(_, at)| *at)
        });
        let Some(applied) = applied else {
            return Err(format!(
                "{who} sends {what} in the moment in which entry {entry} is applied"
            ));
        };
        if confirmed_since(world, controller, applied) {
            return Ok(());
        }
        Err(format!("{who} sends {what} and nobody confirmed it after entry {entry}"))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl IntentFirst {
    fn applied(&mut self, world: &World, controller: u8, index: u64) {
        let Some(seat) = world.seat(controller) else { return };
        let life = self.lives.entry(controller).or_default();
        if life.starts != seat.starts {
            *life = Life { starts: seat.starts, applied: VecDeque::new() };
        }
        life.applied.push_back((index, world.now()));
        if life.applied.len() > REMEMBERED {
            life.applied.pop_front();
        }
    }
}

/// The sender's own: what it cites is what it knows.
fn own_registry(world: &World, controller: u8) -> Option<&Registry> {
    world.seat(controller)?.core.as_ref().map(|core| core.registry())
}

/// The entry on which a write to Nova rests.
fn cited(world: &World, own: &Registry, call: &Call) -> Option<u64> {
    match call {
        Call::Evacuate { server, .. } | Call::LiveMigrate { server } => attempt(own, *server),
        Call::ForceDown { service, .. } => {
            fence_phase(own, node_of(world, *service)?, State::Fenced)
        }
        Call::ClearForcedDown { service } => {
            fence_phase(own, node_of(world, *service)?, State::Released)
        }
        Call::Disable { service, .. } if is_reserved(own, *service, true) => {
            reserved(own, *service)
        }
        Call::Enable { service } if is_reserved(own, *service, false) => reserved(own, *service),
        Call::Disable { service, .. } => {
            let incident = own.incident_of(node_of(world, *service)?)?;
            incident.phases.first().map(|(_, _, index)| *index)
        }
        Call::Enable { service } => {
            let incident = own.incident_of(node_of(world, *service)?)?;
            phase(incident, State::Released).or_else(|| phase(incident, State::Migrated))
        }
        Call::Stop { server } => moving(own, *server),
        Call::Reboot { server } => own.crashes().get(server)?.reboot_index,
        Call::Service { .. }
        | Call::Services
        | Call::ServersOn { .. }
        | Call::Server { .. }
        | Call::MigrationsFrom { .. }
        | Call::Hypervisors
        | Call::Aggregates
        | Call::Groups
        | Call::Images { .. }
        | Call::Actions { .. } => None,
    }
}

fn attempt(own: &Registry, server: Uuid) -> Option<u64> {
    let vms = own.open_incidents().filter_map(|incident| incident.vms.get(&server));
    vms.filter_map(|vm| match vm.progress {
        Progress::Attempted { index, .. } => Some(index),
        Progress::Waiting
        | Progress::Sent { .. }
        | Progress::Moved { .. }
        | Progress::Parked { .. } => None,
    })
    .next()
}

/// The entry that lets a reserved host be enabled, or disabled again.
fn reserved(own: &Registry, service: Uuid) -> Option<u64> {
    let reserved = own.reserved().values().find(|reserved| reserved.service == service)?;
    Some(reserved.index)
}

fn is_reserved(own: &Registry, service: Uuid, giving_back: bool) -> bool {
    let mut all = own.reserved().values();
    all.any(|reserved| reserved.service == service && reserved.giving_back == giving_back)
}

/// The attempt of a VM that is on its way: it may be shut off where it came to.
fn moving(own: &Registry, server: Uuid) -> Option<u64> {
    let mut vms = own.open_incidents().filter_map(|incident| incident.vms.get(&server));
    vms.find_map(|vm| match vm.progress {
        Progress::Attempted { index, .. } | Progress::Sent { index, .. } => Some(index),
        Progress::Waiting | Progress::Moved { .. } | Progress::Parked { .. } => None,
    })
}

fn fence_phase(own: &Registry, node: NodeId, state: State) -> Option<u64> {
    let incident = own.incident_of(node).filter(|incident| incident.fence().is_some())?;
    phase(incident, state)
}

fn phase(incident: &Incident, state: State) -> Option<u64> {
    let entered = incident.phases.iter().find(|(known, _, _)| *known == state);
    entered.map(|(_, _, index)| *index)
}

fn node_of(world: &World, service: Uuid) -> Option<NodeId> {
    let services = world.cloud.services(world.now());
    let service = services.into_iter().find(|record| record.id == service)?;
    match Place::named(&service.host)? {
        Place::Node(number) => Some(node_id(number)),
        Place::Controller(_) => None,
    }
}

fn confirmed_since(world: &World, controller: u8, since: Duration) -> bool {
    let Some(seat) = world.seat(controller) else { return false };
    let term = seat.disk.term().0;
    let others = world.seats.iter().filter(|other| other.number != controller);
    let confirm = others.filter(|other| {
        let sent = world.ghost.heard.get(&(controller, other.number, term));
        sent.is_some_and(|sent| *sent >= since)
    });
    (confirm.count() + 1) * 2 > world.seats.len()
}
