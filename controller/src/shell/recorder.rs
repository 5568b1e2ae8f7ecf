//! What went into the core, into the files of a record.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use ::record::{Files, Title};

use crate::effect::Effect;
use crate::event::Event;
use crate::record::{Frame, Head, PROGRAM};

/// Writes records: one for each life of a core, in `records`, bounded all together.
pub(super) struct Recorder(Files<Frame<'static>>);

impl Recorder {
    pub(super) fn new(state_dir: &Path, most: u64) -> Self {
        Self(Files::new(state_dir.join("records"), most))
    }

    /// A core begins: a file of its own.
    pub(super) fn begin(&mut self, head: &Head) {
        self.0.begin(&Title::of(PROGRAM), head.starts(), head.now, head);
    }

    pub(super) fn event(&mut self, now: Duration, wall_ms: u64, event: &Event) {
        self.0.put(now, &Frame::Event { now, wall_ms, event: Cow::Borrowed(event) });
    }

    /// What is no event.
    pub(super) fn note(&mut self, frame: &Frame<'_>) {
        self.0.put_now(frame);
    }

    /// The lines among these effects.
    pub(super) fn lines(&mut self, effects: &[Effect]) {
        effects.iter().filter_map(Frame::of_effect).for_each(|frame| self.note(&frame));
    }

    /// Ends the record on purpose.
    pub(super) fn end(&mut self, why: &str) {
        self.0.end(why);
    }

    /// Whether a new core should begin, so that a record begins that can be replayed.
    pub(super) fn is_long(&self) -> bool {
        self.0.is_long()
    }
}
