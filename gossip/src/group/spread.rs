//! Broadcasts: what is told, what was heard, and when it is told again.
//!
//! A single broadcast misses a member now and then. So each hearer passes it on at once, and again a few times where
//! fewer copies came than should have; whoever began it goes on repeating it until the caller says that it has done its
//! work, to fewer members once its own copies came back; and every exchange carries it as long as it lives.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exchange::Told;

/// Broadcasts alive at once. A fence event a node; more than this many at once is a storm, in which
/// nothing is fenced. When full, the one that ends first makes room.
const MAX_LIVE: usize = 64;

/// Keys whose newest epoch is remembered. When full, the lowest key is forgotten: its
/// broadcast may then be heard twice, which is harmless by the duty of the hearer.
const MAX_SEEN: usize = 4096;

/// Longest life of a broadcast after it was last repeated by its origin.
const MAX_LIFE: Duration = Duration::from_secs(600);

/// From one quick repetition to the next; by the first of them all copies should have come.
const QUICK: Duration = Duration::from_millis(200);

/// How often the origin repeats it from then on.
const SLOW: Duration = Duration::from_secs(1);

/// Members that a broadcast is repeated to at a time, at random, where packets seem to be lost.
const LOSSY: usize = 4;

/// What is repeated now.
pub(super) struct Due<'a> {
    pub(super) told: Told<'a>,
    /// Whether we began it.
    pub(super) mine: bool,
    /// Members that it is repeated to, at random.
    pub(super) members: usize,
}

struct Live {
    epoch: (u64, u64),
    bytes: Vec<u8>,
    until: Duration,
    /// Set on the origin: its lifetime, which begins anew with each repetition.
    mine: Option<Duration>,
    quick: u32,
    next: Option<Duration>,
    /// Copies that came.
    came: u8,
    copies: Copies,
}

/// What the number of copies says of the network around here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    /// So many should come before the first repetition.
    Expected(u8),
    /// They did.
    Whole,
    /// They did not, or nobody knows how many there should be.
    Missing,
}

/// All broadcasts of one member.
#[derive(Default)]
pub(super) struct Spread {
    live: BTreeMap<u128, Live>,
    seen: BTreeMap<u128, (u64, u64)>,
}

impl Spread {
    /// Begins a broadcast, or takes over one that was heard: then we repeat it too. `false`: a newer
    /// epoch is known.
    pub(super) fn begin(&mut self, now: Duration, told: Told<'_>, quick: u32) -> bool {
        let life = Duration::from_millis(u64::from(told.left)).min(MAX_LIFE);
        let seen = self.seen.get(&told.key).copied();
        if seen.is_some_and(|seen| seen > told.epoch) {
            return false;
        }
        self.store(now, told, life, Some(life), quick);
        true
    }

    /// Takes in what another member told. `true`: it is news.
    pub(super) fn hear(&mut self, now: Duration, told: Told<'_>, quick: u32) -> bool {
        let life = Duration::from_millis(u64::from(told.left)).min(MAX_LIFE);
        if self.knows(told.key, told.epoch) {
            if let Some(live) = self.live.get_mut(&told.key)
                && live.epoch == told.epoch
            {
                // The origin repeated it: it lives on. Relays only ever count down.
                live.until = live.until.max(now + life);
                live.came = live.came.saturating_add(1);
            }
            return false;
        }
        self.store(now, told, life, None, quick);
        true
    }

    /// So many copies of what was just begun or heard should come if no packet is lost. Without this word it is repeated
    /// as if some were missing.
    pub(super) fn expect(&mut self, key: u128, copies: u8) {
        if let Some(live) = self.live.get_mut(&key) {
            live.copies = Copies::Expected(copies);
        }
    }

    /// Whether this epoch of the key, or a newer one, was heard or told.
    pub(super) fn knows(&self, key: u128, epoch: (u64, u64)) -> bool {
        self.seen.get(&key).is_some_and(|seen| *seen >= epoch)
    }

    fn store(
        &mut self,
        now: Duration,
        told: Told<'_>,
        life: Duration,
        mine: Option<Duration>,
        quick: u32,
    ) {
        self.live.remove(&told.key);
        if self.live.len() >= MAX_LIVE {
            let first = self.live.iter().min_by_key(|(_, live)| live.until).map(|(key, _)| *key);
            first.and_then(|key| self.live.remove(&key));
        }
        if self.seen.len() >= MAX_SEEN && !self.seen.contains_key(&told.key) {
            self.seen.pop_first();
        }
        self.seen.insert(told.key, told.epoch);
        let live = Live {
            epoch: told.epoch,
            bytes: told.bytes.to_vec(),
            until: now + life,
            mine,
            quick,
            next: Some(now + QUICK),
            came: u8::from(mine.is_none()),
            copies: Copies::Missing,
        };
        self.live.insert(told.key, live);
    }

    /// Stops repeating and withholds it from now on. Copies elsewhere end with their lifetime.
    pub(super) fn cancel(&mut self, key: u128) {
        self.live.remove(&key);
    }

    /// Drops what has expired.
    pub(super) fn forget(&mut self, now: Duration) {
        self.live.retain(|_, live| live.mine.is_some() || live.until > now);
    }

    /// When the next repetition is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.live.values().filter_map(|live| live.next).min()
    }

    /// Everything alive, for an exchange.
    pub(super) fn all(&self, now: Duration) -> impl Iterator<Item = Told<'_>> {
        self.live.iter().map(move |(key, live)| live.told(now, *key)).filter(|told| told.left > 0)
    }

    /// What is due now; its next repetition is set.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Due<'_>> {
        self.live.iter_mut().filter_map(|(key, live)| live.due(now, *key)).collect()
    }
}

impl Live {
    /// Where nothing is lost a hearer has no more to do. The origin has: whom it is about may have been away, and who came
    /// since then has heard nothing.
    fn due(&mut self, now: Duration, key: u128) -> Option<Due<'_>> {
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        let mine = self.mine.is_some();
        if !mine && self.until <= now {
            // Left as it is it would be due at once, again and again.
            self.next = None;
            return None;
        }
        if let Copies::Expected(copies) = self.copies {
            self.copies = if self.came >= copies { Copies::Whole } else { Copies::Missing };
        }
        let whole = self.copies == Copies::Whole;
        if whole && !mine {
            self.next = None;
            return None;
        }
        let quick = self.quick > 0;
        self.quick = self.quick.saturating_sub(1);
        self.next = if quick { Some(now + QUICK) } else { self.mine.map(|_| now + SLOW) };
        if let Some(life) = self.mine {
            self.until = now + life;
        }
        let members = match (whole, quick) {
            (false, _) => LOSSY,
            (true, true) => 0,
            (true, false) => 1,
        };
        Some(Due { told: self.told(now, key), mine, members })
    }

    fn told(&self, now: Duration, key: u128) -> Told<'_> {
        let left = self.mine.unwrap_or_else(|| self.until.saturating_sub(now));
        let left = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        Told { key, epoch: self.epoch, left, bytes: &self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: u128, epoch: u64) -> Told<'static> {
        Told { key, epoch: (1, epoch), left: 10_000, bytes: b"x" }
    }

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn a_newer_epoch_replaces_an_older_one_and_never_the_other_way() {
        let mut spread = Spread::default();
        assert!(spread.hear(START, told(1, 2), 0));
        assert!(!spread.hear(START, told(1, 2), 0));
        assert!(!spread.hear(START, told(1, 1), 0));
        assert!(!spread.begin(START, told(1, 1), 0));
        assert!(spread.hear(START, told(1, 3), 0));
        assert_eq!(spread.all(START).map(|t| t.epoch).collect::<Vec<_>>(), [(1, 3)]);
    }

    #[test]
    fn the_origin_repeats_until_cancelled_and_a_hearer_a_few_times() {
        let (mut origin, mut hearer) = (Spread::default(), Spread::default());
        origin.begin(START, told(1, 1), 2);
        hearer.hear(START, told(1, 1), 2);
        let mut counts = (0, 0);
        for tenths in 0..600u32 {
            let now = START + Duration::from_millis(100) * tenths;
            counts.0 += origin.due(now).len();
            counts.1 += hearer.due(now).len();
            origin.forget(now);
            hearer.forget(now);
        }
        assert_eq!(counts.1, 3);
        assert!(counts.0 >= 60, "{counts:?}");
        assert_eq!(hearer.all(START + Duration::from_secs(60)).count(), 0);
        origin.cancel(1);
        assert_eq!((origin.next(), origin.all(START).count()), (None, 0));
    }

    #[test]
    fn the_origin_repeats_to_many_only_where_a_copy_is_missing() {
        let members = |copies: u8| {
            let mut origin = Spread::default();
            origin.begin(START, told(1, 1), 2);
            origin.expect(1, 2);
            (0..copies).for_each(|_| assert!(!origin.hear(START, told(1, 1), 2)));
            let at = |fifths: u32| START + QUICK * fifths;
            [1, 2, 3, 8, 13]
                .map(|fifths| origin.due(at(fifths)).iter().map(|due| due.members).sum::<usize>())
        };
        assert_eq!(members(2), [0, 0, 1, 1, 1]);
        assert_eq!(members(1), [LOSSY; 5]);
    }

    #[test]
    fn a_hearer_repeats_only_where_a_copy_is_missing() {
        let rounds = |copies: u8| {
            let mut hearer = Spread::default();
            hearer.hear(START, told(1, 1), 2);
            hearer.expect(1, 3);
            (1..copies).for_each(|_| assert!(!hearer.hear(START, told(1, 1), 2)));
            let mut rounds = 0;
            for tenths in 1..60u32 {
                rounds += hearer.due(START + Duration::from_millis(100) * tenths).len();
            }
            rounds
        };
        assert_eq!((rounds(1), rounds(2), rounds(3), rounds(4)), (3, 3, 0, 0));
    }

    #[test]
    fn a_copy_that_ends_before_its_next_repetition_is_not_due_for_ever() {
        let mut copy = Spread::default();
        copy.hear(START, Told { left: 100, ..told(1, 1) }, 3);
        assert_eq!(copy.due(START + QUICK).len(), 0);
        assert_eq!(copy.next(), None, "a timer in the past would fire again at once");
    }

    #[test]
    fn a_repetition_lengthens_the_life_of_a_copy_and_a_relay_does_not() {
        let mut copy = Spread::default();
        copy.hear(START, told(1, 1), 0);
        let later = START + Duration::from_secs(8);
        copy.hear(later, Told { left: 1_000, ..told(1, 1) }, 0);
        assert_eq!(copy.all(later).map(|t| t.left).collect::<Vec<_>>(), [2_000]);
        copy.hear(later, told(1, 1), 0);
        assert_eq!(copy.all(later).map(|t| t.left).collect::<Vec<_>>(), [10_000]);
    }

    #[test]
    fn memory_is_bounded_whatever_is_heard() {
        let mut spread = Spread::default();
        for key in 0..10_000 {
            spread.hear(START, Told { left: u32::MAX, ..told(key, 1) }, 0);
        }
        assert_eq!((spread.live.len(), spread.seen.len()), (MAX_LIVE, MAX_SEEN));
        assert!(spread.live.values().all(|live| live.until <= START + MAX_LIFE));
    }
}
