//! S13, and Raft's own promise.

use controller::raft::Index;

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::seat::Seat;
use crate::world::World;

/// S13: whatever a controller applies stands on the disks of a majority.
#[derive(Debug, Default)]
pub(super) struct QuorumOnly {
    seen: u64,
    judged: u64,
}

impl Oracle for QuorumOnly {
    fn name(&self) -> &'static str {
        "quorum_only"
    }

    fn promise(&self) -> &'static str {
        "nothing is done that a majority of the controllers does not hold on disk"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Applied { controller, index } = fact else { return Ok(()) };
        if *index <= self.seen {
            return Ok(());
        }
        self.seen = *index;
        self.judged += 1;
        let Some(seat) = world.seat(*controller) else { return Ok(()) };
        let before = Index(index.saturating_sub(1));
        let entry = |seat: &Seat| {
            let first = seat.disk.entries_after(before).next();
            first.map(|(at, term, command)| (at, term, command.to_vec()))
        };
        let own = entry(seat);
        let holders = world.seats.iter().filter(|other| {
            let held = entry(other);
            other.disk.compacted().0 >= *index || (held.is_some() && held == own)
        });
        let holders = holders.count();
        if holders * 2 <= world.seats.len() && seat.disk.compacted().0 < *index {
            let who = Place::Controller(*controller);
            return Err(format!("{who} applies index {index}, which {holders} disks hold"));
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
