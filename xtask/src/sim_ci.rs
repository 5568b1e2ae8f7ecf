//! Explorations, meant for CI: thousands of seeds, and the proof that they have met what there is to meet.

use anyhow::{Result, ensure};

use crate::place;

/// Seeds of a run.
pub(crate) const SEEDS: u64 = 2000;
/// The first of them.
pub(crate) const FIRST: u64 = 1;
/// Threads: the two cores that CI has.
pub(crate) const THREADS: u16 = 2;

pub(crate) fn command(seeds: u64, from: u64, threads: u16) -> Result<()> {
    let (seeds, from, threads) = (seeds.to_string(), from.to_string(), threads.to_string());
    let options = ["--ci", "--seeds", &seeds, "--from", &from, "--threads", &threads];
    let words: Vec<&str> =
        ["run", "--quiet", "-p", "sim", "--"].into_iter().chain(options).collect();
    let status = place::cargo(&words).status()?;
    ensure!(status.success(), "the explorations failed, or did not meet what they must: see above");
    Ok(())
}
