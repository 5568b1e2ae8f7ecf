//! From `Fenced` to every VM moved or left behind with a reason, step by step; each step is committed before the next.
//!
//! ```text
//!  fenced       read the service (ForcingDown where it is disabled already), force it down (and disable it), read it back
//!                                                                                      -> ForcedDown
//!  forced_down  read the records and the services, list the VMs                       -> Planned
//!  evacuating   VM by VM (vm.rs): look, Attempt, POST, Sent, follow its record         -> Moved | Parked
//!               all settled                                                            -> Recovered
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::IncidentId;
use mutants::{Mutant, is_on};

use super::leading::Asked;
use crate::core::Controller;
use crate::effect::{Effect, Ticket};
use crate::nova::{Call, MigrationKind, OUR_REASON, Reply, ServerRecord, ServiceRecord, Written};
use crate::registry::{Command, Course, Fenced, Incident, State};

/// Pause after Nova failed to answer, or refused.
const AGAIN: Duration = Duration::from_secs(2);
/// Records are polled this often while something is in flight.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Services are read again this often while destinations are wanted.
const SERVICES_FOR: Duration = Duration::from_secs(10);

impl Controller {
    /// Looks after one recovery.
    pub(super) fn advance_recovery(&mut self, id: IncidentId, out: &mut Vec<Effect>) {
        let Some(incident) = self.incident(id) else { return };
        self.end_event(&incident);
        let Some(fenced) = self.registry.fenced(id) else { return };
        let only_fences = incident.fence().is_some_and(|fence| !fence.evacuate);
        if only_fences {
            self.propose_once(Command::Recovered { incident: id }, out);
            return;
        }
        if !self.settings.nova {
            let text = format!("{} is fenced; no Nova is configured", self.name(fenced.node()));
            self.tell_once(id, "nova", text, out);
            return;
        }
        if incident.state == State::Fenced {
            // The plan wants them, and the first orders: they come while the service is forced down.
            self.cloud_is_known();
            self.ask_for_copies(&incident);
            self.force_down(&fenced, &incident, out);
        } else if incident.state == State::ForcedDown {
            self.plan(&incident);
        } else if incident.state == State::Evacuating {
            self.evacuate(&fenced, &incident, out);
        }
    }

    /// Forces the service down, and disables it in the same write unless somebody else did; then reads it back.
    fn force_down(&mut self, fenced: &Fenced, incident: &Incident, out: &mut Vec<Effect>) {
        let Some(host) = self.host(incident) else { return };
        let Some(service) = self.work(incident.id).map(|work| work.service.clone()) else { return };
        let Some(service) = service else {
            self.call_about_node(incident.id, Call::Service { host });
            return;
        };
        if service.forced_down && !service.up {
            let disabled_by_us = !service.enabled && !service.disabled_by_operator();
            let forced_by_us = self.is_forced_by_us(incident, &service);
            let (incident, service) = (incident.id, service.id);
            let forced = Command::ForcedDown { incident, service, disabled_by_us, forced_by_us };
            self.propose_once(forced, out);
            return;
        }
        // Without a reason nothing in Nova would tell the next leader whose it is.
        if !service.enabled && !self.is_marked_as_ours(incident) {
            self.propose_once(Command::ForcingDown { incident: incident.id }, out);
            return;
        }
        if let Some(work) = self.work(incident.id) {
            work.forced = true;
        }
        let reason = format!("{}epoch={}", our_reason(incident), fenced.epoch());
        let disable = service.enabled.then_some(reason);
        self.call_about_node(incident.id, Call::ForceDown { service: service.id, disable });
    }

    /// Whether a forced_down that was read is our doing: this leader's, an earlier leader's whose reason stands there, or
    /// committed as ours. Anything else was read before our first write: it is an operator's, and stays.
    fn is_forced_by_us(&self, incident: &Incident, service: &ServiceRecord) -> bool {
        let work = self.leading.as_ref().and_then(|leading| leading.works.get(&incident.id));
        let reason = service.disabled_reason.as_deref().unwrap_or_default();
        self.is_marked_as_ours(incident)
            || work.is_some_and(|work| work.forced)
            || reason.starts_with(&our_reason(incident))
            || is_on(Mutant::M97)
    }

    /// Whether an entry says so: before the write of this incident, or at an earlier fence whose node has not returned to
    /// service since.
    fn is_marked_as_ours(&self, incident: &Incident) -> bool {
        self.registry.node(incident.node).is_some_and(|node| node.forced_by_us)
    }

    /// Reads what the plan needs: old records first, so that none of ours is taken for one; then the VMs.
    pub(super) fn plan(&mut self, incident: &Incident) {
        let Some(host) = self.host(incident) else { return };
        let kind = migration_kind(incident);
        let known = self.cloud_is_known();
        let Some(work) = self.work(incident.id) else { return };
        let call = if work.records.is_none() {
            Call::MigrationsFrom { host, kind }
        } else if known {
            Call::ServersOn { host }
        } else {
            return;
        };
        self.call_about_node(incident.id, call);
    }

    fn evacuate(&mut self, fenced: &Fenced, incident: &Incident, out: &mut Vec<Effect>) {
        if incident.vms.values().all(crate::registry::Vm::is_settled) {
            self.propose_once(Command::Recovered { incident: incident.id }, out);
            return;
        }
        self.poll(incident);
        for vm in incident.vms.keys() {
            self.advance_vm(Some(fenced), incident, *vm, out);
        }
    }

    /// Keeps the records and, where destinations are wanted, the services fresh: lists per node, not calls per VM.
    pub(super) fn poll(&mut self, incident: &Incident) {
        let Some(host) = self.host(incident) else { return };
        let (now, kind) = (self.now, migration_kind(incident));
        let waiting = incident.vms.values().any(|vm| !vm.is_settled() && !vm.in_flight());
        let Some(work) = self.work(incident.id) else { return };
        let old =
            |at: Option<Duration>, age: Duration| at.is_none_or(|at| now.saturating_sub(at) >= age);
        let services = work.services.as_ref().map(|(at, _)| *at);
        let records = work.records.as_ref().map(|(at, _)| *at);
        let call = if waiting && old(services, SERVICES_FOR) {
            Call::Services
        } else if old(records, POLL_EVERY) {
            Call::MigrationsFrom { host, kind }
        } else {
            return;
        };
        self.call_about_node(incident.id, call);
    }

    /// Sends a call about the node, one at a time and not before a pause is over.
    pub(super) fn call_about_node(&mut self, id: IncidentId, call: Call) {
        let now = self.now;
        let Some(work) = self.work(id).filter(|work| work.call.is_none() && work.not_before <= now)
        else {
            return;
        };
        let _ = work;
        let ticket = self.ask_nova(Asked::Nova(id), call);
        if let Some(work) = self.work(id) {
            work.call = Some(ticket);
        }
    }

    /// Sends a call as soon as leadership is confirmed.
    pub(super) fn ask_nova(&mut self, asked: Asked, call: Call) -> Ticket {
        self.ask_nova_within(asked, call, self.settings.waits.effect)
    }

    /// The same for an order whose grounds are good for a shorter time.
    pub(super) fn ask_nova_within(&mut self, asked: Asked, call: Call, within: Duration) -> Ticket {
        let ticket = self.ask_as(asked);
        let not_after = self.now + within.min(self.settings.waits.effect);
        self.send_as_leader(Effect::Nova { ticket, call, not_after });
        ticket
    }

    /// Nova was asked.
    pub(super) fn nova_answered(&mut self, ticket: Ticket, reply: Reply, out: &mut Vec<Effect>) {
        let Some(asked) = self.leading.as_mut().and_then(|l| l.calls.remove(&ticket)) else {
            return;
        };
        // Glance's answer, or its silence, says nothing of Nova.
        if asked != Asked::Images {
            let patient = matches!(asked, Asked::Cloud(_) | Asked::Actual(_));
            self.note_freshness(&reply, patient, out);
        }
        match asked {
            Asked::Nova(id) => self.node_answered(id, reply, out),
            Asked::Vm(id, vm, step) => self.vm_answered(id, vm, step, reply, out),
            Asked::Cloud(list) => self.list_answered(list, reply, out),
            // Who waits for it looks soon enough.
            Asked::Images => return self.images_answered(reply, out),
            Asked::Explain(ticket) => self.explained(ticket, reply, out),
            Asked::Actual(question) => self.actual_answered(question, reply, out),
            Asked::Reserved(host) => self.reserved_answered(&host, reply, out),
            Asked::Drill => self.drill_answered(reply, out),
            Asked::Bmc(..)
            | Asked::BmcAgain(..)
            | Asked::BmcIdentity(..)
            | Asked::BmcCheck(..)
            | Asked::BmcEnroll(_) => {}
        }
        self.next_look = self.now;
    }

    fn node_answered(&mut self, id: IncidentId, reply: Reply, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(incident) = self.incident(id) else { return };
        let Some(work) = self.work(id) else { return };
        work.call = None;
        match reply {
            Reply::Service(Some(service)) => work.service = Some(service),
            Reply::Service(None) => {
                work.not_before = now + AGAIN * 5;
                let host = self.host(&incident).unwrap_or_default();
                let text = format!(
                    "Nova knows no nova-compute on host {host:?}: set the node's nova host in the inventory"
                );
                self.tell_once(id, "nova", text, out);
            }
            Reply::Services(services) => work.services = Some((now, services)),
            Reply::Migrations(records) => work.records = Some((now, records)),
            Reply::Servers(servers) => self.planned(&incident, &servers, out),
            Reply::Written(written) => {
                // Whatever it says, the record is read back: only that counts.
                work.service = None;
                if !matches!(written, Written::Done { .. }) {
                    work.not_before = now + AGAIN;
                    let text = format!("{} write: {}", self.name(incident.node), outcome(&written));
                    self.tell_once(id, "nova", text, out);
                }
            }
            Reply::ReadFailed(_) => work.not_before = now + AGAIN,
            Reply::Server(_)
            | Reply::Actions(_)
            | Reply::Hypervisors(_)
            | Reply::Aggregates(_)
            | Reply::Groups(_)
            | Reply::Images(_) => {}
        }
    }

    fn planned(&mut self, incident: &Incident, servers: &[ServerRecord], out: &mut Vec<Effect>) {
        // What the policy rests on may have grown too old while the VMs were listed.
        if incident.planned || !self.images_are_known() {
            return;
        }
        self.tell_of_images(out);
        let records = self.work(incident.id).and_then(|work| work.records.clone());
        let last_record = records
            .iter()
            .flat_map(|(_, records)| records)
            .map(|record| record.id)
            .max()
            .unwrap_or(0);
        let vms: BTreeMap<_, _> =
            servers.iter().map(|server| (server.id, self.before(incident, server))).collect();
        self.propose_once(Command::Planned { incident: incident.id, vms, last_record }, out);
    }

    /// Nova's service host of an incident's node.
    pub(super) fn host(&self, incident: &Incident) -> Option<String> {
        self.registry.node(incident.node).map(|node| node.record.host.clone())
    }
}

/// How the reason begins with which an incident disables a service.
fn our_reason(incident: &Incident) -> String {
    format!("{OUR_REASON} incident={} ", incident.id)
}

/// Which records an incident's moves leave.
pub(super) fn migration_kind(incident: &Incident) -> MigrationKind {
    match incident.course {
        Course::Fence(_) => MigrationKind::Evacuation,
        Course::Soft(_) => MigrationKind::LiveMigration,
    }
}

/// A write's outcome as a phrase.
pub(super) fn outcome(written: &Written) -> String {
    match written {
        Written::Done { .. } => "done".to_owned(),
        Written::Refused(refused) => {
            format!("refused with {}: {}", refused.status, refused.message)
        }
        Written::NotSent(why) => format!("not sent: {why}"),
        Written::Unknown(why) => format!("outcome unknown: {why}"),
    }
}
