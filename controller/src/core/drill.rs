//! Drills: an empty node that is disabled in Nova is fenced for real, by its BMC or by its own watchdog, to see whether
//! it would work. A drill is a fence like any other; what differs is that it begins only where nothing can be lost, and
//! that its outcome is told.

use std::time::Duration;

use api::Failure;
use fencing::evidence::Evidence;
use fencing::lease::WatchdogState;
use fencing::{Epoch, NodeId};

use super::check::RUNS;
use super::leading::Asked;
use super::orders::refused;
use crate::core::Controller;
use crate::effect::{Effect, Ticket};
use crate::nova::{Call, Reply};
use crate::registry::{Command, Drill, Fires, Incident, State, Verdict, WatchdogTest};
use action_matrix::Action;

/// Nova and the agent answer within this time, or nothing is begun. Shorter than an operator's command waits.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Steps of a fence that are kept for people.
const STEPS: usize = 40;

/// An order whose conditions are being looked at.
#[derive(Clone, Debug)]
pub(super) struct Drilling {
    pub(super) ticket: Ticket,
    node: NodeId,
    watchdog: bool,
    person: String,
    asked_at: Duration,
    ordered_ms: u64,
    /// Nova says that it is disabled and has no VM.
    empty: bool,
}

impl Controller {
    /// Looks whether nothing can be lost; then the intent is proposed.
    pub(super) fn drill_by_hand(
        &mut self,
        ticket: Ticket,
        name: &str,
        watchdog: bool,
        person: String,
        out: &mut Vec<Effect>,
    ) {
        let busy = self.leading.as_ref().is_some_and(|leading| leading.drilling.is_some());
        let may = if busy {
            Err(refused("another drill is just beginning: wait for it".to_owned()))
        } else {
            self.may_drill(name, watchdog)
        };
        let (node, host) = match may {
            Ok(found) => found,
            Err(failure) => return out.push(Effect::Answer { ticket, result: Err(failure) }),
        };
        let (asked_at, ordered_ms, empty) = (self.now, self.wall_ms, false);
        if let Some(leading) = &mut self.leading {
            leading.drilling =
                Some(Drilling { ticket, node, watchdog, person, asked_at, ordered_ms, empty });
        }
        self.ask_nova(Asked::Drill, Call::Service { host });
    }

    /// What this leader knows by itself: its own guards, other incidents, and whether there is anything to try.
    fn may_drill(&self, name: &str, watchdog: bool) -> Result<(NodeId, String), Failure> {
        let (node, known) = self.known(name)?;
        if !self.settings.nova {
            return Err(refused("no Nova is configured: nothing says that it is empty".to_owned()));
        }
        if let Some(open) = self.registry.open_incidents().next() {
            let of = self.name(open.node);
            return Err(refused(format!(
                "incident {} of {of} is open ({}): a drill waits for its end",
                open.id, open.state
            )));
        }
        // A drill passes over no guard: it is never urgent.
        if let Some(refusal) = self.refusal(node) {
            return Err(refused(format!("{}: {refusal}", refusal.name())));
        }
        let heard = self.sentinels.of(node);
        let serves = heard.filter(|h| known.serving_boot() == Some(h.boot));
        let runs = serves.filter(|heard| self.now.saturating_sub(heard.at) <= RUNS);
        let Some(heard) = runs.filter(|_| !self.healthy_for(node).is_zero()) else {
            return Err(refused(format!(
                "{name} is not well: its sentinel is silent or a network of it is not up; hactl why {name}"
            )));
        };
        let usable = !known.believed_levels().is_empty();
        if !watchdog && !usable {
            return Err(refused(format!(
                "{name} has no BMC that is enrolled and believed: hactl check {name}; with --watchdog none is used"
            )));
        }
        let armed = known.armed.is_some_and(|arming| arming.boot == heard.boot);
        let counts = matches!(heard.watchdog, WatchdogState::Open { counts_for_e2: true, .. });
        if watchdog && !(armed && counts) {
            return Err(refused(format!(
                "{name} is not armed: its sentinel has no watchdog open that counts; hactl check {name}"
            )));
        }
        Ok((node, known.record.host.clone()))
    }

    /// Nova was asked about the node that is to be drilled.
    #[expect(clippy::wildcard_enum_match_arm, reason = "answers to what a drill never asks")]
    pub(super) fn drill_answered(&mut self, reply: Reply, out: &mut Vec<Effect>) {
        let Some(drilling) = self.leading.as_ref().and_then(|l| l.drilling.clone()) else { return };
        let name = self.name(drilling.node);
        let host = self.registry.node(drilling.node).map(|node| node.record.host.clone());
        let host = host.unwrap_or_default();
        match reply {
            Reply::Service(Some(service)) if service.forced_down => self.drill_refused(
                format!("{name} is forced down in Nova: somebody counts it as dead already"),
                out,
            ),
            Reply::Service(Some(service)) if service.enabled => self.drill_refused(
                format!(
                    "{name} is enabled in Nova: disable it and move its VMs away first: \
                     openstack compute service set --disable {host} nova-compute"
                ),
                out,
            ),
            Reply::Service(Some(_)) => {
                self.ask_nova(Asked::Drill, Call::ServersOn { host });
            }
            Reply::Service(None) => {
                self.drill_refused(format!("Nova knows no nova-compute on host {host:?}"), out);
            }
            Reply::Servers(servers) if servers.is_empty() => {
                if let Some(drilling) = self.leading.as_mut().and_then(|l| l.drilling.as_mut()) {
                    drilling.empty = true;
                }
            }
            Reply::Servers(servers) => {
                let names: Vec<_> = servers.iter().take(3).map(|vm| vm.name.as_str()).collect();
                let more = if servers.len() > 3 { ", ..." } else { "" };
                let (count, names) = (servers.len(), names.join(", "));
                self.drill_refused(
                    format!("{name} has {count} VMs in Nova ({names}{more}): move them away first"),
                    out,
                );
            }
            Reply::ReadFailed(failure) => {
                self.drill_refused(
                    format!("Nova does not say whether it is empty: {failure}"),
                    out,
                );
            }
            _ => {}
        }
    }

    fn drill_refused(&mut self, why: String, out: &mut Vec<Effect>) {
        let drilling = self.leading.as_mut().and_then(|leading| leading.drilling.take());
        let Some(drilling) = drilling else { return };
        out.push(Effect::Answer { ticket: drilling.ticket, result: Err(refused(why)) });
    }

    /// Begins the drill that was ordered as soon as Nova and the census have both said that the node is empty.
    pub(super) fn advance_drill(&mut self, out: &mut Vec<Effect>) {
        let Some(drilling) = self.leading.as_ref().and_then(|l| l.drilling.clone()) else { return };
        let Drilling { ticket, node, watchdog, person, asked_at, ordered_ms, empty } = drilling;
        let name = self.name(node);
        if self.now.saturating_sub(asked_at) > ANSWERS_WITHIN {
            let who = if empty { format!("the agent of {name}") } else { "Nova".to_owned() };
            return self.drill_refused(
                format!("{who} did not say within {} s what runs there", ANSWERS_WITHIN.as_secs()),
                out,
            );
        }
        let Some(boot) = self.sentinels.of(node).map(|heard| heard.boot).filter(|_| empty) else {
            return;
        };
        let Some(domains) = self.census_of(node, boot, asked_at) else { return };
        if !domains.is_empty() {
            let text = format!("{} domains run on {name}, says its agent", domains.len());
            return self.drill_refused(format!("{text}: stop them or move them away first"), out);
        }
        if let Err(failure) = self.may_drill(&name, watchdog) {
            if let Some(leading) = &mut self.leading {
                leading.drilling = None;
            }
            return out.push(Effect::Answer { ticket, result: Err(failure) });
        }
        if let Some(leading) = &mut self.leading {
            leading.drilling = None;
        }
        let what = if watchdog { "its watchdog" } else { "its BMC" };
        let verdict = Verdict {
            row: format!("drill by {person}"),
            reason: format!("a drill of {what}"),
            actions: vec![Action::Fence, Action::Evacuate],
            cell: self.compact(node),
            observations: Vec::new(),
            guards: self.guards_asked(node),
        };
        let floor = self.floor(node, boot);
        let drill = Some(Drill { watchdog, ordered_ms });
        let said =
            format!("{name}: the drill of {what} has begun; follow it with `hactl incidents`");
        let intent = Command::Intent { node, boot, floor, verdict, evacuate: true, drill };
        self.propose_order(ticket, intent, said, out);
    }

    /// A drill of the watchdog: the BMC is not used, no fence event is spread, no lease is waited for. A boot that still
    /// speaks when every bound is over shows that its watchdog does not fire.
    pub(super) fn watch_drill(&mut self, incident: &Incident, epoch: Epoch, out: &mut Vec<Effect>) {
        let Some(known) = self.intent_known.get(&epoch.index).copied() else { return };
        let Some(node) = self.registry.node(incident.node) else { return };
        let Some(arming) = node.armed.filter(|arming| arming.boot == incident.boot) else { return };
        let bound = arming.times.wait_after_intent();
        let recorded = node.watchdog_test.as_ref().is_some_and(|t| t.boot == incident.boot);
        let heard = self.sentinels.of(incident.node).filter(|h| h.boot == incident.boot);
        let Some(at) = heard.map(|heard| heard.at).filter(|at| *at > known + bound) else { return };
        let took = at.saturating_sub(known);
        if recorded {
            let why = format!("its watchdog did not fire within {:.0} s", bound.as_secs_f64());
            self.propose_once(Command::Cancel { epoch, why }, out);
            return;
        }
        let test = WatchdogTest {
            boot: incident.boot,
            at_ms: self.wall_ms,
            took,
            class: arming.class,
            timeout: arming.times.watchdog,
            fires: Fires::Not,
        };
        self.propose_once(Command::WatchdogTested { node: incident.node, test }, out);
    }

    /// A node that was drilled by its watchdog is back: whether it was the watchdog that reset it. The last renewal of
    /// its old boot tells when it ended; a node that ended at once was reset by something else.
    pub(super) fn judge_watchdog(&mut self, incident: &Incident, out: &mut Vec<Effect>) {
        let Some(fence) = incident.fence() else { return };
        let (Some(drill), Some(_)) = (&fence.drill, &fence.evidence) else { return };
        let Some(node) = self.registry.node(incident.node) else { return };
        let recorded = node.watchdog_test.as_ref().is_some_and(|t| t.boot == incident.boot);
        let Some(arming) = drill.watchdog.then_some(incident.armed).flatten() else { return };
        if recorded {
            return;
        }
        let known = self.intent_known.get(&fence.epoch.index).copied();
        let ended = self.sentinels.ended(incident.node, incident.boot);
        let by_reboot = matches!(fence.evidence, Some(Evidence::NewBoot { .. }));
        let took = known.zip(ended).map(|(known, ended)| ended.saturating_sub(known));
        let (least, most) = (arming.times.watchdog / 2, arming.times.wait_after_intent());
        let fits = took.filter(|took| by_reboot && *took >= least && *took <= most);
        let Some(took) = fits else {
            let name = self.name(incident.node);
            let seen = took.map_or("not seen by this leader".to_owned(), |took| {
                format!("{:.1} s after the intent", took.as_secs_f64())
            });
            let text = format!(
                "{name} drill FAILED: its old boot ended {seen}, which does not show that its watchdog fired \
                 ({:.0} s to {:.0} s would); drill it again",
                least.as_secs_f64(),
                most.as_secs_f64()
            );
            if self.work(incident.id).is_some_and(|work| work.told.insert(text.clone())) {
                out.push(Effect::page("drill", text));
            }
            return;
        };
        let test = WatchdogTest {
            boot: incident.boot,
            at_ms: self.wall_ms,
            took,
            class: arming.class,
            timeout: arming.times.watchdog,
            fires: Fires::InTime,
        };
        self.propose_once(Command::WatchdogTested { node: incident.node, test }, out);
    }

    /// What a committed entry means for a drill, told by the leader.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most entries are no step of a drill")]
    pub(super) fn tell_drill(&self, command: &Command, out: &mut Vec<Effect>) {
        if self.leading.is_none() {
            return;
        }
        match command {
            Command::Fenced { epoch, evidence } => {
                let Some(incident) = self.drill_of(*epoch) else { return };
                let name = self.name(incident.node);
                let by_bmc = evidence.level().is_some();
                let watchdog = incident.is_watchdog_drill();
                match (watchdog, by_bmc) {
                    (true, _) => {}
                    (false, true) => out.push(Effect::journal(
                        "drill",
                        format!("{name} drill: its BMC proved it off ({evidence}); switch it on again"),
                    )),
                    (false, false) => out.push(Effect::page(
                        "drill",
                        format!(
                            "{name} drill FAILED: its BMC gave no evidence, it is off by {evidence}; hactl check {name}"
                        ),
                    )),
                }
            }
            Command::Cancel { epoch, why } => {
                let Some(incident) = self.drill_of(*epoch) else { return };
                let name = self.name(incident.node);
                out.push(Effect::page("drill", format!("{name} drill FAILED: {why}")));
            }
            Command::WatchdogTested { node, test } => {
                let (name, took) = (self.name(*node), test.took.as_secs_f64());
                if test.fires == Fires::InTime {
                    let class = test.class;
                    let text = format!(
                        "{name} drill: its watchdog ({class}) fired {took:.1} s after the intent; on record"
                    );
                    out.push(Effect::journal("drill", text));
                }
            }
            Command::Returned { incident } => {
                let Some(incident) = self.registry.incidents().get(incident) else { return };
                let Some(drill) = incident.fence().and_then(|fence| fence.drill) else { return };
                let phases = incident.phases.iter().map(|(state, at_ms, _)| {
                    let after = at_ms.saturating_sub(drill.ordered_ms);
                    format!("{state} +{}.{:01} s", after / 1000, after % 1000 / 100)
                });
                let phases: Vec<_> = phases.collect();
                let (name, phases) = (self.name(incident.node), phases.join(", "));
                out.push(Effect::journal("drill", format!("{name} drill is over: {phases}")));
            }
            _ => {}
        }
    }

    fn drill_of(&self, epoch: Epoch) -> Option<&Incident> {
        let mut drills = self.registry.incidents().values().rev();
        drills.find(|i| i.fence().is_some_and(|f| f.epoch == epoch && f.drill.is_some()))
    }

    /// A step of a fence, for people: it is this leader's own, and nothing rests on it.
    pub(super) fn note_step(&mut self, id: fencing::IncidentId, what: String) {
        let at_ms = self.wall_ms;
        if let Some(work) = self.work(id).filter(|work| work.steps.len() < STEPS) {
            work.steps.push((what, at_ms));
        }
    }

    /// Whether an incident is a drill of a watchdog that waits for its evidence.
    pub(super) fn is_watching(incident: &Incident) -> bool {
        incident.state == State::Fencing && incident.is_watchdog_drill()
    }
}
