//! S1.

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::world::World;

/// S1: no VM has two guests that can write its disks. A human may start a second one by hand, past everything; Nova and
/// we may start none, whoever started the first.
#[derive(Debug, Default)]
pub(super) struct SingleWriter {
    judged: u64,
}

impl Oracle for SingleWriter {
    fn name(&self) -> &'static str {
        "single_writer"
    }

    fn promise(&self) -> &'static str {
        "a VM never runs twice"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::GuestStarted { vm, node, by_hand: false } = fact else { return Ok(()) };
        let on = world.runs_on(*vm);
        if on.iter().any(|number| world.ghost.lied_about.contains(number)) {
            return Ok(());
        }
        self.judged += 1;
        if on.len() > 1 {
            let name = world.vms.get(vm).cloned().unwrap_or_default();
            let on: Vec<String> = on.iter().map(|n| Place::Node(*n).to_string()).collect();
            return Err(format!("{name} started on node-{node} runs on {}", on.join(" and ")));
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
