//! The guards are asked: with what the leader sees now, and with the storms that it remembers.

use std::time::Duration;

use action_matrix::Reach;
use fencing::NodeId;

use crate::core::Controller;
use crate::effect::Effect;
use crate::guard::{self, Asked, Refusal, is_storm};
use crate::registry::Node;

impl Controller {
    /// Which guards a verdict passes, and the last that did not let it pass before.
    pub(super) fn guards_asked(&self, node: NodeId) -> Vec<String> {
        let settling = self.leading.as_ref().and_then(|leading| leading.settling.get(&node));
        let before = settling.and_then(|settling| settling.refused.as_ref());
        let passed = format!("none refuses of {}", guard::names());
        let before =
            before.map(|refusal| format!("refused before by {}: {refusal}", refusal.name()));
        std::iter::once(passed).chain(before).collect()
    }

    /// Why a fence of this node would be refused now.
    pub(super) fn refusal(&self, node: NodeId) -> Option<Refusal> {
        let suspected = self.suspected(node);
        self.asked(node, &suspected, guard::refuse_verdict)
    }

    /// Why an operator's own order to fence would be refused now.
    pub(super) fn order_refusal(&self, node: NodeId) -> Option<Refusal> {
        self.asked(node, &[node], guard::refuse_order)
    }

    /// Rows that disable or migrate touch Nova alone, so only the guards that mean "hands off" concern them. These come
    /// first in the order in which they are asked, so that no other one hides them.
    pub(super) fn soft_refusal(&self, node: NodeId) -> Option<Refusal> {
        self.refusal(node).filter(|refusal| {
            matches!(
                refusal,
                Refusal::Noop
                    | Refusal::Disarmed(_)
                    | Refusal::Maintenance(_)
                    | Refusal::Grace(_)
                    | Refusal::AllSuspected
                    | Refusal::Storm(_)
                    | Refusal::NotProtected
                    | Refusal::Quorum
                    | Refusal::Stale(_)
            )
        })
    }

    fn asked(
        &self,
        node: NodeId,
        suspected: &[NodeId],
        guards: fn(&Asked<'_>) -> Option<Refusal>,
    ) -> Option<Refusal> {
        let leading = self.leading.as_ref()?;
        let domain = self.registry.node(node).map(|known| known.record.domain.as_str());
        let storm = domain.and_then(|domain| leading.storms.get(domain));
        let no_room = self.no_room_for(node, suspected);
        let left = |begin: Duration, wait: Duration| (begin + wait).checked_sub(self.now);
        guards(&Asked {
            registry: &self.registry,
            node,
            suspected,
            grace_left: self.grace_left(),
            new_leader_left: left(leading.since, self.settings.waits.new_leader)
                .filter(|left| !left.is_zero()),
            waits: &self.settings.waits,
            storm_stop: storm.is_some_and(|until| *until > self.now),
            controllers: self.settings.controllers.len(),
            stale: leading.nova_trouble.as_deref(),
            no_room: no_room.as_deref(),
        })
    }

    /// What is left of the start-up grace.
    pub(super) fn grace_left(&self) -> Option<Duration> {
        self.grace_until.checked_sub(self.now).filter(|left| !left.is_zero())
    }

    /// Protected nodes that are suspected or unreachable on some network, or that would be fenced for what their checks
    /// say, `node` counted in.
    pub(super) fn suspected(&self, node: NodeId) -> Vec<NodeId> {
        let troubled = |id: &NodeId| {
            let down = |sight: &crate::detect::Sight| {
                sight.is_silent(*id) || matches!(sight.reach(*id), Some((Reach::Down, _)))
            };
            *id == node || self.sights.iter().any(down) || self.fails_a_fencing_check(*id)
        };
        let protected =
            |known: &Node| known.serving_boot().is_some() && known.maintenance.is_none();
        self.registry
            .nodes()
            .iter()
            .filter(|(id, known)| protected(known) && troubled(id))
            .map(|(id, _)| *id)
            .collect()
    }

    /// A storm stops new fences of its domain, also for a while after it is over.
    pub(super) fn note_storms(&mut self, out: &mut Vec<Effect>) {
        let nobody = NodeId(uuid::Uuid::nil());
        let suspected = self.suspected(nobody);
        if suspected.is_empty() {
            return;
        }
        let until = self.now + self.settings.waits.storm_over;
        let mut domains: Vec<String> =
            self.registry.nodes().values().map(|node| node.record.domain.clone()).collect();
        domains.sort_unstable();
        domains.dedup();
        for domain in domains {
            if !is_storm(&self.registry, &domain, &suspected) {
                continue;
            }
            let Some(leading) = &mut self.leading else { return };
            let before = leading.storms.insert(domain.clone(), until);
            if before.is_none_or(|at| at < self.now) {
                out.push(Effect::page(
                    "guard",
                    format!("storm in failure domain {domain}: {} nodes suspected at once, no new fence there", suspected.len()),
                ));
            }
        }
    }
}
