//! Records of VMs that nobody ran although Nova said that they run.

use std::collections::BTreeMap;

use fencing::{BootId, NodeId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Registry;
use super::apply::{At, Outcome, Rejected};

/// Records that are kept at once; more are not made.
const MOST_CRASHES: usize = 1000;
/// Reboots of one VM that are remembered with their minute.
const REBOOTS_KEPT: usize = 16;

/// A VM that was missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// Its name, for people.
    pub name: String,
    /// The node that should run it.
    pub node: NodeId,
    /// The boot of that node.
    pub boot: BootId,
    /// When it was found missing, wall clock in ms. For display.
    pub found_ms: u64,
    /// The registry's minute of each reboot of it, oldest first.
    pub reboots: Vec<u64>,
    /// When it was rebooted last, wall clock in ms. For display.
    pub rebooted_ms: Option<u64>,
    /// Index of the entry that permits its last reboot.
    pub reboot_index: Option<u64>,
    /// How it ended.
    pub over: Option<Over>,
}

/// How a record ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// When, wall clock in ms. For display.
    pub at_ms: u64,
    /// The registry's minute.
    pub minute: u64,
    /// The rest of a sentence that begins with the VM.
    pub how: String,
}

impl Crash {
    /// Reboots within the last `minutes`, seen in the registry's `minute`.
    pub fn reboots_since(&self, minute: u64, minutes: u64) -> u32 {
        let recent = self.reboots.iter().filter(|at| minute.saturating_sub(**at) <= minutes);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }
}

impl Registry {
    /// VMs that were found missing, until their records are reaped.
    pub fn crashes(&self) -> &BTreeMap<Uuid, Crash> {
        &self.crashes
    }

    /// A VM that is missing again keeps the reboots of its older record: it flaps.
    pub(super) fn miss(
        &mut self,
        at: At,
        (node, boot): (NodeId, BootId),
        vm: Uuid,
        name: &str,
    ) -> Outcome {
        if self.known(node)?.serving_boot() != Some(boot) {
            return Err(Rejected("another boot of the node serves"));
        }
        let known = self.crashes.get(&vm);
        if known
            .is_some_and(|crash| crash.over.is_none() && crash.node == node && crash.boot == boot)
        {
            return Err(Rejected("the VM is on record as missing"));
        }
        if known.is_none() && self.crashes.len() >= MOST_CRASHES {
            return Err(Rejected("too many VMs are on record as missing"));
        }
        let crash = Crash {
            name: name.to_owned(),
            node,
            boot,
            found_ms: at.ms,
            reboots: known.map(|crash| crash.reboots.clone()).unwrap_or_default(),
            rebooted_ms: known.and_then(|crash| crash.rebooted_ms),
            reboot_index: None,
            over: None,
        };
        self.crashes.insert(vm, crash);
        Ok(())
    }

    /// One POST of a hard reboot may now be sent.
    pub(super) fn reboot(&mut self, at: At, vm: Uuid) -> Outcome {
        let crash = self.crashes.get(&vm).filter(|crash| crash.over.is_none());
        let crash = crash.ok_or(Rejected("the VM is not missing"))?;
        let node = self.nodes.get(&crash.node).ok_or(Rejected("no such node"))?;
        if self.noop || self.disarmed.is_some() || node.disarmed || node.maintenance.is_some() {
            return Err(Rejected("hands off"));
        }
        if node.incident.is_some() || node.serving_boot() != Some(crash.boot) {
            return Err(Rejected("the node is not in service as it was"));
        }
        let minute = self.minute;
        let Some(crash) = self.crashes.get_mut(&vm) else { return Ok(()) };
        crash.reboots.push(minute);
        if crash.reboots.len() > REBOOTS_KEPT {
            crash.reboots.remove(0);
        }
        crash.rebooted_ms = Some(at.ms);
        crash.reboot_index = Some(at.index);
        Ok(())
    }

    pub(super) fn account(&mut self, at: At, vm: Uuid, how: &str) -> Outcome {
        let minute = self.minute;
        let crash = self.crashes.get_mut(&vm).filter(|crash| crash.over.is_none());
        let crash = crash.ok_or(Rejected("the VM is not missing"))?;
        crash.over = Some(Over { at_ms: at.ms, minute, how: how.to_owned() });
        Ok(())
    }

    /// Records that are over are forgotten.
    pub(super) fn reap(&mut self, vms: &[Uuid]) {
        self.crashes.retain(|vm, crash| crash.over.is_none() || !vms.contains(vm));
    }
}

#[cfg(test)]
mod tests {
    use fencing::ControllerId;
    use fencing::lease::Profile;
    use fencing::sign::KeyPair;
    use fencing::watchdog::Class;

    use super::*;
    use crate::registry::{Command, Enrolment, Entry};

    const NODE: NodeId = NodeId(Uuid::from_u128(1));
    const BOOT: BootId = BootId(Uuid::from_u128(10));
    const VM: Uuid = Uuid::from_u128(7);

    fn commit(registry: &mut Registry, command: Command) -> Outcome {
        let index = registry.index() + 1;
        registry.apply(1, index, &Entry { at_ms: index, by: ControllerId(1), command })
    }

    /// A node that serves, and the VM that it lacks.
    fn missing() -> Registry {
        let mut registry = Registry::default();
        let record = Enrolment {
            name: "node-1".into(),
            host: "compute-1".into(),
            domain: "rack-1".into(),
            cell: String::new(),
            key: KeyPair::from_seed([1; 32]).public(),
            sentinel: Vec::new(),
            gossip: Vec::new(),
            bmc: Vec::new(),
            via: Vec::new(),
        };
        let (times, class) = (Profile::Fast.times(), Class::Hardware);
        for command in [
            Command::Enrol { node: NODE, record: Box::new(record) },
            Command::Armed { node: NODE, boot: BOOT, times, class, n: 0 },
            missed(BOOT),
        ] {
            commit(&mut registry, command).expect("it fits");
        }
        registry
    }

    fn missed(boot: BootId) -> Command {
        Command::Missed { node: NODE, boot, vm: VM, name: "db-1".into() }
    }

    fn reboot(registry: &mut Registry) -> Outcome {
        commit(registry, Command::Reboot { vm: VM })
    }

    #[test]
    fn a_vm_that_is_missing_again_keeps_its_reboots() {
        let mut registry = missing();
        assert_eq!(
            commit(&mut registry, missed(BOOT)),
            Err(Rejected("the VM is on record as missing"))
        );
        reboot(&mut registry).expect("it is missing");
        commit(&mut registry, Command::Minute).expect("always");
        let how = "runs on node-1".to_owned();
        commit(&mut registry, Command::Accounted { vm: VM, how }).expect("it is missing");
        assert_eq!(reboot(&mut registry), Err(Rejected("the VM is not missing")));
        commit(&mut registry, missed(BOOT)).expect("it is missing again");
        let crash = &registry.crashes()[&VM];
        assert_eq!((crash.reboots_since(1, 1), crash.reboots_since(1, 0)), (1, 0));
        assert!(crash.over.is_none() && crash.reboot_index.is_none());
    }

    #[test]
    fn hands_off_means_no_reboot() {
        let work =
            |reason| Command::Maintenance { node: NODE, reason, minutes: None, migrate: None };
        let all = Command::DisarmAll { reason: Some("work".into()), minutes: None };
        for command in [Command::Noop { on: true }, all, work(Some("work".to_owned()))] {
            let mut registry = missing();
            commit(&mut registry, command).expect("it fits");
            assert_eq!(reboot(&mut registry), Err(Rejected("hands off")));
            assert!(registry.crashes()[&VM].reboots.is_empty());
        }
    }

    #[test]
    fn another_boot_of_the_node_is_asked_about_anew() {
        let mut registry = missing();
        let other = BootId(Uuid::from_u128(11));
        assert_eq!(
            commit(&mut registry, missed(other)),
            Err(Rejected("another boot of the node serves"))
        );
        let (times, class) = (Profile::Fast.times(), Class::Hardware);
        let armed = Command::Armed { node: NODE, boot: other, times, class, n: 0 };
        commit(&mut registry, armed).expect("it boots");
        assert_eq!(reboot(&mut registry), Err(Rejected("the node is not in service as it was")));
        commit(&mut registry, missed(other)).expect("the new boot lacks it too");
        reboot(&mut registry).expect("it is missing");
    }

    #[test]
    fn only_records_that_are_over_are_reaped() {
        let mut registry = missing();
        commit(&mut registry, Command::Reaped { vms: vec![VM] }).expect("always");
        assert!(registry.crashes().contains_key(&VM));
        let how = "is SHUTOFF in Nova".to_owned();
        commit(&mut registry, Command::Accounted { vm: VM, how }).expect("it is missing");
        commit(&mut registry, Command::Reaped { vms: vec![VM] }).expect("always");
        assert!(registry.crashes().is_empty());
    }
}
