//! A node's cell: what its networks are, since when it has been well, and who says so.

use std::time::Duration;

use action_matrix::{Cell, CheckState, Reach};
use fencing::NodeId;

use crate::core::Controller;
use crate::detect::{Sight, member_id};

impl Controller {
    /// What this controller holds a node to be on each network, in their order, and whether its observers are being asked
    /// there.
    pub fn reaches(&self, node: NodeId) -> impl Iterator<Item = (Reach, bool)> {
        let seen = move |sight: &Sight| (self.seen_reach(sight, node), sight.is_suspect(node));
        self.sights.iter().map(seen)
    }

    /// A node as a cell of the matrix: what others see of it, and what its own checks say.
    pub(super) fn cell(&self, node: NodeId) -> Cell {
        let networks = self.sights.iter().map(|sight| self.seen_reach(sight, node)).collect();
        Cell { networks, checks: self.check_states(node) }
    }

    fn seen_reach(&self, sight: &Sight, node: NodeId) -> Reach {
        let reach = sight.reach(node).map_or(Reach::Unknown, |(reach, _)| reach);
        let unknown_is_down = mutants::is_on(mutants::Mutant::M17) && reach == Reach::Unknown;
        if unknown_is_down { Reach::Down } else { reach }
    }

    /// Its networks in compact form, and the checks that failed. Those that are unknown are left out: on most nodes most are.
    pub(super) fn compact(&self, node: NodeId) -> String {
        let mut cell = self.cell(node);
        for state in &mut cell.checks {
            if *state == CheckState::Unknown {
                *state = CheckState::Ok;
            }
        }
        self.matrix.compact(&cell)
    }

    /// Since when every network of a node has been up. Whether some node is down on some network.
    pub(super) fn note_health(&mut self) -> bool {
        let (now, mut down) = (self.now, false);
        let nodes: Vec<NodeId> = self.registry.nodes().keys().copied().collect();
        for node in nodes {
            let (mut well, mut down_here) = (true, false);
            for sight in &self.sights {
                let reach = self.seen_reach(sight, node);
                // Up is what was judged last: a node that nobody reaches now is not well, whatever keeps it from being down.
                well &= reach == Reach::Up && !sight.is_silent(node);
                down_here |= reach == Reach::Down;
            }
            down |= down_here || self.fails_a_fencing_check(node);
            let Some(leading) = &mut self.leading else { return down };
            if well {
                leading.healthy.entry(node).or_insert(now);
            } else {
                leading.healthy.remove(&node);
            }
        }
        down
    }

    /// How long every network of a node has been up.
    pub(super) fn healthy_for(&self, node: NodeId) -> Duration {
        let since = self.leading.as_ref().and_then(|leading| leading.healthy.get(&node));
        since.map_or(Duration::ZERO, |since| self.now.saturating_sub(*since))
    }

    /// What observers say of the networks on which a node is down.
    pub(super) fn observations(&self, node: NodeId) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, sight) in self.settings.networks.iter().zip(&self.sights) {
            let Some((_, observers)) = sight.grounds(node) else { continue };
            let reach = sight.reach(node).map_or(Reach::Unknown, |(reach, _)| reach);
            if reach != Reach::Down {
                continue;
            }
            for seen in observers {
                let who = self.observer_name(seen.id);
                let voice = if seen.sound { "" } else { " (no voice)" };
                lines.push(format!(
                    "{name}: {who} unanswered for {:.1}s{voice}",
                    seen.unanswered.as_secs_f64()
                ));
            }
        }
        lines
    }

    /// A controller's or a node's name.
    pub(super) fn observer_name(&self, id: uuid::Uuid) -> String {
        let mut controllers = self.settings.controllers.keys();
        match controllers.find(|controller| member_id(self.settings.cluster, **controller) == id) {
            Some(controller) => controller.to_string(),
            None => self.name(NodeId(id)),
        }
    }
}
