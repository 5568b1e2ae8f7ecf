//! The models within small bounds, and a break of each: seconds, so that every `cargo test` has them. The whole check is
//! `cargo xtask model`.

use std::time::Duration;

use model::check::Limits;
use model::suite::{Job, holes, mutants, quick};

const LIMITS: Limits = Limits { threads: 1, states: 20_000_000, time: Duration::from_secs(300) };

fn run(job: &Job) {
    let outcome = job.run(LIMITS);
    let Job { model, mutant, breaks, .. } = job;
    println!("{} {mutant}: {} states, depth {}", outcome.name, outcome.states, outcome.depth);
    assert!(job.is_good(&outcome), "{model} {mutant} {breaks}: {outcome:#?}");
}

#[test]
fn every_model_holds_within_small_bounds_and_reaches_what_it_must() {
    quick().iter().for_each(run);
}

#[test]
fn one_break_of_each_kind_is_seen() {
    let named = [
        "TwoW",
        "ForgetsPromise",
        "AcksAfterIntent",
        "ClosesEarly",
        "NoRearmFloor",
        "AsksForLeases",
        "FailedIsClean",
        "ReleasesWithQueued",
        "StrikesInherited",
        "OldTermCounts",
    ];
    let chosen: Vec<Job> =
        mutants().into_iter().filter(|job| named.contains(&job.mutant.as_str())).collect();
    assert_eq!(chosen.len(), named.len());
    chosen.iter().for_each(run);
}

#[test]
fn holes_that_are_known_are_still_there() {
    holes().iter().for_each(run);
}
