//! S3, first half.

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_number};
use crate::world::World;

/// S3: when `Fenced(h, b)` is committed, boot b of node h is over.
#[derive(Debug, Default)]
pub(super) struct OffWhenFenced {
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
            Some(_) | None => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
