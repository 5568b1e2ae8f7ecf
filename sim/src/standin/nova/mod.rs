//! Nova, Placement, Glance's list of images and the computes' nova-compute processes, as a plain deterministic model.
//!
//! It behaves as the observations of a real Nova say, also where that is unwelcome: 200 means queued, a second
//! evacuation of the same server is accepted, a destination that was away carries out what waited in its queue, and a
//! failure after the spawn leaves the guest running. Whether a guest runs twice is decided by the hypervisors outside:
//! the model hands them an [`Order`] each and is told what became of it.
//!
//! ```text
//! request -> api (checks) -> conductor (record, destination) -> message to a compute -> Order::Start
//!                                                                  guest_started -> record done, server ACTIVE
//! ```
//!
//! No clock: every call brings `now`; [`Cloud::poll_timeout`] says when [`Cloud::poll`] is next due. What is left out:
//! cells, disks, networks, rights, quotas, and Placement's own allocations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use controller::nova::call::{
    MigrationKind, MigrationRecord, MigrationStatus, ServerRecord, ServiceRecord,
};
use controller::nova::{AggregateRecord, GroupRecord, HypervisorRecord};
use uuid::Uuid;

mod api;
mod compute;
mod conductor;
mod faults;
mod live;
mod reboot;
mod rebuild;
mod reply;
mod request;
mod server;
mod settings;
mod updates;

pub use faults::Faults;
pub use reply::Answer;
pub use request::{Done, Fault, Request, Served, ServiceUpdate};
pub use settings::{Flavor, Latency, Settings};

use compute::Compute;
use server::{Migration, Server};

/// What the model tells a hypervisor to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Run this server's guest here; answer with `guest_started` or `guest_failed`.
    Start {
        /// Where.
        host: String,
        /// Which.
        server: Uuid,
    },
    /// Destroy or shut down this server's guest here. No answer is waited for.
    Stop {
        /// Where.
        host: String,
        /// Which.
        server: Uuid,
    },
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Start { host, server } => write!(f, "{host}: start {server}"),
            Order::Stop { host, server } => write!(f, "{host}: stop {server}"),
        }
    }
}

/// Work that is due at a time.
#[derive(Clone, Debug)]
enum Step {
    /// The conductor takes an evacuation from its queue.
    Evacuate { server: Uuid, destination: Option<String>, power: Power, request_id: String },
    /// A compute takes the next message from its queue.
    Message { host: String, message: Message },
    /// The conductor takes a boot, or a live migration.
    Boot { server: Uuid },
    /// Next stage of a live migration.
    Live { server: Uuid, migration: u64 },
    /// A compute carries out a stop.
    Stop { server: Uuid },
    /// A request that the network held up arrives.
    Late { request: Request, request_id: String },
}

impl Step {
    fn reason(&self) -> &'static str {
        match self {
            Step::Evacuate { .. } => "nova conductor: evacuation",
            Step::Message { .. } => "nova-compute: message",
            Step::Boot { .. } => "nova conductor: boot",
            Step::Live { .. } => "nova-compute: live migration",
            Step::Stop { .. } => "nova-compute: stop",
            Step::Late { .. } => "nova api: late request",
        }
    }
}

/// What a compute has to do. While it is away, the first four wait in RabbitMQ and outlive the process; the others
/// are in its memory.
#[derive(Clone, Debug)]
enum Message {
    Rebuild(Rebuild),
    Build {
        server: Uuid,
    },
    Stop {
        server: Uuid,
    },
    Reboot {
        server: Uuid,
    },
    /// Claimed: now the guest.
    Spawn {
        server: Uuid,
    },
    /// The hypervisor has answered: now the database.
    Spawned {
        server: Uuid,
        good: bool,
    },
}

/// An evacuation on its way through a destination.
#[derive(Clone, Debug)]
struct Rebuild {
    server: Uuid,
    migration: u64,
    power: Power,
    request_id: String,
}

/// Work on one server at one compute, which does one thing at a time per server.
#[derive(Clone, Debug)]
struct Spawning {
    /// `None` for a boot.
    rebuild: Option<Rebuild>,
    /// Rebuilds of the same server that wait behind it.
    behind: Vec<Rebuild>,
}

/// What an evacuated guest shall be afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    /// As before (microversions 2.68 to 2.94).
    Keep,
    /// Shut off (2.95 and later).
    Off,
}

/// The whole stand-in.
pub struct Cloud {
    settings: Settings,
    /// Faults that are on; change them at any time.
    pub faults: Faults,
    computes: BTreeMap<String, Compute>,
    servers: BTreeMap<Uuid, Server>,
    /// Aggregates; change them at any time.
    pub aggregates: Vec<AggregateRecord>,
    /// Server groups; change them at any time.
    pub groups: Vec<GroupRecord>,
    group_names: Vec<String>,
    /// Tags of Glance's images, by id; change them at any time.
    pub images: BTreeMap<String, BTreeSet<String>>,
    migrations: BTreeMap<u64, Migration>,
    /// Rebuilds and builds between claim and end, by host and server.
    spawning: BTreeMap<(String, Uuid), Spawning>,
    /// Guests that the hypervisors told us of.
    guests: BTreeSet<(String, Uuid)>,
    due: BTreeMap<(Duration, u64), Step>,
    orders: VecDeque<Order>,
    serial: u64,
}

impl Cloud {
    /// An empty cloud.
    pub fn new(settings: Settings) -> Cloud {
        Cloud {
            settings,
            faults: Faults::default(),
            computes: BTreeMap::new(),
            servers: BTreeMap::new(),
            aggregates: Vec::new(),
            groups: Vec::new(),
            group_names: Vec::new(),
            images: BTreeMap::new(),
            migrations: BTreeMap::new(),
            spawning: BTreeMap::new(),
            guests: BTreeSet::new(),
            due: BTreeMap::new(),
            orders: VecDeque::new(),
            serial: 0,
        }
    }

    /// When [`Cloud::poll`] must be called next, and why.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        self.due.first_key_value().map(|((at, _), step)| (*at, step.reason()))
    }

    /// Does all that is due at `now`.
    pub fn poll(&mut self, now: Duration) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let step = entry.remove();
            self.carry_out(now, step);
        }
    }

    /// The next order for a hypervisor; to be asked for after every other call until it is `None`.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// Hosts on which the server's guest runs, as the hypervisors tell. More than one is the disaster that the
    /// controller exists to avoid.
    pub fn running_on(&self, server: Uuid) -> Vec<&str> {
        self.guests.iter().filter(|(_, id)| *id == server).map(|(host, _)| host.as_str()).collect()
    }

    /// All servers, as Nova would list them.
    pub fn servers(&self) -> Vec<ServerRecord> {
        self.servers.values().map(Server::record).collect()
    }

    /// All nova-compute services, as Nova would list them at `now`.
    pub fn services(&self, now: Duration) -> Vec<ServiceRecord> {
        self.computes.values().map(|compute| self.service_record(now, compute)).collect()
    }

    /// Adds a server to the anti-affinity group of a name, which is made with its first member.
    pub fn join_group(&mut self, name: &str, server: Uuid) {
        let place = self.group_names.iter().position(|known| known == name);
        let place = place.unwrap_or_else(|| {
            self.group_names.push(name.to_string());
            let id = self.fresh_id();
            let policy = "anti-affinity".to_string();
            self.groups.push(GroupRecord { id, policy, members: BTreeSet::new() });
            self.groups.len() - 1
        });
        if let Some(group) = self.groups.get_mut(place) {
            group.members.insert(server);
        }
    }

    /// Takes so long from here on.
    pub fn set_latency(&mut self, latency: Latency) {
        self.settings.latency = latency;
    }

    /// Room of all hosts, as Nova reckons it.
    pub fn hypervisors(&self) -> Vec<HypervisorRecord> {
        let room = |compute: &Compute| HypervisorRecord {
            host: compute.host.clone(),
            vcpus: self.settings.vcpus_per_host.into(),
            vcpus_used: self.load(&compute.host, true).into(),
            memory_mib: memory(self.settings.vcpus_per_host),
            memory_used_mib: memory(self.load(&compute.host, true)),
        };
        self.computes.values().map(room).collect()
    }

    /// All migration records, newest first, deleted servers' left out as Nova does.
    pub fn migrations(&self) -> Vec<MigrationRecord> {
        self.migrations
            .values()
            .rev()
            .filter(|migration| self.servers.contains_key(&migration.server))
            .map(Migration::record)
            .collect()
    }

    /// Destinations of evacuations of a server that the network held up and that have not arrived yet.
    pub fn held_evacuations(&self, id: Uuid) -> impl Iterator<Item = Option<&str>> {
        self.due.values().filter_map(move |step| match step {
            Step::Late { request: Request::Evacuate { server, destination, .. }, .. } => {
                (*server == id).then_some(destination.as_deref())
            }
            Step::Late { .. }
            | Step::Evacuate { .. }
            | Step::Message { .. }
            | Step::Boot { .. }
            | Step::Live { .. }
            | Step::Stop { .. } => None,
        })
    }

    /// Live migrations of a server that are neither done nor given up.
    pub fn unfinished_moves(&self, server: Uuid) -> impl Iterator<Item = MigrationRecord> {
        let open = |status: &MigrationStatus| {
            matches!(
                status,
                MigrationStatus::Accepted
                    | MigrationStatus::Preparing
                    | MigrationStatus::PreMigrating
                    | MigrationStatus::Running
            )
        };
        let of = self.migrations.values().filter(move |migration| migration.server == server);
        of.filter(move |migration| {
            migration.kind != MigrationKind::Evacuation && open(&migration.status)
        })
        .map(Migration::record)
    }

    fn carry_out(&mut self, now: Duration, step: Step) {
        match step {
            Step::Evacuate { server, destination, power, request_id } => {
                self.conduct_evacuation(now, server, destination, power, request_id);
            }
            Step::Message { host, message } => self.take_message(now, &host, message),
            Step::Boot { server } => self.conduct_boot(now, server),
            Step::Live { server, migration } => self.go_on_live(now, server, migration),
            Step::Stop { server } => self.send_stop(now, server),
            Step::Late { request, request_id } => {
                // Nobody is there to hear the answer.
                let _ = self.execute(now, &request, &request_id);
            }
        }
    }

    fn after(&mut self, now: Duration, delay: Duration, step: Step) {
        self.serial += 1;
        self.due.insert((now + delay, self.serial), step);
    }

    /// A fresh id that is the same in every run with the same calls.
    fn fresh_id(&mut self) -> Uuid {
        self.serial += 1;
        let mixed = self.serial.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bytes = (u128::from(mixed) << 64 | u128::from(self.serial)).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    fn fresh_request_id(&mut self) -> String {
        format!("req-{}", self.fresh_id())
    }
}

/// Memory that goes with so many vCPUs, in MiB.
fn memory(vcpus: u32) -> u64 {
    u64::from(vcpus) * 512
}

#[cfg(test)]
mod tests;
