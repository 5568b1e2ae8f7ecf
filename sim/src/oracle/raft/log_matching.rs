//! Raft: log matching.

use std::collections::BTreeMap;

use controller::raft::Index;

use super::Held;
use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::world::World;

/// Two logs that hold an entry of the same index and term hold the same entry, and the same one before it.
#[derive(Debug, Default)]
pub(in crate::oracle) struct LogMatching {
    /// By index and term: what it says, and the term of the entry before it, where that was seen.
    known: BTreeMap<(u64, u64), (Vec<u8>, Option<u64>)>,
    judged: u64,
}

/// Entries further behind the commit are not looked at again.
const BEHIND: u64 = 64;
/// Entries that are remembered.
const REMEMBERED: usize = 1024;

impl Oracle for LogMatching {
    fn name(&self) -> &'static str {
        "raft_log_matching"
    }

    fn promise(&self) -> &'static str {
        "logs that agree on an entry agree on all before it"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if *fact != Fact::Second {
            return Ok(());
        }
        let committed = world.registry().map_or(0, |registry| registry.index());
        for seat in &world.seats {
            let mut before: Option<u64> = None;
            for (index, term, command) in
                seat.disk.entries_after(Index(committed.saturating_sub(BEHIND)))
            {
                let entry: Held = (term.0, command.to_vec());
                self.compare(index.0, &entry, before).map_err(|why| {
                    format!("{}: index {index} of term {term} {why}", seat.place())
                })?;
                before = Some(term.0);
            }
        }
        while self.known.len() > REMEMBERED {
            self.known.pop_first();
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl LogMatching {
    fn compare(
        &mut self,
        index: u64,
        entry: &Held,
        before: Option<u64>,
    ) -> Result<(), &'static str> {
        let (term, command) = entry;
        self.judged += 1;
        let fresh = || (command.clone(), before);
        let (said, followed) = self.known.entry((index, *term)).or_insert_with(fresh);
        if said != command {
            return Err("says something else elsewhere");
        }
        match (*followed, before) {
            (Some(one), Some(other)) if one != other => Err("follows another entry elsewhere"),
            (None, Some(_)) => {
                *followed = before;
                Ok(())
            }
            (Some(_), _) | (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_with_other_words_or_another_past_is_a_contradiction() {
        let mut oracle = LogMatching::default();
        let entry = |term, word: &[u8]| (term, word.to_vec());
        assert_eq!(oracle.compare(5, &entry(2, b"a"), Some(1)), Ok(()));
        assert_eq!(oracle.compare(5, &entry(3, b"b"), Some(2)), Ok(()));
        assert_eq!(oracle.compare(5, &entry(2, b"a"), None), Ok(()));
        assert!(oracle.compare(5, &entry(2, b"b"), Some(1)).is_err());
        assert!(oracle.compare(5, &entry(2, b"a"), Some(2)).is_err());
    }
}
