//! What sentinels must learn of the log, and the voters of every version of it.

use std::collections::{BTreeSet, VecDeque};

use fencing::e2::Voter;
use fencing::lease::{Adopted, Change, LogPart};
use fencing::{BootId, NodeId};
use mutants::{Mutant, is_on};
use serde::{Deserialize, Serialize};

/// Changes in one ack, so that it stays below the longest datagram.
const CHANGES_PER_ACK: usize = 6;
/// Changes that are remembered one by one, at least. An intent whose floor lies before them has no E2.
const REMEMBERED: usize = 4096;
/// So many more are remembered before they are forgotten together, for that takes a copy of the state.
const FORGOTTEN_AT_ONCE: usize = 1024;
/// A snapshot, which a sentinel gets piece by piece, is the same for at least so many changes, and for as many as it has
/// itself: one that is still on its way is not replaced while a large cluster boots.
const SNAPSHOT_HOLDS: usize = 16;

/// The history of [`Adopted`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseBook {
    /// The state at `floor`, as changes that build it.
    base: Vec<Change>,
    floor: u64,
    /// Changes after `floor`, by index.
    changes: VecDeque<(u64, Change)>,
    /// The state that is sent in pieces; never older than `floor`.
    snapshot: Snapshot,
    /// State now.
    now: Adopted,
}

/// The state at `at`, as changes that build it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Snapshot {
    at: u64,
    changes: Vec<Change>,
}

impl LeaseBook {
    /// The state at the end of the log.
    pub fn now(&self) -> &Adopted {
        &self.now
    }

    /// Takes a committed change.
    pub fn record(&mut self, index: u64, change: Change) {
        self.now.apply(&change);
        self.changes.push_back((index, change));
        if self.changes.len() >= REMEMBERED + FORGOTTEN_AT_ONCE {
            let mut base = self.state_at_floor();
            for (index, change) in self.changes.drain(..FORGOTTEN_AT_ONCE) {
                base.apply(&change);
                self.floor = index;
            }
            self.base = base.as_changes();
        }
        let holds = self.snapshot.changes.len().clamp(SNAPSHOT_HOLDS, REMEMBERED);
        if self.changes.len() - self.place(self.snapshot.at) >= holds {
            self.snapshot = Snapshot { at: index, changes: self.now.as_changes() };
        }
    }

    /// Whether all changes after `n` are remembered one by one.
    pub fn reaches_back_to(&self, n: u64) -> bool {
        n >= self.floor
    }

    /// Changes after `n`, with their indexes, as far as they are remembered.
    pub fn changes_after(&self, n: u64) -> impl Iterator<Item = &(u64, Change)> {
        self.changes.range(self.place(n)..)
    }

    /// Of the first remembered change after `n`.
    fn place(&self, n: u64) -> usize {
        self.changes.partition_point(|(index, _)| *index <= n)
    }

    fn state_at_floor(&self) -> Adopted {
        let mut state = Adopted::default();
        self.base.iter().for_each(|change| state.apply(change));
        state
    }

    /// What a sentinel that has adopted `n` lacks, as much as fits: of a snapshot the piece that it wants.
    pub fn part(&self, n: u64, committed: u64, wanted: u16) -> LogPart {
        if n >= committed {
            return LogPart::Nothing;
        }
        let begin = self.place(n);
        let until_snapshot = self.place(self.snapshot.at).saturating_sub(begin);
        if !self.reaches_back_to(n) || until_snapshot > self.snapshot.changes.len() {
            return self.snapshot_piece(wanted);
        }
        let missing = self.changes.len() - begin;
        let changes: Vec<_> = self.changes_after(n).take(CHANGES_PER_ACK).cloned().collect();
        let upto = match changes.last() {
            Some((index, _)) if missing > CHANGES_PER_ACK => *index,
            _ => committed,
        };
        LogPart::Entries { after: n, upto, changes }
    }

    /// What came after it follows change by change.
    fn snapshot_piece(&self, wanted: u16) -> LogPart {
        let Snapshot { at, changes } = &self.snapshot;
        let pieces = changes.len().div_ceil(CHANGES_PER_ACK).max(1);
        let pieces = u16::try_from(pieces).unwrap_or(u16::MAX);
        // Another snapshot than this one may have had more of them.
        let piece = if wanted < pieces { wanted } else { 0 };
        let chunk = changes.chunks(CHANGES_PER_ACK).nth(usize::from(piece));
        LogPart::Snapshot { at: *at, piece, pieces, changes: chunk.unwrap_or_default().to_vec() }
    }

    /// V(k) for every version k from `floor` to the end in which this boot is armed; `None` where the history does not
    /// reach back.
    pub fn versions(&self, floor: u64, node: NodeId, boot: BootId) -> Option<Vec<BTreeSet<Voter>>> {
        if !self.reaches_back_to(floor) {
            return None;
        }
        let mut state = self.state_at_floor();
        let mut versions = Vec::new();
        let mut note = |state: &Adopted| {
            if state.is_armed(node, boot) || is_on(Mutant::M23) {
                let voters = state.voters();
                if versions.last() != Some(&voters) {
                    versions.push(voters);
                }
            }
        };
        let (before, after): (Vec<_>, Vec<_>) =
            self.changes.iter().partition(|(index, _)| *index <= floor);
        before.iter().for_each(|(_, change)| state.apply(change));
        note(&state);
        for (_, change) in after {
            state.apply(change);
            note(&state);
        }
        Some(if is_on(Mutant::M52) {
            versions.split_off(versions.len().saturating_sub(1))
        } else {
            versions
        })
    }
}

#[cfg(test)]
mod tests {
    use fencing::lease::Profile;
    use uuid::Uuid;

    use super::*;

    fn armed(n: u128) -> (NodeId, BootId, Change) {
        let (node, boot) = (NodeId(Uuid::from_u128(n)), BootId(Uuid::from_u128(100 + n)));
        let times = Profile::Fast.times();
        (node, boot, Change::Armed { node, boot, times, addresses: Vec::new() })
    }

    #[test]
    fn a_sentinel_catches_up_part_by_part() {
        let mut book = LeaseBook::default();
        for n in 1..=10 {
            book.record(n, armed(n.into()).2);
        }
        let LogPart::Entries { after: 0, upto: 6, changes } = book.part(0, 12, 0) else {
            panic!("six changes first");
        };
        assert_eq!(changes.len(), 6);
        let LogPart::Entries { after: 6, upto: 12, changes } = book.part(6, 12, 0) else {
            panic!("then the rest");
        };
        assert_eq!(changes.len(), 4);
        assert_eq!(book.part(12, 12, 0), LogPart::Nothing);
    }

    /// What a sentinel that has adopted nothing asks for, one answer after the other, while nothing is committed.
    fn asks_of_a_new_sentinel(book: &LeaseBook, committed: u64) -> u64 {
        let (mut n, mut state, mut wanted) = (0, Adopted::default(), 0);
        for asks in 0.. {
            match book.part(n, committed, wanted) {
                LogPart::Nothing => {
                    assert_eq!(state, book.now);
                    return asks;
                }
                LogPart::Entries { after, upto, changes } => {
                    assert_eq!(after, n, "entries that fit");
                    changes.iter().for_each(|(_, change)| state.apply(change));
                    n = upto;
                }
                LogPart::Snapshot { at, piece, pieces, changes } => {
                    changes.iter().for_each(|change| state.apply(change));
                    wanted = piece + 1;
                    if wanted == pieces {
                        n = at;
                    }
                }
            }
        }
        unreachable!("one of the answers is the last")
    }

    #[test]
    fn a_new_sentinel_asks_for_little_more_than_the_state_however_old_the_log_is() {
        for (nodes, most) in [(4, 5), (1000, 335)] {
            let mut book = LeaseBook::default();
            for n in 1..=20_000 {
                book.record(n, armed((n % nodes).into()).2);
                if n % 509 == 0 {
                    let asks = asks_of_a_new_sentinel(&book, n);
                    assert!(asks <= most, "{asks} asks after {n} changes about {nodes} nodes");
                }
            }
        }
    }

    #[test]
    fn a_snapshot_holds_still_while_its_pieces_travel() {
        let mut book = LeaseBook::default();
        // A thousand nodes, armed again and again.
        (1..=9_000).for_each(|n| book.record(n, armed((n % 1000).into()).2));
        let (before, begun) = (book.snapshot.clone(), 9_001);
        let first = book.part(7, begun, 0);
        assert!(matches!(first, LogPart::Snapshot { pieces: 167, .. }), "{first:?}");
        let holds = before.changes.len() as u64 - (9_000 - before.at);
        (begun..begun + holds - 1).for_each(|n| book.record(n, armed((n % 1000).into()).2));
        assert_eq!(book.snapshot, before);
        book.record(begun + holds - 1, armed(1).2);
        assert_eq!(book.snapshot.at, begun + holds - 1);
    }

    #[test]
    fn a_snapshot_is_never_older_than_what_is_remembered() {
        let mut book = LeaseBook::default();
        // More nodes than changes are remembered.
        for n in 1..=20_000 {
            book.record(n, armed((n % 6000).into()).2);
            assert!(book.snapshot.at >= book.floor, "after {n} changes");
        }
    }

    #[test]
    fn versions_begin_at_the_floor_and_skip_those_without_the_node() {
        let mut book = LeaseBook::default();
        let (node, boot, change) = armed(1);
        book.record(1, armed(2).2);
        book.record(2, change);
        book.record(3, armed(3).2);
        book.record(4, Change::Intent { node, boot });
        let sizes = |floor| -> Vec<usize> {
            let versions = book.versions(floor, node, boot).expect("history reaches back");
            versions.iter().map(BTreeSet::len).collect()
        };
        assert_eq!(sizes(0), [2, 3, 2]);
        assert_eq!(sizes(3), [3, 2]);
        assert_eq!(sizes(4), [2]);
    }
}
