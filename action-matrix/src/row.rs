//! One row: what it speaks of, and what it says.

use std::time::Duration;

use crate::action::Action;
use crate::cell::{CheckState, Reach};

/// One row of a loaded matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    name: String,
    networks: Vec<Option<Reach>>,
    checks: Vec<Option<CheckState>>,
    settle: Duration,
    actions: Vec<Action>,
    reason: String,
    // Three bits per network and then per check, one for each state that the row takes. Computed
    // once, so that a decision and the proof at load cannot read a row differently.
    mask: u64,
}

impl Row {
    pub(crate) fn new(
        name: String,
        networks: Vec<Option<Reach>>,
        checks: Vec<Option<CheckState>>,
        settle: Duration,
        actions: Vec<Action>,
        reason: String,
    ) -> Self {
        let fences = fences(&actions);
        let network_bits = networks.iter().map(|wanted| match (wanted, fences) {
            (Some(reach), _) => 1_u64 << reach.digit(),
            // S20: for a row that fences, `any` is up or down and never unknown.
            (None, true) => 0b011,
            (None, false) => 0b111,
        });
        let check_bits = checks.iter().map(|wanted| match wanted {
            Some(state) => 1_u64 << state.digit(),
            None => 0b111,
        });
        let mask = network_bits
            .chain(check_bits)
            .enumerate()
            .fold(0, |mask, (i, bits)| mask | bits << (3 * i));
        Self { name, networks, checks, settle, actions, reason, mask }
    }

    /// Its name, one per matrix.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it wants of each network, in the matrix' order; `None` is `any`.
    #[must_use]
    pub fn networks(&self) -> &[Option<Reach>] {
        &self.networks
    }

    /// What it wants of each check, in the matrix' order; `None` is `any`.
    #[must_use]
    pub fn checks(&self) -> &[Option<CheckState>] {
        &self.checks
    }

    /// How long the cell must have stayed as it is before the actions begin; at most an hour. It
    /// comes on top of the time that a verdict takes.
    #[must_use]
    pub fn settle(&self) -> Duration {
        self.settle
    }

    /// What to do, in this order; never empty, and `evacuate` only after `fence`.
    #[must_use]
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// Why, in the operator's words; one line.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether it fences, and so never takes a cell with an unknown network.
    #[must_use]
    pub fn fences(&self) -> bool {
        fences(&self.actions)
    }

    /// The harshest of its actions.
    pub(crate) fn severity(&self) -> Action {
        self.actions.iter().copied().max().unwrap_or(Action::None)
    }

    /// Whether it takes the cell with these [`crate::Cell::bits`].
    pub(crate) fn takes(&self, bits: u64) -> bool {
        bits & !self.mask == 0
    }
}

fn fences(actions: &[Action]) -> bool {
    actions.contains(&Action::Fence) || actions.contains(&Action::Evacuate)
}
