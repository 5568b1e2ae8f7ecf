//! How a world is made, and brought to rest.

use std::collections::BTreeMap;
use std::time::Duration;

use action_matrix::Matrix;
use controller::core::{Actual, Patience, Peer, Recovery, SNAPSHOT_EVERY, Settings, Waits};
use controller::registry::Enrolment;
use fencing::bmc::LevelKind;
use fencing::lease::{Hazards, Profile};
use fencing::sign::{KeyPair, PublicKey};
use fencing::{ControllerId, NodeId};
use node_agent::sentinel::{Pinned, Setup, Start};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Ghost, Happening, Spare, World};
use crate::bmc::Bmc;
use crate::clock::Clock;
use crate::fact::Fact;
use crate::node::{Kind, Machine};
use crate::place::{Place, Port, boot_id, cluster, controller_id, node_id};
use crate::queue::Queue;
use crate::seat::Seat;
use crate::standin::nova::{self, Cloud};
use crate::story::Story;
use crate::wire::Wire;

/// What a world is made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of everything.
    pub seed: u64,
    /// Controllers: 1, 3 or 5.
    pub controllers: u8,
    /// Nodes.
    pub nodes: u16,
    /// Failure domains; nodes are dealt out in turn.
    pub domains: u16,
    /// Lease profile.
    pub profile: Profile,
    /// Lease profile of the controllers' own configuration, where it is another.
    pub reckoned_by: Option<Profile>,
    /// Matrix.
    pub matrix: Matrix,
    /// Waits.
    pub waits: Waits,
    /// Whether a lease is evidence only after a drill of the watchdog. Off unless a scenario is about it.
    pub watchdog_test: bool,
    /// Nodes without a BMC.
    pub without_bmc: Vec<u16>,
    /// Nodes with a second level of fencing.
    pub second_level: Vec<u16>,
    /// Nodes whose first level of fencing the controllers reach only by way of these others.
    pub via: BTreeMap<u16, Vec<u16>>,
    /// Nodes whose second level is the outlets of two feeds.
    pub two_outlets: Vec<u16>,
    /// Nodes without a watchdog.
    pub without_watchdog: Vec<u16>,
    /// Nodes whose watchdog cannot be opened.
    pub broken_watchdog: Vec<u16>,
    /// Whether gossip knows all its members when the nodes start; for large clusters.
    pub warm: bool,
    /// Nodes with a watchdog in their kernel alone.
    pub softdog: Vec<u16>,
    /// How long the cores of controllers live whose records are always long; `None`: records are never long.
    pub records: Option<Patience>,
    /// Entries after which a controller's log is replaced by a snapshot.
    pub snapshot_every: u64,
    /// How recoveries go. Agents list their domains, and lists are compared with Nova, where a scenario is about it.
    pub recovery: Recovery,
    /// Nova's cells; nodes are dealt out in turn.
    pub cells: u16,
    /// Health checks of every node.
    pub checks: Vec<node_agent::checks::Plan>,
}

/// A check of every node: begun every two seconds, and believed when it says the same twice.
pub fn check_plan(name: &str) -> node_agent::checks::Plan {
    node_agent::checks::Plan {
        name: name.to_owned(),
        every: Duration::from_secs(2),
        within: Duration::from_secs(1),
        rise: 2,
        fall: 2,
        pushed: false,
    }
}

/// The matrix that Holdfast brings along.
fn default_matrix() -> Matrix {
    #[allow(clippy::expect_used, reason = "action-matrix tests that its own default loads")]
    let loaded = Matrix::parse("default.toml", action_matrix::DEFAULT).expect("the default loads");
    loaded.matrix
}

impl Plan {
    /// Three controllers and some nodes, with the default matrix and a short start-up grace.
    pub fn new(seed: u64, nodes: u16) -> Self {
        Self {
            seed,
            controllers: 3,
            nodes,
            domains: 1,
            profile: Profile::Fast,
            reckoned_by: None,
            matrix: default_matrix(),
            waits: Waits { grace: Duration::from_secs(30), ..Waits::default() },
            watchdog_test: false,
            without_bmc: Vec::new(),
            second_level: Vec::new(),
            via: BTreeMap::new(),
            two_outlets: Vec::new(),
            without_watchdog: Vec::new(),
            broken_watchdog: Vec::new(),
            warm: false,
            softdog: Vec::new(),
            records: None,
            snapshot_every: SNAPSHOT_EVERY,
            recovery: Recovery {
                actual: Actual { compare: false, ..Actual::default() },
                ..Recovery::default()
            },
            cells: 1,
            checks: Vec::new(),
        }
    }

    /// The cell of a node; empty where there is one.
    pub fn cell(&self, number: u16) -> String {
        if self.cells < 2 {
            return String::new();
        }
        format!("cell-{}", (number - 1) % self.cells + 1)
    }

    /// Devices of each level of a node's fencing.
    pub(super) fn levels_of(&self, number: u16) -> Vec<LevelKind> {
        let first = (!self.without_bmc.contains(&number)).then_some(1);
        let outlets = self.two_outlets.contains(&number).then_some(2);
        let second = outlets.or(self.second_level.contains(&number).then_some(1));
        first.into_iter().chain(second).map(LevelKind::Power).collect()
    }

    /// Proxies of a node's first level; none where the controllers reach it.
    pub(super) fn via_of(&self, number: u16) -> &[u16] {
        self.via.get(&number).map_or(&[], Vec::as_slice)
    }

    /// How many networks there are.
    pub fn networks(&self) -> u8 {
        u8::try_from(self.matrix.networks().len()).unwrap_or(8)
    }
}

impl World {
    /// Everything is switched on at once, for the first time.
    pub fn new(plan: Plan) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let times = plan.profile.times();
        let mut drift = || rng.random_range(-300..=300);
        let nodes: Vec<_> = (1..=plan.nodes).map(|n| Machine::new(n, drift(), times)).collect();
        let seats = (1..=plan.controllers).map(|n| {
            let up = Duration::from_secs(1000 * u64::from(n));
            Seat::new(n, Clock::new(Duration::ZERO, up, drift()))
        });
        let places = (1..=plan.controllers).map(Place::Controller);
        let places = places.chain((1..=plan.nodes).map(Place::Node));
        let mut world = Self {
            keys: places.map(|place| Self::key(place).public()).collect(),
            now: Duration::ZERO,
            seats: seats.collect(),
            bmcs: nodes.iter().map(|_| Bmc::default()).collect(),
            second_bmcs: nodes.iter().map(|_| Bmc { level: 2, ..Bmc::default() }).collect(),
            nodes,
            rng,
            queue: Queue::default(),
            wire: Wire::default(),
            cloud: Cloud::new(nova::Settings::default()),
            vms: std::collections::BTreeMap::new(),
            story: Story::default(),
            ghost: Ghost::default(),
            sent: super::Sent::default(),
            sabotage: std::collections::BTreeSet::new(),
            facts: Vec::new(),
            spare: Spare::default(),
            cloud_due: None,
            orders: 0,
            events: 0,
            plan,
        };
        world.switch_everything_on();
        world
    }

    fn switch_everything_on(&mut self) {
        for number in 1..=self.plan.nodes {
            let host = Place::Node(number).to_string();
            self.story.name(node_id(number), &host);
            self.cloud.add_compute(self.now, &host);
            self.cloud.compute_stopped(self.now, &host);
            self.cloud.set_cell(&host, self.plan.cell(number));
            if self.plan.recovery.reserved.contains(&host) {
                self.cloud.keep_in_reserve(&host);
            }
            let kinds = [
                (&self.plan.without_watchdog, Kind::Absent),
                (&self.plan.broken_watchdog, Kind::Broken),
                (&self.plan.softdog, Kind::Soft),
            ];
            let kind = kinds.iter().find(|(nodes, _)| nodes.contains(&number));
            let kind = kind.map(|(_, kind)| *kind);
            if let (Some(kind), Some(node)) = (kind, self.node_mut(number)) {
                node.watchdog.kind = kind;
            }
            self.switch_on(number);
        }
        for number in 1..=self.plan.controllers {
            self.start_controller(number);
        }
        self.later(Duration::from_secs(1), Happening::Second);
    }

    /// Whether a leader leads, every node serves and is up everywhere, and the start-up grace is over.
    pub fn is_settled(&self) -> bool {
        let Some(registry) = self.registry() else { return false };
        let enrolled = registry
            .nodes()
            .values()
            .all(|node| node.levels().all(|level| node.bmcs.contains_key(&level)));
        let even = self
            .seats
            .iter()
            .filter(|seat| seat.core.is_some())
            .all(|seat| seat.told == registry.index());
        self.leader().is_some()
            && self.serving() == self.nodes.len()
            && enrolled
            && even
            && registry.open_incidents().next().is_none()
    }

    /// How many nodes serve.
    pub fn serving(&self) -> usize {
        let Some(registry) = self.registry() else { return 0 };
        let serves = |node: &&Machine| {
            let known = registry.node(node_id(node.number));
            node.gate && known.is_some_and(|known| known.serving_boot() == Some(node.boot()))
        };
        self.nodes.iter().filter(serves).count()
    }

    /// A random number of a machine's own, the same in every run of a seed.
    pub(super) fn seed_for(&self, place: Place, what: u64) -> u64 {
        let (kind, number) = match place {
            Place::Controller(number) => (1, u16::from(number)),
            Place::Node(number) => (2, number),
        };
        let mixed = self.plan.seed ^ (kind << 32 | u64::from(number) << 8 | what);
        ChaCha8Rng::seed_from_u64(mixed).next_u64()
    }

    /// Public keys of the controllers.
    pub(super) fn controller_keys(&self) -> Vec<(ControllerId, PublicKey)> {
        let places = (1..=self.plan.controllers).map(|n| (controller_id(n), Place::Controller(n)));
        places.map(|(id, place)| (id, self.public_key(place))).collect()
    }

    /// A machine's public key. Each is made once: that costs more than a thousand events.
    fn public_key(&self, place: Place) -> PublicKey {
        let known = match place {
            Place::Controller(number) => self.keys.get(usize::from(number) - 1),
            Place::Node(number) => {
                self.keys.get(usize::from(self.plan.controllers) + usize::from(number) - 1)
            }
        };
        known.copied().unwrap_or_else(|| Self::key(place).public())
    }

    fn key(place: Place) -> KeyPair {
        let (kind, number) = match place {
            Place::Controller(number) => (1, u16::from(number)),
            Place::Node(number) => (2, number),
        };
        let [high, low] = number.to_be_bytes();
        let mut seed = [7; 32];
        (seed[0], seed[1], seed[2]) = (kind, low, seed[2] ^ high);
        KeyPair::from_seed(seed)
    }

    pub(super) fn inventory(&self) -> Vec<(NodeId, Enrolment)> {
        let networks = self.plan.networks();
        let nodes = (1..=self.plan.nodes).map(|number| {
            let place = Place::Node(number);
            let record = Enrolment {
                name: place.to_string(),
                host: place.to_string(),
                domain: format!("rack-{}", (number - 1) % self.plan.domains.max(1) + 1),
                cell: self.plan.cell(number),
                key: self.public_key(place),
                sentinel: place.addresses(networks, Port::Lease),
                gossip: place.addresses(networks, Port::Gossip),
                bmc: self.plan.levels_of(number),
                via: vec![self.plan.via_of(number).iter().copied().map(node_id).collect()],
            };
            (node_id(number), record)
        });
        nodes.collect()
    }

    pub(super) fn controller_settings(&self, number: u8) -> impl FnOnce(u32) -> Settings + use<> {
        let networks = self.plan.networks();
        let me = Place::Controller(number);
        let peers = (1..=self.plan.controllers).map(|number| {
            let place = Place::Controller(number);
            let peer = Peer {
                gossip: place.addresses(networks, Port::Gossip),
                lease: place.addresses(networks, Port::Lease),
                key: self.public_key(place),
                url: format!("http://{place}"),
            };
            (controller_id(number), peer)
        });
        let controllers = peers.collect();
        let (plan, seed) = (self.plan.clone(), self.seed_for(me, 1));
        move |starts| Settings {
            cluster: cluster(),
            me: controller_id(number),
            controllers,
            key: Self::key(me),
            networks: plan.matrix.networks().to_vec(),
            boot: boot_id(me, 1).0,
            starts: u64::from(starts),
            times: plan.reckoned_by.unwrap_or(plan.profile).times(),
            matrix: plan.matrix,
            waits: plan.waits,
            confirm_by_census: true,
            watchdog_test: plan.watchdog_test,
            nova: true,
            snapshot_every: plan.snapshot_every,
            recovery: plan.recovery,
            ceiling: None,
            seed: seed.wrapping_add(u64::from(starts)),
        }
    }

    pub(super) fn sentinel_setup(&self, number: u16, start: Start) -> Setup {
        let place = Place::Node(number);
        let node = self.node(number);
        let boot = node.map_or(boot_id(place, 0), Machine::boot);
        let life = node.map_or(0, |node| node.sentinel.life);
        let pinned = (1..=self.plan.controllers).map(|number| {
            let place = Place::Controller(number);
            let addresses = place.addresses(self.plan.networks(), Port::Lease);
            (controller_id(number), Pinned { key: self.public_key(place), addresses })
        });
        Setup {
            cluster: cluster(),
            node: node_id(number),
            boot,
            booted_at: Duration::ZERO,
            times: self.plan.profile.times(),
            controllers: pinned.collect(),
            has_watchdog: node.is_some_and(|node| node.watchdog.kind != Kind::Absent),
            hazards: Hazards::default(),
            start,
            highest_epoch: node.and_then(|node| node.highest_epoch),
            seed: self.seed_for(place, 1).wrapping_add(u64::from(life)),
        }
    }

    /// For a fact that scenarios cause.
    pub fn note(&mut self, fact: Fact) {
        self.facts.push(fact);
    }
}
