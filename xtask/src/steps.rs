//! A task is a row of steps. Each prints a line when it begins and one with its seconds when it
//! has ended; a failed step does not keep the next ones from running, so that one run tells all.

use std::process::Command;
use std::time::Instant;

use anyhow::bail;

/// How a step ended.
pub(crate) enum Outcome {
    /// It did what it is for.
    Passed,
    /// It found something wrong, which its own output tells.
    Failed,
    /// It could not be done on this machine, and why.
    Skipped(String),
}

/// What the steps so far came to.
#[derive(Default)]
pub(crate) struct Steps {
    /// Names of the steps that failed.
    pub(crate) failed: Vec<String>,
    /// Steps that were skipped, as `NAME: REASON`.
    pub(crate) skipped: Vec<String>,
}

impl Steps {
    /// Runs one step. An error counts as a failure and is printed.
    pub(crate) fn step(&mut self, name: &str, body: impl FnOnce() -> anyhow::Result<Outcome>) {
        println!("==> {name}");
        let begin = Instant::now();
        let outcome = body().unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome::Failed
        });
        let seconds = begin.elapsed().as_secs_f64();
        match outcome {
            Outcome::Passed => println!("    {name}: ok, {seconds:.1} s"),
            Outcome::Failed => {
                println!("    {name}: FAILED, {seconds:.1} s");
                self.failed.push(name.to_owned());
            }
            Outcome::Skipped(reason) => {
                println!("SKIPPED {name}: {reason}");
                self.skipped.push(format!("{name}: {reason}"));
            }
        }
    }

    /// A step that is one program; it fails when the program does.
    pub(crate) fn run(&mut self, name: &str, command: Command) {
        self.step(name, || run(command));
    }

    /// The task's result: an error that names the steps that failed.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        if !self.failed.is_empty() {
            bail!("failed: {}", self.failed.join(", "));
        }
        Ok(())
    }
}

/// Runs a program to its end.
///
/// # Errors
/// When it could not be started. Nothing was done.
pub(crate) fn run(mut command: Command) -> anyhow::Result<Outcome> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(Outcome::Passed),
        Ok(_) => Ok(Outcome::Failed),
        Err(error) => Err(anyhow::Error::new(error).context(format!("cannot start {name}"))),
    }
}
