//! The input of a decision: one reachability per network, one state per check.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether a node answers on one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// It answers.
    Up,
    /// Enough sound observers agree that it does not.
    Down,
    /// The observers cannot say. Never a reason to fence.
    Unknown,
}

impl Reach {
    /// Every value, in the order in which cells are counted.
    pub const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Unknown];

    /// The word in the file, the log and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.word() == word)
    }

    /// 0, 1 or 2: its digit in the number of a cell.
    pub(crate) fn digit(self) -> u8 {
        match self {
            Self::Up => 0,
            Self::Down => 1,
            Self::Unknown => 2,
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a named check on a node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// It passed.
    Ok,
    /// It ran and failed.
    Failed,
    /// No fresh result, as from every node that is cut off.
    Unknown,
}

impl CheckState {
    /// Every value, in the order in which cells are counted.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Failed, Self::Unknown];

    /// The word in the file, the log and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// 0, 1 or 2: its digit in the number of a cell.
    pub(crate) fn digit(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Unknown => 2,
        }
    }
}

impl fmt::Display for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What is known of one node, in the order of [`crate::Matrix::networks`] and
/// [`crate::Matrix::checks`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// One reachability per network.
    pub networks: Vec<Reach>,
    /// One state per check.
    pub checks: Vec<CheckState>,
}

impl Cell {
    /// The same cell for a matrix with so many networks and checks. A list of another length
    /// cannot be trusted to be in the right order, so all of it becomes unknown.
    pub(crate) fn fitted(&self, networks: usize, checks: usize) -> Self {
        let mut cell = self.clone();
        if cell.networks.len() != networks {
            cell.networks = vec![Reach::Unknown; networks];
        }
        if cell.checks.len() != checks {
            cell.checks = vec![CheckState::Unknown; checks];
        }
        cell
    }

    /// One bit in three per network, then per check; see [`crate::row::Row::mask`].
    pub(crate) fn bits(&self) -> u64 {
        let networks = self.networks.iter().map(|reach| reach.digit());
        let checks = self.checks.iter().map(|state| state.digit());
        networks.chain(checks).enumerate().fold(0, |bits, (i, digit)| bits | 1 << (3 * i) << digit)
    }
}
