//! The operator's command line.
//!
//! Each command reads one picture of the cluster from a controller and tells it to a person, or sends one order. What
//! a command prints is a pure function of the picture, so that a scenario or a test can ask for a page without any
//! controller: [`page`]. Nothing is decided here; what an order may do is for the controllers to say.
//!
//! ```text
//!  words --cli--> Command --client--> GET /v1/state -> page (text) -> terminal
//!                         \--client--> POST /v1/do  -> Done        -> terminal
//! ```
#![forbid(unsafe_code)]

mod bmc;
mod check;
mod cli;
mod client;
mod client_error;
mod drill;
mod dump;
mod fenced;
mod gossip_calc;
mod gossip_now;
mod guards;
mod incidents;
mod keys;
pub mod lab;
mod matrix;
mod matrix_change;
mod matrix_pages;
mod net;
mod nodes;
mod orders;
mod outcome;
mod picture;
mod policy;
mod reading;
mod run;
mod status;
mod table;
mod terminal;
mod vms;
mod why;
mod why_record;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

pub use cli::{Cli, Command};
pub use guards::{GUARDS, Guard};
pub use outcome::{Exit, Outcome};
pub use run::{page, run, vms_page};
pub use table::Look;
pub use terminal::{Ask, Terminal};

/// Reads the process's arguments, carries the command out, prints, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    #[allow(clippy::wildcard_enum_match_arm)] // Every other command is for `run`.
    match cli.command {
        Command::Internal(args) => ended(lab::internal::run(args)),
        Command::Lab(args) => match runtime() {
            Ok(runtime) => ended(runtime.block_on(lab::run(args, cli.json))),
            Err(error) => ended(Err(error.into())),
        },
        _ => {
            let mut terminal = Terminal::of_process();
            let outcome = match runtime() {
                Ok(runtime) => runtime.block_on(run(cli, &mut terminal)),
                Err(error) => {
                    Outcome::failed(Exit::Failed, format!("the runtime does not start: {error}"))
                }
            };
            print(&outcome)
        }
    }
}

/// The same for words that are not the process's own: what the lab and tests use. Help and mistakes of usage come back
/// as an outcome too.
pub async fn run_words<I, T>(words: I, terminal: &mut Terminal) -> Outcome
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    match Cli::try_parse_from(words) {
        Ok(cli) => run(cli, terminal).await,
        Err(error) => Outcome::of_usage(&error),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print(&Outcome::failed(Exit::Failed, format!("{error:#}"))),
    }
}

fn print(outcome: &Outcome) -> ExitCode {
    // A reader that left (`hactl nodes | head`) is no failure of the command.
    let _ = std::io::stdout().write_all(outcome.out.as_bytes());
    let _ = std::io::stderr().write_all(outcome.err.as_bytes());
    ExitCode::from(outcome.exit.code())
}
