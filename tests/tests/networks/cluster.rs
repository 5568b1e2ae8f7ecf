//! The programs, each in its host's namespace, and what the controllers make of the nodes.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::journal::Place;
use super::{NODES, must};

/// Longest wait for all to be well.
const READY: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// A picture that has not changed for so long is the one that counts.
const STILL: Duration = Duration::from_secs(4);
/// Fewer looks than these have seen nothing.
const LOOKS: usize = 8;
/// Longest wait for a picture that does not change.
const RESTLESS: Duration = Duration::from_secs(40);

/// What the leader says of all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    down: BTreeSet<Place>,
    unknown: BTreeSet<Place>,
    /// Judged down at any time since it was forgotten what was.
    ever_down: BTreeSet<Place>,
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |places: &BTreeSet<Place>| {
            let words = places.iter().map(|(node, network)| format!("{node} on {network}"));
            let words: Vec<String> = words.collect();
            if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
        };
        write!(f, "down: {}; unknown: {}", list(&self.down), list(&self.unknown))?;
        let for_a_while: BTreeSet<Place> = self.ever_down.difference(&self.down).cloned().collect();
        if !for_a_while.is_empty() {
            write!(f, "; down for a while: {}", list(&for_a_while))?;
        }
        Ok(())
    }
}

/// A running cluster.
pub(crate) struct Cluster {
    hactl: PathBuf,
    urls: String,
    token: String,
    journals: Vec<PathBuf>,
    ever_down: BTreeSet<Place>,
    // Dropped before the process that keeps the watchdogs.
    _programs: Vec<Program>,
    _keeper: Program,
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended before, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Cluster {
    /// Starts three controllers and the nodes, and waits until all is well.
    pub(crate) fn start(programs: &Path, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let hactl = programs.join("hactl");
        let (keeper, told) = keep(&hactl, dir)?;
        let loopback = format!("127.{}.", told["octet"].as_u64().context("no octet")?);
        // Before a controller starts, for it reads its inventory once.
        moved(&dir.join("inventory.toml").display().to_string(), &loopback)?;
        let (mut running, mut journals) = (Vec::new(), Vec::new());
        for member in list(&told, "controllers") {
            journals.push(PathBuf::from(text(member, "journal")?));
            let config = moved(&text(member, "config")?, &loopback)?;
            let host = format!("c{}", member["host"].as_u64().context("no host")?);
            running.push(start(&host, &programs.join("ha-controller"), &config, dir)?);
        }
        for member in list(&told, "nodes") {
            let config = moved(&text(member, "config")?, &loopback)?;
            let host = format!("n{}", member["host"].as_u64().context("no host")? - 10);
            for program in ["ha-sentinel", "ha-node-agent"] {
                running.push(start(&host, &programs.join(program), &config, dir)?);
            }
        }
        let urls: Vec<&str> = list(&told, "urls").iter().filter_map(Value::as_str).collect();
        let mut cluster = Self {
            hactl,
            urls: urls.join(",").replace(&loopback, "198.18."),
            token: text(&told, "token")?,
            journals,
            ever_down: BTreeSet::new(),
            _programs: running,
            _keeper: keeper,
        };
        let ready = cluster.wait_until_well()?;
        eprintln!("all are well after {:.1} s", ready.as_secs_f64());
        // Nobody is fenced: the verdict is what is looked at.
        cluster.hactl(&["noop", "on"])?;
        Ok(cluster)
    }

    /// Waits until every node is up on every network, and answers how long that took.
    pub(crate) fn wait_until_well(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        loop {
            let missing = match self.look() {
                Ok(picture) if picture.down.is_empty() && picture.unknown.is_empty() => {
                    return Ok(begin.elapsed());
                }
                Ok(picture) => picture.to_string(),
                Err(error) => format!("{error:#}"),
            };
            ensure!(begin.elapsed() < READY, "not well after {} s: {missing}", READY.as_secs());
            std::thread::sleep(LOOK);
        }
    }

    /// What was judged so far does not count any more.
    pub(crate) fn forget(&mut self) {
        self.ever_down.clear();
    }

    /// Looks on for so long at least, and until the picture stands still.
    pub(crate) fn watch(&mut self, lasts: Duration) -> Result<Picture> {
        let begin = Instant::now();
        let (mut last, mut since, mut looked) = (Picture::default(), Instant::now(), 0);
        loop {
            match self.look() {
                Ok(picture) => {
                    looked += 1;
                    if (&picture.down, &picture.unknown) != (&last.down, &last.unknown) {
                        (last, since) = (picture, Instant::now());
                    }
                }
                // A leader that gives its role up answers nothing for a moment; who was not seen does not stand still.
                Err(_) => since = Instant::now(),
            }
            if begin.elapsed() >= lasts && since.elapsed() >= STILL && looked >= LOOKS {
                last.ever_down.clone_from(&self.ever_down);
                return Ok(last);
            }
            ensure!(begin.elapsed() < RESTLESS, "the picture does not stand still: {last}");
            std::thread::sleep(LOOK);
        }
    }

    /// The controllers' journals.
    pub(crate) fn journals(&self) -> &[PathBuf] {
        &self.journals
    }

    /// What `hactl nodes` shows of every node on every network.
    pub(crate) fn nodes(&self) -> Result<Vec<(Place, Value)>> {
        let nodes: Vec<Value> = serde_json::from_str(&self.hactl(&["nodes", "--json"])?)?;
        ensure!(nodes.len() == usize::from(NODES), "{} nodes are known", nodes.len());
        let mut places = Vec::new();
        for node in &nodes {
            let name = text(node, "name")?;
            for network in list(node, "networks") {
                places.push(((name.clone(), text(network, "network")?), network.clone()));
            }
        }
        Ok(places)
    }

    fn look(&mut self) -> Result<Picture> {
        let mut picture = Picture::default();
        for (place, network) in self.nodes()? {
            match text(&network, "reach")?.as_str() {
                "up" | "suspect" => {}
                "down" => drop(picture.down.insert(place)),
                _ => drop(picture.unknown.insert(place)),
            }
        }
        self.ever_down.extend(picture.down.iter().cloned());
        Ok(picture)
    }

    fn hactl(&self, words: &[&str]) -> Result<String> {
        let hactl = self.hactl.display().to_string();
        let access = ["--controllers", &self.urls, "--token-file", &self.token];
        must(&hactl, &[words, &access].concat())
    }
}

/// The process that has made the files, and keeps the watchdogs from firing.
fn keep(hactl: &Path, dir: &Path) -> Result<(Program, Value)> {
    let (nodes, place) = (NODES.to_string(), dir.display().to_string());
    let mut command = Command::new(hactl);
    command.args(["internal", "bare", "--nodes", &nodes, "--dir", &place]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("hactl does not start")?;
    let output = child.stdout.take().context("hactl has no output")?;
    let keeper = Program(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok((keeper, serde_json::from_str(&line).context("hactl did not say what it has made")?))
}

/// Has a file name the addresses of the bridges where it names those of loopback.
fn moved(file: &str, loopback: &str) -> Result<String> {
    let content = fs::read_to_string(file).with_context(|| file.to_owned())?;
    fs::write(file, content.replace(loopback, "198.18."))?;
    Ok(file.to_owned())
}

/// Starts a program in the namespace of a host. It ends with this process, however that ends.
fn start(host: &str, program: &Path, config: &str, dir: &Path) -> Result<Program> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let log = File::create(dir.join(format!("{host}-{name}.log")))?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, "setpriv", "--pdeathsig", "KILL"]).arg(program);
    command.args(["--config", config]).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().map(Program).with_context(|| format!("{name} of {host} does not start"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> Result<String> {
    value[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"))
}
