//! The self-fence on machines that can die: QEMU guests with an i6300ESB, the real `ha-sentinel` in each, three real
//! `ha-controller` on this machine. Each guest is killed in its own way; what counts is the time from the last lease or
//! vouch, as seen on the wire, to the reset, as QEMU tells it, against the bound of `fencing::lease::LeaseTimes`.
//!
//! HOLDFAST_WATCHDOG_PROFILE says whose times: `fast`, which it is without, `balanced`, `calm`; or `short`, for a quick
//! look on a machine that does nothing else. A machine without QEMU or a guest kernel skips it aloud.

// A panic is how a test fails, and clippy does not know the functions of an integration test for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod archive;
mod bmc;
mod cluster;
mod guest;
mod ledger;
mod nova;
mod parts;
mod proofs;
mod stage;
mod story;
mod table;
mod wire;

use std::time::{Duration, Instant};

use cluster::Plan;
use fencing::lease::{LeaseTimes, Profile};
use guest::Hardware;
use parts::Parts;
use proofs::Proofs;
use stage::Stage;
use story::Story;
use table::Table;

#[test]
fn a_node_for_which_nobody_stands_is_reset_in_time_and_no_other() {
    let Some(parts) = parts() else { return };
    let mut story = Story::begin(&parts, times());
    story.all_are_armed();
    story.fenced_by_its_lease_alone();
    story.disarmed_before_it_ends();
    story.wait_for_the_evidence();
    story.all_controllers_gone();
    story.controllers_are_back();
    story.killed_in_many_ways();
    hold(&story.end());
}

#[test]
fn what_proves_a_node_off_comes_after_its_end() {
    let Some(parts) = parts() else { return };
    let mut proofs = Proofs::begin(&parts, times());
    proofs.all_are_ready();
    proofs.drilled(&parts);
    proofs.switched_off();
    proofs.switched_off_while_it_hangs();
    proofs.crashed();
    proofs.fenced_by_its_lease();
    proofs.ok_but_on();
    hold(&proofs.end());
}

/// One guest, one kill: what `cargo xtask test` has time for.
#[test]
fn small_a_guest_whose_sentinel_is_killed_is_reset_in_time() {
    let Some(parts) = parts() else { return };
    let mut stage = Stage::begin(&parts, times(), Plan::plain(1), "small", |_| Hardware::default());
    stage.armed(1);
    stage.guest(1).say("kill -KILL $(pidof ha-sentinel)");
    stage.reset(1, "sentinel killed (SIGKILL)", Instant::now());
    hold(&stage.end());
}

fn parts() -> Option<Parts> {
    Parts::find().inspect_err(|why| println!("SKIPPED watchdog in guests: {why}")).ok()
}

fn hold(table: &Table) {
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
