//! The controllers' sweep: every member of a network is pinged once a second.
//!
//! It finds a failure within 1.3 s whatever the size of the network, where gossip's own hints have a
//! tail: each member keeps its place in the second, so its first tries are a second apart. And it tells a controller whether its own link is good: one whose last sweep missed
//! more than 30 % has no voice there. It judges nothing by itself.

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

/// Sweeps one network.
pub struct Sweep {
    rng: ChaCha8Rng,
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
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
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
                let (nonce, rank, silent_since) = (0, self.rng.next_u64(), None);
                let (answered, tries, asked) = (false, 0, false);
                let target = Target { id, rank, ping, nonce, answered, tries, asked, silent_since };
                self.targets.insert(place, target);
                self.order.clear();
            }
        }
        self.ends.get_or_insert(now);
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
            self.begin(now);
        }
        while let Some(due) = self.pop(now) {
            self.step(now, due, out);
        }
        if self.ends.is_some_and(|ends| ends <= now) {
            let (asked, missed) = self.counts;
            if asked > 0 {
                out.push(Effect::Finished { asked, missed });
            }
            self.begin(now);
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

    /// Begins a sweep over all members. Their order is drawn by lot, and stays: were it drawn for each sweep, one that is
    /// early in this and late in the next would be asked only after 1.7 s.
    fn begin(&mut self, now: Duration) {
        self.firsts.clear();
        self.again.clear();
        self.counts = (0, 0);
        self.ends = Some(now + SWEEP);
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
            let at = now + SPREAD.mul_f64(f64::from(slot) / f64::from(members));
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
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    struct World {
        sweep: Sweep,
        now: Duration,
        out: Vec<(u64, Effect)>,
    }

    impl World {
        fn new(members: u16) -> Self {
            let mut sweep = Sweep::new(7);
            for id in 1..=members {
                sweep.add(Duration::ZERO, Uuid::from_u128(id.into()), at(id));
            }
            Self { sweep, now: Duration::ZERO, out: Vec::new() }
        }

        /// `answers(member, time)`: whether a ping sent then is answered.
        fn run(&mut self, millis: u64, answers: impl Fn(u16, u64) -> bool) {
            let end = self.now + Duration::from_millis(millis);
            while let Some((time, _)) = self.sweep.poll_timeout().filter(|(time, _)| *time < end) {
                self.now = self.now.max(time);
                let mut out = Vec::new();
                self.sweep.handle(self.now, Event::Timeout, &mut out);
                let millis = self.now.as_millis() as u64;
                for effect in out.clone() {
                    if let Effect::Ping { to, nonce } = effect
                        && answers(to.port(), millis)
                    {
                        let id = Uuid::from_u128(to.port().into());
                        let pong = Event::Pong { nonce, id, boot: id };
                        self.sweep.handle(self.now, pong, &mut out);
                    }
                }
                self.out.extend(out.into_iter().map(|effect| (millis, effect)));
            }
            self.now = end;
        }

        fn finished(&self) -> Vec<(u32, u32)> {
            let finished = self.out.iter().filter_map(|(_, effect)| match effect {
                Effect::Finished { asked, missed } => Some((*asked, *missed)),
                Effect::Ping { .. } | Effect::Missed { .. } | Effect::Answered { .. } => None,
            });
            finished.collect()
        }
    }

    fn at(id: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], id))
    }

    #[test]
    fn every_member_is_asked_each_second_in_its_own_place_and_all_are_spread() {
        let mut world = World::new(100);
        world.run(2500, |_, _| true);
        assert_eq!(world.finished(), [(100, 0), (100, 0)]);
        let mut orders = [Vec::new(), Vec::new(), Vec::new()];
        for (millis, effect) in &world.out {
            if let Effect::Ping { to, .. } = effect {
                orders[(millis / 1000) as usize].push((to.port(), *millis));
            }
        }
        assert_eq!(orders[0].iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().len(), 100);
        let in_a_second: Vec<_> = orders[0].iter().map(|(id, at)| (*id, at + 1000)).collect();
        assert_eq!(in_a_second, orders[1]);
        assert!(!orders[0].is_sorted(), "by lot");
        assert!(orders[0][99].1 - orders[0][0].1 > 600);
    }

    #[test]
    fn a_death_is_found_within_1300_ms_whenever_it_comes() {
        let latest = (1..=100).map(|id| {
            let mut world = World::new(100);
            let died = 3000 + u64::from(id) * 17;
            world.run(6000, |asked, at| asked != id || at < died);
            let missed = Effect::Missed { member: Uuid::from_u128(id.into()) };
            let (found, _) = *world.out.iter().find(|(_, effect)| *effect == missed).unwrap();
            found - died
        });
        let latest = latest.max().unwrap();
        assert!((1200..=1300).contains(&latest), "{latest} ms");
    }

    #[test]
    fn a_member_is_missed_after_three_tries_and_not_after_two() {
        let mut world = World::new(10);
        world.run(1001, |id, _| id != 3);
        assert_eq!(world.finished(), [(10, 1)]);
        let to_three: Vec<_> = world
            .out
            .iter()
            .filter(|(_, e)| matches!(e, Effect::Ping { to, .. } if *to == at(3)))
            .map(|(millis, _)| *millis)
            .collect();
        assert_eq!((to_three.len(), to_three[2] - to_three[0]), (3, 200));
        let first = to_three[0];
        let mut world = World::new(10);
        world.run(1001, |id, millis| id != 3 || millis >= first + 200);
        assert_eq!(world.finished(), [(10, 0)]);
        let unanswered = |(_, effect): &(u64, Effect)| match effect {
            Effect::Answered { member, unanswered, .. } => {
                (*member == Uuid::from_u128(3)).then_some(*unanswered)
            }
            Effect::Ping { .. } | Effect::Missed { .. } | Effect::Finished { .. } => None,
        };
        assert_eq!(world.out.iter().filter_map(unanswered).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn nobody_is_woken_for_members_that_have_answered() {
        let mut sweep = Sweep::new(7);
        (1..=10).for_each(|id| sweep.add(Duration::ZERO, Uuid::from_u128(id.into()), at(id)));
        let (mut wakes, mut now) = (0, Duration::ZERO);
        while let Some((time, _)) = sweep.poll_timeout().filter(|(t, _)| t.as_millis() < 10_500) {
            (wakes, now) = (wakes + 1, now.max(time));
            let mut out = Vec::new();
            sweep.handle(now, Event::Timeout, &mut out);
            for effect in out.clone() {
                let Effect::Ping { to, nonce } = effect else { continue };
                let id = Uuid::from_u128(to.port().into());
                sweep.handle(now, Event::Pong { nonce, id, boot: id }, &mut out);
            }
        }
        // One for each first try, and the end of a sweep, which begins the next.
        assert!(wakes <= 11 * 11, "{wakes}");
    }

    #[test]
    fn the_long_gone_count_neither_way_and_are_still_pinged() {
        let mut world = World::new(10);
        world.run(70_500, |id, _| id != 3);
        let finished = world.finished();
        assert_eq!((finished[0], finished[55], finished[68]), ((10, 1), (10, 1), (9, 0)));
        assert!(finished.iter().all(|(asked, missed)| asked - missed == 9), "{finished:?}");
        world.run(3000, |_, _| true);
        assert_eq!(world.finished().last(), Some(&(10, 0)));
    }

    #[test]
    fn a_controller_that_stood_still_misses_nobody() {
        let mut world = World::new(10);
        world.run(1200, |_, _| true);
        world.now += Duration::from_secs(30);
        world.out.clear();
        world.run(2500, |_, _| true);
        assert!(!world.out.iter().any(|(_, effect)| matches!(effect, Effect::Missed { .. })));
        assert_eq!(world.finished(), [(10, 0), (10, 0)]);
    }

    #[test]
    fn an_answer_counts_only_with_its_nonce_and_its_id() {
        let mut world = World::new(1);
        let mut out = Vec::new();
        world.sweep.handle(Duration::ZERO, Event::Timeout, &mut out);
        world.sweep.handle(Duration::ZERO, Event::Timeout, &mut out);
        let [Effect::Ping { nonce, .. }] = out[..] else { panic!("{out:?}") };
        let id = Uuid::from_u128(1);
        for (nonce, id) in [(nonce ^ 1, id), (nonce, Uuid::from_u128(2)), (nonce, id), (nonce, id)]
        {
            world.sweep.handle(Duration::ZERO, Event::Pong { nonce, id, boot: id }, &mut out);
        }
        assert_eq!(out[1..], [Effect::Answered { member: id, boot: id, unanswered: 0 }]);
        world.sweep.remove(id);
        world.run(3000, |_, _| false);
        assert!(!world.out.iter().any(|(_, effect)| matches!(effect, Effect::Missed { .. })));
    }
}
