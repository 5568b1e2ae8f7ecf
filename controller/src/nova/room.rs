//! What is read of the cloud beside services and servers: how much room its hosts have, which of them belong together,
//! and which servers must not meet.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Room of a host as Nova reckons it: without allocation ratios, and with a dead host's servers counted on both sides
/// until it returns. Good for an order among hosts, not for a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HypervisorRecord {
    /// Service host.
    pub host: String,
    /// vCPUs of the machine.
    pub vcpus: u64,
    /// vCPUs of its servers.
    pub vcpus_used: u64,
    /// Memory of the machine in MiB.
    pub memory_mib: u64,
    /// Memory of its servers in MiB, with what is reserved for the host itself.
    pub memory_used_mib: u64,
}

/// An aggregate of hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateRecord {
    /// Its name.
    pub name: String,
    /// The availability zone that it makes.
    pub zone: Option<String>,
    /// Service hosts.
    pub hosts: BTreeSet<String>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A server group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its id.
    pub id: Uuid,
    /// `anti-affinity`, `soft-anti-affinity`, `affinity`, `soft-affinity`.
    pub policy: String,
    /// Its servers.
    pub members: BTreeSet<Uuid>,
}

impl GroupRecord {
    /// Whether its members must not meet on one host, or should not.
    pub fn keeps_apart(&self) -> bool {
        self.policy == "anti-affinity" || self.policy == "soft-anti-affinity"
    }
}

/// What a server is, as far as somebody could choose by it: nothing of it changes while it is moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// Project.
    pub project: String,
    /// `OS-EXT-AZ:availability_zone`.
    pub zone: String,
    /// Name of its flavor.
    pub flavor: String,
    /// Extra specs of its flavor.
    pub extra_specs: BTreeMap<String, String>,
    /// vCPUs.
    pub vcpus: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Its image; empty for one that boots from a volume.
    pub image: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Whether its user, or an administrator, locked it.
    pub locked: bool,
}
