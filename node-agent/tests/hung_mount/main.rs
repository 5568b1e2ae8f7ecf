//! Storage is lost as it is in the field: a file system hangs, and whoever writes there stands in the kernel where no
//! signal ends it. The real agent must say so in time, go on with all else, and leave one process there, not one more at
//! each interval.
//!
//! It needs root: the file system is made on a loop device, in a mount namespace that ends with the test, and frozen.

#![allow(clippy::wildcard_enum_match_arm)] // A test looks for one variant; new ones do not concern it.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "../pretended/command.rs"]
mod command;
#[allow(dead_code, reason = "the test of libvirt uses more of it")]
#[path = "../pretended/controller.rs"]
mod controller;
mod disk;
#[allow(dead_code, reason = "the test of the programs uses more of it")]
#[path = "../pretended/mod.rs"]
mod pretended;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use controller::Controller;
use disk::Disk;
use fencing::checks::State;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pretended::{Process, node, start};

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "HOLDFAST_INSIDE_NAMESPACE";
const NAME: &str = "a_disk_that_hangs_is_told_in_time_and_hangs_nothing_else";
const AGENT: &str = env!("CARGO_BIN_EXE_ha-node-agent");

const SECOND: Duration = Duration::from_secs(1);
/// The next try comes within 1 s, is late 0.5 s and the core's slack of 0.5 s later, and is counted a second time after
/// another second. The rest is for a machine that does other things.
const TOLD: Duration = Duration::from_secs(3 + 3);
/// For anything else of the agent's.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_disk_that_hangs_is_told_in_time_and_hangs_nothing_else() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let this = std::env::current_exe().expect("this test has a file");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]);
    if !command.arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED a mount that hangs: only root may make a mount namespace");
        return;
    }
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(this)
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output()
        .expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for (_, why) in text.lines().filter_map(|line| line.split_once("SKIPPED ")) {
        println!("SKIPPED {why}");
    }
}

fn inside() {
    let socket = pretended::controller();
    let config = node("hung-mount", &socket);
    let dir = config.parent().expect("in a directory");
    // Frozen and thawed once before anything rests on it.
    let disk = match Disk::make(dir).and_then(|disk| disk.hang().map(|_| disk)) {
        Ok(disk) => disk,
        Err(why) => return println!("SKIPPED a mount that hangs: {why}"),
    };
    let flag = dir.join("flag");
    fs::write(&flag, "").expect("written");
    add_checks(&config, disk.path(), &flag);

    let mut controller = Controller::new(socket);
    let agent = start(AGENT, &config);
    controller.wait("the disk ok", SOON * 4, |c| {
        c.says("disk", State::Ok).is_some() && c.says("flag", State::Ok).is_some()
    });

    let hanging = disk.hang().expect("it could before");
    let took =
        controller.wait("the disk critical", TOLD, |c| c.says("disk", State::Critical).is_some());
    println!("critical {took:.1?} after it began to hang");
    let threads = threads(&agent);
    goes_on(&mut controller, &config, &flag);
    controller.pass(5 * SECOND);
    assert!(controller.says("disk", State::Critical).is_some());
    // What may block for a while, as a census does, has a thread for some seconds; what hangs must have none.
    let now = self::threads(&agent);
    assert!(now <= threads + 2, "{threads} threads of the agent became {now}");
    let stuck = stuck(dir);
    assert_eq!(stuck.len(), 1, "processes that hang after ten intervals: {stuck:?}");
    assert!(controller.has_it_alive() && controller.deaths == 0, "{} deaths", controller.deaths);

    let again = another_agent(agent, &mut controller, &config);
    assert_eq!(self::stuck(dir), stuck, "another agent begins no second one");

    drop(hanging);
    controller.wait("the disk ok again", TOLD, |c| c.says("disk", State::Ok).is_some());
    assert!(self::stuck(dir).is_empty());
    drop((again, disk));
    fs::remove_dir_all(dir).expect("nothing is mounted there any more");
}

/// One for the disk, one that this test turns by hand, and one that is pushed.
fn add_checks(config: &Path, disk: &Path, flag: &Path) {
    let (disk, flag) = (disk.display(), flag.display());
    let text = format!(
        "[[check]]\nname = \"disk\"\nkind = \"mount\"\npath = \"{disk}\"\nevery = \"1s\"\nwithin = \"500ms\"\nfall = 2\n\
         [[check]]\nname = \"flag\"\nkind = \"script\"\ncommand = [\"/bin/cat\", \"{flag}\"]\nevery = \"1s\"\nwithin = \"1s\"\n\
         fall = 1\nrise = 1\n\
         [[check]]\nname = \"pulse\"\nkind = \"ttl\"\nevery = \"60s\"\n"
    );
    let mut file = fs::OpenOptions::new().append(true).open(config).expect("there");
    file.write_all(text.as_bytes()).expect("written");
}

/// Another check turns and is told, a push is taken, a census is answered.
fn goes_on(controller: &mut Controller, config: &Path, flag: &Path) {
    fs::remove_file(flag).expect("there");
    controller.wait("told of the flag", SOON, |c| c.says("flag", State::Warning).is_some());
    fs::write(flag, "").expect("written");
    controller.wait("told of the flag", SOON, |c| c.says("flag", State::Ok).is_some());
    let began = Instant::now();
    let mut push = Command::new(AGENT);
    push.args(["push", "--config"]).arg(config).args(["pulse", "warning", "by hand"]);
    assert!(push.status().expect("it runs").success(), "a push is taken");
    assert!(began.elapsed() < SOON, "a push took {:?}", began.elapsed());
    controller.wait("told of the push", SOON, |c| c.says("pulse", State::Warning).is_some());
    controller.ask_for_domains(7);
    controller.wait("answered about domains", SOON, |c| c.answer(7).is_some());
}

/// The agent ends when it is told to, though its process hangs; the next one finds the disk as it is.
fn another_agent(mut agent: Process, controller: &mut Controller, config: &Path) -> Process {
    let pid = Pid::from_raw(i32::try_from(agent.0.id()).expect("a pid"));
    kill(pid, Signal::SIGTERM).expect("told");
    let began = Instant::now();
    while agent.0.try_wait().expect("ours").is_none() {
        assert!(began.elapsed() < SOON, "the agent does not end");
        controller.pass(SECOND / 20);
    }
    let agent = start(AGENT, config);
    controller.wait("told by another agent", SOON * 4, |c| {
        let told = c.says("disk", State::Critical);
        c.life() == 2 && told.is_some_and(|told| told.message.contains("since an earlier try"))
    });
    controller.pass(3 * SECOND);
    agent
}

fn threads(agent: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/task", agent.0.id())).expect("it runs").count()
}

/// Processes that try a mount for a node with its files here, and stand in the kernel.
fn stuck(dir: &Path) -> Vec<i32> {
    let mine = dir.join("run").display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("linux").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let words = String::from_utf8_lossy(&read("cmdline")).into_owned();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        if words.contains("probe-mount") && words.contains(&mine) && stat.contains(") D ") {
            found.push(pid);
        }
    }
    found.sort_unstable();
    found
}
