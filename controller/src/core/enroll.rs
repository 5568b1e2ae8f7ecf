//! A BMC enrolled by an operator's order: it is read first, and what it says must fit. Nothing is switched.

use std::time::Duration;

use fencing::NodeId;
use fencing::bmc::{Ask, Power, Reply};

use super::check::RUNS;
use super::leading::Asked;
use super::levels::BMC_ANSWERS;
use super::orders::refused;
use crate::core::Controller;
use crate::effect::{Effect, Ticket};
use crate::registry::Command;

/// An order under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Enrolling {
    node: NodeId,
    level: u8,
    pub(super) ticket: Ticket,
    asked_at: Duration,
}

impl Controller {
    /// Reads the BMC; the answer decides.
    pub(super) fn enroll_by_hand(
        &mut self,
        ticket: Ticket,
        name: &str,
        level: u8,
        out: &mut Vec<Effect>,
    ) {
        match self.may_enroll(name, level) {
            Err(failure) => out.push(Effect::Answer { ticket, result: Err(failure) }),
            Ok(node) => {
                let now = self.now;
                let enrolling = Enrolling { node, level, ticket, asked_at: now };
                let ticket = self.ask_as(Asked::BmcEnroll(enrolling));
                let not_after = now + BMC_ANSWERS;
                let (ask, expect) = (Ask::Read, None);
                self.ask_level(ticket, (node, level), ask, expect, not_after);
            }
        }
    }

    fn may_enroll(&self, name: &str, level: u8) -> Result<NodeId, api::Failure> {
        let (node, known) = self.known(name)?;
        if !known.levels().any(|named| named == level) {
            let what =
                if level == 1 { "[bmc]".to_owned() } else { format!("[bmc] of level {level}") };
            return Err(refused(format!("the inventory has no {what} for {name}: add it first")));
        }
        // Evidence under way rests on the identity that was enrolled when it began.
        if self.registry.incident_of(node).is_some() {
            return Err(refused(format!(
                "{name} has an open incident: wait for its end, `hactl why {name}` shows it"
            )));
        }
        Ok(node)
    }

    /// It was read.
    pub(super) fn bmc_enrolled(
        &mut self,
        enrolling: &Enrolling,
        reply: &Reply,
        out: &mut Vec<Effect>,
    ) {
        let (node, level, ticket) = (enrolling.node, enrolling.level, enrolling.ticket);
        let name = self.name(node);
        // An incident may have begun while the BMC was read.
        if let Err(failure) = self.may_enroll(&name, level) {
            out.push(Effect::Answer { ticket, result: Err(failure) });
            return;
        }
        let took = self.now.saturating_sub(enrolling.asked_at).as_secs_f64();
        let heard = self.sentinels.of(node).map(|heard| heard.at);
        let runs = heard.is_some_and(|at| self.now.saturating_sub(at) <= RUNS);
        let outcome = match reply {
            Reply::Read { power: Power::Off, .. } if runs => Err(format!(
                "{name} speaks and this BMC reads off: it is another machine's, or it lies; check its address"
            )),
            Reply::Read { identity: Some(identity), power } => Ok((*identity, power)),
            Reply::Read { identity: None, .. } => Err(format!(
                "the BMC of {name} gives no identity (GUID or UUID): set one in its own settings"
            )),
            Reply::OffSent { .. } | Reply::Failed(_) => {
                Err(format!("{name} {reply}: check its address, user, password and network"))
            }
        };
        match outcome {
            Err(why) => out.push(Effect::Answer { ticket, result: Err(refused(why)) }),
            Ok((identity, power)) => {
                let said = format!(
                    "{name}: BMC {identity} is enrolled; it answered in {took:.1} s and reads {power}"
                );
                if let Some(leading) = &mut self.leading {
                    leading.checked.remove(&(node, level));
                }
                self.propose_order(
                    ticket,
                    Command::BmcEnrolled { node, level, identity },
                    said,
                    out,
                );
            }
        }
    }
}
