//! Where a VM goes. A scheduler that is asked for many at once weighs what hosts wrote last, and sends them all to one;
//! so each is sent to a host by name: one that is known to be well, by its room, and not too many at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fencing::NodeId;
use uuid::Uuid;

use super::leading::PROPOSE_AGAIN;
use crate::core::Controller;
use crate::nova::ServiceRecord;
use crate::registry::{Command, Incident, Node, Vm};

/// A host that could take a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// Nova's name.
    pub(super) name: String,
    /// Nobody could be asked there whether the VM runs: it is no node of ours, or does not serve.
    pub(super) strange: bool,
    /// It is in another availability zone than the VM.
    pub(super) other_zone: bool,
    /// MiB of it, and of those in use or promised; unknown where Nova does not say.
    pub(super) room: Option<(u64, u64)>,
    /// VMs of ours that went there or are on their way.
    pub(super) taken: usize,
    /// VMs on their way there.
    pub(super) in_flight: usize,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This one.
    Named {
        /// Nova's name.
        host: String,
        /// By its figures it has no room, and the others have less.
        full: bool,
    },
    /// There are some, and as many VMs as may be are on their way to each.
    Busy,
    /// There are some, and each is suspected just now.
    Suspected,
    /// There is none.
    Nowhere,
}

/// Of the hosts with a free slot the best: one that has not said before that it has no room, that is ours, in the same
/// zone, has room, and would be the least filled.
pub(super) fn choose(hosts: &[Host], memory_mib: u64, no_room: &[String], window: usize) -> Place {
    let rank = |host: &&Host| {
        let refused = no_room.iter().position(|name| *name == host.name).map_or(0, |at| at + 1);
        let full = is_full(host, memory_mib);
        let filled = host
            .room
            .map_or(u64::MAX, |(all, used)| (used + memory_mib).saturating_mul(1000) / all.max(1));
        (refused, host.strange, full, host.other_zone, filled, host.taken, host.name.clone())
    };
    let free = hosts.iter().filter(|host| host.in_flight < window);
    match free.min_by_key(rank) {
        // To wait for a slot elsewhere is better than to be refused again, or to be sent where no room is.
        Some(host) if no_room.contains(&host.name) || is_full(host, memory_mib) => {
            let better = hosts.iter().any(|other| {
                !no_room.contains(&other.name) && !is_full(other, memory_mib) && !other.strange
            });
            if better { Place::Busy } else { Place::Named { host: host.name.clone(), full: true } }
        }
        Some(host) => Place::Named { host: host.name.clone(), full: false },
        None if hosts.is_empty() => Place::Nowhere,
        None => Place::Busy,
    }
}

/// How many may begin now: one for each host at once; then the more are on their way, the later the next. `since` is the
/// time since the last one began.
fn may_begin(hosts: usize, on_their_way: usize, since: Duration, gap: Duration) -> usize {
    if gap.is_zero() {
        return usize::MAX;
    }
    if on_their_way < hosts {
        return hosts - on_their_way;
    }
    let turns = u32::try_from(on_their_way / hosts.max(1)).unwrap_or(u32::MAX);
    let wait = gap.saturating_mul(turns) / u32::try_from(hosts.max(1)).unwrap_or(u32::MAX);
    usize::from(since >= wait)
}

fn is_full(host: &Host, memory_mib: u64) -> bool {
    host.room.is_some_and(|(all, used)| used + memory_mib > all)
}

impl Controller {
    /// Where a VM of an incident can go now.
    pub(super) fn destination(&mut self, incident: &Incident, vm: Uuid, known: &Vm) -> Place {
        let Some(source) = self.host(incident) else { return Place::Nowhere };
        let services = self.work(incident.id).and_then(|work| work.services.clone());
        let Some((_, services)) = services else { return Place::Busy };
        let able: Vec<&str> = self.able(incident, &source, &services).collect();
        if able.is_empty() {
            return Place::Nowhere;
        }
        let suspected = self.suspected(NodeId(Uuid::nil()));
        let is_suspected =
            |host: &str| self.node_of_host(host).is_some_and(|(node, _)| suspected.contains(&node));
        let well: Vec<&str> = able.into_iter().filter(|host| !is_suspected(host)).collect();
        if well.is_empty() {
            return Place::Suspected;
        }
        let meets = self.hosts_of_group(vm, known);
        let apart: Vec<&str> = well.iter().copied().filter(|host| !meets.contains(*host)).collect();
        // Where only hosts of its group are left, Nova says whether it may meet them; if not, nothing has happened.
        let well = if apart.is_empty() { well } else { apart };
        let hosts = self.hosts(&well, &known.before.zone);
        choose(
            &hosts,
            known.before.memory_mib,
            &known.no_room,
            self.settings.recovery.pace.destination,
        )
    }

    /// How many more VMs could be on their way to the hosts that can take some of these incidents.
    pub(super) fn free_slots(&self, moving: &[Arc<Incident>]) -> usize {
        let suspected = self.suspected(NodeId(Uuid::nil()));
        let mut hosts: BTreeSet<&str> = BTreeSet::new();
        for incident in moving {
            let Some(source) = self.host(incident) else { continue };
            hosts.extend(self.able(incident, &source, self.services_of(incident)));
        }
        let is_well = |host: &&str| {
            self.node_of_host(host).is_none_or(|(node, _)| !suspected.contains(&node))
        };
        let hosts: Vec<&str> = hosts.into_iter().filter(is_well).collect();
        let (taken, pace) = (self.taken(), self.settings.recovery.pace);
        let there = |host: &&str| taken.get(*host).map_or(0, |taken| taken.in_flight);
        let on_their_way = hosts.iter().map(there).sum();
        let free = hosts.iter().map(|host| pace.destination.saturating_sub(there(host))).sum();
        let ordered = self.leading.as_ref().and_then(|leading| leading.cloud.ordered);
        let since = ordered.map_or(Duration::MAX, |at| self.now.saturating_sub(at));
        may_begin(hosts.len(), on_their_way, since, pace.gap).min(free)
    }

    /// Whether any host at all could take VMs of an incident, if not now.
    pub(super) fn is_anything_able(&self, incident: &Incident) -> bool {
        let source = self.host(incident).unwrap_or_default();
        self.able(incident, &source, self.services_of(incident)).next().is_some()
    }

    /// Services as they were last read for an incident.
    fn services_of(&self, incident: &Incident) -> &[ServiceRecord] {
        let work = self.leading.as_ref().and_then(|leading| leading.works.get(&incident.id));
        work.and_then(|work| work.services.as_ref()).map_or(&[], |(_, services)| services)
    }

    /// Hosts that Nova would use, in the source's cell, without an incident or maintenance of their own.
    pub(super) fn able<'a>(
        &self,
        incident: &Incident,
        source: &str,
        services: &'a [ServiceRecord],
    ) -> impl Iterator<Item = &'a str> {
        let troubled: BTreeSet<String> =
            self.registry.open_incidents().filter_map(|open| self.host(open)).collect();
        let cell = |node: &Node| node.record.cell.clone();
        let own_cell = self.registry.node(incident.node).map(cell).unwrap_or_default();
        let fits = move |service: &&ServiceRecord| {
            let node = self.node_of_host(&service.host).map(|(_, node)| node);
            let in_cell = node.map_or(own_cell.is_empty(), |node| cell(node) == own_cell);
            let in_work = node.is_some_and(|node| node.maintenance.is_some());
            service.up
                && service.enabled
                && !service.forced_down
                && service.host != source
                && !troubled.contains(&service.host)
                && in_cell
                && !in_work
        };
        services.iter().filter(fits).map(|service| service.host.as_str())
    }

    /// The node of ours that Nova knows by this name.
    pub(super) fn node_of_host(&self, host: &str) -> Option<(NodeId, &Node)> {
        let mut nodes = self.registry.nodes().iter();
        nodes.find(|(_, node)| node.record.host == host).map(|(id, node)| (*id, node))
    }

    /// Why the VMs of a node that still answers somewhere would not fit elsewhere in its cell; `None` for a node that is
    /// dead, or where Nova has not said lately how much room there is.
    pub(super) fn no_room_for(&self, node: NodeId, suspected: &[NodeId]) -> Option<String> {
        let known = self.registry.node(node)?;
        let answers = |sight: &crate::detect::Sight| {
            matches!(sight.reach(node), Some((action_matrix::Reach::Up, _)))
        };
        let view = self.leading.as_ref().map(|leading| &leading.cloud)?;
        let own = view.hypervisors.iter().find(|host| host.host == known.record.host)?;
        if !self.sights.iter().any(answers) {
            return None;
        }
        let can_take = |id: NodeId, other: &Node| {
            id != node
                && other.record.cell == known.record.cell
                && other.incident.is_none()
                && other.maintenance.is_none()
                && other.serving_boot().is_some()
                && !suspected.contains(&id)
        };
        let others = view.hypervisors.iter().filter(|host| {
            self.node_of_host(&host.host).is_some_and(|(id, other)| can_take(id, other))
        });
        let free: u64 =
            others.map(|host| host.memory_mib.saturating_sub(host.memory_used_mib)).sum();
        (own.memory_used_mib > free).then(|| {
            format!("its VMs use {} MiB and {free} MiB are free elsewhere", own.memory_used_mib)
        })
    }

    fn hosts(&self, names: &[&str], zone: &str) -> Vec<Host> {
        let taken = self.taken();
        let view = self.leading.as_ref().map(|leading| &leading.cloud);
        let host = |name: &&str| {
            let taken = taken.get(*name);
            let record = view.and_then(|view| view.hypervisors.iter().find(|h| h.host == **name));
            let landed: u64 = view.map_or(0, |view| {
                let here = view.landed.iter().filter(|(host, _)| host == *name);
                here.map(|(_, mib)| mib).sum()
            });
            let coming = landed + taken.map_or(0, |taken| taken.memory_mib);
            let other_zone = view
                .and_then(|view| view.zone(name))
                .is_some_and(|own| !zone.is_empty() && own != zone);
            Host {
                name: (*name).to_owned(),
                strange: self
                    .node_of_host(name)
                    .is_none_or(|(_, node)| node.serving_boot().is_none()),
                other_zone,
                room: record.map(|record| (record.memory_mib, record.memory_used_mib + coming)),
                taken: taken.map_or(0, |taken| taken.vms),
                in_flight: taken.map_or(0, |taken| taken.in_flight),
            }
        };
        names.iter().map(host).collect()
    }

    /// Where VMs of all recoveries went or are on their way to. Attempts that were proposed in this very moment count
    /// too, or all would go to one host.
    fn taken(&self) -> BTreeMap<String, Taken> {
        let mut taken: BTreeMap<String, Taken> = BTreeMap::new();
        for incident in self.registry.open_incidents().filter(|incident| incident.planned) {
            for vm in incident.vms.values() {
                let Some(host) = vm.destination() else { continue };
                let entry = taken.entry(host.to_owned()).or_default();
                entry.vms += 1;
                if vm.in_flight() {
                    entry.in_flight += 1;
                    entry.memory_mib += vm.before.memory_mib;
                }
            }
        }
        for (vm, host) in self.proposed_attempts() {
            let Some(host) = host else { continue };
            let entry = taken.entry(host.to_owned()).or_default();
            entry.vms += 1;
            entry.in_flight += 1;
            entry.memory_mib += vm.before.memory_mib;
        }
        taken
    }

    /// Attempts that this leader proposed and that are not committed yet.
    pub(super) fn proposed_attempts(&self) -> impl Iterator<Item = (&Vm, Option<&str>)> {
        let now = self.now;
        let proposed = self.leading.iter().flat_map(|leading| &leading.proposed);
        let proposed = proposed.filter(move |(_, at)| now.saturating_sub(*at) < PROPOSE_AGAIN);
        proposed.filter_map(|(command, _)| {
            let Command::Attempt { incident, vm, destination } = command else { return None };
            let known = self.registry.incidents().get(incident)?.vms.get(vm)?;
            let unseen = known.progress == crate::registry::Progress::Waiting;
            unseen.then_some((known, destination.as_deref()))
        })
    }

    /// VMs of an incident of which such an attempt was proposed.
    pub(super) fn proposed_of(&self, id: fencing::IncidentId) -> BTreeSet<Uuid> {
        let now = self.now;
        let proposed = self.leading.iter().flat_map(|leading| &leading.proposed);
        let proposed = proposed.filter(|(_, at)| now.saturating_sub(*at) < PROPOSE_AGAIN);
        let of = proposed.filter_map(|(command, _)| {
            let Command::Attempt { incident, vm, .. } = command else { return None };
            (*incident == id).then_some(*vm)
        });
        of.collect()
    }

    /// Hosts to which other members of the VM's groups went.
    fn hosts_of_group(&self, vm: Uuid, known: &Vm) -> BTreeSet<String> {
        if known.before.apart.is_empty() {
            return BTreeSet::new();
        }
        let incidents = self.registry.open_incidents();
        let vms = incidents.flat_map(|incident| &incident.vms).filter(|(id, _)| **id != vm);
        let meets = |other: &Vm| other.before.apart.iter().any(|g| known.before.apart.contains(g));
        let of_group = vms.filter(|(_, other)| meets(other));
        of_group.filter_map(|(_, other)| other.destination().map(str::to_owned)).collect()
    }
}

/// VMs of ours at a host.
#[derive(Debug, Default)]
struct Taken {
    vms: usize,
    in_flight: usize,
    memory_mib: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(name: &str, all: u64, used: u64) -> Host {
        Host {
            name: name.into(),
            strange: false,
            other_zone: false,
            room: Some((all, used)),
            taken: 0,
            in_flight: 0,
        }
    }

    fn named(place: Place) -> String {
        let Place::Named { host, .. } = place else { panic!("{place:?}") };
        host
    }

    #[test]
    fn the_host_that_would_be_least_filled_is_named() {
        let hosts = [host("a", 1000, 500), host("b", 4000, 500), host("c", 1000, 100)];
        assert_eq!(named(choose(&hosts, 100, &[], 4)), "b");
    }

    #[test]
    fn who_said_that_it_has_no_room_is_asked_last() {
        let hosts = [host("a", 1000, 0), host("b", 1000, 500)];
        assert_eq!(named(choose(&hosts, 100, &["a".into()], 4)), "b");
        let both = ["a".to_owned(), "b".to_owned()];
        assert_eq!(choose(&hosts, 100, &both, 4), Place::Named { host: "a".into(), full: true });
    }

    #[test]
    fn a_full_window_is_waited_for_when_the_others_have_no_room() {
        let busy = Host { in_flight: 4, ..host("a", 1000, 0) };
        assert_eq!(choose(&[busy.clone(), host("b", 1000, 950)], 100, &[], 4), Place::Busy);
        assert_eq!(choose(&[busy], 100, &[], 4), Place::Busy);
        assert_eq!(choose(&[], 100, &[], 4), Place::Nowhere);
    }

    #[test]
    fn one_for_each_host_begins_at_once_and_the_others_in_their_turn() {
        let ms = Duration::from_millis;
        let may = |on_their_way, since| may_begin(3, on_their_way, ms(since), ms(1000));
        assert_eq!((may(0, 0), may(1, 0), may(3, 0)), (3, 2, 0));
        assert_eq!((may(3, 334), may(5, 334), may(6, 334), may(6, 667)), (1, 1, 0, 1));
        assert_eq!(may_begin(3, 7, Duration::ZERO, Duration::ZERO), usize::MAX);
        assert_eq!(may_begin(0, 0, Duration::ZERO, ms(1000)), 1);
    }

    #[test]
    fn a_node_of_ours_in_the_same_zone_comes_first() {
        let strange = Host { strange: true, ..host("a", 9000, 0) };
        let elsewhere = Host { other_zone: true, ..host("b", 9000, 0) };
        let hosts = [strange, elsewhere, host("c", 1000, 800)];
        assert_eq!(named(choose(&hosts, 100, &[], 4)), "c");
    }

    proptest! {
        /// A burst onto equal hosts never differs by more than one, and never exceeds the window.
        #[test]
        fn a_burst_is_spread(hosts in 1..20usize, vms in 1..100usize, window in 1..8usize) {
            let mut all: Vec<Host> = (0..hosts).map(|n| host(&format!("{n:02}"), 100_000, 0)).collect();
            for _ in 0..vms {
                let Place::Named { host, .. } = choose(&all, 512, &[], window) else { break };
                let Some(taken) = all.iter_mut().find(|h| h.name == host) else { break };
                taken.taken += 1;
                taken.in_flight += 1;
                taken.room = taken.room.map(|(all, used)| (all, used + 512));
            }
            let most = all.iter().map(|h| h.in_flight).max().unwrap_or(0);
            let least = all.iter().map(|h| h.in_flight).min().unwrap_or(0);
            prop_assert!(most - least <= 1 && most <= window, "{most} {least}");
            prop_assert_eq!(all.iter().map(|h| h.in_flight).sum::<usize>(), vms.min(hosts * window));
        }

        /// A host is never named while it is known to be full and another with a free slot is not.
        #[test]
        fn room_is_never_overlooked(used in proptest::collection::vec(0..1000u64, 1..10)) {
            let all: Vec<Host> =
                used.iter().enumerate().map(|(n, used)| host(&n.to_string(), 1000, *used)).collect();
            if let Place::Named { host, full } = choose(&all, 100, &[], 4) {
                let chosen = all.iter().find(|h| h.name == host);
                prop_assert_eq!(full, used.iter().all(|used| used + 100 > 1000));
                prop_assert!(full || chosen.is_some_and(|h| !is_full(h, 100)));
            }
        }
    }
}
