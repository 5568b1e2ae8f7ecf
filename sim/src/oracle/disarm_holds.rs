//! S22.

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Request, Scope};

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_id};
use crate::world::World;

/// S22: once an operator has been told that a node, or all, are disarmed or in maintenance, no new intent names it, and
/// once it can know of that it does not reset itself; until somebody orders the end of it.
#[derive(Debug, Default)]
pub(super) struct DisarmHolds {
    all: Option<Held>,
    nodes: BTreeMap<Place, Held>,
    judged: u64,
}

/// Hands off, as an operator was told.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Index of its entry.
    index: u64,
    /// When it may end by itself at the earliest.
    ends: Option<Duration>,
    /// Seconds since in which a leader led and all links of the node, or of all nodes, were whole.
    calm: u32,
}

/// After so many calm seconds every sentinel has adopted it.
const KNOWN_AFTER: u32 = 30;

impl Oracle for DisarmHolds {
    fn name(&self) -> &'static str {
        "disarm_holds"
    }

    fn promise(&self) -> &'static str {
        "hands off means hands off, whoever leads"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most facts are none of its business")]
    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Ordered { request } => self.ordered(request),
            Fact::Answered { request, index: Some(index) } => {
                self.answered(world.now(), request, *index);
            }
            Fact::Second => self.count(world),
            Fact::Intended { incident, .. } => {
                let incident = world.registry().and_then(|r| r.incidents().get(incident));
                let Some(incident) = incident else { return Ok(()) };
                let Some(fence) = incident.fence() else { return Ok(()) };
                let place = Place::Node(crate::place::node_number(incident.node));
                if let Some(held) = self.held(place) {
                    self.judged += 1;
                    if fence.epoch.index > held.index {
                        return Err(format!("{place} is to be fenced, and it is hands off"));
                    }
                }
            }
            Fact::Reset { node, boot, why, .. } => {
                let place = Place::Node(*node);
                let Some(held) = self.held(place) else { return Ok(()) };
                self.judged += 1;
                let out = world.registry().is_some_and(|r| r.is_out(node_id(*node)));
                let fenced = world.ghost.fenced_boots.contains(&(node_id(*node), *boot));
                if held.calm >= KNOWN_AFTER && !out && !fenced {
                    return Err(format!("{place} {why}, and it is hands off"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl DisarmHolds {
    /// The end counts from the order on: whoever gave it wants no more protection from us.
    fn ordered(&mut self, request: &Request) {
        match request {
            Request::Arm { scope: Scope::All, .. } => {
                self.all = None;
                self.nodes.clear();
            }
            Request::Arm { scope: Scope::Node(node), .. }
            | Request::Maintenance { node, on: false, .. } => {
                if let Some(place) = Place::named(node) {
                    self.nodes.remove(&place);
                }
            }
            Request::Maintenance { on: true, .. }
            | Request::Disarm { .. }
            | Request::Noop { .. }
            | Request::Fence { .. }
            | Request::Drill { .. }
            | Request::Confirm { .. }
            | Request::Release { .. }
            | Request::BmcEnroll { .. }
            | Request::Approve { .. }
            | Request::ExplainPolicy { .. }
            | Request::Matrix { .. } => {}
        }
    }

    fn answered(&mut self, now: Duration, request: &Request, index: u64) {
        // A clock of a controller may run a thousandth too fast.
        let span = |minutes: u64| Duration::from_millis(minutes * 60 * 999);
        let ends = match request {
            Request::Disarm { minutes, .. } | Request::Maintenance { minutes, .. } => {
                minutes.map(|minutes| now + span(minutes))
            }
            Request::Arm { .. }
            | Request::Noop { .. }
            | Request::Fence { .. }
            | Request::Drill { .. }
            | Request::Confirm { .. }
            | Request::Release { .. }
            | Request::BmcEnroll { .. }
            | Request::Approve { .. }
            | Request::ExplainPolicy { .. }
            | Request::Matrix { .. } => None,
        };
        let held = Held { index, ends, calm: 0 };
        match request {
            Request::Disarm { scope: Scope::All, .. } => self.all = Some(held),
            Request::Disarm { scope: Scope::Node(node), .. }
            | Request::Maintenance { node, on: true, .. } => {
                if let Some(place) = Place::named(node) {
                    self.nodes.insert(place, held);
                }
            }
            Request::Maintenance { on: false, .. }
            | Request::Arm { .. }
            | Request::Noop { .. }
            | Request::Fence { .. }
            | Request::Drill { .. }
            | Request::Confirm { .. }
            | Request::Release { .. }
            | Request::BmcEnroll { .. }
            | Request::Approve { .. }
            | Request::ExplainPolicy { .. }
            | Request::Matrix { .. } => {}
        }
    }

    fn count(&mut self, world: &World) {
        let over = |held: &Held| held.ends.is_some_and(|ends| ends <= world.now());
        self.all = self.all.filter(|held| !over(held));
        self.nodes.retain(|_, held| !over(held));
        let led = world.leader().is_some();
        let well = |place: &Place| match place {
            Place::Node(number) => led && world.is_well(*number),
            Place::Controller(_) => false,
        };
        if let Some(held) = &mut self.all
            && world.nodes.iter().all(|node| well(&node.place()))
        {
            held.calm += 1;
        }
        for (place, held) in &mut self.nodes {
            held.calm += u32::from(well(place));
        }
    }

    fn held(&self, place: Place) -> Option<Held> {
        self.nodes.get(&place).copied().or(self.all)
    }
}
