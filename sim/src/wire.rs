//! The networks: who reaches whom, in which direction, and how long it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use controller::effect::Network;
use rand::{Rng, RngExt};

use crate::place::Place;

/// A direction, seen from a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// What it receives.
    In,
    /// What it sends.
    Out,
}

/// Jitter that no probe notices.
const HARMLESS_JITTER: Duration = Duration::from_millis(50);

/// All networks, and the links between controllers.
#[derive(Debug, Default)]
pub struct Wire {
    cut: BTreeSet<(Place, Network, Way)>,
    dark: BTreeSet<Network>,
    /// Per mille of what a machine sends and receives there that is lost.
    loss: BTreeMap<(Place, Network), u32>,
    /// How much longer what a machine sends or receives there takes.
    delay: BTreeMap<(Place, Network, Way), Duration>,
    /// Per mille of everything that is lost.
    background: u32,
    /// Per mille of what a machine sends and receives there that arrives twice.
    twice: BTreeMap<(Place, Network), u32>,
    /// What comes from or goes to a machine there takes up to so much longer, each datagram by itself: they overtake
    /// each other.
    jitter: BTreeMap<(Place, Network), Duration>,
    /// To whom nothing comes from whom.
    deaf: BTreeSet<(Place, Place, Network)>,
    /// Ports that go down and up again by themselves.
    flapping: BTreeSet<(Place, Network)>,
    /// Machines that reach each other and nobody else; nobody when it is empty.
    island: BTreeSet<Place>,
    /// Controllers that cannot speak to each other.
    split: BTreeSet<(u8, u8)>,
    /// Machines that cannot speak to each other on a network, whatever their links are.
    apart: BTreeSet<(Place, Place, Network)>,
    carried: u64,
    lost: u64,
}

impl Wire {
    /// Cuts a machine's link.
    pub fn cut(&mut self, place: Place, network: Network, way: Way) {
        self.cut.insert((place, network, way));
    }

    /// Heals a machine's link, loss included.
    pub fn heal(&mut self, place: Place, network: Network) {
        for way in [Way::In, Way::Out] {
            self.cut.remove(&(place, network, way));
            self.delay.remove(&(place, network, way));
        }
        let link = (place, network);
        self.loss.remove(&link);
        self.twice.remove(&link);
        self.jitter.remove(&link);
        self.flapping.remove(&link);
        self.deaf.retain(|(to, _, on)| (*to, *on) != link);
    }

    /// So many of a thousand datagrams of a machine arrive twice.
    pub fn set_twice(&mut self, place: Place, network: Network, permille: u32) {
        self.twice.insert((place, network), permille);
    }

    /// Datagrams of a machine take up to so much longer, each by itself.
    pub fn set_jitter(&mut self, place: Place, network: Network, most: Duration) {
        self.jitter.insert((place, network), most);
    }

    /// A machine no longer receives what another one sends.
    pub fn set_deaf(&mut self, to: Place, from: Place, network: Network) {
        self.deaf.insert((to, from, network));
    }

    /// Whether a machine's port flaps; until it is healed.
    pub fn is_flapping(&self, place: Place, network: Network) -> bool {
        self.flapping.contains(&(place, network))
    }

    /// A machine's port flaps from now on: whoever flaps it asks [`Wire::is_flapping`] whether to go on.
    pub fn set_flapping(&mut self, place: Place, network: Network) {
        self.flapping.insert((place, network));
    }

    /// A machine's port comes up for a moment; what else is wrong with its link stays.
    pub fn port_up(&mut self, place: Place, network: Network) {
        for way in [Way::In, Way::Out] {
            self.cut.remove(&(place, network, way));
        }
    }

    /// Switches a whole network off or on.
    pub fn set_dark(&mut self, network: Network, dark: bool) {
        if dark {
            self.dark.insert(network);
        } else {
            self.dark.remove(&network);
        }
    }

    /// Loses so many of a thousand datagrams of a machine.
    pub fn set_loss(&mut self, place: Place, network: Network, permille: u32) {
        self.loss.insert((place, network), permille);
    }

    /// What a machine sends or receives there takes so much longer.
    pub fn set_delay(&mut self, place: Place, network: Network, way: Way, by: Duration) {
        self.delay.insert((place, network, way), by);
    }

    /// Loses so many of a thousand datagrams everywhere.
    pub fn set_background(&mut self, permille: u32) {
        self.background = permille;
    }

    /// Splits two controllers, or joins them again.
    pub fn set_split(&mut self, one: u8, other: u8, split: bool) {
        let pair = (one.min(other), one.max(other));
        if split {
            self.split.insert(pair);
        } else {
            self.split.remove(&pair);
        }
    }

    /// These machines reach each other and nobody else, or, if there are none, everybody reaches everybody again.
    pub fn set_island(&mut self, island: BTreeSet<Place>) {
        self.island = island;
    }

    /// Parts two machines on a network, or joins them again.
    pub fn set_apart(&mut self, one: Place, other: Place, network: Network, apart: bool) {
        let pair = (one.min(other), one.max(other), network);
        if apart {
            self.apart.insert(pair);
        } else {
            self.apart.remove(&pair);
        }
    }

    /// Whether every machine reaches every other.
    pub fn is_whole(&self) -> bool {
        self.cut.is_empty()
            && self.dark.is_empty()
            && self.split.is_empty()
            && self.apart.is_empty()
            && self.deaf.is_empty()
            && self.flapping.is_empty()
            && self.island.is_empty()
    }

    /// Whether no two machines are parted that are both linked: if someone does not reach someone else, one of the two
    /// reaches nobody, in one direction or in both.
    pub fn parts_nobody(&self) -> bool {
        self.deaf.is_empty()
            && self.island.is_empty()
            && self.split.is_empty()
            && self.apart.is_empty()
    }

    /// All links as new.
    pub fn heal_all(&mut self) {
        *self = Self { carried: self.carried, lost: self.lost, ..Self::default() };
    }

    /// Whether a datagram can get through at all.
    pub fn is_open(&self, from: Place, to: Place, network: Network) -> bool {
        if self.is_whole() {
            return true;
        }
        !self.dark.contains(&network)
            && !self.cut.contains(&(from, network, Way::Out))
            && !self.cut.contains(&(to, network, Way::In))
            && !self.deaf.contains(&(to, from, network))
            && self.island.contains(&from) == self.island.contains(&to)
            && !self.is_split(from, to)
            && !self.apart.contains(&(from.min(to), from.max(to), network))
    }

    /// Whether a machine can speak and hear on a network.
    pub fn is_linked(&self, place: Place, network: Network) -> bool {
        let cut = |way| self.cut.contains(&(place, network, way));
        let apart = self.dark.contains(&network) || self.island.contains(&place);
        !apart && !cut(Way::In) && !cut(Way::Out)
    }

    /// Whether a machine's link loses nothing, and is not slower than a probe waits.
    pub fn is_clean(&self, place: Place, network: Network) -> bool {
        let link = (place, network);
        let lossy = self.background > 0 || self.loss.get(&link).is_some_and(|loss| *loss > 0);
        let slow = self.jitter.get(&link).is_some_and(|most| *most > HARMLESS_JITTER);
        let deaf = self.deaf.iter().any(|(to, _, on)| (*to, *on) == link);
        self.is_linked(place, network) && !lossy && !slow && !deaf && !self.flapping.contains(&link)
    }

    /// Whether something is wrong that concerns more than one machine: a dark network, a split, or more than 1 % loss
    /// everywhere.
    pub fn is_noisy(&self) -> bool {
        !self.dark.is_empty()
            || !self.split.is_empty()
            || !self.apart.is_empty()
            || !self.island.is_empty()
            || self.background > 10
    }

    /// Whether a machine's own links are whole on all networks, and lose no more than 1 %.
    pub fn is_good(&self, place: Place) -> bool {
        let lossy = self.loss.iter().any(|((of, _), loss)| *of == place && *loss > 10);
        let deaf = self.deaf.iter().any(|(to, _, _)| *to == place);
        let flapping = self.flapping.iter().any(|(of, _)| *of == place);
        let slow =
            |(of, most): (&(Place, Network), &Duration)| of.0 == place && *most > HARMLESS_JITTER;
        !self.has_cut(place) && !lossy && !deaf && !flapping && !self.jitter.iter().any(slow)
    }

    /// Whether one of a machine's own links is cut, in any direction.
    pub fn has_cut(&self, place: Place) -> bool {
        self.cut.iter().any(|(of, _, _)| *of == place)
    }

    /// Flight time of a datagram, or `None` for one that is lost.
    pub fn carry(
        &mut self,
        rng: &mut impl Rng,
        from: Place,
        to: Place,
        network: Network,
    ) -> Option<Duration> {
        let lossy = |place| self.loss.get(&(place, network)).copied().unwrap_or(0);
        let losses = [self.background, lossy(from), lossy(to)];
        let lost = losses.iter().any(|loss| *loss > 0 && rng.random_range(0..1000) < *loss);
        if lost || !self.is_open(from, to, network) {
            self.lost += 1;
            return None;
        }
        self.carried += 1;
        let jitter = [from, to].map(|place| self.jitter.get(&(place, network)).copied());
        let most: Duration = jitter.into_iter().flatten().sum();
        let later =
            |place, way| self.delay.get(&(place, network, way)).copied().unwrap_or_default();
        let later = later(from, Way::Out) + later(to, Way::In);
        let flight = Duration::from_micros(rng.random_range(100..1500)) + later;
        if most.is_zero() {
            Some(flight)
        } else {
            Some(flight + most * rng.random_range(0..1000) / 1000)
        }
    }

    /// Flight time of a second copy of a datagram that was carried, where the link makes one.
    pub fn copy(
        &mut self,
        rng: &mut impl Rng,
        from: Place,
        to: Place,
        network: Network,
    ) -> Option<Duration> {
        let twice = |place| self.twice.get(&(place, network)).copied().unwrap_or(0);
        let twice = twice(from).max(twice(to));
        let doubled = twice > 0 && rng.random_range(0..1000) < twice;
        doubled.then(|| Duration::from_micros(rng.random_range(100..5000)))
    }

    /// Datagrams that were carried, and that were lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.carried, self.lost)
    }

    fn is_split(&self, from: Place, to: Place) -> bool {
        let (Place::Controller(one), Place::Controller(other)) = (from, to) else { return false };
        self.split.contains(&(one.min(other), one.max(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_is_parted_two_reach_each_other_when_both_are_linked() {
        let network = Network(1);
        let places = [Place::Controller(1), Place::Node(1), Place::Node(2), Place::Node(3)];
        let mut wire = Wire::default();
        let agrees = |wire: &Wire| {
            let pairs = places.iter().flat_map(|a| places.iter().map(move |b| (*a, *b)));
            pairs.filter(|(a, b)| a != b).all(|(a, b)| {
                let both = wire.is_open(a, b, network) && wire.is_open(b, a, network);
                both == (wire.is_linked(a, network) && wire.is_linked(b, network))
            })
        };
        assert!(agrees(&wire));
        wire.cut(Place::Node(1), network, Way::In);
        wire.cut(Place::Node(2), network, Way::Out);
        wire.cut(Place::Node(3), Network(0), Way::Out);
        assert!(wire.parts_nobody() && agrees(&wire));
        wire.set_dark(network, true);
        assert!(wire.parts_nobody() && agrees(&wire));
        wire.set_dark(network, false);
        wire.set_apart(Place::Node(3), Place::Controller(1), network, true);
        assert!(!wire.parts_nobody() && !agrees(&wire));
    }
}
