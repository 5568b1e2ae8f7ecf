//! `hactl policy`: which rule decides what becomes of a VM.

use api::Request;

use crate::outcome::Outcome;
use crate::run::Shell;

const EXPLAIN: &str = "\
Examples:
  hactl policy explain 4c1e3a52-0c5f-4d1b-9a55-0f6f3d0b8f11
  hactl policy explain $(openstack server show db-1 -f value -c id)

Exit codes: 0 answered, 1 Nova knows no such server, 2 usage, 3 no controller answers.";

/// The policy: which VMs of a lost node are moved, and in which order.
///
/// The policy file is written on the controllers (`policy` in controller.toml, checked by `ha-controller --check`) and read
/// again on SIGHUP.
#[derive(Clone, Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do about the policy.
#[allow(missing_docs)] // The doc of a variant would hide that of its arguments, which is the help.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    Explain(ExplainArgs),
}

/// Which rule decides what for one VM, as it is in Nova now.
///
/// It changes nothing. A VM of a recovery that has begun keeps what was decided when it was planned: `hactl incidents ID`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXPLAIN)]
pub struct ExplainArgs {
    /// The server's id.
    #[arg(value_name = "SERVER")]
    pub server: String,
}

pub(crate) async fn run(what: What, shell: &Shell) -> Outcome {
    match what {
        What::Explain(args) => shell.order(&Request::ExplainPolicy { server: args.server }).await,
    }
}
