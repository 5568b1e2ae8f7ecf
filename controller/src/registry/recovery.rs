//! How entries move an incident along: its VMs, its recovery, its end.

use fencing::IncidentId;
use uuid::Uuid;

use super::apply::{At, Outcome, Rejected};
use super::command::Before;
use super::incident::{Incident, Progress, State, Vm};
use super::{CLOSED_KEPT, Registry};

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
        Ok(())
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
        vm.progress = Progress::Attempted { index: at.index, destination };
        vm.attempts += 1;
        vm.began_ms = at.ms;
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        at: At,
        id: IncidentId,
        vm: Uuid,
        progress: Progress,
    ) -> Outcome {
        let vm = self.vm(id, vm)?;
        if vm.is_settled() {
            return Err(Rejected("the VM is settled"));
        }
        vm.progress = progress;
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
