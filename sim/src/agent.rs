//! A small agent: gossip and witness on every network, census, fence events. It stands in for `node_agent::agent` and
//! goes when that one can be driven.

use std::net::SocketAddr;
use std::time::Duration;

use controller::detect::WITNESS_CHANNEL;
use controller::effect::Network;
use fencing::census;
use fencing::event::FenceEvent;
use fencing::{BootId, NodeId};
use gossip::config::Config;
use gossip::group::{self, Group};
use gossip::identity::Member;
use gossip::witness::{self, Hint, Message, Witness};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// What happens to it.
#[derive(Clone, Debug)]
pub enum Event {
    /// A gossip datagram.
    Gossip {
        /// Network.
        network: Network,
        /// Where from.
        from: SocketAddr,
        /// Unsealed bytes.
        bytes: Vec<u8>,
    },
    /// An answer to a witness ping.
    Pong {
        /// Network.
        network: Network,
        /// Quoted.
        nonce: u64,
        /// Who answers.
        id: Uuid,
        /// Its boot.
        boot: Uuid,
    },
    /// The domains that run here, as asked for.
    Domains {
        /// Quoted.
        nonce: u64,
        /// Where the answer goes.
        network: Network,
        /// Where the answer goes.
        to: SocketAddr,
        /// The domains.
        domains: Vec<Uuid>,
    },
    /// The time of `poll_timeout` has come.
    Timeout,
}

/// What it wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send from the gossip port.
    Gossip {
        /// Network.
        network: Network,
        /// Destination.
        to: SocketAddr,
        /// Unsealed bytes.
        bytes: Vec<u8>,
    },
    /// Send a witness ping.
    Ping {
        /// Network.
        network: Network,
        /// Destination.
        to: SocketAddr,
        /// To be quoted.
        nonce: u64,
    },
    /// Hand it to the sentinel.
    FenceEvent(Box<FenceEvent>),
    /// Ask libvirt which domains run, and come back with [`Event::Domains`].
    List {
        /// To be quoted.
        nonce: u64,
        /// To be quoted.
        network: Network,
        /// To be quoted.
        to: SocketAddr,
    },
}

/// What it is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The node.
    pub node: NodeId,
    /// Its boot.
    pub boot: BootId,
    /// Starts of this program, from its disk.
    pub starts: u64,
    /// Where it gossips, one address per network.
    pub gossip: Vec<SocketAddr>,
    /// Where its sentinel answers pings.
    pub ping: Vec<SocketAddr>,
    /// Gossip addresses of the controllers, per network.
    pub controllers: Vec<Vec<SocketAddr>>,
    /// Seed.
    pub seed: u64,
}

/// The agent.
pub struct Agent {
    setup: Setup,
    sides: Vec<Side>,
}

struct Side {
    network: Network,
    group: Group,
    witness: Witness,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Agent({})", self.setup.node)
    }
}

impl Agent {
    /// Starts and joins.
    pub fn new(now: Duration, setup: Setup, out: &mut Vec<Effect>) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(setup.seed);
        let mut sides = Vec::new();
        for (place, addr) in setup.gossip.iter().enumerate() {
            let network = Network(u8::try_from(place).unwrap_or(u8::MAX));
            let member = Member {
                id: setup.node.0,
                generation: Member::generation_of_start(setup.starts),
                boot: setup.boot.0,
                addr: *addr,
                ping: setup.ping.get(place).copied().unwrap_or(*addr),
                controller: false,
            };
            let mut group = Group::new(Config::lan(16), member, rng.next_u64());
            let witness = Witness::new(setup.node.0, rng.next_u64());
            let mut effects = Vec::new();
            let seeds = setup.controllers.get(place).cloned().unwrap_or_default();
            group.join(now, &seeds, &mut effects);
            let mut side = Side { network, group, witness };
            side.take_group(now, effects, &setup, out);
            sides.push(side);
        }
        Self { setup, sides }
    }

    /// Takes an event.
    pub fn handle(&mut self, now: Duration, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Gossip { network, from, bytes } => {
                let Some(side) = self.sides.get_mut(network.place()) else { return };
                let mut effects = Vec::new();
                side.group.handle(now, group::Event::Packet { from, bytes: &bytes }, &mut effects);
                side.take_group(now, effects, &self.setup, out);
            }
            Event::Pong { network, nonce, id, boot } => {
                let Some(side) = self.sides.get_mut(network.place()) else { return };
                side.with_witness(now, witness::Event::Pong { nonce, id, boot }, &self.setup, out);
            }
            Event::Domains { nonce, network, to, domains } => {
                let Some(side) = self.sides.get_mut(network.place()) else { return };
                let (node, boot) = (self.setup.node, self.setup.boot);
                let answer =
                    census::Message::Answer { nonce, node, boot, part: 0, parts: 1, domains };
                if let Ok(body) = postcard::to_stdvec(&answer) {
                    side.talk(to, census::CHANNEL, &body, out);
                }
            }
            Event::Timeout => {
                for side in &mut self.sides {
                    let mut effects = Vec::new();
                    if side.group.poll_timeout().is_some_and(|(at, _)| at <= now) {
                        side.group.handle(now, group::Event::Timeout, &mut effects);
                    }
                    side.take_group(now, effects, &self.setup, out);
                    if side.witness.poll_timeout().is_some_and(|(at, _)| at <= now) {
                        side.with_witness(now, witness::Event::Timeout, &self.setup, out);
                    }
                }
            }
        }
    }

    /// When it wants a timeout.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        let timers = self.sides.iter().flat_map(|side| [side.group.poll_timeout(), side.witness.poll_timeout()]);
        timers.flatten().min()
    }
}

impl Side {
    fn take_group(
        &mut self,
        now: Duration,
        effects: Vec<group::Effect>,
        setup: &Setup,
        out: &mut Vec<Effect>,
    ) {
        for effect in effects {
            match effect {
                group::Effect::Send { to, bytes } => {
                    out.push(Effect::Gossip { network: self.network, to, bytes });
                }
                group::Effect::ProbeFailed { member } => {
                    let hint = Message::Hint(Hint {
                        suspect: member.id,
                        boot: member.boot,
                        observer: setup.node.0,
                        score: u8::try_from(self.group.score()).unwrap_or(4),
                    });
                    self.tell_controllers(setup, &hint, out);
                }
                group::Effect::Heard { bytes, .. } => {
                    if let Ok(event) = postcard::from_bytes(&bytes) {
                        out.push(Effect::FenceEvent(Box::new(event)));
                    }
                }
                group::Effect::Talk { from, bytes } => self.talked(now, from, &bytes, setup, out),
                group::Effect::MemberUp(_)
                | group::Effect::MemberDown(_)
                | group::Effect::Renamed { .. } => {}
            }
        }
    }

    fn talked(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: &[u8],
        setup: &Setup,
        out: &mut Vec<Effect>,
    ) {
        let Some((&channel, body)) = bytes.split_first() else { return };
        if channel == census::CHANNEL {
            if let Ok(census::Message::Ask { nonce }) = postcard::from_bytes(body) {
                out.push(Effect::List { nonce, network: self.network, to: from });
            }
            return;
        }
        match Message::parse(body).filter(|_| channel == WITNESS_CHANNEL) {
            Some(Message::Watch(watch)) => {
                self.with_witness(now, witness::Event::Watch(watch), setup, out);
            }
            Some(Message::Unwatch { ask }) => {
                self.with_witness(now, witness::Event::Unwatch { ask }, setup, out);
            }
            Some(Message::Hint(_) | Message::Report(_)) | None => {}
        }
    }

    fn with_witness(
        &mut self,
        now: Duration,
        event: witness::Event,
        setup: &Setup,
        out: &mut Vec<Effect>,
    ) {
        let mut effects = Vec::new();
        self.witness.handle(now, event, self.group.peers(), &mut effects);
        for effect in effects {
            match effect {
                witness::Effect::Ping { to, nonce } => {
                    out.push(Effect::Ping { network: self.network, to, nonce });
                }
                witness::Effect::Report(report) => {
                    self.tell_controllers(setup, &Message::Report(report), out);
                }
            }
        }
    }

    fn tell_controllers(&self, setup: &Setup, message: &Message, out: &mut Vec<Effect>) {
        let to = setup.controllers.get(self.network.place()).cloned().unwrap_or_default();
        for to in to {
            self.talk(to, WITNESS_CHANNEL, &message.to_bytes(), out);
        }
    }

    fn talk(&self, to: SocketAddr, channel: u8, body: &[u8], out: &mut Vec<Effect>) {
        let mut payload = vec![channel];
        payload.extend_from_slice(body);
        let mut effects = Vec::new();
        if self.group.talk(to, &payload, &mut effects).is_ok() {
            for effect in effects {
                if let group::Effect::Send { to, bytes } = effect {
                    out.push(Effect::Gossip { network: self.network, to, bytes });
                }
            }
        }
    }
}
