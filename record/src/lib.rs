//! Records of what went into a core: a core is deterministic, so whoever gives it the same beginning and the same events
//! gets the same decisions, at any desk. What stands in a record is its program's business; how it is written, checked,
//! bounded and rotated is here.
//!
//! ```text
//!  magic[7] version[1]   then frames:   length[4] crc[4] payload[length]      little-endian, payload by postcard
//!    Title               which program, which version: all that another version has to understand
//!    head                what the core began with
//!    frames ...          what happened
//! ```
//!
//! A record begins where a core begins, and may end anywhere: a process that was killed ends it in the middle of a frame.

#![forbid(unsafe_code)]

mod files;
mod frame;
mod size;

use std::io::{self, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use files::{Files, Last};
pub use frame::{Broken, Reader, Writer};
pub use size::size;

/// The ending of a record's file name.
pub const ENDING: &str = "record";

/// Who wrote a record. Its shape never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Title {
    /// Such as `ha-controller`.
    pub program: String,
    /// Its version.
    pub version: String,
}

impl Title {
    /// Of a program of this version.
    pub fn of(program: &str) -> Self {
        Self { program: program.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// Reads the title of a record, whoever wrote it, and hands the reader on.
    ///
    /// # Errors
    /// [`RecordError`]: it is no record that this version can replay.
    pub fn read<R: Read>(from: R) -> Result<(Self, Reader<R>), RecordError> {
        let mut reader = Reader::new(from)?;
        let title: Title = begin(&mut reader)?;
        let ours = env!("CARGO_PKG_VERSION");
        if title.version != ours {
            let Title { program, version: found } = title;
            return Err(RecordError::Version { program, found, ours });
        }
        Ok((title, reader))
    }
}

/// Reads something that stands before the first event.
///
/// # Errors
/// [`RecordError::Head`]: nothing can be replayed.
pub fn begin<T: DeserializeOwned>(reader: &mut Reader<impl Read>) -> Result<T, RecordError> {
    let damaged = |why: String| RecordError::Head(why);
    let payload = reader.payload().map_err(|broken| damaged(broken.to_string()))?;
    let payload = payload.ok_or_else(|| damaged("it ends there".to_owned()))?;
    postcard::from_bytes(&payload).map_err(|error| damaged(error.to_string()))
}

/// A file is no record that this program can replay. Nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[source] io::Error),
    /// It begins with other letters.
    #[error("this is no record; they are in `records` of a program's state_dir")]
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
    /// Another program wrote it, whose core is another.
    #[error("{found} wrote it, and this replays records of {wanted}")]
    Program {
        /// Who wrote it.
        found: String,
        /// Whose core would have to run.
        wanted: &'static str,
    },
    /// It ends or is damaged before the first event.
    #[error("its beginning is damaged, so nothing can be replayed: {0}")]
    Head(String),
}

/// How a record ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// On purpose, for this reason.
    Wanted(String),
    /// Between two frames: the process ended, or still runs.
    Open,
    /// In the middle, or by damage; it was replayed up to there.
    Broken(Broken),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Wanted(why) => write!(f, "the record ends: {why}"),
            End::Open => f.write_str("the record just ends: its process was killed, or runs on"),
            End::Broken(broken) => write!(f, "replayed up to here, for {broken}"),
        }
    }
}
