//! `cargo xtask test-watchdog`: QEMU guests whose sentinels, kernels and networks are killed in many ways, and the time
//! from the last lease to the reset of each; and what then proves them off. The test itself is `tests/tests/watchdog`.

use std::env;
use std::process::Command;

use anyhow::bail;

use crate::steps::{Outcome, Steps};
use crate::{place, setup};

/// Installs what the guests need, builds the programs, and runs the test with the times of this profile.
pub(crate) fn command(profile: &str) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    setup::guests(&mut steps);
    if !steps.skipped.is_empty() {
        println!("0 passed, 0 failed, {} skipped", steps.skipped.len());
        if env::var("HOLDFAST_ALLOW_SKIPS").as_deref() == Ok("1") {
            return steps.finish();
        }
        bail!("parts were skipped; HOLDFAST_ALLOW_SKIPS=1 lets that pass");
    }
    programs(&mut steps);
    // One play after the other: two would take the processors from each other. The small one is in `cargo xtask test`.
    let mut test = test(&["--nocapture", "--test-threads", "1", "--skip", SMALL]);
    test.env("HOLDFAST_WATCHDOG_PROFILE", profile);
    // A program that does not build has nothing to be tested.
    if steps.failed.is_empty() {
        steps.step("guests", || {
            Ok(if test.status()?.success() { Outcome::Passed } else { Outcome::Failed })
        });
    }
    steps.finish()
}

/// The guest that `cargo xtask test` kills, by the name of its test.
const SMALL: &str = "small";

/// The test of one guest and one kill, for `cargo xtask test`.
pub(crate) fn small() -> Command {
    let mut test = test(&["--show-output", SMALL]);
    test.env("HOLDFAST_WATCHDOG_PROFILE", "fast");
    test
}

/// Adds the programs that run in guests and beside them.
pub(crate) fn programs(steps: &mut Steps) {
    // The same features as in a build of all tests, else half of all crates would be built once more.
    let mut arguments = vec!["build", "--workspace"];
    PROGRAMS.iter().for_each(|name| arguments.extend(["--bin", name]));
    steps.run("programs of guests", place::cargo(&arguments));
}

const PROGRAMS: [&str; 5] = ["ha-sentinel", "ha-controller", "ha-node-agent", "ha-beacon", "hactl"];

fn test(words: &[&str]) -> Command {
    place::cargo(&[&["test", "--workspace", "--test", "watchdog", "--"], words].concat())
}
