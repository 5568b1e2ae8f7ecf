//! What must happen in the end: judged when no more faults happen, with a bound each.

mod detected;
mod fenced_in_time;
mod nothing_stuck;
mod one_leader;
mod quiet_cluster;
mod released;
mod views_converge;
mod vms_settled;

pub(super) use detected::Detected;
pub(super) use fenced_in_time::FencedInTime;
pub(super) use nothing_stuck::NothingStuck;
pub(super) use one_leader::OneLeader;
pub(super) use quiet_cluster::QuietCluster;
pub(super) use released::Released;
pub(super) use views_converge::ViewsConverge;
pub(super) use vms_settled::VmsSettled;

use std::time::Duration;

use controller::registry::Incident;

use crate::place::{Place, node_number};
use crate::world::World;

/// How long no faults have happened; `None` while they may.
fn calm_for(world: &World) -> Option<Duration> {
    world.ghost.calm.map(|since| world.now().saturating_sub(since))
}

/// Whether a majority of the controllers runs.
fn has_majority(world: &World) -> bool {
    world.seats.iter().filter(|seat| seat.runs()).count() * 2 > world.seats.len()
}

fn place(incident: &Incident) -> Place {
    Place::Node(node_number(incident.node))
}
