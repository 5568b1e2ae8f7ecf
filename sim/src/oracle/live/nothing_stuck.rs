//! L5.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use controller::effect::Level;
use controller::registry::{Incident, State};
use fencing::IncidentId;

use super::{calm_for, has_majority, place};
use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::world::World;

/// L5: no incident stays where it is without somebody having been woken for its node.
#[derive(Debug, Default)]
pub(in crate::oracle) struct NothingStuck {
    /// Since when each incident is in its state.
    entered: BTreeMap<IncidentId, (State, Duration)>,
    /// Incidents whose present state must end, and is held against its bound.
    bound: BTreeSet<IncidentId>,
    /// When a line about a node last woke somebody.
    paged: BTreeMap<String, Duration>,
    judged: u64,
}

/// T_alarm beyond the waits of a lease.
const ALARM_WITHIN: Duration = Duration::from_secs(60);
/// A state other than fencing.
const STATE_ENDS_WITHIN: Duration = Duration::from_secs(25 * 60);

impl Oracle for NothingStuck {
    fn name(&self) -> &'static str {
        "nothing_stuck"
    }

    fn promise(&self) -> &'static str {
        "no incident stays unfinished without an alarm"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if let Fact::Told { line, .. } = fact
            && line.level != Level::State
        {
            let names = world.nodes.iter().map(|node| node.place().to_string());
            for name in names.filter(|name| line.text.split_whitespace().any(|w| w == name)) {
                self.paged.insert(name, world.now());
            }
            return Ok(());
        }
        if *fact != Fact::Second {
            return Ok(());
        }
        let Some(registry) = world.registry() else { return Ok(()) };
        self.entered.retain(|id, _| registry.incidents().get(id).is_some_and(Incident::is_open));
        for incident in registry.open_incidents() {
            let entered = self.entered.entry(incident.id).or_insert((incident.state, world.now()));
            if entered.0 != incident.state {
                *entered = (incident.state, world.now());
                self.ended(incident.id);
            }
        }
        let over = |id: &&IncidentId| !self.entered.contains_key(id);
        let over: Vec<IncidentId> = self.bound.iter().filter(over).copied().collect();
        over.into_iter().for_each(|id| self.ended(id));
        if !has_majority(world) || registry.is_noop() || world.leader().is_none() {
            return Ok(());
        }
        registry.open_incidents().try_for_each(|incident| self.judge_incident(world, incident))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl NothingStuck {
    /// A state ended before its bound: that is a judgement, too.
    fn ended(&mut self, id: IncidentId) {
        self.judged += u64::from(self.bound.remove(&id));
    }

    fn judge_incident(&mut self, world: &World, incident: &Incident) -> Result<(), String> {
        let times = world.plan().profile.times();
        let waits = times.wait_after_intent() + times.wait_after_promise();
        let within = match incident.state {
            State::Fencing => waits + ALARM_WITHIN,
            State::Fenced
            | State::ForcedDown
            | State::Evacuating
            | State::Disabling
            | State::Migrating => STATE_ENDS_WITHIN,
            // These wait for their node: `released` looks after them.
            State::Recovered
            | State::Released
            | State::Notified
            | State::Migrated
            | State::Returned
            | State::Cancelled
            | State::Closed => return Ok(()),
        };
        let since = self.entered.get(&incident.id).map_or(world.now(), |(_, since)| *since);
        let Some(calm) = calm_for(world) else { return Ok(()) };
        self.bound.insert(incident.id);
        let stuck = world.now().saturating_sub(since).min(calm);
        if stuck <= within {
            return Ok(());
        }
        self.judged += 1;
        let woken = self.paged.get(&place(incident).to_string()).is_some_and(|at| *at >= since);
        if woken {
            return Ok(());
        }
        Err(format!(
            "incident {} of {} is {} for {:.0} s, and nobody was woken",
            incident.id,
            place(incident),
            incident.state,
            stuck.as_secs_f64()
        ))
    }
}
