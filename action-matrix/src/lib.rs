//! What to do with a node, given which of its networks answer and what its checks say.
//!
//! An operator writes an ordered list of rows in TOML. The first row that matches a **cell** (one
//! reachability per network, one state per check) decides. [`Matrix::parse`] takes the text only
//! if that list answers every cell, has no row that is never reached and no row that contradicts
//! itself; so [`Matrix::decide`] is total and has no error. Everything here is pure: no file, no
//! clock, no network. The crate does not know what an action does, and it never acts.
//!
//! ```text
//! text --read--> rows --check--> Matrix --decide(cell)--> row, actions, settle time
//!          \               \
//!           '---------------'--> Problems: line, column, the text, the remedy
//! ```
//!
//! Two rules hold for every matrix that loads (property S20): a cell with an unknown network never
//! fences, and a cell with an unknown check fences only if it would whatever that check said.

#![forbid(unsafe_code)]

mod action;
mod cell;
mod check;
mod explain;
mod matrix;
mod nearest;
mod problem;
mod read;
mod row;
mod rule;
mod words;

pub use action::Action;
pub use cell::{Cell, CheckState, Reach};
pub use matrix::{Decision, Loaded, Matrix};
pub use problem::{Problem, Problems, Severity};
pub use row::Row;
pub use rule::Rule;
pub use words::CellError;

/// The matrix that is used when an operator writes none: three networks, the check `disk`, and a
/// reason beside every row. It loads with one warning, which its comments and `docs/matrix.md`
/// explain.
pub const DEFAULT: &str = include_str!("default.toml");

/// The most networks that a matrix may speak of.
pub const MAX_NETWORKS: usize = 8;
/// The most checks that a matrix may speak of: with 8 networks that is 531,441 cells to prove.
pub const MAX_CHECKS: usize = 4;
/// The most rows; nobody reads more from top to bottom.
pub const MAX_ROWS: usize = 200;
/// The longest text of a matrix, in bytes: it travels through Raft as one entry.
pub const MAX_BYTES: usize = 64 * 1024;
