//! `hactl vms`: which VM runs where, and what does not agree with Nova.

use std::fmt::Write as _;

use api::{Crash, RunningVm, Vms};
use serde_json::Value;

use crate::client::{Client, Reach};
use crate::client_error::ClientError;
use crate::outcome::{Exit, Outcome};
use crate::picture::{json, safe};
use crate::reading::{few, moment_s, span};
use crate::table::{Look, Table, Tone, plain};

const MORE: &str = "\
Columns:
  NOVA     the node that Nova has it on, and Nova's status
  RUNS ON  the nodes whose agents list it; `-`: none that is heard
  CPU      processor time since it was started
  SEEN     age of the agent's list
  PROBLEM  what has not agreed for a while and what Nova has confirmed, or
           when the VM was missing last
  An empty figure is unknown: libvirt did not say.

Examples:
  hactl vms
  hactl vms --node node-7
  hactl vms --problems
  hactl vms --json | jq -r '.vms[] | select(.problem).id'

Exit codes: 0 answered, 1 no such node, 3 no controller answers.";

/// Which VM runs where, as Nova says and as the agents say.
///
/// Agents list their domains every few seconds; the leader compares that with Nova. It changes nothing. What the leader
/// does about a VM that is missing is set by `[actual]` in controller.toml.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// Only VMs that Nova has on this node, or that run there.
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,

    /// Only VMs that do not run as Nova says, or did not lately.
    #[arg(long)]
    pub problems: bool,
}

impl Args {
    fn keeps(&self, vm: &RunningVm) -> bool {
        let here = |node: &String| vm.host.as_ref() == Some(node) || vm.runs_on.contains(node);
        let amiss = vm.problem.is_some() || vm.crash.is_some();
        self.node.as_ref().is_none_or(here) && (amiss || !self.problems)
    }
}

pub(crate) async fn run(args: &Args, reach: &Reach, as_json: bool, look: Look) -> Outcome {
    let failed = |error: ClientError| Outcome::failed(error.exit(), error.to_string());
    let client = match Client::new(reach) {
        Ok(client) => client,
        Err(error) => return failed(error),
    };
    match client.vms().await {
        Ok(value) => shown(args, value, as_json, look),
        Err(error) => failed(error),
    }
}

/// What `hactl vms` prints for this answer.
pub(crate) fn shown(args: &Args, mut value: Value, as_json: bool, look: Look) -> Outcome {
    let vms: Vms = match safe(value.clone()) {
        Ok(vms) => vms,
        Err(error) => return Outcome::failed(Exit::Failed, format!("no list of VMs: {error}")),
    };
    let names: Vec<&str> = vms.nodes.iter().map(|node| node.node.as_str()).collect();
    if let Some(node) = args.node.as_deref().filter(|node| !names.contains(node)) {
        let why = format!("there is no node {node}; there are {}", few(&names, 8));
        return Outcome::failed(Exit::Failed, why);
    }
    if !as_json {
        return Outcome::fine(page(args, &vms, look));
    }
    // As it came: a newer controller may say more than is known here.
    let kept: Vec<bool> = vms.vms.iter().map(|vm| args.keeps(vm)).collect();
    if let Some(list) = value.get_mut("vms").and_then(Value::as_array_mut) {
        let mut kept = kept.into_iter();
        list.retain(|_| kept.next().unwrap_or(true));
    }
    Outcome::fine(json(&value))
}

fn page(args: &Args, vms: &Vms, look: Look) -> String {
    let mut out = String::new();
    if !vms.collected {
        out.push_str(
            "Nova's servers are being read for the first time since this leader began: nothing is compared yet.\n\n",
        );
    }
    let header =
        ["VM", "PROJECT", "NOVA", "RUNS ON", "CPU", "MEMORY", "DISK", "SEEN", "PROBLEM", "ID"];
    let mut table = Table::new(look, &header).flexible(&[8]);
    for column in 4..=6 {
        table = table.right(column);
    }
    let shown: Vec<&RunningVm> = vms.vms.iter().filter(|vm| args.keeps(vm)).collect();
    for vm in &shown {
        table.row([
            plain(vm.name.as_deref().unwrap_or("?")),
            plain(vm.project.as_deref().unwrap_or("?")),
            nova(vm),
            runs_on(vm),
            plain(vm.cpu_s.map_or_else(String::new, span)),
            plain(vm.memory_mib.map_or_else(String::new, |mib| format!("{mib} MiB"))),
            plain(vm.disk_mib.map_or_else(String::new, |mib| format!("{mib} MiB"))),
            plain(vm.seen_s.map_or_else(|| "-".to_owned(), |s| format!("{} ago", span(s)))),
            problem(vm),
            plain(vm.id),
        ]);
    }
    if shown.is_empty() {
        out.push_str("No VM.\n");
    } else {
        out.push_str(&table.render());
    }
    for node in vms.nodes.iter().filter(|node| args.node.as_ref().is_none_or(|n| *n == node.node)) {
        let what = match (node.listed_s, node.cut) {
            (None, _) => "its agent's list is not fresh: what runs there is unknown",
            (Some(_), true) => "more run there than its list can hold: what it lacks is unknown",
            (Some(_), false) => continue,
        };
        let _ = write!(out, "\n{} {}: {what}", look.paint(Tone::Warn, "note:"), node.node);
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn nova(vm: &RunningVm) -> (Tone, String) {
    match (&vm.host, &vm.status) {
        (Some(host), Some(status)) => plain(format!("{host} {status}")),
        _ => (Tone::Warn, "not told".to_owned()),
    }
}

fn runs_on(vm: &RunningVm) -> (Tone, String) {
    match vm.runs_on.len() {
        0 => plain("-"),
        1 => plain(&vm.runs_on[0]),
        _ => (Tone::Bad, vm.runs_on.join(", ")),
    }
}

fn problem(vm: &RunningVm) -> (Tone, String) {
    match (&vm.problem, &vm.crash) {
        (Some(problem), Some(crash)) if crash.over_ms.is_none() => {
            (Tone::Bad, format!("{problem}, {}", since(crash)))
        }
        (Some(problem), _) => (Tone::Bad, problem.clone()),
        (None, Some(crash)) => (Tone::Warn, since(crash)),
        (None, None) => plain("-"),
    }
}

fn since(crash: &Crash) -> String {
    let reboots = match crash.reboots {
        0 => String::new(),
        1 => ", rebooted once".to_owned(),
        n => format!(", rebooted {n} times"),
    };
    let found = moment_s(crash.found_ms);
    match (&crash.over_ms, &crash.how) {
        (Some(over), Some(how)) => {
            format!("was missing from {found}{reboots}; {how} since {}", moment_s(*over))
        }
        _ => format!("missing since {found}{reboots}"),
    }
}
