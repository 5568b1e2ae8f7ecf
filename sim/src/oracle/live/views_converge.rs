//! L8.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{calm_for, has_majority};
use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::place::{Place, node_id};
use crate::world::World;

/// L8: in the end every controller holds the same registry, and the leader sees every node that is well on every
/// network.
#[derive(Debug, Default)]
pub(in crate::oracle) struct ViewsConverge {
    /// Since when each node is well.
    well: BTreeMap<Place, Duration>,
    /// When each controller last held all that is committed.
    even: BTreeMap<Place, Duration>,
    judged: u64,
}

/// A node that was judged down is looked for by the sweep, twice a second; its case needs a while to close.
const WITHIN: Duration = Duration::from_secs(120);
/// How often it is asked.
const EVERY: u64 = 10;

impl Oracle for ViewsConverge {
    fn name(&self) -> &'static str {
        "views_converge"
    }

    fn promise(&self) -> &'static str {
        "in the end all agree, and see who is well"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if *fact != Fact::Second || calm_for(world).is_none() {
            return Ok(());
        }
        let now = world.now();
        for node in &world.nodes {
            if world.is_well(node.number) {
                self.well.entry(node.place()).or_insert(now);
            } else {
                self.well.remove(&node.place());
            }
        }
        if !has_majority(world) {
            self.even.clear();
            return Ok(());
        }
        self.judge_registries(world)?;
        if now.as_secs().is_multiple_of(EVERY) { self.judge_view(world) } else { Ok(()) }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl ViewsConverge {
    fn judge_registries(&mut self, world: &World) -> Result<(), String> {
        let now = world.now();
        let index = world.registry().map_or(0, |registry| registry.index());
        for seat in &world.seats {
            let place = seat.place();
            if !seat.runs() || seat.told == index {
                self.even.insert(place, now);
                continue;
            }
            let since = *self.even.entry(place).or_insert(now);
            if now.saturating_sub(since) > WITHIN {
                return Err(format!("{place} stands at {}, the others at {index}", seat.told));
            }
        }
        Ok(())
    }

    fn judge_view(&mut self, world: &World) -> Result<(), String> {
        let now = world.now();
        let Some(seat) = world.leader().and_then(|number| world.seat(number)) else {
            return Ok(());
        };
        let Some(core) = &seat.core else { return Ok(()) };
        let state = core.state(seat.clock.read(now));
        for node in &world.nodes {
            let since = self.well.get(&node.place());
            if since.is_none_or(|since| now.saturating_sub(*since) <= WITHIN) {
                continue;
            }
            let id = node_id(node.number);
            let Some(seen) = state.nodes.iter().find(|seen| seen.id == id.0) else { continue };
            self.judged += 1;
            if seen.compact.contains(['-', '?']) {
                return Err(format!(
                    "{} is well for {} s, and the leader sees {}",
                    node.place(),
                    WITHIN.as_secs(),
                    seen.compact
                ));
            }
        }
        Ok(())
    }
}
