//! base_v: since when half of the other voters stand for this boot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fencing::lease::vouches_needed;
use fencing::{BootId, NodeId};
use mutants::{Mutant, is_on};

/// Asks that are remembered: eight waves a C at most, and some.
const MOST_ASKS: usize = 64;

/// A voter is a node in one of its boots: after a reboot it has forgotten what it promised.
pub(super) type Voter = (NodeId, BootId);

/// The asks of the last C, who vouched, and when to ask again.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    asks: VecDeque<(u64, Duration)>,
    vouched: BTreeMap<Voter, Duration>,
    round: Option<Round>,
}

/// One round of asking: first some, then the rest.
#[derive(Clone, Debug)]
struct Round {
    began: Duration,
    rest: Vec<NodeId>,
}

impl Peers {
    /// When a round may begin: C/4 after the last one.
    pub(super) fn next_round(&self, vouch: Duration) -> Duration {
        self.round.as_ref().map_or(Duration::ZERO, |round| round.began + vouch / 4)
    }

    /// When those that the present round has spared so far are to be asked: C/16 after it began.
    pub(super) fn next_wave(&self, vouch: Duration) -> Option<Duration> {
        let round = self.round.as_ref().filter(|round| !round.rest.is_empty())?;
        Some(round.began + vouch / 16)
    }

    /// Begins a round with the voters in random order: those to ask now are v and a fifth of v.
    pub(super) fn begin_round(&mut self, now: Duration, mut shuffled: Vec<NodeId>) -> Vec<NodeId> {
        let needed = vouches_needed(shuffled.len());
        let first = (needed + needed.div_ceil(5)).min(shuffled.len());
        let rest = shuffled.split_off(first);
        self.round = Some(Round { began: now, rest });
        shuffled
    }

    /// The rest of the round, unless enough have vouched in it already.
    pub(super) fn second_wave(&mut self, voters: &BTreeSet<Voter>) -> Vec<NodeId> {
        let base = self.base(voters);
        let Some(round) = &mut self.round else { return Vec::new() };
        let rest = std::mem::take(&mut round.rest);
        if base.is_some_and(|base| base >= round.began) { Vec::new() } else { rest }
    }

    /// An ask leaves now.
    pub(super) fn asked(&mut self, now: Duration, vouch: Duration, seq: u64) {
        while self.asks.front().is_some_and(|(_, at)| now.saturating_sub(*at) >= vouch) {
            self.asks.pop_front();
        }
        if self.asks.len() == MOST_ASKS {
            self.asks.pop_front();
        }
        self.asks.push_back((seq, now));
    }

    /// A voter vouched. What counts is when the ask was **sent**. False for an ask or a voter that is not known, so
    /// that strangers take no memory.
    pub(super) fn vouched(&mut self, voters: &BTreeSet<Voter>, voter: Voter, seq: u64) -> bool {
        let asked = self.asks.iter().find(|(asked, _)| *asked == seq);
        let Some((_, at)) = asked.filter(|_| voters.contains(&voter)) else { return false };
        let at = self.asks.back().filter(|_| is_on(Mutant::M50)).map_or(at, |(_, last)| last);
        let newest = self.vouched.entry(voter).or_default();
        *newest = (*at).max(*newest);
        self.vouched.retain(|known, _| voters.contains(known));
        true
    }

    /// base_v: the v-th newest send time of asks that distinct voters vouched for; v is half of all **registered**
    /// other voters, whether they answer or not. Not for v = 0.
    pub(super) fn base(&self, voters: &BTreeSet<Voter>) -> Option<Duration> {
        let mut newest: Vec<Duration> =
            voters.iter().filter_map(|voter| self.vouched.get(voter).copied()).collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        let registered = if is_on(Mutant::M51) { newest.len() } else { voters.len() };
        let needed = vouches_needed(registered);
        let needed = if is_on(Mutant::M54) { needed.saturating_sub(1).max(1) } else { needed };
        newest.get(needed.checked_sub(1)?).copied()
    }
}
