//! What this leader has read of the cloud as a whole: room of the hosts, aggregates, server groups. One list for all
//! recoveries, read again while it is needed and older than it may be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fencing::IncidentId;
use uuid::Uuid;

use super::leading::Asked;
use crate::core::Controller;
use crate::effect::Effect;
use crate::nova::{
    AggregateRecord, Call, GroupRecord, HypervisorRecord, ReadFailure, Reply, ServerRecord,
};
use crate::policy::{Decision, Subject};
use crate::registry::{Before, Incident};

/// Lists that a plan rests on may be so old.
const PLAN_FRESH: Duration = Duration::from_secs(60);
/// Pause after a list could not be read.
const AGAIN: Duration = Duration::from_secs(2);

/// A list of the whole cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    /// Room of the hosts.
    Hypervisors,
    /// Aggregates.
    Aggregates,
    /// Server groups.
    Groups,
}

impl List {
    const ALL: [List; 3] = [List::Hypervisors, List::Aggregates, List::Groups];

    fn call(self) -> Call {
        match self {
            List::Hypervisors => Call::Hypervisors,
            List::Aggregates => Call::Aggregates,
            List::Groups => Call::Groups,
        }
    }

    fn what_lacks(self) -> &'static str {
        match self {
            List::Hypervisors => "destinations are chosen by turns, not by their room",
            List::Aggregates => "rules of the policy about aggregates hold for no VM",
            List::Groups => "members of anti-affinity groups are not kept apart by us",
        }
    }
}

/// What was read, and when.
#[derive(Debug, Default)]
pub(super) struct CloudView {
    /// Room of the hosts.
    pub(super) hypervisors: Vec<HypervisorRecord>,
    /// Aggregates.
    pub(super) aggregates: Vec<AggregateRecord>,
    /// Server groups.
    pub(super) groups: Vec<GroupRecord>,
    /// VMs that came to a host since its room was read: host and MiB.
    pub(super) landed: Vec<(String, u64)>,
    /// When a VM was last ordered to a host.
    pub(super) ordered: Option<Duration>,
    read_at: BTreeMap<List, Duration>,
    out: BTreeSet<List>,
    not_before: BTreeMap<List, Duration>,
    /// Lists that Nova refuses to show: recoveries go on without.
    refused: BTreeSet<List>,
}

impl CloudView {
    /// The availability zone of a host, where an aggregate says one.
    pub(super) fn zone(&self, host: &str) -> Option<&str> {
        let own = self.aggregates.iter().filter(|aggregate| aggregate.hosts.contains(host));
        own.filter_map(|aggregate| aggregate.zone.as_deref()).next()
    }
}

impl Controller {
    /// Reads the lists on which plans rest, where they are too old. Whether they are all there, or refused.
    pub(super) fn cloud_is_known(&mut self) -> bool {
        let known = List::ALL.map(|list| self.list_is_fresh(list, PLAN_FRESH));
        let images = self.images_are_known();
        images && known.into_iter().all(|known| known)
    }

    /// Whether a list is at most so old, or refused; otherwise it is read now.
    pub(super) fn list_is_fresh(&mut self, list: List, age: Duration) -> bool {
        let now = self.now;
        let Some(leading) = &mut self.leading else { return false };
        let view = &mut leading.cloud;
        let fresh = view.read_at.get(&list).is_some_and(|at| now.saturating_sub(*at) < age);
        if fresh || view.refused.contains(&list) {
            return true;
        }
        let paused = view.not_before.get(&list).is_some_and(|at| *at > now);
        if !paused && view.out.insert(list) {
            self.ask_nova(Asked::Cloud(list), list.call());
        }
        false
    }

    /// Nova answered with a list, or did not.
    pub(super) fn list_answered(&mut self, list: List, reply: Reply, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(leading) = &mut self.leading else { return };
        let view = &mut leading.cloud;
        view.out.remove(&list);
        match reply {
            Reply::Hypervisors(rows) => {
                view.hypervisors = rows;
                view.landed.clear();
            }
            Reply::Aggregates(rows) => view.aggregates = rows,
            Reply::Groups(rows) => view.groups = rows,
            Reply::ReadFailed(ReadFailure::Unavailable(_)) => {
                view.not_before.insert(list, now + AGAIN);
                return;
            }
            Reply::ReadFailed(ReadFailure::NoRight(why) | ReadFailure::NotNova(why)) => {
                view.refused.insert(list);
                let text = format!("{} cannot be done: {why}; {}", list.call(), list.what_lacks());
                out.push(Effect::page("nova", text));
                return;
            }
            Reply::Service(_)
            | Reply::Services(_)
            | Reply::Servers(_)
            | Reply::Server(_)
            | Reply::Migrations(_)
            | Reply::Actions(_)
            | Reply::Images(_)
            | Reply::Written(_) => return,
        }
        view.read_at.insert(list, now);
    }

    /// A VM runs on a host now: its room, as it was read, is less by that.
    pub(super) fn landed(&mut self, incident: IncidentId, vm: Uuid, host: &str) {
        let known = self.registry.incidents().get(&incident).and_then(|known| known.vms.get(&vm));
        let Some(memory) = known.map(|vm| vm.before.memory_mib) else { return };
        if let Some(leading) = &mut self.leading {
            leading.cloud.landed.push((host.to_owned(), memory));
        }
    }

    /// A VM as it is planned: what it was, and what the policy says of it.
    pub(super) fn before(&self, incident: &Incident, server: &ServerRecord) -> Before {
        let groups = self.leading.iter().flat_map(|leading| &leading.cloud.groups);
        let apart =
            groups.filter(|group| group.keeps_apart() && group.members.contains(&server.id));
        Before {
            name: server.name.clone(),
            vm_state: server.vm_state.clone(),
            task_state: server.task_state.clone(),
            memory_mib: server.labels.memory_mib,
            zone: server.labels.zone.clone(),
            apart: apart.map(|group| group.id).collect(),
            treatment: self.decision(&self.host(incident).unwrap_or_default(), server).treatment,
        }
    }

    /// What the policy says of a server.
    pub(super) fn decision(&self, host: &str, server: &ServerRecord) -> Decision {
        let aggregates = self.leading.as_ref().map(|leading| leading.cloud.aggregates.as_slice());
        let subject = Subject {
            server: server.id,
            labels: &server.labels,
            host,
            aggregates: aggregates.unwrap_or_default(),
            image: self.image_label(&server.labels),
        };
        self.settings.recovery.policy.decide(&subject)
    }
}
