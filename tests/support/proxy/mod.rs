//! Nodes that carry questions to BMCs: real agents, one that lies, and two networks that only an agent joins.

pub(crate) mod apart;
pub(crate) mod liar;

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use fencing::bmc::proxy::{Caller, Proxy, Ways};
use fencing::sign::KeyPair;
use fencing::{ControllerId, NodeId};
use uuid::Uuid;

pub(crate) const CLUSTER: Uuid = Uuid::from_u128(0x77);

/// The only controller.
pub(crate) fn key() -> KeyPair {
    KeyPair::from_seed([1; 32])
}

/// The controller, with these nodes up.
pub(crate) fn ways(up: &[&Proxy]) -> Ways {
    let caller = Caller { cluster: CLUSTER, me: ControllerId(1), key: key() };
    Ways { caller: Arc::new(caller), usable: up.iter().map(|proxy| proxy.node).collect() }
}

/// A running `ha-node-agent`, killed when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) proxy: Proxy,
    dir: PathBuf,
}

impl Agent {
    /// One that listens at `ip` and carries to exactly this address.
    pub(crate) fn start(number: u8, ip: IpAddr, bmc: SocketAddr) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let unique = NEXT.fetch_add(1, Ordering::SeqCst);
        let dir = format!("holdfast-proxy-{}-{unique}", std::process::id());
        let dir = std::env::temp_dir().join(dir);
        fs::create_dir_all(dir.join("domains")).expect("a directory");
        let node = NodeId(Uuid::from_u128(0x100 + u128::from(number)));
        let address = TcpListener::bind((ip, 0)).and_then(|free| free.local_addr()).expect("free");
        let config = config(&dir, node, address, bmc);
        let child = Command::new(program())
            .arg("--config")
            .arg(config)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stderr(fs::File::create(dir.join("log")).expect("a log"))
            .spawn()
            .expect("it starts");
        let proxy = Proxy { node, name: format!("node-{number}"), address };
        let agent = Self { child, proxy, dir };
        agent.wait_until_it_listens();
        agent
    }

    /// Ends it as a power failure would.
    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn wait_until_it_listens(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        let log = || fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        while !log().contains("questions to BMCs are carried") {
            assert!(Instant::now() < until, "it does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Beside the test's own program, as cargo puts it.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let debug = test.parent().and_then(Path::parent).expect("target/debug/deps");
    let program = debug.join("ha-node-agent");
    assert!(
        program.is_file(),
        "{} is not built: cargo build --workspace --bin ha-node-agent",
        program.display()
    );
    program
}

fn config(dir: &Path, node: NodeId, listen: SocketAddr, bmc: SocketAddr) -> PathBuf {
    let secret = |file: &str, text: &str| {
        fs::write(dir.join(file), text).expect("written");
        fs::set_permissions(dir.join(file), fs::Permissions::from_mode(0o600)).expect("set");
    };
    secret("gossip.key", &format!("1 01{}\n", "07".repeat(31)));
    secret("node.key", &"33".repeat(32));
    secret("boot", &Uuid::from_u128(5).to_string());
    secret("nodes.keys", "");
    let free = || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.local_addr().expect("bound")
    };
    let (gossip, sentinel, controller) = (free(), free(), free());
    let (at, key) = (dir.display(), key().public());
    let text = format!(
        "cluster = \"{CLUSTER}\"\nname = \"node\"\nid = \"{}\"\nboot_id_file = \"{at}/boot\"\n\
         run_dir = \"{at}/run\"\nstate_dir = \"{at}/state\"\ngossip_key_file = \"{at}/gossip.key\"\n\
         key_file = \"{at}/node.key\"\nkeys_file = \"{at}/nodes.keys\"\nsentinel = false\nrecord = \"0\"\n\
         [[network]]\nname = \"m\"\ngossip_listen = \"{gossip}\"\nsentinel_listen = \"{sentinel}\"\n\
         [[controller]]\nid = 1\nkey = \"{key}\"\ngossip = {{ m = \"{controller}\" }}\n\
         lease = {{ m = \"{controller}\" }}\n\
         [domains]\ndirectory = \"{at}/domains\"\n\
         [proxy]\nlisten = \"{listen}\"\nallow = [\"{}\"]\nports = [{}]\n",
        node.0,
        bmc.ip(),
        bmc.port()
    );
    let file = dir.join("node.toml");
    fs::write(&file, text).expect("written");
    file
}
