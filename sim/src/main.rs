//! `cargo run -p sim -- FILE.scn` tells the story of a scenario. `--explore SEED` runs one exploration and tells its story,
//! `--seeds N` runs many and prints what they met.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use sim::explore::{Exploration, Totals};
use sim::scenario::Scenario;

/// The simulator: scenarios and explorations of a whole cloud under virtual time.
#[derive(Parser)]
struct Arguments {
    /// Scenarios to play; each file is printed as it should be.
    files: Vec<PathBuf>,
    /// Write the files instead of printing them.
    #[arg(long)]
    bless: bool,
    /// One exploration.
    #[arg(long, value_name = "SEED")]
    explore: Option<u64>,
    /// Explorations of this many seeds, from --from.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// First seed of --seeds.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    /// Simulated minutes in which faults happen.
    #[arg(long, default_value_t = 15)]
    minutes: u64,
    /// Nodes; 5 to 9 by the seed without it.
    #[arg(long)]
    nodes: Option<u16>,
    /// Hunt deliberate breaks: all, or those that are named, such as M01,M18.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAMES", num_args = 0..=1, default_missing_value = "")]
    mutants: Option<String>,
    /// Play the scenarios with this break.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME")]
    with: Option<String>,
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
    #[cfg(feature = "mutants")]
    {
        if let Some(names) = &arguments.mutants {
            return sim::hunt::command(names);
        }
        if let Some(name) = &arguments.with {
            return sim::hunt::tell(name, &arguments.files);
        }
    }
    for file in &arguments.files {
        let name = || format!("{}", file.display());
        let text = std::fs::read_to_string(file).with_context(name)?;
        let played = Scenario::parse(&text).with_context(name)?.play().with_context(name)?;
        if arguments.bless {
            std::fs::write(file, played.text).with_context(name)?;
        } else {
            print!("{}", played.text);
        }
    }
    let (from, many) = match (arguments.explore, arguments.seeds) {
        (Some(seed), _) => (seed, 1),
        (None, Some(many)) => (arguments.from, many),
        (None, None) => return Ok(()),
    };
    explore(arguments, from, many)
}

fn explore(arguments: &Arguments, from: u64, many: u64) -> anyhow::Result<()> {
    let span = Duration::from_secs(arguments.minutes * 60);
    let (begin, mut totals, mut failed) = (Instant::now(), Totals::default(), 0);
    for seed in from..from + many {
        let exploration = Exploration { seed, span, nodes: arguments.nodes };
        match std::panic::catch_unwind(|| exploration.run()) {
            Ok(Ok(of_seed)) => totals.add(&of_seed),
            Ok(Err(why)) if many == 1 => anyhow::bail!("{why}"),
            Ok(Err(why)) => {
                failed += 1;
                println!("seed {seed}: {}", why.what);
            }
            Err(_) => {
                failed += 1;
                println!("seed {seed}: panicked");
            }
        }
    }
    let took = begin.elapsed();
    println!("{totals}");
    println!(
        "  {:.1} s, {:.0} times real time",
        took.as_secs_f64(),
        totals.simulated.as_secs_f64() / took.as_secs_f64()
    );
    anyhow::ensure!(
        failed == 0,
        "{failed} of {many} seeds failed; --explore SEED tells the story of one"
    );
    Ok(())
}
