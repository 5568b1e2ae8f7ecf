//! What others tell a sentinel: the log, acks, vouches, asks, and orders to reset itself.

use std::net::SocketAddr;
use std::time::Duration;

use fencing::event::FenceEvent;
use fencing::lease::{LogPart, Message};
use fencing::sign::{PublicKey, Signer};
use fencing::{BootId, ControllerId, NodeId};
use mutants::{Mutant, is_on};

use super::adoption::Adoption;
use super::core::Sentinel;
use super::counters::OrderRefusal;
use super::event::{Effect, ResetReason};

impl Sentinel {
    /// A datagram. One that names another signer than its own is dropped (rule 13).
    pub(super) fn message(
        &mut self,
        now: Duration,
        signer: Signer,
        from: (u8, SocketAddr),
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        match (signer, message) {
            (Signer::Controller(id), Message::Ack { node, boot, seq, committed, log })
                if self.pinned.contains_key(&id) =>
            {
                self.read_log((now, from.0), id, (committed, log), effects);
                if node == self.node && boot == self.boot && self.lease.acked(id, seq) {
                    self.counters.acks += 1;
                } else {
                    self.counters.dropped += 1;
                }
                self.count_base();
            }
            (Signer::Controller(id), Message::NoAck { committed, log, .. })
                if self.pinned.contains_key(&id) =>
            {
                self.counters.no_acks += 1;
                self.read_log((now, from.0), id, (committed, log), effects);
                self.count_base();
            }
            (Signer::Node(signer), Message::Ask { node, boot, seq }) if signer == node => {
                self.answer(from, node, boot, seq, effects);
            }
            (Signer::Node(signer), Message::Vouch { voter, voter_boot, node, boot, seq })
                if signer == voter && node == self.node && boot == self.boot =>
            {
                let voters = self.other_voters();
                if self.peers.vouched(&voters, (voter, voter_boot), seq) {
                    self.counters.vouches += 1;
                } else {
                    self.counters.dropped += 1;
                }
            }
            // Rule 5: no vouch, and nothing more, so that one bad voter cannot reset this node.
            (Signer::Node(signer), Message::NoVouch { voter, .. }) if signer == voter => {
                self.counters.no_vouches += 1;
            }
            (
                Signer::Node(_) | Signer::Controller(_),
                Message::Renew { .. }
                | Message::Ack { .. }
                | Message::NoAck { .. }
                | Message::Ask { .. }
                | Message::Vouch { .. }
                | Message::Crashed { .. }
                | Message::NoVouch { .. },
            ) => self.counters.dropped += 1,
        }
    }

    /// Adopts what follows own n, stores it, and only then may it be reported.
    fn read_log(
        &mut self,
        (now, network): (Duration, u8),
        id: ControllerId,
        (committed, part): (u64, LogPart),
        effects: &mut Vec<Effect>,
    ) {
        self.log.heard_commit(id, committed);
        let told = part != LogPart::Nothing;
        match self.log.adopt(id, part) {
            Adoption::Adopted => {
                self.counters.adoptions += 1;
                self.check_entry(effects);
                effects.push(Effect::Store(self.log.saved()));
            }
            Adoption::Nothing => {}
            Adoption::Misfit => self.counters.misfits += 1,
        }
        // Also where it does not fit: another controller's answer to the same renewal came first.
        if told && self.log.n() < committed {
            self.has_more(now, id, network);
        }
    }

    /// Rule 3. Its own lease does not matter here: asking peers for their leases resets whole fleets.
    fn answer(
        &mut self,
        to: (u8, SocketAddr),
        node: NodeId,
        boot: BootId,
        seq: u64,
        effects: &mut Vec<Effect>,
    ) {
        if self.log.is_lost() {
            return;
        }
        self.counters.answers += 1;
        let fenced = self.log.state().open_boot(node).is_some() && !is_on(Mutant::M55);
        let fenced = fenced || (is_on(Mutant::M61) && self.lease_is_old);
        let message = if fenced {
            Message::NoVouch { voter: self.node, seq }
        } else {
            Message::Vouch { voter: self.node, voter_boot: self.boot, node, boot, seq }
        };
        effects.push(Effect::Send { to: vec![to], message });
    }

    /// Rule 5, second half. Safety does not rest on it, so whatever is not exactly right has no effect.
    pub(super) fn fence_event(
        &mut self,
        now: Duration,
        event: &FenceEvent,
        effects: &mut Vec<Effect>,
    ) {
        let order = &event.order;
        let refusal = if order.cluster != self.cluster {
            Some(OrderRefusal::Cluster)
        } else if order.node != self.node {
            Some(OrderRefusal::Node)
        } else if order.boot != self.boot && !mutants::is_on(mutants::Mutant::M42) {
            Some(OrderRefusal::Boot)
        } else if self.highest_epoch.is_some_and(|highest| order.epoch <= highest) {
            Some(OrderRefusal::Epoch)
        } else if !self.lease.knows_challenge(now, self.times().lease, order.challenge) {
            Some(OrderRefusal::Challenge)
        } else {
            let keys: Vec<(ControllerId, PublicKey)> =
                self.pinned.iter().map(|(id, pinned)| (*id, pinned.key)).collect();
            (!event.is_signed_by_two(&keys)).then_some(OrderRefusal::Signatures)
        };
        match refusal {
            Some(refusal) => *self.counters.refused_orders.entry(refusal).or_default() += 1,
            None => {
                self.highest_epoch = Some(order.epoch);
                if !mutants::is_on(mutants::Mutant::M43) {
                    effects.push(Effect::StoreEpoch(order.epoch));
                }
                self.reset(ResetReason::FenceEvent { epoch: order.epoch }, effects);
            }
        }
    }
}
