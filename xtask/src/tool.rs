//! Cargo tools in pinned versions, installed once into the cache directory and never into the
//! user's own cargo directory.

use std::path::PathBuf;

use crate::place;

/// A program that comes as a crate.
pub(crate) struct Tool {
    /// The crate's name, which is the program's too.
    pub(crate) name: &'static str,
    /// The version that is known to work here.
    pub(crate) version: &'static str,
    /// More arguments for `cargo install`.
    pub(crate) arguments: &'static [&'static str],
}

impl Tool {
    /// The program, installed if it is not there yet; that takes minutes. `Err` is the reason why
    /// it cannot be had.
    pub(crate) fn path(&self) -> Result<PathBuf, String> {
        let home = place::cache().join(format!("{}-{}", self.name, self.version));
        let path = home.join("bin").join(self.name);
        if path.exists() {
            return Ok(path);
        }
        println!("    installs {} {} into {}, once", self.name, self.version, home.display());
        let mut install = place::cargo(&["install", "--quiet", "--locked", "--root"]);
        install.arg(&home).args(self.arguments);
        install.arg(format!("{}@{}", self.name, self.version));
        // Built to be built soon: it runs for seconds, and link-time optimisation takes minutes.
        install.env("CARGO_PROFILE_RELEASE_LTO", "off");
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        // From inside `cargo run` the workspace's target directory may be set; not for this.
        install.env_remove("CARGO_TARGET_DIR");
        match install.status() {
            Ok(status) if status.success() => Ok(path),
            Ok(_) => Err(format!("cargo install {}@{} failed", self.name, self.version)),
            Err(error) => Err(format!("cannot start cargo: {error}")),
        }
    }
}
