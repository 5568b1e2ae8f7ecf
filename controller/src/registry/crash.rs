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
