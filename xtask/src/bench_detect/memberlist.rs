//! HashiCorp's memberlist and the crate `memberlist`: a small program around each library, one process for each member.
//! Both are built here, beside the product and not with it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::steps::{Outcome, Steps, run};
use crate::{place, setup};

const GO: &str = "tests/peers/memberlist-go/main.go";
const RS: &str = "tests/peers/memberlist-rs/Cargo.toml";
/// Where Debian's packages put the sources of Go's libraries.
const GOPATH: &str = "/usr/share/gocode";

/// The member of HashiCorp's library, built with Debian's packages.
pub(super) fn of_hashicorp(steps: &mut Steps) -> Option<PathBuf> {
    setup::go(steps);
    let dir = dir();
    let program = dir.join("memberlist-go");
    build(steps, "memberlist-go", &program, |program| {
        let mut go = place::program("go", &["build", "-o"]);
        go.arg(program).arg(GO);
        // Nothing is fetched: what is not in the packages is an error.
        go.env("GO111MODULE", "off").env("GOPATH", GOPATH).env("GOCACHE", dir.join("go-cache"));
        run(go)
    })
}

/// The member of the crate, in the versions of its own `Cargo.lock`.
pub(super) fn of_the_crate(steps: &mut Steps) -> Option<PathBuf> {
    let dir = dir();
    build(steps, "memberlist-rs", &dir.join("release/memberlist-rs"), |_| {
        let words = ["build", "--release", "--locked", "--manifest-path", RS, "--target-dir"];
        let mut cargo = place::cargo(&words);
        cargo.arg(&dir);
        run(cargo)
    })
}

/// Builds a program in a step of its own. One that an earlier version of its source left is not taken for it.
fn build(
    steps: &mut Steps,
    name: &str,
    program: &Path,
    compile: impl FnOnce(&Path) -> anyhow::Result<Outcome>,
) -> Option<PathBuf> {
    let mut built = false;
    steps.step(name, || {
        std::fs::create_dir_all(dir()).with_context(|| dir().display().to_string())?;
        match compile(program) {
            Ok(Outcome::Passed) => {
                built = true;
                Ok(Outcome::Passed)
            }
            Ok(Outcome::Failed | Outcome::Skipped(_)) => {
                Ok(Outcome::Skipped("it does not build (no network?)".to_owned()))
            }
            Err(error) => Ok(Outcome::Skipped(format!("{error:#}"))),
        }
    });
    built.then(|| program.to_owned())
}

fn dir() -> PathBuf {
    place::target().join("peers")
}
