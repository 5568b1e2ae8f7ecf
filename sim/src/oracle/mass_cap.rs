//! S12: the cap, the budget of a failure domain, and the storm stop.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::registry::{Incident, Node, Registry, State};

use super::Oracle;
use crate::fact::Fact;
use crate::node::{Machine, Power};
use crate::place::node_number;
use crate::world::World;

/// S12: at most one fence at a time up to 20 nodes, two up to 100, four above; in a failure domain at most one, or a
/// tenth of it, in 15 minutes; and none where too many of a domain have been in trouble at once. A fence by hand is not
/// counted.
#[derive(Debug, Default)]
pub(super) struct MassCap {
    /// When rows fenced nodes of each domain.
    fenced: BTreeMap<String, Vec<Duration>>,
    judged: u64,
}

/// Observers need four seconds, where nothing is in their way.
const SEEN_AFTER: Duration = Duration::from_secs(8);
/// Fifteen minutes, as a registry counts them that begins a new minute with each leader.
const BUDGET: Duration = Duration::from_secs(12 * 60);

impl Oracle for MassCap {
    fn name(&self) -> &'static str {
        "mass_cap"
    }

    fn promise(&self) -> &'static str {
        "however wrong we are, few nodes are switched off at a time"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Intended { incident, .. } = fact else { return Ok(()) };
        let Some(registry) = world.registry() else { return Ok(()) };
        let Some(intended) = registry.incidents().get(incident) else { return Ok(()) };
        // Only rows have a settle time; an order by hand names no row of the matrix.
        if !world.plan().matrix.rows().iter().any(|row| row.name() == intended.verdict.row) {
            return Ok(());
        }
        self.judged += 1;
        let under_way =
            registry.open_incidents().filter(|incident| incident.state == State::Fencing);
        let most = match world.nodes.len() {
            0..=20 => 1,
            21..=100 => 2,
            _ => 4,
        };
        let under_way = under_way.count();
        if under_way > most {
            return Err(format!("{under_way} fences under way, {most} allowed"));
        }
        let intended = intended.clone();
        self.judge_domain(world, registry, &intended)
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl MassCap {
    fn judge_domain(
        &mut self,
        world: &World,
        registry: &Registry,
        intended: &Incident,
    ) -> Result<(), String> {
        let now = world.now();
        let Some(node) = registry.node(intended.node) else { return Ok(()) };
        let domain = &node.record.domain;
        let here = |node: &Node| node.record.domain == *domain && node.maintenance.is_none();
        let here: Vec<_> = registry.nodes().iter().filter(|(_, node)| here(node)).collect();
        let protected =
            here.iter().filter(|(_, n)| n.serving_boot().is_some() || n.incident.is_some());
        let members = protected.count();
        let dead = here.iter().filter(|(id, node)| {
            let machine = world.node(node_number(**id));
            let boot = machine.map(|machine| machine.boot());
            let serves = node.serving_boot().is_some() && node.serving_boot() == boot;
            serves && machine.is_some_and(|machine| is_in_trouble(world, machine))
        });
        let dead = dead.count();
        if is_storm(members, dead) {
            return Err(format!(
                "{dead} of {members} nodes of {domain} are in trouble, and one is fenced"
            ));
        }
        let fenced = self.fenced.entry(domain.clone()).or_default();
        fenced.retain(|at| now.saturating_sub(*at) < BUDGET);
        fenced.push(now);
        let most = (members / 10).max(1);
        if fenced.len() > most {
            return Err(format!(
                "{} fences in {domain} within 12 minutes, {most} allowed",
                fenced.len()
            ));
        }
        Ok(())
    }
}

/// Whether it has been off, hung or cut off for a while.
fn is_in_trouble(world: &World, machine: &Machine) -> bool {
    let well = machine.power == Power::Running && !machine.hung;
    let bad = !well || world.wire.has_cut(machine.place());
    bad && world.now().saturating_sub(machine.troubled) >= SEEN_AFTER
}

/// Three and 30 %; two and half in a domain of three or four; never in one of two.
fn is_storm(members: usize, dead: usize) -> bool {
    match members {
        0..=2 => false,
        3..=4 => dead >= 2 && dead * 2 >= members,
        _ => dead >= 3 && dead * 10 >= members * 3,
    }
}
