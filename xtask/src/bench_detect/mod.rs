//! How fast a dead node is noticed, and what watching costs: the real programs beside Debian's `serf`, HashiCorp's
//! memberlist and the crate `memberlist`, on the same machine in the same run, one after the other.
//!
//! A death is SIGKILL of a node's agent and sentinel, or of a member of a peer. All are read from the files that they
//! write (the controllers' journals, the members' logs), looked at every 10 ms. What idling costs is read from /proc, and
//! from a packet socket on loopback; nothing is asked of the programs.

mod cluster;
mod event;
mod memberlist;
mod ours;
mod peer;
mod processes;
mod report;
mod serf;
mod tail;
mod tap;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use self::cluster::Cluster;
use self::event::Spread;
use self::ours::{Ours, OursIdle};
use self::peer::Peer;
use self::processes::Cost;
use self::tap::Sent;
use crate::place;
use crate::steps::Steps;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// From the start of a cluster until it is taken to be at rest, at least: both sides compare their states every 30 s.
const SETTLE: Duration = Duration::from_secs(35);
/// Each member probes one other in this time, and each other once in a round. Two of ours name themselves in full, by 110
/// bytes more, until they have met: whoever measures before the end of the first round measures how they meet.
const PROBE: Duration = Duration::from_secs(1);
/// Before the kills where nothing was measured at rest.
const SETTLE_SHORT: Duration = Duration::from_secs(10);
/// Least time between two kills; up to as much again is added, so that no phase is preferred.
const BETWEEN: Duration = Duration::from_millis(1500);
/// The share of its nodes that a cluster may lose in these kills: more is a storm, not a death.
const MOST_KILLED: f64 = 0.25;

/// What is to be measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Members, for one run each
    #[arg(long, value_delimiter = ',', default_values_t = [30, 100], value_parser = clap::value_parser!(u32).range(8..=180))]
    members: Vec<u32>,
    /// Members that are killed, one after the other, on each side
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=45))]
    kills: u32,
    /// Seconds for which idling is measured
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..))]
    idle: u64,
    /// Who is measured beside us
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Serf, Peer::MemberlistGo, Peer::MemberlistGoAlpha2, Peer::MemberlistRs])]
    peers: Vec<Peer>,
    /// Chooses who is killed, and when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measure the programs that the tests were built with, not those that are shipped
    #[arg(long)]
    built: bool,
}

/// What one kind of program costs when nothing happens, each.
#[derive(Clone, Copy, Debug)]
struct Idle {
    cost: Cost,
    /// What it sends in a second; nothing where packets may not be counted.
    sent: Option<Sent>,
}

/// What became of a death, in seconds since the kill.
#[derive(Clone, Copy, Debug, Default)]
struct Kill {
    /// Somebody's probe was not answered: ours at the leader, a peer's at any member.
    suspected: Option<f64>,
    /// Ours: down on a first network. A peer: a first member calls it dead.
    first: Option<f64>,
    /// Ours: down on all networks. A peer: the last member calls it dead.
    last: Option<f64>,
}

/// One side of one size.
struct Side<I> {
    idle: I,
    /// How an event spread; nothing where packets may not be counted.
    event: Option<Spread>,
    kills: Vec<Kill>,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    let mut steps = Steps::default();
    let peers: Vec<(Peer, PathBuf)> = args
        .peers
        .iter()
        .filter_map(|peer| peer.program(&mut steps).map(|program| (*peer, program)))
        .collect();
    let programs = if args.built { Programs::of_tests() } else { Programs::shipped()? };
    let mut missed = Vec::new();
    for members in &args.members {
        missed.extend(size(args, *members, &programs, &peers)?);
    }
    for skipped in &steps.skipped {
        println!("SKIPPED {skipped}");
    }
    ensure!(missed.is_empty(), "goals missed: {}", missed.join("; "));
    Ok(())
}

/// The programs that are measured, and the one that makes their files.
struct Programs {
    dir: PathBuf,
    hactl: PathBuf,
}

impl Programs {
    /// Builds them as they are shipped. A `hactl` that tests have built already may be named by `HOLDFAST_HACTL`: it is
    /// not measured, and takes longest to build.
    fn shipped() -> Result<Self> {
        let dir = place::target().join("release");
        let given = std::env::var_os("HOLDFAST_HACTL").map(PathBuf::from);
        let mut arguments = vec!["build", "--release", "-p", "node-agent", "-p", "controller"];
        if given.is_none() {
            arguments.extend(["-p", "hactl"]);
        }
        ensure!(place::cargo(&arguments).status()?.success(), "the programs do not build");
        let hactl = given.unwrap_or_else(|| dir.join("hactl"));
        Ok(Self { dir, hactl })
    }

    /// Those of `cargo build --workspace --bins` or of the tests: our own crates optimised, those of others hardly.
    fn of_tests() -> Self {
        let dir = place::target().join("debug");
        let hactl = dir.join("hactl");
        Self { dir, hactl }
    }
}

/// Measures and prints one size. Answers the goals that were missed, and the peers that could not be measured.
fn size(
    args: &Args,
    members: u32,
    programs: &Programs,
    peers: &[(Peer, PathBuf)],
) -> Result<Vec<String>> {
    let kills = args.kills.min((f64::from(members) * MOST_KILLED) as u32).max(1);
    let span = Duration::from_secs(args.idle);
    let mut dice = Dice(args.seed ^ u64::from(members));
    println!("\n{members} members, {kills} kills a side, seed {}, load {}", args.seed, load());
    let balanced = holdfast(programs, members, "balanced", kills, Some(span), &mut dice)?;
    println!("    load {}", load());
    let fast = holdfast(programs, members, "fast", kills, None, &mut dice)?;
    println!("    load {}", load());
    let mut measured = Vec::new();
    let mut missed = Vec::new();
    for (peer, program) in peers {
        // What the others came to is not thrown away for it.
        match beside(*peer, program, members, kills, span, &mut dice) {
            Ok(side) => measured.push((*peer, side)),
            Err(error) => {
                println!("    {}: {error:#}", peer.name());
                missed.push(format!("{members} members: {} was not measured", peer.name()));
            }
        }
        println!("    load {}", load());
    }
    let idle = balanced.idle.context("idling was measured")?;
    let balanced = Side { idle, event: balanced.event, kills: balanced.kills };
    missed.extend(report::print(members, &balanced, &fast.kills, &measured));
    Ok(missed)
}

/// A peer's side.
fn beside(
    peer: Peer,
    program: &Path,
    members: u32,
    kills: u32,
    span: Duration,
    dice: &mut Dice,
) -> Result<Side<Idle>> {
    let mut cluster = Cluster::start(peer, program, &scratch(peer.name())?, members)?;
    println!("  {}: {members} members, at rest for {} s", peer.name(), span.as_secs());
    std::thread::sleep(settle(members));
    let idle = cluster.idle(span)?;
    let event = cluster.event(idle.sent.map_or(0.0, |sent| sent.packets))?;
    println!("    event: {event}");
    let kills = killed(members, kills, dice, |place| cluster.kill(place))?;
    Ok(Side { idle, event: Some(event), kills })
}

/// Our side, with the times of a profile.
fn holdfast(
    programs: &Programs,
    members: u32,
    profile: &str,
    kills: u32,
    idle: Option<Duration>,
    dice: &mut Dice,
) -> Result<Side<Option<OursIdle>>> {
    let dir = scratch(profile)?;
    let mut ours = Ours::start(programs, &dir, members, profile)?;
    println!("  holdfast, profile {profile}: {members} nodes and 3 controllers are well");
    std::thread::sleep(if idle.is_some() { settle(members) } else { SETTLE_SHORT });
    ours.wrongly_judged();
    let idle = idle.map(|span| ours.idle(span)).transpose()?;
    let wrong = ours.wrongly_judged();
    ensure!(wrong.is_empty(), "nothing was killed, and judged down: {}", wrong.join(", "));
    // Before the kills: whoever is dead by then would be fenced too. It costs a node, whose fence stays open for want of a
    // BMC, so only one run does it.
    let event = if idle.is_some() { ours.event()? } else { None };
    if let Some(event) = &event {
        println!("    event: {event}");
        std::thread::sleep(SETTLE_SHORT);
    }
    ours.wrongly_judged();
    let left = if idle.is_some() { members - 1 } else { members };
    let kills = killed(left, kills, dice, |place| ours.kill(place))?;
    let wrong = ours.wrongly_judged();
    ensure!(wrong.is_empty(), "alive, and judged down: {}", wrong.join(", "));
    Ok(Side { idle, event, kills })
}

/// How long a cluster of so many is left alone before it is at rest.
fn settle(members: u32) -> Duration {
    SETTLE.max(PROBE * members + BETWEEN)
}

fn killed(
    members: u32,
    kills: u32,
    dice: &mut Dice,
    mut kill: impl FnMut(usize) -> Result<Kill>,
) -> Result<Vec<Kill>> {
    let mut places: Vec<usize> = (0..members as usize).collect();
    let mut all = Vec::new();
    for _ in 0..kills {
        let chosen = places.swap_remove(dice.below(places.len() as u64) as usize);
        std::thread::sleep(BETWEEN + BETWEEN.mul_f64(dice.below(1000) as f64 / 1000.0));
        let seen = kill(chosen)?;
        let tell = |at: Option<f64>| at.map_or("-".to_owned(), |at| format!("{at:.2}"));
        let Kill { suspected, first, last } = seen;
        println!(
            "    killed: suspected {}, down {}, everywhere {} s",
            tell(suspected),
            tell(first),
            tell(last)
        );
        all.push(seen);
    }
    Ok(all)
}

/// An empty directory for what programs write.
fn scratch(name: &str) -> Result<PathBuf> {
    let dir = place::target().join("bench-detect").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// The machine's load averages.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Numbers that look random, from a seed.
struct Dice(u64);

impl Dice {
    /// The next one, below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        // Steele, Lea, Flood: SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_killed_follows_from_the_seed_and_nobody_is_killed_twice() {
        let order = |seed| {
            let mut order = Vec::new();
            let mut dice = Dice(seed);
            let mut places: Vec<usize> = (0..30).collect();
            for _ in 0..6 {
                order.push(places.swap_remove(dice.below(places.len() as u64) as usize));
            }
            order
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut once = order(1);
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), 6);
    }
}
