//! S19.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::nova::call::{Call, MigrationKind, MigrationStatus};

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_id};
use crate::world::World;

/// S19: forced_down is set before the first evacuation and unset only after the release, and never where an operator had
/// set it before the node was proven off; and no nova-compute starts while an evacuation from its node is queued, or while
/// a VM that Nova places there runs elsewhere.
#[derive(Debug, Default)]
pub(super) struct NovaOrder {
    /// When each host was last seen forced down.
    forced: BTreeMap<String, Duration>,
    /// When we last had it cleared: what an operator had set before is over.
    cleared: BTreeMap<u16, Duration>,
    judged: u64,
}

/// A controller looks at the services at least so often; what is cleared after its look, Nova itself refuses while the
/// service is up, and it is harmless while it is down.
const LOOKS_EVERY: Duration = Duration::from_secs(11);

impl Oracle for NovaOrder {
    fn name(&self) -> &'static str {
        "nova_order"
    }

    fn promise(&self) -> &'static str {
        "Nova is told in the order in which nothing can go wrong"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Called { call: Call::Evacuate { server, .. }, .. } => {
                self.judged += 1;
                let servers = world.cloud.servers();
                let host = servers.iter().find(|s| s.id == *server).and_then(|s| s.host.clone());
                let services = world.cloud.services(world.now());
                let forced =
                    services.iter().any(|s| Some(&s.host) == host.as_ref() && s.forced_down);
                // What an operator clears between our look and our order, Nova itself refuses.
                let cleared =
                    |number: &u16| host.as_deref() == Some(&Place::Node(*number).to_string());
                let seen = host.as_ref().and_then(|host| self.forced.get(host));
                let lately = seen.is_some_and(|at| world.now().saturating_sub(*at) <= LOOKS_EVERY);
                if forced || lately || world.ghost.forced_up.iter().any(cleared) {
                    Ok(())
                } else {
                    Err(format!("{host:?} is evacuated and not forced down"))
                }
            }
            Fact::Called { call: Call::ClearForcedDown { service }, .. } => {
                self.judged += 1;
                let services = world.cloud.services(world.now());
                let service = services.iter().find(|record| record.id == *service);
                let Some(Place::Node(number)) = service.and_then(|s| Place::named(&s.host)) else {
                    return Ok(());
                };
                let out = world.registry().is_some_and(|registry| registry.is_out(node_id(number)));
                let before = self.cleared.insert(number, world.now());
                if out {
                    Err(format!("node-{number} is out and no longer forced down"))
                } else if by_operator(world, number, before) {
                    Err(format!(
                        "an operator forced node-{number} down before it was proven off, and that is undone"
                    ))
                } else {
                    Ok(())
                }
            }
            Fact::GateOpened { node } => {
                self.judged += 1;
                let host = Place::Node(*node).to_string();
                // `done` records are cleaned up by the nova-compute that starts now.
                let queued = world.cloud.migrations().into_iter().find(|record| {
                    record.source == host
                        && matches!(
                            record.status,
                            MigrationStatus::Accepted | MigrationStatus::PreMigrating
                        )
                });
                // Its user may start a VM here that Nova places here, wherever a guest of it runs.
                let mut here = world.cloud.servers().into_iter();
                let elsewhere = here.find(|server| {
                    let on = world.runs_on(server.id);
                    server.host.as_ref() == Some(&host) && on.iter().any(|on| on != node)
                });
                if let Some(server) = elsewhere {
                    let on = world.runs_on(server.id);
                    return Err(format!(
                        "{host} starts its nova-compute, Nova places {} there, and it runs on {on:?}",
                        server.name
                    ));
                }
                match queued {
                    Some(record) => Err(format!(
                        "{host} starts its nova-compute while its {} {} is {:?}",
                        MigrationKind::Evacuation,
                        record.id,
                        record.status
                    )),
                    None => Ok(()),
                }
            }
            Fact::Second => {
                let services = world.cloud.services(world.now());
                let forced = services.into_iter().filter(|service| service.forced_down);
                self.forced.extend(forced.map(|service| (service.host, world.now())));
                Ok(())
            }
            Fact::Called { .. }
            | Fact::GuestStarted { .. }
            | Fact::Applied { .. }
            | Fact::Intended { .. }
            | Fact::Proven { .. }
            | Fact::Acked { .. }
            | Fact::Renewed { .. }
            | Fact::Asked { .. }
            | Fact::Vouched { .. }
            | Fact::OffArrived { .. }
            | Fact::BmcAsked { .. }
            | Fact::Adopted { .. }
            | Fact::Obeyed { .. }
            | Fact::Ended { .. }
            | Fact::Ordered { .. }
            | Fact::Answered { .. }
            | Fact::Told { .. }
            | Fact::WriteFailed { .. }
            | Fact::Reset { .. }
            | Fact::Halted { .. } => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

/// Whether an operator forced a node down before it was proven off, and nobody has cleared that since. What he sets later
/// than that may cross our own write: then nobody can tell whose it is.
fn by_operator(world: &World, number: u16, cleared: Option<Duration>) -> bool {
    let incident = world.registry().and_then(|known| known.incident_of(node_id(number)));
    let proven = incident.and_then(|incident| world.ghost.proven.get(&incident.id));
    let by_hand = world.ghost.forced_by_hand.get(&number);
    by_hand.is_some_and(|at| {
        cleared.is_none_or(|cleared| cleared < *at) && proven.is_some_and(|proven| at < proven)
    })
}
