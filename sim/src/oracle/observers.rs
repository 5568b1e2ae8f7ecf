//! S10, seen from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::registry::State;
use fencing::IncidentId;

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_number};
use crate::world::World;

/// S10: no row of the matrix fences a node that has been well for half a minute: on, its sentinel alive, all its links
/// whole. Whatever happens to controllers, agents and other nodes meanwhile. An intent that lay in the log of a controller
/// that hung may be committed in a later term, long after its verdict: the node then resets itself (rule 5 of the
/// fencing protocol), but nobody switches it off, and the fence is cancelled.
#[derive(Debug, Default)]
pub(super) struct Observers {
    /// Since when each node is well.
    well: BTreeMap<u16, Duration>,
    /// Intents about nodes that were well.
    baseless: BTreeMap<IncidentId, Baseless>,
    judged: u64,
}

/// An intent without ground.
#[derive(Debug)]
struct Baseless {
    node: u16,
    /// Who leads, and since when it could have cancelled.
    leader: Option<u8>,
    since: Duration,
}

/// A verdict may rest on what was so this long ago.
const LONG_ENOUGH: Duration = Duration::from_secs(30);
/// Whoever leads for this long has cancelled an intent without ground.
const CANCELLED_WITHIN: Duration = Duration::from_secs(30);

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
                self.judge_baseless(world)
            }
            Fact::OffArrived { node, .. } => {
                match self.baseless.values().find(|baseless| baseless.node == *node) {
                    Some(_) => Err(format!(
                        "{} was well when its old fence was committed, and is switched off",
                        Place::Node(*node)
                    )),
                    None => Ok(()),
                }
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
                let Some(span) = span.filter(|span| *span >= LONG_ENOUGH) else { return Ok(()) };
                let old = incident.fence().is_some_and(|fence| fence.epoch.term < world.term());
                if old {
                    let baseless = Baseless { node: number, leader: None, since: world.now() };
                    self.baseless.insert(incident.id, baseless);
                    return Ok(());
                }
                Err(format!(
                    "{} was well for {:.0} s when it was to be fenced by row {:?}",
                    Place::Node(number),
                    span.as_secs_f64(),
                    incident.verdict.row
                ))
            }
            Fact::GuestStarted { .. }
            | Fact::Applied { .. }
            | Fact::Proven { .. }
            | Fact::Acked { .. }
            | Fact::Renewed { .. }
            | Fact::Asked { .. }
            | Fact::Vouched { .. }
            | Fact::Called { .. }
            | Fact::GateOpened { .. }
            | Fact::BmcAsked { .. }
            | Fact::Adopted { .. }
            | Fact::Obeyed { .. }
            | Fact::Ended { .. }
            | Fact::Ordered { .. }
            | Fact::Answered { .. }
            | Fact::Told { .. }
            | Fact::WriteFailed { .. }
            | Fact::Reset { .. }
            | Fact::Halted { .. } => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl Observers {
    fn judge_baseless(&mut self, world: &World) -> Result<(), String> {
        let Some(registry) = world.registry() else { return Ok(()) };
        let fencing = |id: &IncidentId| {
            registry.incidents().get(id).is_some_and(|incident| incident.state == State::Fencing)
        };
        // A node that is in trouble by now may be fenced after all.
        self.baseless.retain(|id, baseless| fencing(id) && self.well.contains_key(&baseless.node));
        let (now, leader) = (world.now(), world.leader());
        for baseless in self.baseless.values_mut() {
            if baseless.leader != leader || leader.is_none() {
                (baseless.leader, baseless.since) = (leader, now);
            }
            if now.saturating_sub(baseless.since) >= CANCELLED_WITHIN {
                let node = Place::Node(baseless.node);
                return Err(format!(
                    "{node} was well when its old fence was committed, and the fence goes on"
                ));
            }
        }
        Ok(())
    }
}
