//! One hunt: with the break, and without it.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use mutants::{Mutant, switch};

use super::row::{End, Row};
use super::{absent, stories, swarms, trials};
use crate::oracle::{self, Violation};

/// After the faults of a swarm end it goes on for so long.
const AFTER: Duration = Duration::from_secs(5 * 60);

/// What a run with the break came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Oracles that spoke, in their order.
    pub(super) oracles: Vec<&'static str>,
    /// What they said.
    pub(super) words: Vec<String>,
}

impl Found {
    pub(super) fn of(broken: &[Violation]) -> Self {
        Self {
            oracles: broken.iter().map(|broken| broken.oracle).collect(),
            words: broken.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Hunts one mutant.
pub(super) fn hunt(mutant: Mutant) -> Row {
    let begin = Instant::now();
    let searched = catch_unwind(|| search(mutant));
    let (end, found) = searched.unwrap_or_else(|_| {
        switch(None);
        (End::FailsAnyway("it panicked".to_owned()), Found::default())
    });
    Row { mutant, end, found, seconds: begin.elapsed().as_secs_f64() }
}

/// Does something with a break on, in this thread.
pub(super) fn with<T>(mutant: Mutant, body: impl FnOnce() -> T) -> T {
    switch(Some(mutant));
    let result = body();
    switch(None);
    result
}

fn search(mutant: Mutant) -> (End, Found) {
    if let Some(why) = absent::why(mutant) {
        return (End::Absent(why), Found::default());
    }
    if let Some(why) = absent::harmless(mutant) {
        return (End::Harmless(why), Found::default());
    }
    let mut seen = Found::default();
    for story in stories::of(mutant) {
        let name = story.name.clone();
        let found = with(mutant, || story.with_break(mutant));
        if found.oracles.contains(&mutant.oracle()) {
            return match story.without() {
                Ok(()) => (End::Scenario(name), found),
                Err(why) => (End::FailsAnyway(format!("{name}: {why}")), found),
            };
        }
        seen = found;
    }
    if let Some((swarm, seeds)) = swarms::of(mutant) {
        for seed in 1..=seeds {
            let broken = with(mutant, || swarm.endure(seed, AFTER));
            let found = Found::of(&broken);
            if found.oracles.contains(&mutant.oracle()) {
                return match swarm.run(seed, AFTER) {
                    Ok(()) => (End::Seed(seed), found),
                    Err(why) => (End::FailsAnyway(format!("seed {seed}: {why}")), found),
                };
            }
            if !found.oracles.is_empty() {
                seen = found;
            }
        }
    }
    if let Some(trial) = trials::of(mutant)
        && let Err(what) = with(mutant, trial)
    {
        let found = Found { oracles: vec![mutant.oracle()], words: vec![what] };
        return match trial() {
            Ok(()) => (End::Trial, found),
            Err(why) => (End::FailsAnyway(why), found),
        };
    }
    (End::Alive, seen)
}

/// Whether an oracle of the simulator has this name; if not, expectations speak for it.
pub(super) fn judges(name: &str) -> bool {
    oracle::all().iter().any(|oracle| oracle.name() == name)
}
