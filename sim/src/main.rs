//! `cargo run -p sim -- FILE.scn`: tells the story of a scenario. `--explore SEED`: one exploration; `--seeds N`: many.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use sim::scenario::Scenario;

#[derive(Parser)]
struct Arguments {
    /// Scenarios to play; each file is printed as it should be.
    files: Vec<PathBuf>,
    /// Write the files instead of printing them.
    #[arg(long)]
    bless: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for file in &arguments.files {
        let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
        let scenario = Scenario::parse(&text).with_context(|| format!("{}", file.display()))?;
        let played = scenario.play().with_context(|| format!("{}", file.display()))?;
        if arguments.bless {
            std::fs::write(file, played.text)?;
        } else {
            print!("{}", played.text);
        }
    }
    Ok(())
}
