//! `hactl bmc`: BMCs.

use api::Request;

use crate::orders::{Person, who};
use crate::outcome::Outcome;
use crate::run::Shell;
use crate::terminal::Terminal;

const MORE: &str = "\
Examples:
  hactl bmc enroll node-7        after its board, or its BMC, was replaced
  hactl check node-7             what its BMC's periodic reads say";

const ENROLL: &str = "\
Examples:
  hactl bmc enroll node-7

Exit codes: 0 enrolled, 1 refused: the sentence says what to check, 2 usage, 3 no controller answers.";

/// BMCs: the small computers that switch a node's power.
///
/// A controller enrolls each BMC by itself the first time that it answers, and reads it every ten minutes from then on. Only
/// the enrolled identity may ever prove that a node is off.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE, arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do.
#[allow(missing_docs)] // The doc of a variant would hide that of its arguments, which is the help.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    Enroll(EnrollArgs),
}

/// Read a node's BMC and take its identity as the right one.
///
/// For a board that was replaced, or a BMC that was not believed any more and is repaired. It opens a session and reads who
/// answers and what it says of the power; nothing is switched. It is refused where the node speaks and the BMC reads off:
/// then it is another machine's BMC, or it lies.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = ENROLL)]
pub struct EnrollArgs {
    /// The node.
    #[arg(value_name = "NODE")]
    pub node: String,

    /// Which level of its fencing.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub level: u8,

    /// Who.
    #[command(flatten)]
    pub person: Person,
}

pub(crate) async fn run(what: What, shell: &Shell, terminal: &Terminal) -> Outcome {
    let What::Enroll(args) = what;
    match who(&args.person, terminal) {
        Ok(person) => {
            shell.order(&Request::BmcEnroll { node: args.node, level: args.level, person }).await
        }
        Err(outcome) => outcome,
    }
}
