//! Raft: election safety.

use std::collections::BTreeMap;

use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::place::Place;
use crate::world::World;

/// A term has one leader, for ever.
#[derive(Debug, Default)]
pub(in crate::oracle) struct ElectionSafety {
    led: BTreeMap<u64, u8>,
}

impl Oracle for ElectionSafety {
    fn name(&self) -> &'static str {
        "raft_election_safety"
    }

    fn promise(&self) -> &'static str {
        "a term has at most one leader"
    }

    fn judge(&mut self, world: &World, _: &Fact) -> Result<(), String> {
        for seat in world.seats.iter().filter(|seat| seat.leads()) {
            let term = seat.disk.term().0;
            let first = *self.led.entry(term).or_insert(seat.number);
            if first != seat.number {
                let (one, other) = (Place::Controller(first), seat.place());
                return Err(format!("{one} has led term {term}, and {other} leads it"));
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        u64::try_from(self.led.len()).unwrap_or(u64::MAX)
    }
}
