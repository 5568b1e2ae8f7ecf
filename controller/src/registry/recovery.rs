//! How entries move an incident along: its VMs, its recovery, its end.

use std::collections::BTreeMap;

use fencing::IncidentId;
use uuid::Uuid;

use super::apply::{At, Outcome, Rejected};
use super::command::Before;
use super::incident::{Incident, Progress, State, Vm};
use super::{CLOSED_KEPT, Registry, Reserved};

/// A VM that was moved within this time flaps.
const FLAPPING_MINUTES: u64 = 6 * 60;
/// Minutes of which begun evacuations are counted.
const BEGUN_KEPT: u64 = 24 * 60;

/// What an attempt that does not count leaves for the next.
pub(super) struct Voided<'a> {
    pub(super) same: &'a Option<String>,
    pub(super) past: u64,
    pub(super) no_room: &'a Option<String>,
}

impl Registry {
    pub(super) fn in_state(
        &mut self,
        id: IncidentId,
        states: &[State],
    ) -> Result<&mut Incident, Rejected> {
        self.incidents
            .get_mut(&id)
            .filter(|incident| states.contains(&incident.state))
            .ok_or(Rejected("the incident is in another state"))
    }

    pub(super) fn plan<'a>(
        &mut self,
        at: At,
        id: IncidentId,
        vms: impl Iterator<Item = (&'a Uuid, &'a Before)>,
        last_record: u64,
    ) -> Outcome {
        let incident = self.in_state(id, &[State::ForcedDown, State::Migrating])?;
        if incident.planned {
            return Err(Rejected("the VMs are planned already"));
        }
        incident.planned = true;
        incident.vms = vms.map(|(id, before)| (*id, Vm::new(before.clone()))).collect();
        incident.last_record = last_record;
        if incident.state == State::ForcedDown {
            incident.enter(State::Evacuating, at.ms, at.index);
        }
        self.count_moves(id);
        Ok(())
    }

    /// Nova's service is about to be forced down, by us.
    pub(super) fn forcing_down(&mut self, id: IncidentId) -> Outcome {
        let node = self.in_state(id, &[State::Fenced])?.node;
        self.known(node)?.forced_by_us = true;
        Ok(())
    }

    /// Nova's service is forced down. Later in the recovery the entry says only whose doing that is now.
    pub(super) fn forced_down(
        &mut self,
        at: At,
        id: IncidentId,
        (service, disabled_by_us): (Uuid, bool),
        by_us: bool,
    ) -> Outcome {
        let known = [State::Fenced, State::ForcedDown, State::Evacuating];
        let incident = self.in_state(id, &known)?;
        if incident.state == State::Fenced {
            incident.service = Some(service);
            incident.disabled_by_us = disabled_by_us;
            incident.enter(State::ForcedDown, at.ms, at.index);
        }
        let node = incident.node;
        self.known(node)?.forced_by_us |= by_us;
        Ok(())
    }

    /// The service of a released node is in use again, as far as that is ours to say.
    pub(super) fn returned(&mut self, at: At, id: IncidentId) -> Outcome {
        let incident = self.in_state(id, &[State::Released])?;
        let (node, was_down, released) =
            (incident.node, incident.service.is_some(), incident.note.clone());
        let known = self.known(node)?;
        let ours = std::mem::take(&mut known.forced_by_us);
        let note = if was_down && !ours {
            format!(
                "{released}; its nova-compute was forced down before, not by us, and that is not ours to clear: \
                 `openstack compute service set --up {} nova-compute`",
                known.record.host
            )
        } else {
            released
        };
        self.finish(at, id, State::Returned, &note)
    }

    /// How often each VM of an incident was moved by others of late.
    fn count_moves(&mut self, id: IncidentId) {
        let minute = self.minute;
        let mut moves: BTreeMap<Uuid, u32> = BTreeMap::new();
        let lately = |incident: &&Incident| {
            incident.id != id && minute.saturating_sub(incident.minute) <= FLAPPING_MINUTES
        };
        for incident in self.incidents.values().filter(lately) {
            let moved = |vm: &&Vm| matches!(vm.progress, Progress::Moved { .. });
            let vms = incident.vms.iter().filter(|(_, vm)| moved(vm));
            vms.for_each(|(vm, _)| *moves.entry(*vm).or_default() += 1);
        }
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        for (vm, known) in &mut incident.vms {
            known.moves = moves.get(vm).copied().unwrap_or(0);
        }
    }

    /// Evacuations that were begun within the last `minutes` of the registry's own clock.
    pub fn begun_within(&self, minutes: u64) -> usize {
        let recent = |(at, _): &&(u64, u32)| self.minute.saturating_sub(*at) <= minutes;
        self.begun.iter().filter(recent).map(|(_, count)| *count as usize).sum()
    }

    fn count_attempt(&mut self) {
        let minute = self.minute;
        match self.begun.last_mut().filter(|(at, _)| *at == minute) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.begun.push((minute, 1)),
        }
        self.begun.retain(|(at, _)| minute.saturating_sub(*at) <= BEGUN_KEPT);
    }

    pub(super) fn void(&mut self, id: IncidentId, vm: Uuid, void: Voided<'_>) -> Outcome {
        let vm = self.vm(id, vm)?;
        if !vm.in_flight() {
            return Err(Rejected("the VM has no attempt"));
        }
        vm.progress = Progress::Waiting;
        vm.attempts = vm.attempts.saturating_sub(1);
        vm.voids += 1;
        // Once a destination was named for an order that may still arrive, no other is ever named.
        if void.same.is_some() {
            vm.same.clone_from(void.same);
        }
        if let Some(host) = void.no_room {
            vm.no_room.retain(|known| known != host);
            vm.no_room.push(host.clone());
        }
        vm.past = vm.past.max(void.past);
        Ok(())
    }

    pub(super) fn approve(&mut self, id: IncidentId, by: &str) -> Outcome {
        let incident = self.incidents.get_mut(&id).filter(|incident| incident.is_open());
        incident.ok_or(Rejected("no such incident is open"))?.approved = Some(by.to_owned());
        Ok(())
    }

    pub(super) fn reserve(&mut self, id: IncidentId, host: &str, service: Uuid) -> Outcome {
        self.in_state(id, &[State::Evacuating, State::Migrating])?;
        if self.reserved.get(host).is_some_and(|reserved| !reserved.giving_back) {
            return Err(Rejected("the reserved host is in use already"));
        }
        let reserved = Reserved { incident: id, service, index: self.index, giving_back: false };
        self.reserved.insert(host.to_owned(), reserved);
        Ok(())
    }

    pub(super) fn give_back(&mut self, host: &str) -> Outcome {
        let index = self.index;
        let reserved = self.reserved.get_mut(host).filter(|reserved| !reserved.giving_back);
        let reserved = reserved.ok_or(Rejected("no such reserved host is in use"))?;
        (reserved.giving_back, reserved.index) = (true, index);
        Ok(())
    }

    pub(super) fn given_back(&mut self, host: &str) -> Outcome {
        match self.reserved.get(host) {
            Some(reserved) if reserved.giving_back => {
                self.reserved.remove(host);
                Ok(())
            }
            Some(_) | None => Err(Rejected("the reserved host is not being given back")),
        }
    }

    pub(super) fn vm(&mut self, id: IncidentId, vm: Uuid) -> Result<&mut Vm, Rejected> {
        let incident = self.in_state(id, &[State::Evacuating, State::Migrating])?;
        incident.vms.get_mut(&vm).ok_or(Rejected("the incident has no such VM"))
    }

    /// One live attempt per VM (S6), and none while the evidence is contradicted.
    pub(super) fn attempt(
        &mut self,
        at: At,
        id: IncidentId,
        vm: Uuid,
        destination: Option<String>,
    ) -> Outcome {
        if self.incidents.get(&id).is_some_and(|incident| incident.frozen.is_some()) {
            return Err(Rejected("the recovery is frozen"));
        }
        let index = at.index;
        let vm = self.vm(id, vm)?;
        if vm.progress != Progress::Waiting {
            return Err(Rejected("the VM has an attempt, or is settled"));
        }
        let other = vm.same.is_some() && vm.same != destination;
        if other && !mutants::is_on(mutants::Mutant::M64) {
            return Err(Rejected(
                "an earlier attempt may still arrive at the destination it named",
            ));
        }
        vm.progress = Progress::Attempted { index, destination };
        vm.attempts += 1;
        vm.began_ms = at.ms;
        self.count_attempt();
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        at: At,
        id: IncidentId,
        vm: Uuid,
        progress: Progress,
        record: Option<u64>,
    ) -> Outcome {
        let vm = self.vm(id, vm)?;
        if vm.is_settled() {
            return Err(Rejected("the VM is settled"));
        }
        vm.progress = progress;
        vm.record = record;
        vm.ended_ms = at.ms;
        Ok(())
    }

    pub(super) fn recovered(&mut self, at: At, id: IncidentId) -> Outcome {
        let incident = self.in_state(id, &[State::Fenced, State::Evacuating, State::Migrating])?;
        let only_fences = incident.fence().is_some_and(|fence| !fence.evacuate);
        let settled = incident.planned && incident.vms.values().all(Vm::is_settled);
        if !(only_fences || settled) {
            return Err(Rejected("a VM is not settled"));
        }
        if mutants::is_on(mutants::Mutant::M36) {
            incident.note = format!("{incident:p}");
        }
        let next = if incident.fence().is_some() { State::Recovered } else { State::Migrated };
        incident.enter(next, at.ms, at.index);
        Ok(())
    }

    pub(super) fn release(&mut self, at: At, id: IncidentId, by: &str) -> Outcome {
        let incident = self.in_state(id, &[State::Recovered])?;
        incident.note = format!("released by {by}");
        incident.enter(State::Released, at.ms, at.index);
        Ok(())
    }

    pub(super) fn finish(&mut self, at: At, id: IncidentId, state: State, note: &str) -> Outcome {
        let incident = self.incidents.get_mut(&id).ok_or(Rejected("no such incident"))?;
        incident.enter(state, at.ms, at.index);
        if !note.is_empty() {
            incident.note = note.to_owned();
        }
        let node = incident.node;
        self.known(node)?.incident = None;
        Ok(())
    }

    pub(super) fn forget_old(&mut self) {
        let over = |incident: &&Incident| !incident.is_open();
        let closed = self.incidents.values().filter(over).count();
        if closed > CLOSED_KEPT
            && let Some(oldest) = self.incidents.values().find(over).map(|incident| incident.id)
        {
            self.incidents.remove(&oldest);
        }
    }
}
