//! The lease, the vouches and the watchdog of one node, the promises that end them, and E2 at the leader: section 3 of the
//! fencing rules (`docs/safety.md`, the lease). `docs/model.md` says what is left out and why that hides nothing.
//!
//! Time is in ticks. Every bound is closed: a lease of age L is still one, a watchdog that was not fed for W fires only
//! when time goes on. So the model is an instant worse than any clock, and the waits need one tick more.

mod actions;
mod leader;
mod log;
mod mutant;
mod node;
mod scope;
mod state;
mod step;
mod story;

use crate::check::{Subject, bits};

pub use actions::Action;
pub use mutant::Mutant;
pub use scope::Scope;
pub use state::State;

use log::members;
use state::{Life, NEVER};

/// Peers at most.
const VOTERS: usize = 3;
/// Controllers at most.
const CONTROLLERS: usize = 4;
/// L, in ticks.
const LEASE: u8 = 2;
/// C.
const VOUCH: u8 = 1;
/// W, as late as the device may fire.
const WATCHDOG: u8 = 1;
/// K.
const QUIET: u8 = 1;
/// Ticks by which a leader's clock may run ahead of the node's during a wait.
const AHEAD: u8 = 1;

/// The model within bounds, whole or with one rule broken.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// The bounds.
    pub scope: Scope,
    /// The broken rule.
    pub mutant: Option<Mutant>,
}

impl Lease {
    /// Whether this rule is the broken one.
    fn breaks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether nobody acked the node since T0, by the true send times. The leader's clock may have run ahead. With the
    /// end of the intent the promise ends.
    fn acks_ended(&self, s: &State) -> bool {
        let base = self.true_lease_base(s);
        let ahead = self.scope.ahead - s.left.ahead;
        let over = !s.log.at(s.committed).open;
        over || s.leader.t0 == NEVER || base == NEVER || base + ahead >= s.leader.t0
    }
}

impl Subject for Lease {
    type State = State;
    type Action = Action;

    const ALWAYS: &'static [&'static str] = &[
        "S3 off_when_fenced",
        "S4 self_fence_deadline",
        "S5 no_ack_after_intent",
        "S14 mirror",
        "S22 disarm_holds",
    ];
    const SOMETIMES: &'static [&'static str] = &[
        "E2 is granted",
        "a vouch alone keeps the node alive",
        "the watchdog fires",
        "a new leader evaluates",
        "a voter is rebooted and E2 is granted",
        "the registry changed below the intent",
        "the node is disarmed and closes its device",
        "the node is armed again",
        "a drill resets the node",
        "a drill is given up and E2 is granted after it",
        "an intent is given up and E2 is granted after it",
    ];

    fn name(&self) -> String {
        format!("lease/{}", self.scope.name)
    }

    fn bounds(&self) -> String {
        self.scope.to_string()
    }

    fn start(&self) -> Vec<State> {
        vec![self.first()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn step(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, action))
    }

    fn broken(&self, s: &State) -> u32 {
        let on = s.node.life != Life::Off;
        let registry = s.log.at(s.committed);
        let unguarded = registry.armed && !registry.fenced && s.node.life == Life::Up;
        let broken = [
            on && registry.fenced,
            on && s.node.over > 3 * WATCHDOG + QUIET,
            !self.acks_ended(s),
            unguarded && s.node.fed == NEVER,
            self.scope.disarm_holds && s.node.reset_though_disarmed,
        ];
        bits(&broken)
    }

    fn reached(&self, s: &State) -> u32 {
        let registry = s.log.at(s.committed);
        let alone = s.node.life == Life::Up && !self.has_lease(s) && self.is_vouched_for(s);
        let rebooted = s.voters.iter().any(|voter| voter.boot > 0);
        let changed = s.log.intent().is_some_and(|(length, _)| length > 1);
        let held = s.log.at(s.node.n).held && s.node.fed == NEVER;
        let waits = s.leader.t0 != NEVER && s.left.elections < self.scope.elections;
        let again = registry.armed && s.left.disarms < self.scope.disarms;
        bits(&[
            registry.fenced,
            alone && s.log.intent().is_some(),
            matches!(s.node.life, Life::Dying(_)) && s.node.over > 0,
            waits,
            rebooted && registry.fenced,
            changed && registry.fenced,
            held,
            again && s.node.fed != NEVER,
            registry.drill && s.node.life == Life::Off,
            registry.fenced && s.log.drills() > 0,
            registry.fenced && s.log.drills() == 0 && s.left.cancels < self.scope.cancels,
        ])
    }

    fn wanted(&self) -> u32 {
        bits(&[
            true,
            self.scope.vouches,
            true,
            self.scope.elections > 0,
            self.scope.reboots > 0
                && self.scope.verifies > 0
                && members(self.scope.voters).count() > 2,
            !self.scope.changes.is_empty(),
            self.scope.disarms > 0,
            self.scope.disarms > 0,
            self.scope.drills > 0,
            self.scope.drills > 0,
            self.scope.cancels > 0,
        ])
    }

    fn passes_time(&self, action: &Action) -> bool {
        *action == Action::Tick
    }

    fn tell(&self, before: &State, action: &Action, after: &State) -> String {
        self.sentence(before, *action, after)
    }
}
