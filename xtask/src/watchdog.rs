//! `cargo xtask test-watchdog`: QEMU guests whose sentinels, kernels and networks are killed in many ways, and the time
//! from the last lease to the reset of each. The test itself is `tests/tests/watchdog`.

use std::env;

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
    // The same features as in a build of all tests, else half of all crates would be built once more.
    let programs = ["build", "--workspace", "--bin", "ha-sentinel", "--bin", "ha-controller"];
    steps.run("programs", place::cargo(&programs));
    let test = ["test", "--workspace", "--test", "watchdog", "--", "--nocapture"];
    let mut test = place::cargo(&test);
    test.env("HOLDFAST_WATCHDOG_PROFILE", profile);
    // A program that does not build has nothing to be tested.
    if steps.failed.is_empty() {
        steps.step("guests", || {
            Ok(if test.status()?.success() { Outcome::Passed } else { Outcome::Failed })
        });
    }
    steps.finish()
}
