//! The closing table.

use super::judge::{Closing, Phases};
use crate::table::{Look, Table, Tone, plain};

/// The page that a lab ends with.
pub(super) fn page(closing: &Closing, look: Look) -> String {
    let mut out = String::new();
    let mut table = Table::new(look, &["PHASE", "TOOK", "SINCE THE FAULT"]).right(1).right(2);
    let mut last = 0.0;
    for (name, at) in rows(closing) {
        let Some(at) = at else {
            table.row([plain(name), plain("-"), plain("-")]);
            continue;
        };
        table.row([plain(name), plain(format!("{:.2} s", at - last)), plain(format!("{at:.2} s"))]);
        last = at;
    }
    out += &table.render();
    if let Some(evidence) = &closing.evidence {
        out += &format!("\nevidence  {evidence}\n");
    }
    if let Some(incident) = &closing.incident {
        out += &format!("incident  {incident}\n");
    }
    if !closing.vms.is_empty() {
        out.push('\n');
        let mut table = Table::new(look, &["VM", "FROM", "NOW ON", "RAN AGAIN AFTER"]).right(3);
        for vm in &closing.vms {
            let to = vm.to.clone();
            let to = to.map_or((Tone::Bad, "nowhere".to_owned()), |to| (Tone::Good, to));
            let back = vm.back.map_or("-".to_owned(), |back| format!("{back:.2} s"));
            table.row([plain(&vm.name), plain(&vm.from), to, plain(back)]);
        }
        out += &table.render();
    }
    out.push('\n');
    if closing.ok {
        out += &look.paint(Tone::Good, "As it must be: every VM runs, in one place.");
        out.push('\n');
    }
    for problem in &closing.problems {
        out += &format!("{} {problem}\n", look.paint(Tone::Bad, "WRONG:"));
    }
    out
}

fn rows(closing: &Closing) -> Vec<(&'static str, Option<f64>)> {
    let Phases { detection, verdict, fence, force_down, first_move, evacuate } =
        closing.since_fault;
    let seen = [("detection", detection), ("verdict", verdict)];
    let fences = [("fence", fence), ("force-down", force_down)];
    let moves = [("first evacuate", first_move), ("evacuate", evacuate)];
    match closing.fail.as_str() {
        "management" | "agent" | "none" => seen.to_vec(),
        "tenant" => vec![
            seen[0],
            seen[1],
            ("disable", force_down),
            ("first migrate", first_move),
            ("migrate", evacuate),
        ],
        _ => seen.into_iter().chain(fences).chain(moves).collect(),
    }
}
