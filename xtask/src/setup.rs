//! `cargo xtask setup`: what the tests with real parts need and a fresh machine lacks. What is
//! there already is left alone; what cannot be had is a skip that `cargo xtask test` counts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;

use crate::place;
use crate::steps::{Outcome, Steps, run};

/// Debian packages, each with a file by which its presence is seen.
const PACKAGES: [(&str, &str); 9] = [
    ("curl", "/usr/bin/curl"),
    ("e2fsprogs", "/usr/sbin/mkfs.ext4"),
    ("iproute2", "/usr/sbin/ip"),
    ("nftables", "/usr/sbin/nft"),
    ("fence-agents", "/usr/sbin/fence_ipmilan"),
    ("openipmi", "/usr/bin/ipmi_sim"),
    ("ipmitool", "/usr/bin/ipmitool"),
    ("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server"),
    ("mariadb-server", "/usr/sbin/mariadbd"),
];

/// The same for guests under QEMU.
const GUEST_PACKAGES: [(&str, &str); 5] = [
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
    ("seabios", "/usr/share/seabios/bios-256k.bin"),
    ("openipmi", "/usr/bin/ipmi_sim"),
    ("busybox-static", "/bin/busybox"),
    ("binutils", "/usr/bin/strip"),
];

/// The same for a libvirt with guests that do nothing.
const LIBVIRT_PACKAGES: [(&str, &str); 5] = [
    ("libvirt-daemon", "/usr/sbin/libvirtd"),
    ("libvirt-daemon-driver-qemu", "/usr/share/doc/libvirt-daemon-driver-qemu/copyright"),
    ("libvirt-clients", "/usr/bin/virsh"),
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
    ("seabios", "/usr/share/seabios/bios-256k.bin"),
];

/// The same for HashiCorp's memberlist.
const GO_PACKAGES: [(&str, &str); 2] = [
    ("golang-go", "/usr/bin/go"),
    (
        "golang-github-hashicorp-memberlist-dev",
        "/usr/share/gocode/src/github.com/hashicorp/memberlist/memberlist.go",
    ),
];

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs alone.
pub(crate) fn command() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    all(&mut steps);
    steps.finish()
}

/// Adds the installing to a task.
pub(crate) fn all(steps: &mut Steps) {
    steps.step("Debian packages", packages);
    steps.step("libvirt", || install(missing(&LIBVIRT_PACKAGES)));
    steps.step("Python environment with Nova", python);
    steps.step("Python environment with sushy-tools", sushy);
}

/// Adds the installing of what the tests with a real Nova need.
pub(crate) fn for_nova(steps: &mut Steps) {
    steps.step("Debian packages", packages);
    steps.step("Python environment with Nova", python);
}

/// Adds the installing of what the tests of BMCs need.
pub(crate) fn for_bmcs(steps: &mut Steps) {
    steps.step("Debian packages", packages);
    steps.step("Python environment with sushy-tools", sushy);
}

/// Adds the peer that detection is measured beside.
pub(crate) fn serf(steps: &mut Steps) {
    steps.step("serf", || install(missing(&[("serf", "/usr/bin/serf")])));
}

/// Adds what the peer in Go is built with.
pub(crate) fn go(steps: &mut Steps) {
    steps.step("Go and HashiCorp's memberlist", || install(missing(&GO_PACKAGES)));
}

/// Adds what guests under QEMU need, and nothing else.
pub(crate) fn guests(steps: &mut Steps) {
    steps.step("QEMU", || install(missing(&GUEST_PACKAGES)));
    steps.step("guest kernel", guest_kernel);
}

fn packages() -> anyhow::Result<Outcome> {
    let mut missing = missing(&PACKAGES);
    if !python_makes_environments() {
        missing.push("python3-venv");
    }
    install(missing)
}

fn missing(packages: &[(&'static str, &str)]) -> Vec<&'static str> {
    let there = |file: &str| Path::new(file).exists();
    packages.iter().filter(|(_, file)| !there(file)).map(|(name, _)| *name).collect()
}

fn guest_kernel() -> anyhow::Result<Outcome> {
    match run(place::program("bash", &["tests/support/watchdog/kernel.sh"]))? {
        Outcome::Passed => Ok(Outcome::Passed),
        Outcome::Failed | Outcome::Skipped(_) => Ok(Outcome::Skipped(
            "tests/support/watchdog/kernel.sh failed (no network, or no apt-get?)".into(),
        )),
    }
}

fn install(missing: Vec<&str>) -> anyhow::Result<Outcome> {
    if missing.is_empty() {
        return Ok(Outcome::Passed);
    }
    let list = missing.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Ok(Outcome::Skipped(format!("no apt-get here to install {list}")));
    }
    if !is_root()? {
        return Ok(Outcome::Skipped(format!(
            "only root can install them; as root: apt-get install --no-install-recommends {list}"
        )));
    }
    let _quiet = ServicesStayOff::new()?;
    // A failed update need not matter: the lists may be there from another day.
    run(apt(&["-qq", "update"]))?;
    let mut install = apt(&["-qq", "-y", "install", "--no-install-recommends"]);
    install.args(&missing);
    match run(install)? {
        Outcome::Passed => Ok(Outcome::Passed),
        Outcome::Failed | Outcome::Skipped(_) => {
            Ok(Outcome::Skipped(format!("apt-get could not install {list} (no network?)")))
        }
    }
}

fn python() -> anyhow::Result<Outcome> {
    match run(place::program("bash", &["tests/support/nova/venv.sh"]))? {
        Outcome::Passed => Ok(Outcome::Passed),
        Outcome::Failed | Outcome::Skipped(_) => Ok(Outcome::Skipped(
            "tests/support/nova/venv.sh failed (no network, or no Python of 3.11 or later?)".into(),
        )),
    }
}

fn sushy() -> anyhow::Result<Outcome> {
    match run(place::program("bash", &["tests/support/bmc/venv.sh"]))? {
        Outcome::Passed => Ok(Outcome::Passed),
        Outcome::Failed | Outcome::Skipped(_) => {
            Ok(Outcome::Skipped("tests/support/bmc/venv.sh failed (no network?)".into()))
        }
    }
}

/// Debian's own Python needs a package for it; others bring it along.
fn python_makes_environments() -> bool {
    let mut python = place::program("python3", &["-c", "import ensurepip"]);
    python.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn apt(arguments: &[&str]) -> std::process::Command {
    let mut command = place::program("nice", &["apt-get", "-o", "DPkg::Lock::Timeout=300"]);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> anyhow::Result<bool> {
    let output = place::program("id", &["-u"]).output().context("cannot start id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

/// While it lives, the packages that apt installs start no service: the tests run the programs
/// themselves, with data of their own. A machine that has such a policy keeps it.
struct ServicesStayOff {
    ours: bool,
}

impl ServicesStayOff {
    fn new() -> anyhow::Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
        let guard = Self { ours: true };
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).context(POLICY)?;
        Ok(guard)
    }
}

impl Drop for ServicesStayOff {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("remove {POLICY} by hand, else no package starts its service: {error}");
        }
    }
}
