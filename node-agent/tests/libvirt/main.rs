//! The agent's side with a real libvirt and real QEMU processes: who runs is known whole or not at all, what they use is
//! plausible, and a stray copy that is to be ended is ended, and nothing else.
//!
//! It needs root: libvirt gets namespaces of its own, so that it neither finds nor leaves anything on this machine, and
//! everything that it starts ends with the test.

#![allow(clippy::wildcard_enum_match_arm)] // A test looks for one variant; new ones do not concern it.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "../pretended/command.rs"]
mod command;
#[path = "../pretended/controller.rs"]
#[allow(dead_code, reason = "the test of a mount that hangs uses more of it")]
mod controller;
mod host;
#[allow(dead_code, reason = "the test of the programs uses more of it")]
#[path = "../pretended/mod.rs"]
mod pretended;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use controller::Controller;
use fencing::checks::State;
use fencing::lease::Hazards;
use fencing::sign::KeyPair;
use fencing::stray::{Destroy, Order};
use fencing::{ControllerId, NodeId};
use host::{DISK_MIB, Host, virsh};
use nix::sys::signal::{Signal, kill};
use node_agent::preflight::Preflight;
use pretended::{CLUSTER, NODE, Process, node};
use uuid::Uuid;

/// Set in the process that runs inside the namespaces, to a number of its own: there each is process 2.
const INSIDE: &str = "HOLDFAST_INSIDE_NAMESPACE";
const NAME: &str = "a_real_libvirt_is_listed_whole_or_not_at_all";
const NAMESPACES: [&str; 8] = [
    "--mount",
    "--propagation=private",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--",
];
/// The first process of a process namespace buries those whose parents have ended, as QEMU's have.
const BURY: &str = "\"$@\" & wait $!";

/// The agent gives virsh ten seconds, and this machine may do other things.
const LATE: Duration = Duration::from_secs(10 + 5);
/// Where nothing hangs.
const SOON: Duration = Duration::from_secs(15);
/// Lists come every ten seconds, whole ones every thirty.
const LISTED: Duration = Duration::from_secs(45);
/// libvirt gives a QEMU that hangs ten seconds before it kills it.
const ENDED: Duration = Duration::from_secs(30);

const RUNS: Uuid = Uuid::from_u128(0xa1);
const PAUSED: Uuid = Uuid::from_u128(0xa2);
const STRAY: Uuid = Uuid::from_u128(0xa3);
const OFF: Uuid = Uuid::from_u128(0xa4);

#[test]
fn a_real_libvirt_is_listed_whole_or_not_at_all() {
    if let Ok(number) = std::env::var(INSIDE) {
        return inside(&number);
    }
    if let Some(missing) = host::missing() {
        println!("SKIPPED libvirt: {missing}; cargo xtask setup");
        return;
    }
    let unshare = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(NAMESPACES).args(words).stdin(Stdio::null());
        command
    };
    if !unshare(&["true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED libvirt: only root may make namespaces");
        return;
    }
    let this = std::env::current_exe().expect("this test has a file");
    let output = unshare(&["sh", "-c", BURY, "sh", &this.to_string_lossy()])
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, std::process::id().to_string())
        .output()
        .expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    // Not the summary of a test inside a test.
    for at in ["SKIPPED ", "libvirt: "] {
        text.lines()
            .filter_map(|line| line.find(at).map(|from| &line[from..]))
            .for_each(|line| println!("{line}"));
    }
}

fn inside(number: &str) {
    // With the network first: an address of a loopback that is down is not kept.
    if let Err(why) = host::hide() {
        return println!("SKIPPED libvirt: {why}");
    }
    let socket = pretended::controller();
    let config = node(&format!("libvirt-{number}"), &socket);
    let dir = config.parent().expect("in a directory").to_owned();
    let host = Host::start(&dir);
    host.wait();
    for (name, id) in [("runs", RUNS), ("paused", PAUSED), ("stray", STRAY), ("off", OFF)] {
        host.define(name, id);
    }
    virsh(&["start", "runs"]);
    virsh(&["start", "paused", "--paused"]);
    virsh(&["start", "stray"]);
    let keys = for_libvirt(&config);
    let began = Instant::now();
    let mut story = Story {
        host,
        controller: Controller::new(socket),
        log: dir.join("agent.log"),
        nonce: 0,
        agent: agent(&config, &dir.join("agent.log")),
    };
    story.is_listed();
    println!("libvirt: listed with what they use after {:.1?}", began.elapsed());
    story.ends_a_stray_copy_that_hangs(&keys);
    story.misses_who_was_killed();
    story.hangs();
    story.dies_and_comes_back();
    libvirt_starts_domains_itself();
    drop(story);
    fs::remove_dir_all(dir).expect("nothing is left that writes there");
}

/// Two controllers whose keys are known, libvirt as the source of domains, and a check of it.
fn for_libvirt(config: &Path) -> [KeyPair; 2] {
    let keys = [KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32])];
    let text = fs::read_to_string(config).expect("there");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.starts_with("key = ") {
            *line = format!("key = \"{}\"", keys[0].public());
        } else if line.starts_with("directory = ") {
            "virsh = \"/usr/bin/virsh\"".clone_into(line);
        }
    }
    // The second controller is not there; its signature is.
    lines.push(format!(
        "[[controller]]\nid = 2\nkey = \"{}\"\ngossip = {{ m = \"127.7.0.2:9\" }}\nlease = {{ m = \"127.7.0.2:9\" }}\n\
         [[check]]\nname = \"libvirt\"\nkind = \"libvirt\"\nevery = \"2s\"\nwithin = \"2s\"\nfall = 2\nrise = 1",
        keys[1].public()
    ));
    fs::write(config, lines.join("\n")).expect("written");
    keys
}

/// The real agent, in an environment that names another driver of libvirt's: its lists are not Nova's.
fn agent(config: &Path, log: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ha-node-agent"));
    command.arg("--config").arg(config).env("RUST_LOG", "warn").stdin(Stdio::null());
    command.env("LIBVIRT_DEFAULT_URI", "test:///default");
    Process(command.stderr(File::create(log).expect("made")).spawn().expect("it starts"))
}

struct Story {
    host: Host,
    controller: Controller,
    log: PathBuf,
    nonce: u64,
    agent: Process,
}

impl Story {
    /// Running and paused ones are in a census and in the list that is sent unasked; one that is off is in neither.
    fn is_listed(&mut self) {
        self.controller.wait("libvirt ok", 2 * SOON, |c| c.says("libvirt", State::Ok).is_some());
        self.census(&[RUNS, PAUSED, STRAY]);
        self.controller.wait("listed", LISTED, |c| c.listed(PAUSED).is_some());
        for id in [RUNS, PAUSED] {
            let (_, domain) = self.controller.listed(id).expect("it runs");
            println!("libvirt: {domain:?}");
            let cpu = domain.cpu_ms.expect("libvirt says it");
            assert!((1..120_000).contains(&cpu), "{cpu} ms");
            // QEMU itself is larger than the 16 MiB of its guest.
            let memory = domain.memory_mib.expect("libvirt says it");
            assert!((16..1_024).contains(&memory), "{memory} MiB");
            assert_eq!(domain.disk_mib, Some(DISK_MIB), "what its disk holds, not what it wrote");
        }
        assert!(self.controller.listed(OFF).is_none());
    }

    /// By an order that two controllers have signed; its QEMU does not even hear that it is to end.
    fn ends_a_stray_copy_that_hangs(&mut self, keys: &[KeyPair; 2]) {
        let (runs, stray) = (Host::process_of("runs"), Host::process_of("stray"));
        kill(stray, Signal::SIGSTOP).expect("it runs");
        let census = self.census(&[RUNS, PAUSED, STRAY]);
        let (boot, _) = self.controller.listed(STRAY).expect("listed");
        let node = NodeId(NODE);
        let order = Order { cluster: CLUSTER, node, boot, domain: STRAY, index: 1, census };
        let signed = |id, key: &KeyPair| (ControllerId(id), order.sign(key));
        let signatures = vec![signed(1, &keys[0]), signed(2, &keys[1])];
        self.controller.order(&Destroy { order: order.clone(), signatures });
        let took = self.controller.wait("the copy ended", ENDED, |_| !is_there(stray));
        println!("libvirt: a copy whose QEMU hangs ended after {took:.1?}");
        self.controller.pass(Duration::from_secs(1));
        self.census(&[RUNS, PAUSED]);
        let log = self.said();
        assert!(!log.contains("was not ended"), "{log}");
        assert!(is_there(runs), "another copy was ended too");
        assert!(virsh(&["list", "--all", "--name"]).contains("stray"), "it is not undefined");
    }

    fn misses_who_was_killed(&mut self) {
        let paused = Host::process_of("paused");
        kill(paused, Signal::SIGKILL).expect("it runs");
        self.controller.wait("gone", SOON, |_| !is_there(paused));
        // libvirt hears of it when its socket ends.
        self.controller.pass(Duration::from_secs(1));
        self.census(&[RUNS]);
    }

    /// A daemon that stands still: no answer, and never an empty one.
    fn hangs(&mut self) {
        self.host.signal(Signal::SIGSTOP);
        let began = Instant::now();
        let nonce = self.ask();
        let critical = |c: &Controller| c.says("libvirt", State::Critical).is_some();
        let took = self.controller.wait("libvirt critical", SOON, critical);
        println!("libvirt: a daemon that hangs: the check is critical after {took:.1?}");
        let log = self.log.clone();
        let late = |_: &Controller| {
            said(&log).contains("gets no answer") && said(&log).contains("libvirt hangs")
        };
        self.controller.wait("no list", LATE, late);
        println!("libvirt: and no list after {:.1?}", began.elapsed());
        self.controller.pass((LATE + Duration::from_secs(8)).saturating_sub(began.elapsed()));
        assert_eq!(self.controller.answer(nonce), None, "a list that nobody could have");
        assert!(self.controller.listed(RUNS).is_some(), "it is not told that it is gone");
        assert!(self.controller.has_it_alive() && self.controller.deaths == 0);
        self.host.signal(Signal::SIGCONT);
        self.controller.wait("libvirt ok", 2 * SOON, |c| c.says("libvirt", State::Ok).is_some());
        self.census(&[RUNS]);
    }

    /// A daemon that is not there, and one that has just come back: no answer, until one that is whole.
    fn dies_and_comes_back(&mut self) {
        let runs = Host::process_of("runs");
        self.host.kill();
        let nonce = self.ask();
        let log = self.log.clone();
        self.controller.wait("no list", SOON, |_| said(&log).contains("failed to connect"));
        let critical = |c: &Controller| c.says("libvirt", State::Critical).is_some();
        let took = self.controller.wait("libvirt critical", 2 * SOON, critical);
        println!("libvirt: a daemon that is dead: critical after {took:.1?}");
        assert!(is_there(runs) && self.controller.answer(nonce).is_none());
        assert!(self.controller.listed(RUNS).is_some(), "it is not told that it is gone");

        self.host.start_again();
        let began = Instant::now();
        let mut asked = Vec::new();
        while !asked.iter().any(|nonce| self.controller.answer(*nonce).is_some()) {
            assert!(began.elapsed() < 3 * LATE, "no answer");
            asked.push(self.ask());
            self.controller.pass(Duration::from_millis(100));
        }
        self.controller.pass(Duration::from_secs(2));
        for answer in asked.iter().filter_map(|nonce| self.controller.answer(*nonce)) {
            assert_eq!(answer, [RUNS], "what runs is in its first list already");
        }
        assert!(is_there(runs) && self.agent.0.try_wait().expect("ours").is_none());
    }

    /// Asks which domains run, and answers the number of the census.
    fn ask(&mut self) -> u64 {
        self.nonce += 1;
        self.controller.ask_for_domains(self.nonce);
        self.nonce
    }

    /// Takes a census, which must find these.
    fn census(&mut self, expected: &[Uuid]) -> u64 {
        let nonce = self.ask();
        self.controller.wait("a census", SOON, |c| c.answer(nonce).is_some());
        let mut answer = self.controller.answer(nonce).unwrap_or_default().to_vec();
        answer.sort_unstable();
        assert_eq!(answer, expected);
        nonce
    }

    fn said(&self) -> String {
        said(&self.log)
    }
}

/// What the agent has logged.
fn said(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

fn is_there(process: nix::unistd::Pid) -> bool {
    kill(process, None).is_ok()
}

/// What the sentinel looks for before it arms a node, in the directory in which libvirt keeps it.
fn libvirt_starts_domains_itself() {
    let preflight = Preflight {
        nova_conf: Vec::new(),
        libvirt_guests_wanted: "/nonexistent".into(),
        ..Preflight::default()
    };
    let hazards = || preflight.look();
    assert!(hazards().is_empty(), "{}", hazards());
    virsh(&["autostart", "off"]);
    assert_eq!(hazards(), Hazards::AUTOSTART);
    virsh(&["autostart", "--disable", "off"]);
    assert!(hazards().is_empty());
}
