//! Runs the core over a record, and compares each line that it says with the one that was said.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::time::Duration;

use ::record::{Broken, End, Reader, RecordError, Title, begin};

use super::{Frame, Head, PROGRAM};
use crate::core::Controller;
use crate::effect::{Effect, Level};

/// A line of the journal, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Since the record's core began.
    pub at: Duration,
    /// The wall clock, in ms.
    pub wall_ms: u64,
    /// How loud.
    pub level: Level,
    /// Its subject.
    pub subject: String,
    /// The sentence.
    pub text: String,
}

impl Decision {
    /// Whether a word of it is this name.
    pub fn names(&self, name: &str) -> bool {
        let word = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
        self.text.split(|letter| !word(letter)).any(|part| part.trim_end_matches('.') == name)
    }

    fn says_the_same(&self, other: &Self) -> bool {
        (self.level, &self.subject, &self.text) == (other.level, &other.subject, &other.text)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, ms) = (self.at.as_secs(), self.at.subsec_millis());
        let page = if self.level == Level::State { "" } else { "  PAGE" };
        write!(f, "{s:>7}.{ms:03}  {:<9} {}{page}", self.subject, self.text)
    }
}

/// The first place where the core said something else than it had said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Number of the event, from 1; 0 for the beginning.
    pub event: u64,
    /// What was recorded, if anything.
    pub recorded: Option<Decision>,
    /// What the replay says, if anything.
    pub replayed: Option<Decision>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |decision: &Option<Decision>| {
            decision.as_ref().map_or("nothing".to_owned(), ToString::to_string)
        };
        writeln!(f, "after event {} the replay differs:", self.event)?;
        writeln!(f, "  recorded  {}", said(&self.recorded).trim_start())?;
        write!(f, "  replayed  {}", said(&self.replayed).trim_start())
    }
}

/// What came of a replay.
pub struct Replayed {
    /// Which controller, in which of its lives.
    pub title: Title,
    /// What it began with.
    pub head: Head,
    /// Events that were handed in.
    pub events: u64,
    /// Lines that were the same.
    pub decisions: u64,
    /// How the record ended.
    pub end: End,
    /// The first difference; nothing behind it was replayed.
    pub difference: Option<Difference>,
    /// The core as it was at the end.
    pub core: Controller,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, head, events, decisions, .. } = self;
        let (who, starts, version) = (head.controller(), head.starts(), &title.version);
        write!(f, "{who} (start {starts}, version {version}): {events} events, ")?;
        match &self.difference {
            None => write!(f, "{decisions} decisions, all the same; {}", self.end),
            Some(difference) => write!(f, "{decisions} decisions the same; {difference}"),
        }
    }
}

/// Replays a record; each decision is told as it comes.
///
/// # Errors
/// [`RecordError`]: nothing can be replayed.
pub fn replay(from: impl Read, tell: impl FnMut(&Decision)) -> Result<Replayed, RecordError> {
    let (title, reader) = Title::read(from)?;
    replay_rest(title, reader, tell)
}

/// Replays a record behind its title.
///
/// # Errors
/// [`RecordError`]: nothing can be replayed.
pub fn replay_rest(
    title: Title,
    mut reader: Reader<impl Read>,
    mut tell: impl FnMut(&Decision),
) -> Result<Replayed, RecordError> {
    if title.program != PROGRAM {
        return Err(RecordError::Program { found: title.program, wanted: PROGRAM });
    }
    let head: Head = begin(&mut reader)?;
    let mut run = Run::begin(&head)?;
    let end = loop {
        let payload = match reader.payload() {
            Ok(Some(payload)) => payload,
            Ok(None) => break End::Open,
            Err(broken) => break End::Broken(broken),
        };
        let Ok(frame) = postcard::from_bytes::<Frame<'_>>(&payload) else {
            let why = format!("what follows event {} has no meaning", run.events);
            break End::Broken(Broken { at: reader.at(), why });
        };
        match run.take(frame, &mut tell) {
            Ok(None) => {}
            Ok(Some(end)) => break end,
            Err(difference) => return Ok(run.over(title, head, End::Open, Some(*difference))),
        }
    };
    // What was said last may not have reached the disk, unless the end did.
    let missing = run.said.pop_front().filter(|_| matches!(end, End::Wanted(_)));
    let events = run.events;
    let difference = missing.map(|replayed| Difference {
        event: events,
        recorded: None,
        replayed: Some(replayed),
    });
    Ok(run.over(title, head, end, difference))
}

/// A replay under way.
struct Run {
    core: Controller,
    began: Duration,
    now: Duration,
    wall_ms: u64,
    events: u64,
    decisions: u64,
    /// Said by the core, and not yet found in the record.
    said: VecDeque<Decision>,
}

impl Run {
    fn begin(head: &Head) -> Result<Self, RecordError> {
        let mut out = Vec::new();
        let core = Controller::new(head.now, head.settings()?, head.restored.clone(), &mut out);
        let mut run = Self {
            core,
            began: head.now,
            now: head.now,
            wall_ms: head.wall_ms,
            events: 0,
            decisions: 0,
            said: VecDeque::new(),
        };
        run.hear(&out);
        Ok(run)
    }

    /// Takes a frame. Answers the end, where it is one.
    fn take(
        &mut self,
        frame: Frame<'_>,
        tell: &mut impl FnMut(&Decision),
    ) -> Result<Option<End>, Box<Difference>> {
        let mut out = Vec::new();
        match frame {
            Frame::Event { now, wall_ms, event } => {
                self.all_was_said()?;
                (self.now, self.wall_ms) = (now, wall_ms);
                self.events += 1;
                self.core.handle(now, wall_ms, event.into_owned(), &mut out);
            }
            Frame::Leave { now } => {
                self.all_was_said()?;
                self.now = now;
                self.core.leave(now, &mut out);
            }
            Frame::HandOver { now } => {
                self.all_was_said()?;
                self.now = now;
                self.core.give_role_away(now, &mut out);
            }
            Frame::Line { level, subject, text } => {
                let (subject, text) = (subject.into_owned(), text.into_owned());
                let recorded = self.decision(level, subject, text);
                let replayed = self.said.pop_front();
                if !replayed.as_ref().is_some_and(|replayed| replayed.says_the_same(&recorded)) {
                    return Err(self.differs(Some(recorded), replayed));
                }
                self.decisions += 1;
                tell(&recorded);
            }
            Frame::End { why } => return Ok(Some(End::Wanted(why))),
        }
        self.hear(&out);
        Ok(None)
    }

    fn hear(&mut self, effects: &[Effect]) {
        for frame in effects.iter().filter_map(Frame::of_effect) {
            if let Frame::Line { level, subject, text } = frame {
                let decision = self.decision(level, subject.into_owned(), text.into_owned());
                self.said.push_back(decision);
            }
        }
    }

    fn decision(&self, level: Level, subject: String, text: String) -> Decision {
        let at = self.now.saturating_sub(self.began);
        Decision { at, wall_ms: self.wall_ms, level, subject, text }
    }

    /// Whatever came of an event stands before the next one.
    fn all_was_said(&mut self) -> Result<(), Box<Difference>> {
        match self.said.pop_front() {
            Some(replayed) => Err(self.differs(None, Some(replayed))),
            None => Ok(()),
        }
    }

    fn differs(&self, recorded: Option<Decision>, replayed: Option<Decision>) -> Box<Difference> {
        Box::new(Difference { event: self.events, recorded, replayed })
    }

    fn over(self, title: Title, head: Head, end: End, difference: Option<Difference>) -> Replayed {
        let Self { core, events, decisions, .. } = self;
        Replayed { title, head, events, decisions, end, difference, core }
    }
}
