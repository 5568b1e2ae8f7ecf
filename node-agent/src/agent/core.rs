//! The agent's decisions: one lane per network, and what they share.

mod checks;
mod report;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use fencing::domains::Domain;
use fencing::event::FenceEvent;
use fencing::sent::Total;
use fencing::sign::PublicKey;
use fencing::stray::Destroy;
use fencing::{BootId, ControllerId, NodeId, census};
use gossip::ceiling::Ceiling;
use gossip::group::State;
use gossip::identity::Member;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::lane::Lane;
use super::reports::{LOOK_EVERY, Reports};
use super::sent::Outlay;
use super::strays::Strays;
use crate::checks::{Checks, Outcome, Plan};

/// Censuses under way at once. More are not answered: the leader asks one at a time and repeats.
const MOST_CENSUSES: usize = 8;

/// What an agent is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The cluster; a fence event of another one is not passed on.
    pub cluster: Uuid,
    /// This node.
    pub node: NodeId,
    /// Its boot.
    pub boot: BootId,
    /// Starts of this program so far, from its disk: a restart beats whatever gossip knows of the run before.
    pub starts: u64,
    /// The networks, in the order of the configuration.
    pub networks: Vec<Network>,
    /// Keys of the controllers: a fence event that two of them have not signed is not passed on.
    pub keys: Vec<(ControllerId, PublicKey)>,
    /// Whether the list of domains is sent to the controllers unasked.
    pub reports: bool,
    /// Its health checks.
    pub checks: Vec<Plan>,
    /// What gossip may send in a second, on each network.
    pub ceiling: Option<Ceiling>,
    /// Where random numbers come from. Unpredictable outside simulations: pongs are believed by their nonces.
    pub seed: u64,
}

/// One network, seen from this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Where others send gossip.
    pub gossip: SocketAddr,
    /// Where others send witness pings: the sentinel's port.
    pub ping: SocketAddr,
    /// Where the controllers gossip: the seeds, and the only ones that may ask for anything.
    pub controllers: Vec<SocketAddr>,
}

/// Everything that can happen to an agent. `network` is the place of a network in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A gossip datagram that opened.
    Gossip {
        /// Where.
        network: u8,
        /// Sender's address.
        from: SocketAddr,
        /// Unsealed bytes.
        bytes: Vec<u8>,
    },
    /// A witness ping, where no sentinel answers.
    Ping {
        /// Where.
        network: u8,
        /// Where the answer goes.
        from: SocketAddr,
        /// To be quoted.
        nonce: u64,
    },
    /// An answer to one of our pings.
    Pong {
        /// Where.
        network: u8,
        /// That of the ping.
        nonce: u64,
        /// Who answers.
        id: Uuid,
        /// Its boot.
        boot: Uuid,
    },
    /// The domains that run here, listed after the census asked.
    Domains {
        /// The census.
        nonce: u64,
        /// Where it asked.
        network: u8,
        /// Where the answer goes.
        to: SocketAddr,
        /// The domains; `None` if they could not be listed, and then nothing is answered: no list is not an empty one.
        domains: Option<Vec<Uuid>>,
    },
    /// The domains that run here with what they use, as [`Effect::ListUse`] asked for.
    Use {
        /// `None` if they could not be listed.
        domains: Option<Vec<Domain>>,
    },
    /// The program is asked to end.
    Leave,
    /// The time of `poll_timeout` has come.
    Timeout,
    /// A health check has ended, as [`Effect::RunCheck`] asked for.
    Checked {
        /// Its place in the configuration.
        check: u8,
        /// The run.
        run: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// Somebody on this node says how a check is.
    Pushed {
        /// Its place in the configuration.
        check: u8,
        /// How.
        outcome: Outcome,
    },
    /// What was sent so far, each network in its place. It comes before [`Event::Use`].
    Sent {
        /// By this program: from its gossip port, and from its ping port.
        own: Vec<(Total, Total)>,
        /// By the sentinel, on its own clock; `None` where there is none.
        sentinel: Option<(Duration, Vec<Total>)>,
    },
}

/// Everything that an agent wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Seal and send from the gossip port.
    Gossip {
        /// Where.
        network: u8,
        /// Destination.
        to: SocketAddr,
        /// Unsealed bytes.
        bytes: Vec<u8>,
    },
    /// Send a witness ping.
    Ping {
        /// Where.
        network: u8,
        /// Destination.
        to: SocketAddr,
        /// To be quoted.
        nonce: u64,
    },
    /// Answer a witness ping.
    Pong {
        /// Where.
        network: u8,
        /// Destination.
        to: SocketAddr,
        /// That of the ping.
        nonce: u64,
    },
    /// List the domains and come back with [`Event::Domains`].
    ListDomains {
        /// To be quoted.
        nonce: u64,
        /// To be quoted.
        network: u8,
        /// To be quoted.
        to: SocketAddr,
    },
    /// List the domains with what they use and come back with [`Event::Use`].
    ListUse,
    /// End a domain: two controllers have signed that it is a stray copy.
    End(Box<Destroy>),
    /// Hand it to the sentinel, which verifies it. Twice is harmless.
    PassToSentinel(Box<FenceEvent>),
    /// Begin a health check and come back with [`Event::Checked`], whatever comes of it. At most one run of each is out.
    RunCheck {
        /// Its place in the configuration.
        check: u8,
        /// To be quoted.
        run: u64,
    },
    /// Say that gossip had to wait for its ceiling. Once a minute at most.
    PutOff {
        /// Where.
        network: u8,
        /// Rounds, pieces and news that waited since it was said last.
        count: u64,
    },
}

/// The agent of one node.
pub struct Agent {
    cluster: Uuid,
    node: NodeId,
    boot: BootId,
    keys: Vec<(ControllerId, PublicKey)>,
    lanes: Vec<Lane>,
    /// When each lane wants to be woken: asked for after each event, of which most concern one lane.
    dues: Vec<Option<(Duration, &'static str)>>,
    censuses: Vec<u64>,
    unanswered: u64,
    reports: Reports,
    outlay: Outlay,
    strays: Strays,
    checks: Checks,
}

/// What a lane leaves to the agent.
pub(super) enum Upward {
    /// A controller takes a census.
    Census { network: u8, from: SocketAddr, nonce: u64 },
    /// A controller asks for all health checks.
    Checks { network: u8, from: SocketAddr, nonce: u64 },
    /// A fence event was heard.
    Heard(Vec<u8>),
    /// A controller orders a stray copy to be ended.
    End(Vec<u8>),
}

impl Agent {
    /// An agent that joins its groups.
    pub fn new(now: Duration, setup: Setup, effects: &mut Vec<Effect>) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(setup.seed);
        let mut lanes = Vec::new();
        for (network, place) in setup.networks.iter().zip(0..=u8::MAX) {
            let member = Member {
                id: setup.node.0,
                generation: Member::generation_of_start(setup.starts),
                boot: setup.boot.0,
                addr: network.gossip,
                ping: network.ping,
                controller: false,
            };
            let seeds = (rng.next_u64(), rng.next_u64());
            let mut lane =
                Lane::new(place, member, network.controllers.clone(), setup.ceiling, seeds);
            lane.guard_events(setup.cluster, setup.keys.clone());
            lane.join(now, effects);
            lanes.push(lane);
        }
        // Agents that start together do not report together.
        let first = setup.reports.then(|| now + LOOK_EVERY.mul_f64(rng.random_range(0.1..1.0)));
        let dues = lanes.iter().map(Lane::poll_timeout).collect();
        let who = (setup.node, setup.boot, setup.starts);
        let checks = Checks::new(now, who, setup.checks, &mut rng);
        Self {
            cluster: setup.cluster,
            node: setup.node,
            boot: setup.boot,
            keys: setup.keys,
            lanes,
            dues,
            censuses: Vec::new(),
            unanswered: 0,
            reports: Reports::new(first, setup.starts),
            outlay: Outlay::default(),
            strays: Strays::default(),
            checks,
        }
    }

    /// Takes an event; what is to be done is appended to `effects`.
    pub fn handle(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        let mut upward = Vec::new();
        match event {
            Event::Gossip { network, from, bytes } => {
                self.with_lane(network, |lane| {
                    lane.gossip(now, from, &bytes, effects, &mut upward);
                });
            }
            Event::Ping { network, from, nonce } => {
                effects.push(Effect::Pong { network, to: from, nonce });
            }
            Event::Pong { network, nonce, id, boot } => {
                self.with_lane(network, |lane| lane.pong(now, nonce, id, boot, effects));
            }
            Event::Domains { nonce, network, to, domains } => {
                self.strays.answered(now, nonce, domains.as_deref().unwrap_or_default());
                self.answer_census(nonce, network, to, domains, effects);
            }
            Event::Use { domains } => self.report(now, domains, effects),
            Event::Leave => {
                self.lanes.iter_mut().for_each(|lane| lane.leave(now, effects));
                self.dues = self.lanes.iter().map(Lane::poll_timeout).collect();
            }
            Event::Timeout => {
                for (lane, due) in self.lanes.iter_mut().zip(&mut self.dues) {
                    if due.is_some_and(|(at, _)| at <= now) {
                        lane.timeout(now, effects, &mut upward);
                        *due = lane.poll_timeout();
                    }
                }
                if self.reports.is_due(now) {
                    effects.push(Effect::ListUse);
                }
                self.checks_timeout(now, effects);
            }
            Event::Checked { check, run, outcome } => {
                self.check_ended(now, (check, run), outcome, effects);
            }
            Event::Pushed { check, outcome } => self.check_pushed(now, check, outcome, effects),
            Event::Sent { own, sentinel } => self.note_sent(now, own, sentinel),
        }
        for upward in upward {
            self.take(now, upward, effects);
        }
    }

    /// When the next [`Event::Timeout`] is due, and why.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        let lanes = self.dues.iter().flatten().copied();
        let own = [self.reports.poll_timeout(), self.checks.poll_timeout()];
        lanes.chain(own.into_iter().flatten()).min_by_key(|(at, _)| *at)
    }

    /// The members of the group on a network, with what the group believes of them: hints for people.
    pub fn members(&self, network: u8) -> impl Iterator<Item = (&Member, State)> {
        self.lanes.get(usize::from(network)).into_iter().flat_map(Lane::members)
    }

    /// Whether nothing would be lost if another core began: no census is under way, nobody is watched, no check failed.
    pub fn is_idle(&self) -> bool {
        self.censuses.is_empty() && self.checks.is_calm() && self.lanes.iter().all(Lane::is_idle)
    }

    /// Censuses that could not be answered: too many at once, or no list of domains.
    pub fn unanswered_censuses(&self) -> u64 {
        self.unanswered
    }

    /// Does something to a network's lane, and notes when it wants to be woken now.
    fn with_lane(&mut self, network: u8, step: impl FnOnce(&mut Lane)) {
        let place = usize::from(network);
        if let (Some(lane), Some(due)) = (self.lanes.get_mut(place), self.dues.get_mut(place)) {
            step(lane);
            *due = lane.poll_timeout();
        }
    }

    fn take(&mut self, now: Duration, upward: Upward, effects: &mut Vec<Effect>) {
        match upward {
            Upward::Checks { network, from, nonce } => {
                self.answer_checks(now, (network, from), nonce, effects);
            }
            Upward::Census { network, from, nonce } => {
                // The same ask may come again, over this or another network, and each gets an answer.
                if self.censuses.len() >= MOST_CENSUSES {
                    self.unanswered += 1;
                    return;
                }
                self.censuses.push(nonce);
                effects.push(Effect::ListDomains { nonce, network, to: from });
            }
            Upward::End(bytes) => {
                let destroy = postcard::from_bytes::<Destroy>(&bytes).ok();
                let (node, boot, cluster) = (self.node, self.boot, self.cluster);
                let ours = |destroy: &Destroy| {
                    let order = &destroy.order;
                    (order.cluster, order.node, order.boot) == (cluster, node, boot)
                        && destroy.is_signed_by_two(&self.keys)
                };
                let Some(destroy) = destroy.filter(ours) else { return };
                if self.strays.obeys(now, &destroy.order) {
                    effects.push(Effect::End(Box::new(destroy)));
                }
            }
            Upward::Heard(bytes) => {
                let event = postcard::from_bytes::<FenceEvent>(&bytes).ok();
                let ours = |event: &FenceEvent| {
                    event.order.node == self.node
                        && (event.order.boot == self.boot || mutants::is_on(mutants::Mutant::M42))
                        && event.order.cluster == self.cluster
                        && event.is_signed_by_two(&self.keys)
                };
                if let Some(event) = event.filter(ours) {
                    effects.push(Effect::PassToSentinel(Box::new(event)));
                }
            }
        }
    }

    fn answer_census(
        &mut self,
        nonce: u64,
        network: u8,
        to: SocketAddr,
        domains: Option<Vec<Uuid>>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self.censuses.iter().position(|open| *open == nonce) else { return };
        self.censuses.swap_remove(index);
        let Some(domains) = domains else {
            self.unanswered += 1;
            return;
        };
        let (node, boot) = (self.node, self.boot);
        let Some(lane) = self.lanes.get(usize::from(network)) else { return };
        let pieces: Vec<Vec<Uuid>> = if domains.is_empty() {
            vec![Vec::new()]
        } else {
            domains.chunks(census::DOMAINS_PER_PART).map(<[Uuid]>::to_vec).collect()
        };
        let parts = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
        for (part, domains) in (0..parts).zip(pieces) {
            let answer = census::Message::Answer { nonce, node, boot, part, parts, domains };
            if let Ok(body) = postcard::to_stdvec(&answer) {
                lane.talk(to, census::CHANNEL, &body, effects);
            }
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({}, {} networks)", self.node, self.lanes.len())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Gossip { network, from, bytes } => {
                write!(f, "gossip on {network} from {from}: {} bytes", bytes.len())
            }
            Event::Ping { network, from, .. } => write!(f, "ping on {network} from {from}"),
            Event::Pong { network, id, .. } => write!(f, "pong on {network} of {id}"),
            Event::Domains { domains: Some(domains), .. } => write!(f, "{} domains", domains.len()),
            Event::Domains { domains: None, .. } => f.write_str("no list of domains"),
            Event::Use { domains: Some(domains) } => write!(f, "use of {} domains", domains.len()),
            Event::Use { domains: None } => f.write_str("no use of domains"),
            Event::Leave => f.write_str("leave"),
            Event::Timeout => f.write_str("timeout"),
            Event::Checked { check, outcome, .. } => {
                write!(f, "check {check} is {}: {}", outcome.state, outcome.message)
            }
            Event::Pushed { check, outcome } => {
                write!(f, "check {check} is pushed as {}: {}", outcome.state, outcome.message)
            }
            Event::Sent { own, .. } => write!(f, "what was sent on {} networks", own.len()),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Gossip { network, to, bytes } => {
                write!(f, "gossip on {network} to {to}: {} bytes", bytes.len())
            }
            Effect::Ping { network, to, .. } => write!(f, "ping on {network} to {to}"),
            Effect::Pong { network, to, .. } => write!(f, "pong on {network} to {to}"),
            Effect::ListDomains { network, to, .. } => {
                write!(f, "list domains for {to} on {network}")
            }
            Effect::ListUse => f.write_str("list domains with what they use"),
            Effect::End(destroy) => write!(f, "end the stray copy {}", destroy.order.domain),
            Effect::PassToSentinel(event) => {
                write!(f, "fence event of epoch {} to the sentinel", event.order.epoch)
            }
            Effect::RunCheck { check, run } => write!(f, "run {run} of check {check}"),
            Effect::PutOff { network, count } => {
                write!(f, "gossip on {network} put off {count} under its ceiling")
            }
        }
    }
}
