//! A few explorations, so that every run of the tests meets some faults that nobody wrote down. `SEEDS` and `FIRST_SEED`
//! ask for more: `SEEDS=1000 FIRST_SEED=5000 cargo test -p tests --test explore -- --nocapture`.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use sim::explore::{Exploration, Totals};

/// Faults happen for this long in each.
const SPAN: Duration = Duration::from_secs(5 * 60);
/// Explorations without `SEEDS`: they must be over in a minute, unoptimised.
const FEW: u64 = 6;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn exploration(seed: u64) -> Exploration {
    Exploration { seed, span: SPAN, nodes: None, dense: false }
}

#[test]
fn whatever_happens_no_vm_runs_twice_and_everything_ends() {
    let (first, many) = (number("FIRST_SEED", 1), number("SEEDS", FEW));
    let begin = Instant::now();
    let halves = [0, 1].map(|half| (first..first + many).filter(move |seed| seed % 2 == half));
    let totals = std::thread::scope(|scope| {
        let threads = halves.map(|seeds| {
            scope.spawn(move || {
                let mut totals = Totals::default();
                for seed in seeds {
                    match exploration(seed).run() {
                        Ok(of_seed) => totals.add(&of_seed),
                        Err(failed) => panic!("{failed}"),
                    }
                }
                totals
            })
        });
        let mut totals = Totals::default();
        for thread in threads {
            totals.add(&thread.join().expect("a seed failed: see above"));
        }
        totals
    });
    let took = begin.elapsed().as_secs_f64();
    println!("seeds {first} to {}: {totals}", first + many - 1);
    println!("  {took:.1} s, {:.0} times real time", totals.simulated.as_secs_f64() / took);
    assert!(
        totals.intents > 0 && totals.evacuations > 0,
        "nothing was fenced: these seeds prove nothing"
    );
}

#[test]
fn the_same_seed_twice_is_the_same_byte_for_byte() {
    let run = || exploration(2).run().map(|totals| (totals.hash, totals.events));
    let (one, other) = (run(), run());
    assert_eq!(
        one.map_err(|failed| failed.to_string()),
        other.map_err(|failed| failed.to_string())
    );
}
