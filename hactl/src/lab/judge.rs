//! What the lab ends with: what was measured, and everything that is not as it must be. Nothing here takes a program's
//! word for where a VM runs.

use std::time::Duration;

use controller::nova::{MigrationKind, MigrationStatus};
use serde::Serialize;
use sim::standin::nova::{Done, Request};
use uuid::Uuid;

use super::crew::Crew;
use super::fail::Goal;
use super::story::{Story, picture};
use super::witness::Seen;

/// Within this time every running VM writes to the disk.
const WRITES_WITHIN: Duration = Duration::from_millis(600);

/// The closing result.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Closing {
    /// Whether nothing is wrong.
    pub(super) ok: bool,
    /// What is wrong, a sentence each.
    pub(super) problems: Vec<String>,
    /// What failed.
    pub(super) fail: String,
    /// Where.
    pub(super) node: String,
    /// When, on the wall clock, in ms.
    pub(super) fault_ms: u64,
    /// For a run of the same kind.
    pub(super) seed: u64,
    /// Evidence that the node is off.
    pub(super) evidence: Option<String>,
    /// State of the incident.
    pub(super) incident: Option<String>,
    /// Seconds from the fault to each phase; absent where it did not come to it.
    pub(super) since_fault: Phases,
    /// The node's VMs.
    pub(super) vms: Vec<Vm>,
    /// The leader that was killed on the way, and at which moment.
    pub(super) killed: Option<String>,
}

/// Seconds from the fault.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Phases {
    /// First suspicion.
    pub(super) detection: Option<f64>,
    /// Verdict: the intent, or the incident where nothing is fenced.
    pub(super) verdict: Option<f64>,
    /// Evidence.
    pub(super) fence: Option<f64>,
    /// Nova's service forced down, or disabled.
    pub(super) force_down: Option<f64>,
    /// First move that arrived at Nova.
    pub(super) first_move: Option<f64>,
    /// Every VM runs elsewhere.
    pub(super) evacuate: Option<f64>,
}

/// One VM of the node.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Vm {
    pub(super) name: String,
    pub(super) id: Uuid,
    pub(super) from: String,
    pub(super) to: Option<String>,
    /// Seconds from the fault until it ran there.
    pub(super) back: Option<f64>,
    /// Evacuation records of Nova that ran.
    pub(super) evacuations: usize,
}

/// Looks at everything and judges.
pub(super) async fn judge(crew: &Crew, story: &Story, seed: u64) -> Closing {
    let first = disk(crew);
    tokio::time::sleep(WRITES_WITHIN).await;
    let second = disk(crew);
    let mut problems: Vec<String> = story.failed.iter().cloned().collect();
    let incident = story.incident(crew);
    let evidence = incident.as_ref().and_then(|incident| incident.evidence.clone());
    witness(crew, &first, &second, &mut problems);
    let vms = vms(crew, story);
    moves(crew, story, &vms, &mut problems);
    untouched(crew, story, &mut problems);
    if let Goal::Evacuated(Some(wanted)) = story.fail.goal()
        && !evidence.as_deref().is_some_and(|evidence| evidence.starts_with(wanted))
    {
        let had = evidence.as_deref().unwrap_or("none");
        problems.push(format!("the evidence must be {wanted}, and is {had}"));
    }
    Closing {
        ok: problems.is_empty(),
        problems,
        fail: story.fail.to_string(),
        node: story.node.clone(),
        fault_ms: story.fault_ms,
        seed,
        evidence,
        incident: incident.as_ref().map(|incident| incident.state.clone()),
        since_fault: phases(story, incident.as_ref(), &vms),
        vms,
        killed: story.killed.as_ref().map(|(name, moment, _)| format!("{name} at {moment}")),
    }
}

fn disk(crew: &Crew) -> Seen {
    Seen::read(&std::fs::read_to_string(crew.plan.shared_disk()).unwrap_or_default())
}

/// Every VM writes, from where Nova says that it is, and none wrote from two places at once.
fn witness(crew: &Crew, first: &Seen, second: &Seen, problems: &mut Vec<String>) {
    let servers = crew.nova.with(|cloud, _| cloud.servers());
    for server in &servers {
        let name = &server.name;
        let lines = |seen: &Seen| seen.lines.get(&server.id).copied().unwrap_or(0);
        if lines(second) <= lines(first) {
            problems.push(format!("{name} does not run: it writes nothing to the disk"));
        }
        let nova = server.host.as_deref().unwrap_or("nowhere");
        let wrote = second.last(server.id).map_or("nowhere", |run| run.node.as_str());
        if nova != wrote {
            problems.push(format!("{name} is on {nova} in Nova, and writes from {wrote}"));
        }
        if server.vm_state != "active" {
            problems.push(format!("{name} is {} in Nova", server.vm_state));
        }
    }
    for (vm, node) in second.twice() {
        let server = servers.iter().find(|server| server.id == vm);
        let name = server.map_or_else(|| vm.to_string(), |server| server.name.clone());
        problems.push(format!("{name} ran twice: {node} wrote after another node had begun"));
    }
}

fn vms(crew: &Crew, story: &Story) -> Vec<Vm> {
    let homes = crew.homes();
    let servers = crew.nova.with(|cloud, _| cloud.servers());
    let of_node = story.before.iter().filter(|(_, (node, _))| *node == story.node);
    let mut vms: Vec<Vm> = of_node
        .map(|(id, (from, _))| {
            let home = homes.get(id);
            let moved = home.filter(|(node, _)| node != from);
            let server = servers.iter().find(|server| server.id == *id);
            Vm {
                name: server.map_or_else(|| id.to_string(), |server| server.name.clone()),
                id: *id,
                from: from.clone(),
                to: home.map(|(node, _)| node.clone()),
                back: moved.map(|(_, at)| at.duration_since(story.fault).as_secs_f64()),
                evacuations: records(crew, *id, MigrationKind::Evacuation),
            }
        })
        .collect();
    vms.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
    vms
}

/// Records of this kind that ran, or may still run.
fn records(crew: &Crew, vm: Uuid, kind: MigrationKind) -> usize {
    let request =
        Request::Migrations { source: None, server: Some(vm), kind: Some(kind), status: None };
    let served = crew.nova.with(|cloud, now| cloud.serve(now, &request));
    let Some(Ok(Done::Migrations(records))) = served.result else { return 0 };
    let failed = [MigrationStatus::Error, MigrationStatus::Failed, MigrationStatus::Cancelled];
    records.iter().filter(|(record, _)| !failed.contains(&record.status)).count()
}

fn moves(crew: &Crew, story: &Story, vms: &[Vm], problems: &mut Vec<String>) {
    for vm in vms {
        let name = &vm.name;
        let is_elsewhere = vm.to.as_ref().is_some_and(|to| *to != vm.from);
        let live = records(crew, vm.id, MigrationKind::LiveMigration);
        match story.fail.goal() {
            Goal::Evacuated(_) => {
                if !is_elsewhere {
                    problems.push(format!("{name} did not come back"));
                }
                if vm.evacuations != 1 {
                    let count = vm.evacuations;
                    problems.push(format!("{name} was evacuated {count} times, and must be once"));
                }
            }
            Goal::Migrated => {
                if !is_elsewhere || live != 1 || vm.evacuations != 0 {
                    problems.push(format!(
                        "{name} must be live-migrated once: {live} live migrations, {} evacuations",
                        vm.evacuations
                    ));
                }
            }
            Goal::Notified | Goal::Untouched => {
                if is_elsewhere || vm.to.is_none() || live + vm.evacuations != 0 {
                    problems.push(format!("{name} was moved, and nothing should have been"));
                }
            }
        }
    }
}

/// Nothing else is fenced, and no other VM moved.
fn untouched(crew: &Crew, story: &Story, problems: &mut Vec<String>) {
    let may_fence = matches!(story.fail.goal(), Goal::Evacuated(_));
    match picture(crew) {
        None => problems.push("no controller answers".to_owned()),
        Some(state) => {
            for fenced in &state.fenced {
                if fenced.node != story.node || !may_fence {
                    problems.push(format!("{} is fenced, and should not be", fenced.node));
                }
            }
            for incident in &state.incidents {
                if incident.node != story.node || story.fail.goal() == Goal::Untouched {
                    problems.push(format!("there is an incident on {}", incident.node));
                }
            }
        }
    }
    let homes = crew.homes();
    for (vm, (node, _)) in story.before.iter().filter(|(_, (node, _))| *node != story.node) {
        if homes.get(vm).map(|(now, _)| now) != Some(node) {
            problems.push(format!("VM {vm} of {node} is no longer there"));
        }
    }
    for (name, machine) in &crew.machines {
        let may_be_off = *name == story.node && may_fence;
        if !may_be_off && !machine.has_power() {
            problems.push(format!("{name} is off"));
        }
    }
}

fn phases(story: &Story, incident: Option<&api::Incident>, vms: &[Vm]) -> Phases {
    let since = |at: std::time::Instant| at.duration_since(story.fault).as_secs_f64();
    let phase = |names: &[&str]| {
        let phases = &incident?.phases;
        let phase = phases.iter().find(|phase| names.contains(&phase.state.as_str()))?;
        let milliseconds = phase.at_ms.saturating_sub(story.fault_ms);
        Some(Duration::from_millis(milliseconds).as_secs_f64())
    };
    let first = incident.and_then(|incident| incident.phases.first());
    let moved: Option<Vec<f64>> = vms.iter().map(|vm| vm.back).collect();
    Phases {
        detection: story.suspected.map(since),
        verdict: first.and_then(|first| phase(&[first.state.as_str()])),
        fence: phase(&["fenced"]),
        force_down: phase(&["forced_down", "migrating"]),
        first_move: story.evacuate.map(since),
        evacuate: moved.and_then(|moved| moved.into_iter().reduce(f64::max)),
    }
}
