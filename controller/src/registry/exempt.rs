//! Hands off: maintenance of a node, disarm of one or of all, and their end, ordered or by itself.
//!
//! Time is the registry's own minutes, which leaders count by entries: no clock of a machine ends a disarm, and a change
//! of leader makes it longer by less than a minute.

use fencing::NodeId;
use fencing::lease::Change;

use super::Registry;
use super::apply::{At, Outcome, Rejected};
use super::command::{Command, Kind, Verdict};
use super::incident::Course;

/// A planned work, or its end.
pub(super) struct Work<'a> {
    pub(super) reason: &'a Option<String>,
    pub(super) minutes: Option<u64>,
    pub(super) migrate: Option<&'a Verdict>,
}

impl Registry {
    /// The minute that runs is not counted, so it lasts at least as long as was ordered.
    fn until(&self, minutes: Option<u64>) -> Option<u64> {
        minutes.map(|minutes| self.minute.saturating_add(minutes).saturating_add(1))
    }

    pub(super) fn disarm(&mut self, index: u64, id: NodeId, minutes: Option<u64>) -> Outcome {
        let until = self.until(minutes);
        let node = self.known(id)?;
        node.disarmed = true;
        node.until = until;
        node.rearm_floor = index;
        self.unarm(id);
        self.lease.record(index, Change::Disarmed { node: id });
        Ok(())
    }

    pub(super) fn arm_wanted(&mut self, index: u64, id: NodeId) -> Outcome {
        let node = self.known(id)?;
        if node.maintenance.is_some() {
            return Err(Rejected("the node is in maintenance: end that, and it is armed again"));
        }
        node.disarmed = false;
        node.until = None;
        node.rearm_floor = index;
        self.lease.record(index, Change::ArmWanted { node: id });
        Ok(())
    }

    pub(super) fn maintain(&mut self, at: At, id: NodeId, work: Work<'_>) -> Outcome {
        let until = self.until(work.minutes);
        let boot = self.known(id)?.serving_boot();
        if let Some(verdict) = work.migrate {
            let boot =
                boot.ok_or(Rejected("the node does not serve: it has nothing to migrate"))?;
            self.open(at, id, boot, verdict.clone(), Course::Soft(Kind::PlannedWork))?;
        }
        let node = self.known(id)?;
        node.maintenance.clone_from(work.reason);
        node.until = until;
        node.rearm_floor = at.index;
        if work.reason.is_some() {
            self.unarm(id);
            self.lease.record(at.index, Change::Maintained { node: id });
        } else {
            node.disarmed = false;
            self.lease.record(at.index, Change::ArmWanted { node: id });
        }
        Ok(())
    }

    pub(super) fn disarm_all(&mut self, index: u64, reason: Option<String>, minutes: Option<u64>) {
        self.disarmed_until = self.until(minutes);
        self.disarmed.clone_from(&reason);
        self.nodes.values_mut().for_each(|node| node.rearm_floor = index);
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        if reason.is_some() {
            nodes.into_iter().for_each(|node| self.unarm(node));
            self.lease.record(index, Change::AllDisarmed);
        } else {
            self.nodes.values_mut().for_each(|node| {
                node.disarmed = false;
                if node.maintenance.is_none() {
                    node.until = None;
                }
            });
            self.lease.record(index, Change::AllArmWanted);
        }
    }

    /// All nodes may be armed again, but those that were disarmed, or are in maintenance, by themselves.
    pub(super) fn end_disarm(&mut self, index: u64) -> Outcome {
        if self.disarmed_until.is_none_or(|until| until > self.minute) {
            return Err(Rejected("the time of the disarm is not over"));
        }
        self.disarmed = None;
        self.disarmed_until = None;
        self.nodes.values_mut().for_each(|node| node.rearm_floor = index);
        self.lease.record(index, Change::AllHeldOver);
        Ok(())
    }

    /// What was ordered for a time, and whose time is over: the entries that end it. One entry each, for each is one
    /// change of what sentinels know.
    pub fn over(&self) -> Vec<Command> {
        let over = |until: Option<u64>| until.is_some_and(|until| until <= self.minute);
        let nodes = self.nodes.iter().filter(|(_, node)| over(node.until)).map(|(id, node)| {
            let node_id = *id;
            match node.maintenance {
                Some(_) => Command::Maintenance {
                    node: node_id,
                    reason: None,
                    minutes: None,
                    migrate: None,
                },
                None => Command::ArmWanted { node: node_id },
            }
        });
        let all = over(self.disarmed_until).then_some(Command::DisarmOver);
        nodes.chain(all).collect()
    }

    /// Minutes of the registry until all nodes are armed again by themselves.
    pub fn disarmed_for(&self) -> Option<u64> {
        self.disarmed_until.map(|until| until.saturating_sub(self.minute))
    }

    /// Minutes of the registry until a node's maintenance or disarm ends by itself.
    pub fn exempt_for(&self, id: NodeId) -> Option<u64> {
        self.nodes.get(&id)?.until.map(|until| until.saturating_sub(self.minute))
    }

    /// Whether something ends by itself, so that minutes must be counted.
    pub fn anything_ends_by_itself(&self) -> bool {
        self.disarmed_until.is_some() || self.nodes.values().any(|node| node.until.is_some())
    }
}
