//! Many explorations on several threads. What comes of them does not depend on how many threads there are.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Exploration, Totals};

/// Explorations of neighbouring seeds.
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// What they have in common, and the first seed.
    pub first: Exploration,
    /// How many.
    pub seeds: u64,
    /// Threads; at least one is used.
    pub threads: usize,
}

/// What came of them.
#[derive(Clone, Debug, Default)]
pub struct Of {
    /// Sums over those that ended well, in order of seeds.
    pub totals: Totals,
    /// What was broken, by seed.
    pub broken: BTreeMap<u64, String>,
}

impl Many {
    /// Runs them all. `told` hears how many are over, now and then.
    pub fn run(&self, told: impl Fn(u64) + Sync) -> Of {
        let (next, over) = (AtomicU64::new(0), AtomicU64::new(0));
        let results = Mutex::new(BTreeMap::new());
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.seeds {
                            return;
                        }
                        let seed = self.first.seed + seed;
                        let result = one(Exploration { seed, ..self.first });
                        if let Ok(mut results) = results.lock() {
                            results.insert(seed, result);
                        }
                        told(over.fetch_add(1, Ordering::Relaxed) + 1);
                    }
                });
            }
        });
        let mut of = Of::default();
        for (seed, result) in results.into_inner().unwrap_or_default() {
            match result {
                Ok(totals) => of.totals.add(&totals),
                Err(what) => {
                    of.broken.insert(seed, what);
                }
            }
        }
        of
    }
}

fn one(exploration: Exploration) -> Result<Totals, String> {
    match catch_unwind(|| exploration.run()) {
        Ok(Ok(totals)) => Ok(totals),
        Ok(Err(failed)) => {
            Err(format!("{}\n  again: --explore {}{}", failed.what, failed.seed, failed.options))
        }
        Err(_) => Err(format!("it panicked\n  again: --explore {}", exploration.seed)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn two_threads_find_what_one_finds_and_a_seed_twice_is_the_same() {
        let first =
            Exploration { seed: 3, span: Duration::from_secs(60), nodes: Some(3), dense: true };
        let run = |threads| {
            let of = Many { first, seeds: 3, threads }.run(|_| {});
            (of.totals.hash, of.totals.events, of.broken)
        };
        let once = run(1);
        assert_eq!(once, run(2));
        assert!(once.2.is_empty(), "{:?}", once.2);
    }
}
