//! Renewals: acks while a controller may stand for a node, silence when not, arming, and the contradiction rule.

use std::net::SocketAddr;

use fencing::crash;
use fencing::lease::{LeaseTimes, Message, WatchdogState};
use fencing::sign::Signer;
use fencing::watchdog::Class;
use fencing::{BootId, NodeId};
use mutants::{Mutant, is_on};

use super::sentinels::{News, may_ack};
use crate::core::Controller;
use crate::effect::{Effect, Network, PeerMessage};
use crate::registry::Command;

/// A renewal that has been heard and waits for its answer.
pub(super) struct Renewal {
    network: Network,
    from: SocketAddr,
    node: NodeId,
    boot: BootId,
    seq: u64,
    n: u64,
    piece: u16,
}

impl Controller {
    /// A message of the lease protocol. Only renewals are for controllers, and a renewal is that of the node that signed it.
    /// It is to be answered when all that it brings, and all that is due, has been decided.
    pub(super) fn renewed(
        &mut self,
        network: Network,
        from: SocketAddr,
        signer: Signer,
        message: &Message,
        out: &mut Vec<Effect>,
    ) -> Option<Renewal> {
        if let Message::Crashed { node, .. } = message {
            self.crashed(signer, *node, message);
            return None;
        }
        let &Message::Renew { boot, seq, n, watchdog, times, piece, .. } = message else {
            return None;
        };
        let Signer::Node(node) = signer else { return None };
        self.registry.node(node)?;
        let news = self.sentinels.renewed(self.now, node, message);
        if news == News::Stale {
            return None;
        }
        self.note_report(node, boot, n, out);
        if self.stands_for(node, boot) && news != News::OldBoot {
            self.consider_arming(node, boot, watchdog, times, n, out);
        }
        Some(Renewal { network, from, node, boot, seq, n, piece })
    }

    /// Rule 8: an ack, or none, and in both what the sentinel lacks of the log.
    pub(super) fn answer_renewal(&self, renewal: &Renewal, out: &mut Vec<Effect>) {
        let &Renewal { network, from, node, boot, seq, n, piece } = renewal;
        let committed = self.registry.index();
        let log = self.registry.lease().part(n, committed, piece);
        let message = if self.stands_for(node, boot) {
            Message::Ack { node, boot, seq, committed, log }
        } else {
            Message::NoAck { seq, committed, log }
        };
        out.push(Effect::Lease { network, to: from, message });
    }

    fn stands_for(&self, node: NodeId, boot: BootId) -> bool {
        may_ack(&self.registry, &self.tail_intents, node, boot)
    }

    /// E4: the crash kernel of a node speaks. What it says is kept while that boot is the newest, so that a fence that
    /// begins later knows it too.
    fn crashed(&mut self, signer: Signer, node: NodeId, message: &Message) {
        let Some(boot) = self.sentinels.of(node).map(|heard| heard.boot) else { return };
        if crash::evidence(signer, message, node, boot).is_some() {
            self.sentinels.crashed(node, self.now);
            self.next_look = self.now;
        }
    }

    /// What a renewal tells fences: a voter's promise, or that the boot which should be off still speaks.
    fn note_report(&mut self, node: NodeId, boot: BootId, n: u64, out: &mut Vec<Effect>) {
        let now = self.now;
        if let Some(leading) = &mut self.leading {
            for work in leading.works.values_mut() {
                if let Some(waiting) = &mut work.waiting {
                    waiting.reported(now, (node, boot), n);
                }
            }
        }
        let fencing = self
            .registry
            .incident_of(node)
            .is_some_and(|incident| incident.boot == boot && incident.fence().is_some());
        if fencing && self.leading.is_some() {
            self.old_boot_heard(node, boot, out);
        } else if fencing {
            // The leader may be the one controller that cannot hear it.
            self.tell_peers(&PeerMessage::OldBootHeard { node, boot }, out);
        }
    }

    /// The boot that should be off speaks, here or to another controller.
    pub(super) fn old_boot_heard(&mut self, node: NodeId, boot: BootId, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(incident) = self.registry.incident_of(node).filter(|open| open.boot == boot)
        else {
            return;
        };
        let (id, proven) =
            (incident.id, incident.fence().is_some_and(|fence| fence.evidence.is_some()));
        if proven && incident.state.is_out() && incident.frozen.is_none() {
            let why = "the fenced boot was heard after the evidence".to_owned();
            if self.propose_once(Command::Frozen { incident: id, why }, out) {
                let name = self.name(node);
                out.push(Effect::page(
                    "fence",
                    format!("{name} speaks although it was fenced: recovery halted, its BMC is not believed; \
                         look at the node, then hactl fenced confirm {name}"),
                ));
            }
            return;
        }
        if let Some(work) = self.leading.as_mut().and_then(|leading| leading.works.get_mut(&id)) {
            if let Some(power) = &mut work.power {
                power.node_heard(now);
            }
            // It waited for another level to be asked once more, and rests on reads before this packet.
            if work.held.take().is_some() {
                work.power = None;
            }
            if let Some(waiting) = &mut work.waiting {
                waiting.node_heard(now);
            }
        }
    }

    /// Rule 7: the device is open and reported, so ARMED may be committed; a boot without one is admitted.
    fn consider_arming(
        &mut self,
        node: NodeId,
        boot: BootId,
        watchdog: WatchdogState,
        times: LeaseTimes,
        n: u64,
        out: &mut Vec<Effect>,
    ) {
        if !self.leads() || self.registry.is_out(node) {
            return;
        }
        let Some(known) = self.registry.node(node) else { return };
        let hands_off = known.disarmed
            || known.maintenance.is_some()
            || self.registry.disarmed().is_some()
            || self.registry.lease().now().is_held(node);
        // The entry carries the sentinel's own times, so that nobody ever reckons with others.
        let counts = match watchdog {
            WatchdogState::Open { timeout, counts_for_e2, .. } => {
                counts_for_e2 && timeout == times.watchdog && times.check().is_ok()
            }
            WatchdogState::Closed => is_on(Mutant::M58),
            WatchdogState::Absent | WatchdogState::Refused { .. } => false,
        };
        if counts && !hands_off {
            if known.armed.map(|arming| arming.boot) != Some(boot) {
                // M58: a device that nobody has opened yet has no class.
                let class = match watchdog {
                    WatchdogState::Open { class, .. } => class,
                    WatchdogState::Absent
                    | WatchdogState::Closed
                    | WatchdogState::Refused { .. } => Class::Hardware,
                };
                self.propose_once(Command::Armed { node, boot, times, class, n }, out);
            }
            return;
        }
        // A device that is about to be opened is waited for; one that never will be must not keep the gate shut.
        let never = !matches!(watchdog, WatchdogState::Closed) || hands_off;
        let serves = known.serving_boot() == Some(boot);
        if never && !serves {
            self.propose_once(Command::Admitted { node, boot }, out);
        }
    }

    /// Whether this controller leads and has committed an entry of its own term.
    pub(super) fn leads(&self) -> bool {
        self.leading.as_ref().is_some_and(|leading| leading.begun)
    }

    /// Proposes, unless the same was proposed a moment ago.
    pub(super) fn propose_once(&mut self, command: Command, out: &mut Vec<Effect>) -> bool {
        let now = self.now;
        let Some(leading) = &mut self.leading else { return false };
        leading.may_propose(now, &command) && self.propose(command, out)
    }
}
