//! What a new matrix decides otherwise than the one before.

use std::collections::BTreeMap;

use action_matrix::{Action, Cell, CheckState, Matrix, Reach};

use crate::matrix_pages::actions;
use crate::reading::{count, few};
use crate::table::{Look, Tone};

/// A paragraph: the cells that are decided otherwise, those that newly fence first.
pub(crate) fn change(before: &Matrix, after: &Matrix, look: Look) -> String {
    if before.networks() != after.networks() || before.checks() != after.checks() {
        return "It speaks of other networks or checks than the running one, so the two cannot be compared.\n"
            .to_owned();
    }
    let mut cases: BTreeMap<(bool, String), Vec<String>> = BTreeMap::new();
    let (mut all, mut changed) = (0, 0);
    for cell in cells(after.networks().len(), after.checks().len()) {
        all += 1;
        let (was, is) = (before.decide(&cell).row, after.decide(&cell).row);
        if was.actions() == is.actions() && was.settle() == is.settle() {
            continue;
        }
        changed += 1;
        let harsher = is.fences() && !was.fences();
        let text =
            format!("{} -> {}", told(was.actions(), was.settle()), told(is.actions(), is.settle()));
        cases.entry((!harsher, text)).or_default().push(after.compact(&cell));
    }
    if changed == 0 {
        return "It decides every cell as the running one does.\n".to_owned();
    }
    let mut out = format!(
        "Of {all} cells {changed} {} decided otherwise:\n",
        if changed == 1 { "is" } else { "are" }
    );
    for ((milder, text), cells) in cases {
        let names: Vec<_> = cells.iter().map(String::as_str).collect();
        let mark = if milder { "" } else { "  newly fences" };
        let tone = if milder { Tone::Plain } else { Tone::Bad };
        let text = look.paint(tone, &format!("{text}{mark}"));
        out += &format!("  {text}\n    {}: {}\n", count(cells.len(), "cell"), few(&names, 8));
    }
    out
}

fn told(what: &[Action], settle: std::time::Duration) -> String {
    match settle.is_zero() {
        true => actions(what),
        false => format!("{} after {}", actions(what), humantime::format_duration(settle)),
    }
}

/// Every cell; at most 531,441 of them.
fn cells(networks: usize, checks: usize) -> impl Iterator<Item = Cell> {
    let places = networks + checks;
    (0..3_usize.pow(u32::try_from(places).unwrap_or(0))).map(move |number| {
        let digit = |place: usize| number / 3_usize.pow(u32::try_from(place).unwrap_or(0)) % 3;
        Cell {
            networks: (0..networks).map(|place| Reach::ALL[digit(place)]).collect(),
            checks: (networks..places).map(|place| CheckState::ALL[digit(place)]).collect(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_comes_once() {
        let all: std::collections::BTreeSet<_> = cells(2, 1).collect();
        assert_eq!((cells(2, 1).count(), all.len()), (27, 27));
    }
}
