//! `hactl check`: would every node be recovered if it died now?

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::{Doubt, Node, State, Weight};
use serde_json::Value;

use crate::nodes;
use crate::outcome::{Exit, Outcome};
use crate::picture::Picture;
use crate::reading::{count, few};
use crate::table::{Look, Tone};

const MORE: &str = "\
Examples:
  hactl check
  hactl check node-7
  hactl check --json | jq -r '.[] | select(.doubts[].weight == \"not_recovered\") | .name'

Exit codes: 0 every node would be recovered, 1 no such node, 3 no controller answers, 4 a node would not be.";

/// Which nodes would not be recovered if they died now, and why.
///
/// Says of each node what would keep it from being fenced and its VMs from being restarted elsewhere: a guard that refuses,
/// nothing that could prove that it is off, a network on which nobody can judge it; and what would make it slower or less
/// sure: a BMC that fails its periodic read, a lease that is no evidence. Each comes with what to do. Run it from your
/// monitoring: high availability that is off without a word is worse than none. It changes nothing.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// Only these nodes.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,
}

/// The nodes that the words ask for.
pub(crate) fn chosen<'a>(args: &Args, state: &'a State) -> Result<Vec<&'a Node>, String> {
    for name in &args.nodes {
        nodes::find(state, name)?;
    }
    Ok(state.nodes.iter().filter(|node| keeps(args, &node.name)).collect())
}

fn keeps(args: &Args, name: &str) -> bool {
    args.nodes.is_empty() || args.nodes.iter().any(|wanted| wanted == name)
}

pub(crate) fn json(args: &Args, picture: &Picture) -> Value {
    picture.list("nodes", |item| {
        let doubtful = item["doubts"].as_array().is_some_and(|doubts| !doubts.is_empty());
        doubtful && keeps(args, item["name"].as_str().unwrap_or_default())
    })
}

pub(crate) fn page(nodes: &[&Node], state: &State, look: Look) -> Outcome {
    let mut out = String::new();
    let open = |node: &&&Node| state.incidents.iter().any(|i| i.open && i.node == node.name);
    let (busy, idle): (Vec<&Node>, Vec<&Node>) =
        nodes.iter().copied().partition(|node| open(&node));
    let has = |node: &Node, weight| node.doubts.iter().any(|doubt| doubt.weight == weight);
    let lost = idle.iter().filter(|node| has(node, Weight::NotRecovered)).count();
    let risky = idle
        .iter()
        .filter(|node| has(node, Weight::AtRisk) && !has(node, Weight::NotRecovered))
        .count();
    let sure = idle.len() - lost - risky;
    let part = |out: &mut String, tone, number: usize, what: &str| {
        if number > 0 {
            let _ = writeln!(out, "{} {what}", look.paint(tone, &format!("{number:>4}")));
        }
    };
    let _ = writeln!(out, "If it died now, of {}:", count(nodes.len(), "node"));
    part(&mut out, Tone::Good, sure, "would be recovered");
    part(
        &mut out,
        Tone::Warn,
        risky,
        "would be recovered, but not from every death, or more slowly",
    );
    part(&mut out, Tone::Bad, lost, "would NOT be recovered");
    part(&mut out, Tone::Warn, busy.len(), "have an open incident: hactl incidents");
    for (doubt, names) in by_doubt(&idle) {
        let (tone, word) = match doubt.weight {
            Weight::NotRecovered => (Tone::Bad, "NOT recovered"),
            Weight::AtRisk => (Tone::Warn, "at risk"),
            Weight::Note => (Tone::Plain, "note"),
        };
        let _ = writeln!(out, "\n{}: {}", look.paint(tone, word), look.bold(&few(&names, 12)));
        let _ = writeln!(out, "  {}", look.wrap(2, &doubt.what));
        let _ = writeln!(out, "  -> {}", look.wrap(5, &doubt.remedy));
    }
    Outcome::fine(out).exit(if lost > 0 { Exit::Attention } else { Exit::Fine })
}

/// The heaviest first; nodes with the same doubt together.
fn by_doubt<'a>(nodes: &[&'a Node]) -> Vec<(&'a Doubt, Vec<&'a str>)> {
    let mut sorted: BTreeMap<(Weight, &str, &str), (&Doubt, Vec<&str>)> = BTreeMap::new();
    for node in nodes {
        for doubt in &node.doubts {
            let key = (doubt.weight, doubt.what.as_str(), doubt.remedy.as_str());
            sorted.entry(key).or_insert((doubt, Vec::new())).1.push(&node.name);
        }
    }
    sorted.into_values().collect()
}
