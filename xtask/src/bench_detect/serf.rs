//! The peer: agents of Debian's `serf` at its defaults for a local network, one for each address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::event::Spread;
use super::processes::{self, Process};
use super::tail::Tails;
use super::tap::GOSSIP;
use super::tap::{Sent, Tap};
use super::{Idle, Kill, LOOK};

/// Where the package puts it.
pub(super) const PROGRAM: &str = "/usr/bin/serf";
/// Second and third byte of the agents' addresses.
const BLOCK: (u8, u8) = (29, 0);
const RPC: u16 = 7373;
/// Longest wait for all to know all.
const READY: Duration = Duration::from_secs(120);
/// A death that nobody notices in this time is a failed measurement.
const UNNOTICED: Duration = Duration::from_secs(60);
/// For so long an event is followed.
const EVENT: Duration = Duration::from_secs(5);
/// From the first agent that says it, how long the others are waited for.
const SPREAD: Duration = Duration::from_secs(10);

/// A running cluster.
pub(super) struct Serf {
    agents: Vec<Option<Process>>,
    logs: Tails,
}

impl Serf {
    /// Starts so many agents, and waits until the first one knows them all.
    pub(super) fn start(dir: &Path, members: u32) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut agents = Vec::new();
        let mut logs = Vec::new();
        for number in 1..=members {
            let log = dir.join(format!("{}.log", name(number)));
            let (node, bind) = (format!("-node={}", name(number)), bind(number)?);
            let join = format!("-join={}:{GOSSIP}", address(1)?);
            let rpc = format!("-rpc-addr={}:{RPC}", address(number)?);
            let mut words = vec!["agent", &node, &bind, &rpc, "-profile=lan", "-log-level=info"];
            if number > 1 {
                words.push(&join);
            }
            agents.push(Some(Process::start(&name(number), Path::new(PROGRAM), &words, &log)?));
            logs.push(log);
            // The first one must listen before the others join; all at once they would not find it.
            std::thread::sleep(Duration::from_millis(if number == 1 { 1000 } else { 30 }));
        }
        let mut serf = Self { agents, logs: Tails::of(logs) };
        serf.wait_until_all_know_all(members)?;
        Ok(serf)
    }

    fn wait_until_all_know_all(&mut self, members: u32) -> Result<()> {
        let began = Instant::now();
        loop {
            let known = [1, members / 2 + 1, members].map(known_to);
            for agent in self.agents.iter_mut().flatten() {
                agent.alive()?;
            }
            if known.iter().all(|known| known.as_ref().is_ok_and(|many| *many == members)) {
                return Ok(());
            }
            ensure!(began.elapsed() < READY, "{known:?} of {members} agents know each other");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Lets it idle so long, and tells what one agent costs.
    pub(super) fn idle(&self, span: Duration) -> Result<Idle> {
        let agents = || self.agents.iter().flatten();
        let tap = Tap::start();
        let (began, before) = (Instant::now(), processes::cpu(agents())?);
        std::thread::sleep(span);
        let (wall, after) = (began.elapsed().as_secs_f64(), processes::cpu(agents())?);
        let sent = tap.ok().map(|tap| {
            let mut all = Sent::default();
            for ((from, port), sent) in tap.stop() {
                let [127, second, third, _] = from.octets() else { continue };
                if (second, third) == BLOCK && port == GOSSIP {
                    all.add(&sent);
                }
            }
            all.over(wall * agents().count() as f64)
        });
        Ok(Idle { cost: processes::cost(agents(), after - before, wall)?, sent })
    }

    /// Sends a user event by the first agent, and tells how it spread. `idle`: packets that an agent sends in a second at
    /// rest, which are not the event's.
    pub(super) fn event(&mut self, idle: f64) -> Result<Spread> {
        const NAME: &str = "holdfast-bench";
        self.logs.read();
        let tap = Tap::start();
        let began = Instant::now();
        let rpc = format!("-rpc-addr={}:{RPC}", address(1)?);
        let sent = Command::new(PROGRAM).args(["event", &rpc, NAME]).output()?;
        ensure!(sent.status.success(), "serf sends no event");
        let mut knows = BTreeMap::<usize, f64>::new();
        while began.elapsed() < EVENT {
            for (place, line) in self.logs.read() {
                if line.contains(NAME) {
                    knows.entry(place).or_insert_with(|| began.elapsed().as_secs_f64());
                }
            }
            std::thread::sleep(LOOK);
        }
        let span = began.elapsed().as_secs_f64();
        let members = self.agents.iter().flatten().count();
        let mut packets = 0.0;
        if let Ok(tap) = tap {
            let ours = |from: &Ipv4Addr| from.octets()[1..3] == [BLOCK.0, BLOCK.1];
            let gossip = tap.stop_with_gossip().1;
            packets = gossip.iter().filter(|datagram| ours(&datagram.from)).count() as f64;
        }
        let first = knows.values().copied().fold(f64::INFINITY, f64::min);
        let times = knows.values().map(|at| at - first).collect();
        Ok(Spread::of(members, 0, times, (packets - idle * span * members as f64).max(0.0)))
    }

    /// Kills the agent at this place with SIGKILL, and waits until the others say that it failed.
    pub(super) fn kill(&mut self, place: usize) -> Result<Kill> {
        let mut agent =
            self.agents.get_mut(place).and_then(Option::take).context("no such agent")?;
        let name = name(u32::try_from(place)? + 1);
        let left = self.agents.iter().flatten().count();
        let (suspect, failed) =
            (format!("Suspect {name} has failed"), format!("EventMemberFailed: {name} "));
        self.logs.read();
        let began = Instant::now();
        agent.kill()?;
        let mut kill = Kill::default();
        let mut told = BTreeSet::new();
        while told.len() < left {
            for (place, line) in self.logs.read() {
                let at = began.elapsed().as_secs_f64();
                if line.contains(&suspect) {
                    kill.suspected.get_or_insert(at);
                }
                if line.contains(&failed) && told.insert(place) {
                    kill.first.get_or_insert(at);
                    kill.last = Some(at);
                }
            }
            let first = kill.first.map(Duration::from_secs_f64);
            ensure!(first.is_some() || began.elapsed() < UNNOTICED, "nobody misses {name}");
            if first.is_some_and(|first| began.elapsed() > first + SPREAD) {
                println!("    serf: {} of {left} agents say that {name} failed", told.len());
                break;
            }
            std::thread::sleep(LOOK);
        }
        Ok(kill)
    }
}

/// Serf's suspicion on a local network: 4 log10 N probe intervals of 1 s, and a member that is paused and comes back
/// within them refutes.
pub(super) fn tolerates(members: u32) -> f64 {
    4.0 * f64::from(members.max(1)).log10().max(1.0)
}

/// Where its package is, or why it cannot be had.
pub(super) fn is_there() -> bool {
    PathBuf::from(PROGRAM).exists()
}

fn name(number: u32) -> String {
    format!("peer-{number}")
}

fn address(number: u32) -> Result<Ipv4Addr> {
    Ok(Ipv4Addr::new(127, BLOCK.0, BLOCK.1, u8::try_from(number)?))
}

fn bind(number: u32) -> Result<String> {
    Ok(format!("-bind={}:{GOSSIP}", address(number)?))
}

/// How many members an agent calls alive.
fn known_to(number: u32) -> Result<u32> {
    let rpc = format!("-rpc-addr={}:{RPC}", address(number)?);
    let output = Command::new(PROGRAM).args(["members", &rpc, "-status=alive"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(u32::try_from(text.lines().filter(|line| line.contains("alive")).count())?)
}
