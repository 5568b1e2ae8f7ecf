//! Ports that go down and up again by themselves.

use std::time::Duration;

use controller::effect::Network;

use super::{Happening, World};
use crate::place::Place;
use crate::wire::Way;

impl World {
    /// A switch port flaps: down for a while, up for as long, until the link is healed.
    pub fn start_flapping(&mut self, place: Place, network: Network, every: Duration) {
        self.wire.set_flapping(place, network);
        self.later(Duration::ZERO, Happening::Flaps { place, network, every });
    }

    pub(super) fn flap(&mut self, place: Place, network: Network, every: Duration) {
        if !self.wire.is_flapping(place, network) {
            return;
        }
        if self.wire.is_linked(place, network) {
            self.wire.cut(place, network, Way::In);
            self.wire.cut(place, network, Way::Out);
        } else {
            self.wire.port_up(place, network);
        }
        self.trouble(place);
        self.see_computes();
        self.later(every, Happening::Flaps { place, network, every });
    }
}
