//! The self-fence on machines that can die: QEMU guests with an i6300ESB, the real `ha-sentinel` in each, three real
//! `ha-controller` on this machine. Each guest is killed in its own way; what counts is the time from the last lease or
//! vouch, as seen on the wire, to the reset, as QEMU tells it, against the bound of `fencing::lease::LeaseTimes`.
//!
//! HOLDFAST_WATCHDOG_PROFILE says whose times: `fast`, which it is without, `balanced`, `calm`; or `short`, for a quick
//! look on a machine that does nothing else. A machine without QEMU or a guest kernel skips it aloud.

// A panic is how a test fails, and clippy does not know the functions of an integration test for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod archive;
mod cluster;
mod guest;
mod ledger;
mod parts;
mod story;
mod table;
mod wire;

use std::time::Duration;

use fencing::lease::{LeaseTimes, Profile};
use parts::Parts;
use story::Story;

#[test]
fn a_node_for_which_nobody_stands_is_reset_in_time_and_no_other() {
    let parts = match Parts::find() {
        Ok(parts) => parts,
        Err(why) => {
            println!("SKIPPED watchdog in guests: {why}");
            return;
        }
    };
    let mut story = Story::begin(&parts, times());
    story.all_are_armed();
    story.fenced_by_its_lease_alone();
    story.disarmed_before_it_ends();
    story.wait_for_the_evidence();
    story.all_controllers_gone();
    story.controllers_are_back();
    story.killed_in_many_ways();
    let table = story.end();
    println!("{table}");
    assert!(table.missed().is_empty(), "missed: {}", table.missed().join(", "));
}

/// The times of the run. No formula differs: they are a configuration that every check of it takes.
fn times() -> LeaseTimes {
    let second = Duration::from_secs(1);
    let short = LeaseTimes {
        renew_every: second,
        lease: second * 10,
        vouch: second * 8,
        watchdog: second * 5,
        quiet: second,
        margin: second,
    };
    let times = match std::env::var("HOLDFAST_WATCHDOG_PROFILE").as_deref() {
        Ok("fast") | Err(_) => Profile::Fast.times(),
        Ok("balanced") => Profile::Balanced.times(),
        Ok("calm") => Profile::Calm.times(),
        Ok("short") => short,
        Ok(other) => panic!("HOLDFAST_WATCHDOG_PROFILE={other}: short, fast, balanced or calm"),
    };
    times.check().expect("times that hold");
    times
}
