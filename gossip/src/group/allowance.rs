//! What may be sent under a ceiling, and what waits until there is room.
//!
//! | who | below the ceiling | above it |
//! |---|---|---|
//! | fence events, by the trees, and their repetitions | sent | sent |
//! | probes and answers to probes | sent, with news | sent, without news |
//! | rounds of news | sent | later |
//! | questions for the state, the state itself, fence events in it first | sent | later, one after the other, after the news |
//!
//! Bytes are counted over the last second, not by a bucket that fills: a bucket that holds a second's worth lets two of
//! them through in one second. So the debt of what does not wait is over after a second, however large it was.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ceiling::{Ceiling, KEPT_FREE, PROBE};
use crate::packet::MAX_DATAGRAM;
use crate::seal::OVERHEAD;

/// Bytes are counted by intervals of this length, and what waits is looked at as often.
const SLOT: Duration = Duration::from_millis(50);

/// Intervals of a second, and one more: a second seldom begins with one of them.
const SLOTS: usize = 21;

/// Questions and states that wait at most. Above, one more is not promised: who asked will ask again.
const MAX_WAITING: usize = 64;

/// A word about what had to wait is said this often at most.
const WORD_EVERY: Duration = Duration::from_secs(60);

/// Bytes sent in one interval.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// By probes and answers without news.
    probes: usize,
    others: usize,
}

/// Something that waits for room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Ask for the state.
    Ask(SocketAddr),
    /// Tell the state, as it is when there is room; `ask`: for the other's too.
    State { to: SocketAddr, ask: bool },
    /// One more piece of a state that was begun.
    Piece(SocketAddr, Vec<u8>),
}

/// The account of one group.
#[derive(Debug)]
pub(super) struct Allowance {
    most: usize,
    sent: [Sent; SLOTS],
    /// The interval that the last of `sent` stands for, counted from the beginning of time.
    newest: u128,
    /// In the order in which they are carried out; whether it was counted as put off.
    waiting: VecDeque<(Errand, bool)>,
    /// A round of news waits: it goes before all errands.
    news_waits: bool,
    /// A round of news is being sent.
    telling: bool,
    wakes: bool,
    put_off: u64,
    /// News was cut from a probe: nobody will send it again.
    news_lost: bool,
    /// What the last word about it said, and when.
    told: (u64, Option<Duration>),
}

impl Allowance {
    pub(super) fn new(ceiling: Ceiling) -> Self {
        Self {
            most: ceiling.bytes_per_second() as usize,
            sent: [Sent::default(); SLOTS],
            newest: 0,
            waiting: VecDeque::new(),
            news_waits: false,
            telling: false,
            wakes: false,
            put_off: 0,
            news_lost: false,
            told: (0, None),
        }
    }

    /// A packet was sent that is no probe.
    pub(super) fn count(&mut self, now: Duration, packet: &[u8]) {
        self.turn(now);
        self.sent[SLOTS - 1].others += packet.len() + OVERHEAD;
    }

    /// A packet of SWIM was sent: a probe or an answer, if it is as short as they are.
    pub(super) fn count_swim(&mut self, now: Duration, packet: &[u8]) {
        let bytes = packet.len() + OVERHEAD;
        if self.telling || bytes > PROBE {
            return self.count(now, packet);
        }
        self.turn(now);
        self.sent[SLOTS - 1].probes += bytes;
    }

    /// Whether so many bytes may be sent that can wait, so that probes still find room.
    pub(super) fn has_room(&mut self, now: Duration, bytes: usize) -> bool {
        self.turn(now);
        let probes: usize = self.sent.iter().map(|sent| sent.probes).sum();
        let others: usize = self.sent.iter().map(|sent| sent.others).sum();
        others + bytes + probes.max(KEPT_FREE) <= self.most
    }

    /// Forgets what was sent more than a second ago.
    fn turn(&mut self, now: Duration) {
        let slot = now.as_nanos() / SLOT.as_nanos();
        let by = slot.saturating_sub(self.newest).min(SLOTS as u128) as usize;
        self.sent.rotate_left(by % SLOTS);
        self.sent[SLOTS - by..].fill(Sent::default());
        self.newest = self.newest.max(slot);
    }

    /// News was left out of a packet.
    pub(super) fn lose_news(&mut self) {
        self.put_off += 1;
        self.news_lost = true;
    }

    /// Whether news was left out since this was asked last.
    pub(super) fn has_lost_news(&mut self) -> bool {
        std::mem::take(&mut self.news_lost)
    }

    /// Whether a round of news of so many bytes may begin. It is asked again [`Self::pause`] later if not.
    pub(super) fn may_tell_news(&mut self, now: Duration, bytes: usize) -> bool {
        let may = self.has_room(now, bytes);
        if !may && !self.news_waits {
            self.put_off += 1;
        }
        (self.news_waits, self.telling) = (!may, may);
        may
    }

    /// The round of news is over.
    pub(super) fn news_is_told(&mut self) {
        self.telling = false;
    }

    /// How long something waits until it is looked at again.
    pub(super) fn pause() -> Duration {
        SLOT
    }

    /// Adds an errand, unless it waits already. `false`: too many wait, and it was dropped.
    pub(super) fn add(&mut self, errand: Errand) -> bool {
        for (waiting, _) in &mut self.waiting {
            match (waiting, &errand) {
                (Errand::Ask(one), Errand::Ask(other)) if one == other => return true,
                (Errand::State { to, ask }, Errand::State { to: other, ask: also })
                    if to == other =>
                {
                    *ask |= also;
                    return true;
                }
                (Errand::Ask(_) | Errand::State { .. } | Errand::Piece(..), _) => {}
            }
        }
        let whole = self.waiting.iter().filter(|(errand, _)| !matches!(errand, Errand::Piece(..)));
        if whole.count() >= MAX_WAITING {
            return false;
        }
        self.waiting.push_back((errand, false));
        true
    }

    /// The rest of a state that was begun goes before all others.
    pub(super) fn add_pieces(&mut self, to: SocketAddr, pieces: Vec<Vec<u8>>) {
        for piece in pieces.into_iter().rev() {
            self.waiting.push_front((Errand::Piece(to, piece), false));
        }
    }

    /// The next errand, if there is room for a packet and no news waits.
    pub(super) fn next(&mut self, now: Duration) -> Option<Errand> {
        if self.news_waits || self.waiting.is_empty() || !self.has_room(now, MAX_DATAGRAM) {
            return None;
        }
        self.waiting.pop_front().map(|(errand, _)| errand)
    }

    /// Counts what has to wait now. When to look again, unless that is arranged already.
    pub(super) fn wait(&mut self, now: Duration) -> Option<Duration> {
        for (_, counted) in &mut self.waiting {
            if !std::mem::replace(counted, true) {
                self.put_off += 1;
            }
        }
        if self.waiting.is_empty() || std::mem::replace(&mut self.wakes, true) {
            return None;
        }
        Some(now + SLOT)
    }

    /// The time to look again has come.
    pub(super) fn woken(&mut self) {
        self.wakes = false;
    }

    /// All that was put off so far.
    pub(super) fn all_put_off(&self) -> u64 {
        self.put_off
    }

    /// How much was put off since the last word about it, if it is time for another.
    pub(super) fn word(&mut self, now: Duration) -> Option<u64> {
        let (told, at) = self.told;
        let early = at.is_some_and(|at| now.saturating_sub(at) < WORD_EVERY);
        if self.put_off == told || early {
            return None;
        }
        self.told = (self.put_off, Some(now));
        Some(self.put_off - told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn millis(after: u64) -> Duration {
        START + Duration::from_millis(after)
    }

    fn allowance() -> Allowance {
        Allowance::new(Ceiling::new(10_000).expect("high enough"))
    }

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn what_was_sent_counts_for_a_second_and_for_little_longer() {
        let mut allowance = allowance();
        allowance.count(START, &[0; 8000]);
        assert!(!allowance.has_room(millis(999), 1000));
        assert!(allowance.has_room(millis(999), 10));
        assert!(allowance.has_room(millis(1051), 8000));
        allowance.count(millis(1051), &[0; 90_000]);
        assert!(!allowance.has_room(millis(2051), 0), "fence events may take it above");
        assert!(allowance.has_room(millis(2151), 8000), "for a second at most");
    }

    #[test]
    fn room_for_probes_is_not_given_to_what_can_wait() {
        let mut allowance = allowance();
        assert!(!allowance.has_room(START, 10_000));
        assert!(allowance.has_room(START, 10_000 - KEPT_FREE));
    }

    #[test]
    fn probes_take_what_is_kept_free_for_them_and_then_from_the_rest() {
        let mut allowance = allowance();
        allowance.count_swim(START, &[0; 100]);
        assert!(allowance.has_room(START, 10_000 - KEPT_FREE));
        for _ in 0..PROBE {
            allowance.count_swim(START, &[0; 10]);
        }
        assert!(!allowance.has_room(START, 10_000 - KEPT_FREE));
        allowance.count_swim(START, &[0; 1000]);
        assert!(!allowance.has_room(millis(500), 0), "with news it is no mere probe");
    }

    #[test]
    fn errands_wait_in_their_order_once_each_and_behind_the_news() {
        let mut allowance = allowance();
        for errand in [
            Errand::State { to: to(1), ask: false },
            Errand::Ask(to(2)),
            Errand::State { to: to(1), ask: true },
            Errand::Ask(to(2)),
        ] {
            assert!(allowance.add(errand));
        }
        assert!(!allowance.may_tell_news(START, 9000));
        assert_eq!(allowance.next(START), None);
        assert_eq!(allowance.wait(START), Some(millis(50)));
        assert_eq!(allowance.wait(START), None, "one timer is enough");
        assert!(allowance.may_tell_news(START, 100));
        assert_eq!(allowance.next(START), Some(Errand::State { to: to(1), ask: true }));
        allowance.add_pieces(to(1), vec![vec![1], vec![2]]);
        assert_eq!(allowance.next(START), Some(Errand::Piece(to(1), vec![1])));
        assert_eq!(allowance.next(START), Some(Errand::Piece(to(1), vec![2])));
        assert_eq!(allowance.next(START), Some(Errand::Ask(to(2))));
        assert_eq!(allowance.next(START), None);
        assert_eq!(allowance.all_put_off(), 3, "a round of news and two errands");
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let mut allowance = allowance();
        for port in 0..64 {
            assert!(allowance.add(Errand::Ask(to(port))));
        }
        assert!(!allowance.add(Errand::Ask(to(64))));
        assert!(allowance.add(Errand::Ask(to(7))), "it waits already");
    }

    #[test]
    fn a_word_is_said_once_a_minute() {
        let mut allowance = allowance();
        assert_eq!(allowance.word(START), None);
        allowance.lose_news();
        assert_eq!(allowance.word(START), Some(1));
        allowance.lose_news();
        allowance.lose_news();
        assert_eq!(allowance.word(millis(59_000)), None);
        assert_eq!(allowance.word(millis(60_000)), Some(2));
        assert_eq!(allowance.word(millis(190_000)), None);
    }
}
