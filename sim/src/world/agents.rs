//! Agents: what their shell does.

use std::time::Duration;

use controller::effect::Network;
use fencing::domains::Domain;
use node_agent::agent::{self, Agent, Effect, Event, Setup};
use node_agent::sentinel;
use uuid::Uuid;

use super::{Body, Happening, Program, World};
use crate::fact::Fact;
use crate::node::Power;
use crate::place::{Place, Port, boot_id, cluster, member_id, node_id};

impl World {
    /// Starts a node's agent.
    pub fn start_agent(&mut self, number: u16) {
        let now = self.now;
        let place = Place::Node(number);
        let networks = (0..self.plan.networks()).map(|place| self.agent_network(number, place));
        let networks = networks.collect();
        let keys = self.controller_keys();
        let seed = self.seed_for(place, 2);
        let reports = self.plan.recovery.actual.compare;
        let checks = self.plan.checks.clone();
        let Some(node) = self.node_mut(number).filter(|node| node.power == Power::Running) else {
            return;
        };
        node.agent_starts += 1;
        node.health.hung.clear();
        let setup = Setup {
            cluster: cluster(),
            node: node_id(number),
            boot: node.boot(),
            starts: node.agent_starts,
            networks,
            keys,
            reports,
            checks,
            ceiling: None,
            seed: seed.wrapping_add(node.agent_starts),
        };
        let mut effects = Vec::new();
        let agent = Agent::new(node.clock.read(now), setup, &mut effects);
        node.agent.start(agent);
        self.do_agent_effects(number, effects);
    }

    /// Its process is gone.
    pub fn kill_agent(&mut self, number: u16) {
        if let Some(node) = self.node_mut(number) {
            node.agent.stop();
        }
    }

    /// Its process is stopped for a while.
    pub fn stall_agent(&mut self, number: u16, span: Option<Duration>) {
        let Some(node) = self.node_mut(number).filter(|node| node.agent.core.is_some()) else {
            return;
        };
        node.agent.stalled = true;
        let program = Program::Agent(number, node.agent.life);
        if let Some(span) = span {
            self.later(span, Happening::Resume(program));
        }
    }

    /// It goes on.
    pub fn resume_agent(&mut self, number: u16) {
        let Some(node) = self.node_mut(number) else { return };
        if node.hung || node.agent.core.is_none() {
            return;
        }
        node.agent.stalled = false;
        for event in std::mem::take(&mut node.agent.backlog) {
            self.tell_agent(number, event);
        }
        self.tell_agent(number, Event::Timeout);
    }

    pub(super) fn wake_agent(&mut self, number: u16, life: u32) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        if node.agent.life == life && node.agent.wakes_at == Some(now) {
            node.agent.wakes_at = None;
            self.tell_agent(number, Event::Timeout);
        }
    }

    pub(super) fn tell_agent(&mut self, number: u16, event: Event) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        if node.agent.stalled || node.hung {
            if !matches!(event, Event::Timeout) {
                node.agent.keep(event);
            }
            return;
        }
        let reading = node.clock.read(now);
        let mut effects = std::mem::take(&mut self.spare.agent);
        let core = self.node_mut(number).and_then(|node| node.agent.core.as_mut());
        let Some(core) = core else { return };
        core.handle(reading, event, &mut effects);
        self.do_agent_effects(number, effects);
    }

    fn do_agent_effects(&mut self, number: u16, mut effects: Vec<Effect>) {
        let place = Place::Node(number);
        for effect in effects.drain(..) {
            match effect {
                Effect::Gossip { network, to, bytes } => {
                    let network = Network(network);
                    if self.lets_leave(number, network, to, &bytes) {
                        self.send(place, network, to, Body::Gossip(bytes));
                    }
                }
                Effect::Ping { network, to, nonce } => {
                    let network = Network(network);
                    self.send(place, network, to, Body::Ping { nonce });
                }
                Effect::Pong { network, to, nonce } => {
                    let network = Network(network);
                    let boots = self.node(number).map_or(0, |node| node.boots);
                    let (id, boot) = (member_id(place), boot_id(place, boots).0);
                    self.send(place, network, to, Body::Pong { nonce, id, boot });
                }
                Effect::End(destroy) => {
                    let signers = destroy.signatures.iter().map(|(id, _)| *id).collect();
                    let order = destroy.order;
                    let domain = order.domain;
                    self.facts.push(Fact::Ended { node: number, order, signers });
                    self.end_guest(number, domain);
                }
                Effect::PassToSentinel(event) => {
                    self.tell_sentinel(number, sentinel::Event::FenceEvent(*event));
                }
                Effect::RunCheck { check, run } => self.run_check(number, check, run),
                Effect::PutOff { .. } => {}
                Effect::ListUse => {
                    let domains = self.node(number).map(|node| node.guests.iter().map(used));
                    let domains = domains.map(Iterator::collect);
                    self.tell_agent(number, Event::Use { domains });
                }
                Effect::ListDomains { nonce, network, to } => {
                    let domains =
                        self.node(number).map(|node| node.guests.iter().copied().collect());
                    self.tell_agent(number, Event::Domains { nonce, network, to, domains });
                }
            }
        }
        self.spare.agent = effects;
        self.plan_agent(number);
    }

    fn plan_agent(&mut self, number: u16) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        let Some((reading, _)) = node.agent.core.as_ref().and_then(Agent::poll_timeout) else {
            return;
        };
        let planned = node.agent.wakes_at;
        if planned.is_none_or(|at| now < at && node.clock.comes_before(reading, at)) {
            let at = node.clock.when(reading).max(now);
            node.agent.wakes_at = Some(at);
            let program = Program::Agent(number, node.agent.life);
            self.queue.push(at, Happening::Wake(program));
        }
    }

    fn agent_network(&self, number: u16, network: u8) -> agent::Network {
        let (place, network) = (Place::Node(number), Network(network));
        let controllers = self.seats.iter().map(|seat| seat.place().address(network, Port::Gossip));
        agent::Network {
            gossip: place.address(network, Port::Gossip),
            ping: place.address(network, Port::Lease),
            controllers: controllers.collect(),
        }
    }
}

/// What a guest uses, as far as anybody can say here.
fn used(guest: &Uuid) -> Domain {
    Domain { memory_mib: Some(512), ..Domain::unmeasured(*guest) }
}
