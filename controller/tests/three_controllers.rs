//! Three real `ha-controller` processes on loopback, killed with SIGKILL where a test says so.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use api::{Done, Failure, Request, State};
use fencing::lease::{Message, Profile, WatchdogState};
use fencing::sign::{self, KeyPair, Signer};
use fencing::{BootId, ControllerId, NodeId};
use gossip::seal::{Envelope, Keyring, NONCE};
use gossip::witness::Probe;
use uuid::Uuid;

const CLUSTER: &str = "6f1c1f0e-4b5e-4f0a-9a57-6b1d3f1c2a01";
const TOKEN: &str = "correct-horse-battery-staple";
const MATRIX: &str = include_str!("config/files/matrix.toml");
const PATIENCE: Duration = Duration::from_secs(10);

/// A cluster's files, ports and processes; all gone when dropped.
struct Cluster {
    dir: PathBuf,
    api: Vec<u16>,
    lease: Vec<u16>,
    running: Vec<Option<Child>>,
}

impl Cluster {
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("holdfast-three-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let ports = free_ports();
        let secret = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).unwrap();
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(dir.join(name), mode).unwrap();
        };
        let hex: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        secret("peer.key", &hex);
        secret("gossip.key", &format!("1 {hex}"));
        secret("token", TOKEN);
        std::fs::write(dir.join("matrix.toml"), MATRIX).unwrap();
        std::fs::write(dir.join("inventory.toml"), "").unwrap();
        let mut all = String::new();
        for id in 1..=3_u8 {
            secret(&format!("{id}.key"), &format!("{id:02x}").repeat(32));
            let key = KeyPair::from_seed([id; 32]).public();
            let [gossip, lease, peer, api] = ports[usize::from(id) - 1];
            all += &format!(
                "[[controller]]\nid = {id}\nkey = \"{key}\"\nurl = \"http://127.0.0.1:{api}\"\n\
                 peer = \"127.0.0.1:{peer}\"\ngossip = [\"127.0.0.1:{gossip}\"]\nlease = [\"127.0.0.1:{lease}\"]\n"
            );
        }
        for id in 1..=3 {
            let [gossip, lease, _, api] = ports[id - 1];
            let text = format!(
                "cluster = \"{CLUSTER}\"\nid = {id}\nlab = true\nstate_dir = \"{id}\"\n\
                 key_file = \"{id}.key\"\npeer_key_file = \"peer.key\"\ngossip_key_file = \"gossip.key\"\n\
                 inventory = \"inventory.toml\"\nmatrix = \"matrix.toml\"\n[[network]]\nname = \"management\"\n\
                 gossip_listen = \"127.0.0.1:{gossip}\"\nlease_listen = \"127.0.0.1:{lease}\"\n{all}\
                 [api]\nlisten = \"127.0.0.1:{api}\"\ntoken_file = \"token\"\n"
            );
            std::fs::write(dir.join(format!("{id}.toml")), text).unwrap();
        }
        let api = ports.iter().map(|ports| ports[3]).collect();
        let lease = ports.iter().map(|ports| ports[1]).collect();
        Self { dir, api, lease, running: vec![None, None, None] }
    }

    fn command(&self, id: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ha-controller"));
        command.arg("--config").arg(self.dir.join(format!("{id}.toml")));
        command
    }

    fn start(&mut self, id: usize) {
        let log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.dir.join(format!("{id}.log")))
            .unwrap();
        let mut command = self.command(id);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running[id - 1] = Some(command.spawn().unwrap());
    }

    /// Starts it, and gives what it said when it ended.
    fn refused(&self, id: usize) -> (ExitStatus, String) {
        let output = self.command(id).output().unwrap();
        (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn kill(&mut self, id: usize) {
        let mut child = self.running[id - 1].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn signal(&self, id: usize, signal: &str) {
        let pid = self.running[id - 1].as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn ended(&mut self, id: usize) -> ExitStatus {
        let mut child = self.running[id - 1].take().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            match child.try_wait().unwrap() {
                Some(status) => return status,
                None if Instant::now() > end => panic!("{id} goes on\n{}", self.log(id)),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn log(&self, id: usize) -> String {
        std::fs::read_to_string(self.dir.join(format!("{id}.log"))).unwrap_or_default()
    }

    fn ask(&self, id: usize, request: &str, token: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.api[id - 1])).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    fn state(&self, id: usize) -> Option<State> {
        let (status, body) = self.ask(id, "GET /v1/state", TOKEN, "")?;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    fn order(&self, id: usize, request: &Request) -> Result<Done, Failure> {
        let body = serde_json::to_string(request).unwrap();
        let (status, answer) = self.ask(id, "POST /v1/do", TOKEN, &body).unwrap();
        if status == 200 {
            Ok(serde_json::from_str(&answer).unwrap())
        } else {
            Err(serde_json::from_str(&answer).unwrap())
        }
    }

    /// Waits until one of the running ones leads, and all others follow it.
    fn leader(&self) -> usize {
        let running: Vec<_> = (1..=3).filter(|id| self.running[id - 1].is_some()).collect();
        self.wait("a leader that all follow", || {
            let leader = running.iter().copied().find(|id| self.state(*id).is_some())?;
            let follow = |id: &usize| {
                let (_, body) = self.ask(*id, "GET /v1/state", TOKEN, "")?;
                let failure: Failure = serde_json::from_str(&body).ok()?;
                let Failure::NotLeader { leader: Some(named), url: Some(url) } = failure else {
                    return None;
                };
                (named == leader as u64 && url.ends_with(&self.api[leader - 1].to_string()))
                    .then_some(())
            };
            let others = running.iter().filter(|id| **id != leader);
            others.map(follow).collect::<Option<Vec<()>>>().map(|_| leader)
        })
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            if Instant::now() > end {
                let logs: Vec<_> =
                    (1..=3).map(|id| format!("--- {id}\n{}", self.log(id))).collect();
                panic!("never saw {what}\n{}", logs.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn metric(&self, id: usize, name: &str) -> Option<u64> {
        let (status, text) = self.ask(id, "GET /metrics", TOKEN, "")?;
        assert_eq!(status, 200);
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")))?;
        line.split(' ').nth(1)?.parse().ok()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Ports that nobody else uses: two for UDP and two for TCP, for each of three.
fn free_ports() -> Vec<[u16; 4]> {
    let mut held = Vec::new();
    let mut port = || {
        let (udp, tcp, port) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = tcp.local_addr().unwrap().port();
            if let Ok(udp) = UdpSocket::bind(("127.0.0.1", port)) {
                break (udp, tcp, port);
            }
        };
        held.push((udp, tcp));
        port
    };
    (0..3).map(|_| [port(), port(), port(), port()]).collect()
}

#[test]
fn they_elect_commit_replace_a_killed_leader_and_keep_their_state() {
    let mut cluster = Cluster::new("life");
    (1..=3).for_each(|id| cluster.start(id));
    let first = cluster.leader();
    let follower = first % 3 + 1;

    assert_eq!(cluster.ask(first, "GET /v1/state", "wrong", "").unwrap().0, 401);
    let (status, body) = cluster.ask(first, "POST /v1/do", "", "{}").unwrap();
    assert_eq!((status, serde_json::from_str(&body).ok()), (401, Some(Failure::NotAllowed)));
    assert_eq!(cluster.ask(first, "GET /healthz", "", "").unwrap(), (200, "ok\n".to_owned()));
    let (status, _) = cluster.ask(first, "POST /v1/do", TOKEN, "{\"do\":\"dance\"}").unwrap();
    assert_eq!(status, 409);

    let noop = Request::Noop { on: true };
    assert!(
        matches!(cluster.order(follower, &noop), Err(Failure::NotLeader { leader, .. }) if leader == Some(first as u64))
    );
    let done = cluster.order(first, &noop).unwrap();
    assert_eq!(done.said, "decides and touches nothing");
    for id in 1..=3 {
        cluster.wait("noop on all", || (cluster.metric(id, "holdfast_noop")? == 1).then_some(()));
        let leads = cluster.metric(id, "holdfast_leader").unwrap();
        assert_eq!(leads == 1, id == first);
        cluster.wait("gossip counted", || {
            let port = "{network=\"management\",port=\"gossip\"}";
            let packets = cluster.metric(id, &format!("holdfast_sent_packets_total{port}"))?;
            let bytes = cluster.metric(id, &format!("holdfast_sent_bytes_total{port}"))?;
            (packets > 0 && bytes > 40 * packets).then_some(())
        });
    }

    let killed = Instant::now();
    cluster.kill(first);
    let second = cluster.leader();
    println!("replaced after {:?}", killed.elapsed());
    assert_ne!(second, first);
    assert!(cluster.state(second).unwrap().noop, "the new leader has forgotten");
    let off = cluster.order(second, &Request::Noop { on: false }).unwrap();
    assert!(off.index > done.index);
    cluster.start(first);
    cluster.wait("the killed one catches up", || {
        (cluster.metric(first, "holdfast_noop")? == 0
            && cluster.metric(first, "holdfast_raft_commit")? >= off.index)
            .then_some(())
    });

    // A cold start: what was committed is there, and the number of starts has risen.
    (1..=3).for_each(|id| cluster.kill(id));
    (1..=3).for_each(|id| cluster.start(id));
    let third = cluster.leader();
    assert!(cluster.state(third).unwrap().committed >= off.index);
    let starts = std::fs::read_to_string(cluster.dir.join(format!("{first}/starts"))).unwrap();
    assert_eq!(starts.trim(), "3");
    let journal =
        std::fs::read_to_string(cluster.dir.join(format!("{first}/journal.log"))).unwrap();
    assert!(journal.contains("registry  Noop on"), "{journal}");

    // A wanted stop hands over, ends well, and loses nothing.
    cluster.signal(third, "-TERM");
    assert!(cluster.ended(third).success(), "{}", cluster.log(third));
    assert_ne!(cluster.leader(), third);
}

#[test]
fn a_file_read_again_counts_only_if_it_is_right() {
    let mut cluster = Cluster::new("reload");
    (1..=3).for_each(|id| cluster.start(id));
    let leader = cluster.leader();
    std::fs::write(cluster.dir.join("inventory.toml"), "[[node]]\nname = \"x y\"\n").unwrap();
    std::fs::write(cluster.dir.join("matrix.toml"), "nonsense").unwrap();
    cluster.signal(leader, "-HUP");
    cluster.wait("both refused", || {
        let log = cluster.log(leader);
        (log.contains("inventory in use is kept") && log.contains("matrix in force is kept"))
            .then_some(())
    });
    let key = KeyPair::from_seed([9; 32]).public();
    let inventory = format!(
        "[[node]]\nname = \"node-1\"\nid = \"0b0c7f6e-58a1-4f0e-8a53-2f1f4d1e0001\"\nhost = \"n1\"\ndomain = \"r1\"\n\
         key = \"{key}\"\nsentinel = [\"127.0.0.9:7947\"]\ngossip = [\"127.0.0.9:7946\"]\n"
    );
    std::fs::write(cluster.dir.join("inventory.toml"), inventory).unwrap();
    std::fs::write(cluster.dir.join("matrix.toml"), MATRIX.replace("two signs", "two clear signs"))
        .unwrap();
    cluster.signal(leader, "-HUP");
    cluster.wait("a node and a matrix", || {
        let state = cluster.state(leader)?;
        let matrix = state.matrix.index > 0 && state.matrix.text.contains("two clear signs");
        (matrix && state.nodes.iter().any(|node| node.name == "node-1")).then_some(())
    });
    for id in 1..=3 {
        cluster.wait("an ack of each controller", || renew(&cluster, id));
        assert!(ping(&cluster, id), "no pong of {id}");
    }
    let state = cluster.state(leader).unwrap();
    assert!(state.nodes[0].renewed_s.is_some());
}

#[test]
fn a_directory_in_use_or_damaged_is_refused_with_what_to_do() {
    let mut cluster = Cluster::new("state");
    cluster.start(1);
    cluster.wait("it runs", || cluster.ask(1, "GET /healthz", "", ""));
    let (status, said) = cluster.refused(1);
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("is in use by another controller process"), "{said}");

    cluster.kill(1);
    let raft = cluster.dir.join("1/raft");
    damage(&raft);
    let (status, said) = cluster.refused(1);
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("must be rebuilt as a new member with a new id"), "{said}");
    assert!(said.contains("is damaged at offset"), "{said}");

    // Another controller's directory: two votes under one id would follow from it.
    // Keystone is not there: a controller that stands for nodes does not wait for it.
    let nova = "[nova]\nauth_url = \"http://127.0.0.1:9\"\nuser = \"ha\"\npassword_file = \"token\"\nproject = \"p\"\n";
    let file = cluster.dir.join("2.toml");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + nova).unwrap();
    cluster.start(2);
    cluster.wait("it runs", || cluster.ask(2, "GET /healthz", "", ""));
    cluster.wait("a warning", || cluster.log(2).contains("goes on without Nova").then_some(()));
    cluster.kill(2);
    std::fs::rename(cluster.dir.join("2"), cluster.dir.join("3")).unwrap();
    let (_, said) = cluster.refused(3);
    assert!(said.contains("the directory belongs to"), "{said}");
    let checked = cluster.command(3).arg("--check").output().unwrap();
    assert!(checked.status.success());
    assert!(String::from_utf8_lossy(&checked.stdout).contains("controller-3 of 3"));
}

#[test]
fn a_long_record_is_followed_by_another_and_each_of_them_replays() {
    let mut cluster = Cluster::new("records");
    let most = 32 << 10;
    for id in 1..=3 {
        let file = cluster.dir.join(format!("{id}.toml"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("record = {{ max = \"32KiB\" }}\n{text}")).unwrap();
        cluster.start(id);
    }
    cluster.order(cluster.leader(), &Request::Noop { on: true }).unwrap();
    let starts = |id: usize| {
        let text = std::fs::read_to_string(cluster.dir.join(format!("{id}/starts"))).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let end = Instant::now() + Duration::from_secs(120);
    while (1..=3).any(|id| starts(id).is_none_or(|starts| starts < 4)) {
        assert!(Instant::now() < end, "no new records: {}", cluster.log(1));
        std::thread::sleep(Duration::from_millis(100));
    }
    // It has lost nothing by it, and nobody noticed.
    let leader = cluster.leader();
    assert!(cluster.state(leader).unwrap().noop);
    cluster.order(leader, &Request::Noop { on: false }).unwrap();
    assert!((1..=3).all(|id| cluster.log(id).matches("ha-controller starts").count() == 1));
    (1..=3).for_each(|id| cluster.kill(id));

    let mut decisions = 0;
    for id in 1..=3 {
        let mut bytes = 0;
        for entry in std::fs::read_dir(cluster.dir.join(format!("{id}/records"))).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let record = std::fs::read(&path).unwrap();
            bytes += record.len();
            let replayed = controller::record::replay(record.as_slice(), |_| {});
            let replayed = replayed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            println!("{replayed}");
            assert_eq!(replayed.difference, None, "{}", path.display());
            decisions += replayed.decisions;
            let key = [u8::try_from(id).unwrap(); 32];
            for secret in [TOKEN.as_bytes(), &key] {
                assert!(!record.windows(secret.len()).any(|window| window == secret));
            }
        }
        assert!((1..=most).contains(&bytes), "{bytes} bytes of records");
    }
    assert!(decisions > 0, "the records hold no decisions");
}

fn uuid(text: &str) -> Uuid {
    Uuid::parse_str(text).unwrap()
}

/// As a sentinel asks: signed by the node's key, and answered by the controller's.
fn renew(cluster: &Cluster, id: usize) -> Option<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let node = NodeId(uuid("0b0c7f6e-58a1-4f0e-8a53-2f1f4d1e0001"));
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let renewal = Message::Renew {
        boot: BootId(Uuid::from_u128(7)),
        seq: u64::try_from(clock.as_nanos()).unwrap(),
        n: 0,
        challenge: 1,
        watchdog: WatchdogState::Absent,
        times: Profile::Balanced.times(),
        uptime: Duration::from_secs(100),
        piece: 0,
    };
    let key = KeyPair::from_seed([9; 32]);
    let sealed = sign::seal(uuid(CLUSTER), Signer::Node(node), &key, &renewal).unwrap();
    socket.send_to(&sealed, ("127.0.0.1", cluster.lease[id - 1])).unwrap();
    let mut buffer = [0; sign::LONGEST];
    let length = socket.recv(&mut buffer).ok()?;
    let number = u8::try_from(id).unwrap();
    let public = KeyPair::from_seed([number; 32]).public();
    let (signer, answer) = sign::open(uuid(CLUSTER), &|_| Some(public), &buffer[..length])?;
    assert_eq!(signer, Signer::Controller(ControllerId(id as u64)));
    matches!(answer, Message::Ack { .. }).then_some(())
}

/// As a witness asks, sealed with the cluster's key; what is sealed for another port gets no answer.
fn ping(cluster: &Cluster, id: usize) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let text = std::fs::read_to_string(cluster.dir.join("gossip.key")).unwrap();
    let keys = std::sync::Arc::new(Keyring::parse(&text).unwrap());
    for (port, nonce) in [("gossip", 1_u64), ("ping", 2)] {
        let envelope = Envelope::new(keys.clone(), uuid(CLUSTER), "management", port);
        let mut sealed = Vec::new();
        envelope.seal([nonce as u8; NONCE], &Probe::Ping { nonce }.to_bytes(), &mut sealed);
        socket.send_to(&sealed, ("127.0.0.1", cluster.lease[id - 1])).unwrap();
    }
    let mut buffer = [0; 200];
    let Ok(length) = socket.recv(&mut buffer) else { return false };
    let envelope = Envelope::new(keys, uuid(CLUSTER), "management", "ping");
    let pong = envelope.open(&mut buffer[..length]).ok().and_then(Probe::parse);
    let expected = controller::detect::member_id(uuid(CLUSTER), ControllerId(id as u64));
    matches!(pong, Some(Probe::Pong { nonce: 2, id, .. }) if id == expected)
}

fn damage(raft: &Path) {
    let log = std::fs::read_dir(raft)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("log-"))
        .unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes).unwrap();
}
