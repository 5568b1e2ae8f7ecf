//! Commands about health checks, and what the cluster's line says of them.

use std::time::Duration;

use action_matrix::Matrix;
use fencing::checks::{State, is_name};

use super::deeds::{Read, node, usage};
use super::parse::duration;
use crate::fault::Deed;
use crate::world::{Finds, Plan};

const CHECK: &str =
    "check NODE NAME ok|warning|critical|unknown|hangs|flaps=N, or check NODE lost|heard|replayed";

/// What the matrix is called whose first row fences.
pub(crate) const DISK_FENCES: &str = "disk_fences";

/// Reads the words after `check`.
pub(super) fn deeds(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    let usage = || usage(CHECK);
    let number = |name: &str| node(name, plan.nodes);
    match words {
        [name, "lost"] => Ok(vec![Deed::ChecksLost(number(name)?, true)]),
        [name, "heard"] => Ok(vec![Deed::ChecksLost(number(name)?, false)]),
        [name, "replayed"] => Ok(vec![Deed::ChecksReplayed(number(name)?)]),
        [name, check, word] => {
            let known = plan.checks.iter().any(|known| known.name == *check);
            if !known {
                return Err(format!("`{check}` is no check: name it in `cluster checks=...`"));
            }
            let finds = match (*word, word.strip_prefix("flaps=")) {
                ("hangs", _) => Finds::Nothing,
                (_, Some(times)) => Finds::Turns(times.parse().map_err(|_| usage())?),
                (word, None) => Finds::Always(State::named(word).ok_or_else(usage)?),
            };
            Ok(vec![Deed::Check(number(name)?, (*check).to_owned(), finds)])
        }
        _ => Err(usage()),
    }
}

/// A key of the cluster's line that is about checks; `None` when it is another.
pub(super) fn key(plan: &mut Plan, key: &str, value: &str) -> Option<Result<(), String>> {
    match key {
        "checks" => Some(checks(plan, value)),
        "disk_fences" => Some(duration(value).and_then(|settle| disk_fences(plan, settle))),
        _ => None,
    }
}

/// `disk,fans`: every two seconds, twice in a row.
fn checks(plan: &mut Plan, names: &str) -> Result<(), String> {
    for name in names.split(',') {
        if !is_name(name) {
            return Err(format!("`{name}` cannot be the name of a check"));
        }
        plan.checks.push(crate::world::check_plan(name));
    }
    Ok(())
}

/// The default matrix, whose first row fences a node that is well but for its disk check, after this time.
pub(crate) fn disk_fences(plan: &mut Plan, settle: Duration) -> Result<(), String> {
    plan.matrix = fencing_matrix(settle)?;
    Ok(())
}

/// See [`disk_fences`].
fn fencing_matrix(settle: Duration) -> Result<Matrix, String> {
    let settle = format!("settle = \"{}ms\"", settle.as_millis());
    let text = action_matrix::DEFAULT.replacen("settle = \"30s\"", &settle, 1).replacen(
        "actions = [\"notify\"]",
        "actions = [\"fence\", \"evacuate\"]",
        1,
    );
    let loaded = Matrix::parse(DISK_FENCES, &text).map_err(|problems| problems.to_string())?;
    Ok(loaded.matrix)
}
