//! S6.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::NodeId;

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_id};
use crate::world::World;

/// S6: a power off leaves a controller only after it has applied its intent and, after that, heard from a majority of the
/// controllers: whoever was deposed meanwhile has been told.
#[derive(Debug, Default)]
pub(super) struct IntentFirst {
    /// When each controller applied the intent that is open for a node.
    known: BTreeMap<(u8, u32, NodeId), Duration>,
    judged: u64,
}

impl Oracle for IntentFirst {
    fn name(&self) -> &'static str {
        "intent_first"
    }

    fn promise(&self) -> &'static str {
        "no effect without its entry, and none by who leads no more"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Applied { controller, .. } => {
                self.note(world, *controller);
                Ok(())
            }
            Fact::OffSent { controller, node } => {
                self.judged += 1;
                self.judge_off(world, *controller, *node)
            }
            Fact::GuestStarted { .. }
            | Fact::Intended { .. }
            | Fact::Proven { .. }
            | Fact::Acked { .. }
            | Fact::Renewed { .. }
            | Fact::Asked { .. }
            | Fact::Vouched { .. }
            | Fact::OffArrived { .. }
            | Fact::Called { .. }
            | Fact::GateOpened { .. }
            | Fact::Reset { .. }
            | Fact::Halted { .. }
            | Fact::Second => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl IntentFirst {
    fn note(&mut self, world: &World, controller: u8) {
        let Some(seat) = world.seat(controller) else { return };
        let Some(core) = &seat.core else { return };
        for id in core.registry().nodes().keys() {
            let key = (controller, seat.starts, *id);
            if core.registry().is_out(*id) {
                self.known.entry(key).or_insert(world.now());
            } else {
                self.known.remove(&key);
            }
        }
    }

    fn judge_off(&self, world: &World, controller: u8, node: u8) -> Result<(), String> {
        let (who, whom) = (Place::Controller(controller), Place::Node(node));
        let Some(seat) = world.seat(controller) else { return Ok(()) };
        let known = self.known.get(&(controller, seat.starts, node_id(node)));
        let Some(since) = known else {
            return Err(format!("{who} switches {whom} off and has applied no intent"));
        };
        let heard = seat.heard.values().filter(|at| *at > since).count();
        if (heard + 1) * 2 <= world.seats.len() {
            return Err(format!(
                "{who} switches {whom} off, and since its intent was heard by {heard} others only"
            ));
        }
        Ok(())
    }
}
