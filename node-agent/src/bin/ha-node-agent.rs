//! `ha-node-agent`: gossip, witness, census and fence events of one compute node.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use node_agent::program::{self, Log, Options};

fn main() -> ExitCode {
    program::main(&Options::parse(), Log::Here, node_agent::agent::run)
}
