//! `hactl fenced`: the nodes that are out.

use std::fmt::Write as _;

use api::{Request, State};

use crate::nodes;
use crate::orders::{Orderer, who};
use crate::outcome::{Exit, Outcome};
use crate::reading::{moment_s, span};
use crate::run::Shell;
use crate::table::{Look, Table, Tone, plain};
use crate::terminal::Terminal;

const MORE: &str = "\
Examples:
  hactl fenced list
  hactl fenced release node-4 --reason 'board replaced'
  hactl fenced confirm node-4 --reason 'pulled both power cords, ticket 8812'";

const RELEASE: &str = "\
Examples:
  hactl fenced release node-4 --reason 'board replaced'
  hactl fenced release node-4 --force --reason 'quarantine over, repaired'

Exit codes: 0 committed, 1 refused, 2 usage, 3 no controller answers.";

const CONFIRM: &str = "\
Examples:
  hactl fenced confirm node-4 --reason 'pulled both power cords, ticket 8812'
  hactl fenced confirm node-4 --typed node-4 --reason 'rack 3 has no power'
                                     (in a script, where nobody can be asked)

Exit codes: 0 committed, 1 refused or typed differently, 2 usage, 3 no controller answers.";

/// Nodes that are out: list them, let one back, or confirm that one is off.
///
/// A node is out from the commit of its FenceIntent until its release. It comes back by itself when it boots again, none
/// of its old VMs runs there, and Nova has no unfinished move of it: nothing has to be ordered for that.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE, arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with nodes that are out.
#[allow(missing_docs)] // The doc of a variant would hide that of its arguments, which is the help.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    /// The nodes that are out: since when, by which evidence, and what their release waits for.
    List,
    Release(ReleaseArgs),
    Confirm(ConfirmArgs),
}

/// Let a node back although a condition of the automatic release does not hold.
///
/// Usually a node comes back by itself; this is for one in quarantine, or one whose release waits for something that will not
/// come. It never passes over a condition of safety: a VM of the node still in doubt, or an old VM running on it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = RELEASE)]
pub struct ReleaseArgs {
    /// The node.
    #[arg(value_name = "NODE")]
    pub node: String,

    /// Pass over the conditions that concern comfort, such as quarantine; never those of safety.
    #[arg(long)]
    pub force: bool,

    /// Who says so and why.
    #[command(flatten)]
    pub orderer: Orderer,
}

/// Say that a node is off, where no bmc, lease or new boot can prove it (E7).
///
/// Your word becomes the evidence: its VMs are restarted elsewhere at once. It works only while a fence of this node is under
/// way or blocked. It does not switch anything off.
///
/// Before you say it, pull the power, or see with your own eyes that it is off. Neither ping, nor Nova, nor a bmc that does
/// not answer says that a node is off. If it still runs, its VMs run twice, and their disks are destroyed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = CONFIRM)]
pub struct ConfirmArgs {
    /// The node.
    #[arg(value_name = "NODE")]
    pub node: String,

    /// The node's name once more; asked for on a terminal if it is not given.
    #[arg(long, value_name = "NODE")]
    pub typed: Option<String>,

    /// Who says so and why.
    #[command(flatten)]
    pub orderer: Orderer,
}

pub(crate) async fn run(what: What, shell: &Shell, terminal: &mut Terminal) -> Outcome {
    match what {
        What::List => match shell.picture().await {
            Ok(picture) => Outcome::fine(list(&picture.state, terminal.look)),
            Err(outcome) => outcome,
        },
        What::Release(args) => match who(&args.orderer.person, terminal) {
            Ok(person) => {
                let (node, reason) = (args.node, args.orderer.reason);
                shell.order(&Request::Release { node, force: args.force, reason, person }).await
            }
            Err(outcome) => outcome,
        },
        What::Confirm(args) => confirm(args, shell, terminal).await,
    }
}

async fn confirm(args: ConfirmArgs, shell: &Shell, terminal: &mut Terminal) -> Outcome {
    let person = match who(&args.orderer.person, terminal) {
        Ok(person) => person,
        Err(outcome) => return outcome,
    };
    let typed = match (args.typed, terminal.ask.as_mut()) {
        (Some(typed), _) => typed,
        (None, None) => {
            let why = "nobody can be asked here: say the node's name again with --typed NODE";
            return Outcome::failed(Exit::Usage, why);
        }
        (None, Some(ask)) => {
            let picture = match shell.picture().await {
                Ok(picture) => picture,
                Err(outcome) => return outcome,
            };
            let question = match question(&args.node, &picture.state) {
                Ok(question) => question,
                Err(why) => return Outcome::failed(Exit::Failed, why),
            };
            ask.ask(&question).unwrap_or_default()
        }
    };
    if typed != args.node {
        let why = format!("`{}` was to be typed; nothing was ordered", args.node);
        return Outcome::failed(Exit::Failed, why);
    }
    let (node, reason) = (args.node, args.orderer.reason);
    shell.order(&Request::Confirm { node, typed, reason, person }).await
}

/// What a person should know before giving a word that destroys disks if it is wrong.
fn question(name: &str, state: &State) -> Result<String, String> {
    let node = nodes::find(state, name)?;
    let mut out = String::new();
    let _ = match node.renewed_s {
        Some(seconds) if seconds < 60.0 => {
            writeln!(
                out,
                "CAREFUL: the sentinel of {name} was heard {} ago: it RUNS.",
                span(seconds)
            )
        }
        Some(seconds) => {
            writeln!(out, "The sentinel of {name} was heard last {} ago.", span(seconds))
        }
        None => writeln!(out, "The sentinel of {name} was not heard by this controller."),
    };
    let _ = writeln!(out, "Its networks: {}. Its bmc: {}.", node.compact, node.bmc);
    let vms = state.incidents.iter().find(|incident| incident.open && incident.node == name);
    if let Some(why) = vms.and_then(|incident| incident.blocked.as_ref()) {
        let _ = writeln!(out, "The fence is blocked: {why}");
    }
    let _ = write!(
        out,
        "Your word becomes the evidence and its VMs are started elsewhere at once. If {name} still runs,\n\
         they run twice and their disks are destroyed. Have you SEEN that its power is off?\n\
         Type the node's name to confirm: "
    );
    Ok(out)
}

pub(crate) fn list(state: &State, look: Look) -> String {
    if state.fenced.is_empty() {
        return "No node is out.\n".to_owned();
    }
    let header = ["NODE", "SINCE (UTC)", "INCIDENT", "FENCES", "EVIDENCE", "RELEASE WAITS FOR"];
    let mut table = Table::new(look, &header).flexible(&[4, 5]);
    for fenced in &state.fenced {
        let evidence = match &fenced.evidence {
            Some(evidence) => plain(evidence),
            None => (Tone::Warn, "none yet".to_owned()),
        };
        table.row([
            plain(&fenced.node),
            plain(moment_s(fenced.since_ms)),
            plain(fenced.incident),
            plain(fenced.count),
            evidence,
            plain(&fenced.release),
        ]);
    }
    table.render()
}
