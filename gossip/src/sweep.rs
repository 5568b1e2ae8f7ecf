//! The controllers' sweep: every member of a network is pinged once a second.
//!
//! It finds a failure within 1.3 s whatever the size of the network, where gossip's own hints have a tail: each member keeps
//! its place in the second, so its first tries are a second apart. The sweeps of several networks share the places and begin
//! one after the other, so a machine with three of them is asked every third of a second, and its death is found within
//! 0.65 s. And a sweep tells a controller whether its own link is good: one whose last sweep missed more than 30 % has no
//! voice there. It judges nothing by itself.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// One sweep takes this long, and then the next begins.
const SWEEP: Duration = Duration::from_secs(1);

/// First tries are spread over this part of it; the rest is for further tries and the last answer.
const SPREAD: Duration = Duration::from_millis(700);

/// Between tries, and from the last one to the finding.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// Tries for each member in each sweep.
pub const TRIES: u8 = 3;

/// A member silent for longer counts neither as asked nor as missed: it says nothing about us.
const LONG_GONE: Duration = Duration::from_secs(60);

/// A sweep that is this late was not made: we stood still, and nobody was silent.
const STALL: Duration = Duration::from_millis(300);

/// What happens to a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An answer came in on the ping port.
    Pong {
        /// That of the ping.
        nonce: u64,
        /// Who answers.
        id: Uuid,
        /// In which boot.
        boot: Uuid,
    },
    /// The time of [`Sweep::poll_timeout`] has come.
    Timeout,
}

/// What a sweep wants done, or has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ping this address.
    Ping {
        /// A ping port.
        to: SocketAddr,
        /// To be echoed.
        nonce: u64,
    },
    /// A member did not answer three tries: a hint.
    Missed {
        /// Who.
        member: Uuid,
    },
    /// A member answered; once in each sweep.
    Answered {
        /// Who.
        member: Uuid,
        /// In which boot.
        boot: Uuid,
        /// Tries before the last one, 0 to 2: nothing came back within a tenth of a second, or later.
        unanswered: u8,
    },
    /// A sweep is over. Members silent for over a minute are in neither number.
    Finished {
        /// Members asked.
        asked: u32,
        /// Of these, members that did not answer.
        missed: u32,
    },
}

struct Target {
    /// By ids as numbers: these are compared faster than bytes.
    id: u128,
    /// Its place in each sweep, beside those of the others.
    rank: u64,
    ping: SocketAddr,
    nonce: u64,
    answered: bool,
    /// Tries in the current sweep.
    tries: u8,
    /// Part of the current sweep; one added in the middle waits for the next.
    asked: bool,
    silent_since: Option<Duration>,
}

/// What is to be done when, ordered by time and then by who was put in first: a try of a member, or, after the last try,
/// its finding.
#[derive(Clone, Copy)]
struct Due {
    at: Duration,
    sequence: u64,
    member: u128,
    /// Where it stood among the targets: it still does, unless one was added or removed meanwhile.
    stood: usize,
    tried: u8,
}

/// When a sweep asks, beside those of the same controller on other networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stagger {
    /// Draws the members' places in each sweep. Sweeps with the same lot over the same members give each the same place.
    pub lot: u64,
    /// From the whole seconds of the controller's clock to the beginning of each sweep; less than a second.
    pub after: Duration,
}

impl Stagger {
    /// Of the sweep of network `place` of so many: their turns are spread evenly over the second.
    #[must_use]
    pub fn of(lot: u64, place: usize, networks: usize) -> Self {
        let share = place as f64 / networks.max(1) as f64;
        Self { lot, after: SWEEP.mul_f64(share.fract()) }
    }

    /// The first beginning of a sweep that is not before `now`.
    fn next(&self, now: Duration) -> Duration {
        let within = now.saturating_sub(self.after).as_nanos() % SWEEP.as_nanos();
        if now <= self.after {
            self.after
        } else if within == 0 {
            now
        } else {
            // The rest of a second fits well.
            now + Duration::from_nanos((SWEEP.as_nanos() - within) as u64)
        }
    }

    /// The place of a member, beside those of the others.
    fn rank(&self, id: u128) -> u64 {
        ChaCha8Rng::seed_from_u64(self.lot ^ (id >> 64) as u64 ^ id as u64).next_u64()
    }
}

/// Sweeps one network.
pub struct Sweep {
    rng: ChaCha8Rng,
    stagger: Stagger,
    /// In the order of ids.
    targets: Vec<Target>,
    /// Where they stand, by rank; empty once one was added or removed.
    order: Vec<usize>,
    /// First tries of this sweep, in their order.
    firsts: VecDeque<Due>,
    /// Further tries and, after the last of them, findings. Each is due a fixed time after it was put in: the first in is
    /// the first out.
    again: VecDeque<Due>,
    sequence: u64,
    ends: Option<Duration>,
    /// What is due first; it is asked for much more often than it changes.
    next: Option<Duration>,
    counts: (u32, u32),
}

impl Sweep {
    /// A sweep over nobody. Nonces come from `seed`, which must be unpredictable outside of
    /// simulations.
    #[must_use]
    pub fn new(stagger: Stagger, seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            stagger,
            targets: Vec::new(),
            order: Vec::new(),
            firsts: VecDeque::new(),
            again: VecDeque::new(),
            sequence: 0,
            ends: None,
            next: None,
            counts: (0, 0),
        }
    }

    /// Adds a member from the next sweep on, or changes its address from its next ping on.
    pub fn add(&mut self, now: Duration, member: Uuid, ping: SocketAddr) {
        let id = member.as_u128();
        match self.place(id) {
            Ok(place) => {
                if let Some(target) = self.targets.get_mut(place) {
                    target.ping = ping;
                }
            }
            Err(place) => {
                let (nonce, rank, silent_since) = (0, self.stagger.rank(id), None);
                let (answered, tries, asked) = (false, 0, false);
                let target = Target { id, rank, ping, nonce, answered, tries, asked, silent_since };
                self.targets.insert(place, target);
                self.order.clear();
            }
        }
        self.ends.get_or_insert_with(|| self.stagger.next(now));
        self.note_next();
    }

    /// Removes a member at once.
    pub fn remove(&mut self, member: Uuid) {
        if let Ok(place) = self.place(member.as_u128()) {
            self.targets.remove(place);
            self.order.clear();
        }
    }

    /// When to call [`Sweep::handle`] with a timeout, and why. `None` before the first member.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        Some((self.next?, "sweep"))
    }

    /// Takes an event in.
    pub fn handle(&mut self, now: Duration, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Pong { nonce, id, boot } => self.pong(nonce, id, boot, out),
            Event::Timeout => {
                self.fire(now, out);
                self.note_next();
            }
        }
    }

    /// Where a member stands, or would stand.
    fn place(&self, id: u128) -> Result<usize, usize> {
        self.targets.binary_search_by(|target| target.id.cmp(&id))
    }

    /// Notes what is due first. Further tries of those who have answered would do nothing: nobody is woken for them.
    fn note_next(&mut self) {
        while self.again.front().is_some_and(|due| self.has_answered(due)) {
            self.again.pop_front();
        }
        let first = self.first().map(|due| due.at);
        self.next = self.ends.map(|ends| first.map_or(ends, |at| at.min(ends)));
    }

    fn pong(&mut self, nonce: u64, id: Uuid, boot: Uuid, out: &mut Vec<Effect>) {
        let Ok(place) = self.place(id.as_u128()) else { return };
        let Some(target) = self.targets.get_mut(place) else { return };
        if target.asked && !target.answered && target.nonce == nonce {
            target.answered = true;
            target.silent_since = None;
            let unanswered = target.tries.saturating_sub(1);
            out.push(Effect::Answered { member: id, boot, unanswered });
            self.note_next();
        }
    }

    fn has_answered(&self, due: &Due) -> bool {
        let target = self.targets.get(due.stood).filter(|target| target.id == due.member);
        target.is_some_and(|target| target.asked && target.answered)
    }

    fn fire(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let Some((at, _)) = self.poll_timeout() else { return };
        if now.saturating_sub(at) > STALL {
            self.wait(now);
        }
        while let Some(due) = self.pop(now) {
            self.step(now, due, out);
        }
        if let Some(ends) = self.ends.filter(|ends| *ends <= now) {
            let (asked, missed) = self.counts;
            if asked > 0 {
                out.push(Effect::Finished { asked, missed });
            }
            // Not from now: being late would add up, and the networks would lose their turns.
            self.begin(ends);
        }
    }

    fn first(&self) -> Option<&Due> {
        match (self.firsts.front(), self.again.front()) {
            (Some(first), Some(again)) => Some(first.earlier(again)),
            (first, again) => first.or(again),
        }
    }

    fn pop(&mut self, now: Duration) -> Option<Due> {
        let due = *self.first().filter(|due| due.at <= now)?;
        if due.tried == 0 { self.firsts.pop_front() } else { self.again.pop_front() }
    }

    fn step(&mut self, now: Duration, due: Due, out: &mut Vec<Effect>) {
        let (id, tried) = (due.member, due.tried);
        let stands = self.targets.get(due.stood).is_some_and(|target| target.id == id);
        let Ok(stood) = (if stands { Ok(due.stood) } else { self.place(id) }) else { return };
        let Some(target) = self.targets.get_mut(stood).filter(|target| target.asked) else {
            return;
        };
        if tried == 0 {
            target.nonce = self.rng.next_u64();
            let gone = target.silent_since.is_some_and(|s| now.saturating_sub(s) > LONG_GONE);
            self.counts.0 += u32::from(!gone);
        }
        if target.answered {
            return;
        }
        if tried < TRIES {
            target.tries = tried + 1;
            out.push(Effect::Ping { to: target.ping, nonce: target.nonce });
            self.sequence += 1;
            let (at, tried) = (now + TRY_EVERY, tried + 1);
            self.again.push_back(Due { at, sequence: self.sequence, member: id, stood, tried });
            return;
        }
        let since = *target.silent_since.get_or_insert(now);
        // Judged by the time of the first try, so that nobody is missed without being asked.
        let first_try = now.saturating_sub(TRY_EVERY * u32::from(TRIES));
        if first_try.saturating_sub(since) <= LONG_GONE {
            self.counts.1 = (self.counts.1 + 1).min(self.counts.0);
        }
        out.push(Effect::Missed { member: Uuid::from_u128(id) });
    }

    /// Asks nobody until it is this network's turn again.
    fn wait(&mut self, now: Duration) {
        self.firsts.clear();
        self.again.clear();
        self.counts = (0, 0);
        self.ends = Some(self.stagger.next(now));
    }

    /// Begins a sweep over all members. Their order is drawn by lot, and stays: were it drawn for each sweep, one that is
    /// early in this and late in the next would be asked only after 1.7 s.
    fn begin(&mut self, at: Duration) {
        self.firsts.clear();
        self.again.clear();
        self.counts = (0, 0);
        self.ends = Some(at + SWEEP);
        if self.order.len() != self.targets.len() {
            self.order = (0..self.targets.len()).collect();
            self.order.sort_by_key(|stood| self.targets.get(*stood).map(|target| target.rank));
        }
        let members = u32::try_from(self.order.len()).unwrap_or(u32::MAX).max(1);
        for (slot, &stood) in (0u32..).zip(&self.order) {
            let Some(target) = self.targets.get_mut(stood) else { continue };
            (target.asked, target.answered, target.tries) = (true, false, 0);
            let member = target.id;
            self.sequence += 1;
            let at = at + SPREAD.mul_f64(f64::from(slot) / f64::from(members));
            self.firsts.push_back(Due { at, sequence: self.sequence, member, stood, tried: 0 });
        }
    }
}

impl Due {
    fn earlier<'a>(&'a self, other: &'a Self) -> &'a Self {
        if (other.at, other.sequence) < (self.at, self.sequence) { other } else { self }
    }
}

#[cfg(test)]
mod tests;
