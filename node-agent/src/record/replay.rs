//! Runs an agent's core over a record, and compares all that comes of each event with what had come of it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::time::Duration;

use gossip::group::State;
use record::{Broken, End, Reader, RecordError, Title, begin};
use uuid::Uuid;

use super::{Frame, Head, PROGRAM};
use crate::agent::{Agent, Effect, Event};

/// Something that a reader of a record wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Since the record's core began.
    pub at: Duration,
    /// Its subject.
    pub subject: &'static str,
    /// The sentence.
    pub text: String,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, ms) = (self.at.as_secs(), self.at.subsec_millis());
        write!(f, "{s:>7}.{ms:03}  {:<9} {}", self.subject, self.text)
    }
}

/// The first event of which something else came than had come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Number of the event, from 1; 0 for the beginning.
    pub event: u64,
    /// The event, and what comes of it in the replay.
    pub replayed: Vec<String>,
    /// Whether anything had come of it.
    pub did: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let did = if self.did { "something else" } else { "nothing" };
        write!(f, "after event {} the replay differs; recorded: {did}; replayed:", self.event)?;
        self.replayed.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// What came of a replay.
pub struct Replayed {
    /// Who wrote the record.
    pub title: Title,
    /// What its core began with.
    pub head: Head,
    /// Events that were handed in.
    pub events: u64,
    /// Effects that were the same.
    pub effects: u64,
    /// How the record ended.
    pub end: End,
    /// The first difference; nothing behind it was replayed.
    pub difference: Option<Difference>,
    /// The core as it was at the end.
    pub core: Agent,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, head, events, effects, .. } = self;
        let (name, starts, version) = (&head.name, head.starts(), &title.version);
        write!(f, "agent of {name} (start {starts}, version {version}): {events} events, ")?;
        match &self.difference {
            None => write!(f, "{effects} effects, all the same; {}", self.end),
            Some(difference) => write!(f, "{effects} effects the same; {difference}"),
        }
    }
}

/// Replays a record behind its title; what a reader wants to know is told as it comes.
///
/// # Errors
/// [`RecordError`]: nothing can be replayed.
pub fn replay(
    title: Title,
    mut reader: Reader<impl Read>,
    mut tell: impl FnMut(&Decision),
) -> Result<Replayed, RecordError> {
    if title.program != PROGRAM {
        return Err(RecordError::Program { found: title.program, wanted: PROGRAM });
    }
    let head: Head = begin(&mut reader)?;
    let mut run = Run::begin(&head);
    let (end, difference) = loop {
        let payload = match reader.payload() {
            Ok(Some(payload)) => payload,
            Ok(None) => break (End::Open, None),
            Err(broken) => break (End::Broken(broken), None),
        };
        let Ok(frame) = postcard::from_bytes::<Frame<'_>>(&payload) else {
            let why = format!("what follows event {} has no meaning", run.events);
            break (End::Broken(Broken { at: reader.at(), why }), None);
        };
        match run.take(frame) {
            Ok(None) => {}
            Ok(Some(end)) => break (end, run.all_was_done().err()),
            Err(difference) => break (End::Open, Some(difference)),
        }
        run.told(&head, &mut tell);
    };
    let Run { core, events, same, .. } = run;
    Ok(Replayed { title, head, events, effects: same, end, difference, core })
}

/// A replay under way.
struct Run {
    core: Agent,
    began: Duration,
    now: Duration,
    events: u64,
    same: u64,
    /// What was handed in last.
    event: String,
    /// What comes of it, and was not found in the record yet.
    done: Vec<Effect>,
    /// What is to be told once it was found to be the same.
    lines: Vec<(&'static str, String)>,
    states: BTreeMap<(u8, Uuid), State>,
}

impl Run {
    fn begin(head: &Head) -> Self {
        let mut done = Vec::new();
        let core = Agent::new(head.now, head.setup(), &mut done);
        let (event, lines, states) = ("the beginning".to_owned(), Vec::new(), BTreeMap::new());
        let (events, same) = (0, 0);
        Self { core, began: head.now, now: head.now, events, same, event, done, lines, states }
    }

    /// Takes a frame. Answers the end, where it is one.
    fn take(&mut self, frame: Frame<'_>) -> Result<Option<End>, Difference> {
        match frame {
            Frame::Event { now, event } => {
                self.all_was_done()?;
                self.now = now;
                self.events += 1;
                self.event = event.to_string();
                let quiet = matches!(
                    *event,
                    Event::Gossip { .. }
                        | Event::Ping { .. }
                        | Event::Pong { .. }
                        | Event::Use { .. }
                        | Event::Timeout
                        | Event::Checked { .. }
                        | Event::Pushed { .. }
                );
                if !quiet {
                    self.lines.push(("event", self.event.clone()));
                }
                self.core.handle(now, event.into_owned(), &mut self.done);
            }
            Frame::Did { .. } => {
                if Frame::of_effects(&self.done).as_ref() != Some(&frame) {
                    return Err(self.differs(true));
                }
                self.same += self.done.len() as u64;
                for effect in self.done.drain(..) {
                    if matches!(effect, Effect::ListDomains { .. } | Effect::PassToSentinel(_)) {
                        self.lines.push(("does", effect.to_string()));
                    }
                }
            }
            Frame::End { why } => return Ok(Some(End::Wanted(why))),
        }
        Ok(None)
    }

    /// Whatever came of an event stands before the next one.
    fn all_was_done(&self) -> Result<(), Difference> {
        if self.done.is_empty() { Ok(()) } else { Err(self.differs(false)) }
    }

    fn differs(&self, did: bool) -> Difference {
        let effects = self.done.iter().map(ToString::to_string);
        let replayed = std::iter::once(self.event.clone()).chain(effects).collect();
        Difference { event: self.events, replayed, did }
    }

    fn told(&mut self, head: &Head, tell: &mut impl FnMut(&Decision)) {
        for network in 0..head.networks() {
            for (member, state) in self.core.members(network) {
                let before = self.states.insert((network, member.id), state);
                if before != Some(state) {
                    let name = head.network(network);
                    let who = if member.controller { "controller" } else { "node" };
                    self.lines
                        .push(("gossip", format!("{who} {} is {state:?} on {name}", member.id)));
                }
            }
        }
        let at = self.now.saturating_sub(self.began);
        for (subject, text) in self.lines.drain(..) {
            tell(&Decision { at, subject, text });
        }
    }
}
