//! Explorations, meant for CI: thousands of seeds, and the proof that they have met what there is to meet.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::place;

/// Seeds of a run.
pub(crate) const SEEDS: u64 = 2000;
/// The first of them.
pub(crate) const FIRST: u64 = 1;
/// Threads: the two cores that CI has.
pub(crate) const THREADS: u16 = 2;

pub(crate) fn command(seeds: u64, from: u64, threads: u16) -> Result<()> {
    explore(place::cargo(&["run", "--quiet", "-p", "sim", "--"]), seeds, from, threads)
}

fn explore(sim: Command, seeds: u64, from: u64, threads: u16) -> Result<()> {
    judge(to_explore(sim, seeds, from, threads).status().context("cannot start the simulator")?)
}

fn to_explore(mut sim: Command, seeds: u64, from: u64, threads: u16) -> Command {
    let (seeds, from, threads) = (seeds.to_string(), from.to_string(), threads.to_string());
    sim.args(["--ci", "--seeds", &seeds, "--from", &from, "--threads", &threads]);
    sim
}

fn judge(status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "the explorations failed, or did not meet what they must: see above");
    Ok(())
}

/// Explorations that run beside the tests: those wait for real programs most of their time, and lose nothing to a
/// program that takes only what nobody else wants.
pub(crate) struct Beside {
    child: Child,
    log: PathBuf,
    begin: Instant,
}

impl Beside {
    /// Begins, with the program that the tests were built with: building it by itself, with other features, takes minutes.
    pub(crate) fn begin() -> Result<Self> {
        let sim = place::target().join("debug").join("sim");
        let log = place::target().join("explorations.log");
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let nice = place::program("nice", &["-n", "19", &sim.to_string_lossy()]);
        let child = to_explore(nice, SEEDS, FIRST, THREADS)
            .stderr(file.try_clone()?)
            .stdout(file)
            .spawn()
            .context("cannot start the simulator")?;
        Ok(Self { child, log, begin: Instant::now() })
    }

    /// Waits for the end, and prints what was said.
    pub(crate) fn end(mut self) -> Result<()> {
        let status = self.child.wait().context("the simulator was lost")?;
        print!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        println!("    beside the tests, {:.1} s in all", self.begin.elapsed().as_secs_f64());
        judge(status)
    }
}

impl Drop for Beside {
    /// Nobody waits for it any more.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
