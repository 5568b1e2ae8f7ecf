//! S10, seen from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_number};
use crate::world::World;

/// S10: no row of the matrix fences a node that has been well for half a minute: on, its sentinel alive, all its links
/// whole. Whatever happens to controllers, agents and other nodes meanwhile.
#[derive(Debug, Default)]
pub(super) struct Observers {
    /// Since when each node is well.
    well: BTreeMap<u8, Duration>,
    judged: u64,
}

/// A verdict may rest on what was so this long ago.
const LONG_ENOUGH: Duration = Duration::from_secs(30);

impl Oracle for Observers {
    fn name(&self) -> &'static str {
        "observers"
    }

    fn promise(&self) -> &'static str {
        "a node that answers is not fenced"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Second => {
                for node in &world.nodes {
                    if world.is_well(node.number) {
                        self.well.entry(node.number).or_insert(world.now());
                    } else {
                        self.well.remove(&node.number);
                    }
                }
                Ok(())
            }
            Fact::Intended { incident, .. } => {
                let incident = world.registry().and_then(|r| r.incidents().get(incident));
                let Some(incident) = incident else { return Ok(()) };
                let rows = world.plan().matrix.rows();
                if !rows.iter().any(|row| row.name() == incident.verdict.row) {
                    return Ok(());
                }
                self.judged += 1;
                let number = node_number(incident.node);
                let since = self.well.get(&number).filter(|_| world.is_well(number));
                let troubled = world.node(number).map_or(Duration::ZERO, |node| node.troubled);
                let span = since.map(|since| world.now().saturating_sub(troubled.max(*since)));
                match span {
                    Some(span) if span >= LONG_ENOUGH => Err(format!(
                        "{} was well for {:.0} s when it was to be fenced by row {:?}",
                        Place::Node(number),
                        span.as_secs_f64(),
                        incident.verdict.row
                    )),
                    Some(_) | None => Ok(()),
                }
            }
            Fact::GuestStarted { .. }
            | Fact::Applied { .. }
            | Fact::Proven { .. }
            | Fact::Acked { .. }
            | Fact::Renewed { .. }
            | Fact::Asked { .. }
            | Fact::Vouched { .. }
            | Fact::OffSent { .. }
            | Fact::OffArrived { .. }
            | Fact::Called { .. }
            | Fact::GateOpened { .. }
            | Fact::Reset { .. }
            | Fact::Halted { .. } => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
