//! The two programs as processes, with one pretended node: they start, speak, and end as they should.
#![allow(clippy::wildcard_enum_match_arm)] // A test looks for one variant; new ones do not concern it.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fencing::sign::{KeyPair, open};
use fencing::{BootId, NodeId};
use gossip::config::Config;
use gossip::group::{self, Group};
use gossip::identity::Member;
use gossip::seal::{Envelope, Keyring};
use node_agent::beacon;
use node_agent::program::EXAMPLE;
use uuid::Uuid;

const NODE: Uuid = Uuid::from_u128(0x21);
const CONTROLLER: Uuid = Uuid::from_u128(0x1);
const CLUSTER: Uuid = Uuid::from_u128(0x77);

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, config: &Path) -> Process {
    let mut command = Command::new(program);
    command.arg("--config").arg(config).env("RUST_LOG", "warn").stdin(Stdio::null());
    Process(command.spawn().expect("it starts"))
}

fn gossip_key() -> String {
    format!("1 01{}\n", "07".repeat(31))
}

/// Writes all files of a node whose one controller gossips at `controller`.
fn node(name: &str, controller: &UdpSocket) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("holdfast-programs-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    let secret = |file: &str, text: &str| {
        fs::write(dir.join(file), text).expect("written");
        fs::set_permissions(dir.join(file), fs::Permissions::from_mode(0o600)).expect("set");
    };
    secret("gossip.key", &gossip_key());
    secret("node.key", &"33".repeat(32));
    secret("boot", &Uuid::from_u128(5).to_string());
    secret("nodes.keys", "");
    fs::create_dir(dir.join("domains")).expect("made");
    let free =
        |last: u8| UdpSocket::bind((format!("127.7.0.{last}"), 0)).expect("a port").local_addr();
    let (gossip, sentinel) = (free(21).expect("bound"), free(22).expect("bound"));
    let controller = controller.local_addr().expect("bound");
    let at = dir.display();
    let key = EXAMPLE.lines().find(|line| line.starts_with("key = ")).expect("a controller's key");
    let text = format!(
        "cluster = \"{CLUSTER}\"\nname = \"node-1\"\nid = \"{NODE}\"\nboot_id_file = \"{at}/boot\"\n\
         run_dir = \"{at}/run\"\nstate_dir = \"{at}/state\"\ngossip_key_file = \"{at}/gossip.key\"\n\
         key_file = \"{at}/node.key\"\nkeys_file = \"{at}/nodes.keys\"\n\
         [[network]]\nname = \"m\"\ngossip_listen = \"{gossip}\"\nsentinel_listen = \"{sentinel}\"\n\
         [[controller]]\nid = 1\n{key}\ngossip = {{ m = \"{controller}\" }}\nlease = {{ m = \"{controller}\" }}\n\
         [domains]\ndirectory = \"{at}/domains\"\n"
    );
    let file = dir.join("node.toml");
    fs::write(&file, text).expect("written");
    file
}

fn controller() -> UdpSocket {
    let socket = UdpSocket::bind("127.7.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    socket
}

#[test]
fn the_agent_joins_answers_a_census_and_leaves_at_sigterm() {
    let socket = controller();
    let config = node("agent", &socket);
    let domain = Uuid::from_u128(0xd0);
    fs::write(config.with_file_name("domains").join(domain.to_string()), b"").expect("written");
    let mut agent = start(env!("CARGO_BIN_EXE_ha-node-agent"), &config);

    let keyring = Keyring::parse(&gossip_key()).expect("a key");
    let envelope = Envelope::new(Arc::new(keyring), CLUSTER, "m", "gossip");
    let address = socket.local_addr().expect("bound");
    let me = Member {
        id: CONTROLLER,
        generation: 1,
        boot: CONTROLLER,
        addr: address,
        ping: address,
        controller: true,
    };
    let mut group = Group::new(Config::lan(2), me, 3);
    let began = Instant::now();
    let mut out = Vec::new();
    group.join(Duration::ZERO, &[], &mut out);
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
