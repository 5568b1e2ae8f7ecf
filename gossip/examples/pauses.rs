//! The table of `cargo xtask bench-pauses`: foca alone and our groups, under pauses as those by which Lifeguard was measured.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

#[path = "../tests/pausing/mod.rs"]
mod pausing;

use std::time::Duration;

use pausing::{ours, pauses, plain};

/// C, D and I in seconds.
const SETTINGS: [(usize, u64, u64); 3] = [(16, 8, 1), (32, 8, 1), (16, 16, 4)];

/// What stops, and whether all of it stops at once.
const KINDS: [(&str, bool, bool); 3] = [
    ("stopped, each by itself", false, false),
    ("blocked, each by itself", true, false),
    ("blocked, all at once", true, true),
];

fn main() {
    println!("128 members for 60 s, seed 7; seconds since the beginning of a pause, median / p99");
    println!(
        "| who | alpha | what stops | C | D | I | pauses | healthy called dead | by healthy ones | a first one says dead | nine of ten do | packets |"
    );
    println!("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let span = Duration::from_secs(60);
    for (who, alpha) in
        [("foca alone", 5.0), ("foca alone", 2.0), ("our group", 5.0), ("our group", 2.0)]
    {
        let mut sum = [0; 2];
        for (kind, blocked, in_step) in KINDS {
            for setting in SETTINGS {
                let pauses = pauses(128, setting, (blocked, in_step));
                let found = match who {
                    "foca alone" => plain(pauses, alpha, span),
                    _ => ours(pauses, alpha, span),
                };
                let (c, d, i) = setting;
                let at = |times: &[f64], share: f64| {
                    let index = (times.len().saturating_sub(1) as f64 * share).ceil() as usize;
                    times.get(index).map_or("-".to_owned(), |at| format!("{at:.1}"))
                };
                let both = |times: &[f64]| format!("{} / {}", at(times, 0.5), at(times, 0.99));
                println!(
                    "| {who} | {alpha} | {kind} | {c} | {d} s | {i} s | {} | {} | {} | {} | {} | {:.1} |",
                    found.pauses,
                    found.wrong[0],
                    found.wrong[1],
                    both(&found.first),
                    both(&found.most),
                    found.packets
                );
                sum[0] += found.wrong[0];
                sum[1] += found.wrong[1];
            }
        }
        println!("| {who} | {alpha} | all of it | | | | | {} | {} | | | |", sum[0], sum[1]);
    }
}
