//! Stray copies that may be ended: one entry for each order.

use std::collections::BTreeMap;

use fencing::{BootId, NodeId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Registry;
use super::apply::{At, Outcome, Rejected};
use super::node::Node;

/// Entries that are remembered; the oldest goes first.
const MOST_STRAYS: usize = 100;

/// A stray copy of which one may be ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// The node that runs it.
    pub node: NodeId,
    /// The boot of that node.
    pub boot: BootId,
    /// The node that Nova has the VM on, and that runs it.
    pub owner: NodeId,
    /// When, wall clock in ms. For display.
    pub at_ms: u64,
    /// Index of the entry that permits it.
    pub index: u64,
}

impl Registry {
    /// Stray copies that were, or are to be, ended, by their VM.
    pub fn strays(&self) -> &BTreeMap<Uuid, Stray> {
        &self.strays
    }

    /// One order to end the copy on that node may now be signed.
    pub(super) fn end_stray(
        &mut self,
        at: At,
        vm: Uuid,
        (node, boot): (NodeId, BootId),
        owner: NodeId,
    ) -> Outcome {
        let in_service = |id: NodeId| {
            let known = self.nodes.get(&id).ok_or(Rejected("no such node"))?;
            let hands_off = known.disarmed || known.maintenance.is_some();
            if known.incident.is_some() || hands_off || known.serving_boot().is_none() {
                return Err(Rejected("a node of the two is not in service"));
            }
            Ok::<&Node, Rejected>(known)
        };
        if self.noop || self.disarmed.is_some() {
            return Err(Rejected("hands off"));
        }
        if in_service(node)?.serving_boot() != Some(boot) {
            return Err(Rejected("another boot of the node serves"));
        }
        in_service(owner)?;
        if owner == node {
            return Err(Rejected("Nova has it on that very node"));
        }
        if self.strays.len() >= MOST_STRAYS
            && let Some(oldest) = self.strays.iter().min_by_key(|(_, s)| s.index).map(|(vm, _)| *vm)
        {
            self.strays.remove(&oldest);
        }
        let (at_ms, index) = (at.ms, at.index);
        self.strays.insert(vm, Stray { node, boot, owner, at_ms, index });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fencing::ControllerId;
    use fencing::sign::KeyPair;

    use super::*;
    use crate::registry::{Command, Enrolment, Entry};

    const BOOT: BootId = BootId(Uuid::from_u128(10));
    const VM: Uuid = Uuid::from_u128(7);

    fn node(number: u128) -> NodeId {
        NodeId(Uuid::from_u128(number))
    }

    fn commit(registry: &mut Registry, command: Command) -> Outcome {
        let index = registry.index() + 1;
        registry.apply(1, index, &Entry { at_ms: index, by: ControllerId(1), command })
    }

    fn serving() -> Registry {
        let mut registry = Registry::default();
        for number in [1, 2] {
            let record = Enrolment {
                name: format!("node-{number}"),
                host: format!("compute-{number}"),
                domain: "rack-1".into(),
                cell: String::new(),
                key: KeyPair::from_seed([1; 32]).public(),
                sentinel: Vec::new(),
                gossip: Vec::new(),
                bmc: Vec::new(),
                via: Vec::new(),
            };
            let enrol = Command::Enrol { node: node(number), record: Box::new(record) };
            commit(&mut registry, enrol).expect("it fits");
            let admit = Command::Admitted { node: node(number), boot: BOOT };
            commit(&mut registry, admit).expect("it fits");
        }
        registry
    }

    fn destroy(registry: &mut Registry, on: u128, boot: BootId, owner: u128) -> Outcome {
        let (node, owner) = (node(on), node(owner));
        commit(registry, Command::EndStray { node, boot, vm: VM, owner, name: "db-1".into() })
    }

    #[test]
    fn two_nodes_in_service_and_this_boot_are_wanted() {
        let mut registry = serving();
        destroy(&mut registry, 1, BOOT, 2).expect("both serve");
        assert_eq!(registry.strays()[&VM].index, registry.index());
        let other = BootId(Uuid::from_u128(11));
        destroy(&mut registry, 1, other, 2).expect_err("another boot");
        destroy(&mut registry, 1, BOOT, 1).expect_err("its own node");
        destroy(&mut registry, 1, BOOT, 3).expect_err("nobody knows that node");
    }

    #[test]
    fn hands_off_means_no_order() {
        let all = Command::DisarmAll { reason: Some("work".into()), minutes: None };
        for command in [Command::Noop { on: true }, all] {
            let mut registry = serving();
            commit(&mut registry, command).expect("it fits");
            assert_eq!(destroy(&mut registry, 1, BOOT, 2), Err(Rejected("hands off")));
            assert!(registry.strays().is_empty());
        }
    }
}
