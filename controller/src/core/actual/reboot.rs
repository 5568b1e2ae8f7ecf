//! A VM that nobody runs: its record, and, where the policy says so, a hard reboot through Nova. One POST for each committed
//! entry, by the leader that proposed it; whatever Nova answers, the lists show what came of it.

use std::time::Duration;

use fencing::NodeId;
use mutants::{Mutant, is_on};
use uuid::Uuid;

use super::Question;
use super::compare::{Finding, Key, Problem};
use crate::core::leading::Asked;
use crate::core::recover::outcome;
use crate::core::{Controller, Missing};
use crate::effect::Effect;
use crate::guard::minutes;
use crate::nova::{Call, Reply, Written};
use crate::registry::{Command, Crash, Node};

/// What a census and Nova said before a reboot is at most this old.
const GROUNDS_FRESH: Duration = Duration::from_secs(15);
/// The next VM is rebooted after this time at the earliest.
const ONE_AT_A_TIME: Duration = Duration::from_secs(20);
/// Longest wait between two reboots of one VM, in minutes; the first is one, and each is twice the one before.
const LONGEST_WAIT: u64 = 8;
/// Entries of records that are forgotten at once.
const MOST_REAPED: usize = 50;

/// What keeps a VM from being rebooted.
enum Waits {
    /// It is not its turn.
    Turn,
    /// A human must look: told once.
    Human(String),
}

impl Controller {
    /// A confirmed finding: keeps its record, and reboots it where that is wanted.
    pub(super) fn follow_missing(&mut self, key: Key, finding: &Finding, out: &mut Vec<Effect>) {
        let Some(boot) = self.registry.node(key.node).and_then(Node::serving_boot) else { return };
        let open =
            self.registry.crashes().get(&key.vm).filter(|crash| {
                crash.over.is_none() && crash.node == key.node && crash.boot == boot
            });
        let Some(crash) = open.cloned() else {
            let name = self.name_of_vm(key.vm);
            let missed = Command::Missed { node: key.node, boot, vm: key.vm, name };
            self.propose_once(missed, out);
            return;
        };
        if self.settings.recovery.actual.missing != Missing::Reboot {
            return;
        }
        match self.may_reboot(key, &crash) {
            Ok(()) => self.prepare_reboot(key, finding, &crash, out),
            Err(Waits::Turn) => {}
            Err(Waits::Human(text)) => self.tell_actual_once(text, out),
        }
    }

    /// What is asked before anything is read for it.
    fn may_reboot(&self, key: Key, crash: &Crash) -> Result<(), Waits> {
        let policy = self.settings.recovery.actual;
        let Some(leading) = &self.leading else { return Err(Waits::Turn) };
        if self.registry.disarmed().is_some() {
            return Err(Waits::Turn);
        }
        let recent = crash.reboots_since(self.registry.minute(), minutes(policy.within));
        if recent >= policy.give_up {
            return Err(Waits::Human(format!(
                "{} was rebooted {recent} times and does not stay up: given up. Look at its console and its disks",
                crash.name
            )));
        }
        let wait =
            1_u64.checked_shl(recent.saturating_sub(1)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        let last = crash.reboots.last().copied();
        if recent > 0 && last.is_some_and(|last| self.registry.minute() < last.saturating_add(wait))
        {
            return Err(Waits::Turn);
        }
        let just_now = |at: Duration| self.now.saturating_sub(at) < ONE_AT_A_TIME;
        if leading.actual.rebooting.is_some_and(|(_, at)| just_now(at)) {
            return Err(Waits::Turn);
        }
        let missing = leading
            .actual
            .findings
            .keys()
            .filter(|other| other.node == key.node && other.problem == Problem::Missing);
        let missing = missing.count();
        let owned = leading
            .actual
            .owners
            .on(key.node)
            .map_or(0, |(_, owned)| owned.values().filter(|server| server.should_run).count());
        if missing > (owned / 3).max(1) {
            let node = self.name(key.node);
            return Err(Waits::Human(format!(
                "{missing} of {owned} VMs are missing on {node}: none is rebooted, for its list itself is in doubt. Look at \
                 libvirt there"
            )));
        }
        Ok(())
    }

    /// A census of all nodes must find it nowhere, then Nova must say once more that it should run, and that there is a
    /// nova-compute to do it.
    fn prepare_reboot(
        &mut self,
        key: Key,
        finding: &Finding,
        crash: &Crash,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now;
        let stale = |at: Duration| now.saturating_sub(at) > GROUNDS_FRESH;
        let since = finding.census_since.filter(|at| !stale(*at)).unwrap_or(now);
        self.note(key, |finding| finding.census_since = Some(since));
        let Some(census) = self.census_of_all(since) else {
            if is_on(Mutant::M86) {
                self.reboot(key, out);
            } else {
                self.tell_silent(key, crash, out);
            }
            return;
        };
        self.note(key, |finding| finding.silent_since = None);
        let runs_on = census.iter().find(|(_, domains)| domains.contains(&key.vm));
        if let Some((node, _)) = runs_on.filter(|_| !is_on(Mutant::M86)) {
            let text = format!("{} runs on {}: it is not rebooted", crash.name, self.name(*node));
            self.tell_actual_once(text, out);
            self.note(key, |finding| finding.begin_anew(now));
            return;
        }
        if finding.confirmed.is_none_or(|at| at < since) {
            self.ask_about(key);
        } else if finding.compute_up.is_none_or(|at| at < since) {
            self.ask_compute(key);
        } else {
            self.reboot(key, out);
        }
    }

    fn reboot(&mut self, key: Key, out: &mut Vec<Effect>) {
        self.propose_once(Command::Reboot { vm: key.vm }, out);
    }

    /// A node whose agent is silent may run anything.
    fn tell_silent(&mut self, key: Key, crash: &Crash, out: &mut Vec<Effect>) {
        let (now, mut since) = (self.now, self.now);
        self.note(key, |finding| since = *finding.silent_since.get_or_insert(now));
        if now.saturating_sub(since) >= GROUNDS_FRESH * 2 {
            let text = format!(
                "{} is not rebooted before the agents of all nodes say that it runs nowhere: see `hactl vms`",
                crash.name
            );
            self.tell_actual_once(text, out);
        }
    }

    pub(super) fn note(&mut self, key: Key, change: impl FnOnce(&mut Finding)) {
        if let Some(finding) = self.actual().and_then(|actual| actual.findings.get_mut(&key)) {
            change(finding);
        }
    }

    fn ask_compute(&mut self, key: Key) {
        let Some(host) = self.registry.node(key.node).map(|node| node.record.host.clone()) else {
            return;
        };
        if self.actual().is_some_and(|actual| actual.out.insert(key)) {
            self.ask_nova(Asked::Actual(Question::Service(key)), Call::Service { host });
        }
    }

    pub(super) fn service_answered(&mut self, key: Key, reply: Reply) {
        let now = self.now;
        let Some(actual) = self.actual() else { return };
        actual.out.remove(&key);
        if let Reply::Service(Some(service)) = reply
            && service.up
            && !service.forced_down
        {
            self.note(key, |finding| finding.compute_up = Some(now));
        }
    }

    /// A reboot is committed: the leader that proposed it sends the POST. It is looked at as if it had just been found:
    /// what was seen of it before says nothing about the time after.
    pub(in crate::core) fn reboot_committed(&mut self, vm: Uuid) {
        let now = self.now;
        let Some(leading) = &mut self.leading else { return };
        let of_vm =
            |command: &Command| matches!(command, Command::Reboot { vm: known } if *known == vm);
        let ours = leading.begun && leading.proposed.iter().any(|(command, _)| of_vm(command));
        leading.proposed.retain(|(command, _)| !of_vm(command));
        let findings = leading.actual.findings.iter_mut().filter(|(key, _)| key.vm == vm);
        findings.for_each(|(_, finding)| finding.begin_anew(now));
        leading.actual.rebooting = Some((vm, now));
        if ours {
            self.counts.reboots += 1;
            // What it rests on was seen a moment ago, and is good for no longer than that.
            let (asked, call) = (Asked::Actual(Question::Reboot(vm)), Call::Reboot { server: vm });
            self.ask_nova_within(asked, call, GROUNDS_FRESH);
        }
    }

    pub(super) fn reboot_answered(&mut self, vm: Uuid, reply: &Reply, out: &mut Vec<Effect>) {
        let Reply::Written(written) = reply else { return };
        match written {
            Written::Done { .. } => self.counts.reboots_taken += 1,
            Written::Refused(_) | Written::NotSent(_) => self.counts.reboots_refused += 1,
            Written::Unknown(_) => self.counts.reboots_unknown += 1,
        }
        let text = format!("{} hard reboot: {}", self.name_of_vm(vm), outcome(written));
        out.push(match written {
            Written::Refused(_) => Effect::page("actual", text),
            Written::Done { .. } | Written::NotSent(_) | Written::Unknown(_) => {
                Effect::journal("actual", text)
            }
        });
    }

    /// Ends the records of VMs that run again or should not run any more, and forgets those that are over for long.
    pub(super) fn account_for_crashes(&mut self, out: &mut Vec<Effect>) {
        let open = self.registry.crashes().iter().filter(|(_, crash)| crash.over.is_none());
        let over: Vec<(Uuid, String)> =
            open.filter_map(|(vm, crash)| Some((*vm, self.account(*vm, crash)?))).collect();
        for (vm, how) in over {
            self.propose_once(Command::Accounted { vm, how }, out);
        }
        let keep = minutes(self.settings.recovery.actual.keep);
        let old = self.registry.crashes().iter().filter(|(_, crash)| {
            let over = crash.over.as_ref();
            over.is_some_and(|over| self.registry.minute().saturating_sub(over.minute) >= keep)
        });
        let vms: Vec<Uuid> = old.map(|(vm, _)| *vm).take(MOST_REAPED).collect();
        if !vms.is_empty() {
            self.propose_once(Command::Reaped { vms }, out);
        }
    }

    /// How a VM that was missing is accounted for now. One that runs elsewhere while Nova still has it where it was missed
    /// is not.
    fn account(&self, vm: Uuid, crash: &Crash) -> Option<String> {
        let actual = &self.leading.as_ref()?.actual;
        let runs_on = |id: NodeId| {
            let boot = self.registry.node(id).and_then(Node::serving_boot);
            let list = boot.and_then(|boot| actual.lists.fresh(self.now, id, boot));
            list.is_some_and(|list| list.domains.contains_key(&vm))
        };
        let owned = actual.owners.on(crash.node).map(|(_, owned)| owned.get(&vm));
        if !runs_on(crash.node)
            && let Some(server) = owned
        {
            return match server {
                Some(server) if server.should_run || server.busy => None,
                Some(server) => Some(format!("is {} in Nova", server.status)),
                None => Some(format!("is no longer on {} in Nova", self.name(crash.node))),
            };
        }
        let on = self.registry.nodes().keys().copied().find(|id| runs_on(*id))?;
        Some(format!("runs on {}", self.name(on)))
    }

    /// A VM's name, where anything here knows it.
    pub(super) fn name_of_vm(&self, vm: Uuid) -> String {
        let owner = self.leading.as_ref().and_then(|leading| leading.actual.owners.owner(vm));
        let known = owner.map(|(_, server)| server.name.clone());
        let crash = || self.registry.crashes().get(&vm).map(|crash| crash.name.clone());
        known.or_else(crash).unwrap_or_else(|| vm.to_string())
    }
}
