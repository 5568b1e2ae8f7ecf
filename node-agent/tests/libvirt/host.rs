//! A libvirt that is the test's alone: the real daemon and real QEMU processes, with empty directories where the machine's
//! own are. Everything is gone with the namespaces that it runs in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use uuid::Uuid;

use crate::command::run;
use crate::pretended::Process;

/// Programs that it is made of, each with its Debian package.
const PARTS: [(&str, &str); 4] = [
    ("/usr/sbin/libvirtd", "libvirt-daemon"),
    ("/usr/bin/virsh", "libvirt-clients"),
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
    ("/usr/share/seabios/bios-256k.bin", "seabios"),
];

/// What libvirt keeps, and where.
const DIRECTORIES: [&str; 4] =
    ["/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt"];

/// No confinement and no control groups: nothing is left on this machine.
const QEMU_CONF: &str = "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\ncgroup_controllers = [ ]\n\
                         namespaces = [ ]\nstdio_handler = \"file\"\nremember_owner = 0\n";
const LIBVIRTD_CONF: &str = "auth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n";
/// Debian's libvirt does not begin without it, whoever QEMU runs as.
const USER: &str = "libvirt-qemu";

/// On a machine that does other things it takes a while to ask QEMU what it can.
const BEGINS_WITHIN: Duration = Duration::from_secs(120);

/// MiB of a domain's disk that hold something.
pub(crate) const DISK_MIB: u32 = 2;

/// What is missing here, if anything is.
pub(crate) fn missing() -> Option<String> {
    let missing = PARTS.iter().filter(|(file, _)| !Path::new(file).exists());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    (!packages.is_empty()).then(|| format!("not installed: {}", packages.join(" ")))
}

/// The daemon, and the domains that it knows.
pub(crate) struct Host {
    dir: PathBuf,
    daemon: Process,
}

impl Host {
    /// Starts a libvirt that knows of no domain; the machine's own is hidden. Files come into this directory.
    pub(crate) fn start(dir: &Path) -> Self {
        fs::write("/etc/libvirt/qemu.conf", QEMU_CONF).expect("written");
        fs::write("/etc/libvirt/libvirtd.conf", LIBVIRTD_CONF).expect("written");
        Self { daemon: daemon(dir), dir: dir.to_owned() }
    }

    /// Makes it known, with a disk of its own.
    pub(crate) fn define(&self, name: &str, id: Uuid) {
        let disk = self.dir.join(format!("{name}.disk"));
        fs::write(&disk, vec![1; (DISK_MIB << 20) as usize]).expect("written");
        File::options().write(true).open(&disk).expect("there").set_len(8 << 20).expect("longer");
        let text = format!(
            "<domain type='qemu'><name>{name}</name><uuid>{id}</uuid><memory unit='MiB'>16</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='pc'>hvm</type></os><devices>\
             <emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/>\
             <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>\
             <target dev='vda' bus='virtio'/></disk></devices></domain>",
            disk.display()
        );
        let file = self.dir.join(format!("{name}.xml"));
        fs::write(&file, text).expect("written");
        virsh(&["define", &file.to_string_lossy()]);
    }

    /// The QEMU process of a domain that runs.
    pub(crate) fn process_of(name: &str) -> Pid {
        let text = fs::read_to_string(format!("/run/libvirt/qemu/{name}.pid")).expect("it runs");
        Pid::from_raw(text.trim().parse().expect("a pid"))
    }

    /// A signal to the daemon.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.daemon.0.id()).expect("a pid")), signal)
            .expect("it runs");
    }

    /// Kills the daemon; its domains run on.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.daemon.0.wait().expect("it ends");
    }

    /// Another daemon after one that was killed, which may not be listening yet.
    pub(crate) fn start_again(&mut self) {
        self.daemon = daemon(&self.dir);
    }

    /// Waits until it answers.
    pub(crate) fn wait(&self) {
        let began = Instant::now();
        while !asks(&["version"]).is_ok_and(|output| output.status.success()) {
            let log = || fs::read_to_string(self.dir.join("libvirtd.log")).unwrap_or_default();
            assert!(began.elapsed() < BEGINS_WITHIN, "libvirtd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Does something with libvirt's own program, which must succeed.
pub(crate) fn virsh(words: &[&str]) -> String {
    let output = asks(words).expect("virsh runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "virsh {words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn asks(words: &[&str]) -> std::io::Result<std::process::Output> {
    let mut command = Command::new("/usr/bin/virsh");
    command.args(["--connect", "qemu:///system"]).args(words).stdin(Stdio::null()).output()
}

fn daemon(dir: &Path) -> Process {
    let log = File::create(dir.join("libvirtd.log")).expect("made");
    let mut command = Command::new("/usr/sbin/libvirtd");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Process(command.spawn().expect("it starts"))
}

/// Lays empty directories over the machine's, and the user that Debian's packages make over its list of users; and lets
/// the namespace speak to itself.
///
/// # Errors
/// Why this machine does not let it be done.
pub(crate) fn hide() -> Result<(), String> {
    run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    mount(&["-t", "tmpfs", "tmpfs", "/run"])?;
    for directory in DIRECTORIES {
        fs::create_dir_all(directory).map_err(|error| format!("{directory}: {error}"))?;
        mount(&["-t", "tmpfs", "tmpfs", directory])?;
    }
    for (file, line) in [
        ("/etc/passwd", format!("{USER}:x:64055:64055::/var/lib/libvirt:/bin/false\n")),
        ("/etc/group", format!("{USER}:x:64055:\n")),
    ] {
        let ours = Path::new("/run").join(file.rsplit('/').next().unwrap_or_default());
        let written = fs::read_to_string(file).and_then(|text| {
            let known = text.lines().any(|known| known.starts_with(&format!("{USER}:")));
            fs::write(&ours, if known { text } else { format!("{}\n{line}", text.trim_end()) })
        });
        written.map_err(|error| format!("{file}: {error}"))?;
        mount(&["--bind", &ours.to_string_lossy(), file])?;
    }
    Ok(())
}

fn mount(words: &[&str]) -> Result<(), String> {
    run(Command::new("mount").args(words))
}
