//! `hactl why NODE --record FILE...`: what records of controllers tell of one node or incident. No controller is asked: the
//! cores run once more over the records, here.
//!
//! Of a node the leader alone speaks. Where the lead changed on the way, its story stands in several records.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use controller::record::{self, Decision, Replayed};
use fencing::IncidentId;

use crate::outcome::{Exit, Outcome};
use crate::picture::json;
use crate::reading::moment;

/// What was seen this long before an incident began belongs to it.
const BEFORE_MS: u64 = 60_000;

/// Tells the lines about a node, or about the node of an incident while it lasted, of all records in the order of
/// their wall clocks.
pub(crate) fn run(what: &str, files: &[PathBuf], as_json: bool) -> Outcome {
    let mut all = Vec::new();
    let mut replays = Vec::new();
    for file in files {
        let number = replays.len();
        match replay(file, |said| all.push((number, said.clone()))) {
            Ok(replayed) => replays.push(replayed),
            Err(why) => {
                return Outcome::failed(Exit::Usage, format!("{}: {why}", file.display()));
            }
        }
    }
    let Some((node, since_ms, until_ms)) = subject(what, &replays) else {
        let knows = if files.len() == 1 { "the record knows" } else { "the records know" };
        return Outcome::failed(Exit::Failed, format!("{knows} no node and no incident `{what}`"));
    };
    all.retain(|(_, said)| (since_ms..=until_ms).contains(&said.wall_ms) && said.names(&node));
    // By the wall clock of each record's beginning: lines of one record keep their order, whatever that clock did later.
    all.sort_by_key(|(number, said)| {
        Duration::from_millis(replays[*number].head.wall_ms) + said.at
    });
    if as_json {
        let line = |(number, said): &(usize, Decision)| {
            serde_json::json!({
                "controller": replays[*number].head.controller(),
                "at_s": said.at.as_secs_f64(), "wall_ms": said.wall_ms,
                "subject": said.subject, "text": said.text,
            })
        };
        return Outcome::fine(json(&all.iter().map(line).collect::<Vec<_>>()));
    }
    let mut out = String::new();
    for (number, said) in &all {
        // One record has one clock that only rises; several have none in common but the wall's.
        let _ = match &replays[..] {
            [_] => writeln!(out, "{said}"),
            several => {
                let (at, who) = (moment(said.wall_ms), several[*number].head.controller());
                writeln!(out, "{at}  {who}  {:<9} {}", said.subject, said.text)
            }
        };
    }
    if out.is_empty() {
        let hint = "The leader tells the story: give the records of all controllers.";
        let _ = writeln!(out, "Nothing was said of {node}. {hint}");
    }
    out.push('\n');
    replays.iter().for_each(|replayed| {
        let _ = writeln!(out, "{replayed}");
    });
    match replays.iter().all(|replayed| replayed.difference.is_none()) {
        true => Outcome::fine(out),
        false => Outcome { out, ..Outcome::failed(Exit::Failed, "the replay differs") },
    }
}

fn replay(file: &Path, tell: impl FnMut(&Decision)) -> Result<Replayed, String> {
    let open = File::open(file).map_err(|error| error.to_string())?;
    record::replay(BufReader::new(open), tell).map_err(|error| error.to_string())
}

/// The node's name, and the time that is meant, by the record that knows most.
fn subject(what: &str, replays: &[Replayed]) -> Option<(String, u64, u64)> {
    let registries = replays.iter().map(|replayed| replayed.core.registry());
    let registry = registries.max_by_key(|registry| registry.index())?;
    if registry.node_named(what).is_some() {
        return Some((what.to_owned(), 0, u64::MAX));
    }
    let incident = registry.incidents().get(&IncidentId(what.parse().ok()?))?;
    let name = registry.node(incident.node)?.record.name.clone();
    let times = || incident.phases.iter().map(|(_, wall_ms, _)| *wall_ms);
    let until = if incident.state.is_over() { times().max()? } else { u64::MAX };
    Some((name, times().min()?.saturating_sub(BEFORE_MS), until))
}
