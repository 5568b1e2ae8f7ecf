//! Processes of a measurement, and what the kernel says of them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ticks of the processor's clock in a second, as Linux counts them for programs.
const TICKS: f64 = 100.0;

/// A program that runs. Dropping it kills it.
pub(super) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a program; its log goes to this file. It ends with this process, however this one ends.
    pub(super) fn start(name: &str, program: &Path, words: &[&str], log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| log.display().to_string())?;
        let also = log.try_clone()?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).args(words);
        command.stdin(Stdio::null()).stdout(log).stderr(also).env("NO_COLOR", "1");
        let child = command.spawn().context("setpriv (package util-linux) does not start")?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// SIGKILL, without waiting for its end.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("{} is not killed", self.name))
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(id, signal).with_context(|| format!("{} gets no {signal}", self.name))
    }

    /// An error if it has ended by itself.
    pub(super) fn alive(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "{} has ended: {ended:?}", self.name);
        Ok(())
    }

    /// After how long it ended by itself, if it did so in this time.
    pub(super) fn ends_within(&mut self, span: Duration) -> Option<Duration> {
        let begun = Instant::now();
        while begun.elapsed() < span {
            if self.alive().is_err() {
                return Some(begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Seconds of the processor so far.
    pub(super) fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu_of(&stat).with_context(|| format!("/proc tells nothing of {}", self.name))
    }

    /// Resident memory, and its own share of it, in MiB.
    pub(super) fn memory(&self) -> Result<(f64, f64)> {
        let file = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(file)?;
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        kib("Rss:")
            .zip(kib("Pss:"))
            .map(|(rss, pss)| (rss / 1024.0, pss / 1024.0))
            .with_context(|| format!("/proc tells nothing of the memory of {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cpu_of(stat: &str) -> Option<f64> {
    // The name, in parentheses, may hold spaces; user and system time are the 12th and 13th fields after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / TICKS)
}

/// What one kind of member costs, each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Per cent of a core.
    pub(super) cpu: f64,
    /// Resident memory, MiB.
    pub(super) rss: f64,
    /// Its proportional share, MiB: pages that all share are counted once.
    pub(super) pss: f64,
}

/// Seconds of the processor that they have used together.
pub(super) fn cpu<'a>(all: impl Iterator<Item = &'a Process>) -> Result<f64> {
    all.map(Process::cpu).sum()
}

/// What each of them costs on average, if they used so many seconds of the processor in so many on the wall.
pub(super) fn cost<'a>(
    all: impl Iterator<Item = &'a Process>,
    cpu: f64,
    wall: f64,
) -> Result<Cost> {
    let mut cost = Cost::default();
    let mut many = 0.0;
    for process in all {
        let (rss, pss) = process.memory()?;
        many += 1.0;
        cost.rss += rss;
        cost.pss += pss;
    }
    ensure!(many > 0.0, "nobody is there to be measured");
    Ok(Cost { cpu: cpu * 100.0 / wall / many, rss: cost.rss / many, pss: cost.pss / many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_the_processor_stands_behind_the_name() {
        let stat = "17 (a (b) c) S 1 1 1 0 -1 4194304 9 0 0 0 120 30 0 0 20 0 1 0 5";
        assert_eq!(cpu_of(stat), Some(1.5));
    }
}
