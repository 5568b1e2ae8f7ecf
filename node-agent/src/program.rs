//! What the two programs have in common: their options, their log, their last words.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::aside::Aside;
use crate::config::Config;

/// A whole configuration; `--help` shows it, and a test loads it.
pub const EXAMPLE: &str = include_str!("../../packaging/examples/node.toml");

/// Options of both programs.
#[derive(Debug, Parser)]
#[command(version, about, after_long_help = format!("A whole configuration:\n\n{EXAMPLE}"))]
pub struct Options {
    /// The configuration, the same file for ha-node-agent and ha-sentinel.
    #[arg(long, value_name = "FILE", default_value = "/etc/holdfast/node.toml")]
    pub config: PathBuf,
    /// Check the configuration and the key files, say what follows from them, and end.
    #[arg(long)]
    pub check: bool,
}

/// Time for the last lines of a log that is written aside.
const FAREWELL: Duration = Duration::from_millis(200);

/// How a program logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Each line is written when it is said, and waits for whoever reads it.
    Here,
    /// A thread of its own writes; lines that it does not keep up with are dropped. For what must never wait.
    Aside,
}

/// Runs a program: options, log, configuration, then `run`; what went wrong is printed once, with its causes.
pub fn main<T, E: Error + 'static>(
    options: &Options,
    log: Log,
    run: impl FnOnce(Config) -> Result<T, E>,
) -> ExitCode {
    let aside = match log {
        Log::Here => None,
        // Where not even a thread can be had, a log that may wait is better than none.
        Log::Aside => Aside::start(std::io::stderr()).ok(),
    };
    match &aside {
        Some(aside) => {
            let aside = aside.clone();
            log_to(move || aside.clone());
        }
        None => log_to_stderr(),
    }
    let code = run_with(options, run);
    if let Some(aside) = aside {
        aside.flush(FAREWELL);
    }
    code
}

fn run_with<T, E: Error + 'static>(
    options: &Options,
    run: impl FnOnce(Config) -> Result<T, E>,
) -> ExitCode {
    let config = match Config::load(&options.config) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    if options.check {
        return match check(&config) {
            Ok(text) => say(&text),
            Err(error) => fail(&error),
        };
    }
    match run(config) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// The log goes to stderr, `RUST_LOG` filters it.
pub fn log_to_stderr() {
    log_to(std::io::stderr);
}

fn log_to(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    // Targets and levels alone: the sentinel's memory is locked, and a filter by regular expressions takes half a megabyte.
    let filter = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer)
        .with_filter(filter);
    // Fails only where a log is set up already, as in a test or the lab.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

fn check(config: &Config) -> Result<String, crate::config::ConfigError> {
    config.boot()?;
    config.key_pair()?;
    config.node_keys()?;
    config.gossip_key_text()?;
    let times = config.times;
    let mut text = format!(
        "{}: {} networks, {} controllers\nwL {:.1} s = (L + 3 W (1 + eps) + K)(1 + rho)/(1 - rho) + M; wC {:.1} s\n",
        config.name,
        config.networks.len(),
        config.controllers.len(),
        times.wait_after_intent().as_secs_f64(),
        times.wait_after_promise().as_secs_f64(),
    );
    if config.watchdog.is_none() {
        text.push_str(
            "no [watchdog]: this node is admitted, never armed; E2 cannot prove that it is off\n",
        );
    }
    Ok(text)
}

fn say(text: &str) -> ExitCode {
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(error: &dyn Error) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    tracing::error!("{text}");
    ExitCode::FAILURE
}
