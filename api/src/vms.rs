//! Which VMs run where.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Every VM that Nova has on a node, or that runs on one: `GET /v1/vms`. It is a part of its own, for it is not small.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vms {
    /// Whether this leader has read the servers of every node once. Before that nothing is compared.
    pub collected: bool,
    /// What the rest rests on, by node.
    pub nodes: Vec<ListOfNode>,
    /// All VMs, by Nova's host and name.
    pub vms: Vec<RunningVm>,
}

/// How much is known of a node's VMs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListOfNode {
    /// Node name.
    pub node: String,
    /// Seconds since its agent's list; `None`: there is none that counts.
    pub listed_s: Option<f64>,
    /// More run on it than its list can tell.
    pub cut: bool,
    /// Seconds since Nova told its servers.
    pub nova_s: Option<f64>,
}

/// A VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunningVm {
    /// Nova's id of the server, and UUID of its domain.
    pub id: Uuid,
    /// Its name in Nova; `None` where Nova has not told of it.
    pub name: Option<String>,
    /// Its project.
    pub project: Option<String>,
    /// The node that Nova has it on.
    pub host: Option<String>,
    /// Nova's status of it.
    pub status: Option<String>,
    /// The nodes whose agents list it.
    pub runs_on: Vec<String>,
    /// Processor time since it was started, in seconds. Here and below: `None` is unknown, and not nothing.
    pub cpu_s: Option<f64>,
    /// Memory of its node that it occupies.
    pub memory_mib: Option<u64>,
    /// Room on disks that it occupies.
    pub disk_mib: Option<u64>,
    /// Seconds since the list that says so.
    pub seen_s: Option<f64>,
    /// What does not agree, once it has held for a while and Nova has confirmed it.
    pub problem: Option<String>,
    /// When it was missing last.
    pub crash: Option<Crash>,
}

/// A VM that was missing: Nova said that it runs, and it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// When it was found, wall clock in ms.
    pub found_ms: u64,
    /// How often it was rebooted, as far as is remembered.
    pub reboots: u32,
    /// When last, wall clock in ms.
    pub rebooted_ms: Option<u64>,
    /// When it ended, wall clock in ms.
    pub over_ms: Option<u64>,
    /// How it ended: the rest of a sentence that begins with the VM.
    pub how: Option<String>,
}

/// What a controller has counted since it began: lists of domains, what did not agree, and what was done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actual {
    /// Datagrams of agents' lists that came in.
    pub lists_received: u64,
    /// Those after which what runs on a node was known anew.
    pub lists_used: u64,
    /// VMs found missing.
    pub missing: u64,
    /// Copies found that should not run.
    pub stray: u64,
    /// Reboots of missing VMs.
    pub reboots: u64,
    /// Those that Nova took on.
    pub reboots_taken: u64,
    /// Those that Nova refused, or that never left.
    pub reboots_refused: u64,
    /// Those whose outcome nobody was told.
    pub reboots_unknown: u64,
}
