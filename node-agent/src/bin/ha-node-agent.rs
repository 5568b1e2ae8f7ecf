//! `ha-node-agent`: gossip, witness, census, health checks and fence events of one compute node.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use node_agent::checks;
use node_agent::program::{self, Log, Options};

/// Gossip, witness, census, health checks and fence events of one compute node.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Words {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Tell the agent of this node how a check of kind "ttl" is.
    Push {
        /// The configuration of the agent.
        #[arg(long, value_name = "FILE", default_value = "/etc/holdfast/node.toml")]
        config: PathBuf,
        /// The check.
        name: String,
        /// ok, warning, critical or unknown.
        state: String,
        /// A line for people.
        #[arg(default_value = "")]
        message: String,
    },
    /// Try whether a directory can be written; the agent begins this itself, since it may hang.
    #[command(name = "probe-mount", hide = true)]
    ProbeMount {
        /// Held by the one that tries.
        lock: PathBuf,
        /// The directory.
        path: PathBuf,
    },
}

fn main() -> ExitCode {
    let Words { options, other } = Words::parse();
    match other {
        None => program::main(&options, Log::Here, node_agent::agent::run),
        Some(Other::Push { config, name, state, message }) => {
            let options = Options { config, check: false };
            program::main(&options, Log::Here, |config| {
                checks::push(&config, &name, &state, &message)
            })
        }
        Some(Other::ProbeMount { lock, path }) => {
            let outcome = checks::try_mount(&lock, &path);
            // Who reads it has the exit code too.
            let _ = writeln!(std::io::stdout(), "{}", outcome.message);
            ExitCode::from(checks::exit_code(&outcome))
        }
    }
}
