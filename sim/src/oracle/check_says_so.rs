//! A check that does not fail moves nobody.

use std::time::Duration;

use action_matrix::CheckState;

use super::Oracle;
use super::openings::Openings;
use crate::fact::Fact;
use crate::place::{Place, boot_id, node_number};
use crate::world::World;

/// No row that asks for a failed check does anything about a boot in which that check did not fail a moment ago, wherever
/// reports were lost, old or sent again.
#[derive(Debug, Default)]
pub(super) struct CheckSaysSo {
    openings: Openings,
    judged: u64,
}

/// Beside what the check itself takes to be well again: the answer to a question counts for two seconds, and a verdict
/// takes its way through Raft.
const SLACK: Duration = Duration::from_secs(4);

/// What an agent said last holds for so long, when it says nothing more.
const HEARD_FOR: Duration = Duration::from_secs(40);

impl Oracle for CheckSaysSo {
    fn name(&self) -> &'static str {
        "check_says_so"
    }

    fn promise(&self) -> &'static str {
        "a check that does not fail moves nobody"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        for incident in self.openings.take(world, fact) {
            let matrix = &world.plan().matrix;
            let row = matrix.rows().iter().find(|row| row.name() == incident.verdict.row);
            let Some(row) = row else { continue };
            // Before a fence the agent is asked, however long its row took to settle; who is only told of it is told what
            // the agent said last.
            let heard = if row.fences() { Duration::ZERO } else { HEARD_FOR + row.settle() };
            let asked = matrix.checks().iter().zip(row.checks());
            for (name, _) in asked.filter(|(_, state)| **state == Some(CheckState::Failed)) {
                self.judged += 1;
                let number = node_number(incident.node);
                let plan = world.plan().checks.iter().find(|plan| &plan.name == name);
                let slack = SLACK + heard;
                let back = plan.map_or(slack, |plan| plan.every * (plan.rise + 1) + slack);
                let now = world.now();
                let failed = world.node(number).and_then(|node| node.health.last_failed(name, now));
                let stands = failed.is_some_and(|(boots, at)| {
                    let same = boot_id(Place::Node(number), boots) == incident.boot;
                    same && now.saturating_sub(at) <= back
                });
                if !stands {
                    return Err(format!(
                        "row {:?} acts on {} for its check {name}, which has not failed in this boot for {back:?}",
                        row.name(),
                        Place::Node(number)
                    ));
                }
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
