//! A network of groups in one thread under virtual time.

use std::cmp::Reverse;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use gossip::ceiling::Ceiling;
use gossip::config::Config;
use gossip::group::{Effect, Event, Group, State};
use gossip::identity::Member;
use gossip::packet::MAX_PLAIN;
use gossip::seal::OVERHEAD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// Whether a datagram from one node to another is carried; its first byte is its kind.
pub(crate) type Carries = Box<dyn Fn(usize, usize, u8) -> bool>;

enum What {
    Deliver { to: usize, from: usize, bytes: Vec<u8> },
    Wake(usize),
}

pub(crate) struct Node {
    pub(crate) group: Option<Group>,
    pub(crate) paused_until: Duration,
    /// What it found: time and effect, without `Send`.
    pub(crate) found: Vec<(Duration, Effect)>,
    wakes_at: Option<Duration>,
}

pub(crate) struct Network {
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    pub(crate) carries: Carries,
    /// Part of all datagrams that is lost.
    pub(crate) loss: f64,
    /// Part of what is sent to a node that is lost besides.
    pub(crate) deaf: BTreeMap<usize, f64>,
    pub(crate) sent: u64,
    /// What was sent, if it is wanted: when, by whom, its kind, sealed bytes.
    pub(crate) ledger: Option<Vec<(Duration, usize, u8, usize)>>,
    pub(crate) largest: usize,
    ceiling: Option<Ceiling>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, What>,
    sequence: u64,
    rng: ChaCha8Rng,
    trace: DefaultHasher,
    out: Vec<Effect>,
}

pub(crate) fn id(node: usize) -> Uuid {
    Uuid::from_u128(1 + node as u128)
}

pub(crate) fn address(node: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (node / 250) as u8, (node % 250) as u8], 7001))
}

pub(crate) fn member(node: usize, start: u64) -> Member {
    Member {
        id: id(node),
        generation: Member::generation_of_start(start),
        boot: Uuid::from_u128(1_000_000 * u128::from(start) + node as u128),
        addr: address(node),
        ping: SocketAddr::new(address(node).ip(), 7002),
        controller: node < 3,
    }
}

impl Network {
    /// `nodes` groups that join through the first three, within the first second.
    pub(crate) fn new(nodes: usize, seed: u64) -> Self {
        Self::under(None, nodes, seed)
    }

    /// The same, with a ceiling for each of them.
    pub(crate) fn under(ceiling: Option<Ceiling>, nodes: usize, seed: u64) -> Self {
        let mut network = Self {
            now: Duration::from_secs(1000),
            nodes: Vec::new(),
            carries: Box::new(|_, _, _| true),
            loss: 0.0,
            deaf: BTreeMap::new(),
            sent: 0,
            ledger: None,
            ceiling,
            largest: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            sequence: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            trace: DefaultHasher::new(),
            out: Vec::new(),
        };
        for node in 0..nodes {
            network.nodes.push(Node {
                group: None,
                paused_until: Duration::ZERO,
                found: Vec::new(),
                wakes_at: None,
            });
            network.start(node, 1);
            network.run(Duration::from_millis(1000 / nodes as u64));
        }
        network
    }

    /// Starts a node under its `start`-th boot.
    pub(crate) fn start(&mut self, node: usize, start: u64) {
        let seed = self.rng.random();
        let config = Config { ceiling: self.ceiling, ..Config::lan(self.nodes.len()) };
        let mut group = Group::new(config, member(node, start), seed);
        group.join(self.now, &[address(0), address(1), address(2)], &mut self.out);
        self.nodes[node].group = Some(group);
        self.nodes[node].wakes_at = None;
        self.carry_out(node);
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].group = None;
    }

    /// Has a node do something else than handle an event.
    pub(crate) fn with<T>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Group, Duration, &mut Vec<Effect>) -> T,
    ) -> T {
        let group = self.nodes[node].group.as_mut().expect("a running node");
        let result = call(group, self.now, &mut self.out);
        self.carry_out(node);
        result
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, sequence))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            match self.events.remove(&sequence) {
                Some(What::Wake(node)) => self.wake(node, at),
                Some(What::Deliver { to, from, bytes }) => self.deliver(to, from, bytes),
                None => {}
            }
        }
        self.now = end;
    }

    fn wake(&mut self, node: usize, at: Duration) {
        let paused = self.nodes[node].paused_until;
        if self.nodes[node].wakes_at == Some(at) {
            self.nodes[node].wakes_at = None;
        }
        let Some(group) = self.nodes[node].group.as_mut() else { return };
        if paused > self.now {
            self.push(paused, What::Wake(node));
            return;
        }
        if group.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
            group.handle(self.now, Event::Timeout, &mut self.out);
        }
        self.carry_out(node);
    }

    fn deliver(&mut self, to: usize, from: usize, bytes: Vec<u8>) {
        let paused = self.nodes[to].paused_until;
        if paused > self.now {
            self.push(paused, What::Deliver { to, from, bytes });
            return;
        }
        let Some(group) = self.nodes[to].group.as_mut() else { return };
        let packet = Event::Packet { from: address(from), bytes: &bytes };
        group.handle(self.now, packet, &mut self.out);
        self.carry_out(to);
    }

    fn carry_out(&mut self, node: usize) {
        for effect in std::mem::take(&mut self.out) {
            let Effect::Send { to, bytes } = effect else {
                (self.now, node, effect.to_string()).hash(&mut self.trace);
                self.nodes[node].found.push((self.now, effect));
                continue;
            };
            (self.now, node, to, &bytes).hash(&mut self.trace);
            self.sent += 1;
            if let Some(ledger) = &mut self.ledger {
                ledger.push((self.now, node, bytes[0], bytes.len() + OVERHEAD));
            }
            self.largest = self.largest.max(bytes.len());
            assert!(bytes.len() <= MAX_PLAIN, "packet of {} bytes", bytes.len());
            let SocketAddr::V4(v4) = to else { continue };
            let [_, _, high, low] = v4.ip().octets();
            let to = usize::from(high) * 250 + usize::from(low);
            let lost = self.loss > 0.0 && self.rng.random_bool(self.loss);
            let deaf = self.deaf.get(&to).is_some_and(|part| self.rng.random_bool(*part));
            if lost || deaf || to >= self.nodes.len() || !(self.carries)(node, to, bytes[0]) {
                continue;
            }
            let flight = Duration::from_micros(self.rng.random_range(200..2200));
            self.push(self.now + flight, What::Deliver { to, from: node, bytes });
        }
        let next = self.nodes[node].group.as_ref().and_then(Group::poll_timeout);
        if let Some((at, _)) = next
            && self.nodes[node].wakes_at.is_none_or(|wakes| at < wakes)
        {
            self.nodes[node].wakes_at = Some(at);
            self.push(at, What::Wake(node));
        }
    }

    fn push(&mut self, at: Duration, what: What) {
        self.sequence += 1;
        self.events.insert(self.sequence, what);
        self.queue.push(Reverse((at, self.sequence)));
    }

    /// Hash over everything that was sent and found, with its time.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// What a node found since a time.
    pub(crate) fn found(&self, node: usize, since: Duration) -> impl Iterator<Item = &Effect> {
        self.nodes[node].found.iter().filter(move |(at, _)| *at >= since).map(|(_, found)| found)
    }

    /// Deaths declared since a time: who said so, and of whom.
    pub(crate) fn downs(&self, since: Duration) -> Vec<(usize, Uuid)> {
        let mut downs = Vec::new();
        for node in 0..self.nodes.len() {
            downs.extend(self.found(node, since).filter_map(|found| match found {
                Effect::MemberDown(member) => Some((node, member.id)),
                Effect::Send { .. }
                | Effect::ProbeFailed { .. }
                | Effect::MemberUp(_)
                | Effect::Renamed { .. }
                | Effect::Heard { .. }
                | Effect::PutOff { .. }
                | Effect::Talk { .. } => None,
            }));
        }
        downs
    }

    /// How many running nodes know `other` in this boot and do not call it dead.
    pub(crate) fn knowing(&self, other: usize, boot: Uuid) -> usize {
        let groups = self.nodes.iter().filter_map(|node| node.group.as_ref());
        groups
            .filter(|group| {
                group.members().any(|(member, state)| {
                    member.id == id(other) && member.boot == boot && state != State::Down
                })
            })
            .count()
    }

    /// Pairs of running nodes of which one does not know the other, or calls it dead.
    pub(crate) fn strangers(&self) -> usize {
        let running = self.nodes.iter().filter(|node| node.group.is_some()).count();
        let strangers = |(node, known): (usize, &Node)| {
            let boot = known.group.as_ref().map(|group| group.me().boot);
            boot.map_or(0, |boot| running - 1 - self.knowing(node, boot))
        };
        self.nodes.iter().enumerate().map(strangers).sum()
    }
}
