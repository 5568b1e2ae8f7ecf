//! What a controller's core is made with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use action_matrix::Matrix;
use fencing::ControllerId;
use fencing::lease::LeaseTimes;
use fencing::sign::{KeyPair, PublicKey};
use gossip::ceiling::Ceiling;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::policy::Policy;

/// Entries between two snapshots: a log that a start reads in a moment, and a snapshot that is seldom written.
pub const SNAPSHOT_EVERY: u64 = 1000;

/// A controller, as every controller's configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Where it gossips, one address per network.
    pub gossip: Vec<SocketAddr>,
    /// Where it answers renewals and pings, one address per network.
    pub lease: Vec<SocketAddr>,
    /// Its public key.
    pub key: PublicKey,
    /// URL of its API.
    pub url: String,
}

/// Everything that a core is made with. The same seed, settings and events give the same effects.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Cluster id.
    pub cluster: Uuid,
    /// This controller.
    pub me: ControllerId,
    /// All controllers, this one included.
    pub controllers: BTreeMap<ControllerId, Peer>,
    /// This controller's private key: signs fence events.
    pub key: KeyPair,
    /// Names of the networks.
    pub networks: Vec<String>,
    /// Boot id of this controller's machine, for gossip.
    pub boot: Uuid,
    /// How often this program was started, from its disk: orders its gossip identities.
    pub starts: u64,
    /// Times with which boots are armed.
    pub times: LeaseTimes,
    /// The matrix that holds until one is committed.
    pub matrix: Matrix,
    /// Waits.
    pub waits: Waits,
    /// Whether a VM counts as moved only when its destination's agent sees it. Without agents on the destinations (a lab
    /// with fake computes) it must be off.
    pub confirm_by_census: bool,
    /// Whether Nova is configured at all; without it incidents end at `fenced`.
    pub nova: bool,
    /// Entries after which the log is replaced by a snapshot; see [`SNAPSHOT_EVERY`].
    pub snapshot_every: u64,
    /// How recoveries go: how many VMs at once, which of them, and where to.
    pub recovery: Recovery,
    /// What gossip may send in a second, on each network.
    pub ceiling: Option<Ceiling>,
    /// Whether the lease of a node is evidence only once a drill has shown that its watchdog fires.
    pub watchdog_test: bool,
    /// Spreads random choices; must be unpredictable outside of simulations.
    pub seed: u64,
}

/// How recoveries go. Nothing of it is part of a safety rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// How much at once.
    pub pace: Pace,
    /// Which VMs, and in which order.
    pub policy: Policy,
    /// Service hosts that are kept disabled until a recovery needs them.
    pub reserved: Vec<String>,
    /// What is done where VMs do not run as Nova says.
    pub actual: Actual,
}

/// What is done where VMs do not run as Nova says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actual {
    /// Whether the agents' lists of domains are compared with Nova at all.
    pub compare: bool,
    /// What is done about a VM that Nova calls ACTIVE and that nobody runs.
    pub missing: Missing,
    /// What is done about a copy that runs where Nova does not have it.
    pub stray: Stray,
    /// It must have been so for this long without a break.
    pub holds: Duration,
    /// A VM that was rebooted so often `within` this time is left to a human.
    pub give_up: u32,
    /// See `give_up`; at least a minute.
    pub within: Duration,
    /// Records of such VMs are kept this long after they have ended.
    pub keep: Duration,
}

/// What is done about a VM that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// A human is told.
    Report,
    /// It is hard-rebooted through Nova too.
    Reboot,
}

/// What is done about a stray copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stray {
    /// A human is told.
    Report,
    /// It is ended on that node too, where another copy runs on the node that Nova has it on.
    Destroy,
}

impl Default for Actual {
    fn default() -> Self {
        Self {
            compare: true,
            missing: Missing::Report,
            stray: Stray::Report,
            holds: Duration::from_secs(60),
            give_up: 4,
            within: Duration::from_secs(3600),
            keep: Duration::from_secs(24 * 3600),
        }
    }
}

/// How many VMs are moved at once, and how many before a human is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Under way at once in the whole cloud. Too few: a large loss takes long. Too many: Nova's API and its queues are
    /// what is slow.
    pub cloud: usize,
    /// In one cell.
    pub cell: usize,
    /// Evacuated off one node, which is off: Nova and the destinations are what is slow.
    pub source: usize,
    /// Live-migrated off one node, which sends their memory: nova-compute takes one after the other unless it is told
    /// otherwise, and what waits there is in doubt should the node fail meanwhile.
    pub migrated: usize,
    /// To one host. Too many: it pages, and its disks are what is slow.
    pub destination: usize,
    /// One for each host begins at once; once each has one on its way, as many more begin in this time, with two each in
    /// twice this time. What Nova takes for each grows with their number, so the first of a burst would wait for the last;
    /// where it is slow for other reasons the windows are full after some seconds all the same.
    pub gap: Duration,
    /// Begun in a minute, in the whole cloud.
    pub per_minute: usize,
    /// Evacuations within `hold_within` after which no more begin until an operator approves the incident.
    pub hold_after: usize,
    /// See `hold_after`; at least a minute.
    pub hold_within: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            cloud: 48,
            cell: 48,
            source: 24,
            migrated: 6,
            destination: 4,
            gap: Duration::from_secs(1),
            per_minute: 600,
            hold_after: 1000,
            hold_within: Duration::from_secs(3600),
        }
    }
}

/// Times that are no part of a safety bound, but for `unknown` and `effect`, whose lower bounds are checked by the
/// configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// S: how long observers must agree without a break before a verdict.
    pub hold: Duration,
    /// No fence begins for this long after a cold start of the controllers.
    pub grace: Duration,
    /// A new leader waits this long where more than one node is suspected.
    pub new_leader: Duration,
    /// `not_after` of every effect: it leaves within this time or not at all.
    pub effect: Duration,
    /// How long an attempt of unknown outcome is left alone before its traces are judged: its deadline plus the longest
    /// proxy and RPC timeout.
    pub unknown: Duration,
    /// All networks of a returned node must be up this long before it is released.
    pub healthy: Duration,
    /// A node is left alone this long after a fence.
    pub left_alone: Duration,
    /// Two fences within this time put a node in quarantine.
    pub quarantine_within: Duration,
    /// A storm stop ends this long after the storm.
    pub storm_over: Duration,
    /// How often a BMC is read while its node is well.
    pub bmc_check: Duration,
    /// A power-off waits this long for a crash dump to begin.
    pub dump_begins: Duration,
    /// And this long, from the intent on, for one to end that has begun.
    pub dump_ends: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            hold: Duration::from_millis(1500),
            grace: Duration::from_secs(300),
            new_leader: Duration::from_secs(60),
            effect: Duration::from_secs(60),
            unknown: Duration::from_secs(180),
            healthy: Duration::from_secs(10),
            left_alone: Duration::from_secs(180),
            quarantine_within: Duration::from_secs(6 * 3600),
            storm_over: Duration::from_secs(120),
            bmc_check: Duration::from_secs(600),
            dump_begins: Duration::ZERO,
            dump_ends: Duration::ZERO,
        }
    }
}
