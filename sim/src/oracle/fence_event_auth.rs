//! S15.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fencing::event::Order;
use fencing::{BootId, ControllerId, Epoch};

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, cluster, node_id};
use crate::world::World;

/// S15: a sentinel that obeys a fence event was meant, in this very boot, by a committed intent that two controllers
/// signed; the challenge was its own and fresh; and its disk keeps the epoch, so that no later boot obeys it again.
#[derive(Debug, Default)]
pub(super) struct FenceEventAuth {
    challenges: BTreeMap<Place, (BootId, VecDeque<(u64, Duration)>)>,
    obeyed: BTreeMap<Place, Epoch>,
    judged: u64,
}

/// Challenges of one boot that are remembered: more than a lease's worth of any profile.
const REMEMBERED: usize = 512;
/// A node's clock may run too slow.
const SLACK: Duration = Duration::from_secs(1);

impl Oracle for FenceEventAuth {
    fn name(&self) -> &'static str {
        "fence_event_auth"
    }

    fn promise(&self) -> &'static str {
        "a fence event is exactly right or has no effect"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if let Fact::Renewed { node, challenge, .. } = fact {
            let Some(machine) = world.node(*node) else { return Ok(()) };
            let (boot, known) = self
                .challenges
                .entry(machine.place())
                .or_insert_with(|| (machine.boot(), VecDeque::new()));
            if *boot != machine.boot() {
                (*boot, *known) = (machine.boot(), VecDeque::new());
            }
            known.push_back((*challenge, world.now()));
            if known.len() > REMEMBERED {
                known.pop_front();
            }
            return Ok(());
        }
        let Fact::Obeyed { node, boot, order, signers } = fact else { return Ok(()) };
        self.judged += 1;
        let place = Place::Node(*node);
        let why = self.wrong(world, place, *boot, order, signers);
        self.obeyed.insert(place, order.epoch);
        why.map_or(Ok(()), |why| Err(format!("{place} obeys a fence event {why}")))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl FenceEventAuth {
    fn wrong(
        &self,
        world: &World,
        place: Place,
        boot: BootId,
        order: &Order,
        signers: &[ControllerId],
    ) -> Option<&'static str> {
        let Place::Node(number) = place else { return Some("and is no node") };
        if order.cluster != cluster() || order.node != node_id(number) {
            return Some("that is not for it");
        }
        if order.boot != boot {
            return Some("for another boot of it");
        }
        if signers.iter().all(|one| signers.first() == Some(one)) {
            return Some("that two controllers have not signed");
        }
        let intended = world.registry().is_some_and(|registry| {
            registry.incidents().values().any(|incident| {
                let epoch = incident.fence().map(|fence| fence.epoch);
                epoch == Some(order.epoch) && incident.boot == boot && incident.node == order.node
            })
        });
        if !intended {
            return Some("that no committed intent stands behind");
        }
        let lease = world.plan().profile.times().lease + SLACK;
        let own = self.challenges.get(&place).filter(|(of, _)| *of == boot);
        let fresh = own.is_some_and(|(_, known)| {
            let mut known = known.iter();
            known.any(|(one, at)| {
                *one == order.challenge && world.now().saturating_sub(*at) <= lease
            })
        });
        if !fresh {
            return Some("with a challenge that is not its own, or old");
        }
        if self.obeyed.get(&place).is_some_and(|last| order.epoch <= *last) {
            return Some("of an epoch that it obeyed before");
        }
        let kept = world.node(number).and_then(|machine| machine.highest_epoch);
        (kept != Some(order.epoch)).then_some("and its disk does not keep the epoch")
    }
}
