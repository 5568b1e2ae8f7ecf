//! How a matrix and its problems are shown.

use action_matrix::{Loaded, Matrix, Problem, Severity};
use serde_json::{Value, json};

use crate::reading::count;
use crate::table::{Look, Table, plain};

/// The warnings, and a last line that says what was proved.
pub(crate) fn sound(name: &str, loaded: &Loaded, look: Look) -> String {
    let mut out = String::new();
    for warning in &loaded.warnings {
        out += &warning.render(look.colour);
        out += "\n\n";
    }
    let matrix = &loaded.matrix;
    let cells =
        3_usize.pow(u32::try_from(matrix.networks().len() + matrix.checks().len()).unwrap_or(0));
    out += &format!(
        "{name}: ok: {} over {}{}; all {cells} cells are answered",
        count(matrix.rows().len(), "row"),
        count(matrix.networks().len(), "network"),
        match matrix.checks().len() {
            0 => String::new(),
            checks => format!(" and {}", count(checks, "check")),
        },
    );
    if !loaded.warnings.is_empty() {
        out += &format!("; {}", count(loaded.warnings.len(), "warning"));
    }
    out.push('\n');
    out
}

/// What is wrong with a file, for programs.
pub(crate) fn as_value<'a>(
    name: &str,
    ok: bool,
    problems: impl Iterator<Item = &'a Problem>,
) -> Value {
    let problems: Vec<_> = problems
        .map(|problem| {
            let severity = match problem.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            json!({
                "severity": severity,
                "rule": problem.rule().slug(),
                "line": problem.line(),
                "column": problem.column(),
                "message": problem.message(),
                "remedies": problem.remedies(),
            })
        })
        .collect();
    json!({ "file": name, "ok": ok, "problems": problems })
}

/// The rows as a table.
pub(crate) fn row_table(matrix: &Matrix, look: Look) -> String {
    let names = matrix.networks().iter().chain(matrix.checks()).map(|name| name.to_uppercase());
    let header = ["#", "ROW"].into_iter().map(str::to_owned).chain(names);
    let header: Vec<_> = header.chain(["SETTLE", "ACTIONS", "REASON"].map(str::to_owned)).collect();
    let header: Vec<_> = header.iter().map(String::as_str).collect();
    let reason = header.len() - 1;
    let mut table = Table::new(look, &header).flexible(&[reason]);
    for (i, row) in matrix.rows().iter().enumerate() {
        let networks = row.networks().iter().map(|reach| reach.map_or("any", |reach| reach.word()));
        let checks = row.checks().iter().map(|state| state.map_or("any", |state| state.word()));
        let mut cells = vec![plain(i + 1), plain(row.name())];
        cells.extend(networks.chain(checks).map(plain));
        cells.push(plain(humantime::format_duration(row.settle())));
        cells.push(plain(actions(row.actions())));
        cells.push(plain(row.reason()));
        table.row(cells);
    }
    table.render()
}

/// `fence, evacuate`.
pub(crate) fn actions(actions: &[action_matrix::Action]) -> String {
    actions.iter().map(|action| action.word()).collect::<Vec<_>>().join(", ")
}

/// The rows, for programs.
pub(crate) fn rows(matrix: &Matrix) -> Value {
    let rows: Vec<_> = matrix
        .rows()
        .iter()
        .map(|row| {
            json!({
                "name": row.name(), "networks": row.networks(), "checks": row.checks(),
                "settle_s": row.settle().as_secs_f64(), "actions": row.actions(), "reason": row.reason(),
            })
        })
        .collect();
    json!({ "networks": matrix.networks(), "checks": matrix.checks(), "rows": rows })
}
