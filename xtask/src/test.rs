//! `cargo xtask test`: setup, check and every test, with one closing line of totals.
//!
//! A test whose real part is not there prints `SKIPPED part: reason` and returns. Such lines are
//! counted, and fail the run: a green run has tested everything. `HOLDFAST_ALLOW_SKIPS=1` lets
//! them pass, for machines where some part cannot be had.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, bail};

use crate::place;
use crate::steps::{Outcome, Steps};
use crate::{check, model, mutants, nova, setup, sim_ci, watchdog};

/// The step of one guest in QEMU.
const GUEST: &str = "a guest";

/// Runs everything and prints the totals.
pub(crate) fn command() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let nova_ran_before = nova::runs();
    setup::all(&mut steps);
    setup::guests(&mut steps);
    check::all(&mut steps);
    // With the tests their programs are built too; a `cargo build` beside it would build half of all crates once more,
    // with other features.
    steps.run("programs", place::cargo(&["test", "--workspace", "--no-run", "--quiet"]));
    let explorations = sim_ci::Beside::begin();
    let mut totals = Totals::default();
    steps.step("tests", || tests(&mut totals, all_tests(), "test.log"));
    nova::end(&mut steps, nova_ran_before);
    let passed = |result: anyhow::Result<()>| result.map(|()| Outcome::Passed);
    steps.step("explorations", || passed(explorations.and_then(sim_ci::Beside::end)));
    // A guest needs a processor in time, and most of the work is done by now.
    steps.step(GUEST, || tests(&mut totals, watchdog::small(), "guest.log"));
    steps.step("models", || passed(model::command(&[])));
    steps.step("mutants", || passed(mutants::command("", false)));
    conclude(&steps, &totals)
}

/// Says what was skipped, prints the closing line, and decides.
fn conclude(steps: &Steps, totals: &Totals) -> anyhow::Result<()> {
    let skipped: Vec<&String> = steps.skipped.iter().chain(&totals.skipped).collect();
    for line in &skipped {
        println!("skipped: {line}");
    }
    for name in &steps.failed {
        println!("failed: {name}");
    }
    // These steps fail with their tests, which are counted one by one.
    let of_tests = |name: &&String| *name == "tests" || *name == GUEST;
    let failed_checks = steps.failed.iter().filter(|name| !of_tests(name)).count();
    let passed = totals.passed.saturating_sub(totals.skipped.len());
    let failed = totals.failed + failed_checks;
    println!("{passed} passed, {failed} failed, {} skipped", skipped.len() + totals.ignored);
    if !steps.failed.is_empty() {
        bail!("failed: {}", steps.failed.join(", "));
    }
    if !skipped.is_empty() && env::var("HOLDFAST_ALLOW_SKIPS").as_deref() != Ok("1") {
        bail!("parts were skipped; HOLDFAST_ALLOW_SKIPS=1 lets that pass");
    }
    Ok(())
}

/// Sums over the test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// `part: reason` of each `SKIPPED` line.
    skipped: Vec<String>,
    /// In the part of a test program's output that repeats what passed tests printed.
    in_successes: bool,
}

/// With --show-output a passed test's words are printed too, and with them its SKIPPED lines.
fn all_tests() -> Command {
    place::cargo(&["test", "--workspace", "--no-fail-fast", "--", "--show-output"])
}

fn tests(totals: &mut Totals, mut command: Command, log: &str) -> anyhow::Result<Outcome> {
    let path = place::target().join(log);
    let mut log = File::create(&path).with_context(|| path.display().to_string())?;
    println!("    whole output: {}", path.display());
    let passed = totals.passed;
    let mut child = command
        .env("HOLDFAST_HACTL", place::target().join("debug").join("hactl"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, sender);
    }
    for line in lines {
        writeln!(log, "{line}").with_context(|| path.display().to_string())?;
        if totals.read(&line) {
            println!("{line}");
        }
    }
    let status = child.wait().context("cargo test was lost")?;
    if status.success() && totals.passed == passed {
        bail!("cargo test passed without a single test");
    }
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
}

/// Sends each line of a stream on, to its end.
fn forward(stream: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
}

impl Totals {
    /// Takes in a line of `cargo test`; says if it is worth showing.
    fn read(&mut self, line: &str) -> bool {
        if let Some(skip) = line.trim_start().strip_prefix("SKIPPED ") {
            self.skipped.push(skip.to_owned());
            return true;
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
            self.ignored += number_before(result, " ignored");
            return true;
        }
        match line.trim_end() {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {}
        }
        let routine = line.starts_with("test ") && line.ends_with(" ok");
        !self.in_successes && !routine && !line.trim().is_empty()
    }
}

/// The number that stands right before `word` in a line such as `ok. 3 passed; 0 failed; ...`.
fn number_before(line: &str, word: &str) -> usize {
    let end = line.find(word).unwrap_or(0);
    let digits = line[..end].rsplit(' ').next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
     Running tests/tidy.rs (target/debug/deps/tidy-1)

running 3 tests
test a_thing_is_so ... ok
test a_real_part_works ... ok
test another_is_not ... FAILED

successes:

---- a_real_part_works stdout ----
chatter
SKIPPED ipmi_sim: not installed

successes:
    a_real_part_works

failures:

---- another_is_not stdout ----
it is not
test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn totals_are_the_sum_over_programs() {
        let mut totals = Totals::default();
        for line in OUTPUT.lines() {
            totals.read(line);
        }
        assert_eq!((totals.passed, totals.failed, totals.ignored), (42, 1, 4));
        assert_eq!(totals.skipped, ["ipmi_sim: not installed"]);
    }

    #[test]
    fn what_passed_is_not_shown_and_what_failed_is() {
        let mut totals = Totals::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| totals.read(line)).collect();
        assert!(!shown.contains(&"chatter"));
        assert!(!shown.contains(&"test a_thing_is_so ... ok"));
        assert!(shown.contains(&"it is not"));
        assert!(shown.contains(&"SKIPPED ipmi_sim: not installed"));
    }

    #[test]
    fn a_skip_fails_the_run_unless_allowed() {
        let steps = Steps { failed: Vec::new(), skipped: vec!["x: y".into()] };
        let allowed = env::var("HOLDFAST_ALLOW_SKIPS").as_deref() == Ok("1");
        assert_eq!(conclude(&steps, &Totals::default()).is_ok(), allowed);
    }
}
