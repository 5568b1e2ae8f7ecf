//! The part of the committed registry that a sentinel adopts: who may vouch, who is out, where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::shared::Shared;
use super::times::LeaseTimes;
use crate::{BootId, ControllerId, NodeId};

/// A committed entry as far as a sentinel is concerned. Entries that change nothing here travel as their index alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// ARMED: this boot votes, and E2 may be used against it. Ends a fence of an earlier boot.
    Armed {
        /// The node.
        node: NodeId,
        /// Its boot.
        boot: BootId,
        /// Its times.
        times: LeaseTimes,
        /// Where its sentinel listens, one address per network.
        addresses: Vec<SocketAddr>,
    },
    /// ADMITTED: an unarmed boot may open its gate. Ends a fence of an earlier boot.
    Admitted {
        /// The node.
        node: NodeId,
        /// Its boot.
        boot: BootId,
    },
    /// DISARMED: no vote, no E2, no self-fence. The boot that was armed goes on serving, as if admitted.
    Disarmed {
        /// The node.
        node: NodeId,
    },
    /// DISARMED for every node that is not out; one change, since one entry must fit one ack.
    AllDisarmed,
    /// FenceIntent: in Open from here on.
    Intent {
        /// The node.
        node: NodeId,
        /// The boot that is to be fenced.
        boot: BootId,
    },
    /// CANCEL: the intent is over without a fence.
    Cancelled {
        /// The node.
        node: NodeId,
    },
    /// The controller set and where its members listen (one address per network).
    Controllers {
        /// All voting controllers.
        set: BTreeMap<ControllerId, Vec<SocketAddr>>,
    },
    /// The operator's `arm` after a disarm: the node's sentinel may open its device again, so that it can be armed.
    ArmWanted {
        /// The node.
        node: NodeId,
    },
    /// An operator ended all disarms, of all nodes and of single ones. Nodes in maintenance stay as they are.
    AllArmWanted,
    /// The disarm of all nodes is over; nodes that were disarmed by themselves stay so.
    AllHeldOver,
    /// FenceIntent of a drill of the watchdog: in Open from here on, and the node lets its watchdog fire.
    Drill {
        /// The node.
        node: NodeId,
        /// The boot that is to end.
        boot: BootId,
    },
    /// A node in maintenance: as `Disarmed`, but an `arm` of all nodes does not free its sentinel.
    Maintained {
        /// The node.
        node: NodeId,
    },
}

/// A piece of the log in an ack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogPart {
    /// Nothing that the sentinel lacks, or nothing that fits its n.
    Nothing,
    /// The entries after `after` up to and with `upto`; indexes that are not listed change nothing.
    Entries {
        /// Adopt only when own n equals this.
        after: u64,
        /// n after adoption.
        upto: u64,
        /// Changes in order of index.
        changes: Vec<(u64, Change)>,
    },
    /// The state at `at`, piece `piece` of `pieces`, to be adopted whole on an empty state.
    Snapshot {
        /// Prefix length that the state stands for.
        at: u64,
        /// 0-based.
        piece: u16,
        /// At least 1.
        pieces: u16,
        /// Changes that build the state.
        changes: Vec<Change>,
    },
}

/// The state at one prefix of the log. Both sides use it: a sentinel for what it adopted, a controller for what it
/// would answer and for V(k). A copy shares with it what is about nodes that neither changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    armed: Shared<NodeId, Arming>,
    admitted: Shared<NodeId, BootId>,
    open: BTreeMap<NodeId, BootId>,
    drills: BTreeSet<NodeId>,
    held: BTreeSet<NodeId>,
    maintained: BTreeSet<NodeId>,
    all_held: bool,
    controllers: BTreeMap<ControllerId, Vec<SocketAddr>>,
}

/// An armed boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Arming {
    boot: BootId,
    times: LeaseTimes,
    addresses: Vec<SocketAddr>,
}

impl Adopted {
    /// Takes one committed change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Armed { node, boot, times, addresses } => {
                self.close(*node);
                self.admitted.remove(node);
                self.free(*node);
                let arming = Arming { boot: *boot, times: *times, addresses: addresses.clone() };
                self.armed.insert(*node, arming);
            }
            Change::Admitted { node, boot } => {
                self.close(*node);
                self.armed.remove(node);
                self.admitted.insert(*node, *boot);
            }
            Change::Disarmed { node } => {
                self.disarm(*node);
                self.held.insert(*node);
            }
            Change::Maintained { node } => {
                self.disarm(*node);
                self.maintained.insert(*node);
            }
            Change::AllDisarmed => {
                let in_service: Vec<NodeId> = self
                    .armed
                    .keys()
                    .filter(|node| !self.open.contains_key(node))
                    .copied()
                    .collect();
                in_service.into_iter().for_each(|node| self.disarm(node));
                self.all_held = true;
            }
            Change::Intent { node, boot } => {
                self.drills.remove(node);
                self.open.insert(*node, *boot);
            }
            Change::Drill { node, boot } => {
                self.drills.insert(*node);
                self.open.insert(*node, *boot);
            }
            Change::Cancelled { node } => self.close(*node),
            Change::Controllers { set } => self.controllers = set.clone(),
            Change::ArmWanted { node } => self.free(*node),
            Change::AllHeldOver => self.all_held = false,
            Change::AllArmWanted => {
                self.held.clear();
                self.all_held = false;
            }
        }
    }

    fn close(&mut self, node: NodeId) {
        self.open.remove(&node);
        self.drills.remove(&node);
    }

    fn free(&mut self, node: NodeId) {
        self.held.remove(&node);
        self.maintained.remove(&node);
    }

    fn disarm(&mut self, node: NodeId) {
        if let Some(arming) = self.armed.remove(&node) {
            self.admitted.insert(node, arming.boot);
        }
    }

    /// V(k): armed nodes that are not in Open, by boot.
    pub fn voters(&self) -> BTreeSet<(NodeId, BootId)> {
        self.each_voter().collect()
    }

    /// The same, one by one.
    pub fn each_voter(&self) -> impl Iterator<Item = (NodeId, BootId)> {
        let fenced_not = |node: &NodeId| !self.open.contains_key(node);
        self.armed.iter().filter(move |(n, _)| fenced_not(n)).map(|(n, a)| (*n, a.boot))
    }

    /// Whether this boot is armed.
    pub fn is_armed(&self, node: NodeId, boot: BootId) -> bool {
        self.armed.get(&node).is_some_and(|arming| arming.boot == boot)
    }

    /// The times that this node was armed with.
    pub fn times(&self, node: NodeId) -> Option<&LeaseTimes> {
        self.armed.get(&node).map(|arming| &arming.times)
    }

    /// Whether this boot may run guests: armed or admitted by name, and not out.
    pub fn may_run_guests(&self, node: NodeId, boot: BootId) -> bool {
        let named = self.is_armed(node, boot) || self.admitted.get(&node) == Some(&boot);
        named && !self.open.contains_key(&node)
    }

    /// The boot of this node that is in Open: under an intent, or fenced and not armed or admitted anew.
    pub fn open_boot(&self, node: NodeId) -> Option<BootId> {
        self.open.get(&node).copied()
    }

    /// Whether the open intent on this node is a drill of its watchdog: it stops feeding and does not reset itself.
    pub fn is_watchdog_drill(&self, node: NodeId) -> bool {
        self.drills.contains(&node)
    }

    /// Whether the node was disarmed, or is in maintenance, and nobody has ended that since: its sentinel leaves the
    /// device closed, over reboots too, so that a lost lease resets nobody while the operator works.
    pub fn is_held(&self, node: NodeId) -> bool {
        self.all_held || self.held.contains(&node) || self.maintained.contains(&node)
    }

    /// Addresses of a voter's sentinel, one per network.
    pub fn addresses(&self, node: NodeId) -> &[SocketAddr] {
        self.armed.get(&node).map_or(&[], |arming| &arming.addresses)
    }

    /// C(k): the controllers and their addresses.
    pub fn controllers(&self) -> &BTreeMap<ControllerId, Vec<SocketAddr>> {
        &self.controllers
    }

    /// The state as changes that build it from nothing: what a snapshot carries.
    pub fn as_changes(&self) -> Vec<Change> {
        let controllers = Change::Controllers { set: self.controllers.clone() };
        let armed = self.armed.iter().map(|(node, arming)| Change::Armed {
            node: *node,
            boot: arming.boot,
            times: arming.times,
            addresses: arming.addresses.clone(),
        });
        let admitted = self.admitted.iter().map(|(&node, &boot)| Change::Admitted { node, boot });
        let open = self.open.iter().map(|(&node, &boot)| match self.drills.contains(&node) {
            true => Change::Drill { node, boot },
            false => Change::Intent { node, boot },
        });
        let held = self.held.iter().map(|&node| Change::Disarmed { node });
        let maintained = self.maintained.iter().map(|&node| Change::Maintained { node });
        let held = held.chain(maintained);
        let all_held = self.all_held.then_some(Change::AllDisarmed);
        let first = std::iter::once(controllers).chain(held).chain(all_held);
        first.chain(armed).chain(admitted).chain(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::lease::Profile;

    fn node(n: u128) -> NodeId {
        NodeId(Uuid::from_u128(n))
    }

    fn boot(n: u128) -> BootId {
        BootId(Uuid::from_u128(n))
    }

    fn armed(n: u128, b: u128) -> Change {
        let times = Profile::Fast.times();
        Change::Armed { node: node(n), boot: boot(b), times, addresses: Vec::new() }
    }

    #[test]
    fn a_fenced_node_stays_open_until_it_is_armed_anew() {
        let mut state = Adopted::default();
        state.apply(&armed(1, 10));
        assert_eq!(state.voters().len(), 1);
        state.apply(&Change::Intent { node: node(1), boot: boot(10) });
        assert!(state.voters().is_empty());
        assert!(!state.may_run_guests(node(1), boot(10)));
        state.apply(&armed(1, 11));
        assert!(state.may_run_guests(node(1), boot(11)));
        assert!(!state.may_run_guests(node(1), boot(10)));
    }

    #[test]
    fn a_node_in_maintenance_is_held_until_that_is_over_whatever_else_is_armed() {
        let mut state = Adopted::default();
        state.apply(&armed(1, 10));
        state.apply(&armed(2, 20));
        state.apply(&Change::Maintained { node: node(1) });
        state.apply(&Change::Disarmed { node: node(2) });
        state.apply(&Change::AllDisarmed);
        state.apply(&Change::AllArmWanted);
        assert!(state.is_held(node(1)) && !state.is_held(node(2)));
        let mut copy = Adopted::default();
        state.as_changes().iter().for_each(|change| copy.apply(change));
        assert_eq!(copy, state);
        state.apply(&Change::ArmWanted { node: node(1) });
        assert!(!state.is_held(node(1)));
    }

    #[test]
    fn a_disarmed_node_is_held_until_somebody_wants_it_armed() {
        let mut state = Adopted::default();
        state.apply(&armed(1, 10));
        state.apply(&Change::Disarmed { node: node(1) });
        assert!(state.is_held(node(1)) && !state.is_armed(node(1), boot(10)));
        state.apply(&Change::ArmWanted { node: node(1) });
        assert!(!state.is_held(node(1)));
    }

    #[test]
    fn a_state_rebuilt_from_its_changes_is_the_same() {
        let mut state = Adopted::default();
        state.apply(&armed(1, 10));
        state.apply(&armed(2, 20));
        state.apply(&Change::Admitted { node: node(3), boot: boot(30) });
        state.apply(&Change::Intent { node: node(2), boot: boot(20) });
        state.apply(&armed(4, 40));
        state.apply(&Change::Disarmed { node: node(4) });
        let mut rebuilt = Adopted::default();
        state.as_changes().iter().for_each(|change| rebuilt.apply(change));
        assert_eq!(rebuilt, state);
    }

    /// Any change about one of three nodes.
    fn change(kind: u8, n: u128, b: u128) -> Change {
        let (node, boot) = (node(n), boot(b));
        match kind {
            0 => armed(n, b),
            1 => Change::Admitted { node, boot },
            2 => Change::Disarmed { node },
            3 => Change::AllDisarmed,
            4 => Change::Intent { node, boot },
            5 => Change::Cancelled { node },
            6 => Change::ArmWanted { node },
            7 => Change::AllArmWanted,
            8 => Change::AllHeldOver,
            9 => Change::Drill { node, boot },
            _ => Change::Maintained { node },
        }
    }

    proptest::proptest! {
        /// Snapshots rest on it, and E2 where a history begins with one.
        #[test]
        fn whatever_happened_its_changes_rebuild_the_state(all in proptest::collection::vec((0..11_u8, 1..4_u128, 1..4_u128), 0..40)) {
            let mut state = Adopted::default();
            all.iter().for_each(|(kind, n, b)| state.apply(&change(*kind, *n, *b)));
            let mut rebuilt = Adopted::default();
            state.as_changes().iter().for_each(|change| rebuilt.apply(change));
            proptest::prop_assert_eq!(rebuilt, state);
        }
    }
}
