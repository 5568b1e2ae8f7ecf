//! Kernels that crash, and what the crash kernel says after that: our own beacon, or packets of `fence_kdump` while it
//! writes a dump.

use std::sync::Arc;
use std::time::Duration;

use controller::effect::Network;
use controller::event::Event;
use fencing::lease::Message;
use fencing::sign::Signer;

use super::{Body, Happening, World};
use crate::node::{BOOT_TIME, Power};
use crate::place::{Place, Port, node_id};

/// From a crash to the first word of the crash kernel.
const CRASH_KERNEL_STARTS: Duration = Duration::from_secs(3);
/// Between two beacons.
const BEACON_EVERY: Duration = Duration::from_secs(1);
/// Between two packets of `fence_kdump`, by its default.
const PACKET_EVERY: Duration = Duration::from_secs(10);

impl World {
    /// The kernel of a node crashes: programs and guests end, and its crash kernel says so once a second until the node is
    /// reset. The watchdog goes on counting.
    pub fn crash(&mut self, number: u16) {
        if let Some(boots) = self.crashed(number) {
            self.later(CRASH_KERNEL_STARTS, Happening::Beacon { node: number, boots });
        }
    }

    /// The same, but the crash kernel knows nothing of us: it writes a dump for so long, says so, and reboots.
    pub fn dump(&mut self, number: u16, span: Duration) {
        if let Some(boots) = self.crashed(number) {
            let until = self.now + CRASH_KERNEL_STARTS + span;
            self.later(CRASH_KERNEL_STARTS, Happening::Dump { node: number, boots, until });
        }
    }

    fn crashed(&mut self, number: u16) -> Option<u32> {
        self.hang(number);
        let node = self.node_mut(number).filter(|node| node.hung)?;
        node.crashed = true;
        node.guests.clear();
        let boots = node.boots;
        self.compute_lost(number);
        self.tell("hardware", &format!("{} crashed", Place::Node(number)));
        Some(boots)
    }

    /// A crash kernel speaks.
    pub(super) fn beacon(&mut self, number: u16, boots: u32) {
        let place = Place::Node(number);
        let Some(node) = self.node(number).filter(|n| n.crashed && n.boots == boots) else {
            return;
        };
        let message = Message::Crashed { node: node_id(number), boot: node.boot() };
        for network in (0..self.plan.networks()).map(Network) {
            for controller in 1..=self.plan.controllers {
                let to = Place::Controller(controller).address(network, Port::Lease);
                let signer = Signer::Node(node_id(number));
                let body = Body::Lease(signer, Arc::new(message.clone()));
                self.send(place, network, to, body);
            }
        }
        self.later(BEACON_EVERY, Happening::Beacon { node: number, boots });
    }

    /// A crash kernel writes its dump, or has written it. It has one network.
    pub(super) fn dumping(&mut self, number: u16, boots: u32, until: Duration) {
        let (place, network) = (Place::Node(number), Network(0));
        let dumps =
            |world: &Self| world.node(number).is_some_and(|n| n.crashed && n.boots == boots);
        if !dumps(self) {
            return;
        }
        if self.now >= until {
            self.tell("hardware", &format!("{place} has written its dump and reboots"));
            if let Some(node) = self.node_mut(number) {
                node.lose_power(Power::Booting);
                let boots = node.boots;
                self.later(BOOT_TIME, Happening::BootDone { node: number, boots });
            }
            return;
        }
        let from = place.address(network, Port::Gossip).ip();
        for controller in 1..=self.plan.controllers {
            if self.wire.is_open(place, Place::Controller(controller), network) {
                self.tell_controller(controller, Event::Dumping { from });
            }
        }
        let next = PACKET_EVERY.min(until.saturating_sub(self.now));
        self.later(next, Happening::Dump { node: number, boots, until });
    }
}
