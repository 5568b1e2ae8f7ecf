//! `hactl why NODE --record FILE`: what a record of a controller tells of one node or incident. No controller is asked: the
//! core runs once more over the record, here.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use controller::record::{self, Decision, Replayed};
use fencing::IncidentId;

use crate::outcome::{Exit, Outcome};
use crate::picture::json;

/// What was seen this long before an incident began belongs to it.
const BEFORE_MS: u64 = 60_000;

/// Tells the lines about a node, or about the node of an incident while it lasted.
pub(crate) fn run(what: &str, file: &Path, as_json: bool) -> Outcome {
    let failed = |why: String| Outcome::failed(Exit::Usage, format!("{}: {why}", file.display()));
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) => return failed(error.to_string()),
    };
    let mut all = Vec::new();
    let replayed = match record::replay(BufReader::new(open), |said| all.push(said.clone())) {
        Ok(replayed) => replayed,
        Err(error) => return failed(error.to_string()),
    };
    let Some((node, since_ms, until_ms)) = subject(what, &replayed) else {
        return Outcome::failed(
            Exit::Failed,
            format!("the record knows no node and no incident `{what}`"),
        );
    };
    let within = |said: &&Decision| (since_ms..=until_ms).contains(&said.wall_ms);
    let told = all.iter().filter(within).filter(|said| said.names(&node));
    if as_json {
        let line = |said: &Decision| {
            serde_json::json!({
                "at_s": said.at.as_secs_f64(), "wall_ms": said.wall_ms,
                "subject": said.subject, "text": said.text,
            })
        };
        return Outcome::fine(json(&told.map(line).collect::<Vec<_>>()));
    }
    let mut out = told.fold(String::new(), |mut out, said| {
        let _ = writeln!(out, "{said}");
        out
    });
    if out.is_empty() {
        let _ = writeln!(
            out,
            "Nothing was said of {node}. The leader tells the story: take its record."
        );
    }
    let _ = writeln!(out, "\n{replayed}");
    match replayed.difference {
        None => Outcome::fine(out),
        Some(_) => Outcome { out, ..Outcome::failed(Exit::Failed, "the replay differs") },
    }
}

/// The node's name, and the time that is meant.
fn subject(what: &str, replayed: &Replayed) -> Option<(String, u64, u64)> {
    let registry = replayed.core.registry();
    if registry.node_named(what).is_some() {
        return Some((what.to_owned(), 0, u64::MAX));
    }
    let incident = registry.incidents().get(&IncidentId(what.parse().ok()?))?;
    let name = registry.node(incident.node)?.record.name.clone();
    let times = || incident.phases.iter().map(|(_, wall_ms, _)| *wall_ms);
    let until = if incident.state.is_over() { times().max()? } else { u64::MAX };
    Some((name, times().min()?.saturating_sub(BEFORE_MS), until))
}
