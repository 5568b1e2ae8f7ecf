//! Verdicts as they are committed: what several oracles look at.

use std::ops::Bound;

use controller::registry::Incident;
use fencing::IncidentId;

use crate::fact::Fact;
use crate::world::World;

/// Incidents that were not seen before.
#[derive(Debug, Default)]
pub(super) struct Openings {
    last: Option<IncidentId>,
}

/// An entry that is applied later than this after its proposal tells of another time.
const FRESH_MS: u64 = 2000;

impl Openings {
    /// Incidents that a row of the matrix has just opened, by a leader that is still there.
    pub(super) fn take(&mut self, world: &World, fact: &Fact) -> Vec<Incident> {
        let Fact::Applied { controller, .. } = fact else { return Vec::new() };
        let Some(registry) = world.registry() else { return Vec::new() };
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let news = registry.incidents().range((after, Bound::Unbounded));
        let news: Vec<Incident> = news.map(|(_, incident)| incident.clone()).collect();
        self.last = news.last().map(|incident| incident.id).or(self.last);
        let Some(seat) = world.seat(*controller) else { return Vec::new() };
        let wall = seat.wall_ms(world.now());
        let fresh = |at: u64| wall.abs_diff(at) <= FRESH_MS;
        let rows = world.plan().matrix.rows();
        news.into_iter()
            .filter(|incident| incident.phases.first().is_some_and(|(_, at, _)| fresh(*at)))
            .filter(|incident| rows.iter().any(|row| row.name() == incident.verdict.row))
            .collect()
    }
}
