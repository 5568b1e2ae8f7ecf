//! Every cell has a row, every row has a cell.

use std::collections::{BTreeMap, BTreeSet};

use super::grid::Grid;
use crate::problem::Problems;
use crate::rule::Rule;

/// Reports the first cell that no row takes, and how many there are.
pub(super) fn missing_cells(grid: &Grid<'_>, problems: &mut Problems) {
    let missing = || (0..grid.len()).filter(|cell| grid.row(*cell).is_none());
    let Some(first) = missing().next() else { return };
    let count = missing().count();
    let message = format!("no row answers {}: {}", grid.compact(first), grid.long(first));
    let label = match count {
        1 => "the last row; one cell is left without an answer".to_owned(),
        _ => format!("the last row; {count} of {} cells are left without an answer", grid.len()),
    };
    let problem = problems.error(Rule::MissingCell, grid.draft.end.clone(), message, label);
    problem.remedy(format!("add a row for it, and decide:\n{}", grid.row_for(first)));
    if missing().all(|cell| grid.signs(cell).unknown > 0) {
        problem.remedy(
            "or end the matrix with a row that names no network and does not fence: only such a \
             row takes networks that are unknown",
        );
    } else if count > 1 {
        problem.remedy(
            "or end the matrix with a row that names no network and no check: it takes all cells \
             that are left",
        );
    }
}

/// Reports each row that is never the first to take a cell, with the rows that stand before it.
pub(super) fn unreachable_rows(grid: &Grid<'_>, problems: &mut Problems) {
    let reached: BTreeSet<usize> =
        (0..grid.len()).filter_map(|cell| grid.row(cell)).map(|(index, _)| index).collect();
    // Which rows take the cells that an unreachable row would have.
    let mut takers: BTreeMap<usize, BTreeSet<usize>> = (0..grid.draft.rows.len())
        .filter(|i| !reached.contains(i))
        .map(|i| (i, BTreeSet::new()))
        .collect();
    if takers.is_empty() {
        return;
    }
    for cell in 0..grid.len() {
        let Some((taker, _)) = grid.row(cell) else { continue };
        for (index, before) in &mut takers {
            if !before.contains(&taker) && grid.would_take(*index, cell) {
                before.insert(taker);
            }
        }
    }
    for (index, before) in takers {
        unreachable(grid, index, &before, problems);
    }
}

fn unreachable(grid: &Grid<'_>, index: usize, before: &BTreeSet<usize>, problems: &mut Problems) {
    // More than a few places would hide the row that matters.
    const SHOWN: usize = 3;
    let row = &grid.draft.rows[index];
    let message = format!("the row \"{}\" is never reached", row.row.name());
    let label = "every cell it matches is taken before";
    let problem = problems.error(Rule::UnreachableRow, row.name_at.clone(), message, label);
    for taker in before.iter().take(SHOWN) {
        problem.also(grid.draft.rows[*taker].name_at.clone(), "by this row");
    }
    let Some(first) = before.first().map(|first| grid.draft.rows[*first].row.name()) else {
        return;
    };
    let and = match before.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    problem
        .remedy(format!("move it above \"{first}\"{and}, since the first match wins"))
        .remedy("or remove it, or let the rows before it ask for more");
}
