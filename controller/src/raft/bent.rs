//! Breaks of rules that the library keeps by itself: it is told something else than what came.

use mutants::{Mutant, is_on};

use super::core::Raft;
use super::message::{Body, Message};

impl Raft {
    /// The message as it came; with a break on, one that makes the library do what it would have refused, or none.
    pub(super) fn bent(&self, message: Message) -> Option<Message> {
        if !is_on(Mutant::M68) && !is_on(Mutant::M70) && !is_on(Mutant::M72) {
            return Some(message);
        }
        let mut message = message;
        match &mut message.body {
            Body::Append { prev, prev_term, .. } if is_on(Mutant::M68) => {
                *prev_term = self.term_at(*prev).unwrap_or(*prev_term);
            }
            Body::PreVote { .. } if is_on(Mutant::M72) && self.term().0 > 0 => return None,
            Body::PreVote { last, last_term, .. } | Body::Vote { last, last_term, .. }
                if is_on(Mutant::M70) =>
            {
                let own = self.last_index().0;
                *last = own.max(*last);
                *last_term = self.term_at(own).unwrap_or(0).max(*last_term);
            }
            Body::Append { .. }
            | Body::PreVote { .. }
            | Body::Vote { .. }
            | Body::PreVoteReply { .. }
            | Body::VoteReply { .. }
            | Body::Appended { .. }
            | Body::NotAppended { .. }
            | Body::Heartbeat { .. }
            | Body::HeartbeatReply { .. }
            | Body::Snapshot(_)
            | Body::TimeoutNow => {}
        }
        Some(message)
    }
}
