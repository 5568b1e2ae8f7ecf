//! A cluster of one of the peers: one process for each address, read from their logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use super::event::Spread;
use super::peer::{Peer, Said, member};
use super::processes::{self, Process};
use super::tail::Tails;
use super::tap::{GOSSIP, Sent, Tap};
use super::{Idle, Kill, LOOK, serf};

/// Longest wait for all to know all.
const READY: Duration = Duration::from_secs(120);
/// A death that nobody notices in this time is a failed measurement.
const UNNOTICED: Duration = Duration::from_secs(60);
/// For so long an event is followed.
const EVENT: Duration = Duration::from_secs(5);
/// From the first member that says it, how long the others are waited for.
const SPREAD: Duration = Duration::from_secs(10);

/// A running cluster.
pub(super) struct Cluster {
    peer: Peer,
    program: PathBuf,
    members: Vec<Option<Process>>,
    logs: Tails,
}

impl Cluster {
    /// Starts so many members, and waits until each knows them all.
    pub(super) fn start(peer: Peer, program: &Path, dir: &Path, members: u32) -> Result<Self> {
        let mut processes = Vec::new();
        let mut logs = Vec::new();
        for number in 1..=members {
            let log = dir.join(format!("{}.log", member(number)));
            let words = peer.words(number)?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            processes.push(Some(Process::start(&member(number), program, &words, &log)?));
            logs.push(log);
            // The first one must listen before the others join; all at once they would not find it.
            std::thread::sleep(Duration::from_millis(if number == 1 { 1000 } else { 30 }));
        }
        let (program, logs) = (program.to_owned(), Tails::of(logs));
        let mut cluster = Self { peer, program, members: processes, logs };
        cluster.wait_until_all_know_all()?;
        Ok(cluster)
    }

    fn wait_until_all_know_all(&mut self) -> Result<()> {
        let began = Instant::now();
        let all = self.members.len();
        let mut known = vec![BTreeSet::new(); all];
        while known.iter().any(|known| known.len() < all) {
            for (place, line) in self.logs.read() {
                let Some(known) = known.get_mut(place) else { continue };
                match self.peer.read(&line) {
                    Some(Said::Joined(name)) => drop(known.insert(name.to_owned())),
                    Some(Said::Dead(name)) => drop(known.remove(name)),
                    Some(Said::Suspects(_) | Said::Event) | None => {}
                }
            }
            for process in self.members.iter_mut().flatten() {
                process.alive()?;
            }
            let least = known.iter().map(BTreeSet::len).min().unwrap_or_default();
            ensure!(began.elapsed() < READY, "a member knows {least} of {all}");
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Lets it idle so long, and tells what one member costs.
    pub(super) fn idle(&self, span: Duration) -> Result<Idle> {
        let members = || self.members.iter().flatten();
        let tap = Tap::start();
        let (began, before) = (Instant::now(), processes::cpu(members())?);
        std::thread::sleep(span);
        let (wall, after) = (began.elapsed().as_secs_f64(), processes::cpu(members())?);
        let sent = tap.ok().map(|tap| {
            let mut all = Sent::default();
            for ((from, port), sent) in tap.stop() {
                if self.peer.owns(from) && port == GOSSIP {
                    all.add(&sent);
                }
            }
            all.over(wall * members().count() as f64)
        });
        Ok(Idle { cost: processes::cost(members(), after - before, wall)?, sent })
    }

    /// Sends an event by the first member, and tells how it spread. `idle`: packets that a member sends in a second at
    /// rest, which are not the event's.
    pub(super) fn event(&mut self, idle: f64) -> Result<Spread> {
        self.logs.read();
        let tap = Tap::start();
        let began = Instant::now();
        self.send_event()?;
        let mut knows = BTreeMap::<usize, f64>::new();
        while began.elapsed() < EVENT {
            for (place, line) in self.logs.read() {
                if self.peer.read(&line) == Some(Said::Event) {
                    knows.entry(place).or_insert_with(|| began.elapsed().as_secs_f64());
                }
            }
            std::thread::sleep(LOOK);
        }
        let span = began.elapsed().as_secs_f64();
        let members = self.members.iter().flatten().count();
        let mut packets = 0.0;
        if let Ok(tap) = tap {
            let gossip = tap.stop_with_gossip().1;
            let theirs = gossip.iter().filter(|datagram| self.peer.owns(datagram.from));
            packets = theirs.count() as f64;
        }
        let first = knows.values().copied().fold(f64::INFINITY, f64::min);
        let times = knows.values().map(|at| at - first).collect();
        Ok(Spread::of(members, 0, times, (packets - idle * span * members as f64).max(0.0)))
    }

    fn send_event(&self) -> Result<()> {
        match self.peer {
            Peer::Serf => serf::send_event(&self.program),
            Peer::MemberlistGo | Peer::MemberlistGoAlpha2 | Peer::MemberlistRs => {
                let first = self.members.first().and_then(Option::as_ref);
                first.context("nobody is there")?.signal(Signal::SIGUSR1)
            }
        }
    }

    /// Kills the member at this place with SIGKILL, and waits until the others call it dead.
    pub(super) fn kill(&mut self, place: usize) -> Result<Kill> {
        let chosen = self.members.get_mut(place).and_then(Option::take);
        let mut process = chosen.context("no such member")?;
        let name = member(u32::try_from(place)? + 1);
        let left = self.members.iter().flatten().count();
        self.logs.read();
        let began = Instant::now();
        process.kill()?;
        let mut kill = Kill::default();
        let mut told = BTreeSet::new();
        while told.len() < left {
            for (place, line) in self.logs.read() {
                let at = began.elapsed().as_secs_f64();
                match self.peer.read(&line) {
                    Some(Said::Suspects(whom)) if whom == name => {
                        kill.suspected.get_or_insert(at);
                    }
                    Some(Said::Dead(whom)) if whom == name && told.insert(place) => {
                        kill.first.get_or_insert(at);
                        kill.last = Some(at);
                    }
                    Some(Said::Joined(_) | Said::Suspects(_) | Said::Dead(_) | Said::Event)
                    | None => {}
                }
            }
            let first = kill.first.map(Duration::from_secs_f64);
            ensure!(first.is_some() || began.elapsed() < UNNOTICED, "nobody misses {name}");
            if first.is_some_and(|first| began.elapsed() > first + SPREAD) {
                println!(
                    "    {}: {} of {left} members call {name} dead",
                    self.peer.name(),
                    told.len()
                );
                break;
            }
            std::thread::sleep(LOOK);
        }
        Ok(kill)
    }
}
