//! How a member comes back when the group believes it dead.

use std::time::Duration;

use super::timers::Timer;
use super::{Effect, Group};

/// A renewal after less than this counts as a quarrel.
const QUARREL: Duration = Duration::from_secs(10);

/// A generation above this is a lie: it would leave us none to come back with.
const MAX_GENERATION: u64 = 1 << 62;

/// Pace and step of our renewals.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    last: Option<Duration>,
    /// Highest generation heard for our own node id.
    seen: u64,
    step: u64,
    waiting: bool,
}

impl Group {
    /// Remembers the highest generation under which our node id is known, to beat it in one step.
    pub(super) fn hear_of_ourselves(&mut self, generation: u64) {
        if generation <= MAX_GENERATION {
            self.renewal.seen = self.renewal.seen.max(generation);
        }
    }

    /// The group believes us dead. Once is a healed partition: back at once. Again within ten seconds
    /// is a quarrel (a lost counter, a second machine with our id, a liar): ever more slowly, in ever
    /// larger steps. It changes nothing but the generation.
    pub(super) fn renew_soon(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.renewal.waiting {
            return;
        }
        if self.renewal.last.is_none_or(|last| now.saturating_sub(last) > QUARREL) {
            self.renewal.step = 1;
            self.renew(now, out);
        } else {
            self.renewal.step = self.renewal.step.saturating_mul(16).min(1 << 40);
            self.renewal.waiting = true;
            let pause = Duration::from_millis(50 * self.renewal.step.min(40));
            self.side.timers.set(now + pause, Timer::Renew);
        }
    }

    pub(super) fn renew(&mut self, now: Duration, out: &mut Vec<Effect>) {
        self.renewal.waiting = false;
        self.renewal.last = Some(now);
        self.side.counters.renewals += 1;
        self.side.incarnation = 0;
        self.exchange_pause = self.config.exchange_every / 16;
        let next = self.me().renewed(self.renewal.seen, self.renewal.step);
        self.side.names.renew(next);
        self.with_swim(now, out, |swim, run| {
            swim.change_identity(next, &mut *run)?;
            // Makes foca notice that members are there, and go on probing.
            swim.apply_many(std::iter::empty(), false, run)
        });
    }
}
