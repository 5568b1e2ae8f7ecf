//! The whole picture for operators: what is committed, and what this leader sees.

use std::time::Duration;

use action_matrix::Reach;
use api::{Degraded, Detection, FencedNode, Flapping, NetworkReach, NodePhase, Observation, Phase};
use fencing::NodeId;
use fencing::lease::WatchdogState;

use super::levels::step;
use crate::core::Controller;
use crate::detect::{LAST_PINGS, Sight, member_id};
use crate::guard::Refusal;
use crate::policy::Treatment;
use crate::registry::{Enrolled, Fires, Incident, Node, Progress, State, Vm};

/// Closed incidents that are shown.
const CLOSED_SHOWN: usize = 50;

impl Controller {
    /// The picture at `now`.
    pub fn state(&self, now: Duration) -> api::State {
        let matched = self.raft.matched();
        let leader = self.raft.leader().map(|id| id.0);
        let role = |id: u64| match leader {
            Some(leader) if leader == id => "leader",
            Some(_) => "follower",
            None => "unknown",
        };
        let controllers = self.settings.controllers.iter().map(|(id, peer)| api::Controller {
            id: id.0,
            role: role(id.0).to_owned(),
            matched: matched.iter().find(|(peer, _)| peer.0 == id.0).map(|(_, index)| index.0),
            url: peer.url.clone(),
        });
        let (closed, open): (Vec<_>, Vec<_>) =
            self.registry.incidents().values().rev().partition(|incident| !incident.is_open());
        let shown = open.into_iter().chain(closed.into_iter().take(CLOSED_SHOWN));
        let mut nodes: Vec<_> =
            self.registry.nodes().iter().map(|(id, node)| self.node_view(now, *id, node)).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        api::State {
            cluster: self.settings.cluster,
            controller: self.settings.me.0,
            leader,
            term: self.raft.term().0,
            committed: self.raft.commit().0,
            controllers: controllers.collect(),
            noop: self.registry.is_noop(),
            disarmed: self.registry.disarmed().map(str::to_owned),
            holds: self.holds(),
            stale: self.stale(now),
            disarmed_for_min: self.registry.disarmed_for(),
            reserved: self.registry.reserved().keys().cloned().collect(),
            sweeps: self.sweeps_view(now),
            nodes,
            incidents: shown.map(|incident| self.incident_view(incident)).collect(),
            fenced: self.fenced_view(),
            matrix: self.matrix_view(),
            actual: self.counts_view(),
            sent: self.sent_here_view(),
        }
    }

    fn holds(&self) -> Vec<api::Refusal> {
        let grace = self.grace_left().map(Refusal::Grace);
        let alone = (self.settings.controllers.len() < 2).then_some(Refusal::Quorum);
        grace.into_iter().chain(alone).map(|refusal| refusal_view(&refusal)).collect()
    }

    fn node_view(&self, now: Duration, id: NodeId, node: &Node) -> api::Node {
        let heard = self.sentinels.of(id);
        let serving = node.serving_boot();
        let phase = match self.registry.incident_of(id) {
            Some(incident) if incident.state == State::Released => NodePhase::Returning,
            Some(incident) if incident.fence().is_some() => NodePhase::Out,
            Some(_) => NodePhase::Incident,
            None if node.maintenance.is_some() || node.disarmed => NodePhase::Exempt,
            None if serving.is_none() => NodePhase::NeverSeen,
            None => NodePhase::Protected,
        };
        let watchdog = match heard.map(|heard| heard.watchdog) {
            None => "not heard".to_owned(),
            Some(WatchdogState::Absent) => "absent".to_owned(),
            Some(WatchdogState::Closed) => "closed".to_owned(),
            Some(WatchdogState::Refused { .. }) => {
                "not opened: VMs would start by themselves".to_owned()
            }
            Some(WatchdogState::Open { timeout, counts_for_e2, .. }) => {
                let class = if counts_for_e2 { "" } else { ", too weak for E2" };
                format!("open, {} s{class}", timeout.as_secs())
            }
        };
        let bmc = bmc_view(node);
        let refusal = self
            .refusal(id)
            .filter(|_| phase == NodePhase::Protected || phase == NodePhase::Exempt);
        api::Node {
            name: node.record.name.clone(),
            id: id.0,
            domain: node.record.domain.clone(),
            host: node.record.host.clone(),
            boot: heard
                .map(|heard| api::Boot { id: heard.boot.0, uptime_s: heard.uptime.as_secs_f64() }),
            phase,
            networks: self.networks_view(now, id),
            compact: self.compact(id),
            armed: node.armed.is_some_and(|arming| heard.is_none_or(|h| h.boot == arming.boot)),
            watchdog,
            renewed_s: heard.map(|heard| now.saturating_sub(heard.at).as_secs_f64()),
            watchdog_test: node.watchdog_test.as_ref().map(|test| api::WatchdogTest {
                boot: test.boot.0,
                at_ms: test.at_ms,
                fired: test.fires == Fires::InTime,
                took_s: test.took.as_secs_f64(),
                class: test.class.to_string(),
            }),
            maintenance: node.maintenance.clone(),
            exempt_for_min: self.registry.exempt_for(id),
            bmc,
            fences: node.fences,
            refusals: refusal.iter().map(refusal_view).collect(),
            doubts: self.doubts(now, id, node),
            checks: self.checks_view(now, id),
            sent: self.sent_view(now, id, node),
        }
    }

    fn sweeps_view(&self, now: Duration) -> Vec<api::Sweep> {
        let networks = self.settings.networks.iter().zip(&self.sights);
        let of = |(name, sight): (&String, &Sight)| {
            let each = self.settings.controllers.keys().filter_map(|controller| {
                let swept = sight.swept(member_id(self.settings.cluster, *controller))?;
                Some(api::Sweep {
                    network: name.clone(),
                    controller: controller.0,
                    asked: swept.asked,
                    missed: swept.missed,
                    voice: swept.has_voice(now),
                    age_s: now.saturating_sub(swept.at).as_secs_f64(),
                })
            });
            each.collect::<Vec<_>>()
        };
        networks.flat_map(of).collect()
    }

    fn networks_view(&self, now: Duration, id: NodeId) -> Vec<NetworkReach> {
        let networks = self.settings.networks.iter().zip(&self.sights);
        networks
            .map(|(name, sight)| {
                let (reach, since) = sight.reach(id).unwrap_or((Reach::Unknown, now));
                let (why, observers) = sight.grounds(id).unwrap_or(("not enrolled", &[]));
                let word = match reach {
                    Reach::Up if sight.is_suspect(id) => "suspect",
                    Reach::Up => "up",
                    Reach::Down => "down",
                    Reach::Unknown => "unknown",
                };
                let observers = observers.iter().map(|seen| Observation {
                    observer: self.observer_name(seen.id),
                    sound: seen.sound,
                    unanswered_s: seen.unanswered.as_secs_f64(),
                });
                NetworkReach {
                    network: name.clone(),
                    reach: word.to_owned(),
                    for_s: now.saturating_sub(since).as_secs_f64(),
                    degraded: sight.degraded(id).map(|(lost, since)| Degraded {
                        unanswered: lost,
                        of: LAST_PINGS,
                        for_s: now.saturating_sub(since).as_secs_f64(),
                    }),
                    flapping: sight.flapping(id).map(|known| Flapping {
                        downs: known.downs,
                        for_s: now.saturating_sub(known.since).as_secs_f64(),
                        calm_in_s: (known.turned + known.needs).saturating_sub(now).as_secs_f64(),
                    }),
                    detection: Detection { reason: why.to_owned(), observers: observers.collect() },
                }
            })
            .collect()
    }

    fn incident_view(&self, incident: &Incident) -> api::Incident {
        let work = self.leading.as_ref().and_then(|leading| leading.works.get(&incident.id));
        let blocked = incident
            .frozen
            .clone()
            .or_else(|| work.and_then(|work| work.blocked.clone()))
            .filter(|_| incident.is_open());
        let evidence = incident.fence().and_then(|fence| fence.evidence.as_ref());
        api::Incident {
            id: incident.id.0,
            node: self.name(incident.node),
            boot: incident.boot.0,
            state: incident.state.to_string(),
            open: incident.is_open(),
            blocked,
            hold: self.hold(incident, 0),
            row: incident.verdict.row.clone(),
            reason: incident.verdict.reason.clone(),
            actions: incident.verdict.actions.iter().map(ToString::to_string).collect(),
            reachability: incident.verdict.cell.clone(),
            observations: incident.verdict.observations.clone(),
            guards: incident.verdict.guards.clone(),
            host: self.host(incident).unwrap_or_default(),
            note: incident.note.clone(),
            evidence: evidence.map(ToString::to_string),
            drill: incident.fence().and_then(|fence| fence.drill).map(|drill| {
                let what = if drill.watchdog { "watchdog" } else { "bmc" };
                api::Drill { what: what.to_owned(), ordered_ms: drill.ordered_ms }
            }),
            steps: work.map(|work| steps(&work.steps)).unwrap_or_default(),
            phases: incident
                .phases
                .iter()
                .map(|(state, at_ms, index)| Phase {
                    state: state.to_string(),
                    at_ms: *at_ms,
                    index: *index,
                })
                .collect(),
            vms: incident.vms.iter().map(|(id, vm)| vm_view(*id, vm)).collect(),
        }
    }

    fn fenced_view(&self) -> Vec<FencedNode> {
        let out = self
            .registry
            .open_incidents()
            .filter(|incident| incident.fence().is_some() && incident.state.is_out());
        out.map(|incident| {
            let work = self.leading.as_ref().and_then(|leading| leading.works.get(&incident.id));
            let release = work.map(|work| work.release.clone()).filter(|text| !text.is_empty());
            let evidence = incident.fence().and_then(|fence| fence.evidence.as_ref());
            FencedNode {
                node: self.name(incident.node),
                boot: incident.boot.0,
                since_ms: incident.phases.first().map_or(0, |(_, at_ms, _)| *at_ms),
                evidence: evidence.map(ToString::to_string),
                incident: incident.id.0,
                count: self.registry.node(incident.node).map_or(0, |node| node.fences),
                release: release.unwrap_or_else(|| "the end of its recovery".to_owned()),
            }
        })
        .collect()
    }

    fn matrix_view(&self) -> api::Matrix {
        match self.registry.matrices().last() {
            Some(applied) => api::Matrix {
                text: applied.text.clone(),
                index: applied.index,
                by: applied.by.clone(),
            },
            None => api::Matrix {
                text: self.matrix.source().to_owned(),
                index: 0,
                by: "configuration".to_owned(),
            },
        }
    }
}

/// The identity of each level, or why it has none that counts.
fn bmc_view(node: &Node) -> String {
    let level = |level: u8| match node.bmcs.get(&level) {
        Some(Enrolled { distrusted: Some(why), .. }) => format!("not believed: {why}"),
        Some(Enrolled { identity, distrusted: None }) => identity.to_string(),
        None => "not enrolled: it has not answered yet".to_owned(),
    };
    let levels: Vec<_> = node.levels().map(|number| step(number, &level(number))).collect();
    if levels.is_empty() { "none in the inventory".to_owned() } else { levels.join("; ") }
}

fn steps(taken: &[(String, u64)]) -> Vec<api::Step> {
    taken.iter().map(|(what, at_ms)| api::Step { what: what.clone(), at_ms: *at_ms }).collect()
}

fn refusal_view(refusal: &Refusal) -> api::Refusal {
    api::Refusal { guard: refusal.name().to_owned(), why: refusal.to_string() }
}

/// What the policy says of a VM; empty where it is what holds for all.
fn policy_of(vm: &Vm) -> String {
    let treatment = &vm.before.treatment;
    if *treatment == Treatment::default() {
        return String::new();
    }
    let Treatment { wish, rule, priority, order, .. } = treatment;
    format!("{wish} (rule {rule:?}), priority {priority}, order {order}")
}

fn vm_view(id: uuid::Uuid, vm: &Vm) -> api::Vm {
    let (state, request_id, why) = match &vm.progress {
        Progress::Waiting => ("waiting", None, None),
        Progress::Attempted { .. } => ("sent", None, None),
        Progress::Sent { request_id, .. } => ("sent", Some(request_id.clone()), None),
        Progress::Moved { .. } => ("moved", None, None),
        Progress::Parked { why } => ("left behind", None, Some(why.clone())),
    };
    let took =
        (vm.ended_ms > 0 && vm.began_ms > 0).then(|| vm.ended_ms.saturating_sub(vm.began_ms));
    api::Vm {
        id,
        name: vm.before.name.clone(),
        state: state.to_owned(),
        destination: vm.destination().map(str::to_owned),
        request_id,
        why,
        took_ms: took,
        attempts: vm.attempts,
        migration: vm.record,
        policy: policy_of(vm),
        tried: vm.no_room.clone(),
    }
}
