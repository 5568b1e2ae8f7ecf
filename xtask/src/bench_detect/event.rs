//! An event that all members are to know, and what it costs until they do.
//!
//! Ours is a fence event, ordered by hand: datagrams of one length on the gossip ports, which nobody sends at any other
//! time, so that each is seen where it leaves. Whoever sends one on has it, and the node that it is about obeys. Serf's is
//! a user event, and the memberlists' a message that each member queues once more when it first hears it, as Serf does; all
//! of them log it.

use std::collections::{BTreeMap, BTreeSet};

use super::tap::Datagram;

/// Datagrams of gossip that are shorter are probes and their answers.
const SHORT: u16 = 200;
/// The part of the members by whose time events are compared.
const MOST: f64 = 0.99;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Members that should know it.
    pub(super) members: usize,
    /// Members that did.
    pub(super) reached: usize,
    /// Seconds from the first that knew it until 99 % did; nothing if they never did.
    pub(super) most: Option<f64>,
    /// And until the last one did that ever did.
    pub(super) last: f64,
    /// Packets with it on one network, for each of those that pass it on: with ours, controllers are among them.
    pub(super) packets: f64,
}

impl Spread {
    /// From the times at which each member that was reached knew it, on a clock that began with the first, and all packets
    /// with it on a network, on which so many others pass it on beside the members.
    pub(super) fn of(members: usize, others: u8, mut times: Vec<f64>, packets: f64) -> Self {
        times.sort_by(f64::total_cmp);
        let wanted = (members as f64 * MOST).ceil() as usize;
        Self {
            members,
            reached: times.len(),
            most: wanted.checked_sub(1).and_then(|at| times.get(at)).copied(),
            last: times.last().copied().unwrap_or(f64::NAN),
            packets: packets / (members + usize::from(others)).max(1) as f64,
        }
    }

    /// From what was seen on the gossip ports: of all lengths the one that most different members sent. One member besides
    /// them sends nothing, and obeyed at that time, on the same clock.
    pub(super) fn seen(
        datagrams: &[Datagram],
        others: usize,
        controllers: u8,
        obeyed: Option<f64>,
    ) -> Option<Self> {
        let mut lengths = BTreeMap::<u16, BTreeSet<u8>>::new();
        for datagram in datagrams.iter().filter(|datagram| datagram.payload >= SHORT) {
            lengths.entry(datagram.payload).or_default().insert(datagram.from.octets()[3]);
        }
        let (length, _) = lengths.iter().max_by_key(|(_, by)| by.len())?;
        let event = || datagrams.iter().filter(|datagram| datagram.payload == *length);
        let began = event().map(|datagram| datagram.at).min_by(f64::total_cmp)?;
        let mut first = BTreeMap::<u8, f64>::new();
        for datagram in event() {
            let at = first.entry(datagram.from.octets()[3]).or_insert(datagram.at);
            *at = at.min(datagram.at);
        }
        let networks: BTreeSet<u8> = event().map(|datagram| datagram.from.octets()[2]).collect();
        let nodes = first.iter().filter(|(host, _)| **host > controllers);
        let times = nodes.map(|(_, at)| at - began).chain(obeyed.map(|at| at - began)).collect();
        let packets = event().count() as f64 / networks.len().max(1) as f64;
        Some(Self::of(others + 1, controllers, times, packets))
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { members, reached, most, last, packets } = self;
        let most = most.map_or("never".to_owned(), |most| format!("{most:.3} s"));
        write!(
            f,
            "99 % after {most}, last after {last:.3} s, {reached} of {members} members, {packets:.1} packets a member on a network"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn who_sends_an_event_on_has_it_and_probes_are_none() {
        let datagram = |at, network, host, payload| Datagram {
            at,
            from: Ipv4Addr::new(127, 64, network, host),
            payload,
        };
        let mut seen = vec![datagram(1.0, 0, 1, 300), datagram(1.0, 1, 1, 300)];
        for host in 4..=7 {
            seen.push(datagram(1.0 + f64::from(host) / 100.0, 0, host, 300));
            seen.push(datagram(1.5, 1, host, 300));
            seen.push(datagram(0.5, 0, host, 106));
        }
        seen.push(datagram(0.2, 0, 5, 900));
        let spread = Spread::seen(&seen, 4, 3, Some(1.09)).unwrap();
        assert_eq!((spread.reached, spread.members, spread.packets), (5, 5, 5.0 / 8.0));
        assert!((spread.most.unwrap() - 0.09).abs() < 1e-9, "{spread}");
        // The node that it is about did not obey.
        assert_eq!(Spread::seen(&seen, 4, 3, None).unwrap().most, None);
        assert_eq!(Spread::seen(&seen, 5, 3, Some(1.09)).unwrap().most, None);
        assert_eq!(Spread::seen(&[], 4, 3, Some(1.09)), None);
    }
}
