//! Explorations: dice decide what happens to the cloud, every oracle judges every event, and when the faults end
//! everything must come to a good end.

mod cloud;
mod dice;
mod health;
mod many;
mod script;
mod shrink;
mod strays;
mod swarm;
mod totals;

use std::time::Duration;

use controller::core::{Missing, Patience};
use controller::nova::call::MigrationStatus;
use controller::policy::Wish;
use controller::registry::{Incident, Progress, Registry, State};
use fencing::lease::Profile;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::oracle::Violation;
use crate::place::{Place, node_number};
use crate::run::Run;
use crate::world::{Plan, World};

pub use dice::{Dice, Kind};
pub use many::{Broken, Many, Of};
pub use script::{Act, Step};
pub use shrink::Shrunk;
pub use swarm::Swarm;
pub use totals::{GUARDS, Totals};

/// After the faults end everything must have come to an end within this time.
const ENDS_WITHIN: Duration = Duration::from_secs(25 * 60);
/// How often it is asked whether it has.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// An operator comes to nodes in quarantine at every such look.
const RELEASES_AT: u64 = 10;
/// And where explorations are many and short.
const LOOK_SOON: Duration = Duration::from_secs(3);
/// Where nobody repairs anything for a while after the faults end, it is for so long: a node that is dead by then must
/// have its verdict before anybody switches it on (L2).
const NOBODY_COMES: Duration = Duration::from_secs(120);
/// One dense seed in so many is like that, beginning with [`ALONE_AT`]; and one in so many has short logs.
const ALONE_EVERY: u64 = 8;
const ALONE_AT: u64 = 5;
const SHORT_LOGS_EVERY: u64 = 4;
const SHORT_LOGS_AT: u64 = 3;
/// Entries between two snapshots where logs are short, so that snapshots travel within minutes.
const SHORT_LOG: u64 = 16;
/// In one dense seed of so many the controllers' records are always long, and cores begin anew as soon as they may.
const LONG_RECORDS_EVERY: u64 = 16;
const LONG_RECORDS_AT: u64 = 9;
const LONG_RECORDS: Patience =
    Patience { lives: Duration::from_secs(40), leads: Duration::from_secs(60) };

/// In one dense seed of so many there are five controllers.
const FIVE_EVERY: u64 = 12;
const FIVE_AT: u64 = 4;

/// In one dense seed of so many a node has no VM at first, and the first throw is a drill of it.
const DRILLS_EVERY: u64 = 16;
const DRILLS_AT: u64 = 6;

/// What an exploration is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exploration {
    /// Everything follows from it.
    pub seed: u64,
    /// How long faults happen.
    pub span: Duration,
    /// How many nodes; `None`: 5 to 9, by the seed.
    pub nodes: Option<u16>,
    /// Small clusters, faults that follow each other soon, and operators who order fences: to meet much in little time.
    pub dense: bool,
}

/// An exploration that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "seed {seed}: {what}\nagain: cargo run -p sim -- --explore {seed}{options}\n\
     less of it: cargo run -p sim -- --shrink {seed}{options}\n{story}"
)]
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// By whose judgement; `None` when it never began.
    pub oracle: Option<&'static str>,
    /// What was broken.
    pub what: String,
    /// What was asked for beside the seed, as options.
    pub options: String,
    /// The end of its story.
    pub story: String,
    /// What was done to it.
    pub steps: Vec<Step>,
}

/// What a release waits for when a VM was left behind that some node may run.
const ALL_AGENTS: &str = "all agents to say where its VMs run";
/// Oracle of a cluster that does not come to an end.
const NOTHING_STUCK: &str = "nothing_stuck";

impl Exploration {
    /// Runs it.
    ///
    /// # Errors
    /// The first property that was broken, with the command that runs the seed again.
    pub fn run(&self) -> Result<Totals, Box<Failed>> {
        let (mut run, rng) = self.begin()?;
        let mut dice = match self.dense {
            true if self.drills() => {
                Dice::dense(&run.world, rng).that_begin_with(Kind::OperatorDrills)
            }
            true => Dice::dense(&run.world, rng),
            false => Dice::new(&run.world, rng),
        };
        let later = strays::alone_for(run.world.plan());
        let after = |steps: Vec<Step>| {
            let begin = run.world.now() + later;
            steps.into_iter().filter(|step| step.at >= begin).collect()
        };
        dice = dice.later(later).beside(strays::copies(&run));
        dice = dice.beside(after(cloud::crashes(&run, self.span)));
        dice = dice.beside(after(health::failures(&run, self.span)));
        match self.with_dice(&mut run, &mut dice) {
            Ok(()) => Ok(Totals::of(&run, &dice)),
            Err(broken) => Err(self.failed(&broken, &run, dice.steps())),
        }
    }

    /// Does what was done to it in an earlier run, or a part of that, and sees whether it ends well.
    ///
    /// # Errors
    /// The first property that was broken.
    pub fn replay(&self, steps: &[Step]) -> Result<(), Box<Failed>> {
        let (mut run, _) = self.begin()?;
        self.with_steps(&mut run, steps).map_err(|broken| self.failed(&broken, &run, steps))
    }

    /// What its cluster is made from.
    pub fn plan(&self) -> Plan {
        self.plan_and_rng().0
    }

    fn plan_and_rng(&self) -> (Plan, ChaCha8Rng) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ 0x5eed);
        let few = if self.dense { 4..=6 } else { 5..=9 };
        let nodes = self.nodes.unwrap_or_else(|| rng.random_range(few));
        let mut plan = Plan::new(self.seed, nodes);
        plan.domains = [1, 3, nodes, nodes][rng.random_range(0..4)];
        plan.profile = if rng.random_bool(0.7) { Profile::Fast } else { Profile::Balanced };
        plan.without_watchdog = if rng.random_bool(0.2) { vec![2] } else { Vec::new() };
        plan.without_bmc = if rng.random_bool(0.2) { vec![3] } else { Vec::new() };
        if self.dense {
            // Without BMCs, and with BMCs that die with their node, leases and operators have to prove that it is off.
            if rng.random_bool(0.15) {
                plan.without_bmc = (1..=nodes).collect();
            }
            plan.waits.new_leader = Duration::from_secs(20);
            // Short, so that a node is fenced again; or as it is, so that one is left alone.
            if self.seed.is_multiple_of(2) {
                plan.waits.left_alone = Duration::from_secs(60);
            }
            plan.waits.storm_over = Duration::from_secs(30);
            // Nodes are back sooner, and may be fenced three times.
            if !self.seed.is_multiple_of(3) {
                plan.waits.effect = Duration::from_secs(15);
            }
            if rng.random_bool(0.03) {
                plan.controllers = 1;
            }
            if self.seed % FIVE_EVERY == FIVE_AT && plan.controllers > 1 {
                plan.controllers = 5;
            }
            if self.seed % SHORT_LOGS_EVERY == SHORT_LOGS_AT {
                plan.snapshot_every = SHORT_LOG;
            }
            if self.seed % LONG_RECORDS_EVERY == LONG_RECORDS_AT {
                plan.records = Some(LONG_RECORDS);
            }
        }
        cloud::draw(&mut plan);
        strays::draw(&mut plan);
        health::draw(&mut plan);
        (plan, rng)
    }

    fn begin(&self) -> Result<(Run, ChaCha8Rng), Box<Failed>> {
        let (plan, rng) = self.plan_and_rng();
        let nodes = plan.nodes;
        let mut run = Run::settled(plan).map_err(|why| self.never_began(&why.to_string()))?;
        let used = if self.drills() { nodes - 1 } else { nodes };
        for n in 0..used * 2 {
            run.world.place_vm(&format!("vm-{}", n + 1), n % used + 1);
        }
        cloud::label(&mut run);
        Ok((run, rng))
    }

    fn drills(&self) -> bool {
        self.dense && self.seed % DRILLS_EVERY == DRILLS_AT
    }

    fn with_dice(&self, run: &mut Run, dice: &mut Dice) -> Result<(), Violation> {
        let end = run.world.now() + self.span;
        while run.world.now() < end {
            let next = dice.next_at().min(end);
            run.go_on(next.saturating_sub(run.world.now()))?;
            dice.throw(&mut run.world);
        }
        dice.end(&mut run.world);
        self.must_end(run)
    }

    fn with_steps(&self, run: &mut Run, steps: &[Step]) -> Result<(), Violation> {
        let end = run.world.now() + self.span;
        for step in steps {
            run.go_on(step.at.saturating_sub(run.world.now()))?;
            step.carry_out(&mut run.world);
        }
        run.go_on(end.saturating_sub(run.world.now()))?;
        dice::end(&mut run.world);
        self.must_end(run)
    }

    /// The faults are over: everything ends well, and soon.
    fn must_end(&self, run: &mut Run) -> Result<(), Violation> {
        let deadline = run.world.now() + ENDS_WITHIN;
        let pause = if self.dense { LOOK_SOON } else { LOOK_EVERY };
        let alone = self.dense && self.seed % ALONE_EVERY == ALONE_AT;
        let repairs_from = run.world.now() + if alone { NOBODY_COMES } else { Duration::ZERO };
        for look in 1_u64.. {
            dice::end_orders(&mut run.world);
            if run.world.now() >= repairs_from {
                dice::repair(&mut run.world);
            }
            run.go_on(pause)?;
            if look % RELEASES_AT == 0 {
                dice::release(&mut run.world);
            }
            match unfinished(&run.world) {
                None if run.world.now() < repairs_from => {}
                None => return Ok(()),
                Some(what) if run.world.now() >= deadline => {
                    let at = run.world.now().saturating_sub(run.world.story.began());
                    return Err(Violation { oracle: NOTHING_STUCK, at, what });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn failed(&self, broken: &Violation, run: &Run, steps: &[Step]) -> Box<Failed> {
        let story: Vec<String> = run.world.story.lines().iter().map(ToString::to_string).collect();
        let (what, story, steps) = (broken.to_string(), story.join("\n"), steps.to_vec());
        let oracle = Some(broken.oracle);
        Box::new(Failed { oracle, story, steps, ..*self.never_began(&what) })
    }

    fn never_began(&self, what: &str) -> Box<Failed> {
        Box::new(Failed {
            seed: self.seed,
            oracle: None,
            what: what.to_owned(),
            options: self.options(),
            story: String::new(),
            steps: Vec::new(),
        })
    }

    /// The options that ask for it again, beside its seed.
    fn options(&self) -> String {
        let nodes = self.nodes.map_or(String::new(), |nodes| format!(" --nodes {nodes}"));
        let dense = if self.dense { " --dense" } else { "" };
        format!(" --minutes {}{nodes}{dense}", self.span.as_secs() / 60)
    }
}

/// What has not come to an end: a leader, an incident, a VM that runs nowhere and is not left behind with a reason.
fn unfinished(world: &World) -> Option<String> {
    let Some(registry) = world.registry() else { return Some("no registry".to_owned()) };
    if world.leader().is_none() {
        return Some("nobody leads".to_owned());
    }
    for incident in registry.open_incidents() {
        let name = Place::Node(node_number(incident.node));
        // A node in quarantine waits for a human; so does one whose evidence was contradicted.
        let waits = incident.state == State::Recovered && fences(registry, incident.node) >= 2;
        // And so does one with a VM that was left behind and runs elsewhere: its node may not come back before a human has
        // decided which of the two is to be, and was paged to do it.
        let runs = |vm: &uuid::Uuid| !world.runs_on(*vm).is_empty();
        let left = |progress: &Progress| matches!(progress, Progress::Parked { .. });
        let in_doubt = incident.vms.iter().any(|(id, vm)| left(&vm.progress) && runs(id));
        // Or whose record hangs in Nova for ever: Nova may still carry it out.
        let hangs = incident.vms.values().any(|vm| left(&vm.progress))
            && is_queued(world, &name.to_string());
        let in_doubt = in_doubt || hangs;
        // And one for which no evidence can be had: whoever was paged looks, and gives the word.
        let without = |i: &Incident| i.state == State::Fencing && is_blocked(world, i.id.0);
        let release = release_waits(world, incident.id.0);
        // As long as it runs what it will, another's release may wait for a census that it never answers.
        let blocked = without(incident)
            || release.as_deref() == Some(ALL_AGENTS) && registry.open_incidents().any(without);
        if !waits && !in_doubt && !blocked && incident.frozen.is_none() {
            let waits =
                release.map_or(String::new(), |what| format!(", its release waits for {what}"));
            return Some(format!(
                "incident {} of {name} is {}{waits}",
                incident.id, incident.state
            ));
        }
    }
    for (vm, name) in &world.vms {
        let on = world.runs_on(*vm);
        let waits = is_left_behind(registry, *vm) || is_held(world, registry, *vm);
        let waits = waits || on.is_empty() && is_told_missing(world, registry, *vm);
        if on.len() != 1 && !waits && !(on.is_empty() && is_left_off(registry, *vm)) {
            return Some(format!("{name} runs on {on:?} and is not left behind"));
        }
    }
    None
}

/// Whether its guest died by itself and that is on record, where a human is to see to it: nothing may be rebooted, it was
/// rebooted often enough, or so many are missing on its node that none is rebooted.
fn is_told_missing(world: &World, registry: &Registry, vm: uuid::Uuid) -> bool {
    let actual = &world.plan().recovery.actual;
    let open = || registry.crashes().values().filter(|crash| crash.over.is_none());
    let known = registry.crashes().get(&vm).filter(|crash| crash.over.is_none());
    known.is_some_and(|crash| {
        let host = registry.node(crash.node).map(|node| node.record.host.clone());
        let owned = world.cloud.servers().iter().filter(|server| server.host == host).count();
        let missing = open().filter(|other| other.node == crash.node).count();
        actual.missing == Missing::Report
            || crash.reboots.len() >= actual.give_up as usize
            || missing > (owned / 3).max(1)
    })
}

/// Whether an evacuation from this host is on its way, as far as Nova knows.
fn is_queued(world: &World, host: &str) -> bool {
    world.cloud.migrations().into_iter().any(|record| {
        let open =
            matches!(record.status, MigrationStatus::Accepted | MigrationStatus::PreMigrating);
        record.source == host && open
    })
}

/// Whether the leader says so, and with that has paged.
fn is_blocked(world: &World, incident: u64) -> bool {
    let Some(seat) = world.leader().and_then(|number| world.seat(number)) else { return false };
    let Some(core) = &seat.core else { return false };
    let state = core.state(seat.clock.read(world.now()));
    state.incidents.iter().any(|known| known.id == incident && known.blocked.is_some())
}

/// What the leader says that the release of a node waits for.
fn release_waits(world: &World, incident: u64) -> Option<String> {
    let core = world.leader().and_then(|number| world.seat(number))?.core.as_ref()?;
    let state = core.state(world.now());
    state.fenced.into_iter().find(|fenced| fenced.incident == incident).map(|fenced| fenced.release)
}

fn fences(registry: &Registry, node: fencing::NodeId) -> usize {
    let of_node = registry.incidents().values().filter(|incident| incident.node == node);
    of_node.filter(|incident| incident.fence().is_some()).count()
}

fn is_left_behind(registry: &Registry, vm: uuid::Uuid) -> bool {
    let vms = registry.incidents().values().filter_map(|incident| incident.vms.get(&vm));
    vms.into_iter().any(|vm| matches!(vm.progress, Progress::Parked { .. }))
}

/// It was moved, and the policy wants such VMs off after that.
fn is_left_off(registry: &Registry, vm: uuid::Uuid) -> bool {
    let mut vms = registry.incidents().values().filter_map(|incident| incident.vms.get(&vm));
    vms.any(|vm| {
        vm.before.treatment.wish == Wish::Stop && matches!(vm.progress, Progress::Moved { .. })
    })
}

/// Its node is out, and waits for a human.
fn is_held(world: &World, registry: &Registry, vm: uuid::Uuid) -> bool {
    let servers = world.cloud.servers();
    let host = servers.iter().find(|server| server.id == vm).and_then(|server| server.host.clone());
    let node = host.and_then(|host| registry.node_named(&host).map(|(id, _)| id));
    node.is_some_and(|node| registry.is_out(node))
}
