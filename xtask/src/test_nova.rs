//! `cargo xtask test-nova`: what a real Nova can do to a recovery, scenario by scenario, with seconds and totals. The
//! scenarios are `tests/tests/nova_scenarios`; `cargo xtask test` plays one recovery and one return, and the contract.

use std::env;

use anyhow::bail;

use crate::steps::{Outcome, Steps};
use crate::{nova, place, setup};

/// Installs what is needed, builds the programs, and plays these acts, or all.
pub(crate) fn command(acts: &[String]) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let ran_before = nova::runs();
    setup::for_nova(&mut steps);
    if !steps.skipped.is_empty() {
        println!("0 scenarios passed, 0 failed, {} skipped", steps.skipped.len());
        if env::var("HOLDFAST_ALLOW_SKIPS").as_deref() == Ok("1") {
            return steps.finish();
        }
        bail!("parts were skipped; HOLDFAST_ALLOW_SKIPS=1 lets that pass");
    }
    // hactl is built beside its own test: a `cargo build` would build half of all crates once more, with other features.
    let programs = ["test", "--workspace", "--test", "golden", "--test", "nova_scenarios"];
    steps.run("programs", place::cargo(&[&programs[..], &["--no-run", "--quiet"]].concat()));
    let mut test = place::cargo(&["test", "--workspace", "--test", "nova_scenarios", "--"]);
    test.args(acts).env("HOLDFAST_HACTL", place::target().join("debug").join("hactl"));
    // A program that does not build has nothing to be tested.
    if steps.failed.is_empty() {
        steps.step("scenarios", || {
            Ok(if test.status()?.success() { Outcome::Passed } else { Outcome::Failed })
        });
    }
    nova::end(&mut steps, ran_before);
    steps.finish()
}
