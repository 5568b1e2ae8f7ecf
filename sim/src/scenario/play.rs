//! Plays a scenario, and writes the file as it should be.

use std::fmt::Write as _;
use std::time::Duration;

use uuid::Uuid;

use super::deeds::{Doer, LeaderDeed, partition, split};
use super::parse::{Block, Command, Compute, Expectation, Scenario};
use crate::fault::Deed;
use crate::oracle::Violation;
use crate::place::Place;
use crate::run::Run;
use crate::world::World;

/// `run until` gives up after this time.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// A scenario that was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// The file as it should be.
    pub text: String,
    /// Differs when anything that happened differs.
    pub hash: u64,
}

/// A scenario that failed, whatever its golden lines say.
#[derive(Clone, Debug, thiserror::Error)]
#[error("line {line}: {why}\n{story}")]
pub struct Failed {
    /// The command that ran.
    pub line: usize,
    /// What failed.
    pub why: String,
    /// Whose judgement it was, if an oracle's.
    pub oracle: Option<&'static str>,
    /// The story up to there.
    pub story: String,
}

/// What came of a scenario that was played to its end, whatever was broken on the way.
#[derive(Clone, Debug, Default)]
pub struct Endured {
    /// The first word of each oracle, in their order.
    pub broken: Vec<Violation>,
    /// Expectations that were not met, and orders that nobody took.
    pub unmet: Vec<String>,
    /// The story.
    pub story: String,
}

/// Why a command failed.
enum Broken {
    Oracle(Violation),
    Other(String),
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Broken::Other(why)
    }
}

impl Scenario {
    /// Plays it from the beginning.
    ///
    /// # Errors
    /// A broken property, an expectation that is not met, or a cluster that does not come to rest.
    pub fn play(&self) -> Result<Played, Failed> {
        let failed = |line, broken: Broken, story| {
            let (oracle, why) = match broken {
                Broken::Oracle(broken) => (Some(broken.oracle), broken.to_string()),
                Broken::Other(why) => (None, why),
            };
            Failed { line, why, oracle, story }
        };
        let mut run = Run::settled(self.plan.clone())
            .map_err(|why| failed(1, Broken::Other(why.to_string()), String::new()))?;
        let mut text = String::new();
        let mut told = 0;
        for block in &self.blocks {
            for (line, command) in &block.commands {
                self.carry_out(&mut run, command)
                    .map_err(|why| failed(*line, why, story(&run.world, 0)))?;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            write_block(&mut text, block, &story(&run.world, told));
            told = run.world.story.lines().len();
        }
        Ok(Played { text, hash: run.world.story.hash() })
    }

    /// Plays it to its end, going on past everything that is broken.
    pub fn endure(&self) -> Endured {
        let mut run = match Run::settled_going_past(self.plan.clone()) {
            Ok(run) => run,
            Err(why) => return Endured { unmet: vec![why.to_string()], ..Endured::default() },
        };
        let mut endured = Endured::default();
        for (line, command) in self.blocks.iter().flat_map(|block| &block.commands) {
            match self.carry_out(&mut run, command) {
                Ok(()) => {}
                // Time stands still: nothing more will happen.
                Err(Broken::Oracle(broken)) => {
                    endured.broken.push(broken);
                    break;
                }
                Err(Broken::Other(why)) => endured.unmet.push(format!("line {line}: {why}")),
            }
        }
        endured.broken.splice(0..0, run.broken().to_vec());
        endured.story = story(&run.world, 0);
        endured
    }

    fn carry_out(&self, run: &mut Run, command: &Command) -> Result<(), Broken> {
        match command {
            Command::Cluster | Command::Policy => {}
            Command::Vm(new) => {
                let vm = run.world.place_vm_of(&new.name, new.node, new.flavor);
                run.world.label_vm(vm, new.labels.clone(), &new.groups);
            }
            Command::Aggregate(aggregate) => run.world.cloud.aggregates.push(aggregate.clone()),
            Command::Image(id, tag) => {
                let tags = run.world.cloud.images.entry(id.clone()).or_default();
                tags.insert(tag.clone());
            }
            Command::Do(Doer::Vm(name, deed)) => {
                let vm = vm_named(&run.world, name)?;
                run.world.inflict(&deed.of(vm));
            }
            Command::Do(Doer::Deeds(deeds)) => {
                deeds.iter().for_each(|deed| run.world.inflict(deed))
            }
            Command::Do(Doer::Leader(deed)) => {
                let leader = run.world.leader().ok_or("nobody leads".to_owned())?;
                self.to_leader(run, leader, *deed);
            }
            Command::Run(span) => run.go_on(*span).map_err(Broken::Oracle)?,
            Command::RunUntil(text) => {
                let told = run.world.story.lines().len();
                let news = |world: &World| {
                    world.story.lines().iter().skip(told).any(|line| line.text.contains(text))
                };
                if !run.go_on_until(LONGEST_WAIT, news).map_err(Broken::Oracle)? {
                    return Err(format!("not told within {LONGEST_WAIT:?}: {text}").into());
                }
            }
            Command::Order(request) => {
                if !run.world.order(request.clone()) {
                    return Err("nobody leads, so nobody takes orders".to_owned().into());
                }
            }
            Command::Calm => run.world.calm_down(),
            Command::MayHalt => run.world.ghost.may_halt = true,
            Command::Expect(expectation) => meet(run, expectation)?,
        }
        Ok(())
    }

    fn to_leader(&self, run: &mut Run, leader: u8, deed: LeaderDeed) {
        let deeds = match deed {
            LeaderDeed::Stop => {
                run.world.tell("raft", &format!("controller-{leader} dies"));
                vec![Deed::StopController(leader)]
            }
            LeaderDeed::Stall(span) => vec![Deed::StallController(leader, span)],
            LeaderDeed::Pause(span) => vec![Deed::PauseController(leader, span)],
            LeaderDeed::Disk(fault) => vec![Deed::Disk(leader, Some(fault))],
            LeaderDeed::Trap(trap) => vec![Deed::Trap(leader, trap)],
            LeaderDeed::Partition => partition(&self.plan, leader, true),
            LeaderDeed::Split => split(&self.plan, leader, true),
        };
        deeds.iter().for_each(|deed| run.world.inflict(deed));
    }
}

fn meet(run: &Run, expectation: &Expectation) -> Result<(), String> {
    let world = &run.world;
    let vm_on =
        |name: &str| -> Result<Vec<u16>, String> { Ok(world.runs_on(vm_named(world, name)?)) };
    let told = |text: &str| world.story.lines().iter().any(|line| line.text.contains(text));
    let holds = match expectation {
        Expectation::Oracle(name) => run.judged(name).is_some_and(|judged| judged > 0),
        Expectation::Runs { vm, node: None } => vm_on(vm)?.len() == 1,
        Expectation::Runs { vm, node: Some(node) } => vm_on(vm)? == [*node],
        Expectation::Down { vm } => vm_on(vm)?.is_empty(),
        Expectation::NoReset => world.ghost.resets == 0,
        Expectation::NoFence => world.ghost.intended.is_empty(),
        Expectation::NoEvacuation => world.ghost.evacuations == 0,
        Expectation::Reboots(posts) => world.ghost.reboots == *posts,
        Expectation::Evacuations(posts) => world.ghost.evacuations == *posts,
        Expectation::Resets(resets) => world.ghost.resets == *resets,
        Expectation::Compute(node, state) => compute_is(world, *node, *state),
        Expectation::Told(text) => told(text),
        Expectation::NotTold(text) => !told(text),
        Expectation::Doubt(node, text) => {
            doubts(world, *node).iter().any(|what| what.contains(text))
        }
        Expectation::NoDoubt(node, text) => {
            !doubts(world, *node).iter().any(|what| what.contains(text))
        }
    };
    if holds { Ok(()) } else { Err(format!("not met: {expectation}")) }
}

/// What the leader doubts of a node, as `hactl check` tells it.
fn doubts(world: &World, node: u16) -> Vec<String> {
    let Some(seat) = world.leader().and_then(|number| world.seat(number)) else {
        return Vec::new();
    };
    let Some(core) = &seat.core else { return Vec::new() };
    let state = core.state(seat.clock.read(world.now()));
    let name = Place::Node(node).to_string();
    let found = state.nodes.into_iter().find(|known| known.name == name);
    let doubts = found.map(|known| known.doubts).unwrap_or_default();
    doubts.into_iter().map(|doubt| doubt.what).collect()
}

fn compute_is(world: &World, node: u16, state: Compute) -> bool {
    let host = Place::Node(node).to_string();
    let services = world.cloud.services(world.now());
    let service = services.into_iter().find(|service| service.host == host);
    service.is_some_and(|service| match state {
        Compute::Enabled => service.enabled,
        Compute::Disabled => !service.enabled,
        Compute::ForcedDown => service.forced_down,
        Compute::NotForcedDown => !service.forced_down,
    })
}

fn vm_named(world: &World, name: &str) -> Result<Uuid, String> {
    let found = world.vms.iter().find(|(_, known)| *known == name);
    found.map(|(id, _)| *id).ok_or_else(|| format!("there is no vm {name}"))
}

fn story(world: &World, after: usize) -> String {
    let lines = world.story.lines().iter().skip(after);
    lines.fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

fn write_block(text: &mut String, block: &Block, story: &str) {
    for line in &block.text {
        text.push_str(line);
        text.push('\n');
    }
    if block.golden.is_some() || !story.is_empty() {
        text.push_str("----\n");
        text.push_str(story);
    }
}
