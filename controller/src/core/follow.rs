//! Following an attempt: by its migration record, by what the server says, by what the destination's agent sees; and,
//! where it left no trace, by a census of all nodes. A timeout, a 5xx or status `failed` never mean "nothing happened".

use std::time::Duration;

use fencing::{IncidentId, NodeId};
use uuid::Uuid;

use super::leading::{Confirming, VmStep};
use super::recover::migration_kind;
use super::vm::{TRY_AGAIN, Void};
use crate::core::Controller;
use crate::effect::Effect;
use crate::nova::{Call, MigrationKind, MigrationRecord, MigrationStatus, ServerRecord};
use crate::policy::Wish;
use crate::registry::{Command, Incident, Vm};

/// A record that does not move for this long is given up, with an alarm.
const RECORD_STUCK: Duration = Duration::from_secs(900);
/// How long the destination's agent may take to show the VM before it counts as left behind.
const SEEN_WITHIN: Duration = Duration::from_secs(60);
/// A task of Nova on a VM whose record ended well that takes longer hangs.
const BUSY_FOR: Duration = Duration::from_secs(300);
/// A VM whose record ended well is looked at this often until it is seen.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);

impl Controller {
    /// Follows an attempt by the newest record that is younger than it.
    pub(super) fn follow(
        &mut self,
        incident: &Incident,
        id: Uuid,
        vm: &Vm,
        named: Option<&str>,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now;
        let past = incident.last_record.max(vm.past);
        let Some(work) = self.work(incident.id) else { return };
        let since = *work.unknown_since.entry(id).or_insert(now);
        let Some((read_at, records)) = &work.records else { return };
        let read_at = *read_at;
        // Records read before the attempt say nothing about it.
        if read_at < since {
            return;
        }
        let ours = |record: &&MigrationRecord| record.server == id && record.id > past;
        let record = records.iter().filter(ours).max_by_key(|record| record.id).cloned();
        match record {
            Some(record) => {
                work.record_of.insert(id, record.id);
                self.judge_record(incident, id, &record, since, out);
            }
            // That there is none says something only after the longest time that a POST can be held up. What was read before
            // is no answer: Nova may have been silent since.
            None if read_at < since + self.settings.waits.unknown => {}
            None => self.without_trace(incident, id, vm, named, since, out),
        }
    }

    fn judge_record(
        &mut self,
        incident: &Incident,
        id: Uuid,
        record: &MigrationRecord,
        since: Duration,
        out: &mut Vec<Effect>,
    ) {
        let place = record.destination.clone().unwrap_or_else(|| "an unknown host".to_owned());
        match &record.status {
            MigrationStatus::Done | MigrationStatus::Completed => {
                if mutants::is_on(mutants::Mutant::M31) {
                    self.moved(incident.id, id, place, out);
                    return;
                }
                let now = self.now;
                let paused =
                    self.work(incident.id).and_then(|work| work.vm_not_before.get(&id).copied());
                if paused.is_some_and(|at| at > now) {
                    return;
                }
                self.call_about_vm(incident.id, id, VmStep::Confirm, Call::Server { server: id });
            }
            MigrationStatus::Error => match migration_kind(incident) {
                MigrationKind::Evacuation => {
                    let why = format!("Nova found no host for it (record {})", record.id);
                    let no_room = record.destination.clone();
                    let void = Void { why, past: record.id, no_room, ..Void::default() };
                    self.void_no_room(incident, id, void, out);
                }
                MigrationKind::LiveMigration => self.not_migrated(incident, id, record, out),
            },
            MigrationStatus::Failed | MigrationStatus::Cancelled => {
                if mutants::is_on(mutants::Mutant::M26) {
                    let why = "it failed".to_owned();
                    let void = Void { why, past: record.id, ..Void::default() };
                    self.void_as(incident, id, void, TRY_AGAIN, out);
                    return;
                }
                match migration_kind(incident) {
                    MigrationKind::Evacuation => {
                        let why = format!(
                            "its evacuation to {place} failed (record {}); a guest may be left running there: look with \
                         virsh on {place} before you evacuate it again",
                            record.id
                        );
                        self.park(incident.id, id, why, out);
                    }
                    MigrationKind::LiveMigration => self.not_migrated(incident, id, record, out),
                }
            }
            MigrationStatus::Accepted
            | MigrationStatus::Preparing
            | MigrationStatus::PreMigrating
            | MigrationStatus::Running
            | MigrationStatus::Other(_) => {
                if self.now.saturating_sub(since) >= RECORD_STUCK {
                    let why = format!(
                        "record {} has not moved for {} minutes: see `openstack server migration list` and the log \
                         of nova-compute on {place}",
                        record.id,
                        RECORD_STUCK.as_secs() / 60
                    );
                    self.park(incident.id, id, why, out);
                }
            }
        }
    }

    fn not_migrated(
        &mut self,
        incident: &Incident,
        id: Uuid,
        record: &MigrationRecord,
        out: &mut Vec<Effect>,
    ) {
        let why = format!(
            "its live migration failed (record {}); it goes on running where it is: see `openstack server event list`",
            record.id
        );
        self.park(incident.id, id, why, out);
    }

    /// No record: nothing may be concluded before the longest time that a POST can be held up; then only a census.
    fn without_trace(
        &mut self,
        incident: &Incident,
        id: Uuid,
        vm: &Vm,
        named: Option<&str>,
        since: Duration,
        out: &mut Vec<Effect>,
    ) {
        let wait = self.settings.waits.unknown;
        if self.now.saturating_sub(since) < wait {
            return;
        }
        let Some(named) = named.filter(|_| migration_kind(incident) == MigrationKind::Evacuation)
        else {
            let why = "its order left no trace, and it named no destination at which a late one would be harmless: \
                       look where it runs, then move it by hand";
            self.park(incident.id, id, why.to_owned(), out);
            return;
        };
        if mutants::is_on(mutants::Mutant::M29) {
            let why = "no census was taken".to_owned();
            let void = Void { why, same: Some(named.to_owned()), ..Void::default() };
            self.void_as(incident, id, void, TRY_AGAIN, out);
            return;
        }
        let Some(census) = self.census_of_all(since + wait) else {
            let text =
                format!("{} outcome unknown: asking all nodes whether they run it", vm.before.name);
            self.tell_once(incident.id, "nova", text, out);
            return;
        };
        let host_of =
            |node: &NodeId| self.registry.node(*node).map(|known| known.record.host.as_str());
        if self.settings.confirm_by_census
            && !census.keys().any(|node| host_of(node) == Some(named))
        {
            let why = format!(
                "its order may have reached {named}, whose agent cannot be asked: look there"
            );
            self.park(incident.id, id, why, out);
            return;
        }
        match census.iter().find(|(_, domains)| domains.contains(&id)) {
            Some((node, _)) => {
                let why = format!(
                    "it runs on {} without a record: look before you touch it",
                    self.name(*node)
                );
                self.park(incident.id, id, why, out);
            }
            None => {
                let why = "its order left no trace and a census found it nowhere".to_owned();
                let void = Void { why, same: Some(named.to_owned()), ..Void::default() };
                self.void_as(incident, id, void, TRY_AGAIN, out);
            }
        }
    }

    /// The record ended well: the server must be there, at rest, and be seen there by that node's agent.
    pub(super) fn confirm(
        &mut self,
        incident: &Incident,
        id: Uuid,
        server: Option<ServerRecord>,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now;
        if let Some(work) = self.work(incident.id) {
            work.vm_not_before.insert(id, now + CONFIRM_EVERY);
        }
        let Some(server) = server else {
            self.park(incident.id, id, "its user deleted it meanwhile".to_owned(), out);
            return;
        };
        let Some(host) =
            server.host.clone().filter(|host| Some(host) != self.host(incident).as_ref())
        else {
            // `completed` with the host still the source: the source came back in flight; the record may yet turn done.
            return;
        };
        if server.task_state.is_some() && !self.is_busy_for_long(incident.id, id, &server, out) {
            return;
        }
        if self.must_stop(incident, id, &server, out) {
            return;
        }
        let Some(work) = self.work(incident.id) else { return };
        let fresh = Confirming { since: now, asked_since: now };
        let Confirming { since, asked_since } = *work.confirming.entry(id).or_insert(fresh);
        let runs = server.vm_state == "active";
        match self.seen_there(&host, id, asked_since, runs) {
            Some(true) => {
                self.moved(incident.id, id, host, out);
            }
            Some(false) | None if now.saturating_sub(since) >= SEEN_WITHIN => {
                let why = format!(
                    "Nova says that it runs on {host}, its agent does not see it: look there"
                );
                self.park(incident.id, id, why, out);
            }
            Some(false) => {
                // Asked too early, perhaps: that answer does not count, and it is asked again.
                if let Some(work) = self.work(incident.id) {
                    work.confirming.insert(id, Confirming { since, asked_since: now });
                }
            }
            None => {}
        }
    }

    /// Whether Nova has been busy with it for longer than any task takes. An order to shut it off whose host fell before it
    /// was carried out leaves the task there for ever.
    fn is_busy_for_long(
        &mut self,
        incident: IncidentId,
        id: Uuid,
        server: &ServerRecord,
        out: &mut Vec<Effect>,
    ) -> bool {
        let now = self.now;
        let Some(work) = self.work(incident) else { return false };
        let since = *work.busy.entry(id).or_insert(now);
        let long = now.saturating_sub(since) >= BUSY_FOR;
        if long {
            let task = server.task_state.as_deref().unwrap_or_default();
            let text = format!(
                "{} is moved, and Nova has been busy with it ({task}) for {} minutes: `openstack server set --state active` \
                 once nothing is under way",
                server.name,
                BUSY_FOR.as_secs() / 60
            );
            if work.told.insert(text.clone()) {
                out.push(Effect::page("nova", text));
            }
        }
        long
    }

    fn moved(
        &mut self,
        incident: IncidentId,
        vm: Uuid,
        destination: String,
        out: &mut Vec<Effect>,
    ) {
        let record = self.work(incident).and_then(|work| work.record_of.get(&vm).copied());
        self.propose_once(Command::Moved { incident, vm, destination, record }, out);
    }

    /// A VM that was off before, or that the policy wants off, is shut off where it came to: Nova starts one that was in
    /// error meanwhile. What Nova answers to the order does not count; it is read again. After a while it stays on, and a
    /// human is told.
    fn must_stop(
        &mut self,
        incident: &Incident,
        id: Uuid,
        server: &ServerRecord,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(vm) = incident.vms.get(&id) else { return false };
        let was_off = vm.before.vm_state == "stopped";
        let off = was_off || vm.before.treatment.wish == Wish::Stop;
        let evacuated = migration_kind(incident) == MigrationKind::Evacuation;
        if !off || !evacuated || server.vm_state != "active" {
            return false;
        }
        let (now, name) = (self.now, vm.before.name.clone());
        let Some(work) = self.work(incident.id) else { return false };
        let since = *work.stopping.entry(id).or_insert(now);
        if now.saturating_sub(since) >= SEEN_WITHIN {
            let text = format!("{name} runs, and should be off: Nova does not stop it");
            if work.told.insert(text.clone()) {
                out.push(Effect::page("nova", text));
            }
            return false;
        }
        self.call_about_vm(incident.id, id, VmStep::Stop, Call::Stop { server: id });
        true
    }

    /// Whether the agent of that host sees the VM; `Some(true)` where nobody can be asked or nothing runs.
    fn seen_there(&mut self, host: &str, id: Uuid, since: Duration, runs: bool) -> Option<bool> {
        if !self.settings.confirm_by_census || !runs {
            return Some(true);
        }
        let node: Option<(NodeId, _)> = self
            .registry
            .nodes()
            .iter()
            .find(|(_, node)| node.record.host == host)
            .and_then(|(id, node)| Some((*id, node.serving_boot()?)));
        let Some((node, boot)) = node else { return Some(true) };
        self.census_of(node, boot, since).map(|domains| domains.contains(&id))
    }
}
