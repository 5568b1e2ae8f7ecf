//! The real parts, and where they are on this machine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::Archive;

/// Modules that `init.sh` loads.
const MODULES: [&str; 10] = [
    "watchdog",
    "i6300esb",
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];
const INIT: &str = include_str!("../../support/watchdog/init.sh");

/// What the guests and the controllers are made of.
pub(crate) struct Parts {
    /// The kernel, not compressed.
    pub(crate) kernel: PathBuf,
    /// `ha-controller`.
    pub(crate) controller: PathBuf,
    /// `ha-sentinel`.
    pub(crate) sentinel: PathBuf,
    modules: PathBuf,
    busybox: PathBuf,
    chrt: PathBuf,
}

impl Parts {
    /// Finds them; `Err` names the one that this machine lacks.
    pub(crate) fn find() -> Result<Self, String> {
        let home = PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
        let base =
            env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()).map_or(home, PathBuf::from);
        let guest = base.join("holdfast").join("guest-kernel");
        let (kernel, modules) = (guest.join("vmlinux"), guest.join("modules"));
        if !kernel.is_file() {
            return Err(format!(
                "no guest kernel in {}: cargo xtask test-watchdog",
                guest.display()
            ));
        }
        on_path("qemu-system-x86_64")?;
        Ok(Self {
            kernel,
            modules,
            busybox: on_path("busybox")?,
            chrt: on_path("chrt")?,
            controller: built("HOLDFAST_CONTROLLER", "ha-controller"),
            sentinel: built("HOLDFAST_SENTINEL", "ha-sentinel"),
        })
    }

    /// What all guests have in common.
    pub(crate) fn archive(&self, dir: &Path) -> Archive {
        let mut archive = Archive::new(&[
            "bin",
            "dev",
            "lib",
            "lib64",
            "modules",
            "etc",
            "etc/holdfast",
            "usr",
            "usr/bin",
        ]);
        archive.program("init", INIT.as_bytes());
        let busybox = std::fs::read(&self.busybox).expect("busybox");
        archive.program("bin/busybox", &busybox);
        for module in MODULES {
            let file = self.modules.join(format!("{module}.ko"));
            archive
                .program(&format!("modules/{module}.ko"), &std::fs::read(file).expect("a module"));
        }
        archive.program_with_libraries("bin/chrt", &self.chrt, &dir.join("chrt"));
        archive.program_with_libraries("bin/ha-sentinel", &self.sentinel, &dir.join("ha-sentinel"));
        archive
    }
}

fn on_path(name: &str) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| format!("no {name}: cargo xtask test-watchdog"))
}

/// A program of ours: the one that a variable names, or the one beside this test, built if it is not there.
fn built(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable).map(PathBuf::from) {
        assert!(path.is_file(), "{variable} names {}, which is no file", path.display());
        return path;
    }
    // This test is TARGET/PROFILE/deps/watchdog-HASH.
    let this = env::current_exe().expect("this test has a file");
    let path = this.parent().and_then(Path::parent).expect("a profile's directory").join(name);
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--workspace", "--quiet", "--bin", name]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    assert!(status.success() && path.is_file(), "{name} does not build");
    path
}
