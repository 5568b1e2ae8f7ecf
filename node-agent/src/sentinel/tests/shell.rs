//! The real shell on loopback: sockets, files, stand-in watchdogs, and controllers that are a thread. Short times.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use fencing::IncidentId;
use fencing::event::{FenceEvent, Order};
use fencing::sign;
use gossip::seal::{Envelope, Keyring, Secret};
use gossip::witness::Probe;

use super::super::SentinelError;
use super::super::shell::Shell;
use super::super::store::Report;
use super::*;
use crate::config::Config;

const GOSSIP_KEY: [u8; 32] = {
    let mut key = [7; 32];
    key[0] = 1;
    key
};

/// Three controllers: they tell their log to whoever asks, and ack while they may.
struct Controllers {
    sockets: Vec<UdpSocket>,
    log: Arc<Mutex<Vec<Change>>>,
    acking: Arc<AtomicBool>,
    renewals: Arc<Mutex<Vec<(NodeId, Message)>>>,
}

impl Controllers {
    fn start(test: u8) -> Self {
        let bind = |id: u8| UdpSocket::bind((format!("127.8.{test}.{id}"), 0)).expect("a port");
        let controllers = Self {
            sockets: (1..=3).map(bind).collect(),
            log: Arc::default(),
            acking: Arc::new(AtomicBool::new(true)),
            renewals: Arc::default(),
        };
        for (id, socket) in (1..).zip(&controllers.sockets) {
            let socket = socket.try_clone().expect("cloned");
            let (log, acking) = (Arc::clone(&controllers.log), Arc::clone(&controllers.acking));
            let renewals = Arc::clone(&controllers.renewals);
            // Ends with the test's process.
            std::thread::spawn(move || serve(id, &socket, &log, &acking, &renewals));
        }
        controllers
    }

    fn commit(&self, changes: &[Change]) {
        self.log.lock().expect("unpoisoned").extend_from_slice(changes);
    }

    fn set(&self) -> Change {
        let address = |socket: &UdpSocket| vec![socket.local_addr().expect("bound")];
        let set = (1..).map(ControllerId).zip(self.sockets.iter().map(address));
        Change::Controllers { set: set.collect() }
    }

    /// Challenge of the newest renewal of a node.
    fn challenge(&self, of: NodeId) -> Option<u64> {
        let renewals = self.renewals.lock().expect("unpoisoned");
        renewals.iter().rev().find_map(|(node, message)| match message {
            Message::Renew { challenge, .. } if *node == of => Some(*challenge),
            _ => None,
        })
    }

    fn open_devices(&self) -> BTreeSet<NodeId> {
        let renewals = self.renewals.lock().expect("unpoisoned");
        let open = renewals.iter().filter_map(|(node, message)| match message {
            Message::Renew { watchdog: WatchdogState::Open { .. }, .. } => Some(*node),
            _ => None,
        });
        open.collect()
    }
}

fn serve(
    id: u64,
    socket: &UdpSocket,
    log: &Mutex<Vec<Change>>,
    acking: &AtomicBool,
    renewals: &Mutex<Vec<(NodeId, Message)>>,
) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let keys = |signer| match signer {
            Signer::Node(node) => Some(node_key(node).public()),
            Signer::Controller(_) => None,
        };
        let Some((signer, message)) = sign::open(CLUSTER, &keys, &buffer[..length]) else {
            continue;
        };
        let (Signer::Node(node), Message::Renew { boot, seq, n, .. }) = (signer, &message) else {
            continue;
        };
        let (boot, seq, n) = (*boot, *seq, *n);
        renewals.lock().expect("unpoisoned").push((node, message));
        if !acking.load(Ordering::SeqCst) {
            continue;
        }
        let log = log.lock().expect("unpoisoned").clone();
        let committed = u64::try_from(log.len()).expect("short");
        let missing = log.into_iter().skip(usize::try_from(n).expect("short"));
        let changes: Vec<(u64, Change)> = (n + 1..).zip(missing).collect();
        let part = if changes.is_empty() {
            LogPart::Nothing
        } else {
            LogPart::Entries { after: n, upto: committed, changes }
        };
        let ack = Message::Ack { node, boot, seq, committed, log: part };
        let signer = Signer::Controller(ControllerId(id));
        let bytes = sign::seal(CLUSTER, signer, &key(id), &ack).expect("it fits");
        let _ = socket.send_to(&bytes, from);
    }
}

fn node_key(node: NodeId) -> KeyPair {
    KeyPair::from_seed([100 + u8::try_from(node.0.as_u128()).expect("small"); 32])
}

/// A sentinel in a thread, with its watchdog.
struct Running {
    dir: PathBuf,
    address: SocketAddr,
    node: NodeId,
    boot: BootId,
    config: Config,
    bytes: Arc<Mutex<Vec<(Instant, u8)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), SentinelError>>>,
}

impl Running {
    fn start(test: u8, number: u128, controllers: &Controllers) -> Self {
        let name = format!("holdfast-sentinel-{}-{test}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a directory");
        let (node, boot) = peer(number);
        let address = free_address(test, u8::try_from(number).expect("small"));
        fs::write(dir.join("boot"), boot.0.to_string()).expect("written");
        secret(&dir.join("gossip.key"), &format!("1 01{}\n", "07".repeat(31)));
        secret(&dir.join("node.key"), &format!("{:02x}", 100 + number).repeat(32));
        let line = |n: u128| format!("{} {}\n", peer(n).0, node_key(peer(n).0).public());
        fs::write(dir.join("nodes.keys"), line(2) + &line(3)).expect("written");
        let bytes = watchdog(&dir.join("watchdog"));
        let text = text(&dir, node, address, controllers);
        let config = Config::parse(&text, Path::new("test.toml")).expect("it loads");
        let mut running =
            Self { dir, address, node, boot, config, bytes, stop: Arc::default(), thread: None };
        running.run();
        running
    }

    fn run(&mut self) {
        self.stop = Arc::default();
        let (config, stop) = (self.config.clone(), Arc::clone(&self.stop));
        self.thread = Some(std::thread::spawn(move || {
            let mut shell = Shell::start(config)?;
            while !stop.load(Ordering::SeqCst) {
                shell.turn()?;
            }
            Ok(())
        }));
    }

    fn end(&mut self) -> Result<(), SentinelError> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().expect("it runs").join().expect("no panic")
    }

    fn armed(&self) -> Change {
        let times = self.config.times;
        Change::Armed { node: self.node, boot: self.boot, times, addresses: vec![self.address] }
    }

    fn fed_since(&self, since: Instant) -> bool {
        let bytes = self.bytes.lock().expect("unpoisoned");
        bytes.iter().any(|(at, byte)| *at > since && *byte == 0)
    }

    fn was_told(&self, wanted: u8) -> bool {
        self.bytes.lock().expect("unpoisoned").iter().any(|(_, byte)| *byte == wanted)
    }

    fn gate(&self) -> Option<String> {
        fs::read_to_string(self.dir.join("run/gate")).ok()
    }
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
}

/// A port that was free a moment ago.
fn free_address(test: u8, number: u8) -> SocketAddr {
    let socket = UdpSocket::bind((format!("127.8.{test}.{}", 20 + number), 0)).expect("a port");
    socket.local_addr().expect("bound")
}

/// A stand-in watchdog that writes down what it gets, and when.
fn watchdog(path: &Path) -> Arc<Mutex<Vec<(Instant, u8)>>> {
    use std::io::Read as _;
    let listener = UnixListener::bind(path).expect("a socket");
    let bytes: Arc<Mutex<Vec<(Instant, u8)>>> = Arc::default();
    let written = Arc::clone(&bytes);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut byte = [0];
            while let Ok(1) = stream.read(&mut byte) {
                written.lock().expect("unpoisoned").push((Instant::now(), byte[0]));
            }
        }
    });
    bytes
}

fn text(dir: &Path, node: NodeId, address: SocketAddr, controllers: &Controllers) -> String {
    let dir = dir.display();
    let mut text = format!(
        "cluster = \"{CLUSTER}\"\nname = \"test\"\nid = \"{node}\"\nboot_id_file = \"{dir}/boot\"\n\
         run_dir = \"{dir}/run\"\nstate_dir = \"{dir}/state\"\ngossip_key_file = \"{dir}/gossip.key\"\n\
         key_file = \"{dir}/node.key\"\nkeys_file = \"{dir}/nodes.keys\"\n\
         [lease]\nrenew_every = \"100ms\"\nlease = \"2s\"\nvouch = \"1500ms\"\nwatchdog = \"1s\"\n\
         quiet = \"1s\"\nmargin = \"1s\"\n\
         [[network]]\nname = \"m\"\ngossip_listen = \"127.0.0.1:1\"\nsentinel_listen = \"{address}\"\n\
         [watchdog]\npath = \"{dir}/watchdog\"\nkind = \"stand-in\"\nallow_e2 = true\n"
    );
    for (id, socket) in (1_u64..).zip(&controllers.sockets) {
        let (public, lease) = (key(id).public(), socket.local_addr().expect("bound"));
        text += &format!(
            "[[controller]]\nid = {id}\nkey = \"{public}\"\ngossip = {{ m = \"127.0.0.1:1\" }}\n\
             lease = {{ m = \"{lease}\" }}\n"
        );
    }
    text
}

fn within(seconds: u64, what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < until, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_sentinels_keep_each_other_alive_without_controllers_and_alone_neither_lives() {
    let controllers = Controllers::start(1);
    controllers.commit(&[controllers.set()]);
    let mut first = Running::start(1, 2, &controllers);
    let mut second = Running::start(1, 3, &controllers);
    within(10, "both report an open device", || controllers.open_devices().len() == 2);
    controllers.commit(&[first.armed(), second.armed()]);
    within(10, "both gates open", || first.gate().is_some() && second.gate().is_some());
    assert_eq!(first.gate(), Some(format!("{}\n", first.boot.0)));

    let agent = UnixDatagram::bind(first.config.agent_socket()).expect("a socket");
    agent.set_nonblocking(true).expect("set");
    controllers.acking.store(false, Ordering::SeqCst);
    let silent = Instant::now();
    std::thread::sleep(Duration::from_millis(4500));
    assert!(silent.elapsed() > first.config.times.lease + first.config.times.watchdog);
    let now = Instant::now();
    within(2, "each is still fed, by its peer's vouch", || {
        first.fed_since(now) && second.fed_since(now)
    });
    assert!(!first.was_told(b'R') && !second.was_told(b'R'));

    second.end().expect("it was stopped, not reset");
    assert!(!second.was_told(b'V'), "a sentinel that ends does not disarm");
    within(10, "the other is reset", || first.was_told(b'R'));
    let error = first.end().expect_err("reset");
    assert!(
        matches!(error, SentinelError::Reset { reason: ResetReason::WatchdogSilent }),
        "{error}"
    );
    let report = fs::read(first.dir.join("run/sentinel.json")).expect("written");
    let report: Report = serde_json::from_slice(&report).expect("it parses");
    assert!(report.armed && report.gate_open && report.n == 3 && !report.standing, "{report:?}");
    assert_eq!(report.watchdog.as_deref(), Some("stand-in"));
    assert!(report.sent.iter().any(|sent| sent.packets > 0 && sent.bytes > 100 * sent.packets));
    // In this order, and before the reset: the agent has W to write it down.
    let (mut words, mut buffer) = (String::new(), [0; 1024]);
    while let Ok(length) = agent.recv(&mut buffer) {
        words += &String::from_utf8_lossy(&buffer[..length]);
    }
    let found = ["asking the peers", "stops feeding", "resets this node soon", "resets this node:"]
        .map(|sentence| words.find(sentence));
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{found:?} in {words}");
}

#[test]
fn a_fence_event_with_two_signatures_resets_and_with_one_does_not() {
    let controllers = Controllers::start(2);
    controllers.commit(&[controllers.set()]);
    let mut sentinel = Running::start(2, 2, &controllers);
    within(10, "it renews", || controllers.challenge(sentinel.node).is_some());
    within(10, "it listens", || sentinel.config.sentinel_socket().exists());
    let agent = UnixDatagram::unbound().expect("a socket");
    let send = |signers: &[u64], term: u64| {
        let order = Order {
            cluster: CLUSTER,
            incident: IncidentId(1),
            node: sentinel.node,
            boot: sentinel.boot,
            epoch: Epoch { term, index: 4 },
            challenge: controllers.challenge(sentinel.node).expect("it renews"),
        };
        let signatures =
            signers.iter().map(|&id| (ControllerId(id), order.sign(&key(id)))).collect();
        let bytes = postcard::to_stdvec(&FenceEvent { order, signatures }).expect("plain");
        agent.send_to(&bytes, sentinel.config.sentinel_socket()).expect("sent");
    };
    send(&[1], 9);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!sentinel.was_told(b'R'));
    send(&[3, 1], 7);
    within(5, "it is reset", || sentinel.was_told(b'R'));
    assert!(sentinel.end().is_err());
    assert_eq!(fs::read_to_string(sentinel.dir.join("state/fence-epoch")).expect("stored"), "7.4");
}

#[test]
fn it_answers_pings_and_nothing_that_does_not_open() {
    let controllers = Controllers::start(3);
    let mut sentinel = Running::start(3, 2, &controllers);
    within(10, "it renews", || controllers.challenge(sentinel.node).is_some());
    let ring = Arc::new(Keyring::single(1, Secret::new(&GOSSIP_KEY)));
    let ours = Envelope::new(Arc::clone(&ring), CLUSTER, "m", "ping");
    let other = Envelope::new(ring, CLUSTER, "storage", "ping");
    let socket = UdpSocket::bind("127.8.3.9:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    let ask = |envelope: &Envelope, nonce: u64| {
        let mut datagram = Vec::new();
        envelope.seal([9; 24], &Probe::Ping { nonce }.to_bytes(), &mut datagram);
        socket.send_to(&datagram, sentinel.address).expect("sent");
        let mut buffer = [0; 2048];
        let length = socket.recv(&mut buffer).ok()?;
        Probe::parse(ours.open(&mut buffer[..length]).expect("it opens"))
    };
    let (id, boot) = (sentinel.node.0, sentinel.boot.0);
    assert_eq!(ask(&other, 4), None);
    assert_eq!(ask(&ours, 5), Some(Probe::Pong { nonce: 5, id, boot }));
    sentinel.end().expect("it was stopped");
}

#[test]
fn a_restarted_sentinel_goes_on_with_its_n_and_one_whose_n_is_gone_says_so() {
    let controllers = Controllers::start(4);
    controllers.commit(&[controllers.set()]);
    let mut sentinel = Running::start(4, 2, &controllers);
    within(10, "its device is open", || !controllers.open_devices().is_empty());
    controllers.commit(&[sentinel.armed()]);
    within(10, "its gate is open", || sentinel.gate().is_some());
    sentinel.end().expect("it was stopped");
    controllers.renewals.lock().expect("unpoisoned").clear();
    let lowest = || {
        let renewals = controllers.renewals.lock().expect("unpoisoned");
        let n = renewals.iter().filter_map(|(_, message)| match message {
            Message::Renew { n, .. } => Some(*n),
            _ => None,
        });
        n.min()
    };
    sentinel.run();
    within(10, "it renews again", || lowest().is_some());
    assert_eq!(lowest(), Some(2), "n never falls within one boot");
    sentinel.end().expect("it was stopped");
    fs::remove_file(sentinel.dir.join("run/sentinel.state")).expect("removed");
    fs::remove_file(sentinel.dir.join("run/sentinel.json")).expect("removed");
    sentinel.run();
    let report = || {
        let bytes = fs::read(sentinel.dir.join("run/sentinel.json")).ok()?;
        serde_json::from_slice::<Report>(&bytes).ok()
    };
    within(10, "it tells that n was lost", || report().is_some_and(|report| report.lost));
    sentinel.end().expect("it was stopped");
}
