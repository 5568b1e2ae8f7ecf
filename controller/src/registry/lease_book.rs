//! What sentinels must learn of the log, and the voters of every version of it.

use std::collections::{BTreeSet, VecDeque};

use fencing::e2::Voter;
use fencing::lease::{Adopted, Change, LogPart};
use fencing::{BootId, NodeId};
use mutants::{Mutant, is_on};
use serde::{Deserialize, Serialize};

/// Changes in one ack, so that it stays below the longest datagram.
const CHANGES_PER_ACK: usize = 6;
/// Changes that are remembered one by one, at least. A node that lacks more adopts a snapshot first; an intent whose floor
/// lies before them has no E2.
const REMEMBERED: usize = 4096;
/// So many more are remembered before they are forgotten together: the snapshot, which a sentinel gets piece by piece, is the
/// same until then.
const FORGOTTEN_AT_ONCE: usize = 1024;

/// The history of [`Adopted`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseBook {
    /// The state at `floor`, as changes that build it.
    base: Vec<Change>,
    floor: u64,
    /// Changes after `floor`, by index.
    changes: VecDeque<(u64, Change)>,
    /// State now.
    now: Adopted,
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
    }

    fn state_at_floor(&self) -> Adopted {
        let mut state = Adopted::default();
        self.base.iter().for_each(|change| state.apply(change));
        state
    }

    /// What a sentinel that has adopted `n` lacks, as much as fits; `turn` picks the piece of a snapshot.
    pub fn part(&self, n: u64, committed: u64, turn: u64) -> LogPart {
        if n >= committed {
            return LogPart::Nothing;
        }
        if n < self.floor {
            return self.snapshot_piece(turn);
        }
        let begin = self.changes.partition_point(|(index, _)| *index <= n);
        let missing = self.changes.len() - begin;
        let changes: Vec<_> =
            self.changes.iter().skip(begin).take(CHANGES_PER_ACK).cloned().collect();
        let upto = match changes.last() {
            Some((index, _)) if missing > CHANGES_PER_ACK => *index,
            _ => committed,
        };
        LogPart::Entries { after: n, upto, changes }
    }

    /// Of the state at `floor`: what came after it follows change by change.
    fn snapshot_piece(&self, turn: u64) -> LogPart {
        let pieces = self.base.len().div_ceil(CHANGES_PER_ACK).max(1);
        let piece = usize::try_from(turn % pieces as u64).unwrap_or(0);
        let changes = self.base.chunks(CHANGES_PER_ACK).nth(piece).unwrap_or_default().to_vec();
        let small = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        LogPart::Snapshot { at: self.floor, piece: small(piece), pieces: small(pieces), changes }
    }

    /// V(k) for every version k from `floor` to the end in which this boot is armed; `None` where the history does not
    /// reach back.
    pub fn versions(&self, floor: u64, node: NodeId, boot: BootId) -> Option<Vec<BTreeSet<Voter>>> {
        if floor < self.floor {
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

    #[test]
    fn who_lacks_what_is_forgotten_gets_a_snapshot_that_holds_still_and_then_the_rest() {
        let mut book = LeaseBook::default();
        let remembered = (REMEMBERED + FORGOTTEN_AT_ONCE) as u64;
        // A thousand nodes, armed again and again.
        let again = |n: u64| armed((n % 1000).into()).2;
        (1..=remembered).for_each(|n| book.record(n, again(n)));
        let floor = FORGOTTEN_AT_ONCE as u64;
        let mut state = Adopted::default();
        for turn in 0..1000_u64.div_ceil(CHANGES_PER_ACK as u64) {
            book.record(remembered + turn + 1, again(turn));
            let part = book.part(7, remembered + turn + 1, turn);
            let LogPart::Snapshot { at, piece, pieces: 167, changes } = part else {
                panic!("a piece of a snapshot: {part:?}");
            };
            assert_eq!((at, u64::from(piece)), (floor, turn));
            changes.iter().for_each(|change| state.apply(change));
        }
        assert_eq!(state, book.state_at_floor());
        let part = book.part(floor, remembered, 0);
        assert!(matches!(part, LogPart::Entries { after, .. } if after == floor), "{part:?}");
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
