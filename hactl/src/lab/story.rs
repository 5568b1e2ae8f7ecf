//! The fault, and what comes of it, told as it happens, until it has come to the end that it must come to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use api::{Incident, State};
use sim::standin::bmc::Behaviour;
use uuid::Uuid;

use super::crew::{Crew, lock};
use super::fail::{Fail, Goal, Moment};
use super::journal::Line;
use super::ready::alive;
use super::timeline::Timeline;
use crate::table::Tone;

const LOOK: Duration = Duration::from_millis(20);
/// A killed leader is started again after this time.
const AWAY: Duration = Duration::from_secs(5);
/// A recovery whose leader is killed may take this much longer.
const LONGER: Duration = Duration::from_secs(60);

/// What was seen, for the closing table.
pub(super) struct Story {
    /// The node that failed.
    pub(super) node: String,
    pub(super) fail: Fail,
    /// When it failed, on this process's clock and on the wall.
    pub(super) fault: Instant,
    pub(super) fault_ms: u64,
    /// The first suspicion of the node.
    pub(super) suspected: Option<Instant>,
    /// The first evacuation that reached Nova.
    pub(super) evacuate: Option<Instant>,
    /// Where the VMs ran before.
    pub(super) before: BTreeMap<Uuid, (String, Instant)>,
    /// The leader that was killed, and the moment.
    pub(super) killed: Option<(String, Moment, Instant)>,
    /// Why it did not come to its end.
    pub(super) failed: Option<String>,
}

/// Makes the node fail and watches.
pub(super) async fn tell(
    crew: &mut Crew,
    fail: Fail,
    node: &str,
    kill_at: Option<Moment>,
    timeline: &Timeline,
) -> anyhow::Result<Story> {
    let before = crew.homes();
    // What is there is of the start.
    crew.journals.read();
    crew.journals.forget();
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut story = Story {
        node: node.to_owned(),
        fail,
        fault: Instant::now(),
        fault_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        suspected: None,
        evacuate: None,
        before,
        killed: None,
        failed: None,
    };
    timeline.fault(story.fault);
    let what = strike(crew, fail, node);
    timeline.happened(story.fault, Tone::Bad, node, &what);
    let longer = if kill_at.is_some() { LONGER } else { Duration::ZERO };
    let mut ended: Option<Instant> = None;
    loop {
        let lines = crew.journals.read();
        lines.iter().for_each(|line| story.hear(line, timeline));
        story.look_at_nova(crew, timeline);
        if let Some(moment) = kill_at.filter(|_| story.killed.is_none()) {
            story.kill_leader(crew, moment, &lines, timeline);
        }
        for name in crew.bring_back()? {
            timeline.happened(Instant::now(), Tone::Plain, "lab", &format!("{name} starts again"));
        }
        alive_but(crew, fail)?;
        let now = Instant::now();
        match ended {
            Some(at) if now >= at + fail.watched() && story.is_back(kill_at) => return Ok(story),
            Some(_) => {}
            None if story.is_over(crew) => ended = Some(now),
            None if now > story.fault + fail.deadline() + longer => {
                story.failed = Some(story.missing(crew));
                return Ok(story);
            }
            None => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Makes it fail. Answers what was done.
fn strike(crew: &Crew, fail: Fail, node: &str) -> String {
    let Some(machine) = crew.machines.get(node) else { return String::new() };
    let bmc = crew.bmcs.get(node);
    let host = crew.plan.nodes.iter().find(|plan| plan.name == node).map(|plan| plan.host);
    if let (Some(network), Some(host)) = (fail.network(), host) {
        crew.cables.cut(host, network);
    }
    match fail {
        Fail::Power => machine.switch_off("its power cable is pulled"),
        Fail::BmcAndPower => {
            if let Some(bmc) = bmc {
                lock(bmc).behave(Behaviour::Silent);
            }
            machine.switch_off("its power feed fails, and with it its BMC");
        }
        Fail::Management => {
            // Nova reaches its compute over management.
            crew.nova.with(|cloud, now| cloud.compute_stopped(now, node));
        }
        Fail::Agent => machine.kill_agent(),
        Fail::Storage | Fail::Tenant | Fail::None => {}
    }
    match fail {
        Fail::Power => "loses its power; its BMC answers",
        Fail::BmcAndPower => "loses its power, and its BMC is silent",
        Fail::Management => "its management network is cut",
        Fail::Storage => "its storage network is cut",
        Fail::Tenant => "its tenant network is cut",
        Fail::Agent => "its agent is killed; the node is well",
        Fail::None => "nothing happens to it",
    }
    .to_owned()
}

/// An agent that the lab killed is no news.
fn alive_but(crew: &mut Crew, fail: Fail) -> anyhow::Result<()> {
    if fail == Fail::Agent { Ok(()) } else { alive(crew) }
}

impl Story {
    /// A journal's line: printed, and a phase's time where it is one. What is seen of other nodes is in the journals.
    fn hear(&mut self, line: &Line, timeline: &Timeline) {
        let now = Instant::now();
        if line.subject == "observe" && !line.text.starts_with(&format!("{} ", self.node)) {
            return;
        }
        if line.subject == "observe" && line.text.starts_with(&format!("{} suspect", self.node)) {
            self.suspected.get_or_insert(now);
        }
        let tone = match line.subject.as_str() {
            "registry" if line.text.contains("Moved ") => Tone::Good,
            "registry" if line.text.contains("Recovered ") => Tone::Good,
            "registry" | "verdict" => Tone::Warn,
            "guard" => Tone::Bad,
            _ => Tone::Plain,
        };
        let text = format!("{:<9} {}", line.subject, line.text);
        timeline.happened(now, tone, &line.controller, &text);
    }

    fn look_at_nova(&mut self, crew: &Crew, timeline: &Timeline) {
        if self.evacuate.is_some() {
            return;
        }
        let records = crew.nova.with(|cloud, _| cloud.migrations());
        if records.iter().any(|record| record.source == self.node) {
            let now = Instant::now();
            self.evacuate = Some(now);
            timeline.happened(now, Tone::Plain, "nova", "the first move arrives at Nova");
        }
    }

    fn kill_leader(
        &mut self,
        crew: &mut Crew,
        moment: Moment,
        lines: &[Line],
        timeline: &Timeline,
    ) {
        let journaled = |word: &str| {
            lines.iter().any(|line| line.subject == "registry" && line.text.contains(word))
        };
        let come = match moment {
            Moment::Intent => journaled("FenceIntent"),
            Moment::Off => crew.bmcs.get(&self.node).is_some_and(|bmc| lock(bmc).controls() > 0),
            Moment::Fenced => journaled("Fenced epoch"),
            Moment::ForcedDown => journaled("ForcedDown"),
            Moment::Evacuating => self.evacuate.is_some(),
        };
        if !come {
            return;
        }
        let leader = crew.picture.borrow().state.as_ref().and_then(|state| state.leader);
        if let Some(name) = leader.and_then(|leader| crew.kill_controller(leader, AWAY)) {
            let now = Instant::now();
            let text = format!("{name}, which leads, is killed (SIGKILL) at: {moment}");
            timeline.happened(now, Tone::Bad, "lab", &text);
            self.killed = Some((name, moment, now));
        }
    }

    /// Whether a killed leader had the time to come back, and the chance to do harm.
    fn is_back(&self, kill_at: Option<Moment>) -> bool {
        kill_at.is_none()
            || self.killed.as_ref().is_some_and(|(_, _, at)| at.elapsed() > AWAY + AWAY)
    }

    /// Whether it has come to its end.
    fn is_over(&self, crew: &Crew) -> bool {
        let incident = self.incident(crew);
        let in_state = |states: &[&str]| {
            incident.as_ref().is_some_and(|incident| states.contains(&incident.state.as_str()))
        };
        match self.fail.goal() {
            Goal::Evacuated(_) => {
                in_state(&["recovered", "released", "returned"]) && self.lost(crew).is_empty()
            }
            Goal::Migrated => in_state(&["migrated", "closed"]) && self.lost(crew).is_empty(),
            Goal::Notified => in_state(&["notified"]),
            Goal::Untouched => true,
        }
    }

    /// VMs of the node that do not run elsewhere.
    pub(super) fn lost(&self, crew: &Crew) -> Vec<Uuid> {
        let homes = crew.homes();
        let here = self.before.iter().filter(|(_, (node, _))| *node == self.node);
        let elsewhere = |vm: &Uuid| homes.get(vm).is_some_and(|(node, _)| *node != self.node);
        here.map(|(vm, _)| *vm).filter(|vm| !elsewhere(vm)).collect()
    }

    fn missing(&self, crew: &Crew) -> String {
        let state = self.incident(crew).map_or_else(
            || "there is no incident".to_owned(),
            |incident| match incident.blocked {
                Some(blocked) => format!("the incident is {}, blocked: {blocked}", incident.state),
                None => format!("the incident is {}", incident.state),
            },
        );
        let lost = match self.fail.goal() {
            Goal::Evacuated(_) | Goal::Migrated => self.lost(crew).len(),
            Goal::Notified | Goal::Untouched => 0,
        };
        let refusals: Vec<String> = picture(crew)
            .and_then(|state| state.nodes.iter().find(|node| node.name == self.node).cloned())
            .map(|node| node.refusals.into_iter().map(|refusal| refusal.why).collect())
            .unwrap_or_default();
        let silence = crew.picture.borrow().silence.clone();
        let more: Vec<String> = refusals.into_iter().chain(silence).collect();
        format!(
            "it did not end in {} s: {state}, {lost} VMs are not back{}{}",
            self.fault.elapsed().as_secs(),
            if more.is_empty() { "" } else { "; " },
            more.join("; ")
        )
    }

    /// The node's newest incident.
    pub(super) fn incident(&self, crew: &Crew) -> Option<Incident> {
        let state = picture(crew)?;
        state.incidents.iter().find(|incident| incident.node == self.node).cloned()
    }
}

/// The last picture that came.
pub(super) fn picture(crew: &Crew) -> Option<Arc<State>> {
    crew.picture.borrow().state.clone()
}
