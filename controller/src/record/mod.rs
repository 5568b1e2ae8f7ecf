//! A record of all that went into a controller's core, and of the journal lines that came out of it. The core is
//! deterministic: whoever gives it the same beginning and the same events gets the same decisions, at any desk.
//!
//! How it is written is told in the crate `record`. Its head is what the core began with: settings without the private
//! key, seed, what the disk gave back, the time. Then come events, each followed by the lines that the core said about it.
//!
//! Nothing secret is in it. The private key is left out, so a replay signs with another one; no decision rests on a
//! signature that the core itself makes.

mod head;
mod replay;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Level, Line};
use crate::event::Event;

pub use ::record::{Broken, End, RecordError};
pub use head::Head;
pub use replay::{Decision, Difference, Replayed, replay, replay_rest};

/// The program whose records these are.
pub const PROGRAM: &str = "ha-controller";

/// One thing that happened.
#[allow(clippy::large_enum_variant, reason = "one at a time: none is ever kept")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Frame<'a> {
    /// An event was handed in.
    Event {
        /// On the clock of the process.
        now: Duration,
        /// The wall clock, in ms.
        wall_ms: u64,
        /// What.
        event: Cow<'a, Event>,
    },
    /// The core was told to say goodbye: a wanted stop.
    Leave {
        /// On the clock of the process.
        now: Duration,
    },
    /// The core was told to give its role away, so that a new record can begin.
    HandOver {
        /// On the clock of the process.
        now: Duration,
    },
    /// A line of the journal that came of the last event.
    Line {
        /// How loud.
        level: Level,
        /// Its subject.
        subject: Cow<'a, str>,
        /// The sentence.
        text: Cow<'a, str>,
    },
    /// Nothing more is written, on purpose.
    End {
        /// Why.
        why: String,
    },
}

impl<'a> Frame<'a> {
    /// The line that an effect is, if it is one.
    pub fn of_effect(effect: &'a Effect) -> Option<Self> {
        #[allow(clippy::wildcard_enum_match_arm, reason = "two of many are lines")]
        match effect {
            Effect::Journal(line) => Some(Self::of_line(line)),
            Effect::Halt(why) => Some(Frame::Line {
                level: Level::Broken,
                subject: Cow::Borrowed("raft"),
                text: Cow::Borrowed(why),
            }),
            _ => None,
        }
    }

    /// A line of the journal.
    pub fn of_line(line: &'a Line) -> Self {
        Frame::Line {
            level: line.level,
            subject: Cow::Borrowed(line.subject),
            text: Cow::Borrowed(&line.text),
        }
    }
}

impl ::record::Last for Frame<'static> {
    fn last(why: &str) -> Self {
        Frame::End { why: why.to_owned() }
    }
}
