//! Reserved hosts: kept disabled, enabled when a recovery has no room left, and disabled again once they are empty.
//!
//! ```text
//!  no room: Reserve committed -> enable, read back -> a destination like any other
//!  no recovery needs it, no server on it: GiveBack committed -> disable, read back -> GivenBack
//! ```
//!
//! A host is reserved if the configuration names it and it is disabled for a reason that contains `reserved`. One that
//! is disabled for another reason is in somebody's hands and is left alone.

use std::time::Duration;

use uuid::Uuid;

use super::leading::Asked;
use crate::core::Controller;
use crate::effect::Effect;
use crate::nova::{Call, OUR_REASON, Reply, ServiceRecord};
use crate::registry::{Command, Incident, State};

/// The word in the reason of its disable.
const RESERVED: &str = "reserved";
/// Pause between two looks at a host that is being enabled or disabled.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Pause between two looks whether a reserved host is empty.
const EMPTY_AGAIN: Duration = Duration::from_secs(60);

/// What this leader does with a reserved host.
#[derive(Debug, Default)]
pub(super) struct Reserving {
    out: bool,
    not_before: Duration,
    service: Option<ServiceRecord>,
    /// Whether it was seen enabled since it was needed.
    enabled: bool,
}

impl Controller {
    /// A VM has no room elsewhere: takes the next reserved host, if there is one. Whether one is on its way.
    pub(super) fn reserve(&mut self, incident: &Incident, out: &mut Vec<Effect>) -> bool {
        if self.registry.reserved().iter().any(|(host, _)| !self.is_enabled_now(host)) {
            return true;
        }
        let services = self.work(incident.id).and_then(|work| work.services.clone());
        let Some((_, services)) = services else { return false };
        let own_cell = self.registry.node(incident.node).map(|node| node.record.cell.clone());
        let source = self.host(incident).unwrap_or_default();
        let usable = |service: &&ServiceRecord| {
            let listed = self.settings.recovery.reserved.contains(&service.host);
            let node = self.node_of_host(&service.host).map(|(_, node)| node);
            let in_cell = node.is_none_or(|node| Some(&node.record.cell) == own_cell.as_ref());
            let free =
                node.is_none_or(|node| node.incident.is_none() && node.maintenance.is_none());
            let taken = self.registry.reserved().contains_key(&service.host);
            let ready = service.up && !service.forced_down && is_reserved(service);
            listed && ready && service.host != source && in_cell && free && !taken
        };
        // In the order of the configuration.
        let place = |service: &&ServiceRecord| {
            self.settings.recovery.reserved.iter().position(|host| *host == service.host)
        };
        let next = services.iter().filter(usable).min_by_key(place);
        let Some((host, service)) = next.map(|service| (service.host.clone(), service.id)) else {
            return false;
        };
        let name = self.name(incident.node);
        let text =
            format!("{name} its VMs have no room elsewhere: reserved host {host} is enabled");
        if self.propose_once(Command::Reserve { incident: incident.id, host, service }, out) {
            out.push(Effect::page("nova", text));
        }
        true
    }

    fn is_enabled_now(&self, host: &str) -> bool {
        let reserving = self.leading.as_ref().and_then(|leading| leading.reserving.get(host));
        reserving.is_some_and(|reserving| reserving.enabled)
    }

    /// Looks after the reserved hosts that are in use.
    pub(super) fn advance_reserved(&mut self, out: &mut Vec<Effect>) {
        let hosts: Vec<(String, Uuid, bool)> = self
            .registry
            .reserved()
            .iter()
            .map(|(host, reserved)| (host.clone(), reserved.service, reserved.giving_back))
            .collect();
        if let Some(leading) = &mut self.leading {
            leading.reserving.retain(|host, _| hosts.iter().any(|(known, ..)| known == host));
        }
        for (host, service, giving_back) in hosts {
            let now = self.now;
            let Some(leading) = &mut self.leading else { return };
            let reserving = leading.reserving.entry(host.clone()).or_default();
            if reserving.out || reserving.not_before > now {
                continue;
            }
            let Some(known) = reserving.service.clone() else {
                self.ask_about_reserved(&host, Call::Service { host: host.clone() });
                continue;
            };
            if giving_back {
                self.disable_reserved(&host, service, &known, out);
            } else if known.enabled {
                self.see_if_empty(&host);
            } else if is_reserved(&known) {
                self.ask_about_reserved(&host, Call::Enable { service });
            } else {
                // Somebody else disabled it meanwhile, and his intent wins.
                self.propose_once(Command::GiveBack { host }, out);
            }
        }
    }

    fn disable_reserved(
        &mut self,
        host: &str,
        service: Uuid,
        known: &ServiceRecord,
        out: &mut Vec<Effect>,
    ) {
        if known.enabled {
            let reason = format!("{OUR_REASON} {RESERVED}");
            self.ask_about_reserved(host, Call::Disable { service, reason });
        } else {
            self.propose_once(Command::GivenBack { host: host.to_owned() }, out);
        }
    }

    /// It is a destination now. It is looked at for servers only when no recovery is on.
    fn see_if_empty(&mut self, host: &str) {
        let recovering = self.registry.open_incidents().any(|incident| {
            matches!(
                incident.state,
                State::Fencing
                    | State::Fenced
                    | State::ForcedDown
                    | State::Evacuating
                    | State::Recovered
                    | State::Disabling
                    | State::Migrating
            )
        });
        let now = self.now;
        let Some(leading) = &mut self.leading else { return };
        let Some(reserving) = leading.reserving.get_mut(host) else { return };
        if !reserving.enabled {
            reserving.enabled = true;
            // The services are read again, and with them it is found.
            leading.works.values_mut().for_each(|work| work.services = None);
        }
        if recovering {
            reserving.not_before = now + LOOK_AGAIN;
        } else {
            self.ask_about_reserved(host, Call::ServersOn { host: host.to_owned() });
        }
    }

    fn ask_about_reserved(&mut self, host: &str, call: Call) {
        self.ask_nova(Asked::Reserved(host.to_owned()), call);
        let reserving = self.leading.as_mut().and_then(|l| l.reserving.get_mut(host));
        if let Some(reserving) = reserving {
            reserving.out = true;
        }
    }

    /// Nova answered about a reserved host.
    pub(super) fn reserved_answered(&mut self, host: &str, reply: Reply, out: &mut Vec<Effect>) {
        let now = self.now;
        let reserving = self.leading.as_mut().and_then(|l| l.reserving.get_mut(host));
        let Some(reserving) = reserving else { return };
        reserving.out = false;
        match reply {
            Reply::Service(service) => {
                reserving.not_before = if service.is_none() { now + EMPTY_AGAIN } else { now };
                reserving.service = service;
            }
            // Whatever it says, the record is read back: only that counts.
            Reply::Written(_) => {
                reserving.service = None;
                reserving.not_before = now + LOOK_AGAIN / 4;
            }
            Reply::Servers(servers) if servers.is_empty() => {
                self.propose_once(Command::GiveBack { host: host.to_owned() }, out);
            }
            Reply::Servers(_) => {
                reserving.not_before = now + EMPTY_AGAIN;
                reserving.service = None;
            }
            Reply::ReadFailed(_) => reserving.not_before = now + LOOK_AGAIN,
            Reply::Services(_)
            | Reply::Server(_)
            | Reply::Migrations(_)
            | Reply::Actions(_)
            | Reply::Hypervisors(_)
            | Reply::Aggregates(_)
            | Reply::Groups(_)
            | Reply::Images(_) => {}
        }
    }
}

/// Disabled, and the reason says that it is a reserve.
fn is_reserved(service: &ServiceRecord) -> bool {
    let reason = service.disabled_reason.as_deref().unwrap_or_default();
    !service.enabled && reason.to_ascii_lowercase().contains(RESERVED)
}
