//! The levels of a node's fencing. One is used at a time; when it gives no evidence in its time the next is tried, and
//! after the last the first again. What one level says of the power never helps another to its evidence, but it can
//! contradict it: a level that said on is asked once more before another's off counts.

use std::time::Duration;

use fencing::bmc::{Ask, Identity, LevelKind, Power, Reply};
use fencing::e1::PowerOff;
use fencing::evidence::Evidence;
use mutants::{Mutant, is_on};

use super::leading::{Asked, Work};
use crate::core::Controller;
use crate::effect::{Effect, Ticket};
use crate::registry::{Command, Incident, State};

/// One exchange with a BMC, its sessions included, ends within this time.
pub(super) const BMC_ANSWERS: Duration = Duration::from_secs(10);
/// A level that has given no evidence after this time gives way to the next. Three tries of a silent one take less.
const LEVEL_WITHIN: Duration = Duration::from_secs(60);

impl Controller {
    /// Keeps the power-off on a level that may give evidence: the first, or the next one when that has failed.
    pub(super) fn choose_level(&mut self, incident: &Incident, out: &mut Vec<Effect>) {
        let now = self.now;
        let name = self.name(incident.node);
        let Some(node) = self.registry.node(incident.node) else { return };
        let usable: Vec<_> = node
            .believed_levels()
            .into_iter()
            .filter_map(|(level, identity)| Some((level, identity, node.kind(level)?)))
            .collect();
        let Some(work) = self.work(incident.id) else { return };
        let present = work.power.as_ref().map(PowerOff::level);
        let place = usable.iter().position(|(level, ..)| Some(*level) == present);
        let next = match (&work.power, place) {
            (None, _) | (Some(_), None) => usable.first(),
            (Some(power), Some(place)) => {
                let over = now.saturating_sub(work.level_since) >= LEVEL_WITHIN;
                let idle = !work.bmc_out && work.held.is_none();
                if usable.len() < 2 || !idle || !(over || power.failed()) {
                    return;
                }
                let next = usable.get((place + 1) % usable.len());
                let why = power.trouble().map(ToString::to_string).unwrap_or_default();
                let text = format!(
                    "{name} level {} gave no evidence ({why}): level {} is tried",
                    power.level(),
                    next.map_or(0, |(level, ..)| *level)
                );
                work.spent.insert(power.level());
                out.push(Effect::journal("bmc", text));
                next
            }
        };
        let begin = |(level, identity, kind): &(u8, Identity, LevelKind)| {
            PowerOff::new(now, *identity).of_level(*level, *kind)
        };
        work.power = next.map(begin);
        work.level_since = now;
    }

    pub(super) fn ask_bmc(&mut self, incident: &Incident) {
        let (now, node) = (self.now, incident.node);
        let not_after = now + self.settings.waits.effect.min(BMC_ANSWERS);
        let Some(work) = self.work(incident.id).filter(|work| !work.bmc_out) else { return };
        let Some(power) = work.power.as_mut() else { return };
        let (ask, level) = (power.next(now), power.level());
        let Some(ask) = ask else { return };
        work.bmc_out = true;
        let expect = self.registry.node(node).and_then(|known| known.believed(level));
        let expect = expect.filter(|_| !is_on(Mutant::M21));
        let what = match ask {
            Ask::Off => "off asked",
            Ask::Read => "read asked",
        };
        self.note_step(incident.id, step(level, what));
        let ticket = self.ask_as(Asked::Bmc(incident.id, level));
        self.ask_level(ticket, (node, level), ask, expect, not_after);
    }

    /// A BMC was asked.
    pub(super) fn bmc_answered(&mut self, ticket: Ticket, reply: &Reply, out: &mut Vec<Effect>) {
        let Some(asked) = self.leading.as_mut().and_then(|l| l.calls.remove(&ticket)) else {
            return;
        };
        match asked {
            Asked::Bmc(id, level) => self.level_answered(id, level, reply, out),
            Asked::BmcAgain(id, level) => self.answered_again(id, level, reply, out),
            Asked::BmcIdentity(node, level) => {
                if let Reply::Read { identity: Some(identity), .. } = reply {
                    let identity = *identity;
                    self.propose_once(Command::BmcEnrolled { node, level, identity }, out);
                } else {
                    let name = self.name(node);
                    let text = format!("{name} not enrolled: {}", step(level, &reply.to_string()));
                    out.push(Effect::journal("bmc", text));
                }
            }
            Asked::BmcCheck(node, level) => self.bmc_checked(node, level, reply, out),
            Asked::BmcEnroll(enrolling) => self.bmc_enrolled(&enrolling, reply, out),
            Asked::Drill
            | Asked::Nova(_)
            | Asked::Vm(..)
            | Asked::Cloud(_)
            | Asked::Reserved(_)
            | Asked::Explain(_)
            | Asked::Images
            | Asked::Actual(_) => {}
        }
    }

    fn level_answered(
        &mut self,
        id: fencing::IncidentId,
        level: u8,
        reply: &Reply,
        out: &mut Vec<Effect>,
    ) {
        let Some(incident) = self.incident(id) else { return };
        let name = self.name(incident.node);
        let said = step(level, &reply.to_string());
        out.push(Effect::journal("bmc", format!("{name} {said}")));
        self.note_step(id, said);
        let now = self.now;
        let Some(work) = self.work(id) else { return };
        work.bmc_out = false;
        note_power(work, level, reply);
        let power = work.power.as_mut().filter(|power| power.level() == level);
        let Some(evidence) = power.and_then(|power| power.answered(now, reply)) else { return };
        work.said_on.remove(&level);
        if work.said_on.is_empty() {
            return self.prove(&incident, evidence, out);
        }
        let others: Vec<u8> = work.said_on.iter().copied().collect();
        work.held = Some(evidence);
        for level in others {
            let node = incident.node;
            let expect = self.registry.node(node).and_then(|known| known.believed(level));
            let ticket = self.ask_as(Asked::BmcAgain(id, level));
            let (ask, not_after) = (Ask::Read, now + BMC_ANSWERS);
            self.ask_level(ticket, (node, level), ask, expect, not_after);
        }
    }

    /// A level that had said on was asked once more, since another one proves the node off. Two that contradict each
    /// other prove nothing; one that is silent now has no voice.
    fn answered_again(
        &mut self,
        id: fencing::IncidentId,
        level: u8,
        reply: &Reply,
        out: &mut Vec<Effect>,
    ) {
        let Some(incident) = self.incident(id) else { return };
        let name = self.name(incident.node);
        out.push(Effect::journal("bmc", format!("{name} {}", step(level, &reply.to_string()))));
        let Some(work) = self.work(id) else { return };
        if let Reply::Read { power: Power::On | Power::Other(_), .. } = reply {
            let Some(held) = work.held.take() else { return };
            work.power = None;
            let off = held.level().unwrap_or_default();
            let text = format!(
                "{name}: level {off} reads off and level {level} does not: neither proves that it is off; \
                 look which of the two is another machine's or lies"
            );
            if work.told.insert(text.clone()) {
                out.push(Effect::page("bmc", text));
            }
            return;
        }
        work.said_on.remove(&level);
        if !work.said_on.is_empty() {
            return;
        }
        if let Some(evidence) = work.held.take() {
            self.prove(&incident, evidence, out);
        }
    }

    fn prove(&mut self, incident: &Incident, evidence: Evidence, out: &mut Vec<Effect>) {
        let epoch = incident.fence().map(|fence| fence.epoch);
        if let (Some(epoch), State::Fencing) = (epoch, incident.state) {
            self.propose(Command::Fenced { epoch, evidence }, out);
        }
    }
}

/// Which levels said last that the node is not off.
fn note_power(work: &mut Work, level: u8, reply: &Reply) {
    match reply {
        Reply::Read { power: Power::On | Power::Other(_), .. } => {
            work.said_on.insert(level);
        }
        Reply::Read { power: Power::Off, .. } => {
            work.said_on.remove(&level);
        }
        Reply::OffSent { .. } | Reply::Failed(_) => {}
    }
}

/// The first level goes without saying.
pub(super) fn step(level: u8, what: &str) -> String {
    if level > 1 { format!("level {level} {what}") } else { what.to_owned() }
}
