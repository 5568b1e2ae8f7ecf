//! The cloud: machines, networks, BMCs and Nova, and the real cores on them, in one thread under virtual time.

mod agents;
mod build;
mod checks;
mod compute;
mod controllers;
mod crash;
mod disks;
mod links;
mod power;
mod records;
mod sent;
mod sentinels;
mod users;
mod warm;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::Request;
use controller::effect::{Network, PeerMessage, Ticket};
use controller::nova;
use controller::registry::Registry;
use fencing::bmc::{Ask, Identity, Reply};
use fencing::sign::{PublicKey, Signer};
use fencing::{BootId, ControllerId, IncidentId, NodeId, lease};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

pub use build::{Plan, check_plan};
pub use checks::{Finds, Health};
pub use sent::Sent;

use crate::bmc::Bmc;
use crate::fact::Fact;
use crate::fault::Sabotage;
use crate::node::Machine;
use crate::place::{Place, Port};
use crate::queue::Queue;
use crate::seat::Seat;
use crate::standin::nova::Cloud;
use crate::story::Story;
use crate::wire::Wire;

/// A node is not well before its checks have been so for this long: controllers hear of it later.
pub(crate) const JUST_FAILED: Duration = Duration::from_secs(15);

/// The network over which controllers speak to each other, to Nova and to BMCs.
pub const MANAGEMENT: Network = Network(0);

/// The cloud.
pub struct World {
    pub(crate) now: Duration,
    pub(crate) plan: Plan,
    pub(crate) rng: ChaCha8Rng,
    queue: Queue<Happening>,
    /// The networks.
    pub wire: Wire,
    /// The nodes; `node-N` is at N - 1.
    pub nodes: Vec<Machine>,
    /// Their BMCs.
    pub bmcs: Vec<Bmc>,
    /// What some of them have as a second level of fencing.
    pub second_bmcs: Vec<Bmc>,
    /// The controllers' machines; `controller-N` is at N - 1.
    pub seats: Vec<Seat>,
    /// Nova.
    pub cloud: Cloud,
    /// VMs by id.
    pub vms: BTreeMap<Uuid, String>,
    /// What a reader sees.
    pub story: Story,
    /// Ghost state that no machine holds.
    pub ghost: Ghost,
    /// Duties that are not done.
    pub(crate) sabotage: BTreeSet<Sabotage>,
    /// Public keys of the controllers, then of the nodes.
    keys: Vec<PublicKey>,
    /// What all nodes have sent.
    pub sent: Sent,
    facts: Vec<Fact>,
    spare: Spare,
    cloud_due: Option<Duration>,
    orders: u64,
    events: u64,
}

/// What only the simulator knows, beside the machines themselves.
#[derive(Debug, Default)]
pub struct Ghost {
    /// Incidents whose intent is known to be committed, and since when.
    pub intended: BTreeMap<IncidentId, Duration>,
    /// Incidents whose evidence is known to be committed.
    pub proven: BTreeMap<IncidentId, Duration>,
    /// Boots that are known to be fenced.
    pub fenced_boots: BTreeSet<(NodeId, BootId)>,
    /// Nodes whose BMC or watchdog lies, or which an operator wrongly called off: outside of the fault model.
    pub lied_about: BTreeSet<u16>,
    /// The registry that ever was furthest: what is applied anywhere is committed.
    pub registry: Option<Registry>,
    /// Nodes of which an operator cleared forced_down behind our back.
    pub forced_up: BTreeSet<u16>,
    /// Nodes that an operator forced down while they were not, and since when, until somebody clears it by hand.
    pub forced_by_hand: BTreeMap<u16, Duration>,
    /// How far their VMs came.
    pub progress: BTreeSet<(IncidentId, Uuid, &'static str)>,
    /// Resets by watchdogs and sentinels.
    pub resets: u32,
    /// Snapshots of the log that sentinels took in whole.
    pub snapshots: u64,
    /// Calls that Nova got, by kind.
    pub evacuations: u32,
    /// Reboots of VMs.
    pub reboots: u32,
    /// When the newest message arrived here that a controller (first) got from another in a term was sent.
    pub heard: BTreeMap<(u8, u8, u64), Duration>,
    /// Operators' orders so far.
    pub ordered: u64,
    /// Those that are not answered yet.
    pub orders: BTreeMap<Ticket, Request>,
    /// Since when no more faults happen: from then on everything must come to a good end.
    pub calm: Option<Duration>,
    /// VMs whose guests die as soon as they start.
    pub doomed: BTreeSet<Uuid>,
    /// Whether controllers may find that their state contradicts the others'.
    pub may_halt: bool,
}

/// A happening.
#[derive(Debug)]
enum Happening {
    /// A program's timer.
    Wake(Program),
    /// A datagram arrives.
    Datagram { from: Place, to: Place, network: Network, body: Body },
    /// A message between controllers arrives.
    Peer { from: u8, to: u8, term: u64, message: Box<PeerMessage> },
    /// A crash kernel speaks.
    Beacon { node: u16, boots: u32 },
    /// A crash kernel says that it writes a dump, until it has.
    Dump { node: u16, boots: u32, until: Duration },
    /// A BMC acts on a question.
    BmcActs { to: Asker, node: u16, level: u8, ask: Ask, expect: Option<Identity> },
    /// A controller hears of its question to a BMC.
    BmcAnswers { to: Asker, reply: Reply },
    /// A controller hears of its call to Nova.
    NovaAnswers { to: Asker, writes: bool, reply: Box<nova::Reply> },
    /// Nova has something to do.
    Nova,
    /// A watchdog may fire.
    Watchdog { node: u16 },
    /// What a sentinel keeps for its restart is written at last, by a shell that reports before it writes.
    Written { node: u16, life: u32, saved: Box<node_agent::sentinel::Saved> },
    /// A node's power ends.
    PowerEnds { node: u16, boot: BootId },
    /// The second half of a power cycle.
    PowerReturns { node: u16 },
    /// A node's programs start.
    BootDone { node: u16, boots: u32 },
    /// A stopped program goes on.
    Resume(Program),
    /// A controller that was stopped takes one of the events that waited for it.
    Waited { controller: u8, starts: u32, event: Box<controller::event::Event> },
    /// A port that flaps goes down, or up again.
    Flaps { place: Place, network: Network, every: Duration },
    /// A second has passed.
    Second,
}

/// Empty lists, kept for their memory: every event needs one.
#[derive(Debug, Default)]
struct Spare {
    controller: Vec<controller::effect::Effect>,
    sentinel: Vec<node_agent::sentinel::Effect>,
    agent: Vec<node_agent::agent::Effect>,
}

/// Who asked, and in which of its lives.
#[derive(Clone, Copy, Debug)]
struct Asker {
    controller: u8,
    starts: u32,
    ticket: Ticket,
}

/// A program in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Controller(u8, u32),
    Sentinel(u16, u32),
    Agent(u16, u32),
}

/// What a datagram holds.
#[derive(Clone, Debug)]
enum Body {
    Gossip(Vec<u8>),
    Lease(Signer, Arc<lease::Message>),
    Ping { nonce: u64 },
    Pong { nonce: u64, id: Uuid, boot: Uuid },
}

impl World {
    /// True time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// What it was built by.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Lets the next thing happen that is due by `until`. False when there is none: then it is `until`.
    pub fn step(&mut self, until: Duration) -> bool {
        let Some((at, what)) = self.queue.pop(until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(at);
        self.events += 1;
        self.happen(what);
        true
    }

    /// Puts the facts that were not taken yet into `facts`, which is emptied first.
    pub fn take_facts(&mut self, facts: &mut Vec<Fact>) {
        facts.clear();
        std::mem::swap(&mut self.facts, facts);
    }

    /// A node by its number.
    pub fn node(&self, number: u16) -> Option<&Machine> {
        self.nodes.get(usize::from(number).checked_sub(1)?)
    }

    /// What a level of a node's fencing is.
    pub fn bmc(&self, number: u16, level: u8) -> Option<&Bmc> {
        let level = if level > 1 { &self.second_bmcs } else { &self.bmcs };
        level.get(usize::from(number).checked_sub(1)?)
    }

    pub(crate) fn bmc_mut(&mut self, number: u16, level: u8) -> Option<&mut Bmc> {
        let level = if level > 1 { &mut self.second_bmcs } else { &mut self.bmcs };
        level.get_mut(usize::from(number).checked_sub(1)?)
    }

    /// A controller's machine by its number.
    pub fn seat(&self, number: u8) -> Option<&Seat> {
        self.seats.get(usize::from(number).checked_sub(1)?)
    }

    /// The controller that leads in the highest term, as far as they know themselves.
    pub fn leader(&self) -> Option<u8> {
        let leading = self.seats.iter().filter(|seat| seat.leads());
        leading.max_by_key(|seat| seat.disk.term()).map(|seat| seat.number)
    }

    /// The highest term in which a controller leads.
    pub fn term(&self) -> u64 {
        let leading = self.seats.iter().filter(|seat| seat.leads());
        leading.map(|seat| seat.disk.term().0).max().unwrap_or_default()
    }

    /// The registry that ever was furthest: what it holds is committed, also when who held it is dead.
    pub fn registry(&self) -> Option<&Registry> {
        self.ghost.registry.as_ref()
    }

    /// Where a VM's guest runs.
    pub fn runs_on(&self, vm: Uuid) -> Vec<u16> {
        let running = self.nodes.iter().filter(|node| node.guests.contains(&vm));
        running.map(|node| node.number).collect()
    }

    /// Whether a node is on, its sentinel alive, and all its links whole.
    pub fn is_well(&self, number: u16) -> bool {
        let Some(node) = self.node(number) else { return false };
        let speaks = node.sentinel.core.is_some() && !node.sentinel.stalled;
        let networks = (0..self.plan.networks()).map(Network);
        let linked = |network| self.wire.is_clean(node.place(), network);
        let healthy = node.health.is_well(self.now.saturating_sub(JUST_FAILED));
        node.runs() && speaks && healthy && networks.into_iter().all(linked)
    }

    /// The program that wants to be woken first, and why.
    pub fn busy(&self) -> String {
        let seats = self.seats.iter().filter_map(|seat| {
            let (reading, why) = seat.core.as_ref().filter(|_| !seat.stalled)?.poll_timeout()?;
            Some((seat.clock.when(reading), why, seat.place().to_string()))
        });
        let sentinels = self.nodes.iter().filter_map(|node| {
            let (reading, why) = node.sentinel.core.as_ref()?.poll_timeout()?;
            Some((node.clock.when(reading), why, format!("the sentinel of {}", node.place())))
        });
        let agents = self.nodes.iter().filter_map(|node| {
            let (reading, why) = node.agent.core.as_ref()?.poll_timeout()?;
            Some((node.clock.when(reading), why, format!("the agent of {}", node.place())))
        });
        let first = seats.chain(sentinels).chain(agents).min();
        first.map_or_else(String::new, |(at, why, who)| {
            format!("{who} wants {why} at {at:?}, it is {:?}", self.now)
        })
    }

    /// An operator's order to whoever leads; `false` when nobody does.
    pub fn order(&mut self, request: Request) -> bool {
        let Some(leader) = self.leader() else { return false };
        self.ghost.ordered += 1;
        let ticket = Ticket(self.ghost.ordered);
        self.ghost.orders.insert(ticket, request.clone());
        self.facts.push(Fact::Ordered { request: request.clone() });
        self.tell_controller(leader, controller::event::Event::Order { ticket, request });
        true
    }

    /// From here on no more faults happen.
    pub fn calm_down(&mut self) {
        self.ghost.calm = Some(self.now);
    }

    /// A line of the story that no core tells.
    pub fn tell(&mut self, subject: &str, text: &str) {
        let now = self.now;
        self.story.tell(now, subject, text);
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Wake(Program::Controller(number, starts)) => {
                self.wake_controller(number, starts);
            }
            Happening::Wake(Program::Sentinel(number, life)) => self.wake_sentinel(number, life),
            Happening::Wake(Program::Agent(number, life)) => self.wake_agent(number, life),
            Happening::Datagram { from, to, network, body } => {
                self.arrive(from, to, network, body);
            }
            Happening::Peer { from, to, term, message } => {
                let open =
                    self.wire.is_open(Place::Controller(from), Place::Controller(to), MANAGEMENT);
                if open {
                    let sent = self.now.saturating_sub(controllers::PEER_FLIGHT);
                    self.ghost.heard.insert((to, from, term), sent);
                    let from = ControllerId(u64::from(from));
                    let event = controller::event::Event::Peer { from, message: *message };
                    self.tell_controller(to, event);
                }
            }
            Happening::BmcActs { to, node, level, ask, expect } => {
                self.bmc_acts(to, (node, level), ask, expect);
            }
            Happening::Beacon { node, boots } => self.beacon(node, boots),
            Happening::Dump { node, boots, until } => self.dumping(node, boots, until),
            Happening::BmcAnswers { to, reply } => self.bmc_answers(to, reply),
            Happening::NovaAnswers { to, writes, reply } => self.nova_answers(to, writes, *reply),
            Happening::Nova => self.nova_due(),
            Happening::Watchdog { node } => self.look_at_watchdog(node),
            Happening::Written { node, life, saved } => {
                if let Some(node) = self.node_mut(node).filter(|n| n.sentinel.life == life) {
                    node.kept = Some(*saved);
                }
            }
            Happening::PowerReturns { node } => self.switch_on(node),
            Happening::PowerEnds { node, boot } => self.power_ends(node, boot),
            Happening::BootDone { node, boots } => self.boot_done(node, boots),
            Happening::Resume(program) => self.resume(program),
            Happening::Waited { controller, starts, event } => {
                if self.seat(controller).is_some_and(|seat| seat.starts == starts) {
                    self.tell_controller(controller, *event);
                }
            }
            Happening::Flaps { place, network, every } => self.flap(place, network, every),
            Happening::Second => {
                self.facts.push(Fact::Second);
                self.later(Duration::from_secs(1), Happening::Second);
            }
        }
    }

    fn later(&mut self, after: Duration, what: Happening) {
        self.queue.push(self.now + after, what);
    }

    /// Sends a datagram to an address; it may be lost.
    fn send(&mut self, from: Place, network: Network, to: SocketAddr, body: Body) {
        match Place::at(to) {
            Some((to, on)) if on == network && to != from => self.carry(from, network, to, body),
            Some(_) | None => {}
        }
    }

    /// Sends a datagram to another machine; it may be lost.
    fn carry(&mut self, from: Place, network: Network, to: Place, body: Body) {
        if matches!(from, Place::Node(_)) {
            self.sent.count(&body);
        }
        if let Some(flight) = self.wire.carry(&mut self.rng, from, to, network) {
            if let Some(flight) = self.wire.copy(&mut self.rng, from, to, network) {
                let body = body.clone();
                self.later(flight, Happening::Datagram { from, to, network, body });
            }
            self.later(flight, Happening::Datagram { from, to, network, body });
        }
    }

    fn arrive(&mut self, from: Place, to: Place, network: Network, body: Body) {
        self.story.note(self.now, &[body.kind(), network.0]);
        match to {
            Place::Controller(number) => self.controller_hears(number, from, network, body),
            Place::Node(number) => self.node_hears(number, from, network, body),
        }
    }

    fn node_mut(&mut self, number: u16) -> Option<&mut Machine> {
        self.nodes.get_mut(usize::from(number).checked_sub(1)?)
    }

    fn seat_mut(&mut self, number: u8) -> Option<&mut Seat> {
        self.seats.get_mut(usize::from(number).checked_sub(1)?)
    }

    fn resume(&mut self, program: Program) {
        match program {
            Program::Controller(number, starts) => {
                if self.seat(number).is_some_and(|seat| seat.starts == starts) {
                    self.resume_controller(number);
                }
            }
            Program::Sentinel(number, life) => {
                if self.node(number).is_some_and(|node| node.sentinel.life == life) {
                    self.resume_sentinel(number);
                }
            }
            Program::Agent(number, life) => {
                if self.node(number).is_some_and(|node| node.agent.life == life) {
                    self.resume_agent(number);
                }
            }
        }
    }
}

impl Body {
    /// Its kind, for the hash of the story.
    fn kind(&self) -> u8 {
        match self {
            Body::Gossip(_) => 0,
            Body::Lease(..) => 1,
            Body::Ping { .. } => 2,
            Body::Pong { .. } => 3,
        }
    }

    /// The port from which such a datagram leaves.
    fn port(&self) -> Port {
        match self {
            Body::Gossip(_) => Port::Gossip,
            Body::Lease(..) | Body::Ping { .. } | Body::Pong { .. } => Port::Lease,
        }
    }
}
