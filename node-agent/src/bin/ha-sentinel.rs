//! `ha-sentinel`: asks for the lease of one compute node and feeds its watchdog.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use node_agent::program::{self, Log, Options};

fn main() -> ExitCode {
    program::main(&Options::parse(), Log::Aside, node_agent::sentinel::run)
}
