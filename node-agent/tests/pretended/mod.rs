//! One pretended node and its one controller, a socket of the test: what the programs need to start.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gossip::config::Config;
use gossip::group::Group;
use gossip::identity::Member;
use gossip::seal::{Envelope, Keyring};
use node_agent::program::EXAMPLE;
use uuid::Uuid;

pub(crate) const NODE: Uuid = Uuid::from_u128(0x21);
const CONTROLLER: Uuid = Uuid::from_u128(0x1);
pub(crate) const CLUSTER: Uuid = Uuid::from_u128(0x77);

/// A process that does not outlive its test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn start(program: &str, config: &Path) -> Process {
    let mut command = Command::new(program);
    command.arg("--config").arg(config).env("RUST_LOG", "warn").stdin(Stdio::null());
    Process(command.spawn().expect("it starts"))
}

fn gossip_key() -> String {
    format!("1 01{}\n", "07".repeat(31))
}

/// Writes all files of a node whose one controller gossips at `controller`.
pub(crate) fn node(name: &str, controller: &UdpSocket) -> PathBuf {
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

pub(crate) fn controller() -> UdpSocket {
    let socket = UdpSocket::bind("127.7.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    socket
}

/// The controller's side of gossip: what its datagrams are sealed with, and a group of two in which nobody is known yet.
pub(crate) fn gossip(controller: &UdpSocket) -> (Envelope, Group) {
    let keyring = Keyring::parse(&gossip_key()).expect("a key");
    let envelope = Envelope::new(Arc::new(keyring), CLUSTER, "m", "gossip");
    let address = controller.local_addr().expect("bound");
    let me = Member {
        id: CONTROLLER,
        generation: 1,
        boot: CONTROLLER,
        addr: address,
        ping: address,
        controller: true,
    };
    let mut group = Group::new(Config::lan(2), me, 3);
    group.join(Duration::ZERO, &[], &mut Vec::new());
    (envelope, group)
}
