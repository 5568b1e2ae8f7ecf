//! What Nova says should run: the servers of one node after the other, one question at a time, and none while a recovery
//! needs Nova.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::NodeId;
use uuid::Uuid;

use super::Question;
use crate::core::Controller;
use crate::core::leading::Asked;
use crate::nova::{Call, Reply, ServerRecord};
use crate::registry::State;

/// A node's servers are read again after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(250);
/// After a question that Nova did not answer.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A server, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) name: String,
    pub(super) project: String,
    pub(super) status: String,
    /// ACTIVE, and nothing is under way.
    pub(super) should_run: bool,
    /// Nova is busy with it.
    pub(super) busy: bool,
}

/// What Nova said of each node.
#[derive(Debug, Default)]
pub(super) struct Owners {
    of: BTreeMap<NodeId, (Duration, BTreeMap<Uuid, Owned>)>,
    out: bool,
    not_before: Duration,
    passed: bool,
}

impl Owned {
    fn of(server: &ServerRecord) -> Self {
        Self {
            name: server.name.clone(),
            project: server.labels.project.clone(),
            status: server.status.clone(),
            should_run: should_run(server),
            busy: server.task_state.is_some(),
        }
    }
}

/// Whether Nova says that it runs, and is not at it.
pub(super) fn should_run(server: &ServerRecord) -> bool {
    server.vm_state == "active" && server.task_state.is_none()
}

impl Owners {
    /// Whether every node in service was read once in this leadership.
    pub(super) fn has_passed(&self) -> bool {
        self.passed
    }

    /// The servers of a node, and when they were read.
    pub(super) fn on(&self, node: NodeId) -> Option<&(Duration, BTreeMap<Uuid, Owned>)> {
        self.of.get(&node)
    }

    /// Where Nova has a server.
    pub(super) fn owner(&self, vm: Uuid) -> Option<(NodeId, &Owned)> {
        self.of.iter().find_map(|(node, (_, servers))| Some((*node, servers.get(&vm)?)))
    }
}

impl Controller {
    /// Asks for the servers of the node that was read longest ago.
    pub(super) fn read_owners(&mut self) {
        let now = self.now;
        let recovers = |state: State| match state {
            State::Fenced
            | State::ForcedDown
            | State::Evacuating
            | State::Disabling
            | State::Migrating => true,
            // Until its node is off it asks Nova for nothing, and without evidence it may stay so for long.
            State::Fencing
            | State::Recovered
            | State::Released
            | State::Returned
            | State::Cancelled
            | State::Notified
            | State::Migrated
            | State::Closed => false,
        };
        let busy = self.registry.open_incidents().any(|incident| recovers(incident.state));
        let waits = self.leading.as_ref().is_none_or(|leading| {
            let owners = &leading.actual.owners;
            owners.out || owners.not_before > now
        });
        if waits || busy {
            return;
        }
        let nodes: Vec<NodeId> = self
            .registry
            .nodes()
            .keys()
            .copied()
            .filter(|node| self.is_in_service(*node))
            .collect();
        let Some(leading) = &mut self.leading else { return };
        let owners = &mut leading.actual.owners;
        owners.not_before = now + PAUSE;
        owners.of.retain(|node, _| nodes.contains(node));
        let read_at = |node: &NodeId| owners.of.get(node).map(|(at, _)| *at);
        owners.passed |= !nodes.is_empty() && nodes.iter().all(|node| read_at(node).is_some());
        let due =
            |node: &NodeId| read_at(node).is_none_or(|at| now.saturating_sub(at) >= AGAIN_AFTER);
        let next = nodes.into_iter().filter(due).min_by_key(read_at);
        let Some(next) = next else { return };
        owners.out = true;
        if let Some(node) = self.registry.node(next) {
            let host = node.record.host.clone();
            self.ask_nova(Asked::Actual(Question::Servers(next)), Call::ServersOn { host });
        }
    }

    pub(super) fn owners_answered(&mut self, node: NodeId, reply: Reply) {
        let now = self.now;
        let Some(actual) = self.actual() else { return };
        actual.owners.out = false;
        if let Reply::Servers(servers) = reply {
            let servers = servers.iter().map(|server| (server.id, Owned::of(server))).collect();
            actual.owners.of.insert(node, (now, servers));
        } else {
            actual.owners.not_before = now + AFTER_FAILURE;
        }
    }
}
