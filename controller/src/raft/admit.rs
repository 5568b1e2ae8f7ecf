//! Which messages reach the library: it panics on some that a sound peer never sends, and follows
//! others that a sound peer would not have sent.

use super::PeerId;
use super::core::Raft;
use super::message::{Body, Message};

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Give it to the library.
    Take,
    /// Late, doubled or nonsense: as if it had been lost.
    Drop(&'static str),
    /// It shows that this controller's state, or the sender's, is not what it must be.
    Halt(String),
}

use Admission::{Drop, Halt, Take};

impl Raft {
    pub(super) fn admit(&self, from: PeerId, message: &Message) -> Admission {
        if from == self.me() || !self.is_peer(from) {
            return Drop("not from a peer");
        }
        if message.bounded().is_err() {
            return Drop("out of bounds");
        }
        if message.heard > self.term().0 {
            return Halt(format!(
                "{from} has heard term {} from this controller, which stands at term {}: its disk \
                 is older than its word",
                message.heard,
                self.term()
            ));
        }
        if message.term < self.term().0 {
            return Take; // The library answers or ignores it by its term alone.
        }
        match &message.body {
            Body::Append { prev, prev_term, entries, .. } => {
                self.rival(from, message.term).or(|| {
                    let terms = entries.iter().map(|record| record.term);
                    self.conflict(from, *prev, std::iter::once(*prev_term).chain(terms))
                })
            }
            Body::Heartbeat { commit, .. } => {
                self.rival(from, message.term).or(|| self.forgotten(from, *commit))
            }
            Body::Snapshot(saved) => self
                .rival(from, message.term)
                .or(|| self.conflict(from, saved.index, std::iter::once(saved.term))),
            Body::Appended { last, .. } if *last > self.last_index().0 => {
                Drop("acknowledges more than there is")
            }
            Body::NotAppended { prev, hint, hint_term, .. } => {
                self.stale_rejection(from, *prev, *hint, *hint_term)
            }
            Body::TimeoutNow if self.leader() != Some(from) => Drop("not from the leader"),
            Body::Appended { .. }
            | Body::TimeoutNow
            | Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::HeartbeatReply { .. } => Take,
        }
    }

    /// Election safety: nobody else leads the term that this controller leads.
    fn rival(&self, from: PeerId, term: u64) -> Admission {
        if self.is_leader() && term == self.term().0 {
            return Halt(format!("{from} leads term {term}, and so does this controller"));
        }
        Take
    }

    /// A leader tells a follower to commit only what this follower has acknowledged to it.
    fn forgotten(&self, from: PeerId, commit: u64) -> Admission {
        if commit > self.last_index().0 {
            return Halt(format!(
                "{from} holds this controller's word for index {commit}, its log ends at {}: \
                 entries are gone that it had acknowledged",
                self.last_index()
            ));
        }
        Take
    }

    /// State machine safety: what is committed here is what every later leader holds.
    fn conflict(&self, from: PeerId, first: u64, terms: impl Iterator<Item = u64>) -> Admission {
        for (index, term) in (first..=self.commit().0).zip(terms) {
            let held = self.term_at(index);
            if held.is_some_and(|held| held != term) {
                return Halt(format!(
                    "index {index} is committed here and has another term at {from}: {term}"
                ));
            }
        }
        Take
    }

    /// A rejection that was overtaken by an acknowledgement. raft-rs 0.7 would step `next` back to
    /// or below `match` (mended on its master by #557) and send again what is acknowledged.
    fn stale_rejection(&self, from: PeerId, prev: u64, hint: u64, hint_term: u64) -> Admission {
        let matched = self.matched_by(from).0;
        let matched_term = self.term_at(matched).unwrap_or(0);
        if prev > self.last_index().0 {
            Drop("rejects more than there is")
        } else if matched > 0 && (prev <= matched || hint < matched || hint_term < matched_term) {
            Drop("rejection overtaken by an acknowledgement")
        } else {
            Take
        }
    }
}

impl Admission {
    fn or(self, next: impl FnOnce() -> Admission) -> Admission {
        match self {
            Take => next(),
            Drop(why) => Drop(why),
            Halt(why) => Halt(why),
        }
    }
}
