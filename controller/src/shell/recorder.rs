//! The files of the record: one for each life of a core, in `records`, bounded all together.
//!
//! A record that cannot be written is no reason to stop, and nothing waits for the disk: the last second may be missing
//! after a power cut, not after a crash of this process alone.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::effect::Effect;
use crate::event::Event;
use crate::record::{ENDING, Frame, Head, Title, Writer};

/// A core's life is recorded up to this part of all that may be kept; then a new one should begin.
const PARTS: u64 = 4;
/// What is written reaches the system after this time at the latest.
const FLUSH: Duration = Duration::from_secs(1);

/// Writes records.
pub(super) struct Recorder {
    dir: PathBuf,
    /// Bytes that all files may have; 0: nothing is recorded.
    most: u64,
    open: Option<Open>,
    /// The last record had to end, and no other has begun.
    full: bool,
    /// Earlier files, oldest first, with their lengths.
    earlier: VecDeque<(PathBuf, u64)>,
}

struct Open {
    path: PathBuf,
    to: Writer<BufWriter<File>>,
    flushed: Duration,
}

impl Recorder {
    pub(super) fn new(state_dir: &Path, most: u64) -> Self {
        let dir = state_dir.join("records");
        Self { dir, most, open: None, full: false, earlier: VecDeque::new() }
    }

    /// A core begins: a file of its own.
    pub(super) fn begin(&mut self, head: &Head) {
        self.end("the next record goes on");
        if self.most == 0 {
            return;
        }
        match self.create(head) {
            Ok(open) => (self.open, self.full) = (Some(open), false),
            Err(error) => {
                tracing::warn!(%error, dir = %self.dir.display(), "events are not recorded");
                return;
            }
        }
        self.keep_within();
    }

    pub(super) fn event(&mut self, now: Duration, wall_ms: u64, event: &Event) {
        let Some(open) = &mut self.open else { return };
        let flush = now.saturating_sub(open.flushed) >= FLUSH;
        if flush {
            open.flushed = now;
        }
        self.put(&Frame::Event { now, wall_ms, event: Cow::Borrowed(event) }, flush);
    }

    /// What is no event.
    pub(super) fn note(&mut self, frame: &Frame<'_>) {
        self.put(frame, true);
    }

    /// The lines among these effects.
    pub(super) fn lines(&mut self, effects: &[Effect]) {
        effects.iter().filter_map(Frame::of_effect).for_each(|frame| self.note(&frame));
    }

    /// Ends the record on purpose.
    pub(super) fn end(&mut self, why: &str) {
        if let Some(mut open) = self.open.take() {
            // If this is lost, it just ends.
            let _ = open.to.put(&Frame::End { why: why.to_owned() });
            let _ = open.to.flush();
            self.earlier.push_back((open.path, open.to.length()));
        }
    }

    /// Whether a new core should begin, so that a record begins that can be replayed.
    pub(super) fn is_long(&self) -> bool {
        self.full || self.open.as_ref().is_some_and(|open| open.to.length() > self.most / PARTS)
    }

    fn create(&mut self, head: &Head) -> io::Result<Open> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        self.earlier = records(&self.dir)?;
        // The number of starts rises with each life of a core, so names are in order and never used twice.
        let path = self.dir.join(format!("{:010}.{ENDING}", head.starts()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let mut to = Writer::new(BufWriter::new(file))?;
        to.put(&Title::own())?;
        to.put(head)?;
        to.flush()?;
        Ok(Open { path, to, flushed: head.now })
    }

    fn put(&mut self, frame: &Frame<'_>, flush: bool) {
        let Some(open) = &mut self.open else { return };
        let written = open.to.put(frame);
        let written = written.and_then(|()| if flush { open.to.flush() } else { Ok(()) });
        if let Err(error) = written {
            tracing::warn!(%error, file = %open.path.display(), "events are recorded no more, until the next start");
            self.open = None;
            return;
        }
        self.keep_within();
    }

    /// Removes the oldest where there is too much; the one that is written ends where nothing else is left.
    fn keep_within(&mut self) {
        let Some(open) = &self.open else { return };
        let length = open.to.length();
        let all = |earlier: &VecDeque<(PathBuf, u64)>| {
            earlier.iter().map(|(_, length)| length).sum::<u64>() + length
        };
        while all(&self.earlier) > self.most {
            let Some((path, _)) = self.earlier.pop_front() else {
                tracing::warn!(
                    file = %open.path.display(), bytes = length,
                    "the record is as long as all may be, and ends; another begins when no incident is open and another \
                     controller leads"
                );
                self.full = true;
                self.end("it was as long as all records may be");
                return;
            };
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, file = %path.display(), "an old record cannot be removed");
            }
        }
    }
}

/// All records of a directory, oldest first, with their lengths.
fn records(dir: &Path) -> io::Result<VecDeque<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            found.push((path, entry.metadata()?.len()));
        }
    }
    found.sort();
    Ok(found.into())
}
