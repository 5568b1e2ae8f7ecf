//! Raft: leader completeness.

use std::collections::{BTreeMap, BTreeSet};

use super::entry;
use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::seat::Seat;
use crate::world::World;

/// A new leader holds everything that was committed before it.
#[derive(Debug, Default)]
pub(in crate::oracle) struct LeaderCompleteness {
    /// Term of each committed entry, as whoever applied it first held it.
    committed: BTreeMap<u64, u64>,
    seen: BTreeSet<(u8, u64)>,
}

/// Committed entries that are remembered.
const REMEMBERED: usize = 2048;

impl Oracle for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "raft_leader_completeness"
    }

    fn promise(&self) -> &'static str {
        "a leader holds all that was committed before it"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let new =
            |seat: &&Seat| seat.leads() && !self.seen.contains(&(seat.number, seat.disk.term().0));
        let leaders: Vec<&Seat> = world.seats.iter().filter(new).collect();
        for leader in leaders {
            self.seen.insert((leader.number, leader.disk.term().0));
            self.holds_all(leader)?;
        }
        if let Fact::Applied { controller, index } = fact
            && let Some(seat) = world.seat(*controller)
        {
            self.learn(seat, *index);
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        u64::try_from(self.seen.len()).unwrap_or(u64::MAX)
    }
}

impl LeaderCompleteness {
    fn holds_all(&self, leader: &Seat) -> Result<(), String> {
        let compacted = leader.disk.compacted().0;
        for (index, term) in self.committed.range(compacted + 1..) {
            let held = entry(leader, *index).map(|(term, _)| term);
            if held != Some(*term) {
                return Err(format!(
                    "{} leads term {} and holds {held:?} at index {index}, where term {term} is committed",
                    leader.place(),
                    leader.disk.term()
                ));
            }
        }
        Ok(())
    }

    fn learn(&mut self, seat: &Seat, index: u64) {
        let known = self.committed.last_key_value().map_or(0, |(index, _)| *index);
        for index in known.max(seat.disk.compacted().0) + 1..=index {
            if let Some((term, _)) = entry(seat, index) {
                self.committed.insert(index, term);
            }
        }
        while self.committed.len() > REMEMBERED {
            self.committed.pop_first();
        }
    }
}
