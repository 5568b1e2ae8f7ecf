//! Raft: what is committed.

use std::collections::BTreeMap;

use super::{Held, entry};
use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::seat::Seat;
use crate::world::World;

/// What a disk calls committed stands on the disks of a majority, and never changes afterwards.
#[derive(Debug, Default)]
pub(in crate::oracle) struct CommittedOnQuorum {
    committed: BTreeMap<u64, Held>,
    /// Up to where each controller's disk was compared.
    seen: BTreeMap<u8, u64>,
    judged: u64,
}

/// Committed entries that are remembered.
const REMEMBERED: usize = 2048;

impl Oracle for CommittedOnQuorum {
    fn name(&self) -> &'static str {
        "raft_committed_on_quorum"
    }

    fn promise(&self) -> &'static str {
        "what is committed stands on a majority of the disks, and never changes"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if !matches!(fact, Fact::Applied { .. } | Fact::Second) {
            return Ok(());
        }
        for seat in &world.seats {
            let known = self.seen.get(&seat.number).copied().unwrap_or(0);
            let commit = seat.disk.commit().0;
            for index in known.max(seat.disk.compacted().0) + 1..=commit {
                self.judge_entry(world, seat, index)?;
            }
            self.seen.insert(seat.number, commit.max(known));
        }
        while self.committed.len() > REMEMBERED {
            self.committed.pop_first();
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl CommittedOnQuorum {
    fn judge_entry(&mut self, world: &World, seat: &Seat, index: u64) -> Result<(), String> {
        let Some(own) = entry(seat, index) else { return Ok(()) };
        let who = seat.place();
        self.judged += 1;
        if let Some(known) = self.committed.get(&index) {
            return if *known == own {
                Ok(())
            } else {
                Err(format!("{who} commits another entry at index {index} than was committed"))
            };
        }
        let holds = |other: &&Seat| {
            other.disk.compacted().0 >= index || entry(other, index).as_ref() == Some(&own)
        };
        let holders = world.seats.iter().filter(holds).count();
        self.committed.insert(index, own);
        if holders * 2 > world.seats.len() {
            return Ok(());
        }
        Err(format!("{who} calls index {index} committed, which {holders} disks hold"))
    }
}
