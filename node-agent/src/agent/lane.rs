//! One network: its gossip group, this node's witness there, and the controllers that may ask.

use std::net::SocketAddr;
use std::time::Duration;

use fencing::event::FenceEvent;
use fencing::sign::PublicKey;
use fencing::{ControllerId, census, checks, stray};
use gossip::ceiling::Ceiling;
use gossip::config::Config;
use gossip::group::{self, Group, State};
use gossip::identity::Member;
use gossip::witness::{self, Hint, Message, Witness};
use uuid::Uuid;

use super::core::{Effect, Upward};

/// First byte of a gossip payload that belongs to witnesses; the census has one of its own.
pub const WITNESS_CHANNEL: u8 = 1;

/// Members that a group is sized for at first; it goes on with what it sees.
const MEMBERS_AT_FIRST: usize = 16;

pub(super) struct Lane {
    place: u8,
    group: Group,
    witness: Witness,
    controllers: Vec<SocketAddr>,
}

impl Lane {
    pub(super) fn new(
        place: u8,
        member: Member,
        controllers: Vec<SocketAddr>,
        ceiling: Option<Ceiling>,
        (group_seed, witness_seed): (u64, u64),
    ) -> Self {
        let config = Config { ceiling, ..Config::lan(MEMBERS_AT_FIRST) };
        Self {
            place,
            witness: Witness::new(member.id, witness_seed),
            group: Group::new(config, member, group_seed),
            controllers,
        }
    }

    /// Has fence events judged before this member remembers them or passes them on: everybody holds the gossip key, and
    /// a forged epoch must not push out a true one.
    pub(super) fn guard_events(&mut self, cluster: Uuid, keys: Vec<(ControllerId, PublicKey)>) {
        self.group.set_check(Box::new(move |key, epoch, bytes| {
            postcard::from_bytes::<FenceEvent>(bytes).is_ok_and(|event| {
                let order = &event.order;
                order.cluster == cluster
                    && order.node.0.as_u128() == key
                    && (order.epoch.term, order.epoch.index) == epoch
                    && event.is_signed_by_two(&keys)
            })
        }));
    }

    pub(super) fn join(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let mut out = Vec::new();
        self.group.join(now, &self.controllers, &mut out);
        self.take_group(now, out, effects, &mut Vec::new());
    }

    pub(super) fn leave(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let mut out = Vec::new();
        self.group.leave(now, &mut out);
        self.take_group(now, out, effects, &mut Vec::new());
    }

    pub(super) fn gossip(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: &[u8],
        effects: &mut Vec<Effect>,
        upward: &mut Vec<Upward>,
    ) {
        let mut out = Vec::new();
        self.group.handle(now, group::Event::Packet { from, bytes }, &mut out);
        self.take_group(now, out, effects, upward);
    }

    pub(super) fn pong(
        &mut self,
        now: Duration,
        nonce: u64,
        id: Uuid,
        boot: Uuid,
        effects: &mut Vec<Effect>,
    ) {
        self.with_witness(now, witness::Event::Pong { nonce, id, boot }, effects);
    }

    pub(super) fn timeout(
        &mut self,
        now: Duration,
        effects: &mut Vec<Effect>,
        upward: &mut Vec<Upward>,
    ) {
        let is_due = |timer: Option<(Duration, &str)>| timer.is_some_and(|(at, _)| at <= now);
        if is_due(self.group.poll_timeout()) {
            let mut out = Vec::new();
            self.group.handle(now, group::Event::Timeout, &mut out);
            self.take_group(now, out, effects, upward);
        }
        if is_due(self.witness.poll_timeout()) {
            self.with_witness(now, witness::Event::Timeout, effects);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        let timers = [self.group.poll_timeout(), self.witness.poll_timeout()];
        timers.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether nobody is watched here.
    pub(super) fn is_idle(&self) -> bool {
        self.witness.suspects().next().is_none()
    }

    /// How often gossip had to wait here for its ceiling.
    pub(super) fn put_off(&self) -> u64 {
        self.group.counters().put_off
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&Member, State)> {
        self.group.members()
    }

    /// Sends a payload to one member.
    pub(super) fn talk(&self, to: SocketAddr, channel: u8, body: &[u8], effects: &mut Vec<Effect>) {
        let mut payload = Vec::with_capacity(body.len() + 1);
        payload.push(channel);
        payload.extend_from_slice(body);
        let mut out = Vec::new();
        // Refused only where it is too long, which no message of ours is.
        let _ = self.group.talk(to, &payload, &mut out);
        for effect in out {
            self.send(effect, effects);
        }
    }

    fn send(&self, effect: group::Effect, effects: &mut Vec<Effect>) {
        if let group::Effect::Send { to, bytes } = effect {
            effects.push(Effect::Gossip { network: self.place, to, bytes });
        }
    }

    fn take_group(
        &mut self,
        now: Duration,
        out: Vec<group::Effect>,
        effects: &mut Vec<Effect>,
        upward: &mut Vec<Upward>,
    ) {
        for effect in out {
            match effect {
                group::Effect::Send { .. } => self.send(effect, effects),
                group::Effect::ProbeFailed { member } => self.hint(&member, effects),
                group::Effect::Heard { bytes, .. } => upward.push(Upward::Heard(bytes)),
                group::Effect::Talk { from, bytes } => {
                    self.talked(now, from, &bytes, effects, upward);
                }
                group::Effect::PutOff { count } => {
                    effects.push(Effect::PutOff { network: self.place, count });
                }
                // What the group believes is shown to people; nobody acts on it.
                group::Effect::MemberUp(_)
                | group::Effect::MemberDown(_)
                | group::Effect::Renamed { .. } => {}
            }
        }
    }

    /// A failed probe goes to every controller at once, without waiting for what the group makes of it. It speaks of
    /// this network, so it travels on this network: a controller that it does not reach here has its own sweep.
    fn hint(&self, suspect: &Member, effects: &mut Vec<Effect>) {
        let hint = Message::Hint(Hint {
            suspect: suspect.id,
            boot: suspect.boot,
            observer: self.group.me().id,
            score: u8::try_from(self.group.score()).unwrap_or(u8::MAX),
        });
        self.tell_controllers(WITNESS_CHANNEL, &hint.to_bytes(), effects);
    }

    /// Asks come from controllers alone; what the leader must hear is told to all of them.
    fn talked(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: &[u8],
        effects: &mut Vec<Effect>,
        upward: &mut Vec<Upward>,
    ) {
        let Some((&channel, body)) = bytes.split_first() else { return };
        if !self.controllers.contains(&from) {
            return;
        }
        if channel == census::CHANNEL {
            if let Ok(census::Message::Ask { nonce }) = postcard::from_bytes(body) {
                upward.push(Upward::Census { network: self.place, from, nonce });
            }
            return;
        }
        if channel == stray::CHANNEL {
            upward.push(Upward::End(body.to_vec()));
            return;
        }
        if channel == checks::CHANNEL {
            if let Ok(checks::Message::Ask { nonce }) = postcard::from_bytes(body) {
                upward.push(Upward::Checks { network: self.place, from, nonce });
            }
            return;
        }
        match Message::parse(body).filter(|_| channel == WITNESS_CHANNEL) {
            Some(Message::Watch(watch)) => {
                self.with_witness(now, witness::Event::Watch(watch), effects);
            }
            Some(Message::Unwatch { ask }) => {
                self.with_witness(now, witness::Event::Unwatch { ask }, effects);
            }
            Some(Message::Hint(_) | Message::Report(_)) | None => {}
        }
    }

    fn with_witness(&mut self, now: Duration, event: witness::Event, effects: &mut Vec<Effect>) {
        let mut out = Vec::new();
        self.witness.handle(now, event, self.group.peers(), &mut out);
        for effect in out {
            match effect {
                witness::Effect::Ping { to, nonce } => {
                    effects.push(Effect::Ping { network: self.place, to, nonce });
                }
                witness::Effect::Report(report) => {
                    let bytes = Message::Report(report).to_bytes();
                    self.tell_controllers(WITNESS_CHANNEL, &bytes, effects);
                }
            }
        }
    }

    /// Sends a payload to every controller.
    pub(super) fn tell_controllers(&self, channel: u8, bytes: &[u8], effects: &mut Vec<Effect>) {
        for to in &self.controllers {
            self.talk(*to, channel, bytes, effects);
        }
    }
}
