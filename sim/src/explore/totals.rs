//! What explorations have met: a property that was never exercised proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use controller::registry::Progress;

use super::dice::Dice;
use crate::run::Run;

/// Sums over explorations.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Explorations.
    pub seeds: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Events.
    pub events: u64,
    /// FenceIntents.
    pub intents: u64,
    /// Drills that began, by what was tried.
    pub drills: BTreeMap<&'static str, u64>,
    /// Fences by class of evidence.
    pub evidence: BTreeMap<&'static str, u64>,
    /// POSTs.
    pub evacuations: u64,
    /// VMs that were moved.
    pub moved: u64,
    /// VMs that were left behind.
    pub left_behind: u64,
    /// Resets by watchdogs and sentinels.
    pub resets: u64,
    /// Snapshots of the log that sentinels took in whole.
    pub snapshots: u64,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// Refusals by guard.
    pub refusals: BTreeMap<String, u64>,
    /// Incidents that were in a state, by state.
    pub states: BTreeMap<String, u64>,
    /// VMs of incidents, by how far they came.
    pub progress: BTreeMap<&'static str, u64>,
    /// Actions of the rows that incidents came from.
    pub actions: BTreeMap<&'static str, u64>,
    /// What oracles had to judge.
    pub judged: BTreeMap<&'static str, u64>,
    /// Hash over the stories, in order.
    pub hash: u64,
}

impl Totals {
    /// Of one run.
    pub(super) fn of(run: &Run, dice: &Dice) -> Self {
        let world = &run.world;
        let mut totals = Self {
            seeds: 1,
            simulated: world.now(),
            events: world.events(),
            evacuations: u64::from(world.ghost.evacuations),
            resets: u64::from(world.ghost.resets),
            snapshots: world.ghost.snapshots,
            hash: world.story.hash(),
            ..Self::default()
        };
        for incident in
            world.registry().into_iter().flat_map(|registry| registry.incidents().values())
        {
            for vm in incident.vms.values() {
                match vm.progress {
                    Progress::Moved { .. } => totals.moved += 1,
                    Progress::Parked { .. } => totals.left_behind += 1,
                    Progress::Waiting | Progress::Attempted { .. } | Progress::Sent { .. } => {}
                }
            }
            for (state, _, _) in &incident.phases {
                *totals.states.entry(state.to_string()).or_default() += 1;
            }
            for action in &incident.verdict.actions {
                *totals.actions.entry(action.word()).or_default() += 1;
            }
            let Some(fence) = incident.fence() else { continue };
            totals.intents += 1;
            if let Some(drill) = fence.drill {
                let tried = if drill.watchdog { "watchdog" } else { "BMC" };
                *totals.drills.entry(tried).or_default() += 1;
            }
            if let Some(evidence) = &fence.evidence {
                *totals.evidence.entry(evidence.class()).or_default() += 1;
            }
        }
        for (kind, times) in dice.thrown() {
            totals.faults.insert(format!("{kind:?}"), *times);
        }
        for (_, _, progress) in &world.ghost.progress {
            *totals.progress.entry(*progress).or_default() += 1;
        }
        for line in world.story.lines() {
            if let Some(refusal) = refusal(&line.text) {
                *totals.refusals.entry(refusal.to_owned()).or_default() += 1;
            }
        }
        for oracle in run.oracles() {
            totals.judged.insert(oracle.name(), oracle.judged());
        }
        totals
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.events += other.events;
        self.intents += other.intents;
        self.evacuations += other.evacuations;
        self.moved += other.moved;
        self.left_behind += other.left_behind;
        self.resets += other.resets;
        self.snapshots += other.snapshots;
        self.hash = self.hash.rotate_left(7) ^ other.hash;
        sum(&mut self.states, &other.states);
        sum(&mut self.progress, &other.progress);
        sum(&mut self.actions, &other.actions);
        sum(&mut self.evidence, &other.evidence);
        sum(&mut self.drills, &other.drills);
        sum(&mut self.faults, &other.faults);
        sum(&mut self.refusals, &other.refusals);
        sum(&mut self.judged, &other.judged);
    }

    /// Simulated cluster-hours.
    pub fn hours(&self) -> f64 {
        self.simulated.as_secs_f64() / 3600.0
    }
}

/// The name of the guard that said no, of a verdict or of an operator's order.
fn refusal(line: &str) -> Option<&str> {
    let name = if line.starts_with("guard") {
        line.split("): ").nth(1).map_or(Some("storm"), |rest| rest.split(':').next())
    } else {
        line.split_once("Refused { why: \"").and_then(|(_, rest)| rest.split(':').next())
    };
    name.filter(|name| GUARDS.contains(name))
}

/// All guards, as [`controller::guard::Refusal::name`] has them.
pub const GUARDS: [&str; 13] = [
    "grace",
    "quorum",
    "disarmed",
    "maintenance",
    "noop",
    "in_flight",
    "budget",
    "storm",
    "all_suspected",
    "quarantine",
    "left_alone",
    "stale",
    "not_protected",
];

fn sum<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, value) in from {
        *into.entry(key.clone()).or_default() += value;
    }
}

fn row<K: fmt::Display>(of: &BTreeMap<K, u64>) -> String {
    let words: Vec<String> = of.iter().map(|(key, value)| format!("{key} {value}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} seeds, {:.1} cluster-hours, {} events",
            self.seeds,
            self.hours(),
            self.events
        )?;
        writeln!(
            f,
            "  {} intents, fenced: {}; {} POSTs, {} VMs moved, {} left behind; {} resets; {} snapshots for sentinels",
            self.intents,
            row(&self.evidence),
            self.evacuations,
            self.moved,
            self.left_behind,
            self.resets,
            self.snapshots
        )?;
        writeln!(f, "  refusals: {}", row(&self.refusals))?;
        writeln!(f, "  states of incidents: {}", row(&self.states))?;
        writeln!(f, "  VMs of incidents: {}", row(&self.progress))?;
        writeln!(f, "  actions: {}", row(&self.actions))?;
        writeln!(f, "  drills: {}", row(&self.drills))?;
        writeln!(f, "  faults: {}", row(&self.faults))?;
        write!(f, "  judged: {}", row(&self.judged))
    }
}
