//! Writes what went into the agent's core, in a thread of its own: a disk that hangs must not keep it from its gossip.
//!
//! Where that thread does not keep up the record ends, for one with a hole cannot be replayed; what was not recorded is
//! counted, and another record begins with another life of the core.
//!
//! Notes are handed over some at a time: that thread is woken twice a second and not at each event, which would cost
//! more than the events themselves.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use record::{Files, Title};

use super::core::{Effect, Event};
use crate::record::{Frame, Head, PROGRAM};

/// Notes that are handed over at once, at most.
const TOGETHER: usize = 64;
/// Times that many wait to be written.
const MOST_WAITING: usize = 64;
/// No note waits longer for the next ones, as long as any come. A crash of the process loses what waits.
const HAND_OVER: Duration = Duration::from_millis(500);
/// It serialises and writes.
const STACK: usize = 256 * 1024;

enum Note {
    Begin(Box<Head>),
    Frame(Duration, Frame<'static>),
    End(&'static str),
    /// Everything before it was written when the other end hears of it.
    Mark(SyncSender<()>),
}

/// The near end.
pub(super) struct Recorder {
    notes: Option<SyncSender<Vec<Note>>>,
    /// Notes that were not handed over yet, and when they were last.
    waiting: Vec<Note>,
    handed_over: Duration,
    /// The life of the core that is recorded.
    life: u64,
    /// The life whose record is so long that another should begin; 0 for none.
    long: Arc<AtomicU64>,
    /// Events since the present record had to end.
    lost: u64,
}

impl Recorder {
    /// Records in `dir`, at most so many bytes; nothing where that is 0, or where the thread cannot be made.
    pub(super) fn start(dir: PathBuf, most: u64) -> Self {
        let long = Arc::new(AtomicU64::new(0));
        let mut recorder = Self {
            notes: None,
            waiting: Vec::new(),
            handed_over: Duration::ZERO,
            life: 0,
            long: Arc::clone(&long),
            lost: 0,
        };
        if most == 0 {
            return recorder;
        }
        match thread(Files::new(dir, most), long) {
            Ok(notes) => recorder.notes = Some(notes),
            Err(error) => tracing::warn!(%error, "events are not recorded"),
        }
        recorder
    }

    /// A core begins; what came of its beginning.
    pub(super) fn begin(&mut self, head: Head, effects: &[Effect]) {
        let now = head.now;
        if self.lost > 0 {
            tracing::warn!(events = self.lost, "were not recorded: the disk did not keep up");
        }
        (self.lost, self.life) = (0, head.starts());
        self.note(now, Note::Begin(Box::new(head)));
        self.did(now, effects);
    }

    /// An event is about to be handed in.
    pub(super) fn event(&mut self, now: Duration, event: &Event) {
        let event = Cow::Owned(event.clone());
        self.note(now, Note::Frame(now, Frame::Event { now, event }));
    }

    /// What came of it.
    pub(super) fn did(&mut self, now: Duration, effects: &[Effect]) {
        if let Some(frame) = Frame::of_effects(effects) {
            self.note(now, Note::Frame(now, frame));
        }
    }

    /// Whether a new core should begin, so that a record begins that can be replayed.
    pub(super) fn is_long(&self) -> bool {
        self.lost > 0 || (self.life > 0 && self.long.load(Ordering::Relaxed) == self.life)
    }

    /// Ends the record on purpose, and waits so long for the disk.
    pub(super) fn end(&mut self, why: &'static str, patience: Duration) {
        let (done, written) = sync_channel(1);
        let now = self.handed_over;
        self.note(now, Note::End(why));
        self.note(now, Note::Mark(done));
        self.hand_over(now);
        // Too late is as good as never: the process ends.
        let _ = written.recv_timeout(patience);
    }

    fn note(&mut self, now: Duration, note: Note) {
        if self.notes.is_none() {
            return;
        }
        if self.lost > 0 {
            // Nothing behind a hole is written.
            self.lost += 1;
            return;
        }
        self.waiting.push(note);
        let late = now.saturating_sub(self.handed_over) >= HAND_OVER;
        if late || self.waiting.len() >= TOGETHER {
            self.hand_over(now);
        }
    }

    fn hand_over(&mut self, now: Duration) {
        let Some(notes) = &self.notes else { return };
        self.handed_over = now;
        let together = std::mem::replace(&mut self.waiting, Vec::with_capacity(TOGETHER));
        let number = u64::try_from(together.len()).unwrap_or(u64::MAX);
        if notes.try_send(together).is_err() {
            self.lost += number;
        }
    }
}

fn thread(files: Files<Frame<'static>>, long: Arc<AtomicU64>) -> io::Result<SyncSender<Vec<Note>>> {
    let (notes, queue) = sync_channel(MOST_WAITING);
    let thread = std::thread::Builder::new().name("record".to_owned()).stack_size(STACK);
    thread.spawn(move || write_all(files, &queue, &long))?;
    Ok(notes)
}

fn write_all(mut files: Files<Frame<'static>>, queue: &Receiver<Vec<Note>>, long: &AtomicU64) {
    let mut life = 0;
    for note in queue.iter().flatten() {
        match note {
            Note::Begin(head) => {
                life = head.starts();
                files.end("the next record goes on");
                files.begin(&Title::of(PROGRAM), head.starts(), head.now, &*head);
            }
            Note::Frame(now, frame) => files.put(now, &frame),
            Note::End(why) => files.end(why),
            Note::Mark(done) => {
                // The near end may have lost its patience.
                let _ = done.try_send(());
            }
        }
        if files.is_long() {
            long.store(life, Ordering::Relaxed);
        }
    }
}
