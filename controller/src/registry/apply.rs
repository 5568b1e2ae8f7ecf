//! How an entry changes the registry.

use fencing::evidence::Evidence;
use fencing::lease::Change;
use fencing::{BootId, Epoch, IncidentId, NodeId};
use mutants::{Mutant, is_on};

use super::command::{Command, Entry, Kind, Verdict};
use super::exempt::Work;
use super::incident::{Course, Fence, Incident, Progress, State};
use super::node::{Arming, Enrolled, FENCES_KEPT, Node};
use super::recovery::Voided;
use super::{AppliedMatrix, FENCED_BOOTS_KEPT, MATRICES_KEPT, Registry};

/// An entry that no longer fits. The registry is unchanged but for its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejected(pub &'static str);

pub(super) type Outcome = Result<(), Rejected>;

impl Registry {
    /// Takes the entry at `index`, committed in `term`.
    ///
    /// # Errors
    /// [`Rejected`] when the entry does not fit the state; nothing but the index has changed. All controllers reject the
    /// same entries.
    pub fn apply(&mut self, term: u64, index: u64, entry: &Entry) -> Outcome {
        self.index = index;
        let at = At { ms: entry.at_ms, index };
        match &entry.command {
            Command::Enrol { node, record } => {
                match self.nodes.get_mut(node) {
                    Some(known) => known.record = (**record).clone(),
                    None => {
                        self.nodes.insert(*node, Node::new((**record).clone()));
                    }
                }
                Ok(())
            }
            Command::Controllers { set } => {
                self.lease.record(index, Change::Controllers { set: set.clone() });
                Ok(())
            }
            Command::BmcEnrolled { node, level, identity } => {
                // Evidence under way rests on what was enrolled when its intent was committed.
                if self.incident_of(*node).is_some_and(|incident| incident.fence().is_some()) {
                    return Err(Rejected("a fence of the node is open: its BMC stays as enrolled"));
                }
                let known = Enrolled { identity: *identity, distrusted: None };
                self.known(*node)?.bmcs.insert(*level, known);
                Ok(())
            }
            Command::BmcDistrusted { node, level, why } => self.distrust(*node, *level, why),
            Command::Armed { node, boot, times, class, n } => {
                let n = if is_on(Mutant::M66) { index } else { *n };
                let arming = Arming { boot: *boot, times: *times, class: *class, n };
                self.arm(index, *node, arming)
            }
            Command::Admitted { node, boot } => self.admit(index, *node, *boot),
            Command::Disarmed { node, minutes } => self.disarm(index, *node, *minutes),
            Command::ArmWanted { node } => self.arm_wanted(index, *node),
            Command::Maintenance { node, reason, minutes, migrate } => {
                let work = Work { reason, minutes: *minutes, migrate: migrate.as_deref() };
                self.maintain(at, *node, work)
            }
            Command::DisarmAll { reason, minutes } => {
                self.disarm_all(index, reason.clone(), *minutes);
                Ok(())
            }
            Command::DisarmOver => self.end_disarm(index),
            Command::Noop { on } => {
                self.noop = *on;
                Ok(())
            }
            Command::Matrix { text, by } => {
                self.matrices.push(AppliedMatrix { text: text.clone(), by: by.clone(), index });
                if self.matrices.len() > MATRICES_KEPT {
                    self.matrices.remove(0);
                }
                Ok(())
            }
            Command::Minute => {
                self.minute += 1;
                Ok(())
            }
            Command::Opened { node, boot, verdict, kind } => {
                self.open(at, *node, *boot, verdict.clone(), Course::Soft(*kind)).map(|_| ())
            }
            Command::WatchdogTested { node, test } => {
                self.known(*node)?.watchdog_test = Some(test.clone());
                Ok(())
            }
            Command::Intent { node, boot, floor, verdict, evacuate, drill } => {
                let epoch = Epoch { term, index };
                let (floor, evacuate, drill) = (*floor, *evacuate, *drill);
                let fence = Fence { epoch, floor, evacuate, evidence: None, drill };
                self.intend(at, *node, *boot, verdict.clone(), fence)
            }
            Command::Verify { epoch } => self.fencing(*epoch).map(|_| ()),
            Command::Cancel { epoch, why } => self.cancel(at, *epoch, why),
            Command::Fenced { epoch, evidence } => self.fence(at, *epoch, evidence),
            Command::Frozen { incident, why } => self.freeze(*incident, why),
            Command::ForcingDown { incident } => self.forcing_down(*incident),
            Command::ForcedDown { incident, service, disabled_by_us, forced_by_us } => {
                self.forced_down(at, *incident, (*service, *disabled_by_us), *forced_by_us)
            }
            Command::Disabled { incident, service, disabled_by_us } => {
                let incident = self.in_state(*incident, &[State::Disabling])?;
                incident.service = Some(*service);
                incident.disabled_by_us = *disabled_by_us;
                let migrates =
                    matches!(incident.course, Course::Soft(Kind::Migrate | Kind::PlannedWork));
                let next = if migrates { State::Migrating } else { State::Migrated };
                incident.enter(next, at.ms, at.index);
                Ok(())
            }
            Command::Planned { incident, vms, last_record } => {
                self.plan(at, *incident, vms.iter(), *last_record)
            }
            Command::Attempt { incident, vm, destination } => {
                self.attempt(at, *incident, *vm, destination.clone())
            }
            Command::Sent { incident, vm, request_id } => {
                let vm = self.vm(*incident, *vm)?;
                let Progress::Attempted { index, destination } = &vm.progress else {
                    return Err(Rejected("the VM has no attempt that waits for its reply"));
                };
                vm.progress = Progress::Sent {
                    index: *index,
                    destination: destination.clone(),
                    request_id: request_id.clone(),
                };
                Ok(())
            }
            Command::Void { incident, vm, same, past, no_room, .. } => {
                self.void(*incident, *vm, Voided { same, past: *past, no_room })
            }
            Command::Approved { incident, by } => self.approve(*incident, by),
            Command::Reserve { incident, host, service } => self.reserve(*incident, host, *service),
            Command::GiveBack { host } => self.give_back(host),
            Command::GivenBack { host } => self.given_back(host),
            Command::Missed { node, boot, vm, name } => self.miss(at, (*node, *boot), *vm, name),
            Command::Reboot { vm } => self.reboot(at, *vm),
            Command::EndStray { node, boot, vm, owner, .. } => {
                self.end_stray(at, *vm, (*node, *boot), *owner)
            }
            Command::Accounted { vm, how } => self.account(at, *vm, how),
            Command::Reaped { vms } => {
                self.reap(vms);
                Ok(())
            }
            Command::Moved { incident, vm, destination, record } => {
                let progress = Progress::Moved { destination: destination.clone() };
                self.settle(at, *incident, *vm, progress, *record)
            }
            Command::Parked { incident, vm, why, record } => {
                let progress = Progress::Parked { why: why.clone() };
                self.settle(at, *incident, *vm, progress, *record)
            }
            Command::Recovered { incident } => self.recovered(at, *incident),
            Command::Released { incident, by } => self.release(at, *incident, by),
            Command::Returned { incident } => self.returned(at, *incident),
            Command::Closed { incident, why } => {
                let known = self.incidents.get(incident).ok_or(Rejected("no such incident"))?;
                if known.fence().is_some() || !known.is_open() {
                    return Err(Rejected(
                        "only an open incident that does not fence can be closed",
                    ));
                }
                self.finish(at, *incident, State::Closed, why)
            }
        }
    }

    pub(super) fn known(&mut self, node: NodeId) -> Result<&mut Node, Rejected> {
        self.nodes.get_mut(&node).ok_or(Rejected("no such node"))
    }

    fn arm(&mut self, index: u64, id: NodeId, arming: Arming) -> Outcome {
        self.may_serve(id, arming.boot)?;
        let hands_off = self.disarmed.is_some();
        let node = self.known(id)?;
        if hands_off || node.disarmed || node.maintenance.is_some() {
            return Err(Rejected("the node is disarmed or in maintenance"));
        }
        if arming.n < node.rearm_floor {
            return Err(Rejected("the renewal is older than the last disarm"));
        }
        node.armed = Some(arming);
        node.admitted = None;
        let (boot, times) = (arming.boot, arming.times);
        let addresses = node.record.sentinel.clone();
        self.lease.record(index, Change::Armed { node: id, boot, times, addresses });
        Ok(())
    }

    fn admit(&mut self, index: u64, id: NodeId, boot: BootId) -> Outcome {
        self.may_serve(id, boot)?;
        let node = self.known(id)?;
        node.admitted = Some(boot);
        node.armed = None;
        self.lease.record(index, Change::Admitted { node: id, boot });
        Ok(())
    }

    /// ARMED and ADMITTED open the boot gate: never while the node is out, never for a boot that was fenced.
    fn may_serve(&self, id: NodeId, boot: BootId) -> Outcome {
        if self.is_out(id) {
            return Err(Rejected("the node is out"));
        }
        if self.was_fenced(id, boot) {
            return Err(Rejected("this boot was fenced"));
        }
        Ok(())
    }

    /// Ends E2 against a node that is not out. Its present boot goes on serving, as if admitted.
    pub(super) fn unarm(&mut self, id: NodeId) {
        let out = self.is_out(id);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(arming) = node.armed.filter(|_| !out) else { return };
        node.armed = None;
        node.admitted = Some(arming.boot);
    }

    pub(super) fn open(
        &mut self,
        at: At,
        node: NodeId,
        boot: BootId,
        verdict: Verdict,
        course: Course,
    ) -> Result<IncidentId, Rejected> {
        let known = self.known(node)?;
        if known.incident.is_some() {
            return Err(Rejected("the node has an open incident"));
        }
        let armed = known.armed.filter(|arming| arming.boot == boot);
        self.next_incident += 1;
        let id = IncidentId(self.next_incident);
        let state = match &course {
            Course::Soft(Kind::Notify) => State::Notified,
            Course::Soft(Kind::Disable | Kind::Migrate | Kind::PlannedWork) => State::Disabling,
            Course::Fence(_) => State::Fencing,
        };
        let incident = Incident {
            id,
            node,
            boot,
            armed,
            verdict,
            course,
            state,
            frozen: None,
            service: None,
            disabled_by_us: false,
            last_record: 0,
            planned: false,
            vms: std::collections::BTreeMap::new(),
            phases: vec![(state, at.ms, at.index)],
            note: String::new(),
            minute: self.minute,
            approved: None,
        };
        self.incidents.insert(id, incident);
        self.known(node)?.incident = Some(id);
        self.forget_old();
        Ok(id)
    }

    fn intend(
        &mut self,
        at: At,
        node: NodeId,
        boot: BootId,
        verdict: Verdict,
        fence: Fence,
    ) -> Outcome {
        let known = self.nodes.get(&node).ok_or(Rejected("no such node"))?;
        if known.maintenance.is_some() || known.disarmed || self.disarmed.is_some() {
            return Err(Rejected("the node is disarmed or in maintenance"));
        }
        if self.was_fenced(node, boot) {
            return Err(Rejected("this boot was fenced already"));
        }
        let full = self.fences_in_flight() >= self.most_in_flight();
        if full && !mutants::is_on(mutants::Mutant::M32) {
            return Err(Rejected("too many fences in flight"));
        }
        let watchdog = fence.drill.is_some_and(|drill| drill.watchdog);
        if fence.drill.is_some() && self.open_incidents().next().is_some() {
            return Err(Rejected("no drill while an incident is open"));
        }
        if watchdog && known.armed.is_none_or(|arming| arming.boot != boot) {
            return Err(Rejected("no drill of a watchdog with which this boot is not armed"));
        }
        self.supersede(at, node)?;
        let id = self.open(at, node, boot, verdict, Course::Fence(fence))?;
        if mutants::is_on(mutants::Mutant::M13) {
            self.in_state(id, &[State::Fencing])?.enter(State::Fenced, at.ms, at.index);
        }
        let change =
            if watchdog { Change::Drill { node, boot } } else { Change::Intent { node, boot } };
        self.lease.record(at.index, change);
        let minute = self.minute;
        let node = self.known(node)?;
        node.fences += 1;
        node.fenced_at.push(minute);
        if node.fenced_at.len() > FENCES_KEPT {
            node.fenced_at.remove(0);
        }
        Ok(())
    }

    /// A fence takes the place of an incident that does not fence, or that only waits for its node to return to service.
    fn supersede(&mut self, at: At, node: NodeId) -> Outcome {
        let Some(open) = self.incident_of(node) else { return Ok(()) };
        let (id, gives_way) = (open.id, open.fence().is_none() || open.state == State::Released);
        if !gives_way {
            return Err(Rejected("the node is being fenced"));
        }
        self.finish(at, id, State::Closed, "superseded by a fence")
    }

    /// Fences between their intent and their evidence.
    pub fn fences_in_flight(&self) -> usize {
        self.open_incidents().filter(|incident| incident.state == State::Fencing).count()
    }

    /// S12: 1 up to 20 protected nodes, 2 up to 100, 4 above.
    pub fn most_in_flight(&self) -> usize {
        match self.protected() {
            0..=20 => 1,
            21..=100 => 2,
            _ => 4,
        }
    }

    /// Nodes that serve and are not exempt.
    pub fn protected(&self) -> usize {
        let serves = |node: &&Node| node.serving_boot().is_some() && node.maintenance.is_none();
        self.nodes.values().filter(serves).count()
    }

    fn fencing(&mut self, epoch: Epoch) -> Result<&mut Incident, Rejected> {
        self.incidents
            .values_mut()
            .rev()
            .find(|incident| incident.fence().is_some_and(|fence| fence.epoch == epoch))
            .filter(|incident| incident.state == State::Fencing)
            .ok_or(Rejected("no fence of this epoch is under way"))
    }

    fn cancel(&mut self, at: At, epoch: Epoch, why: &str) -> Outcome {
        let (id, node) = self.fencing(epoch).map(|incident| (incident.id, incident.node))?;
        self.lease.record(at.index, Change::Cancelled { node });
        self.finish(at, id, State::Cancelled, why)
    }

    fn fence(&mut self, at: At, epoch: Epoch, evidence: &Evidence) -> Outcome {
        // An operator may give evidence again after a contradiction; that lifts the freeze.
        if let (Evidence::Operator { .. }, Some(incident)) = (evidence, self.frozen_of(epoch)) {
            incident.frozen = None;
            return Ok(());
        }
        let incident = self.fencing(epoch)?;
        let (node, boot) = (incident.node, incident.boot);
        if let Course::Fence(fence) = &mut incident.course {
            fence.evidence = Some(evidence.clone());
        }
        incident.enter(State::Fenced, at.ms, at.index);
        let node = self.known(node)?;
        node.armed = None;
        node.admitted = None;
        node.fenced_boots.push(boot);
        if node.fenced_boots.len() > FENCED_BOOTS_KEPT {
            node.fenced_boots.remove(0);
        }
        Ok(())
    }

    fn frozen_of(&mut self, epoch: Epoch) -> Option<&mut Incident> {
        self.incidents.values_mut().find(|incident| {
            incident.frozen.is_some() && incident.fence().is_some_and(|fence| fence.epoch == epoch)
        })
    }

    fn freeze(&mut self, id: IncidentId, why: &str) -> Outcome {
        let incident = self.incidents.get_mut(&id).ok_or(Rejected("no such incident"))?;
        let evidence = incident.fence().and_then(|fence| fence.evidence.as_ref());
        let level = evidence.and_then(Evidence::level);
        if !incident.state.is_out() || incident.frozen.is_some() {
            return Err(Rejected("nothing to freeze"));
        }
        incident.frozen = Some(why.to_owned());
        let node = incident.node;
        match level {
            Some(level) if self.known(node)?.bmcs.contains_key(&level) => {
                self.distrust(node, level, why)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn distrust(&mut self, node: NodeId, level: u8, why: &str) -> Outcome {
        let known = self.known(node)?.bmcs.get_mut(&level).ok_or(Rejected("no such BMC"))?;
        if !is_on(Mutant::M80) {
            known.distrusted = Some(why.to_owned());
        }
        Ok(())
    }
}

/// When and where an entry was committed.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) ms: u64,
    pub(super) index: u64,
}
