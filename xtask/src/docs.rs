//! `cargo xtask docs`: the pages of docs/ as a book.

use crate::place;
use crate::steps::{Outcome, Steps, run};
use crate::tool::Tool;

const MDBOOK: Tool =
    Tool { name: "mdbook", version: "0.5.4", arguments: &["--no-default-features"] };

/// Builds the book into target/book.
pub(crate) fn command() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    steps.step("book", || {
        let mdbook = match MDBOOK.path() {
            Ok(path) => path,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        run(place::program(&mdbook.to_string_lossy(), &["build", "docs"]))
    });
    steps.finish()
}
