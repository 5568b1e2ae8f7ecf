//! The copy of the log that the library reads, in the library's types.

use ::raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use ::raft::{GetEntriesContext, RaftState, Storage, StorageError};

use super::Index;
use super::log::{Hard, Restored, Saved};
use super::message::MAX_ENTRIES;

/// The library's view of a [`Restored`].
pub(super) struct Shelf {
    pub(super) held: Restored,
    pub(super) voters: Vec<u64>,
}

impl Shelf {
    pub(super) fn conf_state(&self) -> ConfState {
        ConfState::from((self.voters.clone(), Vec::new()))
    }
}

impl Storage for Shelf {
    fn initial_state(&self) -> ::raft::Result<RaftState> {
        Ok(RaftState::new(to_hard_state(self.held.hard()), self.conf_state()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> ::raft::Result<Vec<Entry>> {
        if low <= self.held.snapshot().index {
            return Err(StorageError::Compacted.into());
        }
        let limit = max_size.into().unwrap_or(u64::MAX);
        // A limit means that a message is being made: half the bound leaves room for what the
        // library adds from its own memory.
        let most = if limit == u64::MAX { usize::MAX } else { MAX_ENTRIES / 2 };
        let mut size = 0_u64;
        let mut entries = Vec::new();
        for (index, term, command) in self.held.entries_after(Index(low - 1)) {
            size = size.saturating_add(command.len() as u64);
            let full = size > limit || entries.len() >= most;
            if index.0 >= high || (full && !entries.is_empty()) {
                break;
            }
            entries.push(to_entry(index.0, term.0, command.to_vec()));
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> ::raft::Result<u64> {
        self.held.term_at(index).ok_or_else(|| {
            if index < self.held.snapshot().index {
                StorageError::Compacted.into()
            } else {
                StorageError::Unavailable.into()
            }
        })
    }

    fn first_index(&self) -> ::raft::Result<u64> {
        Ok(self.held.snapshot().index + 1)
    }

    fn last_index(&self) -> ::raft::Result<u64> {
        Ok(self.held.last_index().0)
    }

    fn snapshot(&self, request_index: u64, _: u64) -> ::raft::Result<Snapshot> {
        let saved = self.held.snapshot();
        if saved.index == 0 || saved.index < request_index {
            return Err(StorageError::SnapshotTemporarilyUnavailable.into());
        }
        Ok(to_snapshot(saved.clone(), self.conf_state()))
    }
}

pub(super) fn to_entry(index: u64, term: u64, command: Vec<u8>) -> Entry {
    Entry { index, term, data: command.into(), ..Entry::default() }
}

pub(super) fn to_snapshot(saved: Saved, conf_state: ConfState) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = saved.index;
    metadata.term = saved.term;
    metadata.set_conf_state(conf_state);
    snapshot.data = saved.state.into();
    snapshot
}

pub(super) fn from_snapshot(snapshot: &Snapshot) -> Saved {
    let metadata = snapshot.get_metadata();
    Saved { index: metadata.index, term: metadata.term, state: snapshot.data.to_vec() }
}

fn to_hard_state(hard: Hard) -> HardState {
    HardState { term: hard.term, vote: hard.vote, commit: hard.commit, ..HardState::default() }
}

pub(super) fn from_hard_state(state: &HardState) -> Hard {
    Hard { term: state.term, vote: state.vote, commit: state.commit }
}
