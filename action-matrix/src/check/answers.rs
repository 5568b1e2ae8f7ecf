//! Answers that contradict the cell they are given to, or each other.

use std::collections::BTreeMap;

use super::grid::Grid;
use crate::action::{Action, join};
use crate::cell::{CheckState, Reach};
use crate::problem::Problems;
use crate::rule::Rule;

/// A node with every network up and no failed check is left alone.
pub(super) fn healthy(grid: &Grid<'_>, problems: &mut Problems) {
    for (index, cell) in first_cells(grid, |cell| {
        let signs = grid.signs(cell);
        let acts = grid.row(cell).is_some_and(|(_, row)| row.row.severity() > Action::Notify);
        acts && signs.down + signs.unknown + signs.failed == 0
    }) {
        let row = &grid.draft.rows[index];
        let message =
            format!("{} would {} a node with nothing wrong", row_name(row), row.row.severity());
        let label = format!("also for {}", grid.compact(cell));
        problems
            .error(Rule::ActsOnHealthy, row.actions_at.clone(), message, label)
            .also(row.name_at.clone(), "")
            .remedy(
                "put a row before it that has every network \"up\" and actions = [\"none\"], or let \
                 this row ask for a network that is \"down\" or a check that \"failed\"",
            );
    }
}

/// S20 for checks: a cell with an unknown check fences only if it would for `ok` and for `failed`.
pub(super) fn unknown_checks(grid: &Grid<'_>, problems: &mut Problems) {
    let places = grid.networks()..grid.networks() + grid.checks();
    let fences = |cell| grid.row(cell).is_some_and(|(_, row)| row.row.fences());
    // A cell without a row is reported as such; nobody knows yet what it will say.
    let milder = |cell: usize, place: usize| {
        [CheckState::Ok, CheckState::Failed]
            .into_iter()
            .map(|state| (state, grid.with(cell, place, state.digit())))
            .find(|(_, known)| grid.row(*known).is_some() && !fences(*known))
    };
    let culprit = |cell: usize| {
        places
            .clone()
            .filter(|place| grid.digit(cell, *place) == CheckState::Unknown.digit())
            .find_map(|place| milder(cell, place).map(|found| (place, found)))
    };
    for (index, cell) in first_cells(grid, |cell| fences(cell) && culprit(cell).is_some()) {
        let Some((place, (state, known))) = culprit(cell) else { continue };
        let Some((_, other)) = grid.row(known) else { continue };
        let row = &grid.draft.rows[index];
        let check = &grid.draft.checks[place - grid.networks()];
        let message =
            format!("`{check}` unknown would fence the node, `{check}` {state} would not");
        let other_says = format!("{} gets {} here", grid.compact(known), join(other.row.actions()));
        problems
            .error(
                Rule::UnknownFences,
                row.actions_at.clone(),
                message,
                format!("taken by {}", grid.compact(cell)),
            )
            .also(other.name_at.clone(), other_says)
            .remedy(format!("ask for it: {check} = \"failed\" in {}", row_name(row)))
            .remedy(format!(
                "or put a row before it that has {check} = \"unknown\" and does not fence"
            ));
    }
}

/// Warns of each row that fences on one sign: one network down and no failed check, or one failed
/// check and every network up.
pub(super) fn single_signs(grid: &Grid<'_>, problems: &mut Problems) {
    for (index, cell) in first_cells(grid, |cell| {
        let signs = grid.signs(cell);
        let fences = grid.row(cell).is_some_and(|(_, row)| row.row.fences());
        fences && signs.down + signs.failed == 1 && signs.unknown == 0
    }) {
        let row = &grid.draft.rows[index];
        let signs = grid.signs(cell);
        let (sign, danger) = if signs.down == 1 {
            ("one network down", "a switch or a cable alone would take its VMs down")
        } else {
            ("one failed check", "a mistake of the check alone would take its VMs down")
        };
        let message = format!("{} fences on one sign: {sign}", row_name(row));
        let label = format!("{}: {danger}", grid.compact(cell));
        let problem = problems
            .warning(Rule::SingleSign, row.actions_at.clone(), message, label)
            .also(row.name_at.clone(), "");
        if signs.down == 0 {
            let name = &grid.draft.networks[0];
            problem.remedy(format!(
                "add a network that is down, such as {name} = \"down\", and let a row after it \
                 notify"
            ));
        } else if let Some(check) = grid.draft.checks.first() {
            problem.remedy(format!(
                "add a second sign to it, {check} = \"failed\", and let a row after it notify for \
                 the rest"
            ));
        } else {
            problem.remedy(
                "add a second sign: checks = [\"disk\"] at the top of the file, disk = \"failed\" in \
                 this row, and a row after it that notifies for the rest",
            );
        }
        problem.remedy("or keep it, with a longer settle time and a reason that says why");
    }
}

/// Warns of each row that answers more networks down with something milder.
pub(super) fn milder_when_worse(grid: &Grid<'_>, problems: &mut Problems) {
    // A cell with one network less down that gets a harsher answer.
    let better = |cell: usize| {
        let (_, row) = grid.row(cell)?;
        (0..grid.networks())
            .filter(|place| grid.digit(cell, *place) == Reach::Down.digit())
            .map(|place| grid.with(cell, place, Reach::Up.digit()))
            .find(|better| {
                grid.row(*better)
                    .is_some_and(|(_, harsher)| harsher.row.severity() > row.row.severity())
            })
    };
    for (index, cell) in first_cells(grid, |cell| better(cell).is_some()) {
        let Some((better, (_, harsher))) = better(cell).and_then(|b| Some((b, grid.row(b)?)))
        else {
            continue;
        };
        let row = &grid.draft.rows[index];
        let actions: Vec<_> =
            harsher.row.actions().iter().map(|action| format!("\"{action}\"")).collect();
        let actions = actions.join(", ");
        let (worse, harsh) = (row.row.severity(), harsher.row.severity());
        let message = format!(
            "{} is worse than {} and gets a milder action: {worse}, not {harsh}",
            grid.compact(cell),
            grid.compact(better)
        );
        problems
            .warning(Rule::MilderWhenWorse, row.actions_at.clone(), message, "the milder one")
            .also(harsher.actions_at.clone(), "the harsher one")
            .remedy(format!(
                "use actions = [{actions}] in {} too, or narrow it so that {} falls to another row",
                row_name(row),
                grid.compact(cell)
            ))
            .remedy("or keep it, and say in its reason why more broken asks for less");
    }
}

/// For each row the first cell that it takes and that is as asked, in the order of rows.
fn first_cells(grid: &Grid<'_>, asked: impl Fn(usize) -> bool) -> BTreeMap<usize, usize> {
    let mut first = BTreeMap::new();
    for cell in 0..grid.len() {
        let Some((index, _)) = grid.row(cell) else { continue };
        if !first.contains_key(&index) && asked(cell) {
            first.insert(index, cell);
        }
    }
    first
}

fn row_name(row: &crate::read::DraftRow) -> String {
    format!("\"{}\"", row.row.name())
}
