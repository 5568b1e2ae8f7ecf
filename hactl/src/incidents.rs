//! `hactl incidents`: what happened.

use std::fmt::Write as _;

use api::{Incident, Request, State, Vm};
use serde_json::Value;

use crate::orders::{Person, who};
use crate::outcome::{Exit, Outcome};
use crate::reading::{moment, moment_s};
use crate::run::Shell;
use crate::table::{Look, Table, Tone, plain};
use crate::terminal::Terminal;

const MORE: &str = "\
States of an incident whose row fences:
  fencing      the intent is committed; the node is being proved off
               (blocked: no evidence can be had, a person is needed)
  fenced       the evidence is committed
  forced_down  Nova knows that the node is down
  evacuating   its VMs are being restarted elsewhere
  recovered    every VM is moved or left behind with a reason; the node is out
  released     the node may start again
  returned     Nova uses it again; the incident is closed

Examples:
  hactl incidents            open ones and the last closed ones
  hactl incidents --open
  hactl incidents 12         the whole story, with seconds, and each VM
  hactl incidents approve 12 more evacuations than the limit are right

Exit codes: 0 answered, 1 no such incident, 3 no controller answers.";

/// What happened: all open incidents and the last closed ones, or the story of one.
///
/// An incident is one node's failure from the verdict to its return. It changes nothing. Closed incidents are kept for
/// a while only; the journal of the controllers keeps them all.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE, args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Tell the whole story of this one.
    #[arg(value_name = "ID")]
    pub id: Option<u64>,

    /// Only open ones.
    #[arg(long, conflicts_with = "id")]
    pub open: bool,

    /// What to order.
    #[command(subcommand)]
    pub what: Option<What>,
}

/// What to order about incidents.
#[allow(missing_docs)] // The doc of a variant would hide that of its arguments, which is the help.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    Approve(ApproveArgs),
}

/// Lift the limit on evacuations for one incident.
///
/// After so many evacuations within an hour no more begin until somebody says that they are right: `hold_after` in the
/// controllers' configuration. Look first what fails, and why so much of it. The other incidents stay on hold.
#[derive(Clone, Debug, clap::Args)]
pub struct ApproveArgs {
    /// Its number.
    #[arg(value_name = "ID")]
    pub id: u64,

    /// Who.
    #[command(flatten)]
    pub person: Person,
}

pub(crate) async fn run(args: Args, shell: &Shell, terminal: &Terminal) -> Outcome {
    let Some(What::Approve(args)) = args.what else {
        return Outcome::failed(Exit::Usage, "there is nothing to order");
    };
    match who(&args.person, terminal) {
        Ok(person) => shell.order(&Request::Approve { incident: args.id, person }).await,
        Err(outcome) => outcome,
    }
}

/// How many VMs of it were left behind.
pub(crate) fn left_behind(incident: &Incident) -> usize {
    incident.vms.iter().filter(|vm| vm.state == "left behind").count()
}

/// The incident of that number.
pub(crate) fn find(state: &State, id: u64) -> Result<&Incident, String> {
    state.incidents.iter().find(|incident| incident.id == id).ok_or_else(|| {
        format!("there is no incident {id} among the open and the last closed ones: see `hactl incidents`")
    })
}

pub(crate) fn keeps(args: &Args) -> impl Fn(&Value) -> bool {
    let only_open = args.open;
    move |item| !only_open || item["open"] == true
}

pub(crate) fn page(args: &Args, state: &State, look: Look) -> Outcome {
    match args.id.map(|id| find(state, id)) {
        Some(Ok(incident)) => Outcome::fine(story(incident, look)),
        Some(Err(why)) => Outcome::failed(Exit::Failed, why),
        None => Outcome::fine(list(args, state, look)),
    }
}

fn list(args: &Args, state: &State, look: Look) -> String {
    let mut shown =
        state.incidents.iter().filter(|incident| incident.open || !args.open).peekable();
    if shown.peek().is_none() {
        return if args.open { "No incident is open.\n" } else { "No incidents.\n" }.to_owned();
    }
    let mut table =
        Table::new(look, &["ID", "NODE", "STATE", "BEGAN", "NETWORKS", "ROW", "EVIDENCE", "VMS"])
            .flexible(&[5, 7]);
    for incident in shown {
        let began = incident.phases.first().map(|phase| moment_s(phase.at_ms));
        table.row([
            plain(incident.id),
            plain(&incident.node),
            state_word(incident),
            plain(began.unwrap_or_else(|| "-".to_owned())),
            plain(&incident.reachability),
            plain(&incident.row),
            plain(short_evidence(incident)),
            vms(incident),
        ]);
    }
    table.render()
}

fn state_word(incident: &Incident) -> (Tone, String) {
    match (&incident.blocked, incident.open) {
        (Some(_), _) => (Tone::Bad, format!("{}, blocked", incident.state)),
        (None, true) => (Tone::Warn, incident.state.clone()),
        (None, false) => plain(&incident.state),
    }
}

/// `E2` of `E2: lease over ...`.
fn short_evidence(incident: &Incident) -> String {
    let word = incident.evidence.as_deref().and_then(|text| text.split([' ', ':', ',']).next());
    word.unwrap_or("-").to_owned()
}

fn vms(incident: &Incident) -> (Tone, String) {
    let all = incident.vms.len();
    let moved = incident.vms.iter().filter(|vm| vm.state == "moved").count();
    match (all, left_behind(incident)) {
        (0, _) => plain("-"),
        (_, 0) => plain(format!("{moved} of {all} moved")),
        (_, left) => (Tone::Bad, format!("{moved} of {all} moved, {left} left behind")),
    }
}

fn story(incident: &Incident, look: Look) -> String {
    let open = if incident.open { "open" } else { "closed" };
    let title = format!("Incident {}: {}, {} ({open})", incident.id, incident.node, incident.state);
    let mut out = format!("{}\n\n", look.bold(&title));
    let _ = writeln!(out, "boot      {}", incident.boot);
    let _ = writeln!(out, "networks  {}", incident.reachability);
    for (i, observation) in incident.observations.iter().enumerate() {
        let label = if i == 0 { "seen" } else { "" };
        let _ = writeln!(out, "{label:<8}  {}", look.wrap(10, observation));
    }
    let _ = writeln!(out, "row       {}: {}", incident.row, incident.actions.join(", "));
    let _ = writeln!(out, "reason    {}", look.wrap(10, &incident.reason));
    for (i, guard) in incident.guards.iter().enumerate() {
        let label = if i == 0 { "guards" } else { "" };
        let _ = writeln!(out, "{label:<8}  {}", look.wrap(10, guard));
    }
    let evidence = incident.evidence.as_deref().unwrap_or("none yet");
    let _ = writeln!(out, "evidence  {}", look.wrap(10, evidence));
    if let Some(why) = &incident.blocked {
        let _ = writeln!(out, "{}   {}", look.paint(Tone::Bad, "blocked"), look.wrap(10, why));
    }
    if let Some(why) = &incident.hold {
        let _ = writeln!(out, "{}      {}", look.paint(Tone::Bad, "hold"), look.wrap(10, why));
    }
    if !incident.note.is_empty() {
        let _ = writeln!(out, "ended     {}", look.wrap(10, &incident.note));
    }
    out.push('\n');
    out.push_str(&timeline(incident, look, 0));
    if !incident.vms.is_empty() {
        out.push('\n');
        out.push_str(&vm_table(incident, look));
        out.push_str(&left_behind_reasons(incident, look));
    }
    out
}

/// When each phase began, and the seconds since the one before and since the first.
pub(crate) fn timeline(incident: &Incident, look: Look, indent: usize) -> String {
    let header = ["PHASE", "BEGAN (UTC)", "AFTER", "TOTAL", "INDEX"];
    let mut table = Table::new(look, &header).right(2).right(3).right(4).indent(indent);
    let ordered = incident.drill.iter().map(|drill| ("ordered", drill.ordered_ms, None));
    let phases = incident.phases.iter().map(|p| (p.state.as_str(), p.at_ms, Some(p.index)));
    let steps = incident.steps.iter().map(|step| (step.what.as_str(), step.at_ms, None));
    let mut rows: Vec<_> = ordered.chain(phases).chain(steps).collect();
    // What was asked and answered stands between the phases; these are in the order of their entries.
    if !incident.steps.is_empty() {
        rows.sort_by_key(|(_, at_ms, _)| *at_ms);
    }
    let first = rows.first().map_or(0, |(_, at_ms, _)| *at_ms);
    let mut before = first;
    for (what, at_ms, index) in rows {
        table.row([
            plain(what),
            plain(moment(at_ms)),
            plain(format!("+{} s", seconds(before, at_ms))),
            plain(format!("{} s", seconds(first, at_ms))),
            plain(index.map_or_else(|| "-".to_owned(), |index| index.to_string())),
        ]);
        before = at_ms;
    }
    table.render()
}

/// The wall clock of another leader may stand behind: then the difference is shown as it is, negative.
fn seconds(from_ms: u64, to_ms: u64) -> String {
    let difference = i128::from(to_ms) - i128::from(from_ms);
    let sign = if difference < 0 { "-" } else { "" };
    let difference = difference.unsigned_abs();
    format!("{sign}{}.{:03}", difference / 1_000, difference % 1_000)
}

fn vm_table(incident: &Incident, look: Look) -> String {
    let header = ["VM", "STATE", "FROM", "TO", "RECORD", "TOOK", "TRIES", "ID"];
    let mut table = Table::new(look, &header).right(4).right(5).right(6).flexible(&[0]);
    for vm in &incident.vms {
        table.row([
            plain(&vm.name),
            (vm_tone(vm), vm.state.clone()),
            plain(if incident.host.is_empty() { "-" } else { &incident.host }),
            plain(vm.destination.as_deref().unwrap_or("-")),
            plain(vm.migration.map_or_else(|| "-".to_owned(), |record| record.to_string())),
            plain(vm.took_ms.map_or_else(|| "-".to_owned(), |ms| format!("{} s", seconds(0, ms)))),
            plain(vm.attempts),
            plain(vm.id),
        ]);
    }
    table.render()
}

fn vm_tone(vm: &Vm) -> Tone {
    match vm.state.as_str() {
        "moved" => Tone::Good,
        "left behind" => Tone::Bad,
        _ => Tone::Plain,
    }
}

fn left_behind_reasons(incident: &Incident, look: Look) -> String {
    let mut out = String::new();
    for vm in incident.vms.iter().filter(|vm| !vm.policy.is_empty() || !vm.tried.is_empty()) {
        let policy = if vm.policy.is_empty() { "evacuate" } else { &vm.policy };
        let _ = write!(out, "\n{}: {}", vm.name, look.wrap(4, policy));
        if !vm.tried.is_empty() {
            let _ = write!(out, "; no room on {}", vm.tried.join(", "));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    for vm in &incident.vms {
        if let Some(why) = &vm.why {
            let request = vm.request_id.as_deref().map(|id| format!(" (request {id})"));
            let request = request.unwrap_or_default();
            let _ = writeln!(out, "\n{}, {}{request}:", vm.name, vm.state);
            let _ = writeln!(out, "    {}", look.wrap(4, why));
        }
    }
    out
}
