//! The agent and its health checks: what they want done goes out over its lanes.

use std::net::SocketAddr;
use std::time::Duration;

use fencing::checks::{self, Message, Report};

use super::{Agent, Effect};
use crate::checks::{Deed, Outcome, Over};

impl Agent {
    /// A check has ended.
    pub(super) fn check_ended(
        &mut self,
        now: Duration,
        run: (u8, u64),
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let mut deeds = Vec::new();
        self.checks.ended(now, run, outcome, &mut deeds);
        self.take_deeds(deeds, effects);
    }

    /// Somebody on this node says how a check is.
    pub(super) fn check_pushed(
        &mut self,
        now: Duration,
        check: u8,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let mut deeds = Vec::new();
        self.checks.pushed(now, check, outcome, &mut deeds);
        self.take_deeds(deeds, effects);
    }

    /// Checks that are due.
    pub(super) fn checks_timeout(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let mut deeds = Vec::new();
        self.checks.timeout(now, &mut deeds);
        self.take_deeds(deeds, effects);
    }

    /// A controller asks for all of them.
    pub(super) fn answer_checks(
        &mut self,
        now: Duration,
        (network, to): (u8, SocketAddr),
        nonce: u64,
        effects: &mut Vec<Effect>,
    ) {
        let reports = self.checks.answers(now, nonce);
        let Some(lane) = self.lanes.get(usize::from(network)) else { return };
        for report in reports {
            if let Some(bytes) = bytes(report) {
                lane.talk(to, checks::CHANNEL, &bytes, effects);
            }
        }
    }

    fn take_deeds(&self, deeds: Vec<Deed>, effects: &mut Vec<Effect>) {
        for deed in deeds {
            match deed {
                Deed::Run { check, run } => effects.push(Effect::RunCheck { check, run }),
                Deed::Tell(report, over) => self.tell_checks(report, over, effects),
            }
        }
    }

    fn tell_checks(&self, report: Report, over: Over, effects: &mut Vec<Effect>) {
        let Some(bytes) = bytes(report) else { return };
        match over {
            Over::All => {
                for lane in &self.lanes {
                    lane.tell_controllers(checks::CHANNEL, &bytes, effects);
                }
            }
            Over::One(number) => {
                let lanes = u64::try_from(self.lanes.len()).unwrap_or(1).max(1);
                let place = usize::try_from(number % lanes).unwrap_or(0);
                if let Some(lane) = self.lanes.get(place) {
                    lane.tell_controllers(checks::CHANNEL, &bytes, effects);
                }
            }
        }
    }
}

fn bytes(report: Report) -> Option<Vec<u8>> {
    postcard::to_stdvec(&Message::Report(report)).ok()
}
