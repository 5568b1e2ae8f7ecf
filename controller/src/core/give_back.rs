//! The way back: release, clean-up by Nova, service enabled again. And the incidents that never fenced, which end when
//! their node is well.
//!
//! ```text
//!  recovered  new boot, every late order passed, no record queued, no VM of it in doubt, census clean  -> Released
//!  released   armed or admitted; gate open; no `done` record left; forced_down cleared, read back; enabled -> Returned
//! ```

use std::time::Duration;

use fencing::{BootId, IncidentId};
use mutants::{Mutant, is_on};

use super::foreign::is_queued;
use crate::core::Controller;
use crate::effect::Effect;
use crate::guard::is_quarantined;
use crate::nova::{Call, MigrationStatus, OUR_REASON};
use crate::registry::{Command, Course, Incident, Kind, Node, Progress, State};

/// Longest life of an order in its channel once it has left: HTTP time-out, BMC retries, gossip's repetition.
const CHANNEL_LIFE: Duration = Duration::from_secs(30);
/// A renewal older than this does not speak for a node that is to come back.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// An answer of the census that allows a release is at most this old.
const CENSUS_FRESH: Duration = Duration::from_secs(5);
/// Records are read again this often while a node waits to come back.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Controller {
    /// Looks after a node that is to come back.
    pub(super) fn advance_return(&mut self, id: IncidentId, out: &mut Vec<Effect>) {
        let Some(incident) = self.incident(id) else { return };
        self.judge_watchdog(&incident, out);
        if incident.state == State::Released {
            self.return_to_service(&incident, out);
            return;
        }
        if mutants::is_on(mutants::Mutant::M25) {
            self.give_service_back(&incident, Command::Returned { incident: id }, out);
        }
        let waits = match self.may_release(&incident) {
            Ok(()) if is_quarantined(&self.registry, incident.node, &self.settings.waits) => {
                "a human: fenced twice within six hours (hactl fenced release)".to_owned()
            }
            Ok(()) if self.healthy_for(incident.node) < self.settings.waits.healthy => {
                "all its networks to be up for a while".to_owned()
            }
            Ok(()) => {
                let by = "rule".to_owned();
                self.propose_once(Command::Released { incident: id, by }, out);
                "its commit".to_owned()
            }
            Err(why) => why,
        };
        if let Some(work) = self.work(id) {
            work.release = waits;
        }
    }

    /// What safety demands before a release; the error says what is waited for. An operator cannot pass over any of it.
    pub(super) fn may_release(&mut self, incident: &Incident) -> Result<(), String> {
        let now = self.now;
        if incident.frozen.is_some() {
            return Err("a human: its evidence was contradicted (hactl fenced confirm)".to_owned());
        }
        let boot = self.new_boot(incident).ok_or("the node to boot")?;
        let late = self.settings.waits.effect + CHANNEL_LIFE;
        let late = if is_on(Mutant::M24) { Duration::ZERO } else { late };
        let work = self.work(incident.id).ok_or("the leader")?;
        let since = *work.return_since.get_or_insert(now);
        if now.saturating_sub(since) < late {
            return Err(format!("{} s, until no order can arrive late", late.as_secs()));
        }
        let mut since = since.max(now.saturating_sub(CENSUS_FRESH));
        if self.settings.nova && self.fence_evacuates(incident) {
            // An order that ended between an older answer and the look at the records may have left a guest behind.
            since = since.max(self.no_order_queued(incident)?);
        }
        self.no_vm_in_doubt(incident, since)?;
        match self.census_of(incident.node, boot, since) {
            None => Err("its agent to say which domains run".to_owned()),
            Some(domains) if domains.is_empty() => Ok(()),
            Some(domains) => Err(format!("{} domains running on it to be stopped", domains.len())),
        }
    }

    fn new_boot(&self, incident: &Incident) -> Option<BootId> {
        let heard = self.sentinels.of(incident.node)?;
        let fresh = self.now.saturating_sub(heard.at) <= HEARD_WITHIN;
        (fresh && heard.boot != incident.boot).then_some(heard.boot)
    }

    fn fence_evacuates(&self, incident: &Incident) -> bool {
        incident.fence().is_some_and(|fence| fence.evacuate)
    }

    /// No evacuation of this source may still be queued: Nova would run it although the source is back. When the records
    /// that say so were read: what the agents are asked after it sees whatever an order that ended before has left.
    fn no_order_queued(&mut self, incident: &Incident) -> Result<Duration, String> {
        let (read_at, records) = self.fresh_records(incident).ok_or("Nova's migration records")?;
        match records.iter().filter(|record| is_queued(record)).count() {
            0 => Ok(read_at),
            n => Err(format!("{n} evacuations that Nova has not finished")),
        }
    }

    /// A VM that was left behind must not run on another node: its user may start it here as soon as nova-compute is up.
    fn no_vm_in_doubt(&mut self, incident: &Incident, since: Duration) -> Result<(), String> {
        let parked = |progress: &Progress| matches!(progress, Progress::Parked { .. });
        let doubtful: Vec<_> = incident
            .vms
            .iter()
            .filter(|(_, vm)| parked(&vm.progress) && vm.attempts + vm.voids > 0)
            .map(|(id, _)| *id)
            .collect();
        if doubtful.is_empty() || mutants::is_on(mutants::Mutant::M63) {
            return Ok(());
        }
        let census = self.census_of_all(since).ok_or("all agents to say where its VMs run")?;
        let found = census.iter().find_map(|(node, domains)| {
            doubtful.iter().find(|id| domains.contains(id)).map(|id| (*node, *id))
        });
        match found {
            None => Ok(()),
            Some((node, id)) => {
                Err(format!("VM {id}, which runs on {}, to be decided", self.name(node)))
            }
        }
    }

    /// Migration records read a moment ago, and when; else they are read now.
    fn fresh_records(
        &mut self,
        incident: &Incident,
    ) -> Option<(Duration, Vec<crate::nova::MigrationRecord>)> {
        let now = self.now;
        let host = self.host(incident)?;
        let records = self.work(incident.id)?.records.clone();
        match records.filter(|(at, _)| now.saturating_sub(*at) < LOOK_AGAIN) {
            Some(read) => Some(read),
            None => {
                let kind = super::recover::migration_kind(incident);
                self.call_about_node(incident.id, Call::MigrationsFrom { host, kind });
                None
            }
        }
    }

    fn return_to_service(&mut self, incident: &Incident, out: &mut Vec<Effect>) {
        let serving = self.registry.node(incident.node).and_then(Node::serving_boot);
        if serving.is_none() {
            self.waits_for(incident.id, "its sentinel to be armed or admitted");
            return;
        }
        if !self.settings.nova || !self.fence_evacuates(incident) {
            self.propose_once(Command::Returned { incident: incident.id }, out);
            return;
        }
        let done = |records: &[crate::nova::MigrationRecord]| {
            records.iter().any(|record| record.status == MigrationStatus::Done)
        };
        match self.fresh_records(incident) {
            None => {}
            Some((_, records)) if done(&records) => {
                self.waits_for(incident.id, "its nova-compute to clean up after the evacuations");
            }
            Some(_) => {
                self.give_service_back(incident, Command::Returned { incident: incident.id }, out)
            }
        }
    }

    fn waits_for(&mut self, id: IncidentId, what: &str) {
        if let Some(work) = self.work(id) {
            work.release = what.to_owned();
        }
    }

    /// Clears forced_down, then enables what we disabled, reading back after each; then commits the end.
    fn give_service_back(&mut self, incident: &Incident, end: Command, out: &mut Vec<Effect>) {
        let id = incident.id;
        let Some(host) = self.host(incident) else { return };
        let Some(service) = self.work(id).map(|work| work.service.clone()) else { return };
        let Some(service) = service else {
            self.call_about_node(id, Call::Service { host });
            return;
        };
        let reason = service.disabled_reason.as_deref().unwrap_or_default();
        let ours = incident.disabled_by_us && reason.starts_with(OUR_REASON);
        let forced_by_us = self.registry.node(incident.node).is_some_and(|node| node.forced_by_us);
        if service.forced_down && incident.fence().is_some() && !forced_by_us {
            let text = format!(
                "{} was forced down in Nova before it was fenced, not by us: it stays so. When it is to be used: \
                 `openstack compute service set --up {host} nova-compute`",
                self.name(incident.node)
            );
            if self.work(id).is_some_and(|work| work.told.insert(text.clone())) {
                out.push(Effect::page("nova", text));
            }
        }
        if service.forced_down && incident.fence().is_some() && forced_by_us {
            self.waits_for(id, "Nova to clear forced_down");
            self.call_about_node(id, Call::ClearForcedDown { service: service.id });
        } else if !service.enabled && ours {
            self.call_about_node(id, Call::Enable { service: service.id });
        } else {
            self.propose_once(end, out);
        }
    }

    /// Looks after an incident that disables or migrates.
    pub(super) fn advance_migration(&mut self, id: IncidentId, out: &mut Vec<Effect>) {
        let Some(incident) = self.incident(id) else { return };
        if !self.settings.nova {
            self.tell_once(id, "nova", "no Nova is configured".to_owned(), out);
            return;
        }
        if incident.state == State::Disabling {
            self.cloud_is_known();
            self.disable(&incident, out);
        } else if !incident.planned {
            self.plan(&incident);
        } else if incident.vms.values().all(crate::registry::Vm::is_settled) {
            self.propose_once(Command::Recovered { incident: id }, out);
        } else {
            self.poll(&incident);
            for vm in incident.vms.keys() {
                self.advance_vm(None, &incident, *vm, out);
            }
        }
    }

    /// Disables the service, never forcing it down: after that nothing could be live-migrated.
    fn disable(&mut self, incident: &Incident, out: &mut Vec<Effect>) {
        let id = incident.id;
        let Some(host) = self.host(incident) else { return };
        let Some(service) = self.work(id).map(|work| work.service.clone()) else { return };
        let Some(service) = service else {
            self.call_about_node(id, Call::Service { host });
            return;
        };
        if service.enabled {
            let reason = format!("{OUR_REASON} incident={id} row={}", incident.verdict.row);
            let reason: String = reason.chars().take(255).collect();
            self.call_about_node(id, Call::Disable { service: service.id, reason });
            return;
        }
        let disabled_by_us = !service.disabled_by_operator();
        let service = service.id;
        self.propose_once(Command::Disabled { incident: id, service, disabled_by_us }, out);
    }

    /// Ends an incident that did not fence, once its node is well.
    pub(super) fn close_when_well(&mut self, id: IncidentId, out: &mut Vec<Effect>) {
        let Some(incident) = self.incident(id) else { return };
        // A planned work ends when its operator says so, or its time is over.
        let in_work = incident.course == Course::Soft(Kind::PlannedWork)
            && self.registry.node(incident.node).is_some_and(|node| node.maintenance.is_some());
        // What its checks said must be over too, or it would be told again at once.
        let failed = self.still_asks_for(&incident);
        if in_work || failed || self.healthy_for(incident.node) < self.settings.waits.healthy {
            // What was read of the service before says nothing about the time when the node is well.
            if let Some(work) = self.work(id) {
                work.service = None;
            }
            return;
        }
        let end = Command::Closed { incident: id, why: "well again".to_owned() };
        if incident.course == Course::Soft(Kind::Notify) || !self.settings.nova {
            self.propose_once(end, out);
        } else {
            self.give_service_back(&incident, end, out);
        }
    }

    /// Whether the node still falls to the row of the incident, for what its checks say.
    fn still_asks_for(&self, incident: &Incident) -> bool {
        let cell = self.cell(incident.node);
        let row = self.matrix.decide(&cell).row;
        row.name() == incident.verdict.row && !self.rests_on(row).is_empty()
    }
}
