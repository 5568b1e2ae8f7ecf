//! S13, and Raft's own promise.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::raft::Index;

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::seat::Seat;
use crate::world::World;

/// S13: whatever a controller applies stands on the disks of a majority, and one that has heard none for a while no
/// longer leads.
#[derive(Debug, Default)]
pub(super) struct QuorumOnly {
    seen: u64,
    /// Since when each leader has run without a majority.
    alone: BTreeMap<u8, Duration>,
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
        if *fact == Fact::Second {
            return self.judge_leaders(world);
        }
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

/// A leader asks its quorum once in an election timeout of half a second.
const STEPS_DOWN_WITHIN: Duration = Duration::from_secs(5);

impl QuorumOnly {
    fn judge_leaders(&mut self, world: &World) -> Result<(), String> {
        for seat in &world.seats {
            if !seat.runs() || !seat.leads() || hears_a_majority(world, seat) {
                self.alone.remove(&seat.number);
                continue;
            }
            let since = *self.alone.entry(seat.number).or_insert(world.now());
            let alone = world.now().saturating_sub(since);
            if alone > STEPS_DOWN_WITHIN {
                return Err(format!("{} leads on, {alone:.1?} without a majority", seat.place()));
            }
        }
        Ok(())
    }
}

/// Whether a majority, itself included, has spoken to it within a second.
fn hears_a_majority(world: &World, seat: &Seat) -> bool {
    let lately = |other: &u8| {
        let heard = world
            .ghost
            .heard
            .iter()
            .filter(|((to, from, _), _)| *to == seat.number && from == other);
        let newest = heard.map(|(_, sent)| *sent).max();
        newest.is_some_and(|sent| world.now().saturating_sub(sent) <= Duration::from_secs(1))
    };
    let others = world.seats.iter().map(|seat| seat.number).filter(|n| *n != seat.number);
    (others.filter(lately).count() + 1) * 2 > world.seats.len()
}
