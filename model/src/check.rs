//! What all models share: a subject with its bounds and its mutant, the search through all its states, and what came of it.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use stateright::{Checker as _, HasDiscoveries, Model, Property};

/// The one name under which the search itself knows all that must hold.
const ALL: &str = "all that must hold";
/// The one name for all that must be reached. It is never found, so that the search goes on.
const ANY: &str = "all that must be reached";

/// A model within its bounds, whole or with one rule broken.
pub trait Subject: Sized + Send + Sync + 'static {
    /// A state.
    type State: Clone + PartialEq + Hash + Debug + Send + Sync + 'static;
    /// What may happen next.
    type Action: Clone + PartialEq + Debug + Send + Sync + 'static;
    /// Names of what must hold in every state.
    const ALWAYS: &'static [&'static str];
    /// Names of what must be reached: a model in which nothing happens proves nothing.
    const SOMETIMES: &'static [&'static str];

    /// The model's and the bounds' name.
    fn name(&self) -> String;
    /// The bounds, as a phrase.
    fn bounds(&self) -> String;
    /// The first states.
    fn start(&self) -> Vec<Self::State>;
    /// All that may happen in a state.
    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>);
    /// What it leads to; `None` where it changes nothing.
    fn step(&self, state: &Self::State, action: Self::Action) -> Option<Self::State>;
    /// Which of [`Self::ALWAYS`] do not hold, a bit each.
    fn broken(&self, state: &Self::State) -> u32;
    /// Which of [`Self::SOMETIMES`] are reached here, a bit each.
    fn reached(&self, state: &Self::State) -> u32;
    /// Which of [`Self::SOMETIMES`] these bounds can reach, a bit each.
    fn wanted(&self) -> u32;
    /// Whether time passes in this action, for the story.
    fn passes_time(&self, action: &Self::Action) -> bool;
    /// An action as a sentence.
    fn tell(&self, before: &Self::State, action: &Self::Action, after: &Self::State) -> String;
}

/// A bit for each, the first lowest.
pub(crate) fn bits(which: &[bool]) -> u32 {
    which.iter().rev().fold(0, |bits, bit| bits << 1 | u32::from(*bit))
}

/// How far a search may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads; with one, a trace is a shortest one.
    pub threads: usize,
    /// Generated states, repetitions counted, after which the search ends unfinished.
    pub states: usize,
    /// Time after which it ends unfinished.
    pub time: Duration,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Name of model and bounds.
    pub name: String,
    /// The bounds.
    pub bounds: String,
    /// Unique states.
    pub states: usize,
    /// Steps from the first state to the farthest.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// Whether every state within the bounds was seen.
    pub exhausted: bool,
    /// What does not hold, with the way there.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// What had to be reached and was not. Says something only of a search that was exhausted.
    pub missed: Vec<&'static str>,
    /// What was reached.
    pub reached: Vec<&'static str>,
}

impl Outcome {
    /// Whether a whole model is as it should be.
    pub fn is_good(&self) -> bool {
        self.broken.is_empty() && self.missed.is_empty() && self.exhausted
    }
}

/// Looks at every state that the bounds admit; ends at the first violation.
pub fn search<S: Subject>(subject: S, limits: Limits) -> Outcome {
    let begin = Instant::now();
    let wanted = subject.wanted();
    let (name, bounds) = (subject.name(), subject.bounds());
    let search = Search { subject, found: AtomicBool::new(false), seen: AtomicU32::new(0) };
    let checker = search
        .checker()
        .threads(limits.threads)
        .target_state_count(limits.states)
        .timeout(limits.time)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let time = begin.elapsed();
    let model = checker.model();
    let mut broken = Vec::new();
    if let Some(path) = checker.discovery(ALL) {
        let bits = model.subject.broken(path.last_state());
        let names = S::ALWAYS.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
        let story = model.story(path.into_vec());
        broken.extend(names.map(|(_, name)| (*name, story.clone())));
    }
    let seen = model.seen.load(Ordering::Relaxed);
    let of = |reached: bool| {
        let names = S::SOMETIMES.iter().enumerate();
        let names = names.filter(|(place, _)| wanted >> place & 1 == 1);
        let names = names.filter(|(place, _)| (seen >> place & 1 == 1) == reached);
        names.map(|(_, name)| *name).collect()
    };
    let unfinished = checker.state_count() >= limits.states || time >= limits.time;
    Outcome {
        name,
        bounds,
        states: checker.unique_state_count(),
        depth: checker.max_depth().saturating_sub(1),
        time,
        exhausted: broken.is_empty() && !unfinished,
        broken,
        missed: of(false),
        reached: of(true),
    }
}

struct Search<S> {
    subject: S,
    /// The first violation is told and no other, so that the trace is that of the first.
    found: AtomicBool,
    /// What was reached, a bit each.
    seen: AtomicU32,
}

impl<S: Subject> Search<S> {
    fn holds(&self, state: &S::State) -> bool {
        self.subject.broken(state) == 0 || self.found.swap(true, Ordering::Relaxed)
    }

    fn note_reached(&self, state: &S::State) -> bool {
        let new = self.subject.reached(state);
        if new & !self.seen.load(Ordering::Relaxed) != 0 {
            self.seen.fetch_or(new, Ordering::Relaxed);
        }
        false
    }

    fn story(&self, path: Vec<(S::State, Option<S::Action>)>) -> Vec<String> {
        let mut now = 0;
        let steps = path.windows(2).filter_map(|pair| {
            let [(before, Some(action)), (after, _)] = pair else { return None };
            now += u32::from(self.subject.passes_time(action));
            Some(format!("t={now:<3} {}", self.subject.tell(before, action, after)))
        });
        steps.collect()
    }
}

impl<S: Subject> Model for Search<S> {
    type State = S::State;
    type Action = S::Action;

    fn init_states(&self) -> Vec<S::State> {
        self.subject.start()
    }

    fn actions(&self, state: &S::State, actions: &mut Vec<S::Action>) {
        self.subject.actions(state, actions);
    }

    fn next_state(&self, state: &S::State, action: S::Action) -> Option<S::State> {
        self.subject.step(state, action).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always(ALL, Self::holds),
            Property::<Self>::sometimes(ANY, Self::note_reached),
        ]
    }
}
