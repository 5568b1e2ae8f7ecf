//! L7.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fact::Fact;
use crate::node::Power;
use crate::oracle::Oracle;
use crate::oracle::openings::Openings;
use crate::place::{Place, node_number};
use crate::world::{JUST_FAILED, World};

/// L7: with at most one machine in trouble and at most 1 % of all packets lost, no row of the matrix opens an incident
/// about a node that is not that machine.
#[derive(Debug, Default)]
pub(in crate::oracle) struct QuietCluster {
    openings: Openings,
    /// When something was last wrong with each machine.
    troubled: BTreeMap<Place, Duration>,
    /// When something was last wrong with a network as a whole.
    noisy: Option<Duration>,
    judged: u64,
}

/// Trouble is forgotten after this time: a verdict rests on the last few seconds, and a row settles for up to 30 s.
const FORGOTTEN: Duration = Duration::from_secs(60);

impl Oracle for QuietCluster {
    fn name(&self) -> &'static str {
        "quiet_cluster"
    }

    fn promise(&self) -> &'static str {
        "where nothing, or one machine, is wrong no other gets a verdict"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if *fact == Fact::Second {
            self.look(world);
            return Ok(());
        }
        for incident in self.openings.take(world, fact) {
            let about = Place::Node(node_number(incident.node));
            let since = |at: &Duration| world.now().saturating_sub(*at);
            let lately = |at: &&Duration| since(at) < FORGOTTEN;
            let quiet = self.noisy.as_ref().is_none_or(|at| since(at) >= FORGOTTEN);
            let in_trouble = self.troubled.values().filter(lately).count();
            let well = self.troubled.get(&about).is_none_or(|at| since(at) >= FORGOTTEN);
            self.judged += 1;
            if quiet && in_trouble <= 1 && well {
                return Err(format!(
                    "{about} was well, and {in_trouble} machines were not, when row {:?} opened incident {}",
                    incident.verdict.row, incident.id
                ));
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl QuietCluster {
    fn look(&mut self, world: &World) {
        let now = world.now();
        if world.wire.is_noisy() {
            self.noisy = Some(now);
        }
        for node in &world.nodes {
            let links = world.wire.is_good(node.place());
            let runs = node.power == Power::Running && !node.hung;
            let speaks = node.sentinel.core.is_some() && !node.sentinel.stalled;
            let troubled = now.saturating_sub(node.troubled) < Duration::from_secs(2);
            let healthy = node.health.is_well(now.saturating_sub(JUST_FAILED));
            if !(links && runs && speaks && healthy) || troubled {
                self.troubled.insert(node.place(), now);
            }
        }
        for seat in
            world.seats.iter().filter(|seat| !seat.runs() || !world.wire.is_good(seat.place()))
        {
            self.troubled.insert(seat.place(), now);
        }
    }
}
