//! Machines by name, id and address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use controller::detect;
use controller::effect::Network;
use fencing::{BootId, ControllerId, NodeId};
use uuid::Uuid;

/// Port of the gossip groups.
const GOSSIP: u16 = 7946;
/// Port of renewals, asks and witness pings.
const LEASE: u16 = 7947;

/// Third octet of a controller's addresses.
const CONTROLLERS: u8 = 1;
/// Third octet of the addresses of the first 255 nodes; it counts on from there.
const NODES: u8 = 2;

/// More nodes are refused. The third octet of an address would go on to 64,767, an id to 65,535.
pub const MOST_NODES: u16 = 16_384;

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `controller-N`.
    Controller(u8),
    /// `node-N`.
    Node(u16),
}

/// Which of a machine's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// Gossip.
    Gossip,
    /// Renewals, asks, witness pings.
    Lease,
}

impl Place {
    /// Where it listens on a network.
    pub fn address(self, network: Network, port: Port) -> SocketAddr {
        let (kind, number) = match self {
            Place::Controller(number) => (CONTROLLERS, number),
            Place::Node(number) => {
                let [high, low] = number.to_be_bytes();
                (NODES.saturating_add(high), low)
            }
        };
        let port = match port {
            Port::Gossip => GOSSIP,
            Port::Lease => LEASE,
        };
        SocketAddr::from(([10, network.0, kind, number], port))
    }

    /// One address per network.
    pub fn addresses(self, networks: u8, port: Port) -> Vec<SocketAddr> {
        (0..networks).map(|network| self.address(Network(network), port)).collect()
    }

    /// Whose address it is.
    pub fn at(address: SocketAddr) -> Option<(Place, Network)> {
        let IpAddr::V4(v4) = address.ip() else { return None };
        let [_, network, kind, number] = v4.octets();
        let place = match kind {
            0 => return None,
            CONTROLLERS => Place::Controller(number),
            NODES.. => Place::Node(u16::from_be_bytes([kind - NODES, number])),
        };
        Some((place, Network(network)))
    }

    /// A machine by its name.
    pub fn named(name: &str) -> Option<Place> {
        let (kind, number) = name.rsplit_once('-')?;
        let number = number.parse().ok().filter(|number| (1..=MOST_NODES).contains(number))?;
        match kind {
            "controller" => u8::try_from(number).ok().map(Place::Controller),
            "node" => Some(Place::Node(number)),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Controller(number) => write!(f, "controller-{number}"),
            Place::Node(number) => write!(f, "node-{number}"),
        }
    }
}

/// The cluster's id.
pub fn cluster() -> Uuid {
    Uuid::from_u128(0xc1u128 << 120)
}

/// A node's id for life.
pub fn node_id(number: u16) -> NodeId {
    NodeId(Uuid::from_u128(0x0de << 112 | u128::from(number)))
}

/// The number of a node.
pub fn node_number(id: NodeId) -> u16 {
    let [.., high, low] = id.0.into_bytes();
    u16::from_be_bytes([high, low])
}

/// Id of one boot of a machine.
pub fn boot_id(place: Place, boots: u32) -> BootId {
    let (kind, number) = match place {
        Place::Controller(number) => (1u128, u16::from(number)),
        Place::Node(number) => (2u128, number),
    };
    // The first digits tell boots apart in a story.
    let first = u128::from(number) << 8 | u128::from(boots & 0xff) | kind << 24;
    BootId(Uuid::from_u128(first << 96 | 0xb007 << 48 | u128::from(boots)))
}

/// A controller's id.
pub fn controller_id(number: u8) -> ControllerId {
    ControllerId(u64::from(number))
}

/// Who a machine is in the gossip groups and in pongs.
pub fn member_id(place: Place) -> Uuid {
    match place {
        Place::Controller(number) => detect::member_id(cluster(), controller_id(number)),
        Place::Node(number) => node_id(number).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_lead_back() {
        let nodes = [1, 17, 255, 256, 1000, 5000, MOST_NODES].map(Place::Node);
        for place in nodes.into_iter().chain([Place::Controller(3)]) {
            assert_eq!(Place::named(&place.to_string()), Some(place));
            let address = place.address(Network(2), Port::Lease);
            assert_eq!(Place::at(address), Some((place, Network(2))));
        }
        assert_eq!(Place::named(&format!("node-{}", MOST_NODES + 1)), None);
        assert_eq!(Place::named("node-0"), None);
        assert_eq!(Place::named("node-65536"), None);
        assert_eq!(Place::named("rack-1"), None);
    }
}
