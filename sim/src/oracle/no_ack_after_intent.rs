//! S5.

use controller::raft::Index;
use controller::registry::{Command, Entry};

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_number};
use crate::world::World;

/// S5: a controller whose disk holds an open intent on a node, uncommitted tail included, acks no renewal of it; and no
/// controller that knows of it ever acks a boot that was fenced.
#[derive(Debug, Default)]
pub(super) struct NoAckAfterIntent {
    judged: u64,
}

impl Oracle for NoAckAfterIntent {
    fn name(&self) -> &'static str {
        "no_ack_after_intent"
    }

    fn promise(&self) -> &'static str {
        "who has promised to fence a node no longer stands for it"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Acked { controller, node, boot, .. } = fact else { return Ok(()) };
        let Some(seat) = world.seat(*controller) else { return Ok(()) };
        let Some(registry) = seat.core.as_ref().map(|core| core.registry()) else { return Ok(()) };
        self.judged += 1;
        let known = registry.incident_of(*node);
        let out =
            known.is_some_and(|incident| incident.fence().is_some() && incident.state.is_out());
        // What no registry ever held this one does not hold either.
        let fenced = world.ghost.fenced_boots.contains(&(*node, *boot))
            && registry
                .incidents()
                .values()
                .filter(|incident| incident.node == *node && incident.boot == *boot)
                .any(|incident| incident.fence().is_some_and(|fence| fence.evidence.is_some()));
        let tail = seat.disk.entries_after(Index(registry.index()));
        let in_tail = tail.into_iter().any(|(_, _, bytes)| {
            postcard::from_bytes::<Entry>(bytes).is_ok_and(
                |entry| matches!(entry.command, Command::Intent { node: on, .. } if on == *node),
            )
        });
        let why = match (out, fenced, in_tail) {
            (true, _, _) => "an open intent",
            (_, true, _) => "that this boot was fenced",
            (_, _, true) => "an intent in the tail of its log",
            (false, false, false) => return Ok(()),
        };
        let (who, whom) = (Place::Controller(*controller), Place::Node(node_number(*node)));
        Err(format!("{who} holds {why} and acks {whom}"))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
