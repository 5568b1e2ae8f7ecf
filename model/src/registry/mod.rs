//! The incident's entries in Raft's log while leaders change: an intent that lies uncommitted in the log of a controller that
//! stalls, a power off that leaves late, a release, entries of an old leader that come after a cancel.

mod actions;
mod state;
mod step;
mod story;

use std::fmt;

use crate::check::{Subject, bits};

pub use actions::Action;
pub use state::State;

use state::{CONTROLLERS, Cell, Kind, Outcome};

/// One break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// No confirmation of leadership before an effect.
    NoReadIndex,
    /// An effect rests on an entry that is not committed.
    BeforeCommit,
    /// A release does not wait for older orders.
    ReleasesEarly,
    /// An order leaves after its `not_after`.
    NoDeadline,
    /// `Fenced` counts although its intent was cancelled.
    FencedAfterCancel,
    /// A leader commits without a quorum.
    NoQuorum,
    /// A leader counts copies of an entry of an older term.
    OldTermCounts,
    /// A controller votes for one whose log is behind its own.
    VotesForOlder,
    /// A controller loses what it had confirmed when it crashes.
    LosesLog,
    /// A leader strikes on an intent that it inherited, without a look at the node.
    StrikesInherited,
    /// A leader strikes on every intent of its own term, however long it stalled: what the code does.
    OwnTermStrikes,
}

impl Mutant {
    /// All that must be caught.
    pub const ALL: &[Mutant] = &[
        Mutant::NoReadIndex,
        Mutant::BeforeCommit,
        Mutant::ReleasesEarly,
        Mutant::NoDeadline,
        Mutant::FencedAfterCancel,
        Mutant::NoQuorum,
        Mutant::OldTermCounts,
        Mutant::VotesForOlder,
        Mutant::LosesLog,
        Mutant::StrikesInherited,
        Mutant::OwnTermStrikes,
    ];

    /// What it breaks, as half a sentence.
    pub fn breaks(self) -> &'static str {
        match self {
            Mutant::NoReadIndex => "no confirmation of leadership before an effect",
            Mutant::BeforeCommit => "an effect rests on an entry that is not committed",
            Mutant::ReleasesEarly => "a release does not wait for older orders",
            Mutant::NoDeadline => "an order leaves after its not_after",
            Mutant::FencedAfterCancel => "`Fenced` counts although its intent was cancelled",
            Mutant::NoQuorum => "a leader commits without a quorum",
            Mutant::OldTermCounts => "a leader counts copies of an entry of an older term",
            Mutant::VotesForOlder => "a controller votes for one whose log is behind its own",
            Mutant::LosesLog => "a controller loses in a crash what it had confirmed",
            Mutant::StrikesInherited => "a leader strikes on an inherited intent without a look",
            Mutant::OwnTermStrikes => "a leader strikes on an intent of its own term, however old",
        }
    }

    /// Its number in the list of mutants of the simulator, if it has one.
    pub fn number(self) -> &'static str {
        match self {
            Mutant::NoReadIndex => "M22",
            Mutant::ReleasesEarly => "M24",
            Mutant::NoQuorum => "M39, M40",
            Mutant::LosesLog => "M37",
            Mutant::BeforeCommit
            | Mutant::NoDeadline
            | Mutant::FencedAfterCancel
            | Mutant::OldTermCounts
            | Mutant::VotesForOlder
            | Mutant::StrikesInherited
            | Mutant::OwnTermStrikes => "",
        }
    }

    /// Its bounds.
    pub fn scope(self) -> Scope {
        match self {
            Mutant::OldTermCounts | Mutant::VotesForOlder | Mutant::LosesLog => Scope::TERMS,
            Mutant::NoReadIndex
            | Mutant::BeforeCommit
            | Mutant::ReleasesEarly
            | Mutant::NoDeadline
            | Mutant::FencedAfterCancel
            | Mutant::NoQuorum
            | Mutant::StrikesInherited
            | Mutant::OwnTermStrikes => Scope::SMALL,
        }
    }
}

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Their name.
    pub name: &'static str,
    /// Terms.
    pub terms: u8,
    /// Entries of a log.
    pub entries: usize,
    /// Crashes.
    pub crashes: u8,
    /// Orders that are on their way at a time.
    pub orders: usize,
}

impl Scope {
    /// The whole check.
    pub const FULL: Scope =
        Scope { name: "three terms", terms: 3, entries: 5, crashes: 1, orders: 1 };
    /// More terms, no orders: for the log alone.
    pub const TERMS: Scope =
        Scope { name: "four terms", terms: 4, entries: 3, crashes: 1, orders: 0 };
    /// For a test of seconds, and for mutants.
    pub const SMALL: Scope =
        Scope { name: "two terms", terms: 2, entries: 5, crashes: 0, orders: 1 };
    /// All bounds of the whole check.
    pub const ALL: &[Scope] = &[Scope::FULL, Scope::TERMS];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "3 controllers, {} terms, {} entries, {} crashes, {} orders at a time, 1 incident",
            self.terms, self.entries, self.crashes, self.orders
        )
    }
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    /// The bounds.
    pub scope: Scope,
    /// The broken rule.
    pub mutant: Option<Mutant>,
}

impl Registry {
    fn breaks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// What a controller makes of its committed entries.
    fn outcome(&self, s: &State, controller: usize) -> Outcome {
        let me = &s.controllers[controller];
        let accepts = self.breaks(Mutant::FencedAfterCancel);
        state::outcome(me.log.iter().take(usize::from(me.commit)).flatten(), accepts)
    }

    /// What the longest committed log says.
    fn furthest(&self, s: &State) -> Outcome {
        let furthest = (0..CONTROLLERS).max_by_key(|c| s.controllers[*c].commit);
        self.outcome(s, furthest.unwrap_or(0))
    }
}

impl Subject for Registry {
    type State = State;
    type Action = Action;

    const ALWAYS: &'static [&'static str] = &[
        "S3 off_when_fenced",
        "S6 intent_first",
        "S7 late_effect_harmless",
        "S13 quorum_only",
        "S16 registry_agrees",
        "a node that is long well is not struck",
    ];
    const SOMETIMES: &'static [&'static str] = &[
        "fenced",
        "released",
        "cancelled",
        "an order leaves",
        "an inherited intent is acted upon",
        "a new leader goes on with a fence",
    ];

    fn name(&self) -> String {
        format!("registry/{}", self.scope.name)
    }

    fn bounds(&self) -> String {
        self.scope.to_string()
    }

    fn start(&self) -> Vec<State> {
        vec![State::new(self.scope.crashes)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn step(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, action))
    }

    fn broken(&self, s: &State) -> u32 {
        let committed_alone = (0..CONTROLLERS).any(|c| {
            let me = &s.controllers[c];
            let same = |other: &&state::Controller| {
                let commit = usize::from(me.commit);
                other.log[..commit] == me.log[..commit]
            };
            s.controllers.iter().filter(same).count() * 2 <= CONTROLLERS
        });
        let differ = (0..CONTROLLERS).any(|a| {
            (0..a).any(|b| {
                let (a, b) = (&s.controllers[a], &s.controllers[b]);
                let both = usize::from(a.commit.min(b.commit));
                a.log[..both] != b.log[..both]
            })
        });
        bits(&[
            s.guests && self.furthest(s) == Outcome::Fenced,
            s.ghost.effect_too_early,
            s.ghost.late_effect,
            committed_alone,
            differ,
            s.ghost.struck_well,
        ])
    }

    fn reached(&self, s: &State) -> u32 {
        let outcome = self.furthest(s);
        let intent = state::intent(&s.controllers[0].log);
        let newer =
            |c: &state::Controller| intent.is_some_and(|(_, term)| c.leads && c.term > term);
        let order = s.order.is_some();
        bits(&[
            outcome == Outcome::Fenced,
            outcome == Outcome::Released,
            outcome == Outcome::Cancelled,
            order,
            order && s.ghost.by_heir,
            outcome == Outcome::Fenced && s.controllers.iter().any(newer),
        ])
    }

    fn wanted(&self) -> u32 {
        if self.scope.orders == 0 { 0 } else { 0b11_1111 }
    }

    fn passes_time(&self, action: &Action) -> bool {
        matches!(action, Action::Tick | Action::LongTime(_))
    }

    fn tell(&self, before: &State, action: &Action, after: &State) -> String {
        story::sentence(before, *action, after)
    }
}

/// Whether the node's present cell fences.
fn is_troubled(s: &State) -> bool {
    s.cell == Cell::Troubled
}

/// Whether an entry is of this kind.
fn is(entry: &state::Entry, kind: Kind) -> bool {
    entry.kind == kind
}
