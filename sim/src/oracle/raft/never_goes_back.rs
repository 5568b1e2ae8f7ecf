//! Raft: what a disk holds only grows.

use std::collections::BTreeMap;

use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::seat::Seat;
use crate::world::World;

/// Term, commit and snapshot of a disk never go back, nor does what a controller has applied in one life; and
/// snapshot <= commit <= last, applied <= commit.
#[derive(Debug, Default)]
pub(in crate::oracle) struct NeverGoesBack {
    marks: BTreeMap<u8, Mark>,
    judged: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    starts: u32,
    images: u32,
    term: u64,
    compacted: u64,
    commit: u64,
    last: u64,
    applied: u64,
}

impl Oracle for NeverGoesBack {
    fn name(&self) -> &'static str {
        "raft_never_goes_back"
    }

    fn promise(&self) -> &'static str {
        "term, commit and applied only grow, and lie in their order"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if !matches!(fact, Fact::Applied { .. } | Fact::Second) {
            return Ok(());
        }
        for seat in &world.seats {
            let new = mark(seat);
            let old = self.marks.insert(seat.number, new).unwrap_or_default();
            self.judged += 1;
            wrong(old, new).map_or(Ok(()), |why| {
                Err(format!("{}: {why}: {old:?}, then {new:?}", seat.place()))
            })?;
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

fn mark(seat: &Seat) -> Mark {
    Mark {
        starts: seat.starts,
        images: seat.images,
        term: seat.disk.term().0,
        compacted: seat.disk.compacted().0,
        commit: seat.disk.commit().0,
        last: seat.disk.last_index().0,
        applied: seat.core.as_ref().map_or(0, |core| core.registry().index()),
    }
}

fn wrong(old: Mark, new: Mark) -> Option<&'static str> {
    if new.images != old.images {
        // Somebody else put an older disk there: the peers have to find that out.
        None
    } else if new.term < old.term {
        Some("its term goes back")
    } else if new.commit < old.commit {
        Some("its commit goes back")
    } else if new.compacted < old.compacted {
        Some("its snapshot goes back")
    } else if new.starts == old.starts && new.applied != 0 && new.applied < old.applied {
        Some("what it has applied goes back")
    } else if new.compacted > new.commit || new.commit > new.last {
        Some("snapshot, commit and last are out of order")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_set_back_is_noticed() {
        let now = Mark {
            starts: 2,
            images: 0,
            term: 3,
            compacted: 10,
            commit: 20,
            last: 25,
            applied: 20,
        };
        assert_eq!(wrong(now, now), None);
        assert_eq!(wrong(now, Mark { starts: 3, applied: 10, ..now }), None);
        assert!(wrong(now, Mark { applied: 10, ..now }).is_some());
        assert!(wrong(now, Mark { term: 2, ..now }).is_some());
        assert!(wrong(now, Mark { commit: 19, ..now }).is_some());
        assert!(wrong(now, Mark { compacted: 9, ..now }).is_some());
        assert!(wrong(now, Mark { last: 19, ..now }).is_some());
        assert_eq!(wrong(now, Mark { images: 1, commit: 19, ..now }), None);
    }
}
