//! `cargo xtask bless`: golden files and `expect!` texts become what the code says now. It alone
//! rewrites them; `git diff` afterwards is the review.

use crate::place;
use crate::steps::Steps;

/// Runs the tests with leave to rewrite what they expect.
pub(crate) fn command(arguments: &[String]) -> anyhow::Result<()> {
    let mut test = place::cargo(&["test", "--no-fail-fast"]);
    if !arguments.iter().any(|argument| argument == "-p" || argument == "--package") {
        test.arg("--workspace");
    }
    test.args(arguments).env("BLESS", "1").env("UPDATE_EXPECT", "1");
    let mut steps = Steps::default();
    steps.run("bless", test);
    steps.finish()
}
