//! Pings that stayed unanswered, of whom and how many: what it takes to call a link degraded. No verdict rests on it.
//!
//! A node that answers is not in here at all: only who left a ping unanswered has a history, of its last 20. Once it is
//! degraded it is pinged more often, so that the link is known to be well within two seconds of being it, and single
//! answers are not taken for that.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::NodeId;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Pings that are remembered of a node.
pub const LAST_PINGS: u32 = 20;
/// So many of them unanswered, 30 %, are a degraded link.
const MANY: u32 = 6;
/// In at least so many spells with an answer between them: a single silence is a pause, or a death.
const SPELLS: u32 = 2;
/// Who lost so many has a link that is not quite well: if most have, it is ours.
const SOME: u32 = 3;
/// Time between two pings of a degraded node, and for the answer: 20 of them take 1.6 s.
const CLOSE_EVERY: Duration = Duration::from_millis(80);
/// A ping that is this late says that we stood still, not that others were silent.
const STALL: Duration = Duration::from_millis(300);
/// Degraded at once on one network, as cases: 800 pings a second. Further ones are not shown before there is room.
const MOST: usize = 64;
/// A link that is degraded again within this time is one that flaps, or nearly loses enough.
const REMEMBER: Duration = Duration::from_secs(60);
/// It must then answer everything for twice as long as the last time, this long at first, to be well again.
const FLAPPING: Duration = Duration::from_secs(5);
/// But not longer than this.
const FLAPPING_MOST: Duration = Duration::from_secs(40);
/// A new leader calls nobody degraded for this time: it has not yet asked each of them 20 times.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// The last pings of one node.
#[derive(Clone, Copy, Debug, Default)]
struct Pings {
    /// A bit each, the last one lowest: set where no answer came in time. The twelve before the last 20 count for spells
    /// alone: one answer among 25 pings is enough to know that a link is not dead.
    unanswered: u32,
}

impl Pings {
    fn push(&mut self, answered: bool) {
        self.unanswered = (self.unanswered << 1) | u32::from(!answered);
    }

    fn lost(self) -> u32 {
        (self.unanswered & ((1 << LAST_PINGS) - 1)).count_ones()
    }

    fn spells(self) -> u32 {
        (self.unanswered & !(self.unanswered << 1)).count_ones()
    }

    fn is_lossy(self) -> bool {
        self.lost() >= MANY && self.spells() >= SPELLS
    }
}

/// A node whose link is degraded.
#[derive(Clone, Copy, Debug)]
struct Close {
    since: Duration,
    /// When a ping was last found unanswered.
    lost_at: Duration,
    /// How long none may be before the link is well.
    needs: Duration,
    next: Duration,
    /// The nonce of a ping that is not answered yet.
    asked: Option<u64>,
}

/// What an answer has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing new.
    Nothing,
    /// So many of the last 20 pings are lost that the link could be called degraded.
    Lossy,
    /// It was degraded, and answered all of the last 20 pings.
    Well,
}

/// The losses that a leader sees on one network.
pub(super) struct Losses {
    rng: ChaCha8Rng,
    /// From when on anything is said; `None` for who does not lead.
    from: Option<Duration>,
    pings: BTreeMap<NodeId, Pings>,
    close: BTreeMap<NodeId, Close>,
    /// Who was well again when, and how long it had to answer everything for that; for a minute.
    ended: BTreeMap<NodeId, (Duration, Duration)>,
    next: Option<Duration>,
}

impl Losses {
    /// No losses. The nonces come from a stream of their own, so that nobody else's draws depend on lost packets.
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        let (pings, close, ended) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { rng, from: None, pings, close, ended, next: None }
    }

    /// A leader begins with an empty history; nobody else keeps one.
    pub(super) fn lead(&mut self, now: Duration, leading: bool) {
        self.from = leading.then_some(now + FIRST_LOOK);
        self.pings.clear();
        self.ended.clear();
        self.end_all();
    }

    /// A node left all tries of a sweep unanswered.
    pub(super) fn missed(&mut self, now: Duration, node: NodeId, tries: u8) {
        if self.from.is_some() {
            let pings = self.pings.entry(node).or_default();
            (0..tries).for_each(|_| pings.push(false));
            if let Some(close) = self.close.get_mut(&node) {
                close.lost_at = now;
            }
        }
    }

    /// A node answered the sweep, after so many tries in vain.
    pub(super) fn answered(&mut self, now: Duration, node: NodeId, unanswered: u8) -> Found {
        if self.from.is_none() || (unanswered == 0 && self.pings.is_empty()) {
            return Found::Nothing;
        }
        if unanswered > 0 {
            self.missed(now, node, unanswered);
        }
        self.note_answer(now, node)
    }

    /// An answer to a ping of ours, or of somebody else.
    pub(super) fn pong(&mut self, now: Duration, node: NodeId, nonce: u64) -> Found {
        let Some(close) = self.close.get_mut(&node).filter(|close| close.asked == Some(nonce))
        else {
            return Found::Nothing;
        };
        close.asked = None;
        self.note_answer(now, node)
    }

    /// Calls a node degraded, if there is room. How many of its last pings were lost.
    pub(super) fn begin(&mut self, now: Duration, node: NodeId) -> Option<u32> {
        if self.close.len() >= MOST {
            return None;
        }
        self.ended.retain(|_, (at, _)| now.saturating_sub(*at) <= REMEMBER);
        let needs = self
            .ended
            .remove(&node)
            .map_or(Duration::ZERO, |(_, needed)| (needed * 2).clamp(FLAPPING, FLAPPING_MOST));
        self.close.insert(node, Close { since: now, lost_at: now, needs, next: now, asked: None });
        self.note_next();
        self.pings.get(&node).map(|pings| pings.lost())
    }

    /// Nothing is known of a node any more: it is down, or gone.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.pings.remove(&node);
        self.ended.remove(&node);
        if self.close.remove(&node).is_some() {
            self.note_next();
        }
    }

    /// Nobody is degraded any more; what was lost is still known.
    pub(super) fn end_all(&mut self) {
        self.close.clear();
        self.next = None;
    }

    /// Nodes that lost some of their last pings.
    pub(super) fn touched(&self) -> usize {
        self.pings.values().filter(|pings| pings.lost() >= SOME).count()
    }

    /// How many of its last 20 pings a degraded node left unanswered, and since when it is degraded.
    pub(super) fn of(&self, node: NodeId) -> Option<(u32, Duration)> {
        let close = self.close.get(&node)?;
        Some((self.pings.get(&node).map_or(0, |pings| pings.lost()), close.since))
    }

    /// When [`Self::timeout`] wants to be called, and why.
    pub(super) fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        Some((self.next?, "ping a degraded node"))
    }

    /// The time has come: whom to ping, with which nonce.
    pub(super) fn timeout(&mut self, now: Duration) -> Vec<(NodeId, u64)> {
        let mut asks = Vec::new();
        for (node, close) in self.close.iter_mut().filter(|(_, close)| close.next <= now) {
            let in_vain = close.asked.is_some() && now.saturating_sub(close.next) <= STALL;
            if let Some(pings) = self.pings.get_mut(node).filter(|_| in_vain) {
                pings.push(false);
                close.lost_at = now;
            }
            let nonce = self.rng.next_u64();
            (close.asked, close.next) = (Some(nonce), now + CLOSE_EVERY);
            asks.push((*node, nonce));
        }
        self.note_next();
        asks
    }

    fn note_answer(&mut self, now: Duration, node: NodeId) -> Found {
        let Some(pings) = self.pings.get_mut(&node) else { return Found::Nothing };
        pings.push(true);
        let (lost, is_lossy) = (pings.lost(), pings.is_lossy());
        let Some(close) = self.close.get(&node) else {
            if lost == 0 {
                self.pings.remove(&node);
            }
            let may_say = self.from.is_some_and(|from| from <= now);
            return if is_lossy && may_say { Found::Lossy } else { Found::Nothing };
        };
        let needs = close.needs;
        if lost > 0 || now.saturating_sub(close.lost_at) < needs {
            return Found::Nothing;
        }
        self.forget(node);
        self.ended.insert(node, (now, needs));
        Found::Well
    }

    fn note_next(&mut self) {
        self.next = self.close.values().map(|close| close.next).min();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NODE: NodeId = NodeId(Uuid::from_u128(1));
    const LATER: Duration = Duration::from_secs(30);

    fn leader() -> Losses {
        let mut losses = Losses::new(7);
        losses.lead(Duration::ZERO, true);
        losses
    }

    #[test]
    fn six_of_twenty_in_two_spells_are_lossy_and_five_are_not() {
        let mut losses = leader();
        assert_eq!(losses.answered(LATER, NODE, 2), Found::Nothing);
        losses.missed(LATER, NODE, 3);
        assert_eq!(losses.answered(LATER, NODE, 0), Found::Nothing);
        assert_eq!(losses.answered(LATER, NODE, 1), Found::Lossy);
        assert_eq!(losses.begin(LATER, NODE), Some(6));
        assert_eq!(losses.answered(LATER, NODE, 1), Found::Nothing, "it is degraded already");
    }

    #[test]
    fn a_single_silence_is_not_lossy() {
        let mut losses = leader();
        (0..6).for_each(|_| losses.missed(LATER, NODE, 3));
        assert_eq!(losses.answered(LATER, NODE, 2), Found::Nothing);
        (0..18).for_each(|_| assert_eq!(losses.answered(LATER, NODE, 0), Found::Nothing));
        assert!(losses.pings.contains_key(&NODE));
        losses.answered(LATER, NODE, 0);
        assert!(losses.pings.is_empty(), "who answers is not remembered");
    }

    #[test]
    fn it_is_well_within_two_seconds_of_answers_and_not_before_twenty() {
        let mut losses = degraded();
        let (mut now, mut answers) = (LATER, 0);
        loop {
            let asks = losses.timeout(now);
            let [(node, nonce)] = asks[..] else { panic!("{asks:?}") };
            answers += 1;
            if losses.pong(now, node, nonce) == Found::Well {
                break;
            }
            now = losses.poll_timeout().expect("it is pinged on").0;
        }
        // The twentieth is the one that showed it.
        assert_eq!((answers, losses.of(NODE)), (19, None));
        assert!(now - LATER < Duration::from_secs(2));
        assert_eq!(losses.poll_timeout(), None);
    }

    #[test]
    fn one_lost_ping_begins_it_anew_and_a_stall_of_ours_is_none() {
        let mut losses = degraded();
        let mut now = LATER;
        for _ in 0..18 {
            let asks = losses.timeout(now);
            losses.pong(now, NODE, asks[0].1);
            now += CLOSE_EVERY;
        }
        losses.timeout(now);
        losses.timeout(now + CLOSE_EVERY);
        assert_eq!(losses.of(NODE).map(|(lost, _)| lost), Some(1));
        losses.timeout(now + CLOSE_EVERY * 2 + STALL * 2);
        assert_eq!(losses.of(NODE).map(|(lost, _)| lost), Some(1));
    }

    #[test]
    fn who_does_not_lead_remembers_nothing_and_a_new_leader_says_nothing() {
        let mut losses = Losses::new(7);
        losses.missed(LATER, NODE, 3);
        assert!(losses.pings.is_empty());
        losses.lead(LATER, true);
        losses.missed(LATER, NODE, 3);
        losses.answered(LATER, NODE, 2);
        assert_eq!(losses.answered(LATER, NODE, 2), Found::Nothing);
        assert_eq!(losses.answered(LATER + FIRST_LOOK, NODE, 2), Found::Lossy);
    }

    #[test]
    fn a_link_that_flaps_every_two_seconds_is_well_once_and_then_degraded_for_good() {
        let mut losses = degraded();
        let (mut now, mut told) = (LATER, Vec::new());
        while now < LATER + Duration::from_secs(60) {
            let on = (now - LATER).as_secs() % 4 < 2;
            for (node, nonce) in losses.timeout(now) {
                let found = if on { losses.pong(now, node, nonce) } else { Found::Nothing };
                told.extend((found != Found::Nothing).then_some(found));
            }
            if (now - LATER).subsec_millis() == 0 {
                let found =
                    if on { losses.answered(now, NODE, 0) } else { losses.answered(now, NODE, 2) };
                told.extend((found != Found::Nothing).then_some(found));
                if found == Found::Lossy {
                    losses.begin(now, NODE);
                }
            }
            now += Duration::from_millis(20);
        }
        assert_eq!(told, [Found::Well, Found::Lossy]);
        while losses.of(NODE).is_some() {
            for (node, nonce) in losses.timeout(now) {
                losses.pong(now, node, nonce);
            }
            now += Duration::from_millis(20);
        }
        let healed = now - LATER - Duration::from_secs(60);
        assert!(healed <= FLAPPING + Duration::from_secs(1), "{healed:?}");
    }

    fn degraded() -> Losses {
        let mut losses = leader();
        losses.answered(LATER, NODE, 2);
        losses.missed(LATER, NODE, 3);
        assert_eq!(losses.answered(LATER, NODE, 1), Found::Lossy);
        losses.begin(LATER, NODE);
        losses
    }
}
