//! How an agent's record begins: everything that its core is made with.

use std::time::Duration;

use fencing::sign::PublicKey;
use fencing::{BootId, ControllerId, NodeId};
use gossip::ceiling::Ceiling;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::agent::{Network, Setup};
use crate::checks::Plan;

/// What a core began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The process's clock then.
    pub now: Duration,
    /// The name of its node, for people.
    pub name: String,
    cluster: Uuid,
    node: NodeId,
    boot: BootId,
    starts: u64,
    networks: Vec<(String, Network)>,
    keys: Vec<(ControllerId, PublicKey)>,
    reports: bool,
    checks: Vec<Plan>,
    ceiling: Option<Ceiling>,
    seed: u64,
}

impl Head {
    /// Of a core that is about to be made. `names` are those of its networks, in their order.
    pub fn new(now: Duration, name: &str, names: &[String], setup: &Setup) -> Self {
        // Named one by one: what is added to the setup has to be thought of here.
        let Setup { cluster, node, boot, starts, networks, keys, reports, checks, ceiling, seed } =
            setup;
        Self {
            now,
            name: name.to_owned(),
            cluster: *cluster,
            node: *node,
            boot: *boot,
            starts: *starts,
            networks: names.iter().cloned().zip(networks.iter().cloned()).collect(),
            keys: keys.clone(),
            reports: *reports,
            checks: checks.clone(),
            ceiling: *ceiling,
            seed: *seed,
        }
    }

    /// How often it had been started, this time included.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// The name of a network.
    pub fn network(&self, place: u8) -> &str {
        self.networks.get(usize::from(place)).map_or("?", |(name, _)| name)
    }

    /// How many networks it has.
    pub fn networks(&self) -> u8 {
        u8::try_from(self.networks.len()).unwrap_or(u8::MAX)
    }

    /// What the core was made from.
    pub fn setup(&self) -> Setup {
        Setup {
            cluster: self.cluster,
            node: self.node,
            boot: self.boot,
            starts: self.starts,
            networks: self.networks.iter().map(|(_, network)| network.clone()).collect(),
            keys: self.keys.clone(),
            reports: self.reports,
            checks: self.checks.clone(),
            ceiling: self.ceiling,
            seed: self.seed,
        }
    }
}
