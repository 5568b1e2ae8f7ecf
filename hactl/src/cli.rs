//! The words that hactl understands. What a command does is told here once, and nowhere else for its `--help`.

use clap::{Parser, Subcommand};

use crate::client::Reach;
use crate::{
    bmc, check, drill, dump, fenced, gossip_calc, incidents, keys, lab, matrix, net, nodes, orders,
    policy, status, vms, why,
};

const TEACH: &str = "\
First steps:
  hactl lab                          a whole cluster on this machine, to learn with
  hactl status                       is all well, and if not, what to do
  hactl nodes                        every node on one line
  hactl vms                          every VM: where it should run and where it does
  hactl check                        would every node be recovered if it died now
  hactl why node-7                   what is known of one node and what would happen to it
  hactl net matrix                   who sees whom, on every network
  hactl matrix check my-matrix.toml  is this table sound; needs no controller

Exit codes: 0 fine, 1 refused or failed, 2 usage, 3 no controller answers, 4 needs attention
(`hactl help exit-codes`). What a refusal means: `hactl help guards`.";

/// Holdfast keeps the VMs of an OpenStack cloud running when nodes fail. This is its command line.
///
/// Commands that only look can be used at any time. Orders (noop, fence, drill, fenced, maintenance, arm, disarm, bmc,
/// matrix apply) need the token, are committed by the controllers before they answer, and stay on record with your name.
#[derive(Debug, Parser)]
#[command(name = "hactl", version, after_help = TEACH, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// JSON for programs: what the controllers' API says, unchanged.
    #[arg(long, global = true)]
    pub json: bool,

    /// Where the controllers are.
    #[command(flatten)]
    pub reach: Reach,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[allow(missing_docs)] // The doc of a variant would hide that of its arguments, which is the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Status(status::Args),
    Nodes(nodes::Args),
    Vms(vms::Args),
    Check(check::Args),
    Why(why::Args),
    Net(net::Args),
    Gossip(gossip_calc::Args),
    Incidents(incidents::Args),
    Fenced(fenced::Args),
    Fence(orders::FenceArgs),
    Drill(drill::Args),
    Maintenance(orders::MaintenanceArgs),
    Disarm(orders::DisarmArgs),
    Arm(orders::ArmArgs),
    Noop(orders::NoopArgs),
    Bmc(bmc::Args),
    Matrix(matrix::Args),
    Policy(policy::Args),
    Dump(dump::Args),
    Keys(keys::Args),
    /// A whole cluster on this machine, to learn and to try.
    Lab(lab::Args),
    Completion(CompletionArgs),
    /// What the guards' refusals mean and what to do.
    #[command(long_about = guards_help())]
    Guards,
    /// What the exit codes mean.
    #[command(name = "exit-codes", long_about = exit_codes())]
    ExitCodes,
    /// Parts of the lab that it starts itself.
    #[command(hide = true)]
    Internal(lab::internal::Args),
}

const COMPLETION: &str = "\
Examples:
  hactl completion bash > /etc/bash_completion.d/hactl
  hactl completion zsh  > /usr/local/share/zsh/site-functions/_hactl
  hactl completion fish > /etc/fish/completions/hactl.fish";

/// Print the script that completes words in your shell.
///
/// It goes to stdout; nothing is installed. It completes commands and options, not names of nodes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = COMPLETION)]
pub struct CompletionArgs {
    /// Which shell.
    #[arg(value_parser = clap::value_parser!(clap_complete::Shell))]
    pub shell: clap_complete::Shell,
}

/// The page that `hactl exit-codes` prints.
pub(crate) fn exit_codes() -> String {
    let mut out = String::from("What the exit codes mean.\n\n");
    for exit in crate::Exit::ALL {
        out += &format!("  {}  {}\n", exit.code(), exit.meaning());
    }
    out
}

fn guards_help() -> String {
    crate::guards::text()
}
