//! The program around the shell: its options, its log, its last words.

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Config;

/// A whole configuration; `--help` shows it, and a test loads it.
pub const EXAMPLE: &str = include_str!("../../../packaging/examples/controller.toml");
/// An inventory; `--help` shows it, and a test loads it.
pub const EXAMPLE_INVENTORY: &str = include_str!("../../../packaging/examples/inventory.toml");

const AFTER: &str = "\
SIGHUP reads matrix and inventory again; a file with a mistake changes nothing.
SIGTERM hands leadership over and ends.

Exit codes:
  0  stopped
  1  did not start or had to stop; the last line says why and what to do
  3  must not be started again before someone has looked";

/// Options of `ha-controller`.
#[derive(Debug, Parser)]
#[command(
    name = "ha-controller",
    version,
    about = "Decides, with two or four others, which nodes are off, and has Nova start their VMs elsewhere",
    // Not wrapped: a line of the example that was broken in two could not be copied.
    term_width = 0,
    after_help = AFTER,
    after_long_help =
        format!("{AFTER}\n\nA whole configuration:\n\n{EXAMPLE}\nAn inventory:\n\n{EXAMPLE_INVENTORY}")
)]
pub struct Options {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/holdfast/controller.toml")]
    pub config: PathBuf,
    /// Check the configuration and all files that it names, say what follows from them, and end.
    #[arg(long)]
    pub check: bool,
}

/// Runs the program: log, configuration, shell; what went wrong is printed once, with its causes.
pub fn main(options: &Options) -> ExitCode {
    log_to_stderr();
    let config = match Config::load(&options.config) {
        Ok(config) => config,
        // Its text is made for people, and a log would only spoil it.
        Err(error) => return fail(&error, 1),
    };
    if options.check {
        // A closed pipe is the reader's choice.
        let _ = std::io::stdout().write_all(config.summary().as_bytes());
        return ExitCode::SUCCESS;
    }
    match super::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            fail(&error, code)
        }
    }
}

/// The log goes to stderr, `RUST_LOG` filters it.
fn log_to_stderr() {
    let filter = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_filter(filter);
    // Fails only where a log is set up already.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

fn fail(error: &dyn Error, code: u8) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{}: {more}", text.trim_end());
        }
        cause = error.source();
    }
    let _ = writeln!(std::io::stderr(), "ha-controller: {}", text.trim_end());
    ExitCode::from(code)
}
