//! `cargo xtask check`: what can be said about the code without running it.

use crate::place;
use crate::steps::{Outcome, Steps, run};
use crate::tool::Tool;

const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", arguments: &[] };

/// Runs the checks alone.
pub(crate) fn command() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    all(&mut steps);
    steps.finish()
}

/// Test programs that `cargo test` leaves out: each has a task of its own.
const PLAYED_BY_NAME: [&str; 3] = ["watchdog", "nova_scenarios", "nova_masakari"];

/// Adds the checks to a task.
pub(crate) fn all(steps: &mut Steps) {
    steps.run("format", place::cargo(&["fmt", "--all", "--check"]));
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    steps.run("clippy", place::cargo(&clippy));
    // `--all-targets` leaves them out.
    let by_name = PLAYED_BY_NAME.iter().flat_map(|name| ["--test", name]);
    let clippy = ["clippy", "--workspace", "--quiet"].into_iter().chain(by_name);
    let clippy: Vec<&str> = clippy.chain(["--", "-D", "warnings"]).collect();
    steps.run("clippy of what is played by name", place::cargo(&clippy));
    let hunts = ["clippy", "-p", "sim", "--features", "mutants", "--quiet", "--", "-D", "warnings"];
    steps.run("clippy of the hunts", place::cargo(&hunts));
    let doc = ["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"];
    let mut doc = place::cargo(&doc);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    steps.run("documentation", doc);
    steps.step("dependencies", dependencies);
}

/// Licences, duplicates and sources by `deny.toml`. Advisories are left out: their list changes
/// from day to day, and a test of this code must not.
fn dependencies() -> anyhow::Result<Outcome> {
    let deny = match CARGO_DENY.path() {
        Ok(path) => path,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let deny = deny.to_string_lossy();
    let arguments = ["--workspace", "--log-level", "warn", "check", "bans", "licenses", "sources"];
    run(place::program(&deny, &arguments))
}
