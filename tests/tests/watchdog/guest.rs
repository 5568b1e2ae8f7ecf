//! A guest: one QEMU process under software emulation, with an i6300ESB that resets it, and what it says of its end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddrV4;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The kernel's words: nothing that costs time under emulation, a clock that QEMU keeps, and a crash that hangs.
const APPEND: &str = "console=ttyS0 quiet nokaslr mitigations=off notsc clocksource=acpi_pm no_timer_check lpj=4000000 \
     cryptomgr.notests=1 audit=0 ipv6.disable=1 random.trust_cpu=on panic=0";

/// Who reset a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The device: it was not fed for W.
    Watchdog,
    /// The guest itself: the sentinel did not wait for the device.
    Sentinel,
}

/// The end of a guest, on this machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) at: Instant,
    pub(crate) cause: Cause,
}

/// A running guest. Dropping it kills it.
pub(crate) struct Guest {
    process: Child,
    console: UnixStream,
    qmp: UnixStream,
    log: PathBuf,
    end: Arc<Mutex<Option<End>>>,
}

impl Guest {
    /// Starts one whose files are `DIR/NAME.*`. Datagrams to `address` go to its sentinel.
    pub(crate) fn start(dir: &Path, name: &str, kernel: &Path, address: SocketAddrV4) -> Self {
        let file = |ending: &str| dir.join(format!("{name}.{ending}"));
        let (console, qmp, log) = (file("console"), file("qmp"), file("log"));
        let port = address.port();
        // Nothing of this test outlives it: also where it is killed, the kernel ends its guests.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args(["-accel", "tcg,tb-size=32", "-machine", "pc", "-cpu", "qemu64,+rdrand"]);
        command.args(["-m", "128", "-smp", "1", "-nodefaults", "-no-user-config"]);
        command.args(["-display", "none", "-no-reboot", "-action", "watchdog=reset"]);
        command.args(["-device", "i6300esb", "-device", "virtio-net-pci,netdev=net0,romfile="]);
        command.arg("-netdev").arg(format!("user,id=net0,hostfwd=udp:{address}-10.0.2.15:{port}"));
        let chardev = format!(
            "socket,id=con,path={},server=on,wait=off,logfile={}",
            console.display(),
            log.display()
        );
        command.arg("-chardev").arg(chardev).args(["-serial", "chardev:con"]);
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", qmp.display()));
        command.arg("-kernel").arg(kernel).arg("-initrd").arg(file("cpio"));
        command.args(["-append", APPEND]).stdin(Stdio::null()).stdout(Stdio::null());
        let errors = std::fs::File::create(file("err")).expect("a file");
        let process = command.stderr(errors).spawn().expect("setpriv runs");
        let console = connected(&console, &file("err"));
        let qmp = connected(&qmp, &file("err"));
        let end = Arc::new(Mutex::new(None));
        let guest = Self { process, console, qmp, log, end };
        guest.listen();
        guest.order("{\"execute\":\"qmp_capabilities\"}");
        guest
    }

    /// A line for the shell in the guest.
    pub(crate) fn say(&self, line: &str) {
        (&self.console).write_all(format!("{line}\n").as_bytes()).expect("a console");
    }

    /// Pulls the plug of its network.
    pub(crate) fn cut(&self) {
        self.order("{\"execute\":\"set_link\",\"arguments\":{\"name\":\"net0\",\"up\":false}}");
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        *self.end.lock().expect("no panic")
    }

    /// What it has said on its console.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether its shell answers: the kernel and its processes run on.
    pub(crate) fn answers(&self, patience: Duration) -> bool {
        let before = self.said().matches("GUEST is there").count();
        self.say("echo GUEST is \"there\"");
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if self.said().matches("GUEST is there").count() > before {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    fn order(&self, json: &str) {
        (&self.qmp).write_all(format!("{json}\n").as_bytes()).expect("QEMU listens");
    }

    /// Both sockets are read for as long as QEMU lives: a console that nobody reads stops the guest.
    fn listen(&self) {
        let mut console = self.console.try_clone().expect("a socket");
        std::thread::spawn(move || std::io::copy(&mut console, &mut std::io::sink()));
        let qmp = self.qmp.try_clone().expect("a socket");
        let end = Arc::clone(&self.end);
        std::thread::spawn(move || {
            for line in BufReader::new(qmp).lines().map_while(Result::ok) {
                let at = Instant::now();
                let cause = if line.contains("\"event\": \"WATCHDOG\"") {
                    Cause::Watchdog
                } else if line.contains("\"guest-reset\"") {
                    Cause::Sentinel
                } else {
                    continue;
                };
                // A watchdog's end is followed by the reset that it makes: the first word counts.
                end.lock().expect("no panic").get_or_insert(End { at, cause });
            }
        });
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn connected(path: &Path, errors: &Path) -> UnixStream {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) if Instant::now() > until => {
                let said = std::fs::read_to_string(errors).unwrap_or_default();
                panic!("{}: {error}; QEMU said: {said}", path.display());
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
