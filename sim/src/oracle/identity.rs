//! S18.

use super::Oracle;
use crate::bmc::Behaviour;
use crate::fact::Fact;
use crate::place::{Place, node_number};
use crate::world::World;

/// S18: no power off is obeyed by a BMC that is not the node's own, and no read of such a one is evidence.
#[derive(Debug, Default)]
pub(super) struct Identity {
    judged: u64,
}

impl Oracle for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn promise(&self) -> &'static str {
        "no machine is switched off for another one's name"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let bmc = |number: u16, level: u8| world.bmc(number, level);
        let foreign =
            |number, level| bmc(number, level).is_some_and(|b| b.behaviour == Behaviour::Foreign);
        if let Fact::OffArrived { controller, node, level, obeyed } = fact {
            self.judged += 1;
            if foreign(*node, *level) && *obeyed {
                let (who, whom) = (Place::Controller(*controller), Place::Node(*node));
                return Err(format!("{who} switches off what is no longer {whom}"));
            }
        }
        if let Fact::Proven { incident, .. } = fact {
            let known = world.registry().and_then(|registry| registry.incidents().get(incident));
            let evidence =
                known.and_then(|known| Some((known.node, known.fence()?.evidence.clone()?)));
            if let Some((node, evidence)) = evidence
                && let (Some(read), Some(level)) = (evidence.identity(), evidence.level())
            {
                self.judged += 1;
                let number = node_number(node);
                let own = bmc(number, level).map(|bmc| bmc.own(number));
                if Some(read) != own || foreign(number, level) {
                    return Err(format!("{} is fenced by another's BMC", Place::Node(number)));
                }
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
