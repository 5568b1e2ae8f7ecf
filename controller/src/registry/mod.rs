//! The registry: the replicated state. All controllers apply the same entries in the same order and hold the same
//! state; what is not in it has not happened.
//!
//! [`Registry::apply`] is the whole of it: a pure function of state and entry. An entry that no longer fits (its
//! incident ended, its epoch is old) changes nothing and says so, which is what makes it safe to propose an entry twice.

mod apply;
mod command;
mod crash;
mod exempt;
mod incident;
mod lease_book;
mod node;
mod recovery;
mod stray;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use fencing::{BootId, Epoch, IncidentId, NodeId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use apply::Rejected;
pub use command::{Before, Command, Enrolment, Entry, Kind, Verdict};
pub use crash::{Crash, Over};
pub use incident::{Course, Drill, Fence, Incident, Progress, State, Vm};
pub use lease_book::LeaseBook;
pub use node::{Arming, Enrolled, Fires, Node, WatchdogTest};
pub use stray::Stray;

/// Incidents that are over are kept up to this number; the oldest go first.
const CLOSED_KEPT: usize = 500;
/// Matrices that are kept, the running one included.
const MATRICES_KEPT: usize = 20;
/// Fenced boots remembered per node, so that none of them is acked again.
const FENCED_BOOTS_KEPT: usize = 64;

/// The replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    index: u64,
    nodes: BTreeMap<NodeId, Node>,
    incidents: BTreeMap<IncidentId, Incident>,
    next_incident: u64,
    lease: LeaseBook,
    matrices: Vec<AppliedMatrix>,
    disarmed: Option<String>,
    disarmed_until: Option<u64>,
    noop: bool,
    minute: u64,
    /// Evacuations that were begun, by minute, oldest first.
    begun: Vec<(u64, u32)>,
    /// Reserved hosts in use.
    reserved: BTreeMap<String, Reserved>,
    /// VMs that were found missing.
    crashes: BTreeMap<Uuid, Crash>,
    /// Stray copies that may be ended.
    strays: BTreeMap<Uuid, Stray>,
}

/// A reserved host that was enabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The incident that needed it.
    pub incident: IncidentId,
    /// Its service record.
    pub service: Uuid,
    /// Index of the entry that permits what is done now.
    pub index: u64,
    /// Whether it is being disabled again.
    pub giving_back: bool,
}

/// A matrix that was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedMatrix {
    /// Its text.
    pub text: String,
    /// Who.
    pub by: String,
    /// Index of its entry.
    pub index: u64,
}

/// The committed fact that a node is off. Only the registry hands it out; whoever calls Nova to force a service down or
/// to evacuate must show it.
///
/// It cannot be made elsewhere:
///
/// ```compile_fail
/// let forged = controller::registry::Fenced {
///     node: fencing::NodeId(uuid::Uuid::nil()),
///     boot: fencing::BootId(uuid::Uuid::nil()),
///     epoch: fencing::Epoch { term: 1, index: 1 },
/// };
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Fenced {
    node: NodeId,
    boot: BootId,
    epoch: Epoch,
}

impl Fenced {
    /// The node that is off.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The boot that ended.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Epoch of the intent.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Registry {
    /// Passes over an entry that holds no command.
    pub fn skip(&mut self, index: u64) {
        self.index = index;
    }

    /// Index of the last entry that was applied.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// All nodes.
    pub fn nodes(&self) -> &BTreeMap<NodeId, Node> {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// A node by its name.
    pub fn node_named(&self, name: &str) -> Option<(NodeId, &Node)> {
        self.nodes.iter().find(|(_, node)| node.record.name == name).map(|(id, node)| (*id, node))
    }

    /// All incidents that are kept.
    pub fn incidents(&self) -> &BTreeMap<IncidentId, Incident> {
        &self.incidents
    }

    /// Incidents that still need work or wait for their node.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.nodes
            .values()
            .filter_map(|node| node.incident)
            .filter_map(|id| self.incidents.get(&id))
    }

    /// The open incident of a node.
    pub fn incident_of(&self, node: NodeId) -> Option<&Incident> {
        self.nodes.get(&node)?.incident.and_then(|id| self.incidents.get(&id))
    }

    /// From FenceIntent to Released.
    pub fn is_out(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|known| self.is_known_out(known))
    }

    /// [`Self::is_out`] of a node that was looked up already.
    pub fn is_known_out(&self, known: &Node) -> bool {
        let open = known.incident.and_then(|id| self.incidents.get(&id));
        open.is_some_and(|incident| incident.fence().is_some() && incident.state.is_out())
    }

    /// Whether this boot was fenced: it is never acked again.
    pub fn was_fenced(&self, node: NodeId, boot: BootId) -> bool {
        self.nodes.get(&node).is_some_and(|known| known.was_fenced(boot))
    }

    /// The proof that the node of an incident is off, while its recovery may act: from `Fenced` to the release, and not
    /// while it is frozen.
    pub fn fenced(&self, incident: IncidentId) -> Option<Fenced> {
        let incident = self.incidents.get(&incident)?;
        let fence = incident.fence()?;
        if !mutants::is_on(mutants::Mutant::M13) {
            fence.evidence.as_ref()?;
        }
        let acting = incident.state.is_out() && incident.frozen.is_none();
        acting.then_some(Fenced { node: incident.node, boot: incident.boot, epoch: fence.epoch })
    }

    /// What sentinels learn.
    pub fn lease(&self) -> &LeaseBook {
        &self.lease
    }

    /// The running matrix, if one was ever committed, and those before it.
    pub fn matrices(&self) -> &[AppliedMatrix] {
        &self.matrices
    }

    /// Reserved hosts in use, by Nova's name.
    pub fn reserved(&self) -> &BTreeMap<String, Reserved> {
        &self.reserved
    }

    /// Why all nodes are disarmed.
    pub fn disarmed(&self) -> Option<&str> {
        self.disarmed.as_deref()
    }

    /// Minutes that leaders have counted while a fence was recent.
    pub fn minute(&self) -> u64 {
        self.minute
    }

    /// Fences of a node within the last `minutes`.
    pub fn fences_within(&self, node: NodeId, minutes: u64) -> usize {
        let recent = |at: &&u64| self.minute.saturating_sub(**at) <= minutes;
        self.nodes.get(&node).map_or(0, |node| node.fenced_at.iter().filter(recent).count())
    }

    /// Whether some node was fenced within the last `minutes`, so that minutes must go on being counted.
    pub fn any_fence_within(&self, minutes: u64) -> bool {
        self.nodes.keys().any(|node| self.fences_within(*node, minutes) > 0)
    }

    /// Whether it only decides.
    pub fn is_noop(&self) -> bool {
        self.noop
    }

    /// The state as the bytes of a snapshot.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain data: it cannot fail to serialise. An empty snapshot would be refused by `from_bytes`.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// Bytes that are no snapshot of this version; the controller must not go on.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }

    /// A hash of the whole state: equal on all controllers at equal index.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }
}
