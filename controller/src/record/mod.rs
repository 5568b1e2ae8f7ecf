//! A record of all that went into a controller's core, and of the journal lines that came out of it. The core is
//! deterministic: whoever gives it the same beginning and the same events gets the same decisions, at any desk.
//!
//! ```text
//!  magic[7] version[1]   then frames:   length[4] crc[4] payload[length]      little-endian, payload by postcard
//!    Title               which program, which version: all that another version has to understand
//!    Head                settings without the private key, seed, what the disk gave back, the time
//!    Frame ...           events, each followed by the lines that the core said about it
//! ```
//!
//! A record begins where a core begins, and may end anywhere: a process that was killed ends it in the middle of a frame.
//! Nothing secret is in it. The private key is left out, so a replay signs with another one; no decision rests on a
//! signature that the core itself makes.

mod frame;
mod head;
mod replay;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Level, Line};
use crate::event::Event;

pub use frame::{Broken, Reader, Writer};
pub use head::{Head, Title};
pub use replay::{Decision, Difference, End, Replayed, replay};

/// The ending of a record's file name.
pub const ENDING: &str = "record";

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

/// A file is no record that this program can replay. Nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[source] io::Error),
    /// It begins with other letters.
    #[error("this is no record of a controller; they are in `records` of its state_dir")]
    NoRecord,
    /// It is written in another way.
    #[error("its format is {found}, and this program reads {ours}: use the version that wrote it")]
    Format {
        /// The record's.
        found: u8,
        /// This program's.
        ours: u8,
    },
    /// Another version wrote it: its core may decide otherwise, so nothing would follow from a replay.
    #[error(
        "{program} {found} wrote it, and this is {ours}: replay it with {found}; a core of another version may decide \
         otherwise"
    )]
    Version {
        /// Who wrote it.
        program: String,
        /// The record's version.
        found: String,
        /// This program's.
        ours: &'static str,
    },
    /// It ends or is damaged before the first event.
    #[error("its beginning is damaged, so nothing can be replayed: {0}")]
    Head(String),
}
