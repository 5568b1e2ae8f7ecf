//! Nova, its nova-computes, and the guests that they run.

use std::time::Duration;

use controller::event::Event;
use controller::nova::call::{Call, ReadFailure, Written};
use controller::nova::{self};
use uuid::Uuid;

use super::{Asker, Happening, MANAGEMENT, World};
use crate::fact::Fact;
use crate::fault::Sabotage;
use crate::node::Power;
use crate::place::Place;
use crate::standin::nova::{Flavor, Order, Request};

/// After this time without an answer a controller's client gives up.
const CLIENT_WAITS: Duration = Duration::from_secs(30);
/// A client that cannot connect gives up after this time.
const CANNOT_CONNECT: Duration = Duration::from_secs(5);

impl World {
    /// A VM that runs on a node, as if Nova had booted it there long ago.
    pub fn place_vm(&mut self, name: &str, node: u16) -> Uuid {
        self.place_vm_of(name, node, Flavor::Tiny)
    }

    /// The same, of any size.
    pub fn place_vm_of(&mut self, name: &str, node: u16, flavor: Flavor) -> Uuid {
        self.orders += 1;
        let vm = Uuid::from_u128(0x7e << 120 | u128::from(self.orders));
        self.story.name(vm, name);
        self.vms.insert(vm, name.to_owned());
        self.cloud.place(vm, name, &Place::Node(node).to_string(), flavor);
        if let Some(machine) = self.node_mut(node) {
            machine.guests.insert(vm);
        }
        self.facts.push(Fact::GuestStarted { vm, node, by_hand: false });
        vm
    }

    /// A user orders a live migration, past every controller.
    pub(crate) fn user_migrates(&mut self, vm: Uuid) {
        let now = self.now;
        self.cloud.serve(now, &Request::LiveMigrate(vm));
        self.follow_cloud();
    }

    /// A guest's process ends by itself. Nova is not told: its nova-compute may have been away just then.
    pub(crate) fn crash_guest(&mut self, vm: Uuid) {
        for number in self.runs_on(vm) {
            self.trouble(Place::Node(number));
            if let Some(node) = self.node_mut(number) {
                node.guests.remove(&vm);
            }
            self.cloud.guest_stopped(&Place::Node(number).to_string(), vm);
        }
    }

    /// A hypervisor has ended a guest, on its agent's word or a human's.
    pub(crate) fn end_guest(&mut self, number: u16, vm: Uuid) {
        let ended = self.node_mut(number).is_some_and(|node| node.guests.remove(&vm));
        if ended {
            self.cloud.guest_stopped(&Place::Node(number).to_string(), vm);
        }
    }

    /// A human starts a guest past Nova.
    pub(crate) fn start_by_hand(&mut self, vm: Uuid, number: u16) {
        if let Some(node) = self.node_mut(number).filter(|node| node.runs()) {
            node.guests.insert(vm);
            self.facts.push(Fact::GuestStarted { vm, node: number, by_hand: true });
        }
    }

    pub(super) fn call_nova(&mut self, to: Asker, call: &Call) {
        let place = Place::Controller(to.controller);
        if !self.wire.is_linked(place, MANAGEMENT) {
            self.do_not_call(to, call, "no route to Nova", CANNOT_CONNECT);
            return;
        }
        if matches!(call, Call::Evacuate { .. }) {
            self.ghost.evacuations += 1;
        }
        if matches!(call, Call::Reboot { .. }) {
            self.ghost.reboots += 1;
        }
        let fact = Fact::Called { controller: to.controller, call: call.clone() };
        self.facts.push(fact);
        let now = self.now;
        let answer = self.cloud.call(now, call, CLIENT_WAITS);
        if matches!(call, Call::Evacuate { .. }) && self.sabotage.contains(&Sabotage::PostsTwice) {
            self.cloud.call(now, call, CLIENT_WAITS);
        }
        let (writes, reply) = (call.writes(), Box::new(answer.reply));
        self.later(answer.after, Happening::NovaAnswers { to, writes, reply });
        self.follow_cloud();
    }

    /// The call never leaves, and its caller is told so.
    pub(super) fn do_not_call(&mut self, to: Asker, call: &Call, why: &str, after: Duration) {
        let writes = call.writes();
        let reply = if writes {
            nova::Reply::Written(Written::NotSent(why.to_owned()))
        } else {
            nova::Reply::ReadFailed(ReadFailure::Unavailable(why.to_owned()))
        };
        self.later(after, Happening::NovaAnswers { to, writes, reply: Box::new(reply) });
    }

    pub(super) fn nova_answers(&mut self, to: Asker, writes: bool, reply: nova::Reply) {
        if self.seat(to.controller).is_none_or(|seat| seat.starts != to.starts) {
            return;
        }
        let linked = self.wire.is_linked(Place::Controller(to.controller), MANAGEMENT);
        let not_sent = matches!(reply, nova::Reply::Written(Written::NotSent(_)));
        let why = "the connection was lost".to_owned();
        let reply = match (linked || not_sent, writes) {
            (true, _) => reply,
            (false, true) => nova::Reply::Written(Written::Unknown(why)),
            (false, false) => nova::Reply::ReadFailed(ReadFailure::Unavailable(why)),
        };
        self.tell_controller(to.controller, Event::Nova { ticket: to.ticket, reply });
    }

    pub(super) fn nova_due(&mut self) {
        let now = self.now;
        self.cloud_due = None;
        self.cloud.poll(now);
        self.follow_cloud();
    }

    /// Carries out what Nova orders, and sees when it wants to go on.
    pub(super) fn follow_cloud(&mut self) {
        while let Some(order) = self.cloud.poll_order() {
            self.carry_out_order(order);
        }
        if let Some((at, _)) = self.cloud.poll_timeout()
            && self.cloud_due.is_none_or(|due| at < due)
        {
            self.cloud_due = Some(at);
            self.queue.push(at.max(self.now), Happening::Nova);
        }
    }

    fn carry_out_order(&mut self, order: Order) {
        let now = self.now;
        let (host, server, start) = match order {
            Order::Start { host, server } => (host, server, true),
            Order::Stop { host, server } => (host, server, false),
        };
        let Some(Place::Node(number)) = Place::named(&host) else { return };
        let Some(node) = self.node_mut(number).filter(|node| node.compute_runs()) else { return };
        if !start {
            node.guests.remove(&server);
            self.cloud.guest_stopped(&host, server);
            return;
        }
        if node.guests.insert(server) {
            self.facts.push(Fact::GuestStarted { vm: server, node: number, by_hand: false });
        }
        self.cloud.guest_started(now, &host, server);
        if self.ghost.doomed.contains(&server)
            && let Some(node) = self.node_mut(number)
        {
            node.guests.remove(&server);
        }
    }

    /// The gate has let nova-compute start: it cleans up, and then starts the guests that Nova places here, as with
    /// `resume_guests_state_on_host_boot`.
    pub(super) fn compute_started(&mut self, number: u16) {
        let now = self.now;
        let host = Place::Node(number).to_string();
        self.cloud.compute_started(now, &host);
        if let Some(node) = self.node_mut(number) {
            node.compute_connected = true;
        }
        self.follow_cloud();
        let here = self.cloud.servers().into_iter().filter(|server| {
            server.host.as_deref() == Some(&host)
                && server.vm_state == "active"
                && server.task_state.is_none()
        });
        for server in here.map(|server| server.id).collect::<Vec<_>>() {
            let Some(node) = self.node_mut(number) else { return };
            if node.guests.insert(server) {
                self.facts.push(Fact::GuestStarted { vm: server, node: number, by_hand: false });
                self.cloud.guest_started(now, &host, server);
            }
        }
        self.see_compute(number);
        self.follow_cloud();
    }

    /// The machine is gone, with its nova-compute and its guests.
    pub(super) fn compute_lost(&mut self, number: u16) {
        let now = self.now;
        self.cloud.machine_lost(now, &Place::Node(number).to_string());
        if let Some(node) = self.node_mut(number) {
            node.compute_connected = false;
        }
        self.follow_cloud();
    }

    /// Whether Nova still hears of a node's nova-compute.
    pub(super) fn see_compute(&mut self, number: u16) {
        let now = self.now;
        let linked = self.wire.is_linked(Place::Node(number), MANAGEMENT);
        let Some(node) = self.node_mut(number) else { return };
        let connected = linked && node.compute_runs();
        if connected == node.compute_connected || node.power != Power::Running {
            return;
        }
        node.compute_connected = connected;
        let host = Place::Node(number).to_string();
        if connected {
            self.cloud.compute_resumed(now, &host);
        } else {
            self.cloud.compute_stopped(now, &host);
        }
        self.follow_cloud();
    }

    /// After a change of the networks.
    pub fn see_computes(&mut self) {
        for number in self.nodes.iter().map(|node| node.number).collect::<Vec<_>>() {
            self.see_compute(number);
        }
    }
}
