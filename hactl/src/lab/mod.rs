//! `hactl lab`: a whole cluster on this machine, as real processes, in which a node fails.
//!
//! ```text
//!  hactl lab: cables, power, BMCs, watchdogs, Nova (stand-ins)          crew, machine, cables, watchdog, nova
//!    |- hactl internal controller  x3       the real programs, started from this same file
//!    |- hactl internal sentinel    xN
//!    |- hactl internal agent       xN
//!    '- hactl internal compute     xN       pretended hypervisors, which write to a shared disk: the witness
//!
//!  plan, files -> crew (starts) -> ready (waits) -> story (fault, timeline) -> judge -> closing
//! ```
//! Nothing in the lab tells the controllers what happened; they have to find out as on real nodes.

mod bare;
mod cables;
mod child;
mod closing;
mod cloud;
mod compute;
mod controller;
mod crew;
mod defects;
mod fail;
mod files;
mod follow;
pub mod internal;
mod journal;
mod judge;
mod machine;
pub mod nova;
mod plan;
mod ready;
mod real_nova;
mod story;
mod timeline;
mod watchdog;
mod witness;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use fencing::lease::Profile;
use tokio::signal::unix::{SignalKind, signal};

pub use fail::{Fail, Moment};

use crew::{Crew, Place};
use real_nova::RealNova;
use timeline::Timeline;

use crate::terminal::Terminal;

const MORE: &str = "\
Examples:
  hactl lab                            power of a node fails
  hactl lab --fail bmc-and-power       and its BMC with it: the lease is waited out
  hactl lab --fail none --keep         a cluster to look at with the other commands
  hactl lab --defects                  what hactl check says of nodes that would not be recovered
  hactl lab --kill-leader-at fenced    the leading controller dies on the way

Exit codes: 0 it ended as it must, 1 it did not (a VM did not come back, or ran twice), or it could not be started.";

/// A whole cluster on this machine, to learn and to try.
///
/// Starts 3 controllers and several nodes as real processes on loopback, with three networks, a BMC for each node that
/// speaks IPMI, and a small stand-in for Nova; boots VMs, makes a node fail, and prints what happens. It ends all that it
/// started. Nothing outside of 127.0.0.0/8 is touched, and nothing needs root.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// How many nodes.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(3..=12))]
    pub nodes: u8,

    /// How many VMs; by default two on each node.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub vms: Option<u16>,

    /// What fails.
    #[arg(long, value_enum, default_value_t = Fail::Power)]
    pub fail: Fail,

    /// Go on running at the end until Ctrl-C, and print the environment for `hactl`.
    #[arg(long)]
    pub keep: bool,

    /// How long a BMC takes to switch off.
    #[arg(long, default_value = "4s", value_parser = humantime::parse_duration)]
    pub bmc_takes: Duration,

    /// Keep configurations, journals and logs in this directory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Chooses the node that fails; random if it is not given.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Nothing fails: five of six nodes have a defect each, and `hactl check` must tell every one of them.
    #[arg(long, conflicts_with_all = ["fail", "nodes", "vms", "kill_leader_at", "nova_env"])]
    pub defects: bool,

    /// Use a real Nova in place of the stand-in: the file `env` that tests/support/nova/up.sh makes. Its hosts compute-1,
    /// compute-2, ... belong to node-1, node-2, ...; no VMs are booted, and no end is judged. For tests.
    #[arg(long, value_name = "FILE", hide = true, requires = "keep")]
    pub nova_env: Option<PathBuf>,

    /// Kill the leading controller with SIGKILL at this moment of the recovery, and start it again 5 s later.
    #[arg(long, value_enum)]
    pub kill_leader_at: Option<Moment>,
}

/// Runs a lab. With `json` the closing result is printed for programs, and people are told on stderr.
///
/// # Errors
/// What could not be started, or what did not end as it must.
pub async fn run(args: Args, json: bool) -> anyhow::Result<()> {
    let look = Terminal::of_process().look;
    let timeline = Timeline::new(look, json);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let place = args.dir.clone().map_or(Place::Temporary, Place::Here);
    let real = args.nova_env.as_deref().map(RealNova::read).transpose()?;
    let mut crew =
        Crew::gather(place, args.nodes, args.defects, args.bmc_takes, real, &timeline).await?;
    // Whatever ends it, the crew is dropped and with it all that was started.
    tokio::select! {
        result = play(&mut crew, &args, json, &timeline) => result,
        _ = interrupt.recv() => stopped(&args),
        _ = terminate.recv() => stopped(&args),
    }
}

fn stopped(args: &Args) -> anyhow::Result<()> {
    if args.keep { Ok(()) } else { anyhow::bail!("stopped before its end; all is cleaned up") }
}

async fn play(crew: &mut Crew, args: &Args, json: bool, timeline: &Timeline) -> anyhow::Result<()> {
    let seed = match args.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(std::io::Error::other)? % 1_000_000,
    };
    let vms = args.vms.unwrap_or(u16::from(args.nodes) * 2);
    introduce(crew, args, seed, timeline);
    if args.nova_env.is_some() {
        ready::bring_up_without_vms(crew, timeline).await?;
        stay(crew, timeline).await;
    }
    if args.defects {
        defects::show(crew, timeline).await?;
        if args.keep {
            stay(crew, timeline).await;
        }
        return Ok(());
    }
    ready::bring_up(crew, vms, timeline).await?;
    let index = usize::try_from(seed % u64::from(args.nodes)).unwrap_or(0);
    let node = crew.plan.nodes.get(index).map(|node| node.name.clone()).unwrap_or_default();
    timeline.heading(&format!("{node}: --fail {} (seconds since the fault)", args.fail));
    let story = story::tell(crew, args.fail, &node, args.kill_leader_at, timeline).await?;
    let closing = judge::judge(crew, &story, seed).await;
    timeline.heading("What it took");
    timeline.print(&closing::page(&closing, timeline.look()));
    if json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &closing)?;
        writeln!(out)?;
    }
    if args.keep {
        stay(crew, timeline).await;
    }
    if closing.ok {
        return Ok(());
    }
    anyhow::bail!("{} of what must be is not (seed {seed})", closing.problems.len())
}

/// What differs from production, before anything runs.
fn introduce(crew: &Crew, args: &Args, seed: u64, timeline: &Timeline) {
    let times = Profile::Fast.times();
    let waits: Vec<String> =
        files::WAITS.iter().map(|(wait, time)| format!("{wait} {time}")).collect();
    timeline.progress(&format!(
        "lab of {} controllers and {} nodes, networks {}, seed {seed}\n\
         profile fast: lease {} s, vouch {} s, watchdog {} s; wL {:.1} s\n\
         stand-in watchdogs, which the configuration allows for E2 by name\n\
         waits shortened by configuration: {} (production: grace 300s)\n\
         BMCs take {} to switch off\n\
         files in {}",
        crew.controllers.len(),
        args.nodes,
        plan::NETWORKS.join(", "),
        times.lease.as_secs(),
        times.vouch.as_secs(),
        times.watchdog.as_secs(),
        times.wait_after_intent().as_secs_f64(),
        waits.join(", "),
        humantime::format_duration(args.bmc_takes),
        crew.plan.dir.display(),
    ));
}

/// Leaves all running, until the signal that ends the lab.
async fn stay(crew: &Crew, timeline: &Timeline) {
    timeline.print(&format!(
        "\nIt goes on running until Ctrl-C. In another terminal:\n\n  \
         export HOLDFAST_CONTROLLERS={}\n  export HOLDFAST_TOKEN_FILE={}\n  hactl status\n\n",
        crew.plan.urls().join(","),
        crew.plan.token_file().display(),
    ));
    std::future::pending::<()>().await;
}
