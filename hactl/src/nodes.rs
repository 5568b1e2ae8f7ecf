//! `hactl nodes`: every node on one line.

use std::fmt::Write as _;

use api::{Node, State};
use serde_json::Value;

use crate::picture::Picture;
use crate::reading::{few, reach, since, span};
use crate::status::word;
use crate::table::{Look, Table, Tone, plain};

const MORE: &str = "\
Columns:
  NETWORKS  one letter per network in configured order; `-` down, `?` unknown:
            `m-t` has lost storage; then the health checks that failed. With
            --networks a column for each, which says since when: up, suspect
            (asked about, counts as up), degraded (the leader loses that share
            of its last 20 pings; counts as up), down, unknown; flaps behind it:
            judged down three times in ten minutes
  ARMED     its sentinel feeds a watchdog only with a lease, so that its
            silence can become evidence (E2)
  RENEWED   how long ago its sentinel was heard last
  REFUSED   the guards that would refuse to fence it: `hactl help guards`

Examples:
  hactl nodes
  hactl nodes node-1 node-2 --wide
  hactl nodes --networks
  hactl nodes --refused
  hactl nodes --json | jq -r '.[] | select(.armed | not) | .name'

Exit codes: 0 answered, 1 no such node, 3 no controller answers.";

/// Every node on one line.
///
/// What each node's networks, sentinel, watchdog and bmc say, and which guards would refuse to fence it now. For the
/// whole story of one node use `hactl why NODE`. It changes nothing. For VMs use `hactl vms`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// Only these nodes.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,

    /// Only nodes that would not be recovered now.
    #[arg(long)]
    pub refused: bool,

    /// Failure domain, Nova's name for it, boot, bmc and fences too.
    #[arg(long)]
    pub wide: bool,

    /// What each network of each node is, and for how long.
    #[arg(long, conflicts_with = "wide")]
    pub networks: bool,

    /// What each health check of each node says, and for how long.
    #[arg(long, conflicts_with_all = ["wide", "networks"])]
    pub checks: bool,
}

/// The node of that name.
pub(crate) fn find<'a>(state: &'a State, name: &str) -> Result<&'a Node, String> {
    state.nodes.iter().find(|node| node.name == name).ok_or_else(|| {
        let known: Vec<_> = state.nodes.iter().map(|node| node.name.as_str()).collect();
        format!("no node is called `{name}`; there are: {}", few(&known, 12))
    })
}

/// The nodes that the words ask for, in the order of the controllers.
pub(crate) fn chosen<'a>(args: &Args, state: &'a State) -> Result<Vec<&'a Node>, String> {
    for name in &args.nodes {
        find(state, name)?;
    }
    Ok(state
        .nodes
        .iter()
        .filter(|node| keeps(args, &node.name, !node.refusals.is_empty()))
        .collect())
}

fn keeps(args: &Args, name: &str, refused: bool) -> bool {
    (args.nodes.is_empty() || args.nodes.iter().any(|wanted| wanted == name))
        && (!args.refused || refused)
}

pub(crate) fn json(args: &Args, picture: &Picture) -> Value {
    picture.list("nodes", |item| {
        let refused = item["refusals"].as_array().is_some_and(|refusals| !refusals.is_empty());
        keeps(args, item["name"].as_str().unwrap_or_default(), refused)
    })
}

pub(crate) fn page(args: &Args, nodes: &[&Node], state: &State, look: Look) -> String {
    if nodes.is_empty() {
        let why = if args.refused { "No node would be refused." } else { "No node is enrolled." };
        return format!("{why}\n");
    }
    if args.networks {
        return by_network(nodes, look);
    }
    if args.checks {
        return by_check(nodes, look);
    }
    let mut out = if args.wide { wide(nodes, look) } else { narrow(nodes, look) };
    if let Some(names) = network_names(state) {
        let _ = writeln!(out, "\nNETWORKS: {names}; `-` down, `?` unknown");
    }
    out
}

fn by_network(nodes: &[&Node], look: Look) -> String {
    let mut names: Vec<&str> = Vec::new();
    for network in nodes.iter().flat_map(|node| &node.networks) {
        if !names.contains(&network.network.as_str()) {
            names.push(&network.network);
        }
    }
    let heads: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
    let mut header = vec!["NODE", "PHASE"];
    header.extend(heads.iter().map(String::as_str));
    let mut table = Table::new(look, &header);
    for node in nodes {
        let mut cells = vec![plain(&node.name), phase(node)];
        for name in &names {
            let seen = node.networks.iter().find(|network| &network.network == name);
            cells.push(seen.map_or_else(
                || plain("-"),
                |seen| {
                    let word = reach(seen);
                    (tone(&word), format!("{word} {}", span(since(seen))))
                },
            ));
        }
        table.row(cells);
    }
    table.render()
}

fn by_check(nodes: &[&Node], look: Look) -> String {
    let header = ["NODE", "CHECK", "STATE", "FOR", "BEFORE", "CODE", "HEARD", "MESSAGE"];
    let mut table = Table::new(look, &header).flexible(&[7]);
    let mut none = true;
    for (node, check) in nodes.iter().flat_map(|node| node.checks.iter().map(move |c| (node, c))) {
        none = false;
        table.row([
            plain(&node.name),
            plain(&check.name),
            (check_tone(&check.state), check.state.clone()),
            plain(span(check.for_s)),
            plain(&check.before),
            plain(check.code),
            plain(format!("{} ago", span(check.heard_s))),
            plain(&check.message),
        ]);
    }
    if none {
        return "No node reports a health check: [[check]] in its node.toml.\n".to_owned();
    }
    table.render()
}

/// How loud a check's state is.
pub(crate) fn check_tone(state: &str) -> Tone {
    match state {
        "ok" => Tone::Plain,
        "critical" => Tone::Bad,
        _ => Tone::Warn,
    }
}

fn tone(reach: &str) -> Tone {
    match reach {
        "up" => Tone::Plain,
        "down" => Tone::Bad,
        _ => Tone::Warn,
    }
}

fn narrow(nodes: &[&Node], look: Look) -> String {
    let header = ["NODE", "PHASE", "NETWORKS", "ARMED", "RENEWED", "WATCHDOG", "REFUSED"];
    let mut table = Table::new(look, &header).flexible(&[5, 6]);
    for node in nodes {
        table.row([
            plain(&node.name),
            phase(node),
            networks(node),
            armed(node),
            renewed(node),
            plain(&node.watchdog),
            (Tone::Warn, refused(node)),
        ]);
    }
    table.render()
}

fn wide(nodes: &[&Node], look: Look) -> String {
    let header = [
        "NODE", "PHASE", "NETWORKS", "ARMED", "RENEWED", "WATCHDOG", "REFUSED", "DOMAIN",
        "IN NOVA", "UP FOR", "BOOT", "FENCES", "BMC",
    ];
    let mut table = Table::new(look, &header).flexible(&[5, 6, 12]);
    for node in nodes {
        let (uptime, boot) = match &node.boot {
            Some(boot) => (span(boot.uptime_s), boot.id.to_string().chars().take(8).collect()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        table.row([
            plain(&node.name),
            phase(node),
            networks(node),
            armed(node),
            renewed(node),
            plain(&node.watchdog),
            (Tone::Warn, refused(node)),
            plain(&node.domain),
            plain(&node.host),
            plain(uptime),
            plain(boot),
            plain(node.fences),
            plain(&node.bmc),
        ]);
    }
    table.render()
}

fn phase(node: &Node) -> (Tone, String) {
    let (text, tone) = word(node.phase);
    (tone, text.to_owned())
}

fn networks(node: &Node) -> (Tone, String) {
    let any = |wanted: &str| node.networks.iter().any(|network| network.reach == wanted);
    let tone = if any("down") {
        Tone::Bad
    } else if any("suspect")
        || any("unknown")
        || node.networks.iter().any(|on| on.degraded.is_some() || on.flapping.is_some())
    {
        Tone::Warn
    } else {
        Tone::Plain
    };
    (tone, node.compact.clone())
}

fn armed(node: &Node) -> (Tone, String) {
    if node.armed { plain("yes") } else { (Tone::Warn, "no".to_owned()) }
}

fn renewed(node: &Node) -> (Tone, String) {
    match node.renewed_s {
        Some(seconds) if seconds < 10.0 => plain(format!("{} ago", span(seconds))),
        Some(seconds) => (Tone::Warn, format!("{} ago", span(seconds))),
        None => (Tone::Warn, "never".to_owned()),
    }
}

fn refused(node: &Node) -> String {
    if node.refusals.is_empty() {
        return "-".to_owned();
    }
    node.refusals.iter().map(|refusal| refusal.guard.as_str()).collect::<Vec<_>>().join(", ")
}

/// `management, storage, tenant`, in the order of the compact letters.
fn network_names(state: &State) -> Option<String> {
    let networks = &state.nodes.iter().find(|node| !node.networks.is_empty())?.networks;
    Some(networks.iter().map(|network| network.network.as_str()).collect::<Vec<_>>().join(", "))
}
