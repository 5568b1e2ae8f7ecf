//! The exploration that CI runs: many dense seeds on a few threads, and what it must have met. Not having looked is a
//! failure too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::explore::{Exploration, GUARDS, Kind, Many, Of, Totals};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ci {
    /// First seed.
    pub from: u64,
    /// Seeds.
    pub seeds: u64,
    /// Simulated minutes of faults in each.
    pub minutes: u64,
    /// Threads.
    pub threads: usize,
}

/// What CI must reach with all its seeds; a smaller run is held to its share of it.
const SEEDS: u64 = 2000;
const HOURS: f64 = 200.0;
const FENCES: f64 = 10_000.0;
/// A smaller run than this cannot be held to having met everything.
const ENOUGH: u64 = 500;
/// One seed in so many is a long one.
const LONG_EVERY: u64 = 40;
/// Seeds that are run twice: their traces must be equal.
const TWICE: u64 = 3;
/// Classes of evidence that this world can give.
const EVIDENCE: [&str; 4] = ["E1", "E2", "E3", "E7"];
/// States that an incident can have.
const STATES: [&str; 13] = [
    "fencing",
    "fenced",
    "forced_down",
    "evacuating",
    "recovered",
    "released",
    "returned",
    "cancelled",
    "notified",
    "disabling",
    "migrating",
    "migrated",
    "closed",
];
/// How far a VM of an incident can come.
const PROGRESS: [&str; 5] = ["waiting", "attempted", "sent", "moved", "parked"];
/// What a drill can try.
const DRILLS: [&str; 2] = ["BMC", "watchdog"];
/// Actions that leave an incident behind; `none` leaves nothing.
const ACTIONS: [&str; 5] = ["notify", "disable", "migrate", "fence", "evacuate"];
impl Ci {
    /// Runs it; the report, and whether all is well.
    pub fn run(&self) -> (String, bool) {
        let begin = Instant::now();
        let first = Exploration {
            seed: self.from,
            span: Duration::from_secs(self.minutes * 60),
            nodes: None,
            dense: true,
        };
        let many = Many { first, seeds: self.seeds, threads: self.threads, long_every: LONG_EVERY };
        let of = many.run(|over| self.progress(over, begin));
        let mut report = String::new();
        let wrong = self.wrong(&of, &many);
        let last = self.from + self.seeds.saturating_sub(1);
        let took = begin.elapsed().as_secs_f64();
        let _ = writeln!(report, "seeds {}..{last}", self.from);
        let _ = writeln!(report, "{}", of.totals);
        let (double, wrong_fences) = (of.double_runs(), of.wrong_fences());
        let _ = writeln!(report, "double runs {double}, wrong fences {wrong_fences}");
        let _ = writeln!(
            report,
            "  {took:.0} s on {} threads, {:.0} times real time",
            self.threads,
            of.totals.simulated.as_secs_f64() / took
        );
        for line in &wrong {
            let _ = writeln!(report, "FAILED: {line}");
        }
        (report, wrong.is_empty())
    }

    /// A line now and then, so that nobody wonders whether it still runs.
    #[allow(clippy::print_stderr, reason = "what it is for")]
    fn progress(&self, over: u64, begin: Instant) {
        static TOLD: Mutex<u64> = Mutex::new(0);
        let seconds = begin.elapsed().as_secs();
        if let Ok(mut told) = TOLD.lock()
            && seconds >= *told + 5
        {
            *told = seconds;
            eprintln!("  {over} of {} seeds, {seconds} s", self.seeds);
        }
    }

    fn wrong(&self, of: &Of, many: &Many) -> Vec<String> {
        let mut wrong: Vec<String> = of
            .broken
            .iter()
            .map(|(seed, broken)| format!("seed {seed}: {}", broken.what))
            .collect();
        let well = |seed: &u64| !of.broken.contains_key(seed);
        for seed in (self.from..self.from + self.seeds.min(TWICE)).filter(well) {
            let trace = || {
                let totals = many.of(seed).run();
                totals.map(|totals| (totals.hash, totals.events)).ok()
            };
            if trace() != trace() {
                wrong.push(format!("seed {seed} is another run the second time"));
            }
        }
        wrong.extend(not_met(&of.totals, self.seeds));
        wrong
    }
}

/// What was asked for and not met.
fn not_met(totals: &Totals, seeds: u64) -> Vec<String> {
    let share = seeds.min(SEEDS) as f64 / SEEDS as f64;
    let mut missing = Vec::new();
    if totals.hours() < HOURS * share {
        missing.push(format!(
            "{:.1} cluster-hours, asked for {:.1}",
            totals.hours(),
            HOURS * share
        ));
    }
    let fences: u64 = totals.evidence.values().sum();
    if (fences as f64) < FENCES * share {
        missing.push(format!("{fences} fences, asked for {:.0}", FENCES * share));
    }
    if seeds < ENOUGH {
        return missing;
    }
    let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let met = |of: &std::collections::BTreeMap<String, u64>| -> BTreeSet<String> {
        of.keys().cloned().collect()
    };
    let named = |of: &std::collections::BTreeMap<&'static str, u64>| -> BTreeSet<String> {
        of.iter().filter(|(_, times)| **times > 0).map(|(name, _)| (*name).to_owned()).collect()
    };
    let lists: [(&str, &[&str], BTreeSet<String>); 7] = [
        ("fault", &kinds, met(&totals.faults)),
        ("state of an incident", &STATES, met(&totals.states)),
        ("progress of a VM", &PROGRESS, named(&totals.progress)),
        ("matrix action", &ACTIONS, named(&totals.actions)),
        ("refusal", &GUARDS, met(&totals.refusals)),
        ("class of evidence", &EVIDENCE, named(&totals.evidence)),
        ("drill of a", &DRILLS, named(&totals.drills)),
    ];
    for (what, wanted, met) in lists {
        let not = wanted.iter().filter(|name| !met.contains(**name));
        missing.extend(not.map(|name| format!("not having looked: no {what} `{name}` was met")));
    }
    if totals.snapshots == 0 {
        missing.push("not having looked: no sentinel took in a snapshot of the log".to_owned());
    }
    let idle = totals.judged.iter().filter(|(_, times)| **times == 0);
    missing
        .extend(idle.map(|(name, _)| format!("not having looked: oracle `{name}` judged nothing")));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_having_looked_is_named() {
        let mut totals = Totals { simulated: Duration::from_secs(3600 * 300), ..Totals::default() };
        totals.evidence = [("E1", 9000), ("E2", 2000), ("E7", 1)].into();
        totals.judged = [("single_writer", 0)].into();
        let missing = not_met(&totals, 2000);
        for what in ["evidence `E3`", "fault `Hang`", "refusal `storm`", "`single_writer`"] {
            assert!(missing.iter().any(|line| line.contains(what)), "{what}: {missing:?}");
        }
        assert!(!missing.iter().any(|line| line.contains("`E2`")));
        assert!(!missing.iter().any(|line| line.contains("fences")));
        assert_eq!(not_met(&totals, 100), Vec::<String>::new());
    }
}
