//! The gossiped fence event: signed by the leader and by a second controller that holds the committed intent.
//! It only makes things faster: no evidence rests on it, and its acknowledgement is none.

use std::time::Duration;

use fencing::event::{FenceEvent, Order};
use fencing::sign::Signature;
use fencing::{ControllerId, Epoch};

use crate::core::Controller;
use crate::effect::{Effect, PeerMessage};
use crate::registry::{Incident, State};

/// A co-signature is asked for again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Controller {
    /// Asks for co-signatures until the event is out.
    pub(super) fn spread_event(
        &mut self,
        incident: &Incident,
        epoch: Epoch,
        out: &mut Vec<Effect>,
    ) {
        let (now, cluster) = (self.now, self.settings.cluster);
        let heard = self
            .sentinels
            .of(incident.node)
            .filter(|heard| heard.boot == incident.boot || mutants::is_on(mutants::Mutant::M42));
        let Some(challenge) = heard.and_then(|heard| heard.challenges.last().copied()) else {
            return;
        };
        let Some(work) = self.work(incident.id).filter(|work| !work.spread) else { return };
        if work.cosign_at.is_some_and(|at| now.saturating_sub(at) < ASK_AGAIN) {
            return;
        }
        work.cosign_at = Some(now);
        let order = Order {
            cluster,
            incident: incident.id,
            node: incident.node,
            boot: incident.boot,
            epoch,
            challenge,
        };
        work.order = Some(order.clone());
        self.tell_peers(&PeerMessage::CosignWanted(order), out);
    }

    /// Signs for another leader, if this controller holds the committed intent that the order names.
    pub(super) fn cosign(&mut self, from: ControllerId, order: Order, out: &mut Vec<Effect>) {
        let held = self.registry.incident_of(order.node).is_some_and(|incident| {
            incident.state == State::Fencing
                && incident.id == order.incident
                && incident.boot == order.boot
                && incident.fence().is_some_and(|fence| fence.epoch == order.epoch)
        });
        if held && order.cluster == self.settings.cluster {
            let signature = order.sign(&self.settings.key);
            out.push(Effect::Peer { to: from, message: PeerMessage::Cosigned(order, signature) });
        }
    }

    /// A second signature is there: the event goes out on every network, and on until there is evidence.
    pub(super) fn cosigned(
        &mut self,
        from: ControllerId,
        order: Order,
        signature: Signature,
        out: &mut Vec<Effect>,
    ) {
        let (me, now) = (self.settings.me, self.now);
        let mine = order.sign(&self.settings.key);
        let Some(work) = self.work(order.incident) else { return };
        if work.spread || work.order.as_ref() != Some(&order) {
            return;
        }
        work.spread = true;
        let (node, epoch) = (order.node, order.epoch);
        let event = FenceEvent { order, signatures: vec![(me, mine), (from, signature)] };
        let Ok(bytes) = postcard::to_stdvec(&event) else { return };
        for sight in &mut self.sights {
            sight.broadcast(now, node.0.as_u128(), (epoch.term, epoch.index), &bytes, out);
        }
        let name = self.name(node);
        out.push(Effect::journal(
            "fence",
            format!("{name} fence event spread, signed by {me} and {from}"),
        ));
    }

    /// Ends the event of a node whose fence is decided.
    pub(super) fn end_event(&mut self, incident: &Incident) {
        let spread = self.work(incident.id).is_some_and(|work| std::mem::take(&mut work.spread));
        if spread {
            let key = incident.node.0.as_u128();
            self.sights.iter_mut().for_each(|sight| sight.cancel(key));
        }
    }
}
