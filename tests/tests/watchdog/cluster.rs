//! Three real controllers on loopback, and the files of everybody. They end when it is dropped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fencing::lease::LeaseTimes;
use fencing::sign::{KeyPair, Signer};
use fencing::{ControllerId, NodeId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ledger::Ledger;
use super::wire::{BMC, GOSSIP, LEASE, Wire};
use super::{bmc, nova};

pub(crate) const CONTROLLERS: [u8; 3] = [1, 2, 3];
/// Last byte of the first node's addresses.
pub(crate) const FIRST_NODE: u8 = 11;
const API: u16 = 8440;
const PEER: u16 = 8441;
const TOKEN: &str = "correct-horse-battery-staple";
/// Nothing is fenced because of a verdict: it is the nodes that are on trial here.
const MATRIX: &str = "networks = [\"management\"]\n[[row]]\nname = \"all\"\nsettle = \"10s\"\nactions = [\"notify\"]\n\
     reason = \"a test\"\n";

/// What is configured, by the numbers of the nodes.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    nodes: u8,
    /// Nodes with a BMC.
    pub(crate) bmcs: Vec<u8>,
    /// Nodes without a watchdog.
    pub(crate) no_watchdog: Vec<u8>,
    /// Where Keystone is; then a watchdog that no drill has tried is no evidence, as by default.
    pub(crate) nova: Option<String>,
}

impl Plan {
    /// So many nodes with a watchdog each, whose word counts untested; no BMC and no Nova.
    pub(crate) fn plain(nodes: u8) -> Self {
        Self { nodes, bmcs: Vec::new(), no_watchdog: Vec::new(), nova: None }
    }

    /// How many nodes.
    pub(crate) fn nodes(&self) -> u8 {
        self.nodes
    }
}

/// The cluster.
pub(crate) struct Cluster {
    pub(crate) dir: PathBuf,
    pub(crate) wire: Wire,
    program: PathBuf,
    times: LeaseTimes,
    plan: Plan,
    running: BTreeMap<u8, Child>,
}

/// A node's number, from 1.
pub(crate) fn name(number: u8) -> String {
    format!("node-{number}")
}

/// Its id.
pub(crate) fn id(number: u8) -> NodeId {
    NodeId(Uuid::from_u128(0x0b0c_7f6e_58a1_4f0e_8a53_2f1f_4d1e_0000 + u128::from(number)))
}

/// Its addresses' last byte.
pub(crate) fn host(number: u8) -> u8 {
    FIRST_NODE + number - 1
}

fn cluster_id() -> Uuid {
    Uuid::from_u128(0x6f1c_1f0e_4b5e_4f0a_9a57_6b1d_3f1c_2a01)
}

fn seed(host: u8) -> [u8; 32] {
    [host; 32]
}

/// A key that several have; one of equal bytes is refused.
fn shared(first: u8) -> [u8; 32] {
    std::array::from_fn(|index| first + u8::try_from(index).unwrap_or(0))
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn public(host: u8) -> String {
    KeyPair::from_seed(seed(host)).public().to_string()
}

impl Cluster {
    /// Its files, and the wire. Nothing runs yet.
    pub(crate) fn new(dir: &Path, program: &Path, plan: Plan, times: LeaseTimes) -> Self {
        let nodes = plan.nodes;
        let public = |host| KeyPair::from_seed(seed(host)).public();
        let controllers = CONTROLLERS
            .map(|host| (Signer::Controller(ControllerId(u64::from(host))), public(host)));
        let of_nodes = (1..=nodes).map(|number| (Signer::Node(id(number)), public(host(number))));
        let keys = controllers.into_iter().chain(of_nodes).collect();
        let hosts: Vec<u8> = CONTROLLERS.into_iter().chain((1..=nodes).map(host)).collect();
        let wire = Wire::new(&hosts, Ledger::new(cluster_id(), keys));
        let cluster = Self {
            dir: dir.to_owned(),
            wire,
            program: program.to_owned(),
            times,
            plan,
            running: BTreeMap::new(),
        };
        cluster.write();
        cluster
    }

    /// Starts a controller. One that ran before finds what it knew.
    pub(crate) fn start(&mut self, id: u8) {
        let log = OpenOptions::new().append(true).create(true).open(self.log(id)).expect("a file");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&self.program).arg("--config");
        command.arg(self.dir.join(format!("{id}.toml"))).env("RUST_LOG", "info");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running.insert(id, command.spawn().expect("setpriv runs"));
    }

    /// SIGKILL to all controllers.
    pub(crate) fn kill_all(&mut self) {
        for (_, mut child) in std::mem::take(&mut self.running) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What the leader knows. `None` while there is none.
    pub(crate) fn state(&self) -> Option<Value> {
        let answers = CONTROLLERS.into_iter().filter_map(|id| self.ask(id, "GET /v1/state", ""));
        answers.into_iter().find(|(status, _)| *status == 200).map(|(_, state)| state)
    }

    /// An order to the leader, and what it answered.
    pub(crate) fn order(&self, request: &Value) -> Result<Value, Value> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            for id in CONTROLLERS {
                match self.ask(id, "POST /v1/do", &request.to_string()) {
                    Some((200, done)) => return Ok(done),
                    Some((_, failure)) if failure["failure"] != "not_leader" => {
                        return Err(failure);
                    }
                    Some(_) | None => {}
                }
            }
            assert!(Instant::now() < until, "no leader for {request}: {}", self.last_words());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// `hactl WORDS`, started.
    pub(crate) fn hactl(&self, program: &Path, words: &[&str]) -> Child {
        let urls = CONTROLLERS.map(|id| format!("http://{}", self.wire.own(id, API)));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).args(words);
        command.env("HOLDFAST_CONTROLLERS", urls.join(","));
        command.env("HOLDFAST_TOKEN_FILE", self.dir.join("token")).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("setpriv runs")
    }

    /// Takes the identity that a node's BMC gives now as the right one.
    pub(crate) fn enroll(&self, number: u8) -> Result<Value, Value> {
        self.order(&json!({ "do": "bmc_enroll", "node": name(number), "person": "test" }))
    }

    /// Orders a fence by hand.
    pub(crate) fn fence(&self, number: u8) -> Result<Value, Value> {
        self.order(&json!({
            "do": "fence", "node": name(number), "reason": "a test", "person": "test"
        }))
    }

    /// Disarms a node.
    pub(crate) fn disarm(&self, number: u8) -> Result<Value, Value> {
        self.order(&json!({
            "do": "disarm", "scope": { "node": name(number) }, "reason": "a test", "person": "test"
        }))
    }

    /// Wants a node armed again.
    pub(crate) fn arm(&self, number: u8) -> Result<Value, Value> {
        self.order(&json!({ "do": "arm", "scope": { "node": name(number) }, "person": "test" }))
    }

    /// The ends of the controllers' logs.
    pub(crate) fn last_words(&self) -> String {
        let mut text = String::new();
        for id in CONTROLLERS {
            let log = std::fs::read_to_string(self.log(id)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let _ = writeln!(text, "--- controller {id}");
            for line in lines.iter().skip(lines.len().saturating_sub(20)) {
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }

    /// The files of a node, as `(path below /, text)`.
    pub(crate) fn node_files(&self, number: u8) -> Vec<(&'static str, String)> {
        let keys: String = (1..=self.plan.nodes)
            .map(|other| format!("{} {}\n", id(other).0, public(host(other))))
            .collect();
        let told = self.wire.told(host(number), LEASE);
        let gossip = self.wire.told(host(number), GOSSIP);
        let watchdog = "[watchdog]\npath = \"/dev/watchdog0\"\nallow_e2 = true\n";
        let watchdog = if self.plan.no_watchdog.contains(&number) { "" } else { watchdog };
        let mut config = format!(
            "cluster = \"{}\"\nname = \"{}\"\nid = \"{}\"\nrun_dir = \"/run/holdfast\"\n\
             state_dir = \"/var/lib/holdfast\"\ngossip_key_file = \"/etc/holdfast/gossip.key\"\n\
             key_file = \"/etc/holdfast/node.key\"\nkeys_file = \"/etc/holdfast/nodes.keys\"\n\
             [[network]]\nname = \"management\"\ngossip_listen = \"10.0.2.15:{GOSSIP}\"\n\
             gossip_advertise = \"{gossip}\"\nsentinel_listen = \"10.0.2.15:{LEASE}\"\nsentinel_advertise = \"{told}\"\n\
             {watchdog}[domains]\ndirectory = \"/run/domains\"\n",
            cluster_id(),
            name(number),
            id(number).0,
        );
        for controller in CONTROLLERS {
            let _ = write!(
                config,
                "[[controller]]\nid = {controller}\nkey = \"{}\"\n\
                 gossip = {{ management = \"{}\" }}\nlease = {{ management = \"{}\" }}\n",
                public(controller),
                self.wire.told(controller, GOSSIP),
                self.wire.told(controller, LEASE),
            );
        }
        config += &self.lease();
        vec![
            ("etc/holdfast/node.toml", config),
            ("etc/holdfast/node.key", hex(seed(host(number)))),
            ("etc/holdfast/gossip.key", gossip_key()),
            ("etc/holdfast/nodes.keys", keys),
        ]
    }

    fn log(&self, id: u8) -> PathBuf {
        self.dir.join(format!("controller-{id}.log"))
    }

    fn write(&self) {
        let secret = |name: &str, text: &str| {
            let path = self.dir.join(name);
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&path).expect("a file").write_all(text.as_bytes()).expect("written");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(path, mode).expect("set");
        };
        secret("peer.key", &hex(shared(7)));
        secret("gossip.key", &gossip_key());
        secret("token", TOKEN);
        secret("bmc.password", bmc::PASSWORD);
        secret("nova.password", nova::PASSWORD);
        secret("matrix.toml", MATRIX);
        let inventory: String =
            (1..=self.plan.nodes).map(|number| self.enrolment(number)).collect();
        secret("inventory.toml", &inventory);
        let all: String = CONTROLLERS.map(|host| self.section(host)).concat();
        for host in CONTROLLERS {
            secret(&format!("{host}.key"), &hex(seed(host)));
            let text = format!(
                "cluster = \"{}\"\nid = {host}\nlab = true\nstate_dir = \"state-{host}\"\nrequire_watchdog_test = {}\n\
                 key_file = \"{host}.key\"\npeer_key_file = \"peer.key\"\ngossip_key_file = \"gossip.key\"\n\
                 inventory = \"inventory.toml\"\nmatrix = \"matrix.toml\"\n[[network]]\nname = \"management\"\n\
                 gossip_listen = \"{}\"\ngossip_advertise = \"{}\"\nlease_listen = \"{}\"\nlease_advertise = \"{}\"\n{all}\
                 [api]\nlisten = \"{}\"\ntoken_file = \"token\"\n{}{}[waits]\ngrace = \"3s\"\n{}",
                cluster_id(),
                self.plan.nova.is_some(),
                self.wire.own(host, GOSSIP),
                self.wire.told(host, GOSSIP),
                self.wire.own(host, LEASE),
                self.wire.told(host, LEASE),
                self.wire.own(host, API),
                self.nova(),
                self.lease(),
                // A node that was drilled is to be back soon.
                self.plan.nova.as_ref().map_or("", |_| "effect = \"5s\"\nunknown = \"20s\"\n"),
            );
            secret(&format!("{host}.toml"), &text);
        }
    }

    fn lease(&self) -> String {
        let times = self.times;
        format!(
            "[lease]\nrenew_every = \"{}s\"\nlease = \"{}s\"\nvouch = \"{}s\"\nwatchdog = \"{}s\"\n\
             quiet = \"{}s\"\nmargin = \"{}s\"\n",
            times.renew_every.as_secs(),
            times.lease.as_secs(),
            times.vouch.as_secs(),
            times.watchdog.as_secs(),
            times.quiet.as_secs(),
            times.margin.as_secs(),
        )
    }

    fn section(&self, host: u8) -> String {
        format!(
            "[[controller]]\nid = {host}\nkey = \"{}\"\nurl = \"http://{}\"\npeer = \"{}\"\n\
             gossip = [\"{}\"]\nlease = [\"{}\"]\n",
            public(host),
            self.wire.own(host, API),
            self.wire.own(host, PEER),
            self.wire.told(host, GOSSIP),
            self.wire.told(host, LEASE),
        )
    }

    fn enrolment(&self, number: u8) -> String {
        let host = host(number);
        format!(
            "[[node]]\nname = \"{0}\"\nid = \"{1}\"\nhost = \"{0}\"\ndomain = \"rack-{number}\"\nkey = \"{2}\"\n\
             sentinel = [\"{3}\"]\ngossip = [\"{4}\"]\n",
            name(number),
            id(number).0,
            public(host),
            self.wire.told(host, LEASE),
            self.wire.told(host, GOSSIP),
        ) + &if self.plan.bmcs.contains(&number) { self.bmc(host) } else { String::new() }
    }

    fn bmc(&self, host: u8) -> String {
        format!(
            "[node.bmc]\naddress = \"{}\"\nuser = \"{}\"\npassword_file = \"{}\"\nsuite = \"3\"\n",
            self.wire.own(host, BMC[0]),
            bmc::USER,
            self.dir.join("bmc.password").display(),
        )
    }

    fn nova(&self) -> String {
        let Some(url) = &self.plan.nova else { return String::new() };
        format!(
            "[nova]\nauth_url = \"{url}\"\nuser = \"{}\"\npassword_file = \"{}\"\nproject = \"admin\"\n\
             region = \"RegionOne\"\n",
            nova::USER,
            self.dir.join("nova.password").display(),
        )
    }

    fn ask(&self, id: u8, request: &str, body: &str) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(self.wire.own(id, API)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }
}

fn gossip_key() -> String {
    format!("1 {}\n", hex(shared(70)))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill_all();
        self.wire.end();
    }
}
