//! The real parts, and where they are on this machine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::Archive;
use super::guest::{APPEND, Hardware};

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
const CRASH_INIT: &str = include_str!("../../support/watchdog/crash-init.sh");
const LOADER: &str = "support/watchdog/kexec.c";

/// What the guests and the controllers are made of.
pub(crate) struct Parts {
    /// The kernel, not compressed.
    pub(crate) kernel: PathBuf,
    /// `ha-controller`.
    pub(crate) controller: PathBuf,
    /// `ha-sentinel`.
    pub(crate) sentinel: PathBuf,
    /// `hactl`.
    pub(crate) hactl: PathBuf,
    agent: PathBuf,
    beacon: PathBuf,
    compressed: PathBuf,
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
        let compressed = guest.join("vmlinuz");
        if !(kernel.is_file() && compressed.is_file()) {
            return Err(format!(
                "no guest kernel in {}: cargo xtask test-watchdog",
                guest.display()
            ));
        }
        on_path("qemu-system-x86_64")?;
        on_path("ipmi_sim")?;
        on_path("cc")?;
        Ok(Self {
            kernel,
            modules,
            busybox: on_path("busybox")?,
            chrt: on_path("chrt")?,
            controller: built("HOLDFAST_CONTROLLER", "ha-controller"),
            sentinel: built("HOLDFAST_SENTINEL", "ha-sentinel"),
            hactl: built("HOLDFAST_HACTL", "hactl"),
            agent: built("HOLDFAST_AGENT", "ha-node-agent"),
            beacon: built("HOLDFAST_BEACON", "ha-beacon"),
            compressed,
        })
    }

    /// What all guests have in common.
    pub(crate) fn archive(&self, dir: &Path) -> Archive {
        let mut archive = self.system(INIT, &MODULES);
        archive.program_with_libraries("bin/chrt", &self.chrt, &dir.join("chrt"));
        archive.program_with_libraries("bin/ha-sentinel", &self.sentinel, &dir.join("ha-sentinel"));
        archive
    }

    /// What this guest has beside that; its crash kernel gets `files` too.
    pub(crate) fn extras(
        &self,
        hardware: &Hardware,
        archive: &mut Archive,
        dir: &Path,
        files: &[(&str, String)],
    ) {
        if hardware.agent {
            let stripped = dir.join("ha-node-agent");
            archive.program_with_libraries("bin/ha-node-agent", &self.agent, &stripped);
        }
        if hardware.crash_kernel {
            let mut inner = self.system(CRASH_INIT, &MODULES[2..]);
            inner.program_with_libraries("bin/ha-beacon", &self.beacon, &dir.join("ha-beacon"));
            files.iter().for_each(|(path, text)| inner.private(path, text));
            archive.directory("crash");
            archive.program("crash/initrd", &inner.finish());
            archive.program("crash/vmlinuz", &std::fs::read(&self.compressed).expect("a kernel"));
            // One processor, and devices that nobody has shut down.
            archive.private("crash/append", &format!("{APPEND} nr_cpus=1 reset_devices"));
            let loader = dir.join("load-crash-kernel");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(LOADER);
            let mut compile = Command::new("cc");
            compile.args(["-static", "-O1", "-o"]).arg(&loader).arg(source);
            assert!(compile.status().expect("cc runs").success(), "{LOADER} does not build");
            archive.program("bin/load-crash-kernel", &std::fs::read(loader).expect("a program"));
        }
    }

    fn system(&self, init: &str, modules: &[&str]) -> Archive {
        let directories =
            ["bin", "dev", "lib", "lib64", "modules", "etc", "etc/holdfast", "usr", "usr/bin"];
        let mut archive = Archive::new(&directories);
        archive.program("init", init.as_bytes());
        archive.program("bin/busybox", &std::fs::read(&self.busybox).expect("busybox"));
        for module in modules {
            let file = self.modules.join(format!("{module}.ko"));
            archive
                .program(&format!("modules/{module}.ko"), &std::fs::read(file).expect("a module"));
        }
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
