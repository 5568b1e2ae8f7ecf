//! Would a node be recovered if it died now? BMCs are read now and then, so that one that is silent, lies or belongs to
//! another machine is known before its node needs it; and what is known is told, each doubt with its remedy.

use std::time::Duration;

use action_matrix::Reach;
use api::{Doubt, Weight};
use fencing::NodeId;
use fencing::bmc::{Ask, Power, Reply};
use fencing::lease::WatchdogState;

use super::leading::Asked;
use super::levels::{BMC_ANSWERS, step};
use crate::core::Controller;
use crate::effect::Effect;
use crate::registry::{Command, Fires, Node};

/// BMCs that are read at once, beside those of fences: a controller of BMCs has few sessions.
const AT_ONCE: usize = 4;
/// A BMC that reads off is read again after this time: its node may just have gone off.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// A sentinel that was heard within this time runs.
pub(super) const RUNS: Duration = Duration::from_secs(3);

/// What an untested watchdog needs. It names no node, so that `hactl check` says it once for all of them.
const DRILL: &str = "hactl drill NODE --watchdog, when it is empty and disabled in Nova";

/// What the last reads of a BMC said.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    /// Why it would be no help.
    pub(super) trouble: Option<String>,
    /// It reads off since.
    off_since: Option<Duration>,
    /// Not read again before.
    not_before: Duration,
    /// A read is under way, and ends before.
    out_until: Option<Duration>,
}

impl Controller {
    /// Reads BMCs that were not read for a while. Nothing is switched.
    pub(super) fn check_bmcs(&mut self) {
        let (now, every) = (self.now, self.settings.waits.bmc_check);
        let Some(leading) = &mut self.leading else { return };
        let nodes = self.registry.nodes().iter().filter(|(id, _)| !self.registry.is_out(**id));
        let enrolled = nodes.flat_map(|(id, node)| {
            node.believed_levels().into_iter().map(|(level, expect)| (*id, level, expect))
        });
        let is_out = |checked: &Checked| checked.out_until.is_some_and(|until| now < until);
        let out = leading.checked.values().filter(|checked| is_out(checked)).count();
        let mut free = AT_ONCE.saturating_sub(out);
        let mut due = Vec::new();
        for (place, (id, level, expect)) in (0_u32..).zip(enrolled) {
            // All of them at one moment would be a burst in every cycle.
            let turn = leading.since + every + every / 64 * (place % 64);
            let known = leading
                .checked
                .entry((id, level))
                .or_insert_with(|| Checked { not_before: turn, ..Checked::default() });
            if free > 0 && !is_out(known) && known.not_before <= now {
                (known.out_until, known.not_before) = (Some(now + BMC_ANSWERS * 2), now + every);
                free -= 1;
                due.push((id, level, Some(expect)));
            }
        }
        for (node, level, expect) in due {
            let ticket = self.ask_as(Asked::BmcCheck(node, level));
            let (ask, not_after) = (Ask::Read, now + BMC_ANSWERS);
            self.ask_level(ticket, (node, level), ask, expect, not_after);
        }
    }

    /// A BMC was read. One that says off of a node that speaks would make a running node count as off: it is not believed
    /// any more, and that is committed.
    pub(super) fn bmc_checked(
        &mut self,
        node: NodeId,
        level: u8,
        reply: &Reply,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now;
        let Some(enrolled) = self.registry.node(node).and_then(|known| known.believed(level))
        else {
            return;
        };
        let heard = self.sentinels.of(node).map(|heard| heard.at);
        let runs = heard.is_some_and(|at| now.saturating_sub(at) <= RUNS);
        let Some(leading) = &mut self.leading else { return };
        let checked = leading.checked.entry((node, level)).or_default();
        checked.out_until = None;
        let mut lies = None;
        let mut off_since = None;
        let trouble = match reply {
            Reply::Read { identity: Some(other), .. } if *other != enrolled => {
                Some(format!("another machine answers: {other}, enrolled is {enrolled}"))
            }
            Reply::Read { power: Power::Off, .. } => {
                let since = checked.off_since.unwrap_or(now);
                let spoke = heard.is_some_and(|at| at > since + RUNS);
                if spoke {
                    lies = Some("it reads off while its node speaks".to_owned());
                } else if runs {
                    off_since = Some(since);
                    checked.not_before = now + READ_AGAIN;
                }
                lies.clone()
            }
            Reply::Read { power: Power::On, .. } => None,
            Reply::Read { power: Power::Other(word), .. } => {
                Some(format!("it says {word:?} of a node's power, which never counts as off"))
            }
            Reply::OffSent { .. } => None,
            Reply::Failed(failure) => Some(failure.to_string()),
        };
        checked.off_since = off_since;
        let before = std::mem::replace(&mut checked.trouble, trouble.clone());
        let name = step(level, &self.name(node));
        match (&before, &trouble) {
            (None, Some(why)) => out.push(Effect::page(
                "bmc",
                format!("{name} would not be switched off now: {why}. hactl check says what to do"),
            )),
            (Some(_), None) => {
                out.push(Effect::journal("bmc", format!("{name} can be switched off again")));
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        if let Some(why) = lies {
            self.propose_once(Command::BmcDistrusted { node, level, why }, out);
        }
    }

    /// Why a node would not be recovered if it died now, or not surely; empty where all is well. Of a node that is out, or
    /// is being recovered, nothing is said.
    pub(super) fn doubts(&self, now: Duration, id: NodeId, node: &Node) -> Vec<Doubt> {
        if self.registry.incident_of(id).is_some() {
            return Vec::new();
        }
        let mut doubts: Vec<Doubt> = Vec::new();
        if let Some(refusal) = self.refusal(id) {
            let what = format!("no fence would begin ({}): {refusal}", refusal.name());
            doubts.push(never(what, refusal.remedy(&node.record.name)));
        }
        self.doubts_of_evidence(now, id, node, &mut doubts);
        for (name, sight) in self.settings.networks.iter().zip(&self.sights) {
            let unknown = matches!(sight.reach(id), None | Some((Reach::Unknown, _)));
            if sight.is_dark() {
                let what = format!("network {name} is dark: nobody can judge it there");
                doubts.push(never(what, "look at that network's switch".to_owned()));
            } else if unknown && node.serving_boot().is_some() {
                let what = format!("it was never heard on network {name}");
                let remedy =
                    "check its address in the inventory, its cable, and that its agent runs";
                doubts.push(never(what, remedy.to_owned()));
            }
        }
        doubts.extend(self.doubt_of_images());
        self.notes_of_checks(id, node, &mut doubts);
        doubts
    }

    /// What could prove that it is off: its BMC, and its lease with a watchdog behind it. One is enough; with one alone
    /// there are deaths that nothing proves.
    fn doubts_of_evidence(&self, now: Duration, id: NodeId, node: &Node, doubts: &mut Vec<Doubt>) {
        let name = &node.record.name;
        doubts.extend(self.doubt_of_untested(node));
        let by_bmc = self.doubt_of_bmc(id, node, doubts);
        let by_lease = self.doubt_of_lease(now, id, node);
        match (by_bmc, by_lease) {
            (None, None) => {}
            (Some((bmc, one)), Some((lease, other))) => {
                let what =
                    format!("nothing could prove that it is off: BMC: {bmc}; lease: {lease}");
                doubts.push(never(what, format!("{one}; or, for one is enough: {other}")));
            }
            (Some((bmc, remedy)), None) => {
                let wait = node.armed.map_or(0, |a| a.times.wait_after_intent().as_secs());
                let what = format!(
                    "its BMC is no help ({bmc}): only its lease proves that it is off, {wait} s later"
                );
                doubts.push(risk(what, remedy));
            }
            (None, Some((lease, remedy))) => {
                let what = format!(
                    "its lease is no evidence ({lease}): if its BMC dies with it, a person must confirm with \
                     hactl fenced confirm {name}"
                );
                doubts.push(risk(what, remedy));
            }
        }
    }

    /// One level that works is enough; of the others it is said that they do not.
    fn doubt_of_bmc(
        &self,
        id: NodeId,
        node: &Node,
        doubts: &mut Vec<Doubt>,
    ) -> Option<(String, String)> {
        let name = &node.record.name;
        let mut troubles: Vec<_> = node
            .levels()
            .filter_map(|level| Some((level, self.doubt_of_level(id, node, level)?)))
            .collect();
        let levels = node.levels().count();
        if levels == 0 {
            let remedy = format!("give {name} a [bmc] in the inventory");
            return Some(("none in the inventory".to_owned(), remedy));
        }
        if troubles.len() == levels {
            let (level, (what, remedy)) = troubles.swap_remove(0);
            let what = if levels > 1 {
                format!("no level of {levels}: {}", step(level, &what))
            } else {
                what
            };
            return Some((what, remedy));
        }
        for (level, (what, remedy)) in troubles {
            let what =
                format!("level {level} of its {levels} levels of fencing is no help ({what})");
            doubts.push(risk(what, remedy));
        }
        None
    }

    fn doubt_of_level(&self, id: NodeId, node: &Node, level: u8) -> Option<(String, String)> {
        let name = &node.record.name;
        let enroll = if level > 1 {
            format!("hactl bmc enroll {name} --level {level}")
        } else {
            format!("hactl bmc enroll {name}")
        };
        let Some(known) = node.bmcs.get(&level) else {
            let remedy = "check its address, user, password and cipher suite: the leader's journal says what it answered";
            return Some(("it has not answered yet".to_owned(), remedy.to_owned()));
        };
        if let Some(why) = &known.distrusted {
            return Some((format!("not believed: {why}"), format!("repair it, then {enroll}")));
        }
        if let Some(trouble) = self.trouble_of_proxies(node, level) {
            return Some(trouble);
        }
        let checked = self.leading.as_ref().and_then(|l| l.checked.get(&(id, level)));
        let why = checked.and_then(|checked| checked.trouble.clone())?;
        Some((why, format!("check it by hand; if the board was replaced: {enroll}")))
    }

    fn doubt_of_lease(&self, now: Duration, id: NodeId, node: &Node) -> Option<(String, String)> {
        let name = &node.record.name;
        let Some(heard) = self.sentinels.of(id) else {
            let remedy = format!("start ha-sentinel on {name}");
            return Some(("its sentinel was never heard".to_owned(), remedy));
        };
        let silent = now.saturating_sub(heard.at);
        if silent > self.settings.times.lease {
            let what = format!("its sentinel was heard last {} s ago", silent.as_secs());
            return Some((what, format!("look at ha-sentinel on {name}")));
        }
        let weak = match heard.watchdog {
            WatchdogState::Absent => Some("it has no watchdog"),
            WatchdogState::Open { counts_for_e2: false, .. } => Some("its watchdog is too weak"),
            WatchdogState::Closed
            | WatchdogState::Refused { .. }
            | WatchdogState::Open { counts_for_e2: true, .. } => None,
        };
        if let WatchdogState::Refused { hazards } = heard.watchdog {
            let what = format!("VMs would start by themselves when it boots: {hazards}");
            return Some((what, format!("mend that on {name}, then restart ha-sentinel there")));
        }
        if let Some(what) = weak {
            let remedy =
                "load the driver of its hardware watchdog (i6300esb, iTCO_wdt, ipmi_watchdog, ...)";
            return Some((what.to_owned(), remedy.to_owned()));
        }
        let Some(arming) = node.armed.filter(|arming| arming.boot == heard.boot) else {
            let remedy = format!(
                "hactl arm {name}; the log of ha-sentinel says why it does not open its device"
            );
            return Some(("it is not armed".to_owned(), remedy));
        };
        match node.fires(&arming) {
            Some(Fires::InTime) => None,
            Some(Fires::Not) => Some((
                "its watchdog did not fire in a drill".to_owned(),
                format!("mend or replace the watchdog, then {DRILL}"),
            )),
            None if self.settings.watchdog_test => {
                Some(("its watchdog was never seen to fire".to_owned(), DRILL.to_owned()))
            }
            None => None,
        }
    }

    /// A watchdog that counts although nobody has seen it fire, by the operator's own setting.
    fn doubt_of_untested(&self, node: &Node) -> Option<Doubt> {
        let untested = node.armed.is_some_and(|arming| node.fires(&arming).is_none());
        let what = "its watchdog was never seen to fire, and its lease counts as evidence all the same \
                    (require_watchdog_test = false)";
        (untested && !self.settings.watchdog_test).then(|| risk(what.to_owned(), DRILL.to_owned()))
    }
}

fn never(what: String, remedy: String) -> Doubt {
    Doubt { weight: Weight::NotRecovered, what, remedy }
}

fn risk(what: String, remedy: String) -> Doubt {
    Doubt { weight: Weight::AtRisk, what, remedy }
}
