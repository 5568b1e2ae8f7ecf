//! The evacuation of one or two VMs, with Nova as the adversary: any answer lost, late, an error although it had its effect,
//! `failed` with the guest left running, a source that returns, leaders that change between any two steps.

mod leader;
mod nova;
mod state;
mod story;

use std::fmt;

use crate::check::{Subject, bits};

pub use state::{Action, Stage, State};

use state::{Place, Progress, Status, VMS};

/// One break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// Evacuates at the intent.
    AtIntent,
    /// Releases while an order may still arrive.
    ReleasesEarly,
    /// Releases although Nova has orders queued.
    ReleasesWithQueued,
    /// Releases without asking where parked VMs run.
    ReleasesWithDoubt,
    /// Clears `forced_down` before the release.
    ClearsEarly,
    /// Takes `failed` as clean.
    FailedIsClean,
    /// Sends again when the answer is lost.
    SendsAgain,
    /// No census before the next attempt.
    NoCensus,
    /// After an unknown outcome it names another destination.
    OtherPlace,
    /// A new leader sends what it did not propose.
    NewLeaderSends,
    /// The census that allows the release may be as old as the node's boot: what the code does.
    OldCensus,
}

impl Mutant {
    /// All that must be caught.
    pub const ALL: &[Mutant] = &[
        Mutant::AtIntent,
        Mutant::ReleasesEarly,
        Mutant::ReleasesWithQueued,
        Mutant::ReleasesWithDoubt,
        Mutant::ClearsEarly,
        Mutant::FailedIsClean,
        Mutant::SendsAgain,
        Mutant::NoCensus,
        Mutant::OtherPlace,
        Mutant::NewLeaderSends,
        Mutant::OldCensus,
    ];

    /// What it breaks, as half a sentence.
    pub fn breaks(self) -> &'static str {
        match self {
            Mutant::AtIntent => "it evacuates at the intent, not at `Fenced`",
            Mutant::ReleasesEarly => "it releases while an order may still arrive",
            Mutant::ReleasesWithQueued => "it releases although Nova has an order queued",
            Mutant::ReleasesWithDoubt => "it releases while a parked VM may run elsewhere",
            Mutant::ClearsEarly => "it clears forced_down before the release",
            Mutant::FailedIsClean => "a record `failed` is taken as clean",
            Mutant::SendsAgain => "it sends again when no answer came, or an error",
            Mutant::NoCensus => "no census before the next attempt",
            Mutant::OtherPlace => "after an unknown outcome it names another destination",
            Mutant::NewLeaderSends => "a new leader sends an attempt that it did not make",
            Mutant::OldCensus => "the census before a release may be as old as the node's new boot",
        }
    }

    /// Its number in the list of mutants of the simulator, if it has one.
    pub fn number(self) -> &'static str {
        match self {
            Mutant::AtIntent => "M13",
            Mutant::ReleasesEarly => "M24",
            Mutant::ClearsEarly => "M25",
            Mutant::FailedIsClean => "M26",
            Mutant::SendsAgain => "M27, M28",
            Mutant::NoCensus => "M29",
            Mutant::ReleasesWithDoubt => "M63",
            Mutant::OtherPlace => "M64",
            Mutant::ReleasesWithQueued | Mutant::NewLeaderSends | Mutant::OldCensus => "",
        }
    }
}

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Their name.
    pub name: &'static str,
    /// VMs, 1 or 2.
    pub vms: usize,
    /// Attempts for each VM.
    pub tries: u8,
    /// Changes of leader.
    pub elections: u8,
    /// Destinations that die.
    pub deaths: u8,
}

impl Scope {
    /// One VM, many attempts.
    pub const ONE: Scope = Scope { name: "one VM", vms: 1, tries: 3, elections: 2, deaths: 1 };
    /// Two VMs, one release.
    pub const TWO: Scope = Scope { name: "two VMs", vms: 2, tries: 1, elections: 1, deaths: 0 };
    /// For a test of seconds, and for mutants.
    pub const SMALL: Scope =
        Scope { name: "one VM, two tries", vms: 1, tries: 2, elections: 1, deaths: 0 };
    /// All bounds of the whole check.
    pub const ALL: &[Scope] = &[Scope::ONE, Scope::TWO];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} VMs, 2 destinations, {} attempts each, {} elections, {} deaths, 2 POSTs and 3 \
             records of a VM at a time",
            self.vms, self.tries, self.elections, self.deaths
        )
    }
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Evacuate {
    /// The bounds.
    pub scope: Scope,
    /// The broken rule.
    pub mutant: Option<Mutant>,
}

impl Evacuate {
    fn breaks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn vms(&self) -> std::ops::Range<usize> {
        0..self.scope.vms.min(VMS)
    }
}

impl Subject for Evacuate {
    type State = State;
    type Action = Action;

    const ALWAYS: &'static [&'static str] = &[
        "S1 single_writer",
        "S2 evacuate_after_fence",
        "S8 evacuate_once",
        "S19 nova_order",
        "L4 moved means it runs",
    ];
    const SOMETIMES: &'static [&'static str] = &[
        "every VM moved",
        "a VM is parked",
        "a second attempt moved it",
        "released",
        "returned",
        "an order came late",
        "a guest was left behind by `failed`",
    ];

    fn name(&self) -> String {
        format!("evacuate/{}", self.scope.name)
    }

    fn bounds(&self) -> String {
        self.scope.to_string()
    }

    fn start(&self) -> Vec<State> {
        vec![State::new(self.scope.elections, self.scope.deaths)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn step(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, action))
    }

    fn broken(&self, s: &State) -> u32 {
        let vms = || self.vms().map(|v| &s.vms[v]);
        let released = matches!(s.stage, Stage::Released | Stage::Returned);
        let double = vms().any(|vm| vm.guests.count_ones() > 1);
        let scattered = vms().any(|vm| vm.places_that_may_start().count_ones() > 1);
        let cleared = !s.forced_down
            && matches!(s.stage, Stage::ForcedDown | Stage::Evacuating | Stage::Recovered);
        let queued = |vm: &state::Vm| vm.records().any(|record| record.status.is_queued());
        let doubtful = |vm: &state::Vm| vm.host == Place::Source && vm.guests & 0b110 != 0;
        let open = released && vms().any(|vm| queued(vm) || doubtful(vm) || vm.has_posts());
        let gone = vms().any(|vm| match vm.progress {
            Progress::Moved(place) => vm.guests & place.bit() == 0 && s.lives(place),
            Progress::Waiting | Progress::Attempted(_) | Progress::Sent(_) | Progress::Parked => {
                false
            }
        });
        bits(&[double, s.early, scattered, cleared || open, gone])
    }

    fn reached(&self, s: &State) -> u32 {
        let vms = || self.vms().map(|v| &s.vms[v]);
        let moved = |vm: &state::Vm| matches!(vm.progress, Progress::Moved(_));
        bits(&[
            vms().all(moved),
            vms().any(|vm| vm.progress == Progress::Parked),
            vms().any(|vm| moved(vm) && vm.tries > 1),
            s.stage == Stage::Released,
            s.stage == Stage::Returned,
            vms().any(|vm| vm.has_posts() && vm.progress == Progress::Waiting),
            vms().any(|vm| {
                let failed = vm.records().any(|record| record.status == Status::Failed);
                failed && vm.host == Place::Source && vm.guests & 0b110 != 0
            }),
        ])
    }

    fn wanted(&self) -> u32 {
        let second = self.scope.tries > 1;
        bits(&[true, true, second, true, true, second, true])
    }

    fn passes_time(&self, action: &Action) -> bool {
        *action == Action::OrdersLapse
    }

    fn tell(&self, before: &State, action: &Action, after: &State) -> String {
        story::sentence(before, *action, after)
    }
}
