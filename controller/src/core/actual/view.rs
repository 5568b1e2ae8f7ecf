//! Which VMs run where, for operators, and what was counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fencing::NodeId;
use uuid::Uuid;

use super::compare::Problem;
use crate::core::Controller;
use crate::registry::{Crash, Node};

/// What a controller has counted since its core began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams of agents' lists that came in.
    pub lists_received: u64,
    /// Those after which what runs on a node was known anew; only a leader uses them.
    pub lists_used: u64,
    /// VMs found missing, confirmed by Nova.
    pub missing: u64,
    /// Copies found that should not run, confirmed by Nova.
    pub stray: u64,
    /// Reboots sent, or on their way.
    pub reboots: u64,
    /// Those that Nova took on.
    pub reboots_taken: u64,
    /// Those that Nova refused, or that never left.
    pub reboots_refused: u64,
    /// Those whose outcome nobody was told.
    pub reboots_unknown: u64,
}

impl Controller {
    /// Every VM that Nova has on a node, or that runs on one, as this leader knows it.
    pub fn vms(&self, now: Duration) -> api::Vms {
        let nodes = self.registry.nodes();
        let nodes = nodes.iter().map(|(id, node)| self.list_view(now, *id, node)).collect();
        let mut vms: Vec<_> =
            self.known_vms(now).into_iter().map(|vm| self.running_view(now, vm)).collect();
        vms.sort_by(|a, b| (&a.host, &a.name, a.id).cmp(&(&b.host, &b.name, b.id)));
        let collected =
            self.leading.as_ref().is_some_and(|leading| leading.actual.owners.has_passed());
        api::Vms { collected, nodes, vms }
    }

    pub(in crate::core) fn counts_view(&self) -> api::Actual {
        let counts = &self.counts;
        api::Actual {
            lists_received: counts.lists_received,
            lists_used: counts.lists_used,
            missing: counts.missing,
            stray: counts.stray,
            reboots: counts.reboots,
            reboots_taken: counts.reboots_taken,
            reboots_refused: counts.reboots_refused,
            reboots_unknown: counts.reboots_unknown,
        }
    }

    fn known_vms(&self, now: Duration) -> BTreeSet<Uuid> {
        let mut vms: BTreeSet<Uuid> = self.registry.crashes().keys().copied().collect();
        for (id, node) in self.registry.nodes() {
            let Some(leading) = &self.leading else { break };
            let actual = &leading.actual;
            vms.extend(actual.owners.on(*id).into_iter().flat_map(|(_, owned)| owned.keys()));
            let boot = node.serving_boot();
            let list = boot.and_then(|boot| actual.lists.fresh(now, *id, boot));
            vms.extend(list.into_iter().flat_map(|list| list.domains.keys()));
        }
        vms
    }

    fn list_view(&self, now: Duration, id: NodeId, node: &Node) -> api::ListOfNode {
        let actual = self.leading.as_ref().map(|leading| &leading.actual);
        let list = actual.zip(node.serving_boot());
        let list = list.and_then(|(actual, boot)| actual.lists.fresh(now, id, boot));
        let read = actual.and_then(|actual| actual.owners.on(id)).map(|(at, _)| *at);
        let age = |at: Duration| now.saturating_sub(at).as_secs_f64();
        api::ListOfNode {
            node: node.record.name.clone(),
            listed_s: list.map(|list| age(list.at)),
            cut: list.is_some_and(|list| list.cut),
            nova_s: read.map(age),
        }
    }

    fn running_view(&self, now: Duration, vm: Uuid) -> api::RunningVm {
        let actual = self.leading.as_ref().map(|leading| &leading.actual);
        let owner = actual.and_then(|actual| actual.owners.owner(vm));
        let (mut runs_on, mut seen) = (Vec::new(), None);
        for (id, node) in self.registry.nodes() {
            let list = actual.zip(node.serving_boot());
            let list = list.and_then(|(actual, boot)| actual.lists.fresh(now, *id, boot));
            let Some(list) = list else { continue };
            if let Some(domain) = list.domains.get(&vm) {
                runs_on.push(node.record.name.clone());
                seen = Some((list.at, *domain));
            }
        }
        let crash = self.registry.crashes().get(&vm);
        let domain = seen.map(|(_, domain)| domain);
        api::RunningVm {
            id: vm,
            name: owner
                .map(|(_, server)| server.name.clone())
                .or_else(|| Some(crash?.name.clone())),
            project: owner.map(|(_, server)| server.project.clone()),
            host: owner.map(|(node, _)| self.name(node)),
            status: owner.map(|(_, server)| server.status.clone()),
            runs_on,
            cpu_s: domain.and_then(|domain| domain.cpu_ms).map(|ms| ms as f64 / 1000.0),
            memory_mib: domain.and_then(|domain| domain.memory_mib).map(u64::from),
            disk_mib: domain.and_then(|domain| domain.disk_mib).map(u64::from),
            seen_s: seen.map(|(at, _)| now.saturating_sub(at).as_secs_f64()),
            problem: self.problem_view(vm),
            crash: crash.map(crash_view),
        }
    }

    /// What Nova has confirmed of it.
    fn problem_view(&self, vm: Uuid) -> Option<String> {
        let findings = &self.leading.as_ref()?.actual.findings;
        let of_vm = findings.iter().filter(|(key, found)| key.vm == vm && found.told.is_some());
        let words: BTreeMap<Problem, String> = of_vm
            .map(|(key, _)| {
                let what = match key.problem {
                    Problem::Missing => "missing on",
                    Problem::Stray => "stray copy on",
                };
                (key.problem, format!("{what} {}", self.name(key.node)))
            })
            .collect();
        (!words.is_empty()).then(|| words.into_values().collect::<Vec<_>>().join(", "))
    }
}

fn crash_view(crash: &Crash) -> api::Crash {
    api::Crash {
        found_ms: crash.found_ms,
        reboots: u32::try_from(crash.reboots.len()).unwrap_or(u32::MAX),
        rebooted_ms: crash.rebooted_ms,
        over_ms: crash.over.as_ref().map(|over| over.at_ms),
        how: crash.over.as_ref().map(|over| over.how.clone()),
    }
}
