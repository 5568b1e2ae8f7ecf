//! `hactl internal`: the parts that the lab starts of itself.

use std::io::Read as _;
use std::path::PathBuf;

use node_agent::config::Config;

/// Which part.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The part.
    #[command(subcommand)]
    part: Part,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Part {
    /// A controller.
    Controller(File),
    /// A node's agent.
    Agent(File),
    /// A node's sentinel.
    Sentinel(File),
    /// A node's hypervisor, which runs pretended VMs.
    Compute(Directory),
    /// Files and watchdogs of a cluster whose programs somebody else starts: a benchmark.
    Bare(super::bare::Args),
}

#[derive(Clone, Debug, clap::Args)]
struct File {
    /// Its configuration.
    #[arg(long)]
    config: PathBuf,
}

#[derive(Clone, Debug, clap::Args)]
struct Directory {
    /// The node's directory.
    #[arg(long)]
    dir: PathBuf,
}

/// Runs the part until it ends, or until standard input closes.
///
/// # Errors
/// What the part ended of.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.part {
        Part::Bare(args) => super::bare::run(&args),
        Part::Compute(directory) => super::compute::run(&directory.dir),
        Part::Controller(file) => {
            end_with_input()?;
            node_agent::program::log_to_stderr();
            super::controller::run(&file.config)
        }
        Part::Agent(file) => {
            end_with_input()?;
            node_agent::program::log_to_stderr();
            node_agent::agent::run(Config::load(&file.config)?)?;
            Ok(())
        }
        Part::Sentinel(file) => {
            end_with_input()?;
            node_agent::program::log_to_stderr();
            node_agent::sentinel::run(Config::load(&file.config)?)?;
            Ok(())
        }
    }
}

/// Ends this process when the lab does.
fn end_with_input() -> std::io::Result<()> {
    std::thread::Builder::new().name("lab".to_owned()).spawn(|| {
        let mut rest = [0; 64];
        while matches!(std::io::stdin().read(&mut rest), Ok(length) if length > 0) {}
        // Like a kill: nothing is said to anybody.
        std::process::exit(1);
    })?;
    Ok(())
}
