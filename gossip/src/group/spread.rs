//! Broadcasts: what is told, what was heard, and when it is told again.
//!
//! A single broadcast misses a member now and then. So whoever begins one goes on repeating it until
//! the caller says that it has done its work, each hearer passes it on at once, and again a few times
//! where fewer copies came than should have, and every exchange carries it as long as it lives.

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

struct Live {
    epoch: (u64, u64),
    bytes: Vec<u8>,
    until: Duration,
    /// Set on the origin: its lifetime, which begins anew with each repetition.
    mine: Option<Duration>,
    quick: u32,
    next: Option<Duration>,
    /// Copies that came, and that should have come before the first quick repetition, which then is left out, as are those
    /// after it.
    copies: (u8, Option<u8>),
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
                live.copies.0 = live.copies.0.saturating_add(1);
            }
            return false;
        }
        self.store(now, told, life, None, quick);
        true
    }

    /// So many copies of what was just heard should come if no packet is lost. Without this word it is repeated anyhow.
    pub(super) fn expect(&mut self, key: u128, copies: u8) {
        if let Some(live) = self.live.get_mut(&key) {
            live.copies.1 = Some(copies);
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
            copies: (1, None),
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

    /// What is due now, with whether we began it; its next repetition is set.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(Told<'_>, bool)> {
        let mut due = Vec::new();
        for (key, live) in &mut self.live {
            if live.next.is_none_or(|next| next > now) {
                continue;
            }
            if live.mine.is_none() && live.until <= now {
                // Left as it is it would be due at once, again and again.
                live.next = None;
                continue;
            }
            let (came, expected) = (live.copies.0, live.copies.1.take());
            if live.mine.is_none() && expected.is_some_and(|expected| came >= expected) {
                // Whoever should have told us did: nothing is lost around here.
                (live.quick, live.next) = (0, None);
                continue;
            }
            live.next = if live.quick > 0 {
                live.quick -= 1;
                Some(now + QUICK)
            } else {
                live.mine.map(|_| now + SLOW)
            };
            if let Some(life) = live.mine {
                live.until = now + life;
            }
            due.push((live.told(now, *key), live.mine.is_some()));
        }
        due
    }
}

impl Live {
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
