//! `hactl keys`: keys for controllers, nodes and gossip.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use fencing::sign::KeyPair;
use serde_json::json;

use crate::outcome::{Exit, Outcome};

const MORE: &str = "\
Examples:
  hactl keys new --out /etc/holdfast/node.key      prints the public key
  hactl keys cluster --out /etc/holdfast/gossip.key

Exit codes: 0 done, 1 the file cannot be written.";

/// Make keys for controllers, nodes and gossip.
///
/// Each controller and each node signs with a key of its own; the public half goes into the configuration of the others.
/// The gossip key is one for the whole cluster. An existing file is never overwritten, and no private key is printed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE, arg_required_else_help = true)]
pub struct Args {
    /// Which.
    #[command(subcommand)]
    pub what: What,
}

/// Which key.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    /// A private key for one controller or node, into a file; its public key on stdout.
    New {
        /// The file, made with mode 0600.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// A line for the gossip key file: the key's number and 64 hexadecimal digits.
    Cluster {
        /// The file, made with mode 0600; stdout if it is not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,

        /// The key's number; a higher one when keys are changed.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
        number: u8,
    },
}

pub(crate) fn run(args: &Args, as_json: bool) -> Outcome {
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        return Outcome::failed(Exit::Failed, format!("no randomness from the kernel: {error}"));
    }
    match &args.what {
        What::New { out } => {
            let public = KeyPair::from_seed(seed).public().to_string();
            match write_new(out, &format!("{}\n", hex(&seed))) {
                Ok(()) if as_json => {
                    Outcome::fine(crate::picture::json(&json!({ "public": public })))
                }
                Ok(()) => Outcome::fine(format!("{public}\n")),
                Err(error) => cannot_write(out, &error),
            }
        }
        What::Cluster { out, number } => {
            let line = format!("{number} {}\n", hex(&seed));
            let Some(out) = out else { return Outcome::fine(line) };
            match write_new(out, &line) {
                Ok(()) => Outcome::fine(String::new()),
                Err(error) => cannot_write(out, &error),
            }
        }
    }
}

/// Never over an existing file: a lost private key cannot be had again.
fn write_new(file: &Path, text: &str) -> std::io::Result<()> {
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()
}

fn cannot_write(file: &Path, error: &std::io::Error) -> Outcome {
    let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
    let hint =
        if exists { "; keys are never overwritten, move the old one away first" } else { "" };
    Outcome::failed(Exit::Failed, format!("{}: {error}{hint}", file.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
