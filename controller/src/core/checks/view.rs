//! What checks say, for operators.

use std::time::Duration;

use api::{Doubt, Weight};
use fencing::NodeId;
use fencing::checks::State;

use crate::core::Controller;
use crate::registry::Node;

impl Controller {
    /// The checks of a node's present boot, by name.
    pub(in crate::core) fn checks_view(&self, now: Duration, node: NodeId) -> Vec<api::Check> {
        let held = self.boot_of_checks(node).and_then(|boot| self.checks.of(node, boot));
        let Some(held) = held else { return Vec::new() };
        let view = |said: &super::held::Said| {
            let fresh = said.is_fresh(now) && !held.is_silent();
            let state = if fresh { said.check.state } else { State::Unknown };
            let before = if fresh { said.check.before } else { said.check.state };
            api::Check {
                name: said.check.name.clone(),
                state: state.to_string(),
                before: before.to_string(),
                code: said.check.code,
                message: said.check.message.clone(),
                for_s: now.saturating_sub(said.since).as_secs_f64(),
                heard_s: now.saturating_sub(said.heard).as_secs_f64(),
            }
        };
        held.said.values().map(view).collect()
    }

    /// What checks say of a node whose verdict rests on them.
    pub(in crate::core) fn check_observations(
        &self,
        node: NodeId,
        names: &[String],
    ) -> Vec<String> {
        let checks = self.checks_view(self.now, node);
        let named = checks.into_iter().filter(|check| names.contains(&check.name));
        named
            .map(|check| {
                let api::Check { name, state, for_s, message, .. } = check;
                format!("check {name}: {state} for {for_s:.1}s: {message}")
            })
            .collect()
    }

    /// Checks that the matrix asks for and the agent does not have, and the other way round. Neither is a danger.
    pub(in crate::core) fn notes_of_checks(
        &self,
        id: NodeId,
        node: &Node,
        doubts: &mut Vec<Doubt>,
    ) {
        if node.serving_boot().is_none() {
            return;
        }
        let note = |what: String, remedy: String| Doubt { weight: Weight::Note, what, remedy };
        let known = self.checks_view(self.now, id);
        let has = |name: &String| known.iter().any(|check| &check.name == name);
        for name in self.matrix.checks().iter().filter(|name| !has(name)) {
            doubts.push(note(
                format!(
                    "no check {name} is reported, and the matrix has rows for it: it stays unknown"
                ),
                format!("give node.toml a [[check]] called {name}, or take it out of the matrix"),
            ));
        }
        for check in known.iter().filter(|check| !self.matrix.checks().contains(&check.name)) {
            let name = &check.name;
            doubts.push(note(
                format!("its check {name} is in no row of the matrix: nothing follows from it"),
                format!("name {name} in `checks` and in a row of the matrix, or leave it for people to see"),
            ));
        }
    }
}
