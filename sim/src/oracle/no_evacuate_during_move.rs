//! S9.

use controller::nova::call::Call;

use super::Oracle;
use crate::fact::Fact;
use crate::world::World;

/// S9: no POST evacuate for a VM with a live migration that neither ended nor was given up: its guest may be on either
/// side.
#[derive(Debug, Default)]
pub(super) struct NoEvacuateDuringMove {
    judged: u64,
}

impl Oracle for NoEvacuateDuringMove {
    fn name(&self) -> &'static str {
        "no_evacuate_during_move"
    }

    fn promise(&self) -> &'static str {
        "a VM in the middle of a move is left to a human"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Called { call: Call::Evacuate { server, .. }, .. } = fact else { return Ok(()) };
        self.judged += 1;
        let Some(record) = world.cloud.unfinished_moves(*server).next() else { return Ok(()) };
        let name = world.vms.get(server).cloned().unwrap_or_default();
        Err(format!(
            "{name} is evacuated while its live migration {} from {} is {:?}",
            record.id, record.source, record.status
        ))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
