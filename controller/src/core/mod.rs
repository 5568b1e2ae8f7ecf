//! The decision core: events in, effects out, in the order in which they must be carried out.
//!
//! ```text
//!  handle(event)                              one direction, few commits
//!    detect -> decide -> guards -> propose Intent
//!    raft applies Intent -> fence -> propose Fenced
//!    raft applies Fenced -> recover -> propose ForcedDown, Planned, Attempt, Sent, Moved, Recovered
//!    node returns        -> give_back -> propose Released, Returned
//! ```
//!
//! What is replicated lives in the registry. What is in `leading` is only this leader's work in hand: it is empty
//! after a change of leader, and the next leader builds it anew from the registry, assuming nothing.

mod actual;
mod ask_guards;
mod cell;
mod check;
mod checks;
mod cloud;
mod copies;
mod cosign;
mod decide;
mod drill;
mod dump;
mod enroll;
mod explain;
mod fence;
mod flaps;
mod follow;
mod foreign;
mod fresh;
mod give_back;
mod images;
mod inventory;
mod leading;
mod levels;
mod lives;
mod orders;
mod outbox;
mod pace;
mod place;
mod proxies;
mod recover;
mod renewals;
mod replicate;
mod reserve;
mod sent;
mod sentinels;
mod settings;
mod survey;
mod view;
mod vm;

use std::collections::BTreeMap;
use std::time::Duration;

use action_matrix::Matrix;
use fencing::{ControllerId, NodeId};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::detect::{Seen, Sight, first, member_id};
use crate::effect::{Effect, Network, PeerMessage, Ticket};
use crate::event::Event;
use crate::raft::{self, Raft};
use crate::registry::{Command, Enrolment, Registry};

pub use actual::Counts;
pub use lives::{Lives, Patience, Turn};
pub use settings::{Actual, Missing, Pace, Peer, Recovery, SNAPSHOT_EVERY, Settings, Stray, Waits};

use checks::Held;
use copies::Copies;
use leading::Leading;
use outbox::Outbox;
use sent::Outlays;
use sentinels::Sentinels;

/// Raft's own step.
const RAFT_TICK: Duration = Duration::from_millis(50);
/// A gap of this length between two events is a process that hung: Raft's own step alone wants twenty a second.
const SLEPT: Duration = Duration::from_secs(2);
/// The leader looks at everything it has in hand this often, beside when something happens.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A controller.
pub struct Controller {
    settings: Settings,
    rng: ChaCha8Rng,
    raft: Raft,
    registry: Registry,
    copies: Copies,
    matrix: Matrix,
    sights: Vec<Sight>,
    sentinels: Sentinels,
    checks: Held,
    outlays: Outlays,
    /// When a node's crash kernel said last that it writes a dump.
    dumps: BTreeMap<NodeId, Duration>,
    /// Indexes and nodes of the intents in the part of the log that is not applied yet: none of these nodes is acked
    /// (rule 8).
    tail_intents: Vec<(u64, NodeId)>,
    /// Last index that the disk gave back.
    held_at_start: u64,
    /// When this controller learned of each open intent's commit, by index.
    intent_known: BTreeMap<u64, Duration>,
    /// When this controller learned of each order to end a stray copy, by index.
    ends_known: BTreeMap<u64, Duration>,
    leading: Option<Leading>,
    outbox: Outbox,
    inventory: Vec<(NodeId, Enrolment)>,
    started: Duration,
    grace_until: Duration,
    wall_ms: u64,
    now: Duration,
    next_tick: Duration,
    next_look: Duration,
    next_ticket: u64,
    counts: Counts,
}

impl Controller {
    /// A controller at its start, with what its disk gave back.
    pub fn new(
        now: Duration,
        settings: Settings,
        restored: raft::Restored,
        out: &mut Vec<Effect>,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let peers = settings.controllers.keys().map(|id| raft::PeerId(id.0)).collect();
        let raft_settings = raft::Settings {
            me: raft::PeerId(settings.me.0),
            peers,
            // The same everywhere, so that no two controllers ever wait equally long.
            seed: settings.cluster.as_u64_pair().0,
            snapshot_every: settings.snapshot_every,
        };
        let waits = settings.waits;
        let held_at_start = restored.last_index().0;
        let lot = rng.next_u64();
        let sights = (0..settings.networks.len())
            .map(|place| sight(&settings, place, lot, &mut rng))
            .collect();
        let next_ticket = settings.starts.wrapping_shl(32);
        let mut controller = Self {
            raft: Raft::new(raft_settings, restored),
            matrix: settings.matrix.clone(),
            settings,
            rng,
            registry: Registry::default(),
            copies: Copies::default(),
            sights,
            sentinels: Sentinels::default(),
            checks: Held::default(),
            outlays: Outlays::default(),
            dumps: BTreeMap::new(),
            tail_intents: Vec::new(),
            held_at_start,
            intent_known: BTreeMap::new(),
            ends_known: BTreeMap::new(),
            leading: None,
            outbox: Outbox::default(),
            inventory: Vec::new(),
            started: now,
            grace_until: now + waits.grace,
            wall_ms: 0,
            now,
            next_tick: now,
            next_look: now,
            // Answers to questions of an earlier life are nobody's.
            next_ticket,
            counts: Counts::default(),
        };
        controller.see_tail(Some(0));
        controller.join(now, out);
        controller
    }

    /// Takes an event. `wall_ms` is the wall clock, for display alone.
    pub fn handle(&mut self, now: Duration, wall_ms: u64, event: Event, out: &mut Vec<Effect>) {
        self.note_sleep(now);
        (self.now, self.wall_ms) = (now, wall_ms);
        let mut renewal = None;
        match event {
            Event::Timeout => self.timeout(out),
            Event::Gossip { network, from, bytes } => {
                self.with_sight(network, out, |sight, out, seen| {
                    sight.packet(now, from, &bytes, out, seen);
                });
            }
            Event::Pong { network, from: _, nonce, id, boot } => {
                self.with_sight(network, out, |sight, out, seen| {
                    sight.pong(now, nonce, id, boot, out, seen);
                });
            }
            Event::Lease { network, from, signer, message } => {
                renewal = self.renewed(network, from, signer, &message, out);
            }
            Event::Peer { from, message } => self.peer_said(from, message, out),
            Event::Bmc { ticket, reply } => self.bmc_answered(ticket, &reply, out),
            Event::Nova { ticket, reply } => self.nova_answered(ticket, reply, out),
            Event::Order { ticket, request } => self.ordered(ticket, request, out),
            Event::Inventory { nodes } => {
                self.inventory = nodes;
                self.stir();
                self.enrol(out);
            }
            Event::Dumping { from } => self.dump_heard(from),
            Event::Policy { policy } => self.settings.recovery.policy = policy,
            Event::MatrixFile { text } => {
                let command = Command::Matrix { text, by: "file (SIGHUP)".to_owned() };
                self.propose(command, out);
            }
        }
        self.expire_checks(out);
        self.look(out);
        // Last of all: who orders a fence in this very moment stands for the node no more.
        renewal.into_iter().for_each(|renewal| self.answer_renewal(&renewal, out));
        self.release_outbox(out);
    }

    /// When [`Self::handle`] wants a [`Event::Timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        let own = Some((self.next_tick, "raft tick"));
        self.sights.iter().fold(own, |next, sight| first(next, sight.poll_timeout()))
    }

    /// The replicated state as this controller holds it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether this controller leads.
    pub fn is_leader(&self) -> bool {
        self.raft.is_leader()
    }

    /// The matrix that holds now.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// Says goodbye to the groups and gives leadership away: before a wanted stop.
    pub fn leave(&mut self, now: Duration, out: &mut Vec<Effect>) {
        self.sights.iter_mut().for_each(|sight| sight.leave(now, out));
        self.hand_over(out);
    }

    /// Gives leadership away, if it leads: before it begins anew.
    pub fn give_role_away(&mut self, now: Duration, out: &mut Vec<Effect>) {
        self.now = now;
        self.hand_over(out);
    }

    /// Whether any node is suspected, here or by a leader that has asked this controller to look.
    fn watches(&self) -> bool {
        self.sights.iter().any(Sight::watches)
    }

    /// A core is called many times a second; a gap means that its process hung.
    fn note_sleep(&mut self, now: Duration) {
        if now.saturating_sub(self.now) < SLEPT {
            return;
        }
        if let Some(leading) = &mut self.leading {
            leading.slept = Some(now);
            leading.works.values_mut().for_each(|work| work.confirmed = false);
        }
    }

    fn timeout(&mut self, out: &mut Vec<Effect>) {
        for place in 0..self.sights.len() {
            let now = self.now;
            self.with_sight(network(place), out, |sight, out, seen| sight.timeout(now, out, seen));
        }
        if self.next_tick <= self.now {
            self.next_tick = self.now + RAFT_TICK;
            self.with_raft(out, |raft, outputs| raft.tick(outputs));
        }
    }

    fn join(&mut self, now: Duration, out: &mut Vec<Effect>) {
        for place in 0..self.sights.len() {
            let seeds: Vec<_> = self
                .settings
                .controllers
                .values()
                .filter_map(|peer| peer.gossip.get(place).copied())
                .collect();
            self.sights[place].join(now, &seeds, out);
        }
    }

    fn with_sight(
        &mut self,
        network: Network,
        out: &mut Vec<Effect>,
        step: impl FnOnce(&mut Sight, &mut Vec<Effect>, &mut Vec<Seen>),
    ) {
        let mut seen = Vec::new();
        if let Some(sight) = self.sights.get_mut(network.place()) {
            step(sight, out, &mut seen);
        }
        for seen in seen {
            self.saw(network, seen, out);
        }
    }

    fn saw(&mut self, network: Network, seen: Seen, out: &mut Vec<Effect>) {
        match seen {
            Seen::Reach(node, _) => self.reach_changed(node, out),
            Seen::Suspected(node) => {
                let (name, network) = (self.name(node), self.network_name(network));
                out.push(Effect::journal("observe", format!("{name} suspect on {network}")));
                self.watch_elsewhere(node, out);
            }
            Seen::Degraded(node, lost) => {
                let (name, network) = (self.name(node), self.network_name(network));
                let text =
                    format!("{name} degraded on {network}: {lost} of the last 20 pings unanswered");
                out.push(Effect::journal("observe", text));
            }
            Seen::Well(node) => {
                let (name, network) = (self.name(node), self.network_name(network));
                out.push(Effect::journal("observe", format!("{name} well again on {network}")));
            }
            Seen::Flapping(node, known) => self.note_flapping(network, node, known, out),
            Seen::Calm(node, held) => self.note_calm(network, node, held, out),
            Seen::Blind(blind) => self.note_blind(network, blind, out),
            Seen::Dark(dark) => self.note_dark(network, dark, out),
            Seen::Census(message) => self.census_answered(message),
            Seen::Listed(list) => self.listed(list),
            Seen::Sent(node, boot, sent) => self.node_sent(node, boot, sent),
            Seen::Checks(report) => self.checks_told(report, out),
            Seen::PutOff(count) => {
                let network = self.network_name(network);
                let text =
                    format!("{network}: {count} put off, there is no room under the ceiling");
                out.push(Effect::journal("gossip", text));
            }
            Seen::Swept { asked, missed } => {
                let up = self.now.saturating_sub(self.started);
                let message = PeerMessage::Swept { network, asked, missed, up };
                self.tell_peers(&message, out);
            }
        }
    }

    fn peer_said(&mut self, from: ControllerId, message: PeerMessage, out: &mut Vec<Effect>) {
        match message {
            PeerMessage::Raft(message) => {
                let from = raft::PeerId(from.0);
                self.with_raft(out, |raft, outputs| raft.step(from, message, outputs));
            }
            PeerMessage::Swept { network, asked, missed, up } => {
                let left = self.settings.waits.grace.saturating_sub(up);
                self.grace_until = self.grace_until.min(self.now + left);
                let (now, peer) = (self.now, member_id(self.settings.cluster, from));
                if let Some(sight) = self.sights.get_mut(network.place()) {
                    sight.sweep_ended(now, peer, asked, missed);
                }
            }
            PeerMessage::OldBootHeard { node, boot } => self.old_boot_heard(node, boot, out),
            PeerMessage::CosignWanted(order) => self.cosign(from, order, out),
            PeerMessage::Cosigned(order, signature) => self.cosigned(from, order, signature, out),
            PeerMessage::StrayWanted(order) => self.sign_stray(from, order, out),
            PeerMessage::StraySigned(order, signature) => {
                self.stray_signed(from, &order, signature, out);
            }
        }
    }

    fn tell_peers(&self, message: &PeerMessage, out: &mut Vec<Effect>) {
        let others = self.settings.controllers.keys().filter(|id| **id != self.settings.me);
        out.extend(others.map(|to| Effect::Peer { to: *to, message: message.clone() }));
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    fn name(&self, node: NodeId) -> String {
        match self.registry.node(node) {
            Some(known) => known.record.name.clone(),
            None => node.to_string(),
        }
    }

    fn network_name(&self, network: Network) -> String {
        self.settings.networks.get(network.place()).cloned().unwrap_or_default()
    }
}

fn network(place: usize) -> Network {
    Network(u8::try_from(place).unwrap_or(u8::MAX))
}

fn sight(settings: &Settings, place: usize, lot: u64, rng: &mut ChaCha8Rng) -> Sight {
    let address = |addresses: &[std::net::SocketAddr]| {
        let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        addresses.get(place).copied().unwrap_or(nowhere)
    };
    let controllers = settings
        .controllers
        .iter()
        .map(|(id, peer)| (member_id(settings.cluster, *id), address(&peer.gossip)))
        .collect();
    let (gossip, lease): (&[_], &[_]) = match settings.controllers.get(&settings.me) {
        Some(me) => (&me.gossip, &me.lease),
        None => (&[], &[]),
    };
    let member = gossip::identity::Member {
        id: member_id(settings.cluster, settings.me),
        generation: gossip::identity::Member::generation_of_start(settings.starts),
        boot: settings.boot,
        addr: address(gossip),
        ping: address(lease),
        controller: true,
    };
    Sight::new(
        network(place),
        member,
        controllers,
        settings.waits.hold,
        settings.ceiling,
        gossip::sweep::Stagger::of(lot, place, settings.networks.len()),
        rng.next_u64(),
    )
}
