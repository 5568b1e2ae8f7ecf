//! S3, first half.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::registry::Incident;
use fencing::evidence::Evidence;
use fencing::{BootId, NodeId};

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_id, node_number};
use crate::world::World;

/// S3: when `Fenced(h, b)` is committed, boot b of node h is over and its disks are quiet.
#[derive(Debug, Default)]
pub(super) struct OffWhenFenced {
    /// When boots were reset: until K later their disks may not be quiet.
    reset: BTreeMap<(NodeId, BootId), Duration>,
    judged: u64,
}

impl Oracle for OffWhenFenced {
    fn name(&self) -> &'static str {
        "off_when_fenced"
    }

    fn promise(&self) -> &'static str {
        "a node that is called fenced is off"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if let Fact::Reset { node, boot, .. } = fact {
            self.reset.insert((node_id(*node), *boot), world.now());
        }
        let Fact::Proven { incident, .. } = fact else { return Ok(()) };
        let Some(incident) = world.registry().and_then(|r| r.incidents().get(incident)) else {
            return Ok(());
        };
        let number = node_number(incident.node);
        if world.ghost.lied_about.contains(&number) {
            return Ok(());
        }
        self.judged += 1;
        let evidence = incident.fence().and_then(|fence| fence.evidence.as_ref());
        let class = evidence.map_or("no evidence", |evidence| evidence.class());
        match world.node(number) {
            Some(node) if node.is_on(incident.boot) => {
                Err(format!("{} is fenced by {class} and runs on", Place::Node(number)))
            }
            Some(_) | None => self.judge_quiet(world, incident, evidence),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl OffWhenFenced {
    /// Nobody saw the reset that E2 rests on, so its sum adds the time that disks need to become quiet.
    fn judge_quiet(
        &self,
        world: &World,
        incident: &Incident,
        evidence: Option<&Evidence>,
    ) -> Result<(), String> {
        let reset = self.reset.get(&(incident.node, incident.boot));
        let quiet = world.plan().profile.times().quiet;
        match (evidence, reset) {
            (Some(Evidence::Lease { .. }), Some(at)) if *at + quiet > world.now() => {
                let name = Place::Node(node_number(incident.node));
                let since = world.now().saturating_sub(*at);
                Err(format!(
                    "{name} is fenced by E2 {since:.1?} after its reset, and may still write"
                ))
            }
            _ => Ok(()),
        }
    }
}
