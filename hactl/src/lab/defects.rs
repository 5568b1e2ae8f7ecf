//! `hactl lab --defects`: one node of each defect, and what `hactl check` says of them. Nothing fails here.

use std::time::Duration;

use api::{Node, Request, State, Weight};
use sim::standin::bmc::Behaviour;

use super::crew::{Crew, lock};
use super::ready;
use super::timeline::Timeline;
use crate::client::{Client, Reach};

/// How often BMCs are read here, as written into `[waits]`.
pub(super) const BMC_CHECK: &str = "2s";
/// From the last defect until all of them are told: a read, its time-out, and the next read.
const TOLD_WITHIN: Duration = Duration::from_secs(45);

/// What is wrong with a node from the start, or soon after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// Its BMC was enrolled and is silent now.
    SilentBmc,
    /// The inventory has another password than its BMC.
    WrongPassword,
    /// No BMC, and a watchdog that does not count: nothing could prove that it is off.
    NothingProves,
    /// A watchdog that does not count for E2.
    WeakWatchdog,
    /// Somebody works on it.
    Maintenance,
}

impl Defect {
    /// The defect of the node with this number; the first has none.
    pub(super) fn of(number: u8) -> Option<Self> {
        match number {
            2 => Some(Defect::SilentBmc),
            3 => Some(Defect::WrongPassword),
            4 => Some(Defect::NothingProves),
            5 => Some(Defect::WeakWatchdog),
            6 => Some(Defect::Maintenance),
            _ => None,
        }
    }

    /// Whether its watchdog counts for E2.
    pub(super) fn allows_e2(self) -> bool {
        !matches!(self, Defect::NothingProves | Defect::WeakWatchdog)
    }

    /// What must be said of it.
    fn told(self) -> (Weight, &'static str) {
        match self {
            Defect::SilentBmc | Defect::WrongPassword => (Weight::AtRisk, "its BMC is no help"),
            Defect::NothingProves => (Weight::NotRecovered, "nothing could prove that it is off"),
            Defect::WeakWatchdog => (Weight::AtRisk, "its lease is no evidence"),
            Defect::Maintenance => (Weight::NotRecovered, "maintenance"),
        }
    }
}

/// Starts all, makes the defects that are not there from the start, and waits until each is told, and no other.
pub(super) async fn show(crew: &mut Crew, timeline: &Timeline) -> anyhow::Result<()> {
    ready::controllers(crew, timeline).await?;
    for machine in crew.machines.values() {
        machine.switch_on()?;
    }
    let plan = std::sync::Arc::clone(&crew.plan);
    let defect_of = |name: &str| plan.nodes.iter().find(|node| node.name == name)?.defect;
    let begun = |state: &State| {
        let waits = |node: &&Node| {
            let defect = defect_of(&node.name);
            let wants_arms = defect.is_none_or(Defect::allows_e2);
            let wants_bmc = !matches!(defect, Some(Defect::WrongPassword | Defect::NothingProves));
            let up = node.networks.iter().all(|network| network.reach == "up");
            !up || wants_arms && !node.armed || wants_bmc && node.bmc.starts_with("not ")
        };
        match (state.nodes.iter().find(waits), state.holds.first()) {
            (Some(node), _) => Err(format!("{} is not ready", node.name)),
            (None, Some(hold)) => Err(hold.why.clone()),
            (None, None) if state.nodes.is_empty() => Err("no node is enrolled".to_owned()),
            (None, None) => Ok(()),
        }
    };
    ready::wait(crew, "the nodes to serve", begun).await?;
    timeline.progress(&format!("{} nodes serve", plan.nodes.len()));
    let reach =
        Reach { controllers: plan.urls(), token_file: Some(plan.token_file()), ca_file: None };
    let client = Client::new(&reach)?;
    for node in &plan.nodes {
        match node.defect {
            Some(Defect::SilentBmc) => {
                if let Some(bmc) = crew.bmcs.get(&node.name) {
                    lock(bmc).behave(Behaviour::Silent);
                }
                timeline.progress(&format!("the BMC of {} falls silent", node.name));
            }
            Some(Defect::Maintenance) => {
                let (reason, person) = ("new memory".to_owned(), "lab".to_owned());
                let node = node.name.clone();
                timeline.progress(&format!("somebody works on {node}"));
                let (on, minutes, migrate) = (true, None, false);
                let order = Request::Maintenance { node, on, reason, person, minutes, migrate };
                client.order(&order).await?;
            }
            Some(Defect::WrongPassword | Defect::NothingProves | Defect::WeakWatchdog) | None => {}
        }
    }
    let told = |state: &State| {
        let wrong =
            state.nodes.iter().find_map(|node| as_it_must_be(node, defect_of(&node.name)).err());
        wrong.map_or(Ok(state.clone()), Err)
    };
    let state = ready::wait_for(crew, "every defect to be told", TOLD_WITHIN, told).await?;
    timeline.heading("hactl check");
    timeline.print(&crate::page(&["check"], &state, timeline.look()).out);
    Ok(())
}

/// What is said of every node of a lab: its watchdogs are stand-ins, which no drill has tried.
const UNTESTED: &str = "was never seen to fire";

fn as_it_must_be(node: &Node, defect: Option<Defect>) -> Result<(), String> {
    // A note is no doubt of its recovery: the default matrix has rows for checks that a lab's agents do not make.
    let doubts = node.doubts.iter().filter(|doubt| doubt.weight != Weight::Note);
    let said = doubts.map(|doubt| doubt.what.as_str());
    let said: Vec<&str> = said.filter(|what| !what.contains(UNTESTED)).collect();
    let Some(defect) = defect else {
        let why = format!("{} has no defect, and it is said: {}", node.name, said.join("; "));
        return if said.is_empty() { Ok(()) } else { Err(why) };
    };
    let (weight, what) = defect.told();
    let told = node.doubts.iter().any(|doubt| {
        doubt.weight == weight && doubt.what.contains(what) && !doubt.remedy.is_empty()
    });
    let why = format!("of {} ({defect:?}) it is said: {}", node.name, said.join("; "));
    if told { Ok(()) } else { Err(why) }
}
