//! Which nodes may carry questions to BMCs that controllers do not reach.

use std::time::Duration;

use action_matrix::Reach;
use fencing::NodeId;
use fencing::bmc::{Ask, Identity};

use crate::core::Controller;
use crate::effect::{Effect, Ticket};
use crate::registry::Node;

impl Controller {
    /// Asks a level of a node's fencing, by way of those of its proxies that may carry it.
    pub(super) fn ask_level(
        &mut self,
        ticket: Ticket,
        (node, level): (NodeId, u8),
        ask: Ask,
        expect: Option<Identity>,
        not_after: Duration,
    ) {
        let via = self.registry.node(node).map_or(Vec::new(), |known| self.carriers(known, level));
        self.send_as_leader(Effect::Bmc { ticket, node, level, via, ask, expect, not_after });
    }

    /// Not one that is out, however it seems. Of the others those that seem to be up; and where none does all of them,
    /// for what we see of them may be as broken as what we see of the BMC.
    fn carriers(&self, known: &Node, level: u8) -> Vec<NodeId> {
        let there: Vec<_> =
            known.via(level).iter().copied().filter(|id| !self.registry.is_out(*id)).collect();
        let up: Vec<_> = there.iter().copied().filter(|id| self.seems_up(*id)).collect();
        if up.is_empty() { there } else { up }
    }

    /// Why none of a level's proxies would carry a question now; `None` where one would, or none is needed.
    pub(super) fn trouble_of_proxies(&self, known: &Node, level: u8) -> Option<(String, String)> {
        let via = known.via(level);
        let helps = |id: &NodeId| !self.registry.is_out(*id) && self.seems_up(*id);
        if via.is_empty() || via.iter().any(helps) {
            return None;
        }
        let names: Vec<String> = via.iter().map(|id| self.name(*id)).collect();
        let names = names.join(", ");
        let what = format!("it is asked by way of {names}, and none of them is up");
        Some((what, format!("bring one of {names} back, or name another node in `via`")))
    }

    /// Its sentinel renews, or it answers on a network: a proxy need not have a sentinel.
    fn seems_up(&self, id: NodeId) -> bool {
        let heard = self.sentinels.of(id).map(|heard| self.now.saturating_sub(heard.at));
        let answers =
            |sight: &crate::detect::Sight| matches!(sight.reach(id), Some((Reach::Up, _)));
        heard.is_some_and(|ago| ago <= super::check::RUNS) || self.sights.iter().any(answers)
    }
}
