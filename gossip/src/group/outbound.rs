//! What a group sends by itself: questions to seeds, exchanges, broadcasts.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;

use super::allowance::{Allowance, Errand};
use super::exchange::{self, Digest, Item, Opening, Packer, Record, Step, Told};
use super::onward::Onward;
use super::timers::Timer;
use super::{Effect, Group, JOIN_FIRST, State, Swim};
use crate::ceiling::ROUND;
use crate::identity::Member;

/// Seeds asked at a time.
const SEEDS_ASKED: usize = 5;

/// Longest pause between two attempts to join, and the pause when all is well.
const JOIN_LONGEST: Duration = Duration::from_secs(10);
const JOIN_CALM: Duration = Duration::from_secs(60);

impl Group {
    pub(super) fn ask_seeds(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let missing: Vec<_> = self
            .seeds
            .iter()
            .copied()
            .filter(|seed| !self.swim.iter_members().any(|known| known.id().addr == *seed))
            .collect();
        let alone = self.swim.num_members() == 0;
        for seed in self.choose(SEEDS_ASKED, missing.into_iter()) {
            self.errand(now, Errand::Ask(seed), out);
        }
        let pause = if alone { self.join_pause } else { JOIN_CALM };
        self.join_pause = if alone { (pause * 2).min(JOIN_LONGEST) } else { JOIN_FIRST };
        let pause = pause.mul_f64(self.side.rng.random_range(0.8..1.2));
        self.side.timers.set(now + pause, Timer::Join);
    }

    /// One member in four is drawn from the dead, so that a healed partition is noticed by somebody
    /// within a second or two, whatever its size.
    pub(super) fn exchange(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let dead_first = self.side.rng.random_ratio(1, 4);
        let dead: Vec<_> = self.addresses(|state| state == State::Down).collect();
        let to = if dead_first && !dead.is_empty() {
            self.choose(1, dead.into_iter())
        } else {
            let known: Vec<_> = self.addresses(|_| true).collect();
            self.choose(1, known.into_iter())
        };
        for to in to {
            self.errand(now, Errand::Ask(to), out);
        }
        self.exchange_pause = (self.exchange_pause * 2).min(self.config.exchange_every);
        self.exchange_again(now);
    }

    /// After a start, and after coming back, the first exchanges follow soon upon each other: news
    /// that was spread just then may have passed us by.
    pub(super) fn first_exchange(&mut self, now: Duration) {
        self.exchange_pause = self.config.exchange_every / 16;
        self.exchange_again(now);
    }

    fn exchange_again(&mut self, now: Duration) {
        let pause = self.exchange_pause.max(Duration::from_millis(100));
        let pause = pause.mul_f64(self.side.rng.random_range(0.8..1.2));
        self.exchange_at = now + pause;
        self.side.timers.set(self.exchange_at, Timer::Exchange);
    }

    /// News that was left out for want of room is told by exchanges, and those follow soon upon each other then.
    fn mend_lost_news(&mut self, now: Duration) {
        let soon = self.config.exchange_every / 16;
        let lost = self.side.allowance.as_mut().is_some_and(Allowance::has_lost_news);
        if lost && self.exchange_at > now + soon * 2 {
            self.first_exchange(now);
        }
    }

    /// Whether a round of news has to wait for room.
    pub(super) fn has_to_wait(&mut self, now: Duration, timer: &foca::Timer<Member>) -> bool {
        match &mut self.side.allowance {
            Some(allowance) if matches!(timer, foca::Timer::PeriodicGossip(_)) => {
                !allowance.may_tell_news(now, ROUND)
            }
            Some(_) | None => false,
        }
    }

    /// Does it now, or under a ceiling when there is room.
    pub(super) fn errand(&mut self, now: Duration, errand: Errand, out: &mut Vec<Effect>) {
        let Some(allowance) = &mut self.side.allowance else {
            return self.run_errand(now, errand, out);
        };
        if !allowance.add(errand) {
            self.side.counters.unanswered_asks += 1;
        }
    }

    /// Does what there is room for; the rest goes on waiting.
    pub(super) fn run_errands(&mut self, now: Duration, out: &mut Vec<Effect>) {
        while let Some(errand) = self.side.allowance.as_mut().and_then(|waits| waits.next(now)) {
            self.run_errand(now, errand, out);
        }
        self.mend_lost_news(now);
        let Some(allowance) = &mut self.side.allowance else { return };
        if let Some(at) = allowance.wait(now) {
            self.side.timers.set(at, Timer::Errands);
        }
        if let Some(count) = allowance.word(now) {
            out.push(Effect::PutOff { count });
        }
    }

    fn run_errand(&mut self, now: Duration, errand: Errand, out: &mut Vec<Effect>) {
        match errand {
            Errand::Ask(to) => self.ask(now, to, out),
            Errand::State { to, ask } => self.send_state(now, to, ask, out),
            Errand::Piece(to, bytes) => self.side.send(now, to, bytes, out),
        }
    }

    fn ask(&mut self, now: Duration, to: SocketAddr, out: &mut Vec<Effect>) {
        let step = Step::Ask { digest: self.digest(now) };
        let opening = Opening { from: *self.me(), incarnation: self.side.incarnation, step };
        self.side.send(now, to, exchange::write(&opening), out);
    }

    pub(super) fn digest(&self, now: Duration) -> u64 {
        let mut digest = Digest::default();
        digest.member(self.me(), self.side.incarnation);
        for known in self.swim.iter_members() {
            digest.member(known.id(), known.incarnation());
        }
        for told in self.spread.all(now) {
            digest.told(told.key, told.epoch);
        }
        digest.0
    }

    /// Under a ceiling all but the first piece waits, and those with broadcasts: they do not wait, and what they say of
    /// the life that is left to them would not be true later.
    fn send_state(&mut self, now: Duration, to: SocketAddr, answer: bool, out: &mut Vec<Effect>) {
        let mut packer = Packer::pieces(*self.me(), self.side.incarnation, answer);
        // Broadcasts first: if only one piece arrives, let it be the one with the fence event.
        for told in self.spread.all(now) {
            packer.add(&Item::Told(told));
        }
        let at_once = packer.begun().max(1);
        let me = self.me().id;
        for known in self.swim.iter_membership_state().filter(|known| known.id().id != me) {
            packer.add(&Item::Record(Record::known(known)));
        }
        let mut pieces = packer.finish();
        if let Some(allowance) = &mut self.side.allowance {
            allowance.add_pieces(to, pieces.split_off(at_once.min(pieces.len())));
        }
        for bytes in pieces {
            self.side.send(now, to, bytes, out);
        }
    }

    /// What is repeated goes in one packet to all that it goes to, since one event is the rule.
    pub(super) fn repeat(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let known: Vec<_> = self.addresses(|_| true).collect();
        let mut packer = Packer::spread();
        let (mut members, mut to) = (0, Vec::new());
        for due in self.spread.due(now) {
            packer.add(&Item::Told(due.told));
            members = members.max(due.members);
            to.extend(due.mine.then(|| subject(&self.swim, due.told.key)).flatten());
        }
        to.extend(self.choose(members, known.into_iter()));
        to.sort_unstable();
        to.dedup();
        for bytes in packer.finish().into_iter().filter(|bytes| bytes.len() > 1) {
            to.iter().for_each(|to| self.side.send(now, *to, bytes.clone(), out));
        }
        self.wake_spread();
    }

    /// Passes one broadcast on at once. The origin tells those besides from whom it goes to all, and its subject.
    pub(super) fn tell(
        &mut self,
        now: Duration,
        told: &Told<'_>,
        onward: &Onward,
        mine: bool,
        out: &mut Vec<Effect>,
    ) {
        let mut to = onward.to();
        if mine {
            to.extend(onward.roots());
            to.extend(subject(&self.swim, told.key));
            to.sort_unstable();
            to.dedup();
        }
        let mut packer = Packer::spread();
        packer.add(&Item::Told(*told));
        for bytes in packer.finish() {
            to.iter().for_each(|to| self.side.send(now, *to, bytes.clone(), out));
        }
    }

    /// Sets the timer for the next repetition. One too many is harmless: nothing is due then.
    pub(super) fn wake_spread(&mut self) {
        if let Some(at) = self.spread.next() {
            self.side.timers.set(at, Timer::Spread);
        }
    }

    /// Where we stand among those whom a broadcast goes to.
    pub(super) fn onward(&self, told: &Told<'_>) -> Onward {
        let me = self.me();
        let alive = self.members().filter(|(_, state)| *state != State::Down);
        let others = alive.map(|(member, _)| (member.id, member.addr));
        Onward::new((me.id, me.addr), others, told.key, told.epoch)
    }

    pub(super) fn quick_rounds(&self) -> u32 {
        2 + self.swim.num_members().max(1).ilog2() / 2
    }

    fn addresses(&self, wanted: impl Fn(State) -> bool) -> impl Iterator<Item = SocketAddr> {
        self.members().filter(move |(_, state)| wanted(*state)).map(|(member, _)| member.addr)
    }

    /// Up to `count` of `from`, at random, each at most once.
    fn choose(&mut self, count: usize, from: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
        let mut chosen = Vec::with_capacity(count);
        for (seen, address) in from.enumerate() {
            if chosen.len() < count {
                chosen.push(address);
            } else {
                let at = self.side.rng.random_range(0..=seen);
                if let Some(place) = chosen.get_mut(at) {
                    *place = address;
                }
            }
        }
        chosen
    }
}

/// The address of the member that a broadcast is about, if it is about one.
fn subject(swim: &Swim, key: u128) -> Option<SocketAddr> {
    let known = swim.iter_membership_state().find(|known| known.id().id.as_u128() == key)?;
    Some(known.id().addr)
}
