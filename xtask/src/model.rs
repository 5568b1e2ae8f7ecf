//! `cargo xtask model`: the model checks, built to compute.

use anyhow::bail;

use crate::place;
use crate::steps::{Outcome, run};

/// Builds and runs the program `model` with these arguments.
pub(crate) fn command(arguments: &[String]) -> anyhow::Result<()> {
    let mut search = place::cargo(&["run", "--quiet", "--profile", "sim", "-p", "model", "--"]);
    search.args(arguments);
    match run(search)? {
        Outcome::Passed => Ok(()),
        Outcome::Failed | Outcome::Skipped(_) => bail!("a model is not as it must be: see above"),
    }
}
