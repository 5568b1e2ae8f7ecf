//! When a check is done, and what came of it.

use std::time::Duration;

use fencing::checks::{State, line};
use serde::{Deserialize, Serialize};

/// When a check is done, and how often it must say the same before it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name, [`fencing::checks::is_name`].
    pub name: String,
    /// It is begun this often. One that is pushed must be pushed this often.
    pub every: Duration,
    /// It must have ended by then, or it failed; at most `every`.
    pub within: Duration,
    /// So many in a row must be better before it is better; at least 1.
    pub rise: u32,
    /// So many in a row must be worse before it is worse; at least 1.
    pub fall: u32,
    /// Somebody else says how it is, unasked.
    pub pushed: bool,
}

/// What came of a check once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it says of the node.
    pub state: State,
    /// The exit code, the HTTP status or the errno behind it; 0 where there is none.
    pub code: i32,
    /// A line for people.
    pub message: String,
}

impl Outcome {
    /// With a message of which one safe line is kept.
    pub fn new(state: State, code: i32, message: &str) -> Self {
        Self { state, code, message: line(message) }
    }

    /// All is well.
    pub fn ok(message: &str) -> Self {
        Self::new(State::Ok, 0, message)
    }

    /// It failed.
    pub fn critical(code: i32, message: &str) -> Self {
        Self::new(State::Critical, code, message)
    }

    /// The check itself did not work: it says nothing of the node.
    pub fn unknown(message: &str) -> Self {
        Self::new(State::Unknown, 0, message)
    }
}
