//! What only all rows together show: cells without an answer, rows without a cell, answers that
//! contradict each other.

mod answers;
mod coverage;
mod grid;

use crate::problem::Problems;
use crate::read::Draft;
use grid::Grid;

/// Goes through every cell and reports all that is wrong. Without a new error in `problems` the
/// rows are total, and every row is the first to take some cell.
pub(crate) fn check(draft: &Draft, problems: &mut Problems) {
    let grid = Grid::new(draft);
    coverage::missing_cells(&grid, problems);
    coverage::unreachable_rows(&grid, problems);
    answers::healthy(&grid, problems);
    answers::unknown_checks(&grid, problems);
    answers::single_signs(&grid, problems);
    answers::milder_when_worse(&grid, problems);
}
