//! Whether what a row asks of checks still stands: their agent is asked, and must say so again.

use std::time::Duration;

use action_matrix::{CheckState, Row};
use fencing::NodeId;
use mutants::{Mutant, is_on};

use crate::core::Controller;
use crate::effect::Effect;

/// An answer counts for so long after its question left.
const STANDS: Duration = Duration::from_secs(2);
/// Without an answer it is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// An agent that says nothing for so long, though it is asked, says nothing of its checks.
const PATIENCE: Duration = Duration::from_secs(3);

impl Controller {
    /// The checks that a row asks for, and so rests on. One that it wants unknown needs nobody's word.
    pub(in crate::core) fn rests_on(&self, row: &Row) -> Vec<String> {
        let wanted = self.matrix.checks().iter().zip(row.checks());
        let known = |state: &Option<CheckState>| match state {
            Some(CheckState::Ok | CheckState::Failed) => true,
            Some(CheckState::Unknown) | None => false,
        };
        wanted.filter(|(_, state)| known(state)).map(|(name, _)| name.clone()).collect()
    }

    /// Whether the agent of a node has just said again what these checks are held to say. If not it is asked; one that
    /// does not answer makes them unknown.
    pub(in crate::core) fn checks_stand(
        &mut self,
        node: NodeId,
        names: &[String],
        out: &mut Vec<Effect>,
    ) -> bool {
        if names.is_empty() || is_on(Mutant::M96) {
            return true;
        }
        let now = self.now;
        let Some(boot) = self.boot_of_checks(node) else { return false };
        let Some(held) = self.checks.of_mut(node, boot) else { return false };
        let since = now.saturating_sub(STANDS);
        if names.iter().all(|name| held.stands(name, since)) {
            return true;
        }
        if held.is_silent() {
            return false;
        }
        let waits_since = *held.waits_since.get_or_insert(now);
        if now.saturating_sub(waits_since) >= PATIENCE {
            self.checks.turn_silent(node);
            let text = format!(
                "{} does not say again what its checks say ({}): they are unknown until it answers",
                self.name(node),
                names.join(", ")
            );
            out.push(Effect::journal("observe", text));
            return false;
        }
        let asked = held.asked_at();
        if asked.is_none_or(|at| now.saturating_sub(at) >= ASK_AGAIN) {
            self.ask_checks(node, out);
        }
        false
    }
}
