//! `cargo xtask NAME`: every check, test and tool of the project as one command, so that nobody
//! installs a task runner. One module per subject; a new command is a variant here and a module.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod bench_detect;
mod bench_masakari;
mod bench_pauses;
mod bench_recovery;
mod bench_scale;
mod bench_sim;
mod bless;
mod check;
mod docs;
mod lab_times;
mod model;
mod mutants;
mod nova;
mod place;
mod setup;
mod sim_ci;
mod steps;
mod test;
mod test_bmc;
mod test_nova;
mod tool;
mod watchdog;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need: Debian packages, and a Python environment with Nova
    Setup,
    /// Formatting, lints, documentation, licences and duplicate dependencies
    Check,
    /// All there is: setup, check and every test; what CI runs
    Test,
    /// Every driver against every way in which a BMC may behave, and fifty BMCs at once
    TestBmc,
    /// Recoveries on a real Nova: every state of a server, every part that fails, every way back
    TestNova {
        /// Acts to play; without, all
        acts: Vec<String>,
    },
    /// Kill QEMU guests in many ways, and measure each reset against its bound
    TestWatchdog {
        /// Whose times: fast, balanced, calm, or short: those of a run that shall end soon
        #[arg(long, default_value = "fast", value_parser = ["short", "fast", "balanced", "calm"])]
        profile: String,
    },
    /// Rewrite the golden files from what the code says now
    Bless {
        /// Passed on to `cargo test`, such as `-p sim`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the book from docs/ into target/book
    Docs,
    /// Hunt the deliberate breaks that oracles must notice, and compare docs/safety.md
    Mutants {
        /// Some of them, such as M01,M18; without, all
        #[arg(default_value = "")]
        names: String,
        /// Write the table into docs/safety.md
        #[arg(long)]
        write: bool,
    },
    /// How fast a dead node is noticed, and what watching costs: 30 and 100 real nodes beside serf and memberlists
    BenchDetect(bench_detect::Args),
    /// Members that stop and go on, as Lifeguard was measured, in the simulator: wrong words of gossip, wrong verdicts
    BenchPauses(bench_pauses::Args),
    /// Many nodes lost at once: evacuations a second and the time to the last VM, beside the floor that windows and Nova set
    BenchRecovery {
        /// Nodes that are lost; as many are left
        #[arg(long, default_value_t = 40)]
        nodes: u16,
        /// VMs of each
        #[arg(long, default_value_t = 50)]
        vms: u16,
    },
    /// How the time to a verdict and a node's cost grow with the nodes, in the simulator: a table and a plot
    BenchScale(bench_scale::Args),
    /// Twenty servers of a lost host: Masakari's seconds and ours, on the same real Nova; fails when the goal is missed
    BenchMasakari {
        /// Only one of them: holdfast or masakari
        #[arg(value_parser = ["holdfast", "masakari"])]
        only: Option<String>,
    },
    /// How fast the simulator is, for 9 to 1000 nodes; fails when a goal is missed
    BenchSim,
    /// Thousands of explorations, meant for CI; fails also where something was never met
    SimCi {
        /// Seeds
        #[arg(long, default_value_t = sim_ci::SEEDS, value_parser = clap::value_parser!(u64).range(1..))]
        seeds: u64,
        /// First seed
        #[arg(long, default_value_t = sim_ci::FIRST)]
        from: u64,
        /// Threads
        #[arg(long, default_value_t = sim_ci::THREADS, value_parser = clap::value_parser!(u16).range(1..=64))]
        threads: u16,
    },
    /// How long a recovery takes in the lab, phase by phase
    LabTimes {
        /// How often each failure is run
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
        /// Nodes of the lab
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(3..=12))]
        nodes: u32,
    },
    /// Search the models of the protocols, whole and with one rule broken after the other
    Model {
        /// Passed on to the program: names of models or breaks, `--quick`, `--wide`, `--trace`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Some(Command::Setup) => setup::command(),
        Some(Command::Check) => check::command(),
        Some(Command::Test) => test::command(),
        Some(Command::TestBmc) => test_bmc::command(),
        Some(Command::TestNova { acts }) => test_nova::command(&acts),
        Some(Command::TestWatchdog { profile }) => watchdog::command(&profile),
        Some(Command::Bless { arguments }) => bless::command(&arguments),
        Some(Command::Docs) => docs::command(),
        Some(Command::Mutants { names, write }) => mutants::command(&names, write),
        Some(Command::BenchDetect(args)) => bench_detect::command(&args),
        Some(Command::BenchRecovery { nodes, vms }) => bench_recovery::command(nodes, vms),
        Some(Command::BenchPauses(args)) => bench_pauses::command(&args),
        Some(Command::BenchScale(args)) => bench_scale::command(&args),
        Some(Command::BenchMasakari { only }) => bench_masakari::command(only.as_deref()),
        Some(Command::BenchSim) => bench_sim::command(),
        Some(Command::SimCi { seeds, from, threads }) => sim_ci::command(seeds, from, threads),
        Some(Command::LabTimes { runs, nodes }) => lab_times::command(runs, nodes),
        Some(Command::Model { arguments }) => model::command(&arguments),
        None => Arguments::command().print_help().map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
