//! Where things lie: the workspace, and a directory for what outlives `cargo clean`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The workspace's root directory.
pub(crate) fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Where downloaded tools and test environments are kept between runs and between checkouts.
/// `tests/support/nova/lib.sh` computes the same.
pub(crate) fn cache() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    base.unwrap_or_else(home).join("holdfast")
}

/// Where cargo builds, for files of our own beside its files.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A program, to be run in the workspace's root and without standard input: nothing that a task
/// runs may wait for an answer.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root()).stdin(std::process::Stdio::null());
    command
}

/// The cargo that runs this program. What it has said of xtask itself is not handed on: build scripts that look at it, such
/// as ring's, would run anew whenever somebody builds by hand in between, and half of all crates with them.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program(&env::var("CARGO").unwrap_or_else(|_| "cargo".into()), arguments);
    let of_xtask =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_xtask)) {
        command.env_remove(name);
    }
    command
}
