//! base_c: since when a quorum of the controllers stands for this boot.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fencing::ControllerId;
use mutants::{Mutant, is_on};

/// Renewals that are remembered: more than L / p of every profile that the configuration admits by default. An ack for
/// one that is forgotten does not count.
const MOST_RENEWALS: usize = 1024;

/// The renewals of the last L and what the controllers said to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    sent: VecDeque<Renewal>,
    acked: BTreeMap<ControllerId, Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Renewal {
    seq: u64,
    at: Duration,
    challenge: u64,
}

impl Lease {
    /// A renewal leaves now. Those that are as old as `lease` can give no lease any more and are forgotten.
    pub(super) fn renewed(&mut self, now: Duration, lease: Duration, seq: u64, challenge: u64) {
        while self.sent.front().is_some_and(|old| now.saturating_sub(old.at) >= lease) {
            self.sent.pop_front();
        }
        if self.sent.len() == MOST_RENEWALS {
            self.sent.pop_front();
        }
        self.sent.push_back(Renewal { seq, at: now, challenge });
    }

    /// A controller acked renewal `seq`. What counts is when that renewal was **sent**: the controller may have
    /// promised not to ack at any time after it answered. False for a renewal that is not known.
    pub(super) fn acked(&mut self, controller: ControllerId, seq: u64) -> bool {
        let Some(renewal) = self.sent.iter().rev().find(|renewal| renewal.seq == seq) else {
            return false;
        };
        let received = self.sent.back().filter(|_| is_on(Mutant::M02));
        let newest = self.acked.entry(controller).or_default();
        *newest = received.unwrap_or(renewal).at.max(*newest);
        true
    }

    /// base_c: the newest b such that a majority of `set` acked renewals sent at b or later.
    pub(super) fn base<'a>(
        &self,
        set: impl Iterator<Item = &'a ControllerId> + Clone,
    ) -> Option<Duration> {
        let quorum = if is_on(Mutant::M04) { 1 } else { set.clone().count() / 2 + 1 };
        let acked = set.filter_map(|id| self.acked.get(id).copied());
        let stand = |base: Duration| acked.clone().filter(|at| *at >= base).count() >= quorum;
        acked.clone().filter(|base| stand(*base)).max()
    }

    /// Whether the challenge is of a renewal younger than `lease`.
    pub(super) fn knows_challenge(&self, now: Duration, lease: Duration, challenge: u64) -> bool {
        let young = |renewal: &&Renewal| now.saturating_sub(renewal.at) < lease;
        self.sent.iter().filter(young).any(|renewal| renewal.challenge == challenge)
    }
}
