//! One VM on its way: look, commit the attempt, one POST, follow its record to the end.
//!
//! ```text
//!  Waiting --look: still there, movable--> Attempt committed --POST--> Sent --record done, seen there--> Moved
//!     ^            | not movable: Parked        |  | refused without effect, never sent: Void -> Waiting
//!     |                                         |  '- outcome unknown: wait, then traces: track | census: Void, same place
//!     '---- record error: Void <----------------'     record failed: Parked (a guest may be left there)
//! ```
//!
//! An attempt that this leader did not send itself is of unknown outcome. Nothing here sends a second POST for it.

use std::time::Duration;

use fencing::IncidentId;
use uuid::Uuid;

use super::leading::{Asked, VmStep};
use super::place::Place;
use super::recover::{migration_kind, outcome};
use crate::core::Controller;
use crate::effect::Effect;
use crate::nova::{Call, MigrationKind, Refusal, Reply, ServerRecord, Written};
use crate::policy::Wish;
use crate::registry::{Command, Fenced, Incident, Progress, Vm};

/// Attempts and refusals after which a VM is left behind; each host may say once that it has no room.
const MOST_TRIES: usize = 5;
/// VMs of a node that is back wait so long for another node that could take them.
const NOWHERE_FOR: Duration = Duration::from_secs(300);
/// Pause before a VM is tried again.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(5);
/// Pause before another host is named.
const NEXT_HOST: Duration = Duration::from_secs(1);
/// Pause before a VM looks again for a free slot.
pub(super) const SLOT_AGAIN: Duration = Duration::from_millis(500);

/// Why an attempt does not count, and what it leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Void {
    /// Why.
    pub(super) why: String,
    /// The next attempt must name this destination.
    pub(super) same: Option<String>,
    /// Records up to this one say nothing about the next attempt.
    pub(super) past: u64,
    /// The destination that had no room.
    pub(super) no_room: Option<String>,
}

impl Controller {
    /// Looks after one VM. `fenced` is the proof without which nothing is evacuated; a live migration has none.
    pub(super) fn advance_vm(
        &mut self,
        fenced: Option<&Fenced>,
        incident: &Incident,
        id: Uuid,
        out: &mut Vec<Effect>,
    ) {
        let Some(vm) = incident.vms.get(&id) else { return };
        if self.work(incident.id).is_none_or(|work| work.vm_calls.contains(&id)) {
            return;
        }
        match &vm.progress {
            Progress::Waiting => self.settle_hopeless(incident, id, vm, out),
            Progress::Attempted { index, destination } => {
                let mine = self.work(incident.id).and_then(|work| work.mine.get(&id).copied());
                if mine == Some(*index) {
                    self.post(fenced, incident, id, destination.clone());
                } else {
                    self.follow(incident, id, vm, destination.as_deref(), out);
                }
            }
            Progress::Sent { destination, .. } => {
                self.follow(incident, id, vm, destination.as_deref(), out);
            }
            Progress::Moved { .. } | Progress::Parked { .. } => {}
        }
    }

    /// A VM that waits: one that will never be moved is settled; the others are begun with in their turn (pace.rs).
    fn settle_hopeless(&mut self, incident: &Incident, id: Uuid, vm: &Vm, out: &mut Vec<Effect>) {
        let treatment = &vm.before.treatment;
        let why = if treatment.wish == Wish::Leave {
            Some(format!("the policy leaves it (rule {:?})", treatment.rule))
        } else {
            immovable(incident, &vm.before.vm_state, vm.before.task_state.as_deref())
        };
        let tries = (vm.attempts + vm.voids) as usize;
        if let Some(why) = why {
            self.park(incident.id, id, why, out);
        } else if tries.saturating_sub(vm.no_room.len()) >= MOST_TRIES {
            self.park(incident.id, id, given_up(vm), out);
        }
    }

    fn post(
        &mut self,
        fenced: Option<&Fenced>,
        incident: &Incident,
        id: Uuid,
        destination: Option<String>,
    ) {
        let call = match (migration_kind(incident), fenced) {
            (MigrationKind::Evacuation, Some(fenced)) => evacuate(fenced, id, destination),
            (MigrationKind::LiveMigration, _) => Call::LiveMigrate { server: id },
            (MigrationKind::Evacuation, None) => return,
        };
        // From here on it may have been sent: a second look must not send it again.
        if let Some(work) = self.work(incident.id) {
            work.mine.remove(&id);
        }
        self.call_about_vm(incident.id, id, VmStep::Post, call);
    }

    pub(super) fn call_about_vm(
        &mut self,
        incident: IncidentId,
        vm: Uuid,
        step: VmStep,
        call: Call,
    ) {
        self.ask_nova(Asked::Vm(incident, vm, step), call);
        if let Some(work) = self.work(incident) {
            work.vm_calls.insert(vm);
        }
    }

    /// The attempt that this leader proposed is committed: it, and nobody else, may send it.
    pub(super) fn attempt_committed(&mut self, incident: IncidentId, vm: Uuid, index: u64) {
        let now = self.now;
        let proposed = self.leading.as_ref().is_some_and(|leading| {
            let of_vm = |command: &Command| matches!(command, Command::Attempt { incident: i, vm: v, .. } if *i == incident && *v == vm);
            leading.begun && leading.proposed.iter().any(|(command, _)| of_vm(command))
        });
        let Some(work) = self.work(incident) else { return };
        work.unknown_since.insert(vm, now);
        work.busy.remove(&vm);
        work.stopping.remove(&vm);
        work.confirming.remove(&vm);
        if proposed {
            work.mine.insert(vm, index);
        }
        // From here on the registry says that it is under way, or that it no longer is.
        if let Some(leading) = &mut self.leading {
            let of_vm = |command: &Command| matches!(command, Command::Attempt { incident: i, vm: v, .. } if *i == incident && *v == vm);
            leading.proposed.retain(|(command, _)| !of_vm(command));
        }
    }

    /// Nova answered about a VM.
    pub(super) fn vm_answered(
        &mut self,
        id: IncidentId,
        vm: Uuid,
        step: VmStep,
        reply: Reply,
        out: &mut Vec<Effect>,
    ) {
        if let Some(work) = self.work(id) {
            work.vm_calls.remove(&vm);
        }
        let Some(incident) = self.incident(id) else { return };
        match (step, reply) {
            (VmStep::Look, Reply::Server(server)) => self.looked(&incident, vm, server, out),
            (VmStep::Confirm, Reply::Server(server)) => self.confirm(&incident, vm, server, out),
            (VmStep::Post, Reply::Written(written)) => self.posted(&incident, vm, &written, out),
            _ => self.pause_vm(id, vm),
        }
    }

    fn looked(
        &mut self,
        incident: &Incident,
        id: Uuid,
        server: Option<ServerRecord>,
        out: &mut Vec<Effect>,
    ) {
        let Some(vm) = incident.vms.get(&id).filter(|vm| vm.progress == Progress::Waiting) else {
            return;
        };
        let Some(server) = server else {
            self.park(incident.id, id, "its user deleted it meanwhile".to_owned(), out);
            return;
        };
        if server.host != self.host(incident) {
            let now_on = server.host.unwrap_or_else(|| "no host".to_owned());
            self.park(
                incident.id,
                id,
                format!("somebody moved it: Nova places it on {now_on}"),
                out,
            );
            return;
        }
        if let Some(why) = immovable(incident, &server.vm_state, server.task_state.as_deref()) {
            self.park(incident.id, id, why, out);
            return;
        }
        if self.waits_for_foreign(incident, id, &server, out)
            || self.waits_for_its_copy(incident, id, out)
        {
            return;
        }
        let destination = match (&vm.same, migration_kind(incident)) {
            (Some(same), _) if !mutants::is_on(mutants::Mutant::M64) => Some(same.clone()),
            (_, MigrationKind::LiveMigration) => None,
            (_, MigrationKind::Evacuation) => {
                if self.is_forced_up(incident) {
                    self.force_down_again(incident, out);
                    self.pause_vm(incident.id, id);
                    return;
                }
                let Some(host) = self.place_of(incident, id, vm, out) else { return };
                let now = self.now;
                if let Some(leading) = &mut self.leading {
                    leading.cloud.ordered = Some(now);
                }
                Some(host)
            }
        };
        self.propose_once(Command::Attempt { incident: incident.id, vm: id, destination }, out);
    }

    /// Where it goes; `None` when it waits for a place.
    fn place_of(
        &mut self,
        incident: &Incident,
        id: Uuid,
        vm: &Vm,
        out: &mut Vec<Effect>,
    ) -> Option<String> {
        let place = self.destination(incident, id, vm);
        if place != Place::Nowhere
            && let Some(work) = self.work(incident.id)
        {
            work.nowhere_since = None;
        }
        match place {
            Place::Named { full: true, .. } if self.reserve(incident, out) => {
                self.pause_vm_for(incident.id, id, SLOT_AGAIN);
                None
            }
            Place::Named { host, .. } => Some(host),
            Place::Busy | Place::Suspected => {
                self.pause_vm_for(incident.id, id, SLOT_AGAIN);
                None
            }
            Place::Nowhere if self.reserve(incident, out) => {
                self.pause_vm_for(incident.id, id, SLOT_AGAIN);
                None
            }
            Place::Nowhere => {
                self.without_destination(incident, id, out);
                None
            }
        }
    }

    /// A VM that nobody can take waits, and a human is told. Once its own node has booted anew it is left behind: the node
    /// could not be released before, and with every node out nobody would ever be.
    fn without_destination(&mut self, incident: &Incident, vm: Uuid, out: &mut Vec<Effect>) {
        let (now, id) = (self.now, incident.id);
        let is_back = self.sentinels.of(incident.node).is_some_and(|h| h.boot != incident.boot);
        let name = self.name(incident.node);
        let Some(work) = self.work(id) else { return };
        let since = *work.nowhere_since.get_or_insert(now);
        if is_back && now.saturating_sub(since) >= NOWHERE_FOR {
            let why = format!(
                "no other node could take it and {name} has booted again: once {name} is released, start it there"
            );
            self.park(id, vm, why, out);
            return;
        }
        self.tell_nowhere(incident, out);
        self.pause_vm(id, vm);
    }

    /// The same time goes on while no VM is looked at since the windows are full: what fills them may never end, and is
    /// given up only later. A node that has become able meanwhile ends it, as a look would.
    pub(super) fn count_nowhere(&mut self, incident: &Incident, out: &mut Vec<Effect>) {
        let (now, id) = (self.now, incident.id);
        let waits = incident.vms.values().any(|vm| vm.progress == Progress::Waiting);
        if !waits
            || incident.frozen.is_some()
            || migration_kind(incident) != MigrationKind::Evacuation
        {
            return;
        }
        let Some(source) = self.host(incident) else { return };
        let work = self.leading.as_ref().and_then(|leading| leading.works.get(&id));
        let Some((work, (at, services))) = work.and_then(|w| Some((w, w.services.as_ref()?)))
        else {
            return;
        };
        // It is asked ten times a second, and answered by lists that are read every ten seconds.
        if work.nowhere_by == Some(*at) {
            return;
        }
        let (at, nowhere) = (*at, self.able(incident, &source, services).next().is_none());
        let Some(work) = self.work(id) else { return };
        work.nowhere_by = Some(at);
        work.nowhere_since = nowhere.then(|| work.nowhere_since.unwrap_or(now));
        // Where hosts are reserved, the look at the first VM takes one.
        if nowhere && self.settings.recovery.reserved.is_empty() {
            self.tell_nowhere(incident, out);
        }
    }

    fn tell_nowhere(&mut self, incident: &Incident, out: &mut Vec<Effect>) {
        let name = self.name(incident.node);
        let text = format!(
            "{name} no destination: no other nova-compute is up, enabled and without incident; its VMs wait for one"
        );
        if self.work(incident.id).is_some_and(|work| work.told.insert(text.clone())) {
            out.push(Effect::page("nova", text));
        }
    }

    /// The one POST was answered, or not.
    fn posted(&mut self, incident: &Incident, vm: Uuid, written: &Written, out: &mut Vec<Effect>) {
        let id = incident.id;
        match written {
            Written::Done { request_id, .. } => {
                let request_id = request_id.clone();
                self.propose(Command::Sent { incident: id, vm, request_id }, out);
            }
            Written::NotSent(_) => self.void(incident, vm, outcome(written), out),
            Written::Refused(refused) => match refused.meaning {
                Refusal::SourceStillUp => {
                    // Somebody cleared forced_down under us: force it down again before the next try.
                    self.void(incident, vm, outcome(written), out);
                    self.force_down_again(incident, out);
                }
                Refusal::HostUnknown
                | Refusal::TooMany
                | Refusal::NoRight
                | Refusal::TokenExpired => {
                    self.void(incident, vm, outcome(written), out);
                }
                Refusal::SameHost
                | Refusal::WrongState
                | Refusal::ServerGone
                | Refusal::DoneEvacuationsLeft
                | Refusal::OurRequest
                | Refusal::Other => self.park(id, vm, format!("Nova {}", outcome(written)), out),
            },
            Written::Unknown(why)
                if why.starts_with("no answer") && mutants::is_on(mutants::Mutant::M27)
                    || why.starts_with("status") && mutants::is_on(mutants::Mutant::M28) =>
            {
                self.void(incident, vm, outcome(written), out);
            }
            Written::Unknown(why) => {
                let name =
                    incident.vms.get(&vm).map(|vm| vm.before.name.clone()).unwrap_or_default();
                let text = format!(
                    "{name} outcome unknown ({why}): looking for its traces, no second POST"
                );
                out.push(Effect::journal("nova", text));
            }
        }
    }

    /// Whether somebody cleared forced_down under us: an operator, or a write of an earlier incident that came late.
    fn is_forced_up(&mut self, incident: &Incident) -> bool {
        let Some(host) = self.host(incident) else { return false };
        let services = self.work(incident.id).and_then(|work| work.services.as_ref());
        let mut services = services.into_iter().flat_map(|(_, services)| services);
        services.any(|service| service.host == host && !service.forced_down)
    }

    /// From here on it is ours to clear, whoever had set it before: that one has cleared it.
    fn force_down_again(&mut self, incident: &Incident, out: &mut Vec<Effect>) {
        // Whether it holds is read before the next attempt.
        if let Some(work) = self.work(incident.id) {
            work.services = None;
        }
        let ours = self.registry.node(incident.node).is_some_and(|node| node.forced_by_us);
        let Some(service) = incident.service else { return };
        if ours {
            self.call_about_node(incident.id, Call::ForceDown { service, disable: None });
            return;
        }
        let (incident, disabled_by_us) = (incident.id, incident.disabled_by_us);
        let forced_by_us = true;
        let forced = Command::ForcedDown { incident, service, disabled_by_us, forced_by_us };
        self.propose_once(forced, out);
    }

    pub(super) fn void(
        &mut self,
        incident: &Incident,
        vm: Uuid,
        why: String,
        out: &mut Vec<Effect>,
    ) {
        let void = Void { why, ..Void::default() };
        self.void_as(incident, vm, void, TRY_AGAIN, out);
    }

    /// No compute was contacted: another host may be named.
    pub(super) fn void_no_room(
        &mut self,
        incident: &Incident,
        vm: Uuid,
        void: Void,
        out: &mut Vec<Effect>,
    ) {
        self.void_as(incident, vm, void, NEXT_HOST, out);
    }

    /// The attempt does not count; the VM is tried again after a pause.
    pub(super) fn void_as(
        &mut self,
        incident: &Incident,
        vm: Uuid,
        void: Void,
        pause: Duration,
        out: &mut Vec<Effect>,
    ) {
        self.pause_vm_for(incident.id, vm, pause);
        let (incident, Void { why, same, past, no_room }) = (incident.id, void);
        self.propose_once(Command::Void { incident, vm, why, same, past, no_room }, out);
    }

    pub(super) fn park(
        &mut self,
        incident: IncidentId,
        vm: Uuid,
        why: String,
        out: &mut Vec<Effect>,
    ) {
        let record = self.work(incident).and_then(|work| work.record_of.get(&vm).copied());
        self.propose_once(Command::Parked { incident, vm, why, record }, out);
    }

    pub(super) fn pause_vm(&mut self, incident: IncidentId, vm: Uuid) {
        self.pause_vm_for(incident, vm, TRY_AGAIN);
    }

    pub(super) fn pause_vm_for(&mut self, incident: IncidentId, vm: Uuid, pause: Duration) {
        let at = self.now + pause;
        if let Some(work) = self.work(incident) {
            work.vm_not_before.insert(vm, at);
        }
    }
}

/// Why a VM is not tried again.
fn given_up(vm: &Vm) -> String {
    if vm.no_room.is_empty() {
        return "tried five times: see `hactl incidents`, then evacuate it by hand".to_owned();
    }
    format!(
        "no host has room for it ({} were asked): make room, then `openstack server evacuate` it",
        vm.no_room.len()
    )
}

/// The only place that makes an evacuation, and it wants the proof.
fn evacuate(_fenced: &Fenced, server: Uuid, destination: Option<String>) -> Call {
    Call::Evacuate { server, destination }
}

/// Why a VM cannot be moved as it is (S9, and what Nova refuses); the reason has the remedy.
fn immovable(incident: &Incident, vm_state: &str, task_state: Option<&str>) -> Option<String> {
    let migrating =
        task_state.is_some_and(|task| task.contains("migrat") || task.starts_with("resize"));
    if migrating && !mutants::is_on(mutants::Mutant::M30) {
        let task = task_state.unwrap_or_default();
        return Some(format!(
            "it was in the middle of {task}, so it may run elsewhere already: find out where, then reset it by hand"
        ));
    }
    let able: &[&str] = match migration_kind(incident) {
        MigrationKind::Evacuation => &["active", "stopped", "error"],
        MigrationKind::LiveMigration => &["active", "paused"],
    };
    (!able.contains(&vm_state)).then(|| match migration_kind(incident) {
        MigrationKind::Evacuation => format!(
            "Nova does not evacuate a server that is {vm_state}: `openstack server set --state error`, then evacuate it"
        ),
        MigrationKind::LiveMigration => format!("a server that is {vm_state} cannot be live-migrated"),
    })
}
