//! `ha-beacon`: in the crash kernel, tells the controllers that the boot before it has crashed.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use node_agent::beacon;
use node_agent::program::{self, Log, Options};

fn main() -> ExitCode {
    program::main(&Options::parse(), Log::Here, |config| {
        let told = std::fs::read_to_string(beacon::COMMAND_LINE).unwrap_or_default();
        beacon::run(&config, &told, Path::new(beacon::VMCORE))
    })
}
