//! `hactl dump`: what should be and what is, side by side.

use api::{Incident, Node, NodePhase, State};

use crate::status::word;
use crate::table::{Look, Table, Tone, plain};

const MORE: &str = "\
Examples:
  hactl dump
  hactl dump --raw | jq '.nodes[] | select(.armed == false).name'

Exit codes: 0 answered, 3 no controller answers.";

/// What should be and what is observed, of every node and of every VM that is being moved.
///
/// For those who look for a fault in Holdfast itself; `hactl status` is for every day. It changes nothing.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// Everything that the leader says, as JSON with a line for each value.
    #[arg(long)]
    pub raw: bool,
}

pub(crate) fn page(state: &State, look: Look) -> String {
    let mut out = freshness(state, look);
    let mut nodes = Table::new(look, &["NODE", "SHOULD", "IS", "RENEWED", "WATCHDOG", "BOOT"]);
    for node in &state.nodes {
        nodes.row([
            plain(&node.name),
            plain(should(node)),
            (tone(node), is(node)),
            plain(node.renewed_s.map_or_else(|| "never".to_owned(), |s| format!("{s:.1} s ago"))),
            plain(&node.watchdog),
            plain(node.boot.as_ref().map_or_else(|| "-".to_owned(), |boot| boot.id.to_string())),
        ]);
    }
    out.push_str(&nodes.render());
    let moving: Vec<&Incident> = state
        .incidents
        .iter()
        .filter(|incident| incident.open && !incident.vms.is_empty())
        .collect();
    if moving.is_empty() {
        return out;
    }
    out.push('\n');
    let mut vms = Table::new(look, &["INCIDENT", "VM", "SHOULD", "IS", "WHERE", "RECORD"]);
    for incident in moving {
        for vm in &incident.vms {
            let wish = if vm.policy.is_empty() { "evacuate" } else { &vm.policy };
            let place = vm.destination.as_deref().unwrap_or(&incident.host);
            let record = vm.migration.map_or_else(|| "-".to_owned(), |id| id.to_string());
            let row = [incident.id.to_string(), vm.name.clone(), wish.to_owned(), vm.state.clone()];
            let [id, name, wish, state] = row.map(plain);
            vms.row([id, name, wish, state, plain(place), plain(record)]);
        }
    }
    out.push_str(&vms.render());
    out
}

fn freshness(state: &State, look: Look) -> String {
    if state.stale.is_empty() {
        return "Everything observed is fresh.\n\n".to_owned();
    }
    let lines =
        state.stale.iter().map(|what| format!("{} {what}\n", look.paint(Tone::Bad, "stale:")));
    format!("{}\n", lines.collect::<String>())
}

fn should(node: &Node) -> String {
    let ends = node.exempt_for_min.map(|min| format!(", {min} min left")).unwrap_or_default();
    match node.phase {
        NodePhase::Protected | NodePhase::Incident => "run".to_owned(),
        NodePhase::Out => "be off".to_owned(),
        NodePhase::Returning => "come back".to_owned(),
        NodePhase::Exempt => format!("be left alone{ends}"),
        NodePhase::NeverSeen => "report".to_owned(),
    }
}

fn is(node: &Node) -> String {
    let armed = if node.armed { "armed" } else { "not armed" };
    format!("{} {}, {armed}", node.compact, word(node.phase).0)
}

fn tone(node: &Node) -> Tone {
    word(node.phase).1
}
