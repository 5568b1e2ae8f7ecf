//! `ha-controller`: decides about nodes, with two or four others.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use controller::shell::program::{self, Options};

fn main() -> ExitCode {
    program::main(&Options::parse())
}
