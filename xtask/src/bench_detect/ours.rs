//! Our side: three controllers, and for each node a sentinel and an agent, the real programs on loopback. Configurations
//! and watchdogs that never fire come from `hactl internal bare`; the controllers are set to `noop`, so that nobody is
//! fenced: what is measured is the verdict.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::event::Spread;
use super::processes::{self, Cost, Process};
use super::tail::Tails;
use super::tap::{GOSSIP, Sent, Tap};
use super::{Idle, Kill, LOOK, Programs};

/// For so long an event is followed.
const EVENT: Duration = Duration::from_secs(3);
/// From the start of one node to that of the next: a cloud is not switched on within a second either.
const STEP: Duration = Duration::from_millis(100);
/// Longest wait for the cluster to be well.
const READY: Duration = Duration::from_secs(300);
/// A death that nobody notices in this time is a failed measurement.
const UNNOTICED: Duration = Duration::from_secs(40);

/// A running cluster.
pub(super) struct Ours {
    hactl: PathBuf,
    told: Value,
    nodes: Vec<Node>,
    controllers: Vec<Process>,
    journals: Tails,
    // Last, so that addresses and watchdogs outlive the programs.
    _keeper: Keeper,
}

struct Node {
    name: String,
    running: Option<(Process, Process)>,
}

/// The process that keeps addresses and watchdogs.
struct Keeper(Child);

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended before, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ours {
    /// Starts so many nodes with the times of this profile, and waits until all is well.
    pub(super) fn start(
        programs: &Programs,
        dir: &Path,
        nodes: u32,
        profile: &str,
    ) -> Result<Self> {
        let (hactl, programs) = (programs.hactl.clone(), &programs.dir);
        let (keeper, told) = keep(&hactl, dir, nodes, profile)?;
        let mut controllers = Vec::new();
        let mut journals = Vec::new();
        for member in list(&told, "controllers") {
            let name = text(member, "name")?;
            let log = dir.join(format!("{name}.log"));
            let program = programs.join("ha-controller");
            let config = text(member, "config")?;
            controllers.push(Process::start(&name, &program, &["--config", &config], &log)?);
            journals.push(PathBuf::from(text(member, "journal")?));
        }
        let mut members = Vec::new();
        for member in list(&told, "nodes") {
            std::thread::sleep(STEP);
            let name = text(member, "name")?;
            let config = text(member, "config")?;
            let start = |program: &str| {
                let log = dir.join(format!("{name}-{program}.log"));
                let named = format!("{program} of {name}");
                Process::start(&named, &programs.join(program), &["--config", &config], &log)
            };
            let running = (start("ha-sentinel")?, start("ha-node-agent")?);
            members.push(Node { name, running: Some(running) });
        }
        let journals = Tails::of(journals);
        let mut ours = Self { hactl, told, nodes: members, controllers, journals, _keeper: keeper };
        ours.wait_until_well()?;
        ours.hactl(&["noop", "on"])?;
        Ok(ours)
    }

    fn wait_until_well(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            let missing = match self.hactl(&["status", "--json"]) {
                Ok(status) => match missing(&serde_json::from_str(&status)?, self.nodes.len()) {
                    None => return Ok(()),
                    Some(missing) => missing,
                },
                Err(error) => error.to_string(),
            };
            for process in self.controllers.iter_mut() {
                process.alive()?;
            }
            for (sentinel, agent) in self.nodes.iter_mut().filter_map(|n| n.running.as_mut()) {
                sentinel.alive()?;
                agent.alive()?;
            }
            ensure!(began.elapsed() < READY, "not well after {} s: {missing}", READY.as_secs());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn hactl(&self, words: &[&str]) -> Result<String> {
        let urls: Vec<&str> = list(&self.told, "urls").iter().filter_map(Value::as_str).collect();
        let token = text(&self.told, "token")?;
        let mut command = Command::new(&self.hactl);
        command.args(words).env("HOLDFAST_CONTROLLERS", urls.join(","));
        command.env("HOLDFAST_TOKEN_FILE", token).stdin(Stdio::null());
        let output = command.output().context("hactl does not start")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "hactl {}: {}", words.join(" "), told.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Lets it idle so long, and tells what that costs.
    pub(super) fn idle(&self, span: Duration) -> Result<OursIdle> {
        let agents = || self.running().map(|(_, agent)| agent);
        let sentinels = || self.running().map(|(sentinel, _)| sentinel);
        let spent = || -> Result<[f64; 3]> {
            Ok([
                processes::cpu(agents())?,
                processes::cpu(sentinels())?,
                processes::cpu(self.controllers.iter())?,
            ])
        };
        let tap = Tap::start();
        let (began, before) = (Instant::now(), spent()?);
        std::thread::sleep(span);
        let (wall, after) = (began.elapsed().as_secs_f64(), spent()?);
        let octet = self.told["octet"].as_u64().context("no octet")?;
        let mut of_nodes = [Sent::default(); 2];
        let mut of_controllers = Sent::default();
        let counted = tap.map(|tap| {
            for ((from, port), sent) in tap.stop() {
                let [127, second, _, host] = from.octets() else { continue };
                let (gossip, lease) = (port == GOSSIP, port == GOSSIP + 1);
                if u64::from(second) != octet || !(gossip || lease) {
                    continue;
                }
                if u64::from(host) <= self.controllers.len() as u64 {
                    of_controllers.add(&sent);
                } else if let Some(kind) = of_nodes.get_mut(usize::from(lease)) {
                    kind.add(&sent);
                }
            }
        });
        let (nodes, controllers) = (self.running().count() as f64, self.controllers.len() as f64);
        let each = |kind: usize| counted.is_ok().then(|| of_nodes[kind].over(wall * nodes));
        let cost = |i: usize| after[i] - before[i];
        Ok(OursIdle {
            agent: Idle { cost: processes::cost(agents(), cost(0), wall)?, sent: each(0) },
            sentinel: Idle { cost: processes::cost(sentinels(), cost(1), wall)?, sent: each(1) },
            controller: Idle {
                cost: processes::cost(self.controllers.iter(), cost(2), wall)?,
                sent: counted.is_ok().then(|| of_controllers.over(wall * controllers)),
            },
        })
    }

    fn running(&self) -> impl Iterator<Item = &(Process, Process)> {
        self.nodes.iter().filter_map(|node| node.running.as_ref())
    }

    /// Kills both programs of the node at this place with SIGKILL, and waits for the leader's verdict on all networks.
    pub(super) fn kill(&mut self, place: usize) -> Result<Kill> {
        let node = self.nodes.get_mut(place).context("no such node")?;
        let name = node.name.clone();
        let (mut sentinel, mut agent) = node.running.take().context("it is dead already")?;
        self.journals.read();
        let began = Instant::now();
        sentinel.kill()?;
        agent.kill()?;
        let mut kill = Kill::default();
        while began.elapsed() < UNNOTICED {
            for (_, line) in self.journals.read() {
                let Some(seen) = observed(&line, &name) else { continue };
                let at = began.elapsed().as_secs_f64();
                match seen {
                    Seen::Suspect => drop(kill.suspected.get_or_insert(at)),
                    Seen::Reach { all_down } => {
                        kill.first.get_or_insert(at);
                        if all_down {
                            kill.last = Some(at);
                            return Ok(kill);
                        }
                    }
                }
            }
            std::thread::sleep(LOOK);
        }
        bail!("{name} is dead since {} s, and the leader has found: {kill:?}", UNNOTICED.as_secs())
    }

    /// Has the last node fenced by hand, and tells how the event spread. Its sentinel ends by obeying, which is how we see
    /// that it was reached: it tells nobody.
    pub(super) fn event(&mut self) -> Result<Option<Spread>> {
        let node = self.nodes.last_mut().context("no node")?;
        let name = node.name.clone();
        let (mut sentinel, mut agent) = node.running.take().context("it is dead already")?;
        let octet = self.told["octet"].as_u64().context("no octet")?;
        self.hactl(&["noop", "off"])?;
        let tap = Tap::start();
        let why = ["--reason", "how an event spreads", "--person", "bench-detect"];
        let (ordered, obeyed) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| sentinel.ends_within(EVENT));
            let ordered = self.hactl(&[&["fence", &name, "--yes"], &why[..]].concat());
            std::thread::sleep(EVENT);
            (ordered, watch.join())
        });
        let seen = tap.map(Tap::stop_with_gossip);
        ordered?;
        self.hactl(&["noop", "on"])?;
        sentinel.kill()?;
        agent.kill()?;
        let Ok((_, mut gossip)) = seen else { return Ok(None) };
        gossip.retain(|datagram| u64::from(datagram.from.octets()[1]) == octet);
        let (others, controllers) = (self.running().count(), self.controllers.len());
        let obeyed = obeyed.ok().flatten().map(|after| after.as_secs_f64());
        Ok(Spread::seen(&gossip, others, u8::try_from(controllers)?, obeyed))
    }

    /// Nodes that were observed as not up without having been killed, so far; to be asked between kills.
    pub(super) fn wrongly_judged(&mut self) -> Vec<String> {
        let alive: Vec<String> = self
            .nodes
            .iter()
            .filter(|node| node.running.is_some())
            .map(|node| node.name.clone())
            .collect();
        let lines = self.journals.read();
        let of = |name: &String| {
            lines.iter().any(|(_, line)| matches!(observed(line, name), Some(Seen::Reach { .. })))
        };
        alive.into_iter().filter(of).collect()
    }
}

/// What each kind of our programs costs when nothing happens.
pub(super) struct OursIdle {
    pub(super) agent: Idle,
    pub(super) sentinel: Idle,
    pub(super) controller: Idle,
}

impl OursIdle {
    /// What a node costs: agent and sentinel.
    pub(super) fn node(&self) -> Cost {
        let (agent, sentinel) = (self.agent.cost, self.sentinel.cost);
        Cost {
            cpu: agent.cpu + sentinel.cpu,
            rss: agent.rss + sentinel.rss,
            pss: agent.pss + sentinel.pss,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Suspect,
    Reach { all_down: bool },
}

/// What a line of a journal says of this node: `TIME observe   node-7 suspect on storage`, or `... node-7 m--`.
fn observed(line: &str, name: &str) -> Option<Seen> {
    let (_, rest) = line.split_once(" observe ")?;
    let rest = rest.trim_start().strip_prefix(name)?.strip_prefix(' ')?;
    let word = rest.split_whitespace().next()?;
    if word == "suspect" {
        return Some(Seen::Suspect);
    }
    word.contains('-').then(|| Seen::Reach { all_down: word.chars().all(|letter| letter == '-') })
}

fn keep(hactl: &Path, dir: &Path, nodes: u32, profile: &str) -> Result<(Keeper, Value)> {
    let (nodes, place) = (nodes.to_string(), dir.display().to_string());
    let words = ["internal", "bare", "--nodes", &nodes, "--dir", &place, "--profile", profile];
    let mut command = Command::new(hactl);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("hactl does not start")?;
    let output = child.stdout.take().context("hactl has no output")?;
    let keeper = Keeper(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let told = serde_json::from_str(&line).context("hactl did not say what it has made")?;
    Ok((keeper, told))
}

/// What is missing before it can begin, from the controllers' picture.
fn missing(state: &Value, nodes: usize) -> Option<String> {
    let known = list(state, "nodes");
    if known.len() < nodes {
        return Some(format!("{} of {nodes} nodes are known", known.len()));
    }
    if let Some(hold) = list(state, "holds").first() {
        return Some(hold["why"].to_string());
    }
    known.iter().find_map(|node| {
        let networks = list(node, "networks");
        let bad = networks.iter().find(|network| network["reach"] != "up");
        let name = &node["name"];
        match bad {
            Some(network) => {
                Some(format!("{name} is {} on {}", network["reach"], network["network"]))
            }
            None if node["armed"] != true => Some(format!("{name} is not armed")),
            None => None,
        }
    })
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> Result<String> {
    value[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_tells_suspicion_and_reach_of_one_node() {
        let line = |text: &str| format!("2026-01-01T00:00:00.000Z observe   {text}");
        let seen = |text: &str| observed(&line(text), "node-7");
        assert_eq!(seen("node-7 suspect on storage"), Some(Seen::Suspect));
        assert_eq!(seen("node-7 m--"), Some(Seen::Reach { all_down: false }));
        assert_eq!(seen("node-7 ---"), Some(Seen::Reach { all_down: true }));
        assert_eq!(seen("node-7 mst"), None);
        assert_eq!(seen("node-71 ---"), None);
        assert_eq!(observed("2026 verdict   node-7 ---", "node-7"), None);
    }
}
