//! What a controller must find again after a crash.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Index, Term};

/// Term, vote and commit index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hard {
    pub(super) term: u64,
    pub(super) vote: u64,
    pub(super) commit: u64,
}

/// One entry; its index follows from its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) term: u64,
    pub(super) command: Vec<u8>,
}

/// The state machine up to `index`, in place of the entries up to there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) state: Vec<u8>,
}

/// What has to become durable in one piece: vote and entries are never written apart, for a vote
/// that reaches the disk after the log it was given for elects two leaders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    pub(super) hard: Option<Hard>,
    pub(super) snapshot: Option<Saved>,
    /// Index of the first of `entries`; what the log holds from there on is replaced.
    pub(super) first: u64,
    pub(super) entries: Vec<Record>,
}

impl Write {
    pub(super) fn is_empty(&self) -> bool {
        self.hard.is_none() && self.snapshot.is_none() && self.entries.is_empty()
    }

    /// From which index on the log is another one after it; `None` when no entry is.
    pub fn changes_from(&self) -> Option<u64> {
        if self.has_snapshot() {
            return Some(0);
        }
        (!self.entries.is_empty()).then_some(self.first)
    }

    /// Whether it carries a snapshot, so that what came before it can be dropped.
    pub fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        if let Some(hard) = &self.hard {
            write!(f, "term={} vote={} commit={}", hard.term, hard.vote, hard.commit)?;
            gap = " ";
        }
        if let Some(saved) = &self.snapshot {
            write!(f, "{gap}snapshot={} bytes={}", saved.index, saved.state.len())?;
            gap = " ";
        }
        if !self.entries.is_empty() {
            let last = self.first + self.entries.len() as u64 - 1;
            write!(f, "{gap}entries={}..={last}", self.first)?;
        }
        Ok(())
    }
}

/// A write does not fit what is there. The `Restored` is unchanged; for a store this means that
/// its files were damaged or mixed up in a way that checksums do not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {found} does not fit {held}")]
pub struct Gap {
    /// Which rule was broken.
    pub what: &'static str,
    /// The number in the write.
    pub found: u64,
    /// The number it had to fit.
    pub held: u64,
}

/// All that survives a crash. `default()` is a controller that has never run.
///
/// A simulated disk is a `Restored` to which each [`Write`] is added by [`Restored::absorb`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    hard: Hard,
    snapshot: Saved,
    entries: Vec<Record>,
}

impl Restored {
    /// Current term.
    pub fn term(&self) -> Term {
        Term(self.hard.term)
    }

    /// Highest index known to be committed.
    pub fn commit(&self) -> Index {
        Index(self.hard.commit)
    }

    /// Last index that the snapshot covers; 0 without one.
    pub fn compacted(&self) -> Index {
        Index(self.snapshot.index)
    }

    /// Last index in the log.
    pub fn last_index(&self) -> Index {
        Index(self.snapshot.index + self.entries.len() as u64)
    }

    /// Index, term and command of each entry after `after`.
    pub fn entries_after(&self, after: Index) -> impl Iterator<Item = (Index, Term, &[u8])> {
        let skip = after.0.saturating_sub(self.snapshot.index);
        let rest = self.entries.get(usize::try_from(skip).unwrap_or(usize::MAX)..);
        let first = self.snapshot.index.saturating_add(skip).saturating_add(1);
        (first..)
            .zip(rest.unwrap_or_default())
            .map(|(index, record)| (Index(index), Term(record.term), record.command.as_slice()))
    }

    pub(super) fn hard(&self) -> Hard {
        self.hard
    }

    pub(super) fn snapshot(&self) -> &Saved {
        &self.snapshot
    }

    /// Term of the entry at `index`; `None` where neither log nor snapshot tell.
    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.snapshot.index {
            return Some(self.snapshot.term);
        }
        self.slot(index).and_then(|slot| self.entries.get(slot)).map(|record| record.term)
    }

    fn slot(&self, index: u64) -> Option<usize> {
        let slot = index.checked_sub(self.snapshot.index)?.checked_sub(1)?;
        usize::try_from(slot).ok()
    }

    /// Adds a write, as a disk would.
    ///
    /// # Errors
    /// [`Gap`] if it does not continue what is there; nothing is changed then.
    pub fn absorb(&mut self, write: &Write) -> Result<(), Gap> {
        let mut next = self.bounds();
        if let Some(saved) = &write.snapshot {
            if saved.index < self.snapshot.index {
                return Err(gap("snapshot older than the one held", saved.index, next.0));
            }
            next = (saved.index, self.last_after(saved));
        }
        if !write.entries.is_empty() {
            if write.first <= self.hard.commit {
                return Err(gap("entries replace committed ones", write.first, self.hard.commit));
            }
            if write.first <= next.0 || write.first > next.1 + 1 {
                return Err(gap("entries do not continue the log", write.first, next.1 + 1));
            }
            next.1 = write.first + write.entries.len() as u64 - 1;
        }
        let hard = write.hard.unwrap_or(self.hard);
        if hard.term < self.hard.term {
            return Err(gap("term goes back", hard.term, self.hard.term));
        }
        if hard.commit < self.hard.commit {
            return Err(gap("commit goes back", hard.commit, self.hard.commit));
        }
        if hard.commit > next.1 {
            return Err(gap("commit beyond the log", hard.commit, next.1));
        }
        if hard.commit < next.0 {
            return Err(gap("snapshot of what is not committed", next.0, hard.commit));
        }
        self.hard = hard;
        if let Some(saved) = &write.snapshot {
            self.replace_head(saved);
        }
        if let Some(slot) = self.slot(write.first).filter(|_| !write.entries.is_empty()) {
            self.entries.truncate(slot);
            self.entries.extend_from_slice(&write.entries);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn forget_vote(&mut self) {
        self.hard.vote = 0;
    }

    #[cfg(test)]
    pub(super) fn forget_last_entry(&mut self) {
        if self.last_index() > self.commit() {
            self.entries.pop();
        }
    }

    fn bounds(&self) -> (u64, u64) {
        (self.snapshot.index, self.last_index().0)
    }

    fn last_after(&self, saved: &Saved) -> u64 {
        if self.term_at(saved.index) == Some(saved.term) {
            self.last_index().0
        } else {
            saved.index
        }
    }

    /// A snapshot of what the log holds shortens it; one from elsewhere replaces it.
    fn replace_head(&mut self, saved: &Saved) {
        if self.term_at(saved.index) == Some(saved.term) {
            let dropped = self.slot(saved.index).map_or(0, |slot| slot + 1);
            self.entries.drain(..dropped.min(self.entries.len()));
        } else {
            self.entries.clear();
        }
        self.snapshot = saved.clone();
    }

    /// The write that makes an empty `Restored` equal to this one.
    pub(super) fn whole(&self) -> Write {
        Write {
            hard: Some(self.hard),
            snapshot: (self.snapshot.index > 0).then(|| self.snapshot.clone()),
            first: self.snapshot.index + 1,
            entries: self.entries.clone(),
        }
    }
}

fn gap(what: &'static str, found: u64, held: u64) -> Gap {
    Gap { what, found, held }
}
