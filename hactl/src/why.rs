//! `hactl why NODE`: what is known of one node, what it rests on, and what would happen now.

use std::fmt::Write as _;
use std::path::PathBuf;

use action_matrix::{Cell, CheckState, Decision, Matrix, Reach};
use api::{Incident, Node, NodePhase, Observation, State};

use crate::incidents::timeline;
use crate::nodes::check_tone;
use crate::reading::{moment_s, span, stop};
use crate::table::{Look, Tone};

const MORE: &str = "\
Examples:
  hactl why node-7
  hactl why node-7 --json | jq '.networks[].detection'
  hactl why 12 --record controller-*.record     the records of all, wherever the lead went

Exit codes: 0 answered, 1 no such node or a record that replays otherwise, 2 no record, 3 no controller answers.";

/// One node: what is known, what it rests on, and what would happen now.
///
/// For each network what the observers see, the row of the running matrix that matches this, the guards that would
/// refuse, and the open incident with its phases. It changes nothing and asks nobody but the leading controller.
///
/// An observer is a controller or a witness that pings the node on that network itself. One that is not sound has trouble
/// with its own link and has no voice. A network that is `unknown` never leads to a fence.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// The node. With --record also the number of an incident.
    #[arg(value_name = "NODE")]
    pub node: String,

    /// Ask no controller: replay these records, and tell what their journals said of the node.
    ///
    /// The leader alone speaks of a node. With the records of all controllers the story is whole wherever the lead went.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub record: Vec<PathBuf>,
}

pub(crate) fn page(node: &Node, state: &State, look: Look) -> String {
    let mut out = format!("{}\n", look.wrap(0, &first_sentence(node, state)));
    networks(&mut out, node, look);
    checks(&mut out, node, look);
    row(&mut out, node, state, look);
    guards(&mut out, node, state, look);
    means(&mut out, node, look);
    let mut own = state.incidents.iter().filter(|incident| incident.node == node.name);
    if let Some(open) = own.clone().find(|incident| incident.open) {
        incident(&mut out, open, look);
    } else if let Some(last) = own.next() {
        let _ =
            writeln!(out, "\nNo incident is open. The last one was {}, {}.", last.id, last.state);
    } else {
        out.push_str("\nNo incident is open, and none is remembered.\n");
    }
    out
}

fn first_sentence(node: &Node, state: &State) -> String {
    let name = &node.name;
    match node.phase {
        NodePhase::NeverSeen => {
            format!("{name} is enrolled but was never heard of: start its agent and sentinel.")
        }
        NodePhase::Protected if held(node, state) => {
            format!("{name} is protected, but would not be recovered now: a guard refuses.")
        }
        NodePhase::Protected => {
            format!("{name} is protected: if it fails, its VMs are restarted elsewhere.")
        }
        NodePhase::Incident => {
            let open =
                state.incidents.iter().find(|incident| incident.open && &incident.node == name);
            let blocked = open.is_some_and(|incident| incident.blocked.is_some());
            let what = open.map_or("it is not shown here", |incident| &incident.state);
            format!(
                "{name} has an open incident: {what}{}.",
                if blocked { ", blocked" } else { "" }
            )
        }
        NodePhase::Out => match state.fenced.iter().find(|fenced| &fenced.node == name) {
            Some(fenced) => format!(
                "{name} is out since {}: {}. Its release waits for: {}",
                moment_s(fenced.since_ms),
                fenced
                    .evidence
                    .as_deref()
                    .unwrap_or("the fence is under way, without evidence yet"),
                stop(&fenced.release),
            ),
            None => format!("{name} is out."),
        },
        NodePhase::Returning => {
            format!(
                "{name} is released and on its way back: Nova still has to settle before it is used again."
            )
        }
        NodePhase::Exempt => match &node.maintenance {
            Some(reason) => format!("{name} is in maintenance, so nobody acts on it: {reason}"),
            None => format!("{name} is disarmed, so nobody acts on it."),
        },
    }
}

fn held(node: &Node, state: &State) -> bool {
    let free = node.refusals.is_empty() && state.holds.is_empty();
    !free || state.noop || state.disarmed.is_some()
}

fn networks(out: &mut String, node: &Node, look: Look) {
    let _ = writeln!(out, "\n{}", look.bold(&format!("Networks: {}", node.compact)));
    if node.networks.is_empty() {
        out.push_str("  Nothing is known of any network.\n");
    }
    for network in &node.networks {
        let reach = look.paint(reach_tone(&network.reach), &network.reach);
        let reason = network.detection.reason.trim();
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let sentence =
            format!("{} is {reach} for {}{reason}", network.network, span(network.for_s));
        let _ = writeln!(out, "  {}", look.wrap(2, &sentence));
        if let Some(lost) = &network.degraded {
            let (of, span) = (lost.of, span(lost.for_s));
            let loss = format!(
                "degraded for {span}: {} of the leader's last {of} pings unanswered; no row asks for it",
                lost.unanswered
            );
            let _ = writeln!(out, "    {}", look.paint(Tone::Warn, &loss));
        }
        if let Some(known) = &network.flapping {
            let flaps = format!(
                "flaps for {}: judged down {} times; no longer after {} more in which it holds still",
                span(known.for_s),
                known.downs,
                span(known.calm_in_s)
            );
            let _ = writeln!(out, "    {}", look.paint(Tone::Warn, &look.wrap(4, &flaps)));
        }
        observers(out, &network.detection.observers);
    }
}

fn observers(out: &mut String, observers: &[Observation]) {
    let width = observers.iter().map(|seen| seen.observer.chars().count()).max().unwrap_or(0);
    for seen in observers {
        let answer = if seen.unanswered_s > 0.0 {
            format!("no answer for {}", span(seen.unanswered_s))
        } else {
            "answered".to_owned()
        };
        let voice = if seen.sound { "" } else { "; not sound, so it has no voice" };
        let _ = writeln!(out, "    {:width$}  {answer}{voice}", seen.observer);
    }
}

fn reach_tone(reach: &str) -> Tone {
    match reach {
        "up" => Tone::Good,
        "down" => Tone::Bad,
        _ => Tone::Warn,
    }
}

fn checks(out: &mut String, node: &Node, look: Look) {
    if node.checks.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", look.bold("Health checks"));
    for check in &node.checks {
        let state = look.paint(check_tone(&check.state), &check.state);
        let sentence = format!(
            "{} is {state} for {}, {} before: {} (code {}, heard {} ago)",
            check.name,
            span(check.for_s),
            check.before,
            check.message,
            check.code,
            span(check.heard_s)
        );
        let _ = writeln!(out, "  {}", look.wrap(2, &sentence));
    }
}

fn row(out: &mut String, node: &Node, state: &State, look: Look) {
    let _ = writeln!(out, "\n{}", look.bold("Matrix"));
    let matrix = match Matrix::parse("running", &state.matrix.text) {
        Ok(loaded) => loaded.matrix,
        Err(_) => {
            out.push_str(
                "  This hactl cannot read the running matrix; is it older than the controllers?\n",
            );
            return;
        }
    };
    let cell = |suspect| cell(&matrix, node, suspect);
    let now = matrix.decide(&cell(Reach::Up));
    let sentence = format!(
        "Row {} of {}, `{}`, matches {}: {}\nReason: {}",
        now.index + 1,
        matrix.rows().len(),
        now.row.name(),
        matrix.compact(&cell(Reach::Up)),
        does(now),
        now.row.reason().replace('\n', " "),
    );
    for line in sentence.lines() {
        let _ = writeln!(out, "  {}", look.wrap(2, line));
    }
    if node.networks.iter().any(|network| network.reach == "suspect") {
        let then = matrix.decide(&cell(Reach::Down));
        let sentence = format!(
            "A network is suspect, which counts as up until the verdict. If it is down: row {}, `{}`: {}",
            then.index + 1,
            then.row.name(),
            does(then),
        );
        let _ = writeln!(out, "  {}", look.wrap(2, &sentence));
    }
}

/// What the node is to the matrix. A network or check that it does not name stays unknown, which never fences.
fn cell(matrix: &Matrix, node: &Node, suspect: Reach) -> Cell {
    let reach = |name: &String| {
        let network = node.networks.iter().find(|network| &network.network == name);
        match network.map(|network| network.reach.as_str()) {
            Some("up") => Reach::Up,
            Some("down") => Reach::Down,
            Some("suspect") => suspect,
            Some(_) | None => Reach::Unknown,
        }
    };
    let state = |name: &String| {
        let check = node.checks.iter().find(|check| &check.name == name);
        match check.map(|check| check.state.as_str()) {
            Some("ok" | "warning") => CheckState::Ok,
            Some("critical") => CheckState::Failed,
            Some(_) | None => CheckState::Unknown,
        }
    };
    Cell {
        networks: matrix.networks().iter().map(reach).collect(),
        checks: matrix.checks().iter().map(state).collect(),
    }
}

/// `fence, evacuate, once that has held for 5s`.
fn does(decision: Decision<'_>) -> String {
    let actions =
        decision.actions().iter().map(|action| action.word()).collect::<Vec<_>>().join(", ");
    let settle = decision.row.settle();
    if settle.is_zero() || actions == "none" {
        return actions;
    }
    format!("{actions}, once that has held for {}", humantime::format_duration(settle))
}

fn guards(out: &mut String, node: &Node, state: &State, look: Look) {
    let _ = writeln!(out, "\n{}", look.bold("Guards"));
    let mut shown = Vec::new();
    for refusal in node.refusals.iter().chain(&state.holds) {
        if !shown.contains(&refusal) {
            shown.push(refusal);
        }
    }
    if shown.is_empty() && !state.noop && state.disarmed.is_none() {
        out.push_str("  None refuses.\n");
        return;
    }
    let named = |guard: &str| shown.iter().any(|refusal| refusal.guard == guard);
    if let Some(reason) = state.disarmed.as_ref().filter(|_| !named("disarmed")) {
        let _ = writeln!(out, "  {} refuses: {}", look.paint(Tone::Warn, "disarmed"), reason);
    }
    if state.noop && !named("noop") {
        let _ = writeln!(
            out,
            "  {} refuses: the controllers decide and touch nothing",
            look.paint(Tone::Warn, "noop")
        );
    }
    for refusal in shown {
        let name = look.paint(Tone::Warn, &refusal.guard);
        let _ = writeln!(out, "  {name} refuses: {}", look.wrap(4, &refusal.why));
    }
}

fn means(out: &mut String, node: &Node, look: Look) {
    let _ = writeln!(out, "\n{}", look.bold("How it could be proved off"));
    let armed = if node.armed { "armed" } else { "not armed, so its silence proves nothing" };
    let renewed = match node.renewed_s {
        Some(seconds) => format!("its sentinel renewed {} ago", span(seconds)),
        None => "its sentinel was never heard".to_owned(),
    };
    let _ = writeln!(out, "  lease     {armed}; {renewed}");
    let _ = writeln!(out, "  watchdog  {}", look.wrap(12, &node.watchdog));
    let _ = writeln!(out, "  bmc       {}", look.wrap(12, &node.bmc));
    match &node.boot {
        Some(boot) => {
            let _ = writeln!(out, "  boot      {}, up for {}", boot.id, span(boot.uptime_s));
        }
        None => out.push_str("  boot      none was heard\n"),
    }
    let _ = writeln!(out, "  fences    {} on record", node.fences);
}

fn incident(out: &mut String, incident: &Incident, look: Look) {
    let title = format!("Incident {}: {}", incident.id, incident.state);
    let _ = writeln!(out, "\n{}", look.bold(&title));
    let sentence = format!(
        "At {} row `{}` said {}: {}",
        incident.reachability,
        incident.row,
        incident.actions.join(", "),
        incident.reason,
    );
    let _ = writeln!(out, "  {}", look.wrap(2, &sentence));
    if let Some(why) = &incident.blocked {
        let blocked = look.paint(Tone::Bad, "Blocked");
        let _ = writeln!(out, "  {blocked}: {}", look.wrap(2, why));
    }
    out.push_str(&timeline(incident, look, 2));
    let _ = writeln!(out, "  The VMs and the rest: hactl incidents {}", incident.id);
}
