//! What controllers say to each other, as our own bounded types: no byte from the network reaches
//! the library's own decoder.

use std::fmt;

use ::raft::CAMPAIGN_TRANSFER;
use ::raft::eraftpb::{self as pb, ConfState, MessageType};
use serde::{Deserialize, Serialize};

use super::log::{Record, Saved};
use super::shelf::{from_snapshot, to_entry, to_snapshot};
use super::{MAX_COMMAND, MAX_STATE};

/// Most entries in one message.
pub(super) const MAX_ENTRIES: usize = 1024;
/// Most bytes of commands in one message: one batch and one command more.
pub(super) const MAX_BATCH: usize = 2 * MAX_COMMAND;
/// Longest encoded message.
const MAX_ENCODED: usize = MAX_STATE + 1024;
/// Terms and indices from here on are refused: no honest cluster counts so far, and no sum of two
/// below it overflows.
const FAR: u64 = 1 << 48;

/// One message between two controllers. Its bytes are authenticated by whoever carries them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub(super) term: u64,
    /// Highest term the sender has heard from the addressee: an addressee whose own term is lower
    /// has lost what its disk once held.
    pub(super) heard: u64,
    pub(super) body: Body,
}

/// A voter's or candidate's commit index with the term of that entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Committed {
    pub(super) index: u64,
    pub(super) term: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Body {
    PreVote {
        last: u64,
        last_term: u64,
        committed: Committed,
    },
    PreVoteReply {
        granted: bool,
        committed: Committed,
    },
    /// `forced`: the leader asked for it (transfer), so the voters' loyalty to it does not count.
    Vote {
        last: u64,
        last_term: u64,
        committed: Committed,
        forced: bool,
    },
    VoteReply {
        granted: bool,
        committed: Committed,
    },
    Append {
        prev: u64,
        prev_term: u64,
        commit: u64,
        entries: Vec<Record>,
    },
    Appended {
        last: u64,
        commit: u64,
    },
    NotAppended {
        prev: u64,
        hint: u64,
        hint_term: u64,
        commit: u64,
    },
    Heartbeat {
        commit: u64,
        read: Option<u64>,
    },
    HeartbeatReply {
        commit: u64,
        read: Option<u64>,
    },
    Snapshot(Saved),
    TimeoutNow,
}

/// The bytes are not a message of this version. They are dropped; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a raft message: {0}")]
pub struct BadMessage(&'static str);

impl Message {
    /// Bytes for the wire.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads what [`Message::encode`] wrote, all of it, and checks its bounds.
    ///
    /// # Errors
    /// [`BadMessage`] for anything else; no more memory is taken than the bytes are long.
    pub fn decode(bytes: &[u8]) -> Result<Message, BadMessage> {
        if bytes.len() > MAX_ENCODED {
            return Err(BadMessage("too long"));
        }
        let (message, rest) = postcard::take_from_bytes::<Message>(bytes)
            .map_err(|_| BadMessage("does not parse"))?;
        if !rest.is_empty() {
            return Err(BadMessage("bytes left over"));
        }
        message.bounded()?;
        Ok(message)
    }

    /// Numbers and sizes that an honest peer never exceeds.
    pub(super) fn bounded(&self) -> Result<(), BadMessage> {
        let far = |numbers: &[u64]| numbers.iter().any(|number| *number >= FAR);
        if self.term == 0 || far(&[self.term, self.heard]) {
            return Err(BadMessage("term out of range"));
        }
        let bad = match &self.body {
            Body::PreVote { last, last_term, committed }
            | Body::Vote { last, last_term, committed, .. } => {
                *last_term > self.term || far(&[*last, committed.index, committed.term])
            }
            Body::PreVoteReply { committed, .. } | Body::VoteReply { committed, .. } => {
                far(&[committed.index, committed.term])
            }
            Body::Append { prev, prev_term, commit, entries } => {
                far(&[*prev, *commit])
                    || (*prev == 0) != (*prev_term == 0)
                    || !continues(*prev_term, self.term, entries)
            }
            Body::Appended { last, commit } => far(&[*last, *commit]),
            Body::NotAppended { prev, hint, hint_term, commit } => {
                far(&[*prev, *commit, *hint_term]) || hint > prev
            }
            Body::Heartbeat { commit, .. } | Body::HeartbeatReply { commit, .. } => far(&[*commit]),
            Body::Snapshot(saved) => {
                saved.index == 0
                    || saved.term == 0
                    || saved.term > self.term
                    || far(&[saved.index])
                    || saved.state.len() > MAX_STATE
            }
            Body::TimeoutNow => false,
        };
        if bad { Err(BadMessage("out of bounds")) } else { Ok(()) }
    }

    /// Whether `term` is one that the sender has already made durable: a pre-vote only asks about
    /// a term that may never be.
    pub(super) fn term_is_held(&self) -> bool {
        match self.body {
            Body::PreVote { .. } | Body::PreVoteReply { granted: true, .. } => false,
            Body::PreVoteReply { granted: false, .. }
            | Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::Append { .. }
            | Body::Appended { .. }
            | Body::NotAppended { .. }
            | Body::Heartbeat { .. }
            | Body::HeartbeatReply { .. }
            | Body::Snapshot(_)
            | Body::TimeoutNow => true,
        }
    }

    /// From the library's form; `None` for the kinds that never leave a controller here.
    pub(super) fn from_library(message: pb::Message, heard: u64) -> Option<Message> {
        let committed = Committed { index: message.commit, term: message.commit_term };
        let read = || <[u8; 8]>::try_from(message.context.as_ref()).ok().map(u64::from_be_bytes);
        #[allow(clippy::wildcard_enum_match_arm, reason = "all other kinds stay inside")]
        let body = match message.msg_type {
            MessageType::MsgRequestPreVote => {
                Body::PreVote { last: message.index, last_term: message.log_term, committed }
            }
            MessageType::MsgRequestPreVoteResponse => {
                Body::PreVoteReply { granted: !message.reject, committed }
            }
            MessageType::MsgRequestVote => Body::Vote {
                last: message.index,
                last_term: message.log_term,
                committed,
                forced: message.context.as_ref() == CAMPAIGN_TRANSFER,
            },
            MessageType::MsgRequestVoteResponse => {
                Body::VoteReply { granted: !message.reject, committed }
            }
            MessageType::MsgAppend => Body::Append {
                prev: message.index,
                prev_term: message.log_term,
                commit: message.commit,
                entries: message
                    .entries
                    .iter()
                    .map(|entry| Record { term: entry.term, command: entry.data.to_vec() })
                    .collect(),
            },
            MessageType::MsgAppendResponse if message.reject => Body::NotAppended {
                prev: message.index,
                hint: message.reject_hint,
                hint_term: message.log_term,
                commit: message.commit,
            },
            MessageType::MsgAppendResponse => {
                Body::Appended { last: message.index, commit: message.commit }
            }
            MessageType::MsgHeartbeat => Body::Heartbeat { commit: message.commit, read: read() },
            MessageType::MsgHeartbeatResponse => {
                Body::HeartbeatReply { commit: message.commit, read: read() }
            }
            MessageType::MsgSnapshot => Body::Snapshot(from_snapshot(message.get_snapshot())),
            MessageType::MsgTimeoutNow => Body::TimeoutNow,
            _ => return None,
        };
        Some(Message { term: message.term, heard, body })
    }

    /// To the library's form. The set of voters is this controller's own, never the sender's.
    pub(super) fn into_library(self, from: u64, to: u64, conf_state: ConfState) -> pb::Message {
        let mut out = pb::Message { from, to, term: self.term, ..pb::Message::default() };
        match self.body {
            Body::PreVote { last, last_term, committed } => {
                out.set_msg_type(MessageType::MsgRequestPreVote);
                set_vote(&mut out, last, last_term, committed);
            }
            Body::Vote { last, last_term, committed, forced } => {
                out.set_msg_type(MessageType::MsgRequestVote);
                set_vote(&mut out, last, last_term, committed);
                if forced {
                    out.context = CAMPAIGN_TRANSFER.to_vec().into();
                }
            }
            Body::PreVoteReply { granted, committed } => {
                out.set_msg_type(MessageType::MsgRequestPreVoteResponse);
                set_reply(&mut out, granted, committed);
            }
            Body::VoteReply { granted, committed } => {
                out.set_msg_type(MessageType::MsgRequestVoteResponse);
                set_reply(&mut out, granted, committed);
            }
            Body::Append { prev, prev_term, commit, entries } => {
                out.set_msg_type(MessageType::MsgAppend);
                out.index = prev;
                out.log_term = prev_term;
                out.commit = commit;
                let entries: Vec<_> = (prev + 1..)
                    .zip(entries)
                    .map(|(index, record)| to_entry(index, record.term, record.command))
                    .collect();
                out.set_entries(entries.into());
            }
            Body::Appended { last, commit } => {
                out.set_msg_type(MessageType::MsgAppendResponse);
                out.index = last;
                out.commit = commit;
            }
            Body::NotAppended { prev, hint, hint_term, commit } => {
                out.set_msg_type(MessageType::MsgAppendResponse);
                out.reject = true;
                out.index = prev;
                out.reject_hint = hint;
                out.log_term = hint_term;
                out.commit = commit;
            }
            Body::Heartbeat { commit, read } => {
                out.set_msg_type(MessageType::MsgHeartbeat);
                set_beat(&mut out, commit, read);
            }
            Body::HeartbeatReply { commit, read } => {
                out.set_msg_type(MessageType::MsgHeartbeatResponse);
                set_beat(&mut out, commit, read);
            }
            Body::Snapshot(saved) => {
                out.set_msg_type(MessageType::MsgSnapshot);
                out.set_snapshot(to_snapshot(saved, conf_state));
            }
            Body::TimeoutNow => out.set_msg_type(MessageType::MsgTimeoutNow),
        }
        out
    }
}

fn set_vote(out: &mut pb::Message, last: u64, last_term: u64, committed: Committed) {
    out.index = last;
    out.log_term = last_term;
    out.commit = committed.index;
    out.commit_term = committed.term;
}

fn set_reply(out: &mut pb::Message, granted: bool, committed: Committed) {
    out.reject = !granted;
    out.commit = committed.index;
    out.commit_term = committed.term;
}

fn set_beat(out: &mut pb::Message, commit: u64, read: Option<u64>) {
    out.commit = commit;
    if let Some(read) = read {
        out.context = read.to_be_bytes().to_vec().into();
    }
}

/// Terms of a log never fall and never pass the sender's.
fn continues(prev_term: u64, term: u64, entries: &[Record]) -> bool {
    let mut at_least = prev_term;
    let mut bytes = 0;
    for record in entries {
        bytes += record.command.len();
        if record.term < at_least.max(1) || record.command.len() > MAX_COMMAND {
            return false;
        }
        at_least = record.term;
    }
    at_least <= term && entries.len() <= MAX_ENTRIES && bytes <= MAX_BATCH
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = self.term;
        match &self.body {
            Body::PreVote { last, last_term, .. } => {
                write!(f, "pre-vote? term={term} last={last} of={last_term}")
            }
            Body::PreVoteReply { granted, .. } => {
                write!(f, "pre-vote {} term={term}", yes(*granted))
            }
            Body::Vote { last, last_term, forced, .. } => {
                let why = if *forced { " transfer" } else { "" };
                write!(f, "vote? term={term} last={last} of={last_term}{why}")
            }
            Body::VoteReply { granted, .. } => write!(f, "vote {} term={term}", yes(*granted)),
            Body::Append { prev, commit, entries, .. } => {
                write!(
                    f,
                    "append term={term} prev={prev} entries={} commit={commit}",
                    entries.len()
                )
            }
            Body::Appended { last, .. } => write!(f, "appended term={term} last={last}"),
            Body::NotAppended { prev, hint, .. } => {
                write!(f, "not appended term={term} prev={prev} hint={hint}")
            }
            Body::Heartbeat { commit, read } => {
                write!(f, "heartbeat term={term} commit={commit}{}", Ask(*read))
            }
            Body::HeartbeatReply { read, .. } => {
                write!(f, "heartbeat reply term={term}{}", Ask(*read))
            }
            Body::Snapshot(saved) => {
                write!(f, "snapshot term={term} index={} bytes={}", saved.index, saved.state.len())
            }
            Body::TimeoutNow => write!(f, "take over term={term}"),
        }
    }
}

fn yes(granted: bool) -> &'static str {
    if granted { "yes" } else { "no" }
}

struct Ask(Option<u64>);

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |read| write!(f, " read={read}"))
    }
}
