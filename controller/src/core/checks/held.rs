//! What agents have said of their checks. Everything in it comes from the network.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fencing::checks::{
    CHECKS_PER_PART, Check, LONGEST_MESSAGE, MOST_CHECKS, Report, State, is_name, line,
};
use fencing::{BootId, NodeId};

/// An agent that was silent for so long says nothing any more: it tells of itself every ten seconds, over another network
/// each time.
pub(super) const FRESH: Duration = Duration::from_secs(40);
/// Who has missed something asks for it this often at most.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Questions whose answers are still taken.
const MOST_ASKS: usize = 4;
/// What is not fresh any more is looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The checks of all nodes.
#[derive(Debug, Default)]
pub(in crate::core) struct Held {
    of: BTreeMap<NodeId, OfNode>,
    turns: u64,
    next_look: Duration,
}

/// A check says something else from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) before: State,
    pub(super) state: State,
    pub(super) message: String,
}

/// What came of a report.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) changes: Vec<Change>,
    /// Something was missed: to be asked for.
    pub(super) ask: bool,
}

#[derive(Debug)]
pub(super) struct OfNode {
    boot: BootId,
    life: u64,
    pub(super) said: BTreeMap<String, Said>,
    /// Questions that are out: what they quote, and when they left.
    asks: VecDeque<(u64, Duration)>,
    /// Since when an answer is waited for before anything is done.
    pub(super) waits_since: Option<Duration>,
    /// It was asked and said nothing: what it said before does not count until it answers.
    silent: bool,
}

/// What a check said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) check: Check,
    /// Since when it says so.
    pub(super) since: Duration,
    /// When it was heard last that this still holds.
    pub(super) heard: Duration,
    /// When the question left that was answered so.
    pub(super) asked: Option<Duration>,
    /// Whether it is told that it is not fresh any more.
    stale: bool,
}

impl Held {
    /// Takes a report of a boot whose checks count.
    pub(super) fn take(&mut self, now: Duration, report: Report) -> Taken {
        if !is_bounded(&report) {
            return Taken::default();
        }
        let Report { node, boot, life, answers, of, turns, checks } = report;
        let fresh = || OfNode {
            boot,
            life,
            said: BTreeMap::new(),
            asks: VecDeque::new(),
            waits_since: None,
            silent: false,
        };
        let held = self.of.entry(node).or_insert_with(fresh);
        if held.boot != boot {
            *held = fresh();
        }
        let mut taken = Taken::default();
        if life < held.life {
            return taken;
        }
        if life > held.life {
            // Another start of the agent: what the one before it said holds no more.
            held.life = life;
            taken.changes.extend(held.said.values().filter_map(Said::forgotten));
            held.said.clear();
        }
        let asked = answers.and_then(|nonce| held.asks.iter().find(|(quoted, _)| *quoted == nonce));
        let asked = asked.map(|(_, at)| *at);
        for check in checks {
            held.hear(now, asked, usize::from(of), check, &mut taken);
        }
        let sum = held.said.values().fold(0_u64, |sum, said| sum.wrapping_add(said.check.turn));
        let whole = held.said.len() == usize::from(of) && sum == turns;
        if whole {
            held.said.values_mut().for_each(|said| said.hear(now));
        }
        if whole && asked.is_some() {
            held.silent = false;
            held.waits_since = None;
        }
        let last = held.asks.back().map(|(_, at)| *at);
        let may_ask = last.is_none_or(|at| now.saturating_sub(at) >= ASK_AGAIN);
        taken.ask = answers.is_none() && (!whole || held.silent) && may_ask;
        // Every report may make something fresh again.
        self.turns = self.turns.wrapping_add(1);
        taken
    }

    /// What a check of a boot says now.
    pub(super) fn state(&self, now: Duration, node: NodeId, boot: BootId, name: &str) -> State {
        let held = self.of.get(&node).filter(|held| !held.silent);
        let counts = |held: &&OfNode| held.boot == boot || mutants::is_on(mutants::Mutant::M95);
        let said = held.filter(counts).and_then(|held| held.said.get(name));
        said.filter(|said| said.is_fresh(now)).map_or(State::Unknown, |said| said.check.state)
    }

    /// Whether any check of a node has failed, as far as it was heard.
    pub(super) fn any_failed(&self, node: NodeId) -> bool {
        let held = self.of.get(&node);
        held.is_some_and(|held| held.said.values().any(|said| said.check.state == State::Critical))
    }

    /// What is held of a node.
    pub(super) fn of(&self, node: NodeId, boot: BootId) -> Option<&OfNode> {
        self.of.get(&node).filter(|held| held.boot == boot)
    }

    pub(super) fn of_mut(&mut self, node: NodeId, boot: BootId) -> Option<&mut OfNode> {
        self.of.get_mut(&node).filter(|held| held.boot == boot)
    }

    /// A question left.
    pub(super) fn asked(&mut self, now: Duration, node: NodeId, nonce: u64) {
        let Some(held) = self.of.get_mut(&node) else { return };
        if held.asks.len() >= MOST_ASKS {
            held.asks.pop_front();
        }
        held.asks.push_back((nonce, now));
    }

    /// It was asked and says nothing: from now on all its checks are unknown.
    pub(super) fn turn_silent(&mut self, node: NodeId) {
        if let Some(held) = self.of.get_mut(&node) {
            (held.silent, held.waits_since) = (true, None);
            self.turns = self.turns.wrapping_add(1);
        }
    }

    /// How often anything may have become another one.
    pub(in crate::core) fn turns(&self) -> u64 {
        self.turns
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.next_look <= now
    }

    /// What is not fresh any more, each told once; what nodes said that are no more is forgotten.
    pub(super) fn expire(
        &mut self,
        now: Duration,
        is_known: impl Fn(NodeId) -> bool,
    ) -> Vec<(NodeId, Change)> {
        self.next_look = now + LOOK_EVERY;
        self.of.retain(|node, _| is_known(*node));
        let mut changes = Vec::new();
        for (node, held) in &mut self.of {
            for said in held.said.values_mut().filter(|said| !said.stale && !said.is_fresh(now)) {
                changes.extend(said.forgotten().map(|change| (*node, change)));
                said.stale = true;
                self.turns = self.turns.wrapping_add(1);
            }
        }
        changes
    }
}

impl OfNode {
    fn hear(
        &mut self,
        now: Duration,
        asked: Option<Duration>,
        of: usize,
        check: Check,
        taken: &mut Taken,
    ) {
        let known = self.said.get_mut(&check.name);
        if let Some(known) = known {
            if check.turn < known.check.turn {
                return;
            }
            let before = if known.stale { State::Unknown } else { known.check.state };
            known.hear(now);
            known.asked = known.asked.max(asked);
            if check.turn > known.check.turn {
                if asked.is_none() {
                    // It was said before of another state.
                    known.asked = None;
                }
                known.since = now.saturating_sub(Duration::from_secs(check.for_s.into()));
                known.check = check;
            }
            taken.changes.extend(known.change(before));
            return;
        }
        // More names than there are checks: somebody plays with us.
        if self.said.len() >= of {
            return;
        }
        let since = now.saturating_sub(Duration::from_secs(check.for_s.into()));
        let said = Said { check, since, heard: now, asked, stale: false };
        taken.changes.extend(said.change(State::Unknown));
        self.said.insert(said.check.name.clone(), said);
    }

    /// Whether its agent has said so when it was asked, at `since` at the earliest.
    pub(super) fn stands(&self, name: &str, since: Duration) -> bool {
        self.said.get(name).is_some_and(|said| said.asked.is_some_and(|asked| asked >= since))
    }

    /// When it was asked last.
    pub(super) fn asked_at(&self) -> Option<Duration> {
        self.asks.back().map(|(_, at)| *at)
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }
}

impl Said {
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) <= FRESH
    }

    fn hear(&mut self, now: Duration) {
        (self.heard, self.stale) = (now, false);
    }

    fn change(&self, before: State) -> Option<Change> {
        let Check { name, state, message, .. } = &self.check;
        let (name, message) = (name.clone(), message.clone());
        (before != *state).then_some(Change { name, before, state: *state, message })
    }

    fn forgotten(&self) -> Option<Change> {
        let before = self.check.state;
        let known = !self.stale && before != State::Unknown;
        let message = "its agent is not heard".to_owned();
        let name = self.check.name.clone();
        known.then_some(Change { name, before, state: State::Unknown, message })
    }
}

/// Whether an agent could have sent it.
fn is_bounded(report: &Report) -> bool {
    let few = usize::from(report.of) <= MOST_CHECKS && report.checks.len() <= CHECKS_PER_PART;
    let plain = |check: &Check| {
        let fits = check.message.len() <= LONGEST_MESSAGE && line(&check.message) == check.message;
        is_name(&check.name) && fits && check.turn > 0
    };
    few && report.checks.iter().all(plain)
}
