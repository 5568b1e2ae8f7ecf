//! `hactl net`: who sees whom, network by network.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use api::{Node, Observation, State};
use serde_json::{Value, json};

use crate::nodes::find;
use crate::reading::{few, reach as word, since, span};
use crate::table::{Look, Table, Tone, plain};

const MATRIX: &str = "\
How to read it:
  SWEPT BY  each controller pings every node once a second. One that misses more
            than 30 %, and more than one, has no voice on that network; with fewer
            than two voices nothing is known there
  +         it answers this observer
  -         it has not answered this observer for so long
  .         this observer was not asked, or has not said anything
  ( )       the observer has no voice: its own link is in doubt

Observers are asked about suspects alone, so a node that is well has none.

Examples:
  hactl net matrix
  hactl net matrix --network storage --all
  hactl net matrix node-7 --json

Exit codes: 0 answered, 1 no such node or network, 3 no controller answers.";

const GRAPH: &str = "\
Draw it with Graphviz:
  hactl net graph | dot -Tsvg > net.svg
  hactl net graph --network storage | dot -Tpng > storage.png

Exit codes: 0 answered, 1 no such node or network, 3 no controller answers.";

/// The networks: who sees whom.
///
/// What the leading controller was told, and no new question to anybody.
#[derive(Clone, Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    /// What to show.
    #[command(subcommand)]
    pub what: What,
}

/// How to show it.
#[allow(missing_docs)] // The doc of a variant would hide that of its arguments, which is the help.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    Matrix(MatrixArgs),
    Graph(GraphArgs),
}

/// Who sees whom, as a table for each network.
///
/// Every controller's last sweep, and what its observers say of each node that is not simply up.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MATRIX)]
pub struct MatrixArgs {
    /// Only these nodes.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,

    /// Only this network.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,

    /// Nodes that are up and that nobody is asked about, too.
    #[arg(long)]
    pub all: bool,
}

/// The same as a graph in the language of Graphviz.
///
/// An arrow leads from an observer to whom it was asked about: green where it answers, red where it does not, dashed where
/// the observer has no voice.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = GRAPH)]
pub struct GraphArgs {
    /// Only this network.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
}

/// The page, or why there is none.
pub(crate) fn page(args: &Args, state: &State, look: Look) -> Result<String, String> {
    match &args.what {
        What::Matrix(args) => {
            let mut out = String::new();
            for name in chosen(state, args.network.as_deref(), &args.nodes)? {
                if !out.is_empty() {
                    out.push('\n');
                }
                matrix(&mut out, name, args, state, look);
            }
            Ok(out)
        }
        What::Graph(args) => {
            let mut out = "digraph holdfast {\n  rankdir=LR;\n".to_owned();
            for name in chosen(state, args.network.as_deref(), &[])? {
                graph(&mut out, name, state);
            }
            Ok(out + "}\n")
        }
    }
}

/// The same for programs: each network with its sweeps, and each node with who was asked about it.
pub(crate) fn value(args: &Args, state: &State) -> Result<Value, String> {
    let (network, named) = match &args.what {
        What::Matrix(args) => (args.network.as_deref(), args.nodes.as_slice()),
        What::Graph(args) => (args.network.as_deref(), [].as_slice()),
    };
    let networks = chosen(state, network, named)?.into_iter().map(|name| {
        let sweeps: Vec<_> = state.sweeps.iter().filter(|sweep| sweep.network == name).collect();
        let nodes = on(state, name).filter(|(node, _)| wanted(named, node));
        let nodes: Vec<Value> =
            nodes.map(|(node, reach)| json!({ "node": node.name, "seen": reach })).collect();
        json!({ "network": name, "sweeps": sweeps, "nodes": nodes })
    });
    Ok(Value::Array(networks.collect()))
}

/// The networks that are asked for, in the configured order.
fn chosen<'a>(
    state: &'a State,
    network: Option<&str>,
    named: &[String],
) -> Result<Vec<&'a str>, String> {
    for name in named {
        find(state, name)?;
    }
    let first = state.nodes.iter().find(|node| !node.networks.is_empty());
    let all: Vec<&str> = first
        .map(|node| node.networks.iter().map(|network| network.network.as_str()).collect())
        .unwrap_or_default();
    match network {
        None if all.is_empty() => {
            Err("no node is enrolled yet: no network is looked at".to_owned())
        }
        None => Ok(all),
        Some(name) if all.contains(&name) => {
            Ok(all.into_iter().filter(|known| *known == name).collect())
        }
        Some(name) => Err(format!("no network is called `{name}`; there are: {}", few(&all, 12))),
    }
}

fn wanted(named: &[String], node: &Node) -> bool {
    named.is_empty() || named.contains(&node.name)
}

/// Each node with its reach on this network.
fn on<'a>(
    state: &'a State,
    network: &'a str,
) -> impl Iterator<Item = (&'a Node, &'a api::NetworkReach)> {
    state.nodes.iter().filter_map(move |node| {
        Some((node, node.networks.iter().find(|reach| reach.network == network)?))
    })
}

/// Whether nothing is to be said of a node here: it is up, loses little, and nobody is asked about it.
fn is_quiet(reach: &api::NetworkReach) -> bool {
    let well = reach.reach == "up" && reach.degraded.is_none() && reach.flapping.is_none();
    well && reach.detection.observers.is_empty()
}

/// `controller-1`, the name of an observer that is a controller.
fn controller(id: u64) -> String {
    format!("controller-{id}")
}

fn matrix(out: &mut String, network: &str, args: &MatrixArgs, state: &State, look: Look) {
    let _ = writeln!(out, "{}", look.bold(&format!("Network {network}")));
    sweeps(out, network, state, look);
    let shown: Vec<_> = on(state, network)
        .filter(|(node, reach)| {
            let quiet = is_quiet(reach);
            wanted(&args.nodes, node) && (args.all || !args.nodes.is_empty() || !quiet)
        })
        .collect();
    let quiet = on(state, network).filter(|(node, _)| wanted(&args.nodes, node)).count();
    let quiet = quiet - shown.len();
    if !shown.is_empty() {
        out.push('\n');
        let columns: Vec<String> = state.controllers.iter().map(|c| controller(c.id)).collect();
        let heads: Vec<String> = columns.iter().map(|name| name.to_uppercase()).collect();
        let mut header = vec!["NODE", "REACH", "FOR"];
        header.extend(heads.iter().map(String::as_str));
        header.push("WITNESSES");
        let mut table = Table::new(look, &header).indent(2).flexible(&[header.len() - 1]);
        for (node, reach) in shown {
            let observers = &reach.detection.observers;
            let mut cells = vec![
                plain(&node.name),
                (tone(&word(reach)), word(reach)),
                plain(span(since(reach))),
            ];
            for column in &columns {
                let seen = observers.iter().find(|seen| &seen.observer == column);
                cells.push(seen.map_or_else(|| plain("."), |seen| (answer_tone(seen), cell(seen))));
            }
            let witnesses = observers.iter().filter(|seen| !columns.contains(&seen.observer));
            let each = witnesses.map(|seen| format!("{} {}", seen.observer, cell(seen)));
            let each: Vec<String> = each.collect();
            cells.push(plain(if each.is_empty() { ".".to_owned() } else { each.join(", ") }));
            table.row(cells);
        }
        out.push_str(&table.render());
    }
    if quiet > 0 {
        let verb = if quiet == 1 { "node is" } else { "nodes are" };
        let _ = writeln!(out, "  {quiet} {verb} up, and no observer is asked about them");
    }
}

fn sweeps(out: &mut String, network: &str, state: &State, look: Look) {
    let own: Vec<_> = state.sweeps.iter().filter(|sweep| sweep.network == network).collect();
    if own.is_empty() {
        out.push_str("  No sweep is known; are the controllers older than this hactl?\n");
        return;
    }
    let header = ["SWEPT BY", "ASKED", "MISSED", "VOICE", "AGO"];
    let mut table = Table::new(look, &header).indent(2).right(1).right(2);
    for sweep in own {
        let voice = if sweep.voice { (Tone::Good, "yes") } else { (Tone::Bad, "no") };
        table.row([
            plain(controller(sweep.controller)),
            plain(sweep.asked),
            plain(sweep.missed),
            (voice.0, voice.1.to_owned()),
            plain(span(sweep.age_s)),
        ]);
    }
    out.push_str(&table.render());
}

/// `+`, `- 3.1 s`, in parentheses where it does not count.
fn cell(seen: &Observation) -> String {
    let said = if seen.unanswered_s > 0.0 {
        format!("- {}", span(seen.unanswered_s))
    } else {
        "+".to_owned()
    };
    if seen.sound { said } else { format!("({said})") }
}

fn answer_tone(seen: &Observation) -> Tone {
    match (seen.sound, seen.unanswered_s > 0.0) {
        (false, _) => Tone::Warn,
        (true, true) => Tone::Bad,
        (true, false) => Tone::Good,
    }
}

fn tone(reach: &str) -> Tone {
    match reach {
        "up" => Tone::Good,
        "down" => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// One network: the controllers' sweeps as arrows to a cloud of all nodes, and the observers' arrows to whom they watch.
fn graph(out: &mut String, network: &str, state: &State) {
    let id = |who: &str| quoted(&format!("{network}/{who}"));
    let _ = writeln!(out, "  subgraph {} {{", quoted(&format!("cluster {network}")));
    let _ = writeln!(out, "    label={};", quoted(network));
    let known = on(state, network).count();
    let cloud = quoted(&format!("{network}/all"));
    let _ = writeln!(out, "    {cloud} [label=\"{known} nodes\", shape=ellipse];");
    for sweep in state.sweeps.iter().filter(|sweep| sweep.network == network) {
        let name = controller(sweep.controller);
        let _ = writeln!(out, "    {} [label={}, shape=box];", id(&name), quoted(&name));
        let answered = sweep.asked.saturating_sub(sweep.missed);
        let (colour, style) = if sweep.voice { ("green", "solid") } else { ("red", "dashed") };
        let _ = writeln!(
            out,
            "    {} -> {cloud} [label=\"{answered} of {}\", color={colour}, style={style}];",
            id(&name),
            sweep.asked
        );
    }
    let (mut shown, mut watching) = (BTreeSet::new(), BTreeSet::new());
    for (node, reach) in on(state, network) {
        if is_quiet(reach) {
            continue;
        }
        let label = quoted(&format!("{}\n{}", node.name, word(reach)));
        let _ = writeln!(out, "    {} [label={label}];", id(&node.name));
        shown.insert(node.name.as_str());
        for seen in &reach.detection.observers {
            let colour = if seen.unanswered_s > 0.0 { "red" } else { "green" };
            let style = if seen.sound { "solid" } else { "dashed" };
            let label = quoted(&cell(seen));
            let (from, to) = (id(&seen.observer), id(&node.name));
            let arrow = format!("{from} -> {to}");
            let _ = writeln!(out, "    {arrow} [label={label}, color={colour}, style={style}];");
            watching.insert(seen.observer.as_str());
        }
    }
    // Their boxes stand above, or say what they are themselves.
    let named = |who: &&str| who.starts_with("controller-") || shown.contains(who);
    for observer in watching.into_iter().filter(|who| !named(who)) {
        let _ = writeln!(out, "    {} [label={}];", id(observer), quoted(observer));
    }
    out.push_str("  }\n");
}

/// A string of Graphviz.
fn quoted(text: &str) -> String {
    let mut quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    quoted.insert(0, '"');
    quoted.push('"');
    quoted
}
