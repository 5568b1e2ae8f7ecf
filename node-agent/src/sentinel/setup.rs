//! What a sentinel is made from, and what it says of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use fencing::lease::{Hazards, LeaseTimes, WatchdogState};
use fencing::sign::PublicKey;
use fencing::{BootId, ControllerId, Epoch, NodeId};
use uuid::Uuid;

use super::event::Saved;

/// What a sentinel is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The cluster.
    pub cluster: Uuid,
    /// This node.
    pub node: NodeId,
    /// Its boot.
    pub boot: BootId,
    /// When this boot began, on the clock of `now`: zero on a machine, later where a lab pretends to boot.
    pub booted_at: Duration,
    /// The node's own times, which hold until an entry arms this boot; then the shorter of both L and C hold.
    pub times: LeaseTimes,
    /// The controllers of the configuration.
    pub controllers: BTreeMap<ControllerId, Pinned>,
    /// Whether the configuration names a watchdog.
    pub has_watchdog: bool,
    /// What on this machine would start guests by itself: such a node is not armed.
    pub hazards: Hazards,
    /// What is known of an earlier sentinel of this boot.
    pub start: Start,
    /// Highest epoch of a fence event that this node ever obeyed, from its disk.
    pub highest_epoch: Option<Epoch>,
    /// Where random numbers come from.
    pub seed: u64,
}

/// A controller of the configuration. Its key is never taken from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Its public key.
    pub key: PublicKey,
    /// Where it takes renewals, one address per network.
    pub addresses: Vec<SocketAddr>,
}

/// What is known of an earlier sentinel of this boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// This is the first sentinel of this boot.
    Fresh,
    /// There was one, and this is what it saved.
    Resumed(Box<Saved>),
    /// There was one, and what it saved is gone: no vouching and no asking until a reboot.
    Lost,
}

/// What a sentinel tells the agent, and an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// n.
    pub n: u64,
    /// Whether the adopted log arms this boot.
    pub armed: bool,
    /// Whether guests may start.
    pub gate_open: bool,
    /// Since base_c; `None` before the first lease.
    pub lease_age: Option<Duration>,
    /// Whether somebody stands for this node now.
    pub standing: bool,
    /// The device.
    pub watchdog: WatchdogState,
    /// Whether n of this boot was lost.
    pub lost: bool,
}
