//! Controllers: events in, effects carried out in order, a crash or a stop between any two of them.

use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use controller::core::{Controller, Lives};
use controller::effect::{Effect, Network};
use controller::event::Event;
use controller::registry::Progress;
use fencing::bmc::proxy::ProxyFailure;
use fencing::bmc::{Ask, Failure, Identity, Reply};
use fencing::lease::Message;
use fencing::sign::Signer;
use mutants::{Mutant, is_on};

use super::{Asker, Body, Happening, MANAGEMENT, Program, World};
use crate::bmc::GIVES_UP;
use crate::fact::Fact;
use crate::fault::Sabotage;
use crate::node::Power;
use crate::place::{Place, boot_id, controller_id, member_id, node_number};
use crate::seat::{Point, Trap};

/// One way between two controllers.
pub(super) const PEER_FLIGHT: Duration = Duration::from_micros(400);

/// A controller waits so long for a proxy that does not answer.
const PROXY_SILENT: Duration = Duration::from_secs(2);

impl World {
    /// Starts a controller's process.
    pub fn start_controller(&mut self, number: u8) {
        let now = self.now;
        let settings = self.controller_settings(number);
        let (inventory, records) = (self.inventory(), self.plan.records);
        let Some(seat) = self.seat_mut(number) else { return };
        if seat.core.is_some() || seat.halted.is_some() || !self.can_read_disk(number) {
            return;
        }
        let Some(seat) = self.seat_mut(number) else { return };
        seat.starts += 1;
        let reading = seat.clock.read(now);
        let (settings, disk) = (settings(seat.starts), seat.disk.clone());
        let mut out = Vec::new();
        seat.core = Some(Controller::new(reading, settings, disk, &mut out));
        (seat.stalled, seat.wakes_at, seat.told) = (false, None, 0);
        seat.lives = records.map(|patience| Lives::new(patience, reading));
        self.carry_out(number, out.into());
        self.tell_controller(number, Event::Inventory { nodes: inventory });
    }

    /// Its process is gone; its disk stays.
    pub fn stop_controller(&mut self, number: u8) {
        let now = self.now;
        if let Some(seat) = self.seat_mut(number) {
            seat.core = None;
            seat.stalled = false;
            if let Some(ppm) = seat.paused.take() {
                seat.clock = seat.clock.drifting(now, ppm);
            }
            seat.backlog.clear();
            seat.suspended.clear();
            seat.trap = None;
        }
    }

    /// Its process is stopped (SIGSTOP) until it is resumed.
    pub fn stall_controller(&mut self, number: u8, span: Option<Duration>) {
        let Some(seat) = self.seat_mut(number).filter(|seat| seat.core.is_some()) else { return };
        seat.stalled = true;
        let program = Program::Controller(number, seat.starts);
        if let Some(span) = span {
            self.later(span, Happening::Resume(program));
        }
    }

    /// Its whole machine is paused, as a VM is, and its clock with it.
    pub fn pause_controller(&mut self, number: u8, span: Option<Duration>) {
        let now = self.now;
        self.stall_controller(number, span);
        if let Some(seat) =
            self.seat_mut(number).filter(|seat| seat.stalled && seat.paused.is_none())
        {
            let (clock, ppm) = seat.clock.stopped(now);
            (seat.clock, seat.paused) = (clock, Some(ppm));
        }
    }

    /// A stopped process goes on, where it was.
    pub fn resume_controller(&mut self, number: u8) {
        let now = self.now;
        let Some(seat) = self.seat_mut(number).filter(|seat| seat.stalled) else { return };
        seat.stalled = false;
        if let Some(ppm) = seat.paused.take() {
            seat.clock = seat.clock.drifting(now, ppm);
        }
        let suspended = std::mem::take(&mut seat.suspended);
        let backlog = std::mem::take(&mut seat.backlog);
        let starts = seat.starts;
        self.carry_out(number, suspended);
        // One by one, so that oracles see each of them.
        for event in backlog.into_iter().chain([Event::Timeout]) {
            let (now, event) = (self.now, Box::new(event));
            self.queue.push(now, Happening::Waited { controller: number, starts, event });
        }
    }

    pub(super) fn wake_controller(&mut self, number: u8, starts: u32) {
        let now = self.now;
        let Some(seat) = self.seat_mut(number) else { return };
        if seat.starts == starts && seat.wakes_at == Some(now) {
            seat.wakes_at = None;
            self.tell_controller(number, Event::Timeout);
        }
    }

    /// Hands an event in and carries out what comes of it.
    pub fn tell_controller(&mut self, number: u8, event: Event) {
        let now = self.now;
        if is_on(Mutant::M11)
            && matches!(&event, Event::Order { request: api::Request::Disarm { .. }, .. })
        {
            self.nodes.iter_mut().for_each(|node| node.watchdog.close_magically());
        }
        let Some(seat) = self.seat_mut(number) else { return };
        if seat.stalled {
            if event != Event::Timeout && seat.backlog.len() < 1000 {
                seat.backlog.push_back(event);
            }
            return;
        }
        let (reading, wall) = (seat.clock.read(now), seat.wall_ms(now));
        let mut out = std::mem::take(&mut self.spare.controller);
        let Some(core) = self.seat_mut(number).and_then(|seat| seat.core.as_mut()) else { return };
        core.handle(reading, wall, event, &mut out);
        self.carry_out(number, out.into());
        if self.plan.records.is_some() {
            self.follow_record(number);
        }
    }

    pub(super) fn controller_hears(
        &mut self,
        number: u8,
        from: Place,
        network: Network,
        body: Body,
    ) {
        let Some(seat) = self.seat(number) else { return };
        let sender = from.address(network, body.port());
        let place = Place::Controller(number);
        let event = match body {
            Body::Gossip(bytes) => Event::Gossip { network, from: sender, bytes },
            Body::Lease(signer, message) => {
                let message = Arc::unwrap_or_clone(message);
                Event::Lease { network, from: sender, signer, message }
            }
            Body::Pong { nonce, id, boot } => {
                Event::Pong { network, from: sender, nonce, id, boot }
            }
            Body::Ping { nonce } => {
                if seat.runs() {
                    let (id, boot) = (member_id(place), boot_id(place, 1).0);
                    self.carry(place, network, from, Body::Pong { nonce, id, boot });
                }
                return;
            }
        };
        self.tell_controller(number, event);
    }

    /// Carries effects out in order. What follows a crash is never done; what follows a stop is done later.
    pub(super) fn carry_out(&mut self, number: u8, mut effects: VecDeque<Effect>) {
        while let Some(effect) = effects.pop_front() {
            let Some(seat) = self.seat_mut(number) else { return };
            if seat.core.is_none() {
                return;
            }
            if seat.stalled {
                effects.push_front(effect);
                seat.suspended.extend(effects);
                return;
            }
            let trap = seat.trap.take();
            let (met, left) = count_down(trap, &effect);
            seat.trap = left;
            match met {
                Some(trap) if trap.after => {
                    self.do_effect(number, effect);
                    self.spring(number, trap);
                }
                Some(trap) => {
                    self.spring(number, trap);
                    effects.push_front(effect);
                }
                None => self.do_effect(number, effect),
            }
        }
        self.spare.controller = effects.into();
        self.tell_applied(number);
        self.plan_controller(number);
    }

    fn spring(&mut self, number: u8, trap: Trap) {
        match trap.stall {
            Some(span) if trap.pause => self.pause_controller(number, Some(span)),
            Some(span) => self.stall_controller(number, Some(span)),
            None => {
                self.tell("raft", &format!("{} dies", Place::Controller(number)));
                self.stop_controller(number);
            }
        }
    }

    fn do_effect(&mut self, number: u8, effect: Effect) {
        let place = Place::Controller(number);
        let now = self.now;
        match effect {
            Effect::Persist(write) => self.persist(number, &write),
            Effect::Peer { to, message } => {
                let to = u8::try_from(to.0).unwrap_or(0);
                if self.wire.is_open(place, Place::Controller(to), MANAGEMENT) {
                    let (from, message) = (number, Box::new(message));
                    let term = self.seat(number).map_or(0, |seat| seat.disk.term().0);
                    self.later(PEER_FLIGHT, Happening::Peer { from, to, term, message });
                }
            }
            Effect::Gossip { network, to, bytes } => {
                self.send(place, network, to, Body::Gossip(bytes));
            }
            Effect::Ping { network, to, nonce } => {
                self.send(place, network, to, Body::Ping { nonce });
            }
            Effect::Lease { network, to, message } => {
                if let Message::Ack { node, boot, seq, .. } = message {
                    self.facts.push(Fact::Acked { controller: number, node, boot, seq });
                }
                let signer = Signer::Controller(controller_id(number));
                self.send(place, network, to, Body::Lease(signer, Arc::new(message)));
            }
            Effect::Bmc { ticket, node, level, via, ask, expect, not_after } => {
                let Some(seat) = self.seat(number) else { return };
                let to = Asker { controller: number, starts: seat.starts, ticket };
                let late = seat.clock.read(now) > not_after;
                if late && !self.sabotage.contains(&Sabotage::LateEffects) {
                    let reply = Reply::Failed(Failure::Unusable("it was too late to ask".into()));
                    self.later(Duration::ZERO, Happening::BmcAnswers { to, reply });
                    return;
                }
                self.facts.push(Fact::BmcAsked { controller: number, node, ask });
                let place = (node_number(node), level);
                if level == 1 && !self.plan.via_of(place.0).is_empty() {
                    self.ask_by_proxy(to, place, &via, ask, expect);
                } else {
                    self.ask_bmc(to, place, ask, expect);
                }
            }
            Effect::Nova { ticket, call, not_after } => {
                let Some(seat) = self.seat(number) else { return };
                let to = Asker { controller: number, starts: seat.starts, ticket };
                if seat.clock.read(now) > not_after {
                    self.do_not_call(to, &call, "too late", Duration::ZERO);
                    return;
                }
                self.call_nova(to, &call);
            }
            Effect::Answer { ticket, result } => {
                if let Some(request) = self.ghost.orders.remove(&ticket) {
                    let index = result.as_ref().ok().map(|done| done.index);
                    self.facts.push(Fact::Answered { request, index });
                }
                let text = match result {
                    Ok(done) => done.said,
                    Err(failure) => format!("{failure:?}"),
                };
                self.tell("answer", &text);
            }
            Effect::Journal(line) => {
                let leads = self.seat(number).is_some_and(super::Seat::leads);
                if leads {
                    let page =
                        if line.level == controller::effect::Level::State { "" } else { "  PAGE" };
                    self.tell(line.subject, &format!("{}{page}", line.text));
                }
                if leads || line.level == controller::effect::Level::Broken {
                    self.facts.push(Fact::Told { controller: number, line });
                }
            }
            Effect::Halt(why) => {
                self.tell("raft", &format!("{place} halts: {why}"));
                self.stop_controller(number);
                if let Some(seat) = self.seat_mut(number) {
                    seat.halted = Some(why.clone());
                }
                self.facts.push(Fact::Halted { controller: number, why });
            }
        }
    }

    /// Tells the oracles how far a controller is, and what is new in the registry.
    fn tell_applied(&mut self, number: u8) {
        let now = self.now;
        let furthest = self.ghost.registry.as_ref().map(|known| known.index());
        let Some(seat) = self.seat_mut(number) else { return };
        let Some(core) = &seat.core else { return };
        let index = core.registry().index();
        if index == seat.told {
            return;
        }
        seat.told = index;
        let mut news = vec![Fact::Applied { controller: number, index }];
        let (mut intended, mut proven, mut boots) = (Vec::new(), Vec::new(), Vec::new());
        for incident in core.registry().incidents().values() {
            let Some(fence) = incident.fence() else { continue };
            intended.push(incident.id);
            if fence.evidence.is_some() {
                proven.push(incident.id);
                boots.push((incident.node, incident.boot));
            }
        }
        let further = furthest.is_none_or(|known| known < index);
        if let Some(registry) = further.then(|| core.registry().clone()) {
            for incident in registry.open_incidents() {
                let vms = incident.vms.iter();
                let met = vms.map(|(vm, known)| (incident.id, *vm, name_of(&known.progress)));
                self.ghost.progress.extend(met);
            }
            self.ghost.registry = Some(registry);
        }
        for incident in intended {
            if let Entry::Vacant(new) = self.ghost.intended.entry(incident) {
                new.insert(now);
                news.push(Fact::Intended { controller: number, incident });
            }
        }
        for incident in proven {
            if let Entry::Vacant(new) = self.ghost.proven.entry(incident) {
                new.insert(now);
                news.push(Fact::Proven { controller: number, incident });
            }
        }
        self.ghost.fenced_boots.extend(boots);
        self.facts.extend(news);
    }

    fn plan_controller(&mut self, number: u8) {
        let now = self.now;
        let Some(seat) = self.seat_mut(number) else { return };
        let Some((reading, _)) = seat.core.as_ref().and_then(Controller::poll_timeout) else {
            return;
        };
        let planned = seat.wakes_at;
        if planned.is_none_or(|at| now < at && seat.clock.comes_before(reading, at)) {
            let at = seat.clock.when(reading).max(now);
            seat.wakes_at = Some(at);
            let program = Program::Controller(number, seat.starts);
            self.queue.push(at, Happening::Wake(program));
        }
    }

    fn ask_bmc(&mut self, to: Asker, (node, level): (u16, u8), ask: Ask, expect: Option<Identity>) {
        let reaches = self.wire.is_linked(Place::Controller(to.controller), MANAGEMENT);
        let powered = self.node(node).is_some_and(|machine| machine.power != Power::NoFeed);
        let delay = self.bmc(node, level).and_then(crate::bmc::Bmc::delay);
        match delay.filter(|_| reaches && powered) {
            Some(delay) => self.later(delay, Happening::BmcActs { to, node, level, ask, expect }),
            None => {
                let reply = Reply::Failed(Failure::NoAnswer);
                self.later(GIVES_UP, Happening::BmcAnswers { to, reply });
            }
        }
    }

    /// One after the other, until one carries. Those that are down cost their time; what they carry goes on as any question.
    fn ask_by_proxy(
        &mut self,
        to: Asker,
        (node, level): (u16, u8),
        via: &[fencing::NodeId],
        ask: Ask,
        expect: Option<Identity>,
    ) {
        let mut spent = Duration::ZERO;
        for number in via.iter().copied().map(node_number) {
            let agent_runs =
                self.node(number).is_some_and(|machine| machine.power == Power::Running);
            let (here, there) = (Place::Controller(to.controller), Place::Node(number));
            let reaches = self.wire.is_open(here, there, MANAGEMENT)
                && self.wire.is_open(there, here, MANAGEMENT);
            if agent_runs && reaches {
                let powered = self.node(node).is_some_and(|machine| machine.power != Power::NoFeed);
                let delay = self.bmc(node, level).and_then(crate::bmc::Bmc::delay);
                let Some(delay) = delay.filter(|_| powered) else { break };
                let acts = Happening::BmcActs { to, node, level, ask, expect };
                self.tell(
                    "proxy",
                    &format!("{there} carries a question to the BMC of {}", Place::Node(node)),
                );
                return self.later(spent + delay, acts);
            }
            spent += PROXY_SILENT;
        }
        let none = ProxyFailure::NoneUp("in this story".to_owned());
        let reply = Reply::Failed(Failure::Proxy(none));
        self.later(spent.max(GIVES_UP), Happening::BmcAnswers { to, reply });
    }

    pub(super) fn bmc_answers(&mut self, to: Asker, reply: Reply) {
        if self.seat(to.controller).is_some_and(|seat| seat.starts == to.starts) {
            self.tell_controller(to.controller, Event::Bmc { ticket: to.ticket, reply });
        }
    }
}

fn name_of(progress: &Progress) -> &'static str {
    match progress {
        Progress::Waiting => "waiting",
        Progress::Attempted { .. } => "attempted",
        Progress::Sent { .. } => "sent",
        Progress::Moved { .. } => "moved",
        Progress::Parked { .. } => "parked",
    }
}

/// Whether this effect is the one, and otherwise the trap that is left.
fn count_down(trap: Option<Trap>, effect: &Effect) -> (Option<Trap>, Option<Trap>) {
    let Some(trap) = trap else { return (None, None) };
    match trap.point {
        Point::Count(0) => (Some(trap), None),
        Point::Count(left) => (None, Some(Trap { point: Point::Count(left - 1), ..trap })),
        Point::Off | Point::Read | Point::ForceDown | Point::Evacuate | Point::Persist => {
            if trap.point.meets(effect) { (Some(trap), None) } else { (None, Some(trap)) }
        }
    }
}
