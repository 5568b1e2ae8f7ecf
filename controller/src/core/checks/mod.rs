//! What the nodes' own health checks say, beside what others see of them.
//!
//! Every controller holds it, so that a new leader knows it. It counts for the boot that said it, and for as long as its
//! agent is heard; then it is unknown. Before anything touches a VM because of a check, its agent is asked, and says so
//! again: the answer quotes the question, so that nothing that somebody sent before can stand for it.

mod held;
mod stand;
mod view;

use action_matrix::CheckState;
use fencing::checks::{CHANNEL, Message, Report, State};
use fencing::{BootId, NodeId};
use mutants::{Mutant, is_on};

use crate::core::Controller;
use crate::effect::Effect;
use crate::registry::Node;

use held::Change;
pub(super) use held::Held;

impl Controller {
    /// An agent told of its checks.
    pub(super) fn checks_told(&mut self, report: Report, out: &mut Vec<Effect>) {
        let (now, node) = (self.now, report.node);
        if self.boot_of_checks(node) != Some(report.boot) && !is_on(Mutant::M95) {
            return;
        }
        let taken = self.checks.take(now, report);
        for change in &taken.changes {
            self.tell_change(node, change, out);
        }
        if !taken.changes.is_empty() {
            self.next_look = self.now;
        }
        if taken.ask {
            self.ask_checks(node, out);
        }
    }

    /// What was not heard for long is unknown from now on.
    pub(super) fn expire_checks(&mut self, out: &mut Vec<Effect>) {
        let now = self.now;
        if !self.checks.is_due(now) {
            return;
        }
        let nodes = self.registry.nodes();
        let changes = self.checks.expire(now, |node| nodes.contains_key(&node));
        for (node, change) in changes {
            self.tell_change(node, &change, out);
        }
    }

    /// The checks of the matrix, in its order. A warning is no failure.
    pub(super) fn check_states(&self, node: NodeId) -> Vec<CheckState> {
        let boot = self.boot_of_checks(node);
        let state = |name: &String| match boot {
            Some(boot) => failed_or_not(self.checks.state(self.now, node, boot, name)),
            None => CheckState::Unknown,
        };
        self.matrix.checks().iter().map(state).collect()
    }

    /// Whether a node's checks, as they are held now, would have it fenced: it counts among those that are in trouble.
    pub(super) fn fails_a_fencing_check(&self, node: NodeId) -> bool {
        if !self.checks.any_failed(node) {
            return false;
        }
        let cell = self.cell(node);
        let row = self.matrix.decide(&cell).row;
        row.fences() && row.checks().contains(&Some(CheckState::Failed))
    }

    /// Asks an agent for all its checks, on every network.
    pub(super) fn ask_checks(&mut self, node: NodeId, out: &mut Vec<Effect>) {
        let nonce = self.random();
        self.checks.asked(self.now, node, nonce);
        let Ok(bytes) = postcard::to_stdvec(&Message::Ask { nonce }) else { return };
        for sight in &self.sights {
            sight.talk(node, CHANNEL, &bytes, out);
        }
    }

    /// The boot whose checks count: the one that serves, or that is being fenced.
    pub(super) fn boot_of_checks(&self, node: NodeId) -> Option<BootId> {
        let serving = self.registry.node(node).and_then(Node::serving_boot);
        serving.or_else(|| self.registry.incident_of(node).map(|incident| incident.boot))
    }

    fn tell_change(&self, node: NodeId, change: &Change, out: &mut Vec<Effect>) {
        let Change { name, before, state, message } = change;
        // Its first word is no news where all is well.
        let news = !matches!((before, state), (State::Unknown, State::Ok));
        if self.leading.is_some() && news {
            let text = format!("{} check {name} {before} -> {state}: {message}", self.name(node));
            out.push(Effect::journal("observe", text));
        }
    }
}

/// What the matrix makes of it.
pub(super) fn failed_or_not(state: State) -> CheckState {
    match state {
        State::Ok | State::Warning => CheckState::Ok,
        State::Critical => CheckState::Failed,
        State::Unknown => CheckState::Unknown,
    }
}
