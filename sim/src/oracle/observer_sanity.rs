//! S11.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::effect::Network;

use super::Oracle;
use super::openings::Openings;
use crate::fact::Fact;
use crate::node::Power;
use crate::place::Place;
use crate::world::World;

/// S11: no verdict counts an observer that for a while has reached fewer than a quarter of the machines on that
/// network: what it cannot reach says something about itself alone.
#[derive(Debug, Default)]
pub(super) struct ObserverSanity {
    openings: Openings,
    /// Since when each observer is blind on each network.
    blind: BTreeMap<(Place, Network), Duration>,
    judged: u64,
}

/// Its control group is silent after one second, and reports are at most 1.5 s old.
const LONG_ENOUGH: Duration = Duration::from_secs(5);

impl Oracle for ObserverSanity {
    fn name(&self) -> &'static str {
        "observer_sanity"
    }

    fn promise(&self) -> &'static str {
        "who sees badly has no voice"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if *fact == Fact::Second {
            self.look(world);
            return Ok(());
        }
        for incident in self.openings.take(world, fact) {
            for line in &incident.verdict.observations {
                let Some((network, who)) = voice(world, line) else { continue };
                self.judged += 1;
                let since = self.blind.get(&(who, network));
                let blind = since.map(|since| world.now().saturating_sub(*since));
                if let Some(blind) = blind.filter(|blind| *blind >= LONG_ENOUGH) {
                    return Err(format!(
                        "incident {} counts {who}, which has been blind there for {:.0} s: {line}",
                        incident.id,
                        blind.as_secs_f64()
                    ));
                }
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl ObserverSanity {
    fn look(&mut self, world: &World) {
        if world.wire.is_whole() {
            self.blind.clear();
            return;
        }
        let nodes = world.nodes.iter().filter(|node| node.power == Power::Running);
        let seats = world.seats.iter().filter(|seat| seat.core.is_some());
        let all: Vec<Place> =
            nodes.map(|node| node.place()).chain(seats.map(|seat| seat.place())).collect();
        for network in (0..world.plan().networks()).map(Network) {
            let linked = all.iter().filter(|who| world.wire.is_linked(**who, network)).count();
            for who in &all {
                let both = |other: &&Place| {
                    let there = world.wire.is_open(*who, **other, network);
                    **other != *who && there && world.wire.is_open(**other, *who, network)
                };
                let reached = if world.wire.parts_nobody() {
                    // Only links are cut: who is linked reaches all others that are.
                    linked.saturating_sub(1) * usize::from(world.wire.is_linked(*who, network))
                } else {
                    all.iter().filter(both).count()
                };
                if reached * 4 < all.len().saturating_sub(1) {
                    self.blind.entry((*who, network)).or_insert(world.now());
                } else {
                    self.blind.remove(&(*who, network));
                }
            }
        }
    }
}

/// Whose voice a line of a verdict counts: `storage: node-3 unanswered for 2.1s`.
fn voice(world: &World, line: &str) -> Option<(Network, Place)> {
    let (network, rest) = line.split_once(": ")?;
    if rest.ends_with("(no voice)") {
        return None;
    }
    let mut words = rest.split_whitespace();
    let who = Place::named(words.next()?)?;
    let unanswered: f64 = words.last()?.trim_end_matches('s').parse().ok()?;
    let networks = world.plan().matrix.networks();
    let place = networks.iter().position(|known| known == network)?;
    (unanswered >= 1.5).then_some((Network(u8::try_from(place).ok()?), who))
}
