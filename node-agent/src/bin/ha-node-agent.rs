//! `ha-node-agent`: gossip, witness, census and fence events of one compute node.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use node_agent::program::{self, Options};

fn main() -> ExitCode {
    program::main(&Options::parse(), node_agent::agent::run)
}
