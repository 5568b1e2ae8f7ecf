//! What is told of a node that flaps: once that it does, once that it is calm, and between the two no page for each turn,
//! but that it stays down.

use std::time::Duration;

use action_matrix::Reach;
use fencing::NodeId;

use crate::core::Controller;
use crate::detect::Flapping;
use crate::effect::{Effect, Network};

impl Controller {
    /// A node flaps. A person is told, unless nobody expects anything of the node now.
    pub(super) fn note_flapping(
        &mut self,
        network: Network,
        node: NodeId,
        known: Flapping,
        out: &mut Vec<Effect>,
    ) {
        let (name, network) = (self.name(node), self.network_name(network));
        let text = format!(
            "{name} flaps on {network}: judged down {} times within ten minutes. What its rows say is done each time; \
             before it has held still for {} min only a fence is told again, or that it stays down. Look at its cable, port \
             and driver",
            known.downs,
            known.needs.as_secs() / 60
        );
        let expected = self.registry.node(node).is_some_and(|node| {
            node.serving_boot().is_some() && node.maintenance.is_none() && !node.disarmed
        });
        out.push(match expected {
            true => Effect::page("observe", text),
            false => Effect::journal("observe", text),
        });
    }

    /// It has held still.
    pub(super) fn note_calm(
        &mut self,
        network: Network,
        node: NodeId,
        held: Duration,
        out: &mut Vec<Effect>,
    ) {
        let (name, minutes) = (self.name(node), held.as_secs() / 60);
        let reach = self.sights.get(network.place()).and_then(|sight| sight.reach(node));
        let word = match reach {
            Some((Reach::Up, _)) => "up",
            Some((Reach::Down, _)) => "down",
            Some((Reach::Unknown, _)) | None => "unknown",
        };
        let network = self.network_name(network);
        let text = format!("{name} no longer flaps on {network}: {word} for {minutes} min");
        out.push(Effect::journal("observe", text));
    }

    /// Whether a node is down on a network on which it is told to flap: what follows from that alone is no news, unless it
    /// stays down.
    pub(super) fn is_down_by_flapping(&self, node: NodeId) -> bool {
        let now = self.now;
        let mut down = self
            .sights
            .iter()
            .filter(|sight| matches!(sight.reach(node), Some((Reach::Down, _))))
            .peekable();
        let by_flapping = |known: Flapping| !known.stays(now);
        down.peek().is_some() && down.all(|sight| sight.flapping(node).is_some_and(by_flapping))
    }
}
