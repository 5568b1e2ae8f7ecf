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
    /// Every seed that this number divides lasts four times as long, for what needs several fences of one node; none
    /// where it is 0.
    pub long_every: u64,
}

/// How much longer a long seed lasts.
const LONGER: u32 = 4;

/// What came of them.
#[derive(Clone, Debug, Default)]
pub struct Of {
    /// Sums over those that ended well, in order of seeds.
    pub totals: Totals,
    /// What was broken, by seed.
    pub broken: BTreeMap<u64, Broken>,
}

/// How a seed failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// By whose judgement; `None` when it never began, or panicked.
    pub oracle: Option<&'static str>,
    /// What was broken, and how to run it again.
    pub what: String,
}

/// S1: two hypervisors wrote to one disk.
const DOUBLE_RUN: &[&str] = &["single_writer"];
/// S3, S10 to S13, S21, S23: a fence, or its evidence, that should not have been.
const WRONG_FENCE: &[&str] = &[
    "off_when_fenced",
    "evidence_rules",
    "observers",
    "observer_sanity",
    "mass_cap",
    "quorum_only",
    "fail_static",
    "fleet_survives",
];

impl Of {
    /// Seeds in which a VM ran twice.
    pub fn double_runs(&self) -> usize {
        self.broken_by(DOUBLE_RUN)
    }

    /// Seeds with a fence that should not have been.
    pub fn wrong_fences(&self) -> usize {
        self.broken_by(WRONG_FENCE)
    }

    fn broken_by(&self, oracles: &[&str]) -> usize {
        let by = |broken: &&Broken| broken.oracle.is_some_and(|oracle| oracles.contains(&oracle));
        self.broken.values().filter(by).count()
    }
}

impl Many {
    /// The exploration of a seed.
    pub fn of(&self, seed: u64) -> Exploration {
        let long = seed.checked_rem(self.long_every) == Some(0);
        let span = self.first.span * if long { LONGER } else { 1 };
        Exploration { seed, span, ..self.first }
    }

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
                        let result = one(self.of(seed));
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

fn one(exploration: Exploration) -> Result<Totals, Broken> {
    match catch_unwind(|| exploration.run()) {
        Ok(Ok(totals)) => Ok(totals),
        Ok(Err(failed)) => {
            let what =
                format!("{}\n  again: --explore {}{}", failed.what, failed.seed, failed.options);
            Err(Broken { oracle: failed.oracle, what })
        }
        Err(_) => {
            let what = format!("it panicked\n  again: --explore {}", exploration.seed);
            Err(Broken { oracle: None, what })
        }
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
            let of = Many { first, seeds: 3, threads, long_every: 0 }.run(|_| {});
            (of.totals.hash, of.totals.events, of.broken)
        };
        let once = run(1);
        assert_eq!(once, run(2));
        assert!(once.2.is_empty(), "{:?}", once.2);
    }

    #[test]
    fn a_seed_with_two_writers_is_a_double_run_and_one_that_stands_still_is_not() {
        let broken = |oracle| Broken { oracle, what: String::new() };
        let seeds = [Some("single_writer"), Some("nothing_stuck"), Some("observers"), None];
        let broken = (1..).zip(seeds.map(broken)).collect();
        let of = Of { broken, ..Of::default() };
        assert_eq!((of.double_runs(), of.wrong_fences()), (1, 1));
    }

    #[test]
    fn every_oracle_that_is_counted_exists() {
        let known: Vec<&str> = crate::oracle::all().iter().map(|oracle| oracle.name()).collect();
        let counted = DOUBLE_RUN.iter().chain(WRONG_FENCE);
        counted.for_each(|name| assert!(known.contains(name), "{name}"));
    }
}
