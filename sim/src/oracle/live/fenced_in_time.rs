//! L3.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::registry::{Incident, State};
use fencing::IncidentId;

use super::{calm_for, has_majority, place};
use crate::bmc::Behaviour;
use crate::fact::Fact;
use crate::node::Power;
use crate::oracle::Oracle;
use crate::place::node_number;
use crate::world::World;

/// L3: a fence has its evidence in time where the BMC that is enrolled obeys.
#[derive(Debug, Default)]
pub(in crate::oracle) struct FencedInTime {
    /// Since when nothing has been in the way of a fence.
    free: BTreeMap<IncidentId, Duration>,
    judged: u64,
}

/// T_fence: an off, two reads 3 s apart, and a few that were lost on the way.
const WITHIN: Duration = Duration::from_secs(60);

impl Oracle for FencedInTime {
    fn name(&self) -> &'static str {
        "fenced_in_time"
    }

    fn promise(&self) -> &'static str {
        "a fence ends soon where its BMC obeys"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if *fact != Fact::Second || calm_for(world).is_none() {
            return Ok(());
        }
        let Some(registry) = world.registry() else { return Ok(()) };
        let leads = has_majority(world) && world.leader().is_some() && !registry.is_noop();
        let free = |incident: &&Incident| {
            // A drill of the watchdog leaves the BMC alone, and waits for the next boot.
            let by_bmc = incident.state == State::Fencing && !incident.is_watchdog_drill();
            by_bmc && leads && can_be_switched_off(world, incident)
        };
        let now: Vec<&Incident> = registry.open_incidents().filter(free).collect();
        self.free.retain(|id, _| now.iter().any(|incident| incident.id == *id));
        for incident in now {
            self.judged += 1;
            let since = *self.free.entry(incident.id).or_insert(world.now());
            if world.now().saturating_sub(since) > WITHIN {
                return Err(format!(
                    "{} obeys its BMC and has no evidence after {} s",
                    place(incident),
                    WITHIN.as_secs()
                ));
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

fn can_be_switched_off(world: &World, incident: &Incident) -> bool {
    let number = node_number(incident.node);
    let Some(known) = world.registry().and_then(|registry| registry.node(incident.node)) else {
        return false;
    };
    let Some(machine) = world.node(number) else { return false };
    let bmc = world.bmcs.get(usize::from(number).saturating_sub(1));
    let obeys = bmc.is_some_and(|bmc| bmc.behaviour == Behaviour::Obeys);
    // Somebody who switches it on again and again is in the way; so is no power at all.
    let still = matches!(machine.power, Power::Off | Power::Running);
    obeys && still && known.believed(1).is_some()
}
