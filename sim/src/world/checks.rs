//! Health checks of nodes: what a probe would find, and what becomes of the reports.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use controller::effect::Network;
use fencing::checks::{CHANNEL, Message, State};
use node_agent::agent::Event;
use node_agent::checks::Outcome;

use super::{Body, World};

/// Reports of trouble that somebody has kept of a node, to send them again.
const MOST_KEPT: usize = 16;

/// The kind of datagram in which gossip carries what is not its own.
const TALK: u8 = 4;

/// What there is to find on a node, and what is done to its reports.
#[derive(Debug, Default)]
pub struct Health {
    /// By the name of the check; one that is not here is well.
    pub finds: BTreeMap<String, Finds>,
    /// Whether its reports are lost, and nothing else.
    pub lost: bool,
    /// Its boot in which a check was last found to have failed, and when.
    pub failed: BTreeMap<String, (u32, Duration)>,
    /// Runs that have not ended: which, and in which boot.
    pub(super) hung: BTreeMap<String, (u8, u64, u32)>,
    kept: VecDeque<(Network, SocketAddr, Vec<u8>)>,
}

/// What a probe finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// Each time the same.
    Always(State),
    /// Failed and well in turns, so many times each.
    Turns(u32),
    /// It does not end.
    Nothing,
}

impl Health {
    /// Whether nothing is wrong, and nothing was within this time.
    pub fn is_well(&self, since: Duration) -> bool {
        let well = |finds: &Finds| *finds == Finds::Always(State::Ok);
        let over = self.hung.is_empty() && self.failed.values().all(|(_, at)| *at < since);
        over && self.finds.values().all(well)
    }

    /// The boot in which a check last failed, and when; a probe that hangs fails all the time.
    pub fn last_failed(&self, check: &str, now: Duration) -> Option<(u32, Duration)> {
        let hung = self.hung.get(check).map(|(_, _, boots)| (*boots, now));
        hung.or_else(|| self.failed.get(check).copied())
    }
}

impl World {
    /// From now on a check of a node finds this. What it hung on lets it go, too late to say anything.
    pub fn set_check(&mut self, number: u16, check: &str, finds: Finds) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        node.health.finds.insert(check.to_owned(), finds);
        if finds == Finds::Nothing {
            return;
        }
        let Some((check_at, run, boots)) = node.health.hung.remove(check) else { return };
        node.health.failed.insert(check.to_owned(), (boots, now));
        let outcome = Outcome::new(State::Ok, 0, "it goes on");
        self.tell_agent(number, Event::Checked { check: check_at, run, outcome });
    }

    /// A node's reports of checks are lost from now on, or not any more.
    pub fn lose_checks(&mut self, number: u16, lost: bool) {
        if let Some(node) = self.node_mut(number) {
            node.health.lost = lost;
        }
    }

    /// Somebody sends again what a node has ever told of checks that failed.
    pub fn replay_checks(&mut self, number: u16) {
        let kept = self.node(number).map(|node| node.health.kept.clone()).unwrap_or_default();
        let place = crate::place::Place::Node(number);
        for (network, to, bytes) in kept {
            self.send(place, network, to, Body::Gossip(bytes));
        }
    }

    /// A node's agent begins a check.
    pub(super) fn run_check(&mut self, number: u16, check: u8, run: u64) {
        let now = self.now;
        let Some(name) = self.plan.checks.get(usize::from(check)).map(|plan| plan.name.clone())
        else {
            return;
        };
        let Some(node) = self.node_mut(number) else { return };
        let state = match node.health.finds.get(&name) {
            None => Some(State::Ok),
            Some(Finds::Always(state)) => Some(*state),
            Some(Finds::Nothing) => None,
            Some(Finds::Turns(times)) => {
                let well = run / u64::from((*times).max(1)) % 2 == 1;
                Some(if well { State::Ok } else { State::Critical })
            }
        };
        match state {
            None => {
                node.health.hung.insert(name, (check, run, node.boots));
            }
            Some(State::Critical) => {
                node.health.failed.insert(name, (node.boots, now));
            }
            Some(State::Ok | State::Warning | State::Unknown) => {}
        }
        if let Some(state) = state {
            let message = if state == State::Ok { "all is well" } else { "so says the scenario" };
            let outcome = Outcome::new(state, 0, message);
            self.tell_agent(number, Event::Checked { check, run, outcome });
        }
    }

    /// Whether a datagram of a node's agent leaves; reports of checks that failed are kept.
    pub(super) fn lets_leave(
        &mut self,
        number: u16,
        network: Network,
        to: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let Some(report) = told(bytes) else { return true };
        let Some(node) = self.node_mut(number) else { return true };
        if report {
            if node.health.kept.len() >= MOST_KEPT {
                node.health.kept.pop_front();
            }
            node.health.kept.push_back((network, to, bytes.to_vec()));
        }
        !node.health.lost
    }
}

/// Whether a datagram tells of checks, and then whether one of them failed. Behind the kind of the datagram comes the
/// channel.
fn told(bytes: &[u8]) -> Option<bool> {
    let (_, rest) = bytes.split_first().filter(|(kind, _)| **kind == TALK)?;
    let (_, body) = rest.split_first().filter(|(channel, _)| **channel == CHANNEL)?;
    match postcard::from_bytes(body).ok()? {
        Message::Report(report) => {
            Some(report.checks.iter().any(|check| check.state == State::Critical))
        }
        Message::Ask { .. } => None,
    }
}
