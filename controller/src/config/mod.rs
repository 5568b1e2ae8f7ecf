//! The configuration of `ha-controller`: one TOML file and the files that it names. Past this module no value is
//! unchecked; every mistake is shown with file, line, column, the offending text and the remedy, all of them at once.

mod actual;
mod ceiling;
mod device;
mod file;
mod inventory;
mod kdump;
mod policy;
mod problem;
mod proxy;
mod record;
mod recovery;
mod secret;
mod table;
mod waits;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use action_matrix::Matrix;
use fencing::ControllerId;
use fencing::lease::LeaseTimes;
use fencing::sign::{KeyPair, PublicKey};
use gossip::ceiling::Ceiling;
use gossip::seal::Keyring;
use uuid::Uuid;

use crate::core::{Recovery, Waits};
use crate::nova::client;
use crate::policy::Policy;

pub use inventory::Inventory;
pub use problem::{Problem, Problems};
pub use secret::{PeerKey, Token};

/// Most networks of a cluster.
pub const MOST_NETWORKS: usize = 8;

/// The configuration, checked, with what is in the files that it names.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster; a packet of another one is dropped.
    pub cluster: Uuid,
    /// This controller, 1 to 5.
    pub id: ControllerId,
    /// Where the Raft log, the counter of starts and the journal live.
    pub state_dir: PathBuf,
    /// p, L, C, W, K and M: a profile's, or those of `[lease]`.
    pub times: LeaseTimes,
    /// This controller's private key.
    pub key: KeyPair,
    /// Seals what controllers say to each other.
    pub peer_key: PeerKey,
    /// The key that all members of the cluster share.
    pub gossip_keys: Arc<Keyring>,
    /// Where the inventory is, for SIGHUP.
    pub inventory_file: PathBuf,
    /// All nodes.
    pub inventory: Inventory,
    /// Where the matrix is, for SIGHUP; `None` for the shipped one.
    pub matrix_file: Option<PathBuf>,
    /// The matrix that holds until one is committed.
    pub matrix: Matrix,
    /// Warnings about the matrix, rendered.
    pub matrix_warnings: Vec<String>,
    /// 1 to 8 networks; their order is the order of the reachability letters.
    pub networks: Vec<Network>,
    /// All controllers, this one included: 1, 3 or 5.
    pub controllers: BTreeMap<ControllerId, Controller>,
    /// Where this controller takes the others' connections.
    pub peer_listen: SocketAddr,
    /// The HTTP API.
    pub api: Api,
    /// How to reach Nova; without it incidents end at `fenced`.
    pub nova: Option<client::Settings>,
    /// Where the policy is, for SIGHUP; `None` where every VM is evacuated.
    pub policy_file: Option<PathBuf>,
    /// How recoveries go.
    pub recovery: Recovery,
    /// Waits of the core.
    pub waits: Waits,
    /// Where crash kernels tell of their dumps; `None` where no power-off waits for one.
    pub kdump: Option<SocketAddr>,
    /// What gossip may send in a second, on each network by itself.
    pub ceiling: Option<Ceiling>,
    /// Bytes that all records of events may have; 0: none is written.
    pub record: u64,
    /// Whether shortened waits are permitted. Never in production.
    pub lab: bool,
    /// Whether a VM counts as moved only when its destination's agent sees it.
    pub confirm_by_census: bool,
    /// Whether the lease of a node is evidence only once a drill has shown that its watchdog fires.
    pub watchdog_test: bool,
}

/// Where this controller listens on one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Gossip.
    pub gossip_listen: SocketAddr,
    /// Renewals and witness pings.
    pub lease_listen: SocketAddr,
}

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its public key.
    pub key: PublicKey,
    /// URL of its API.
    pub url: String,
    /// Where it takes the others' connections.
    pub peer: SocketAddr,
    /// Where it gossips, in the order of the networks.
    pub gossip: Vec<SocketAddr>,
    /// Where it takes renewals and pings, in the order of the networks.
    pub lease: Vec<SocketAddr>,
}

/// The HTTP API.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What a caller must know.
    pub token: Token,
}

/// Why there is no configuration. The program does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read. The program does not start.
    #[error("cannot read {}: check the path, and that this program's user may read the file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something in a file is not as it must be. The program does not start.
    #[error("{0}")]
    Wrong(#[from] Problems),
}

impl Config {
    /// Reads and checks the file and all files that it names. Relative paths begin at the folder of the file.
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong; the program does not start.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut problems = Problems::default();
        let read = file::read(path, &text, &mut problems);
        problems.sort();
        match read {
            Some(config) if problems.is_empty() => Ok(config),
            Some(_) | None => Err(ConfigError::Wrong(problems)),
        }
    }

    /// Reads the matrix file again; `None` where the shipped matrix is used.
    ///
    /// # Errors
    /// A sentence with the remedy: the matrix in force stays.
    pub fn matrix_again(&self) -> Result<Option<Matrix>, String> {
        let Some(file) = &self.matrix_file else { return Ok(None) };
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}; check the path", file.display()))?;
        let loaded = Matrix::parse(&file.display().to_string(), &text)
            .map_err(|problems| problems.render(false))?;
        let networks: Vec<_> = self.networks.iter().map(|network| network.name.clone()).collect();
        if loaded.matrix.networks() != networks {
            return Err(file::other_networks(&loaded.matrix, &networks));
        }
        Ok(Some(loaded.matrix))
    }

    /// Reads the policy file again.
    ///
    /// # Errors
    /// Text with file, line and remedy: the policy in use stays.
    pub fn policy_again(&self) -> Result<Policy, String> {
        let Some(file) = &self.policy_file else { return Ok(Policy::default()) };
        let text = policy::read_file(file)?;
        Policy::parse(&file.display().to_string(), &text).map_err(|problems| problems.to_string())
    }

    /// What `--check` prints: the sums of the times, and who belongs to the cluster.
    pub fn summary(&self) -> String {
        let times = self.times;
        let networks: Vec<_> = self.networks.iter().map(|network| network.name.as_str()).collect();
        let mut out = format!(
            "{} of {}, networks {}, {} nodes ({} with a BMC)\n\
             wL {:.1} s = (L + 3 W (1 + eps) + K)(1 + rho)/(1 - rho) + M; wC {:.1} s\n",
            self.id,
            self.controllers.len(),
            networks.join(", "),
            self.inventory.nodes.len(),
            self.inventory.bmcs.len(),
            times.wait_after_intent().as_secs_f64(),
            times.wait_after_promise().as_secs_f64(),
        );
        for note in self.notes() {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }

    /// What is allowed, and should be known to whoever starts it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.matrix_warnings.clone();
        if self.lab {
            notes
                .push("lab = true: waits are shortened; never protect real VMs with it".to_owned());
        }
        if self.nova.is_none() {
            notes.push("no [nova]: nodes are fenced, and no VM is evacuated".to_owned());
        }
        if self.controllers.len() == 1 {
            notes.push("one controller: verdicts are shown, nothing is ever fenced".to_owned());
        }
        if !self.confirm_by_census && !self.lab {
            notes.push(
                "confirm_by_census = false: Nova alone is believed about where VMs run".to_owned(),
            );
        }
        if !self.watchdog_test && !self.lab {
            notes.push(
                "require_watchdog_test = false: watchdogs that nobody has seen fire count as evidence (E2)"
                    .to_owned(),
            );
        }
        if !self.api.listen.ip().is_loopback() {
            notes.push(format!(
                "the API on {} speaks plain HTTP: let a TLS proxy on this machine face the network",
                self.api.listen
            ));
        }
        notes
    }
}
