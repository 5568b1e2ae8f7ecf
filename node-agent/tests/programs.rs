//! The two programs as processes, with one pretended node: they start, speak, and end as they should.
#![allow(clippy::wildcard_enum_match_arm)] // A test looks for one variant; new ones do not concern it.

mod pretended;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fencing::sign::{KeyPair, open};
use fencing::{BootId, NodeId};
use gossip::group;
use node_agent::beacon;
use pretended::{CLUSTER, NODE, controller, gossip, node, start};
use uuid::Uuid;

#[test]
fn the_agent_joins_answers_a_census_and_leaves_at_sigterm() {
    let socket = controller();
    let config = node("agent", &socket);
    let domain = Uuid::from_u128(0xd0);
    fs::write(config.with_file_name("domains").join(domain.to_string()), b"").expect("written");
    let mut agent = start(env!("CARGO_BIN_EXE_ha-node-agent"), &config);

    let (envelope, mut group) = gossip(&socket);
    let began = Instant::now();
    let mut out = Vec::new();
    let (mut nonce, mut asked, mut answered, mut told) = (0_u8, false, false, false);
    while began.elapsed() < Duration::from_secs(20) && !(answered && told) {
        let mut buffer = [0; 2048];
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && let Ok(bytes) = envelope.open(&mut buffer[..length])
        {
            group.handle(began.elapsed(), group::Event::Packet { from, bytes }, &mut out);
        }
        if group.poll_timeout().is_some_and(|(at, _)| at <= began.elapsed()) {
            group.handle(began.elapsed(), group::Event::Timeout, &mut out);
        }
        let member =
            group.members().find(|(member, _)| member.id == NODE).map(|(member, _)| *member);
        if let Some(member) = member.filter(|_| !asked) {
            let ask =
                postcard::to_stdvec(&fencing::census::Message::Ask { nonce: 9 }).expect("plain");
            let payload = [&[fencing::census::CHANNEL], &ask[..]].concat();
            group.talk(member.addr, &payload, &mut out).expect("short");
            asked = true;
        }
        for effect in std::mem::take(&mut out) {
            match effect {
                group::Effect::Send { to, bytes } => {
                    nonce = nonce.wrapping_add(1);
                    let mut datagram = Vec::new();
                    envelope.seal([nonce; 24], &bytes, &mut datagram);
                    socket.send_to(&datagram, to).expect("sent");
                }
                group::Effect::Talk { bytes, .. } => {
                    let message = postcard::from_bytes(&bytes[1..]);
                    let Ok(fencing::census::Message::Answer { nonce: 9, domains, .. }) = message
                    else {
                        continue;
                    };
                    assert_eq!(domains, [domain]);
                    answered = true;
                    let pid =
                        nix::unistd::Pid::from_raw(i32::try_from(agent.0.id()).expect("a pid"));
                    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("told");
                }
                group::Effect::MemberDown(member) => told |= answered && member.id == NODE,
                _ => {}
            }
        }
    }
    assert!(answered && told, "answered {answered}, left {told}");
    assert!(agent.0.wait().expect("it ends").success());
    let starts = fs::read_to_string(config.with_file_name("state").join("agent.starts"));
    assert_eq!(starts.expect("counted"), "1");
}

#[test]
fn the_sentinel_without_a_watchdog_renews_and_reports() {
    let socket = controller();
    let config = node("sentinel", &socket);
    let _sentinel = start(env!("CARGO_BIN_EXE_ha-sentinel"), &config);
    let until = Instant::now() + Duration::from_secs(20);
    let mut buffer = [0; 2048];
    while socket.recv(&mut buffer).is_err() {
        assert!(Instant::now() < until, "no renewal");
    }
    let report = config.with_file_name("run").join("sentinel.json");
    while !report.exists() {
        assert!(Instant::now() < until, "no report");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!config.with_file_name("run").join("gate").exists());
}

#[test]
fn check_says_what_follows_and_a_wrong_file_ends_with_file_and_line() {
    let config = node("check", &controller());
    let check = |config: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ha-sentinel"));
        command.args(["--check", "--config"]).arg(config).output().expect("it runs")
    };
    let good = check(&config);
    assert!(good.status.success());
    assert!(String::from_utf8_lossy(&good.stdout).contains("wL 141.3 s"), "{good:?}");
    let text = fs::read_to_string(&config).expect("read").replace("name = \"m\"", "nam = \"m\"");
    fs::write(&config, text).expect("written");
    let bad = check(&config);
    assert!(!bad.status.success());
    assert!(
        String::from_utf8_lossy(&bad.stderr).contains("node.toml:11: unknown field `nam`"),
        "{bad:?}"
    );
}

#[test]
fn the_beacon_speaks_of_the_boot_that_crashed_and_only_in_a_crash_kernel() {
    let socket = controller();
    let file = node("beacon", &socket);
    let config = node_agent::config::Config::load(&file).expect("a configuration");
    let (crashed, vmcore) = (Uuid::from_u128(9), file.with_file_name("vmcore"));
    let told = format!("ro holdfast.boot={crashed}");
    let refused =
        |told: &str| beacon::run(&config, told, &vmcore).expect_err("refused").to_string();
    assert!(refused(&told).ends_with("this is no crash kernel, and nothing is sent"));
    fs::write(&vmcore, "").expect("written");
    assert!(refused("ro").starts_with("which boot has crashed?"));
    let running = format!("holdfast.boot={}", Uuid::from_u128(5));
    assert!(refused(&running).ends_with("it has not crashed, and nothing is sent"));

    std::thread::spawn(move || beacon::run(&config, &told, &vmcore));
    let key = KeyPair::parse(&"33".repeat(32)).expect("a key").public();
    let until = Instant::now() + Duration::from_secs(20);
    let mut buffer = [0; 2048];
    let length = loop {
        assert!(Instant::now() < until, "no beacon");
        if let Ok(length) = socket.recv(&mut buffer) {
            break length;
        }
    };
    let (signer, message) = open(CLUSTER, &|_| Some(key), &buffer[..length]).expect("signed");
    let evidence = fencing::crash::evidence(signer, &message, NodeId(NODE), BootId(crashed));
    assert_eq!(evidence.map(|evidence| evidence.class()), Some("E4"));
}
