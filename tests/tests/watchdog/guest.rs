//! A guest: one QEMU process under software emulation, with an i6300ESB that resets it, and what it says of its end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddrV4;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use super::bmc;

/// The kernel's words: nothing that costs time under emulation, a clock that QEMU keeps, and a crash that hangs.
pub(crate) const APPEND: &str = "console=ttyS0 quiet nokaslr mitigations=off notsc clocksource=acpi_pm no_timer_check lpj=4000000 \
     cryptomgr.notests=1 audit=0 ipv6.disable=1 random.trust_cpu=on panic=0";

/// What a crash kernel gets to live in.
const CRASH_MEMORY: &str = "256M";

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

/// Who holds a guest's power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Power {
    /// The test: no BMC.
    #[default]
    Ours,
    /// Its BMC, which starts and ends the QEMU process.
    Bmc,
    /// The test. Its BMC takes every order, does nothing, and reads whether the process is there.
    StuckBmc,
}

/// What a guest is made of beside kernel, sentinel and network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hardware {
    pub(crate) power: Power,
    /// A reset boots it again; without it QEMU ends.
    pub(crate) reboots: bool,
    /// The agent runs there too.
    pub(crate) agent: bool,
    /// It keeps memory for a crash kernel with our beacon, and has the files of one.
    pub(crate) crash_kernel: bool,
}

/// Where it is plugged in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plug {
    /// Datagrams to it go to the guest's sentinel.
    pub(crate) lease: SocketAddrV4,
    /// Datagrams to it go to the guest's agent.
    pub(crate) gossip: SocketAddrV4,
    /// Its BMC's, for IPMI over LAN.
    pub(crate) bmc: SocketAddrV4,
    /// Its BMC's, for the wire between BMC and machine.
    pub(crate) system: SocketAddrV4,
}

/// When it was heard last and when it was gone, in ms since 1970: what controllers put on record is on that clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// The last byte on its serial console.
    pub(crate) heard: u64,
    /// The QEMU process had ended.
    pub(crate) gone: Option<u64>,
}

/// A running guest. Dropping it kills it.
pub(crate) struct Guest {
    processes: Vec<Child>,
    console: UnixStream,
    qmp: UnixStream,
    log: PathBuf,
    pid: PathBuf,
    end: Arc<Mutex<Option<End>>>,
    life: Arc<Mutex<Life>>,
}

impl Guest {
    /// Starts one whose files are `DIR/NAME.*`.
    pub(crate) fn start(
        dir: &Path,
        name: &str,
        kernel: &Path,
        plug: Plug,
        hardware: &Hardware,
    ) -> Self {
        let file = |ending: &str| dir.join(format!("{name}.{ending}"));
        let (console, qmp, log) = (file("console"), file("qmp"), file("log"));
        let words = words(dir, name, kernel, plug, hardware);
        let mut processes = Vec::new();
        if hardware.power == Power::Bmc {
            // The simulator runs a line of a shell, and ends whom it has started.
            let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            let script = format!(
                "#!/bin/sh\nexec setpriv --pdeathsig KILL {} </dev/null >/dev/null 2>'{}'\n",
                quoted.join(" "),
                file("err").display()
            );
            let start = bmc::script(&file("start"), &script);
            processes.push(bmc::start(dir, name, plug, &bmc::Does::Starts(&start)));
        } else {
            // Nothing of this test outlives it: also where it is killed, the kernel ends its guests.
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).args(words);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let errors = std::fs::File::create(file("err")).expect("a file");
            processes.push(command.stderr(errors).spawn().expect("setpriv runs"));
        }
        if hardware.power == Power::StuckBmc {
            processes.push(bmc::start(dir, name, plug, &bmc::Does::Nothing(&file("pid"))));
        }
        let console = connected(&console, &file("err"));
        let qmp = connected(&qmp, &file("err"));
        let (end, life) = (Arc::default(), Arc::default());
        let guest = Self { processes, console, qmp, log, pid: file("pid"), end, life };
        guest.listen();
        guest.order("{\"execute\":\"qmp_capabilities\"}");
        guest
    }

    /// When it was heard, and whether its process is gone.
    pub(crate) fn life(&self) -> Life {
        *self.life.lock().expect("no panic")
    }

    /// SIGSTOP to its process: the machine hangs, and so does all in it.
    pub(crate) fn hang(&self) {
        self.signal("-STOP");
    }

    /// SIGKILL to its process: it has no power any more.
    pub(crate) fn pull_the_plug(&self) {
        self.signal("-KILL");
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(&self.pid).expect("QEMU has written it");
        let done = Command::new("kill").args([signal, pid.trim()]).status().expect("kill runs");
        assert!(done.success(), "{signal} to {pid}");
    }

    /// From now on it speaks five times a second.
    pub(crate) fn tick(&self) {
        self.say("(while echo tick; do usleep 200000; done) &");
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

    /// It has booted again: its next end counts.
    pub(crate) fn forget_end(&self) {
        *self.end.lock().expect("no panic") = None;
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
        let life = Arc::clone(&self.life);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while console.read(&mut buffer).is_ok_and(|length| length > 0) {
                life.lock().expect("no panic").heard = wall();
            }
        });
        let qmp = self.qmp.try_clone().expect("a socket");
        let (end, life) = (Arc::clone(&self.end), Arc::clone(&self.life));
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
            // Only its end closes it.
            life.lock().expect("no panic").gone = Some(wall());
        });
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended by itself, which is as good. What a BMC has started ends with it.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// QEMU's command line.
fn words(dir: &Path, name: &str, kernel: &Path, plug: Plug, hardware: &Hardware) -> Vec<String> {
    let file = |ending: &str| dir.join(format!("{name}.{ending}")).display().to_string();
    let (megabytes, append) = if hardware.crash_kernel {
        ("640", format!("{APPEND} crashkernel={CRASH_MEMORY}"))
    } else {
        ("128", APPEND.to_owned())
    };
    let mut words: Vec<String> = Vec::new();
    let mut add = |text: &str| words.extend(text.split(' ').map(str::to_owned));
    add("qemu-system-x86_64 -accel tcg,tb-size=32 -machine pc -cpu qemu64,+rdrand -smp 1");
    add(&format!("-m {megabytes} -nodefaults -no-user-config -display none"));
    add("-action watchdog=reset -device i6300esb -device virtio-net-pci,netdev=net0,romfile=");
    if !hardware.reboots {
        add("-no-reboot");
    }
    let forward = |to: SocketAddrV4| format!("hostfwd=udp:{to}-10.0.2.15:{}", to.port());
    add(&format!("-netdev user,id=net0,{},{}", forward(plug.lease), forward(plug.gossip)));
    let (console, log, qmp) = (file("console"), file("log"), file("qmp"));
    add(&format!("-chardev socket,id=con,path={console},server=on,wait=off,logfile={log}"));
    add(&format!("-serial chardev:con -qmp unix:{qmp},server=on,wait=off"));
    if hardware.power == Power::Bmc {
        let (ip, port) = (plug.system.ip(), plug.system.port());
        add(&format!("-chardev socket,id=ipmi0,host={ip},port={port},reconnect=1"));
        add("-device ipmi-bmc-extern,id=bmc0,chardev=ipmi0 -device isa-ipmi-kcs,bmc=bmc0");
    }
    add(&format!("-pidfile {} -initrd {} -kernel", file("pid"), file("cpio")));
    words.extend([kernel.display().to_string(), "-append".to_owned(), append]);
    words
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
