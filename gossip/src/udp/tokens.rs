//! A bucket of tokens for each source.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Packets a second that a source may send for long. A member sends about ten, a controller that
/// sweeps a thousand members receives from each of them a few.
const RATE: u32 = 1000;

/// Packets that a source may send at once: the full state of a thousand members is about sixty.
const BURST: u32 = 2000;

/// Sources kept apart. Further ones share a bucket.
const SOURCES: usize = 4096;

#[derive(Clone, Copy)]
struct Bucket {
    tokens: u32,
    filled: Duration,
}

impl Bucket {
    fn new(now: Duration) -> Self {
        Self { tokens: BURST, filled: now }
    }

    fn fill(&mut self, now: Duration) {
        let gained = now.saturating_sub(self.filled).as_micros() * u128::from(RATE) / 1_000_000;
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        if gained > 0 {
            self.filled += Duration::from_micros(u64::from(gained) * 1_000_000 / u64::from(RATE));
            self.tokens = self.tokens.saturating_add(gained).min(BURST);
        }
    }

    fn take(&mut self, now: Duration) -> bool {
        self.fill(now);
        let left = self.tokens.checked_sub(1);
        self.tokens = left.unwrap_or(0);
        left.is_some()
    }
}

/// All buckets.
pub(super) struct Tokens {
    buckets: BTreeMap<IpAddr, Bucket>,
    shared: Bucket,
    /// Idle sources are not looked for at each packet of a flood.
    next_cleaning: Duration,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            buckets: BTreeMap::new(),
            shared: Bucket::new(Duration::ZERO),
            next_cleaning: Duration::ZERO,
        }
    }
}

impl Tokens {
    /// Takes a token of `source`; `false` when it has none left.
    pub(super) fn take(&mut self, now: Duration, source: IpAddr) -> bool {
        if let Some(bucket) = self.buckets.get_mut(&source) {
            return bucket.take(now);
        }
        if self.buckets.len() >= SOURCES && now >= self.next_cleaning {
            self.next_cleaning = now + Duration::from_secs(1);
            self.buckets.retain(|_, bucket| {
                bucket.fill(now);
                bucket.tokens < BURST
            });
        }
        if self.buckets.len() >= SOURCES {
            return self.shared.take(now);
        }
        self.buckets.entry(source).or_insert(Bucket::new(now)).take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_source_that_floods_is_held_to_its_rate_and_no_other_is() {
        let mut tokens = Tokens::default();
        let mut taken = 0;
        for millis in 0..10_000 {
            let now = Duration::from_millis(millis);
            taken += (0..10).filter(|_| tokens.take(now, source(1))).count();
            assert!(millis % 100 != 0 || tokens.take(now, source(2)));
        }
        assert!((11_900..=12_001).contains(&taken), "{taken}");
    }

    #[test]
    fn sources_without_number_take_no_memory_without_number() {
        let mut tokens = Tokens::default();
        for number in 0..20_000 {
            tokens.take(Duration::ZERO, source(number));
        }
        assert_eq!(tokens.buckets.len(), SOURCES);
        assert!(tokens.take(Duration::from_secs(60), source(30_000)));
        assert_eq!(tokens.buckets.len(), 1);
    }
}
