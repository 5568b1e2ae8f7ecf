//! L2.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{calm_for, has_majority};
use crate::fact::Fact;
use crate::node::{Machine, Power};
use crate::oracle::Oracle;
use crate::place::{Place, node_id};
use crate::world::World;

/// L2: a node that served and is dead has its verdict in time: an incident, or a guard's no that somebody was told.
#[derive(Debug, Default)]
pub(in crate::oracle) struct Detected {
    dead: BTreeMap<Place, Duration>,
    /// When a guard's no about a node was last told.
    refused: BTreeMap<String, Duration>,
    judged: u64,
}

/// T_detect: four seconds for the observers, one for the row, and sixty that a new leader may wait.
const WITHIN: Duration = Duration::from_secs(90);

impl Oracle for Detected {
    fn name(&self) -> &'static str {
        "detected"
    }

    fn promise(&self) -> &'static str {
        "a dead node has its verdict in time"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if let Fact::Told { line, .. } = fact
            && line.subject == "guard"
        {
            let words: Vec<&str> = line.text.split_whitespace().collect();
            if let [name, _cell, "not", "done", ..] = words.as_slice() {
                self.refused.insert((*name).to_owned(), world.now());
            }
            return Ok(());
        }
        if *fact != Fact::Second {
            return Ok(());
        }
        for node in &world.nodes {
            if matches!(node.power, Power::Off | Power::NoFeed) {
                self.dead.entry(node.place()).or_insert(world.now());
            } else {
                self.dead.remove(&node.place());
            }
        }
        let Some(calm) = calm_for(world) else { return Ok(()) };
        if calm < WITHIN || !has_majority(world) {
            return Ok(());
        }
        world.nodes.iter().try_for_each(|node| self.judge_node(world, node))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl Detected {
    fn judge_node(&mut self, world: &World, node: &Machine) -> Result<(), String> {
        let place = node.place();
        let Some(since) = self.dead.get(&place).copied() else { return Ok(()) };
        let dead = world.now().saturating_sub(since);
        let Some(registry) = world.registry().filter(|_| dead >= WITHIN) else { return Ok(()) };
        let id = node_id(node.number);
        let Some(known) = registry.node(id) else { return Ok(()) };
        let about = registry.incident_of(id).map(|incident| incident.boot);
        if known.serving_boot() != Some(node.boot()) && about != Some(node.boot()) {
            return Ok(());
        }
        self.judged += 1;
        let refused = self.refused.get(&known.record.name).is_some_and(|at| *at >= since);
        if known.incident.is_some() || refused {
            return Ok(());
        }
        Err(format!("{place} has been dead for {:.0} s, and nobody says so", dead.as_secs_f64()))
    }
}
