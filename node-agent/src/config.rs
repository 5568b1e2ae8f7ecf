//! The configuration of both programs: one TOML file. Past this module no value is unchecked.

mod checks;
mod file;
mod keys;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fencing::lease::LeaseTimes;
use fencing::sign::PublicKey;
use fencing::watchdog::Kind;
use fencing::{BootId, ControllerId, NodeId};
use gossip::ceiling::Ceiling;
use uuid::Uuid;

use crate::checks::Configured;
use crate::preflight::Preflight;
use crate::proxy::subnet::Subnet;

pub use keys::NodeKeys;

/// Where the kernel says which boot this is. A configuration that names another file is a lab's, and then this machine
/// is never reset.
pub const KERNEL_BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Most networks of a cluster.
pub const MOST_NETWORKS: usize = 8;

/// The configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cluster; a packet of another one is dropped.
    pub cluster: Uuid,
    /// The node's name for people, an RFC 1123 label or name.
    pub name: String,
    /// The node.
    pub node: NodeId,
    /// p, L, C, W, K and M: a profile's, or those of `[lease]`.
    pub times: LeaseTimes,
    /// Where the boot id is read.
    pub boot_id_file: PathBuf,
    /// Memory-backed, kept over a restart of the programs: n, the gate, the sentinel's socket.
    pub run_dir: PathBuf,
    /// On disk, kept over reboots: highest epoch, the boot of the last sentinel.
    pub state_dir: PathBuf,
    /// The key that all members of the cluster share.
    pub gossip_key_file: PathBuf,
    /// This node's private key.
    pub key_file: PathBuf,
    /// Public keys of all nodes, one `UUID KEY` a line.
    pub keys_file: PathBuf,
    /// 1 to 8 networks; their order is the order of the reachability letters.
    pub networks: Vec<Network>,
    /// The controllers.
    pub controllers: Vec<Controller>,
    /// The device, if the node is to be armed.
    pub watchdog: Option<Watchdog>,
    /// Where the list of running domains comes from.
    pub domains: Domains,
    /// Which BMCs the controllers may ask by way of this node, if any.
    pub proxy: Option<Proxy>,
    /// Where it is looked what would start guests by itself; nowhere in a lab.
    pub preflight: Option<Preflight>,
    /// Whether a sentinel runs on this node. Where none does the agent answers witness pings, and the gate stays shut.
    pub sentinel: bool,
    /// What gossip may send in a second, on each network by itself.
    pub ceiling: Option<Ceiling>,
    /// What this node says of itself, [`fencing::checks::MOST_CHECKS`] at most.
    pub checks: Vec<Configured>,
    /// Bytes that all records of the agent's events may have; 0: nothing is recorded.
    pub record: u64,
}

/// One network of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Where the agent gossips.
    pub gossip_listen: SocketAddr,
    /// What others are told.
    pub gossip_advertise: SocketAddr,
    /// Where the sentinel listens.
    pub sentinel_listen: SocketAddr,
    /// What others are told.
    pub sentinel_advertise: SocketAddr,
}

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its id.
    pub id: ControllerId,
    /// Its public key, pinned here: an ack of anybody else keeps nobody alive.
    pub key: PublicKey,
    /// Where it gossips, by network.
    pub gossip: Vec<SocketAddr>,
    /// Where it takes renewals, by network.
    pub lease: Vec<SocketAddr>,
}

/// What this node carries for controllers that do not reach the BMC network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where the agent takes orders of controllers.
    pub listen: SocketAddr,
    /// Networks of BMCs; nothing else is ever spoken to.
    pub allow: Vec<Subnet>,
    /// Ports of BMCs: 623 and 443, unless others are named.
    pub ports: Vec<u16>,
}

/// The watchdog device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// `/dev/watchdog0`, or a stand-in's FIFO or socket.
    pub path: PathBuf,
    /// What is behind the path.
    pub kind: Kind,
    /// W. Must be what the device can hold.
    pub timeout: Duration,
    /// Lets a class carry E2 that would not: softdog, a virtual machine's timer, a stand-in.
    pub allow_e2: bool,
}

/// Where the list of running domains comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domains {
    /// A directory with a file per domain, named by its UUID: a lab's.
    Directory(PathBuf),
    /// libvirt.
    Virsh(Virsh),
}

/// How libvirt is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Virsh {
    /// The program.
    pub program: PathBuf,
    /// The driver that is asked, as Nova's `connection_uri` has it. Left to itself libvirt takes the first driver that it
    /// finds, or what the environment names: another one answers with a list on which none of Nova's domains stands.
    pub uri: String,
}

impl Default for Virsh {
    fn default() -> Self {
        Self { program: PathBuf::from("virsh"), uri: "qemu:///system".to_owned() }
    }
}

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read. The program does not start.
    #[error("cannot read {}: check the path and who may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something in a file is not as it must be. The program does not start.
    #[error("{}:{line}: {what}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong and what to write.
        what: String,
    },
    /// Others than its owner can read a secret. The program does not start.
    #[error("{} has mode {mode:o}: others can read this secret; `chmod 600` it", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and remedy; the program does not start.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a file that is called `path` in errors.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and remedy.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        file::parse(text).map_err(|(line, what)| ConfigError::Invalid {
            path: path.to_owned(),
            line,
            what,
        })
    }

    /// The boot of this node.
    ///
    /// # Errors
    /// [`ConfigError`]; the program does not start.
    pub fn boot(&self) -> Result<BootId, ConfigError> {
        let path = &self.boot_id_file;
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        Uuid::try_parse(text.trim()).map(BootId).map_err(|_| ConfigError::Invalid {
            path: path.clone(),
            line: 1,
            what: "no boot id: it must hold one UUID".to_owned(),
        })
    }

    /// Whether the boot id is the kernel's, so that a reset may be one of this machine.
    pub fn is_real_machine(&self) -> bool {
        self.boot_id_file == Path::new(KERNEL_BOOT_ID)
    }

    /// The file that holds the boot id, as the kernel writes it, while guests may start.
    pub fn gate_file(&self) -> PathBuf {
        self.run_dir.join("gate")
    }

    /// What the sentinel tells the agent, as JSON.
    pub fn sentinel_file(&self) -> PathBuf {
        self.run_dir.join("sentinel.json")
    }

    /// Where the sentinel takes fence events.
    pub fn sentinel_socket(&self) -> PathBuf {
        self.run_dir.join("sentinel.sock")
    }

    /// Where the agent takes what the sentinel has to say before it resets the node.
    pub fn agent_socket(&self) -> PathBuf {
        self.run_dir.join("agent.sock")
    }

    /// Where the agent takes pushes of health checks.
    pub fn checks_socket(&self) -> PathBuf {
        self.run_dir.join("checks.sock")
    }

    /// Where the agent's events are recorded, for replay.
    pub fn records_dir(&self) -> PathBuf {
        self.state_dir.join("records")
    }

    /// What the sentinel said last, on a disk that outlives the reset.
    pub fn last_words_file(&self) -> PathBuf {
        self.state_dir.join("last-words")
    }
}

impl fmt::Display for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domains::Directory(path) => write!(f, "directory {}", path.display()),
            Domains::Virsh(virsh) => write!(f, "{} of {}", virsh.uri, virsh.program.display()),
        }
    }
}

#[cfg(test)]
mod tests;
