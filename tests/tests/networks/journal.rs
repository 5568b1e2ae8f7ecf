//! What the controllers said of nodes, from their journals: with the time of each word, and without a gap between two
//! looks.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use super::cables::NETWORKS;

/// A node on a network.
pub(crate) type Place = (String, String);

/// A word of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) at: SystemTime,
    /// The controller, by its place: only who leads says any of this.
    pub(crate) by: usize,
    pub(crate) node: String,
    pub(crate) what: What,
}

/// What it is about. Networks by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Degraded(String),
    Well(String),
    Flaps(String),
    /// What the node is on each network: a letter for up, `-` for down, `?` for unknown.
    Reach(String),
    /// Its row asks for a fence: it was begun, or a guard has refused it.
    Fence,
}

/// All words of all controllers since then, in the order of time.
pub(crate) fn said_since(since: SystemTime, journals: &[PathBuf]) -> Result<Vec<Said>> {
    let mut said = Vec::new();
    for (by, journal) in journals.iter().enumerate() {
        let text = fs::read_to_string(journal).with_context(|| journal.display().to_string())?;
        said.extend(text.lines().filter_map(|line| read(by, line)).filter(|said| said.at >= since));
    }
    said.sort_by_key(|said| said.at);
    Ok(said)
}

/// `TIME observe   node-7 m-t`, and what else is said of a node.
fn read(by: usize, line: &str) -> Option<Said> {
    let (at, rest) = line.split_once(' ')?;
    let (subject, rest) = rest.split_once(' ')?;
    let (node, text) = rest.trim_start().split_once(' ')?;
    let on = |words: &str| {
        let network = text.strip_prefix(words)?;
        Some(network.split([':', ' ']).next()?.to_owned())
    };
    let what = match subject {
        "observe" => on("degraded on ")
            .map(What::Degraded)
            .or_else(|| on("well again on ").map(What::Well))
            .or_else(|| on("flaps on ").map(What::Flaps))
            .or_else(|| reach(text).map(What::Reach))?,
        "guard" if text.contains("not done (fence") => What::Fence,
        "registry" if text.starts_with("FenceIntent") => What::Fence,
        _ => return None,
    };
    Some(Said { at: humantime::parse_rfc3339(at).ok()?, by, node: node.to_owned(), what })
}

fn reach(text: &str) -> Option<String> {
    let known =
        |(letter, network): (char, &str)| "-?".contains(letter) || network.starts_with(letter);
    let is_reach = text.len() == NETWORKS.len() && text.chars().zip(NETWORKS).all(known);
    is_reach.then(|| text.to_owned())
}

#[test]
fn a_journal_tells_what_a_node_is() {
    let what =
        |text: &str| read(0, &format!("2026-01-01T00:00:00.000Z {text}")).map(|said| said.what);
    let storage = || "storage".to_owned();
    let said = what("observe   node-7 degraded on storage: 8 of the last 20 pings unanswered");
    assert_eq!(said, Some(What::Degraded(storage())));
    assert_eq!(what("observe   node-7 well again on storage"), Some(What::Well(storage())));
    assert_eq!(what("observe   node-7 flaps on storage: judged"), Some(What::Flaps(storage())));
    assert_eq!(what("observe   node-7 m-?"), Some(What::Reach("m-?".to_owned())));
    assert_eq!(what("observe   node-7 suspect on storage"), None);
    assert_eq!(what("observe   network storage is dark"), None);
    assert_eq!(what("guard     node-7 m-t not done (fence, evacuate): noop"), Some(What::Fence));
    assert_eq!(what("registry  node-7 FenceIntent boot=1"), Some(What::Fence));
    assert_eq!(what("verdict   node-7 -st row \"management down\": notify."), None);
}
