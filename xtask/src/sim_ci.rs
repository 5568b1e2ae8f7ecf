//! Explorations, meant for CI: thousands of seeds, and the proof that they have met what there is to meet.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::place;

/// Seeds of a run.
pub(crate) const SEEDS: u64 = 2000;
/// Seeds that `cargo xtask test` runs: as many as must have met everything. All of them would take it half as long again.
const AT_EVERY_CHANGE: u64 = 500;
/// The first of them.
pub(crate) const FIRST: u64 = 1;
/// Threads: the two cores that CI has.
pub(crate) const THREADS: u16 = 2;

pub(crate) fn command(seeds: u64, from: u64, threads: u16) -> Result<()> {
    explore(place::cargo(&["run", "--quiet", "-p", "sim", "--"]), seeds, from, threads)
}

/// The first of them, with the program that the tests were built with: building it by itself, with other features, takes minutes.
pub(crate) fn with_built() -> Result<()> {
    let sim = place::target().join("debug").join("sim");
    explore(place::program(&sim.to_string_lossy(), &[]), AT_EVERY_CHANGE, FIRST, THREADS)
}

fn explore(mut sim: Command, seeds: u64, from: u64, threads: u16) -> Result<()> {
    let (seeds, from, threads) = (seeds.to_string(), from.to_string(), threads.to_string());
    sim.args(["--ci", "--seeds", &seeds, "--from", &from, "--threads", &threads]);
    let status = sim.status().context("cannot start the simulator")?;
    ensure!(status.success(), "the explorations failed, or did not meet what they must: see above");
    Ok(())
}
