//! From nothing to a cluster in which everything runs: each step is waited for, with a limit and a reason.

use std::time::{Duration, Instant};

use api::State;

use super::cloud;
use super::crew::Crew;
use super::timeline::Timeline;

/// Longest wait for the controllers, for the nodes, and for VMs.
const LONGEST: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Starts controllers, nodes and VMs, and waits until a failure would be acted upon.
pub(super) async fn bring_up(crew: &mut Crew, vms: u16, timeline: &Timeline) -> anyhow::Result<()> {
    bring_up_without_vms(crew, timeline).await?;
    let names: Vec<String> = crew.plan.nodes.iter().map(|node| node.name.clone()).collect();
    computes(crew, names.len()).await?;
    let booted = cloud::boot_vms(&crew.nova, &names, vms);
    running(crew, booted.len()).await?;
    wait(crew, "every node to be well", well).await?;
    timeline.progress(&format!("{} VMs run", booted.len()));
    Ok(())
}

/// Starts controllers and nodes, and waits until a failure would be acted upon.
pub(super) async fn bring_up_without_vms(
    crew: &mut Crew,
    timeline: &Timeline,
) -> anyhow::Result<()> {
    controllers(crew, timeline).await?;
    for machine in crew.machines.values() {
        machine.switch_on()?;
    }
    wait(crew, "the nodes to be armed and their BMCs enrolled", armed).await?;
    timeline.progress(&format!(
        "{} nodes armed (each a sentinel, an agent and a hypervisor), {} BMCs enrolled",
        crew.plan.nodes.len(),
        crew.bmcs.len()
    ));
    wait(crew, "the start-up grace to end", |state| match state.holds.first() {
        None => Ok(()),
        Some(hold) => Err(hold.why.clone()),
    })
    .await?;
    wait(crew, "every node to be well", well).await
}

/// Starts the controllers and waits until one leads.
pub(super) async fn controllers(crew: &mut Crew, timeline: &Timeline) -> anyhow::Result<()> {
    crew.start_controllers()?;
    let leader = wait(crew, "a leader among the controllers", |state| match state.leader {
        Some(leader) => Ok(format!("controller-{leader}")),
        None => Err("none leads yet".to_owned()),
    });
    let leader = leader.await?;
    timeline.progress(&format!("{} controllers up, leader {leader}", crew.controllers.len()));
    Ok(())
}

/// Waits until `ready` takes the picture; its error says what is missing.
pub(super) async fn wait<T>(
    crew: &mut Crew,
    what: &str,
    ready: impl Fn(&State) -> Result<T, String>,
) -> anyhow::Result<T> {
    wait_for(crew, what, LONGEST, ready).await
}

/// The same with a limit of its own.
pub(super) async fn wait_for<T>(
    crew: &mut Crew,
    what: &str,
    longest: Duration,
    ready: impl Fn(&State) -> Result<T, String>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        let last = crew.picture.borrow().clone();
        let missing = match (&last.silence, &last.state) {
            (None, Some(state)) => match ready(state) {
                Ok(found) => return Ok(found),
                Err(missing) => missing,
            },
            (Some(silence), _) => silence.clone(),
            (None, None) => "no controller was asked yet".to_owned(),
        };
        alive(crew)?;
        if began.elapsed() > longest {
            anyhow::bail!("waited {} s for {what}: {missing}", longest.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An error if a program has ended.
pub(super) fn alive(crew: &mut Crew) -> anyhow::Result<()> {
    crew.obituary().map_or(Ok(()), |obituary| Err(anyhow::Error::msg(obituary)))
}

fn armed(state: &State) -> Result<(), String> {
    for node in &state.nodes {
        if !node.armed {
            return Err(format!("{} is not armed (watchdog {})", node.name, node.watchdog));
        }
        if node.bmc.starts_with("not ") {
            return Err(format!("BMC of {}: {}", node.name, node.bmc));
        }
    }
    if state.nodes.is_empty() { Err("no node is enrolled".to_owned()) } else { Ok(()) }
}

fn well(state: &State) -> Result<(), String> {
    for node in &state.nodes {
        if let Some(network) = node.networks.iter().find(|network| network.reach != "up") {
            return Err(format!("{} is {} on {}", node.name, network.reach, network.network));
        }
        if let Some(refusal) = node.refusals.first() {
            return Err(format!("{} would not be recovered: {}", node.name, refusal.why));
        }
    }
    match state.incidents.first() {
        Some(incident) => Err(format!("incident {} on {}", incident.id, incident.node)),
        None => Ok(()),
    }
}

async fn computes(crew: &mut Crew, count: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let up = crew.nova.with(|cloud, now| cloud.services(now)).iter().filter(|s| s.up).count();
        if up >= count {
            return Ok(());
        }
        alive(crew)?;
        if began.elapsed() > LONGEST {
            anyhow::bail!("{up} of {count} nova-computes started: are the nodes' gates open?");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn running(crew: &mut Crew, count: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let active = crew.nova.with(|cloud, _| cloud.servers());
        let active = active.iter().filter(|server| server.vm_state == "active").count();
        if active >= count && crew.homes().len() >= count {
            return Ok(());
        }
        alive(crew)?;
        if began.elapsed() > LONGEST {
            anyhow::bail!("{active} of {count} VMs run");
        }
        tokio::time::sleep(LOOK).await;
    }
}
