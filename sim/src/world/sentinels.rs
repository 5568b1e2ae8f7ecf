//! Sentinels: what their shell does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use controller::effect::Network;
use fencing::lease::{LogPart, Message};
use fencing::sign::Signer;
use fencing::watchdog::Class;
use mutants::{Mutant, is_on};
use node_agent::agent;
use node_agent::sentinel::{Effect, Event, ResetReason, Sentinel, Start};

use super::{Body, Happening, Program, World};
use crate::fact::Fact;
use crate::node::{Kind, Power};
use crate::place::{Place, member_id, node_id, node_number};

/// How late a shell writes that does not write first (M56).
const WRITTEN_LATE: Duration = Duration::from_secs(30);

impl World {
    /// Starts a node's sentinel.
    pub fn start_sentinel(&mut self, number: u16) {
        let Some(node) = self.node(number).filter(|node| node.power == Power::Running) else {
            return;
        };
        let start = match (&node.kept, node.sentinel.life) {
            (Some(saved), _) if saved.boot == node.boot() => {
                Start::Resumed(Box::new(saved.clone()))
            }
            _ => Start::Fresh,
        };
        let setup = self.sentinel_setup(number, start);
        let Some(node) = self.node_mut(number) else { return };
        node.sentinel.start(Sentinel::new(setup));
        self.tell_sentinel(number, Event::Timeout);
    }

    /// Its process is killed: the kernel feeds the device once more when it closes it.
    pub fn kill_sentinel(&mut self, number: u16) {
        let now = self.now;
        if let Some(node) = self.node_mut(number).filter(|node| node.sentinel.core.is_some()) {
            node.sentinel.stop();
            node.suspended.clear();
            node.look_due = false;
            node.watchdog.holder_killed(now);
            if is_on(Mutant::M10) {
                node.watchdog.close_magically();
            }
            node.troubled = now;
        }
    }

    /// Its process is stopped for a while. With `at_feed` it stops between the check and the next feed, which is
    /// carried out when it goes on.
    pub fn stall_sentinel(&mut self, number: u16, span: Option<Duration>) {
        let now = self.now;
        let Some(node) = self.node_mut(number).filter(|node| node.sentinel.core.is_some()) else {
            return;
        };
        node.sentinel.stalled = true;
        node.troubled = now;
        let program = Program::Sentinel(number, node.sentinel.life);
        if let Some(span) = span {
            self.later(span, Happening::Resume(program));
        }
    }

    /// It goes on.
    pub fn resume_sentinel(&mut self, number: u16) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        if node.hung || node.sentinel.core.is_none() {
            return;
        }
        node.sentinel.stalled = false;
        let mut suspended = std::mem::take(&mut node.suspended);
        if std::mem::take(&mut node.look_due) {
            let more = node.look_after_feed(now);
            more.into_iter().rev().for_each(|effect| suspended.push_front(effect));
        }
        let backlog = std::mem::take(&mut node.sentinel.backlog);
        self.do_sentinel_effects(number, suspended);
        for event in backlog {
            self.tell_sentinel(number, event);
        }
        self.tell_sentinel(number, Event::Timeout);
    }

    pub(super) fn wake_sentinel(&mut self, number: u16, life: u32) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        if node.sentinel.life == life && node.sentinel.wakes_at == Some(now) {
            node.sentinel.wakes_at = None;
            self.tell_sentinel(number, Event::Timeout);
        }
    }

    pub(super) fn node_hears(&mut self, number: u16, from: Place, network: Network, body: Body) {
        let sender = from.address(network, body.port());
        let place = Place::Node(number);
        let Some(node) = self.node(number).filter(|node| node.power == Power::Running) else {
            return;
        };
        match body {
            Body::Gossip(bytes) => {
                self.tell_agent(
                    number,
                    agent::Event::Gossip { network: network.0, from: sender, bytes },
                );
            }
            Body::Pong { nonce, id, boot } => {
                self.tell_agent(number, agent::Event::Pong { network: network.0, nonce, id, boot });
            }
            Body::Lease(signer, message) => {
                let message = Arc::unwrap_or_clone(message);
                let event = Event::Message { signer, network: network.0, from: sender, message };
                self.tell_sentinel(number, event);
            }
            Body::Ping { nonce } => {
                if node.runs() && node.sentinel.core.is_some() && !node.sentinel.stalled {
                    let (id, boot) = (member_id(place), node.boot().0);
                    self.carry(place, network, from, Body::Pong { nonce, id, boot });
                }
            }
        }
    }

    /// Hands an event in and carries out what comes of it.
    pub(super) fn tell_sentinel(&mut self, number: u16, event: Event) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        if node.sentinel.stalled || node.hung {
            if event != Event::Timeout {
                node.sentinel.keep(event);
            }
            return;
        }
        let (reading, boot) = (node.sentinel_clock(now), node.boot());
        let mut effects = std::mem::take(&mut self.spare.sentinel);
        let core = self.node_mut(number).and_then(|node| node.sentinel.core.as_mut());
        let Some(core) = core else { return };
        let order = if let Event::FenceEvent(event) = &event { Some(event.clone()) } else { None };
        let snapshot = is_snapshot(&event);
        core.handle(reading, event, &mut effects);
        if snapshot && effects.iter().any(|effect| matches!(effect, Effect::Store(_))) {
            self.ghost.snapshots += 1;
        }
        let obeys =
            |effect: &Effect| matches!(effect, Effect::Reset(ResetReason::FenceEvent { .. }));
        if let Some(event) = order.filter(|_| effects.iter().any(obeys)) {
            let signers = event.signatures.iter().map(|(id, _)| *id).collect();
            self.facts.push(Fact::Obeyed { node: number, boot, order: event.order, signers });
        }
        self.do_sentinel_effects(number, effects.into());
    }

    fn do_sentinel_effects(&mut self, number: u16, mut effects: VecDeque<Effect>) {
        let mut events = Vec::new();
        while let Some(effect) = effects.pop_front() {
            let Some(node) = self.node_mut(number) else { return };
            if node.sentinel.core.is_none() || node.power != Power::Running {
                return;
            }
            if effect == Effect::Feed
                && let Some(span) = node.stall_at_feed.take()
            {
                self.stall_sentinel(number, Some(span));
            }
            let Some(node) = self.node_mut(number) else { return };
            if node.sentinel.stalled {
                effects.push_front(effect);
                node.suspended.extend(effects);
                return;
            }
            self.do_sentinel_effect(number, effect, &mut effects, &mut events);
        }
        self.spare.sentinel = effects.into();
        for event in events {
            self.tell_sentinel(number, event);
        }
        self.plan_sentinel(number);
    }

    fn do_sentinel_effect(
        &mut self,
        number: u16,
        effect: Effect,
        effects: &mut VecDeque<Effect>,
        events: &mut Vec<Event>,
    ) {
        let now = self.now;
        let place = Place::Node(number);
        let Some(node) = self.node_mut(number) else { return };
        match effect {
            Effect::Send { to, message } => {
                match &message {
                    Message::Renew { seq, challenge, .. } => {
                        let (seq, challenge) = (*seq, *challenge);
                        self.facts.push(Fact::Renewed { node: number, seq, challenge });
                    }
                    Message::Ask { seq, .. } => {
                        self.facts.push(Fact::Asked { node: number, seq: *seq });
                    }
                    Message::Vouch { node, seq, .. } => {
                        let node = node_number(*node);
                        self.facts.push(Fact::Vouched { voter: number, node, seq: *seq });
                    }
                    Message::Ack { .. }
                    | Message::NoAck { .. }
                    | Message::Crashed { .. }
                    | Message::NoVouch { .. } => {}
                }
                let signer = Signer::Node(node_id(number));
                let message = Arc::new(message);
                for (network, to) in to {
                    let body = Body::Lease(signer, Arc::clone(&message));
                    self.send(place, Network(network), to, body);
                }
            }
            Effect::Store(saved) => {
                let (n, life) = (saved.n, node.sentinel.life);
                if is_on(Mutant::M56) {
                    // Written when the machine has nothing else to do.
                    self.later(
                        WRITTEN_LATE,
                        Happening::Written { node: number, life, saved: Box::new(saved) },
                    );
                } else {
                    node.kept = Some(saved);
                }
                events.push(Event::Stored { n });
                self.facts.push(Fact::Adopted { node: number, n });
            }
            Effect::StoreEpoch(epoch) => node.highest_epoch = Some(epoch),
            Effect::OpenWatchdog => {
                if node.watchdog.open(now) {
                    let counts_for_e2 = matches!(node.watchdog.kind, Kind::Hardware | Kind::Dead);
                    let soft = node.watchdog.kind == Kind::Soft;
                    let timeout = node.watchdog.timeout();
                    self.watch_watchdog(number);
                    let class = if soft { Class::Weak } else { Class::Hardware };
                    events.push(Event::WatchdogOpened { timeout, class, counts_for_e2 });
                } else {
                    events.push(Event::WatchdogFailed("no device".to_owned()));
                }
            }
            Effect::Feed => {
                node.watchdog.feed(now);
                match node.stall_after_feed.take() {
                    Some(span) => {
                        node.look_due = true;
                        self.stall_sentinel(number, Some(span));
                    }
                    None => {
                        let more = node.look_after_feed(now);
                        more.into_iter().rev().for_each(|effect| effects.push_front(effect));
                    }
                }
            }
            Effect::MagicClose => node.watchdog.close_magically(),
            Effect::GateOpen { .. } => {
                if !node.gate {
                    node.gate = true;
                    self.facts.push(Fact::GateOpened { node: number });
                    self.compute_started(number);
                }
            }
            // What runs already is not stopped by it: the reset that follows is.
            Effect::GateClosed => {}
            Effect::Warn(warning) => {
                if matches!(
                    warning,
                    node_agent::sentinel::Warning::NotStanding { .. }
                        | node_agent::sentinel::Warning::LeaseOld { .. }
                        | node_agent::sentinel::Warning::Drill { .. }
                ) {
                    self.tell("sentinel", &format!("{place} {warning}"));
                }
            }
            Effect::Reset(reason) => {
                self.reset_node(number, "sentinel", &format!("resets itself: {reason}"));
            }
        }
    }

    fn plan_sentinel(&mut self, number: u16) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        let Some((reading, _)) = node.sentinel.core.as_ref().and_then(Sentinel::poll_timeout)
        else {
            return;
        };
        let at = node.sentinel_when(reading).max(now);
        if node.sentinel.wakes_at.is_none_or(|wakes| at < wakes) {
            node.sentinel.wakes_at = Some(at);
            let program = Program::Sentinel(number, node.sentinel.life);
            self.queue.push(at, Happening::Wake(program));
        }
    }
}

/// Whether it brings a piece of a snapshot of the log.
fn is_snapshot(event: &Event) -> bool {
    let Event::Message { message, .. } = event else { return false };
    matches!(
        message,
        Message::Ack { log: LogPart::Snapshot { .. }, .. }
            | Message::NoAck { log: LogPart::Snapshot { .. }, .. }
    )
}
