//! The language: what a line may be, and what is said about one that is not.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use controller::core::Patience;
use controller::nova::AggregateRecord;
use fencing::lease::Profile;

use super::deeds::Doer;
use super::recovery::{self, NewVm};
use super::{checks, deeds, orders};
use crate::world::Plan;

/// A scenario that was read.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What its cluster is made from.
    pub plan: Plan,
    pub(super) blocks: Vec<Block>,
}

/// Lines up to an empty one.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    /// Comments and commands as they stand in the file.
    pub(super) text: Vec<String>,
    pub(super) commands: Vec<(usize, Command)>,
    /// What stands below `----`.
    pub(super) golden: Option<Vec<String>>,
}

/// A command.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// The cluster; read before anything else.
    Cluster,
    Vm(Box<NewVm>),
    Aggregate(AggregateRecord),
    /// An image of Glance and its tag.
    Image(String, String),
    /// A line of the policy; read with the cluster.
    Policy,
    Do(Doer),
    Run(Duration),
    /// Time passes until a line of the story contains this.
    RunUntil(String),
    Order(api::Request),
    /// No more faults from here on: liveness is judged.
    Calm,
    /// A controller may find that its state contradicts the others'.
    MayHalt,
    Expect(Expectation),
}

/// What must hold, beside all oracles.
#[derive(Clone, Debug)]
pub(super) enum Expectation {
    /// An oracle of this name had something to judge.
    Oracle(String),
    /// A VM runs on this node and nowhere else; `None`: anywhere, once.
    Runs { vm: String, node: Option<u16> },
    /// A VM runs nowhere.
    Down { vm: String },
    /// No node was reset.
    NoReset,
    /// No FenceIntent was committed.
    NoFence,
    /// Nothing was evacuated.
    NoEvacuation,
    /// So many POSTs of evacuations left.
    Evacuations(u32),
    /// So many POSTs of reboots of VMs left.
    Reboots(u32),
    /// So many nodes were reset by watchdog or sentinel.
    Resets(u32),
    /// What Nova says of a node's nova-compute.
    Compute(u16, Compute),
    /// A line of the story contains this.
    Told(String),
    /// No line of it does.
    NotTold(String),
    /// `hactl check` says something with these words of a node.
    Doubt(u16, String),
    /// It does not say so.
    NoDoubt(u16, String),
}

/// A state of a nova-compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compute {
    Enabled,
    Disabled,
    ForcedDown,
    NotForcedDown,
}

/// A line that is not a command. The scenario is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadScenario {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub what: String,
}

/// What a line may begin with.
const COMMANDS: &str = "cluster, vm, aggregate, image, policy, cut, heal, lossy, delay, twice, jitter, deaf, flap, island, network, split, join, \
                        apart, together, power, crash, boot, stall, resume, kill, start, bmc, watchdog, check, nova, glance, user, guest, controller, \
                        disk, step-clock, drift, sabotage, calm, may, run, hactl, expect";

impl Scenario {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first line that is no command, with what is allowed there.
    pub fn parse(text: &str) -> Result<Self, BadScenario> {
        let mut plan = None;
        let mut blocks = Vec::new();
        let mut block = Block::default();
        let mut policy = String::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let bad = |what: String| BadScenario { line: number, what };
            if line.trim().is_empty() {
                blocks.push(std::mem::take(&mut block));
                continue;
            }
            if let Some(golden) = &mut block.golden {
                golden.push(line.trim_end().to_owned());
                continue;
            }
            if line.trim() == "----" {
                block.golden = Some(Vec::new());
                continue;
            }
            block.text.push(line.trim_end().to_owned());
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((&first, rest)) = words.split_first() else { continue };
            if first.starts_with('#') {
                continue;
            }
            let command = match first {
                "cluster" if plan.is_none() => {
                    plan = Some(cluster(rest).map_err(bad)?);
                    Command::Cluster
                }
                "policy" => {
                    policy.push_str(line.trim_start().trim_start_matches("policy").trim());
                    policy.push('\n');
                    Command::Policy
                }
                "cluster" => return Err(bad("there is one cluster in a scenario".to_owned())),
                _ => {
                    let Some(plan) = &plan else {
                        return Err(bad(format!(
                            "`{first}` comes before `cluster`, which is the first command"
                        )));
                    };
                    command(plan, first, rest).map_err(bad)?
                }
            };
            block.commands.push((number, command));
        }
        blocks.push(block);
        blocks.retain(|block| !block.text.is_empty());
        let last = text.lines().count();
        let mut plan = plan.ok_or_else(|| BadScenario {
            line: last,
            what: "there is no `cluster controllers=N nodes=N`".to_owned(),
        })?;
        let bad = |what| BadScenario { line: last, what };
        recovery::policy(&mut plan, &policy).map_err(bad)?;
        Ok(Self { plan, blocks })
    }
}

fn cluster(words: &[&str]) -> Result<Plan, String> {
    let mut plan = Plan::new(1, 4);
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            return Err(format!("`{word}`: write KEY=VALUE"));
        };
        let small = |_| format!("`{word}`: {key} is a small number");
        let number = || value.parse::<u16>().map_err(small);
        match key {
            "controllers" => plan.controllers = value.parse().map_err(small)?,
            "nodes" => plan.nodes = number()?,
            "domains" => plan.domains = number()?,
            "seed" => {
                plan.seed = value.parse().map_err(|_| format!("`{word}`: seed is a number"))?
            }
            "reckoned_by" => plan.reckoned_by = Some(profile(word, value)?),
            "grace" => plan.waits.grace = duration(value)?,
            "dump_begins" => plan.waits.dump_begins = duration(value)?,
            "dump_ends" => plan.waits.dump_ends = duration(value)?,
            "profile" => {
                plan.profile = profile(word, value)?;
            }
            "second_level" => plan.second_level = nodes(value)?,
            "via" => plan.via = via(value)?,
            "two_outlets" => plan.two_outlets = nodes(value)?,
            "without_bmc" => plan.without_bmc = nodes(value)?,
            "watchdog_test" if value == "required" => plan.watchdog_test = true,
            "broken_watchdog" => plan.broken_watchdog = nodes(value)?,
            "snapshots" => plan.snapshot_every = value.parse().map_err(small)?,
            "records" => {
                let lives = duration(value)?;
                plan.records = Some(Patience { lives, leads: lives });
            }
            "softdog" => plan.softdog = nodes(value)?,
            "without_watchdog" => plan.without_watchdog = nodes(value)?,
            _ => {
                let own = checks::key(&mut plan, key, value);
                if let Some(read) = own.or_else(|| recovery::key(&mut plan, key, value)) {
                    read?;
                    continue;
                }
                return Err(format!(
                    "`{word}`: allowed are controllers, nodes, domains, profile, reckoned_by, seed, grace, without_bmc, second_level, via, two_outlets, \
                     without_watchdog, broken_watchdog, softdog, watchdog_test=required, dump_begins, dump_ends, snapshots, records, cells, reserved, in_flight, \
                     in_flight_per_source, live_migrations_per_source, in_flight_per_destination, gap_per_destination, starts_per_minute, hold_after, \
                     missing=report|reboot, stray=report|destroy, holds, give_up, keep, checks, disk_fences"
                ));
            }
        }
    }
    if !matches!(plan.controllers, 1 | 3 | 5) || !(1..=1000).contains(&plan.nodes) {
        return Err("a cluster has 1, 3 or 5 controllers and 1 to 1000 nodes".to_owned());
    }
    Ok(plan)
}

fn profile(word: &str, value: &str) -> Result<Profile, String> {
    match value {
        "fast" => Ok(Profile::Fast),
        "balanced" => Ok(Profile::Balanced),
        "calm" => Ok(Profile::Calm),
        _ => Err(format!("`{word}`: a profile is fast, balanced or calm")),
    }
}

fn nodes(list: &str) -> Result<Vec<u16>, String> {
    list.split(',').map(|name| deeds::node(name, 1000)).collect()
}

/// `node-2:node-3+node-4,node-5:node-3`.
fn via(list: &str) -> Result<BTreeMap<u16, Vec<u16>>, String> {
    let one = |text: &str| {
        let (name, proxies) = text
            .split_once(':')
            .ok_or_else(|| format!("`{text}`: write via=node-2:node-3+node-4"))?;
        let proxies: Result<_, String> =
            proxies.split('+').map(|name| deeds::node(name, 1000)).collect();
        Ok((deeds::node(name, 1000)?, proxies?))
    };
    list.split(',').map(one).collect()
}

fn command(plan: &Plan, first: &str, words: &[&str]) -> Result<Command, String> {
    match (first, words) {
        ("vm", words) => recovery::vm(plan, words).map(Box::new).map(Command::Vm),
        ("aggregate", words) => recovery::aggregate(plan, words).map(Command::Aggregate),
        ("run", ["until", words @ ..]) if !words.is_empty() => {
            Ok(Command::RunUntil(words.join(" ")))
        }
        ("image", words) => recovery::image(words).map(|(id, tag)| Command::Image(id, tag)),
        ("run", [span]) => Ok(Command::Run(duration(span)?)),
        ("run", _) => {
            Err("write `run DURATION`, such as `run 90s`, or `run until TEXT`".to_owned())
        }
        ("calm", []) => Ok(Command::Calm),
        ("may", ["halt"]) => Ok(Command::MayHalt),
        ("hactl", words) => orders::order(words).map(Command::Order),
        ("expect", words) => expectation(plan, &words.join(" ")).map(Command::Expect),
        (first, words) => match deeds::doer(plan, first, words)? {
            Some(doer) => Ok(Command::Do(doer)),
            None => Err(format!("`{first}` is no command; allowed are {COMMANDS}")),
        },
    }
}

fn expectation(plan: &Plan, text: &str) -> Result<Expectation, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["no", "reset"] => Expectation::NoReset,
        ["no", "fence"] => Expectation::NoFence,
        ["no", "evacuation"] => Expectation::NoEvacuation,
        [number, "reboots"] => Expectation::Reboots(many(number)?),
        [number, "evacuations"] => Expectation::Evacuations(many(number)?),
        [number, "resets"] => Expectation::Resets(many(number)?),
        ["nova", name, state] => {
            let state = match *state {
                "enabled" => Compute::Enabled,
                "disabled" => Compute::Disabled,
                "forced-down" => Compute::ForcedDown,
                "not-forced-down" => Compute::NotForcedDown,
                _ => {
                    return Err(format!(
                        "`{state}`: a nova-compute is enabled, disabled, forced-down or not-forced-down"
                    ));
                }
            };
            Expectation::Compute(deeds::node(name, plan.nodes)?, state)
        }
        ["told", ..] => Expectation::Told(words[1..].join(" ")),
        ["doubt", node, ..] => {
            Expectation::Doubt(deeds::node(node, plan.nodes)?, words[2..].join(" "))
        }
        ["no", "doubt", node, ..] => {
            Expectation::NoDoubt(deeds::node(node, plan.nodes)?, words[3..].join(" "))
        }
        ["not", "told", ..] => Expectation::NotTold(words[2..].join(" ")),
        ["vm", name, "runs", "once"] => Expectation::Runs { vm: (*name).to_owned(), node: None },
        ["vm", name, "on", node] => {
            Expectation::Runs { vm: (*name).to_owned(), node: Some(deeds::node(node, plan.nodes)?) }
        }
        ["vm", name, "down"] => Expectation::Down { vm: (*name).to_owned() },
        [name] if crate::oracle::all().iter().any(|oracle| oracle.name() == *name) => {
            Expectation::Oracle((*name).to_owned())
        }
        _ => {
            let oracles: Vec<_> = crate::oracle::all().iter().map(|oracle| oracle.name()).collect();
            return Err(format!(
                "`expect {text}`: allowed are no reset, no fence, no evacuation, N resets, N evacuations, N reboots, nova NODE STATE, \
                 [not] told TEXT, [no] doubt NODE TEXT, vm NAME runs once, vm NAME on NODE, \
                 vm NAME down, and the oracles {}",
                oracles.join(", ")
            ));
        }
    })
}

fn many(number: &str) -> Result<u32, String> {
    number.parse().map_err(|_| format!("`{number}` is no number"))
}

/// A span such as `3s` or `2min`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is no duration; write 500ms, 12s or 2min"))
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Oracle(name) => write!(f, "expect {name}"),
            Expectation::Runs { vm, node: None } => write!(f, "expect vm {vm} runs once"),
            Expectation::Runs { vm, node: Some(node) } => {
                write!(f, "expect vm {vm} on node-{node}")
            }
            Expectation::Down { vm } => write!(f, "expect vm {vm} down"),
            Expectation::NoReset => f.write_str("expect no reset"),
            Expectation::NoFence => f.write_str("expect no fence"),
            Expectation::Evacuations(posts) => write!(f, "expect {posts} evacuations"),
            Expectation::Reboots(reboots) => write!(f, "expect {reboots} reboots"),
            Expectation::Resets(resets) => write!(f, "expect {resets} resets"),
            Expectation::Compute(node, state) => write!(f, "expect nova node-{node} {state:?}"),
            Expectation::Told(text) => write!(f, "expect told {text}"),
            Expectation::NotTold(text) => write!(f, "expect not told {text}"),
            Expectation::Doubt(node, text) => write!(f, "expect doubt node-{node} {text}"),
            Expectation::NoDoubt(node, text) => write!(f, "expect no doubt node-{node} {text}"),
            Expectation::NoEvacuation => f.write_str("expect no evacuation"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Scenario::parse(text).expect_err("refused").to_string()
    }

    #[test]
    fn a_wrong_line_is_named_with_what_is_allowed() {
        let cluster = "cluster controllers=3 nodes=4\n";
        assert!(refused("run 3s").starts_with("line 1: `run` comes before `cluster`"));
        assert!(refused("cluster nodes=4 speed=9").starts_with("line 1: `speed=9`: allowed are"));
        assert!(
            refused(&format!("{cluster}cutt node-1 storage"))
                .starts_with("line 2: `cutt` is no command")
        );
        assert!(refused(&format!("{cluster}cut node-9 storage")).contains("node-1 to node-4"));
        assert!(
            refused(&format!("{cluster}cut node-1 stroage"))
                .contains("management, storage, tenant")
        );
        assert!(refused(&format!("{cluster}bmc node-1 shy")).contains("silent"));
        assert!(refused(&format!("{cluster}run 3")).contains("12s"));
        assert!(refused(&format!("{cluster}expect luck")).contains("single_writer"));
        assert!(refused(&format!("{cluster}controller 1 stop at=dawn")).contains("after-off"));
        assert!(refused("# nothing").contains("there is no `cluster"));
    }
}
