//! Lease times that are refused, each with the sum that does not hold. `BLESS=1` rewrites the golden file.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use fencing::lease::{LeaseTimes, Profile};

const S: u64 = 1000;

/// What differs from a profile: p, L, C, W, in milliseconds.
const REFUSED: &[(&str, Profile, [Option<u64>; 4])] = &[
    ("a lease of nine renewals", Profile::Fast, [None, Some(9 * S), Some(5 * S), None]),
    (
        "a lease a millisecond too short",
        Profile::Fast,
        [None, Some(9 * S + 999), Some(5 * S), None],
    ),
    ("a watchdog of four renewals", Profile::Fast, [None, None, None, Some(4 * S)]),
    ("a watchdog a millisecond too short", Profile::Fast, [None, None, None, Some(4 * S + 999)]),
    ("a vouch as long as the lease", Profile::Fast, [None, None, Some(20 * S), None]),
    ("a vouch a millisecond too long", Profile::Fast, [None, None, Some(18 * S + 1), None]),
    ("a vouch longer than the lease", Profile::Balanced, [None, None, Some(90 * S), None]),
    ("a slow renewal", Profile::Balanced, [Some(10 * S), None, None, None]),
    ("a renewal as slow as the lease", Profile::Balanced, [Some(60 * S), None, None, None]),
    ("no renewal", Profile::Balanced, [Some(0), None, None, None]),
    ("no vouch", Profile::Balanced, [None, None, Some(0), None]),
    ("nothing at all", Profile::Balanced, [Some(0), Some(0), Some(0), Some(0)]),
    ("seconds meant, milliseconds written", Profile::Calm, [None, Some(300), Some(60), Some(30)]),
];

fn times(profile: Profile, [renew, lease, vouch, watchdog]: [Option<u64>; 4]) -> LeaseTimes {
    let base = profile.times();
    let or = |ms: Option<u64>, other: Duration| ms.map_or(other, Duration::from_millis);
    LeaseTimes {
        renew_every: or(renew, base.renew_every),
        lease: or(lease, base.lease),
        vouch: or(vouch, base.vouch),
        watchdog: or(watchdog, base.watchdog),
        ..base
    }
}

#[test]
fn times_that_break_a_sum_are_refused_with_the_sum() {
    let mut said = String::new();
    for (name, profile, differs) in REFUSED {
        let times = times(*profile, *differs);
        let [p, l, c, w] = [times.renew_every, times.lease, times.vouch, times.watchdog]
            .map(humantime::format_duration);
        let error = times.check().expect_err(name);
        let _ = writeln!(said, "{name}\n  p = {p}, L = {l}, C = {c}, W = {w}\n  {error}\n");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused_times.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    assert_eq!(said, std::fs::read_to_string(&golden).unwrap(), "BLESS=1 takes what is said now");
}

#[test]
fn the_shortest_times_that_hold_are_taken() {
    let shortest = times(Profile::Fast, [None, Some(10 * S), Some(8 * S), Some(5 * S)]);
    assert_eq!(shortest.check(), Ok(()));
}
