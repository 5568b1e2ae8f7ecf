//! `hactl status`: is all well, and if not, what needs a person.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::{NodePhase, State};

use crate::incidents;
use crate::outcome::{Exit, Outcome};
use crate::reading::{count, few, moment_s};
use crate::table::{Look, Table, Tone, plain};

const MORE: &str = "\
Examples:
  hactl status
  hactl status --exit-code >/dev/null || echo 'look at it'
  hactl status --json | jq '.nodes[] | select(.refusals != []) | .name'

Exit codes: 0 answered; with --exit-code 4 if something needs attention; 3 no controller answers.";

/// Whether all is well, and if not, what needs a person.
///
/// Shows who leads, the mode (armed, disarmed, noop), the nodes by what is done with them, and then everything that
/// needs a person, each with its remedy. It changes nothing. It does not measure anything itself: it shows what the
/// leading controller knows.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// End with 4 if something needs attention, for scripts and monitoring.
    #[arg(long)]
    pub exit_code: bool,
}

/// One thing that needs a person.
struct Matter {
    tone: Tone,
    what: String,
    remedy: String,
}

pub(crate) fn page(args: &Args, state: &State, look: Look) -> Outcome {
    let matters = matters(state);
    let mut out = String::new();
    head(&mut out, state, look);
    out.push('\n');
    controllers(&mut out, state, look);
    out.push('\n');
    if matters.is_empty() {
        let _ = writeln!(out, "{}", look.paint(Tone::Good, "All is well."));
    } else {
        let verb = if matters.len() == 1 { "needs" } else { "need" };
        let title = format!("{} {verb} attention", count(matters.len(), "thing"));
        let _ = writeln!(out, "{}", look.bold(&title));
    }
    for (i, matter) in matters.iter().enumerate() {
        let number = look.paint(matter.tone, &format!("{:>3}.", i + 1));
        let _ = writeln!(out, "{number} {}", look.wrap(5, &matter.what));
        if !matter.remedy.is_empty() {
            let _ = writeln!(out, "     -> {}", look.wrap(8, &matter.remedy));
        }
    }
    let exit = if args.exit_code && !matters.is_empty() { Exit::Attention } else { Exit::Fine };
    Outcome::fine(out).exit(exit)
}

fn head(out: &mut String, state: &State, look: Look) {
    let _ = writeln!(out, "cluster    {}", state.cluster);
    let leader = match state.leader {
        Some(id) => format!("controller {id}, term {}, committed {}", state.term, state.committed),
        None => look.paint(Tone::Bad, "none: nothing can be decided"),
    };
    let _ = writeln!(out, "leader     {leader}");
    let mode = match (&state.disarmed, state.noop) {
        (Some(reason), _) => {
            let left = state.disarmed_for_min.map(|min| format!(" ({min} min left)"));
            look.paint(Tone::Warn, &format!("disarmed{}: {reason}", left.unwrap_or_default()))
        }
        (None, true) => look.paint(Tone::Warn, "noop: decides and journals, touches nothing"),
        (None, false) => look.paint(Tone::Good, "armed"),
    };
    let _ = writeln!(out, "mode       {mode}");
    let _ = writeln!(out, "nodes      {}", phases(state));
    let open = state.incidents.iter().filter(|incident| incident.open).count();
    let blocked = state.incidents.iter().filter(|incident| incident.blocked.is_some()).count();
    let blocked = if blocked == 0 { String::new() } else { format!(", {blocked} blocked") };
    let _ = writeln!(out, "incidents  {open} open{blocked}");
    let matrix = match state.matrix.index {
        0 => "the one of the configuration".to_owned(),
        index => format!("applied by {} at index {index}", state.matrix.by),
    };
    let _ = writeln!(out, "matrix     {matrix}");
}

fn phases(state: &State) -> String {
    let all = [
        NodePhase::Protected,
        NodePhase::Incident,
        NodePhase::Out,
        NodePhase::Returning,
        NodePhase::Exempt,
        NodePhase::NeverSeen,
    ];
    let parts = all.into_iter().filter_map(|phase| {
        let number = state.nodes.iter().filter(|node| node.phase == phase).count();
        (number > 0).then(|| format!("{number} {}", word(phase).0))
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        format!("{}: {}", state.nodes.len(), parts.join(", "))
    }
}

/// The word for a phase, and how worrying it is.
pub(crate) fn word(phase: NodePhase) -> (&'static str, Tone) {
    match phase {
        NodePhase::NeverSeen => ("never seen", Tone::Warn),
        NodePhase::Protected => ("protected", Tone::Good),
        NodePhase::Incident => ("incident", Tone::Bad),
        NodePhase::Out => ("out", Tone::Bad),
        NodePhase::Returning => ("returning", Tone::Warn),
        NodePhase::Exempt => ("exempt", Tone::Warn),
    }
}

fn controllers(out: &mut String, state: &State, look: Look) {
    let mut table = Table::new(look, &["CONTROLLER", "ROLE", "LOG", "URL"]);
    for controller in &state.controllers {
        let tone = if lost(&controller.role) { Tone::Bad } else { Tone::Plain };
        let log = match controller.matched {
            Some(matched) if matched >= state.committed => "up to date".to_owned(),
            Some(matched) => format!("{} behind", state.committed - matched),
            None => "-".to_owned(),
        };
        let role = (tone, controller.role.clone());
        table.row([plain(controller.id), role, plain(log), plain(&controller.url)]);
    }
    out.push_str(&table.render());
}

fn lost(role: &str) -> bool {
    !matches!(role, "leader" | "follower")
}

fn matters(state: &State) -> Vec<Matter> {
    let mut matters = Vec::new();
    let mut add = |tone, what: String, remedy: &str| {
        matters.push(Matter { tone, what, remedy: remedy.to_owned() });
    };
    for incident in state.incidents.iter().filter(|incident| incident.open) {
        if let Some(why) = &incident.blocked {
            let what =
                format!("incident {}, {}: the fence is blocked: {why}", incident.id, incident.node);
            let remedy = format!(
                "hactl incidents {}; if you know that it is off: hactl fenced confirm {}",
                incident.id, incident.node
            );
            add(Tone::Bad, what, &remedy);
        }
    }
    for incident in state.incidents.iter().filter(|incident| incident.open) {
        if let Some(why) = &incident.hold {
            add(Tone::Bad, format!("incident {}, {why}", incident.id), "");
        }
    }
    let under_way = |state: &str| !matches!(state, "recovered" | "released");
    for incident in state.incidents.iter().filter(|incident| incident.open) {
        if incident.blocked.is_none() && under_way(&incident.state) {
            let what = format!("incident {}, {}: {}", incident.id, incident.node, incident.state);
            add(
                Tone::Warn,
                what,
                &format!("it goes on by itself; follow it with: hactl incidents {}", incident.id),
            );
        }
    }
    for incident in &state.incidents {
        let left = incidents::left_behind(incident);
        if left > 0 {
            let what = format!(
                "incident {}, {}: {} left behind",
                incident.id,
                incident.node,
                count(left, "VM")
            );
            add(
                Tone::Bad,
                what,
                &format!("hactl incidents {} says why each, and what to do", incident.id),
            );
        }
    }
    if state.leader.is_none() {
        add(
            Tone::Bad,
            "no controller leads".to_owned(),
            "start the missing controllers: a majority must run and reach each other",
        );
    }
    for controller in state.controllers.iter().filter(|controller| lost(&controller.role)) {
        let what = format!("controller {} is not heard", controller.id);
        add(
            Tone::Bad,
            what,
            "start ha-controller there, or mend its network; a majority of controllers must stay",
        );
    }
    for hold in &state.holds {
        add(Tone::Warn, format!("no fence may begin ({}): {}", hold.guard, hold.why), "");
    }
    if let Some(reason) = &state.disarmed {
        add(Tone::Warn, format!("disarmed: {reason}"), "when the work is over: hactl arm");
    }
    if state.noop {
        add(
            Tone::Warn,
            "noop is on: a node that fails stays as it is".to_owned(),
            "hactl noop off",
        );
    }
    for host in &state.reserved {
        let what = format!("reserved host {host} is in use");
        add(Tone::Warn, what, "it is given back when no server is left on it");
    }
    for sentence in &state.stale {
        add(Tone::Warn, format!("stale: {sentence}"), "");
    }
    for fenced in &state.fenced {
        if let Some(evidence) = &fenced.evidence {
            let what =
                format!("{} is out since {} ({evidence})", fenced.node, moment_s(fenced.since_ms));
            add(Tone::Warn, what, &format!("its release waits for: {}", fenced.release));
        }
    }
    refused_nodes(state, &mut add);
    matters
}

/// One matter for each refusal, not for each node: a hold on a rack would fill the screen.
fn refused_nodes(state: &State, add: &mut impl FnMut(Tone, String, &str)) {
    let mut nodes_by_refusal: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for node in &state.nodes {
        // Those were ordered by a person, and are counted above.
        let ordered = |guard: &str| matches!(guard, "maintenance" | "disarmed" | "noop");
        let held = |guard: &str| state.holds.iter().any(|hold| hold.guard == guard);
        let out = matches!(node.phase, NodePhase::Out | NodePhase::Returning);
        for refusal in &node.refusals {
            let known = ordered(&refusal.guard) || held(&refusal.guard);
            if !(known || out && refusal.guard == "not_protected") {
                let key = (refusal.guard.as_str(), refusal.why.as_str());
                nodes_by_refusal.entry(key).or_default().push(&node.name);
            }
        }
    }
    for ((guard, why), nodes) in nodes_by_refusal {
        let what = format!("would not be recovered now ({guard}): {}: {why}", few(&nodes, 6));
        let remedy = match nodes.as_slice() {
            [one] => format!("hactl why {one}"),
            _ => String::new(),
        };
        add(Tone::Warn, what, &remedy);
    }
}
