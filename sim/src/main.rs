//! `cargo run -p sim -- FILE.scn` tells the story of a scenario. `--explore SEED` runs one exploration and tells its story,
//! `--seeds N` runs many and prints what they met, `--shrink SEED` leaves out what a failing one does not need. `--ci` is
//! what CI runs, `--nodes 1000 --hours 1` a large cluster, and `--bench SECONDS` measures. `replay RECORD` runs the core of
//! a real controller once more.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

mod replay;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use controller::core::Pace;
use sim::ci::Ci;
use sim::explore::{Exploration, Many, Totals};
use sim::fleet::{Fleet, Loss, Pauses, real_latency};
use sim::place::MOST_NODES;
use sim::scenario::Scenario;

/// The simulator: scenarios and explorations of a whole cloud under virtual time.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
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
    /// Simulated minutes in which faults happen; 15, and 4 in what CI runs.
    #[arg(long)]
    minutes: Option<u64>,
    /// Nodes; 5 to 9 by the seed without it.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_NODES)))]
    nodes: Option<u16>,
    /// Small clusters, faults that follow each other soon, operators who order fences.
    #[arg(long)]
    dense: bool,
    /// Explorations at a time; what comes of them does not depend on it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// What is left of a failing seed when everything is left out that it does not need.
    #[arg(long, value_name = "SEED")]
    shrink: Option<u64>,
    /// The explorations that CI runs, from --from; asks for --seeds, 2000 without it.
    #[arg(long)]
    ci: bool,
    /// A large cluster for so many hours: needs --nodes.
    #[arg(long, requires = "nodes")]
    hours: Option<f64>,
    /// Seed of --hours.
    #[arg(long, value_name = "SEED", default_value_t = 7)]
    seed: u64,
    /// How fast a quiet cluster of --nodes is, measured for so many seconds of the processor.
    #[arg(long, value_name = "SECONDS", requires = "nodes")]
    bench: Option<f64>,
    /// So many nodes lose their power one after the other: how soon each is judged down, and what watching costs.
    #[arg(long, value_name = "DEATHS", requires = "nodes")]
    deaths: Option<u16>,
    /// Networks of --deaths: with fewer of them more nodes fit into memory, and each has less to do.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    networks: u8,
    /// So many members stop for so many seconds, run for so many, and stop again, for two minutes: C,D,I.
    #[arg(long, value_name = "C,D,I", requires = "nodes", value_delimiter = ',')]
    pauses: Option<Vec<f64>>,
    /// Nodes lost at once with so many VMs each: how fast they are moved. With --nodes: how many are lost.
    #[arg(long, value_name = "VMS", requires = "nodes")]
    recovery: Option<u16>,
    /// Hunt deliberate breaks: all, or those that are named, such as M01,M18.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAMES", num_args = 0..=1, default_missing_value = "")]
    mutants: Option<String>,
    /// Play the scenarios with this break.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME")]
    with: Option<String>,
}

#[derive(clap::Subcommand)]
enum Command {
    Replay(replay::Replay),
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
    if let Some(Command::Replay(arguments)) = &arguments.command {
        return replay::run(arguments);
    }
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
    if let Some(seconds) = arguments.bench {
        return bench(arguments, seconds);
    }
    if let Some(many) = arguments.deaths {
        return deaths(arguments, many);
    }
    if let Some([members, stopped, running]) = arguments.pauses.as_deref() {
        return pauses(arguments, *members as u16, [*stopped, *running]);
    }
    if let Some(vms) = arguments.recovery {
        return recovery(arguments, vms);
    }
    if let Some(hours) = arguments.hours {
        return fleet(arguments, hours);
    }
    if let Some(seed) = arguments.shrink {
        return shrink(exploration(arguments, seed));
    }
    if arguments.ci {
        return ci(arguments);
    }
    match (arguments.explore, arguments.seeds) {
        (Some(seed), _) => explore(exploration(arguments, seed)),
        (None, Some(seeds)) => many(arguments, seeds),
        (None, None) => Ok(()),
    }
}

fn exploration(arguments: &Arguments, seed: u64) -> Exploration {
    let span = Duration::from_secs(arguments.minutes.unwrap_or(15) * 60);
    Exploration { seed, span, nodes: arguments.nodes, dense: arguments.dense }
}

fn explore(exploration: Exploration) -> anyhow::Result<()> {
    let begin = Instant::now();
    let totals = exploration.run().map_err(|failed| anyhow::anyhow!("{failed}"))?;
    print_totals(&totals, begin);
    println!("  trace {:016x}", totals.hash);
    Ok(())
}

fn many(arguments: &Arguments, seeds: u64) -> anyhow::Result<()> {
    let begin = Instant::now();
    let first = exploration(arguments, arguments.from);
    let of =
        Many { first, seeds, threads: usize::from(arguments.threads), long_every: 0 }.run(|_| {});
    for (seed, broken) in &of.broken {
        println!("seed {seed}: {}", broken.what);
    }
    print_totals(&of.totals, begin);
    println!("  double runs {}, wrong fences {}", of.double_runs(), of.wrong_fences());
    anyhow::ensure!(of.broken.is_empty(), "{} of {seeds} seeds failed", of.broken.len());
    Ok(())
}

fn print_totals(totals: &Totals, begin: Instant) {
    let took = begin.elapsed().as_secs_f64();
    println!("{totals}");
    println!("  {took:.1} s, {:.0} times real time", totals.simulated.as_secs_f64() / took);
}

fn shrink(exploration: Exploration) -> anyhow::Result<()> {
    let left = |throws| eprintln!("  {throws} throws are left");
    let shrunk =
        exploration.shrink(left).context("it does not fail: there is nothing to shrink")?;
    let (before, after) = shrunk.throws;
    println!("# {}", shrunk.failed.what);
    println!("# {after} of {before} throws are left after {} runs", shrunk.attempts);
    println!("{}", shrunk.scenario);
    Ok(())
}

fn ci(arguments: &Arguments) -> anyhow::Result<()> {
    let ci = Ci {
        from: arguments.from,
        seeds: arguments.seeds.unwrap_or(2000),
        minutes: arguments.minutes.unwrap_or(4),
        threads: usize::from(arguments.threads),
    };
    let (report, well) = ci.run();
    print!("{report}");
    anyhow::ensure!(well, "see FAILED above");
    Ok(())
}

fn fleet(arguments: &Arguments, hours: f64) -> anyhow::Result<()> {
    let span = Duration::from_secs_f64(hours * 3600.0);
    let fleet = Fleet { span, ..Fleet::quiet(arguments.seed, arguments.nodes.unwrap_or(9)) };
    let table = fleet.run(|text| eprintln!("  {text}"))?;
    println!("{table}");
    anyhow::ensure!(table.wrong == 0, "a node was fenced that was not dead");
    Ok(())
}

/// One line for programs: `cargo xtask bench-scale` makes a table of several.
fn deaths(arguments: &Arguments, many: u16) -> anyhow::Result<()> {
    let nodes = arguments.nodes.unwrap_or(9);
    let fleet = Fleet { networks: arguments.networks, ..Fleet::quiet(arguments.seed, nodes) };
    let deaths = fleet.deaths(many, |text| eprintln!("  {text}"))?;
    let at = |times: &[f64], share: f64| {
        let index = (times.len().saturating_sub(1) as f64 * share).ceil() as usize;
        times.get(index).copied().unwrap_or(f64::NAN)
    };
    let (sent, seconds) = deaths.calm;
    let each = |many: u64| many as f64 / seconds / f64::from(nodes);
    println!(
        "nodes {nodes} networks {} deaths {} missed {} wrong {} suspected {:.2} suspected-worst {:.2} down {:.2} down-worst {:.2} gossip {:.2} gossip-bytes {:.0} met {:.2} pings {:.2} ping-bytes {:.0} lease {:.2} cpu {:.0} peak-mib {}",
        fleet.networks,
        deaths.down.len() + deaths.missed,
        deaths.missed,
        deaths.wrong,
        at(&deaths.suspected, 0.5),
        at(&deaths.suspected, 1.0),
        at(&deaths.down, 0.5),
        at(&deaths.down, 1.0),
        each(sent.gossip),
        each(sent.gossip_bytes),
        deaths.met,
        each(sent.pings),
        each(sent.ping_bytes),
        each(sent.lease),
        deaths.measured.cpu,
        deaths.measured.peak
    );
    Ok(())
}

/// One row of the table that `cargo xtask bench-pauses` makes.
fn pauses(arguments: &Arguments, members: u16, times: [f64; 2]) -> anyhow::Result<()> {
    let nodes = arguments.nodes.unwrap_or(9);
    let fleet = Fleet::quiet(arguments.seed, nodes);
    let [stopped, running] = times.map(Duration::from_secs_f64);
    let span = Duration::from_secs(120);
    let pauses = Pauses { members, stopped, running, span };
    let paused = fleet.pauses(pauses, |text| eprintln!("  {text}"))?;
    println!("{paused}");
    anyhow::ensure!(
        paused.wrong_verdicts() == 0,
        "a member that was never stopped was judged down"
    );
    Ok(())
}

/// As it is by default, and with windows as wide as a large cloud might open them.
fn recovery(arguments: &Arguments, vms: u16) -> anyhow::Result<()> {
    let lost = arguments.nodes.unwrap_or(40);
    let wide = Pace {
        cloud: 240,
        cell: 240,
        source: 12,
        destination: 6,
        gap: Duration::ZERO,
        per_minute: 6000,
        ..Pace::default()
    };
    for pace in [Pace::default(), wide] {
        let pace = Pace { hold_after: usize::MAX, ..pace };
        let (seed, latency) = (arguments.seed, real_latency());
        let loss = Loss { seed, lost, left: lost, vms, pace, latency };
        let recovered = loss.run(|text| eprintln!("  {text}"))?;
        println!("{recovered}\n");
    }
    Ok(())
}

fn bench(arguments: &Arguments, seconds: f64) -> anyhow::Result<()> {
    let nodes = arguments.nodes.unwrap_or(9);
    let fleet = Fleet::quiet(arguments.seed, nodes);
    let (settled, measured) = fleet.bench(seconds)?;
    println!(
        "nodes {nodes} factor {:.2} events {} peak-mib {} simulated {:.0} cpu {:.1} settled-cpu {settled:.1}",
        measured.factor(),
        measured.events,
        measured.peak,
        measured.simulated,
        measured.cpu
    );
    Ok(())
}
