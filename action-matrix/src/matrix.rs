//! A loaded matrix and its decisions.

use std::sync::Arc;

use crate::action::Action;
use crate::cell::Cell;
use crate::problem::{Problem, Problems, Text};
use crate::row::Row;
use crate::{check, read};

/// A matrix that is known to be total and free of rows that are never reached. There is no other
/// way to make one than [`Matrix::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    networks: Vec<String>,
    checks: Vec<String>,
    rows: Vec<Row>,
    text: Arc<Text>,
}

/// What [`Matrix::parse`] gives for a text that may be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The matrix.
    pub matrix: Matrix,
    /// What its author should look at again; each is of [`crate::Severity::Warning`].
    pub warnings: Vec<Problem>,
}

/// The row that a cell falls to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Its place in [`Matrix::rows`], from 0.
    pub index: usize,
    /// The row itself.
    pub row: &'a Row,
}

impl<'a> Decision<'a> {
    /// What to do, in this order.
    #[must_use]
    pub fn actions(&self) -> &'a [Action] {
        self.row.actions()
    }
}

impl Matrix {
    /// Reads and proves a matrix. `file_name` is only shown in problems.
    ///
    /// # Errors
    /// Everything that is wrong with the text, in its order, warnings included. Nothing was
    /// loaded: the caller keeps the matrix that it had, or stops (S21).
    pub fn parse(file_name: &str, text: &str) -> Result<Loaded, Problems> {
        let text = Arc::new(Text::new(file_name, text));
        let mut problems = Problems::new(&text);
        let Some(draft) = read::read(&text, &mut problems) else {
            return Err(problems.sorted());
        };
        check::check(&draft, &mut problems);
        if problems.has_errors() {
            return Err(problems.sorted());
        }
        let rows = draft.rows.into_iter().map(|draft| draft.row).collect();
        let matrix = Self { networks: draft.networks, checks: draft.checks, rows, text };
        Ok(Loaded { matrix, warnings: problems.sorted().into_vec() })
    }

    /// The networks, in the order of cells.
    #[must_use]
    pub fn networks(&self) -> &[String] {
        &self.networks
    }

    /// The checks, in the order of cells.
    #[must_use]
    pub fn checks(&self) -> &[String] {
        &self.checks
    }

    /// The rows, in the order in which they are tried.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Its text, byte for byte as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        self.text.text()
    }

    /// The name of the file that it was read from, for display.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.text.name()
    }

    /// The first row that takes the cell. Total, and never panics.
    ///
    /// A cell of another shape counts as unknown: if `networks` has the wrong length all networks
    /// are unknown, which never fences; if `checks` has, all checks are unknown, which fences only
    /// where no state of theirs would prevent it.
    #[must_use]
    pub fn decide(&self, cell: &Cell) -> Decision<'_> {
        let bits = cell.fitted(self.networks.len(), self.checks.len()).bits();
        let found = self.rows.iter().enumerate().find(|(_, row)| row.takes(bits));
        match found {
            Some((index, row)) => Decision { index, row },
            // The proof in `check` went through every cell, so this is a mistake of ours (S21).
            None => unreachable!("a loaded matrix answers every cell"),
        }
    }
}
