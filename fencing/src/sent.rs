//! What a node has sent lately, counted where it left: for people, behind a [list of domains](crate::domains).
//!
//! It is evidence for nothing, and what cannot be read of it is left out. A controller that does not know it reads the
//! list and overlooks what stands behind.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// First byte behind the list, so that something else may stand there one day.
const KIND: u8 = 1;

/// What gossip carries of one payload, less the byte of the channel.
const MOST: usize = 999;

/// More networks than any cluster has are not believed.
const MOST_NETWORKS: usize = 8;

/// Datagrams sent since a program began, and their bytes: sealed or signed, without headers of IP and UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Datagrams.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Total {
    /// A datagram of so many bytes left.
    pub fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// What came on top of an earlier one; `None` where there was more then: another program counts now.
    pub fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            packets: self.packets.checked_sub(earlier.packets)?,
            bytes: self.bytes.checked_sub(earlier.bytes)?,
        })
    }
}

/// What is sent in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Tenths of a datagram.
    pub tenths: u32,
    /// Bytes.
    pub bytes: u32,
}

impl Rate {
    /// So much within this time. Nothing for no time.
    pub fn of(total: Total, within: Duration) -> Self {
        let per_second = |number: u64, times: u128| {
            let rate = u128::from(number) * times * 1000 / within.as_millis().max(1);
            u32::try_from(rate).unwrap_or(u32::MAX)
        };
        Self { tenths: per_second(total.packets, 10), bytes: per_second(total.bytes, 1) }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tenths: self.tenths.saturating_add(other.tenths),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// What a node sends on one network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnNetwork {
    /// From the gossip port.
    pub gossip: Rate,
    /// From all ports: gossip, renewals, pings and the answers to them.
    pub all: Rate,
    /// How often gossip had to wait for its ceiling within the time.
    pub put_off: u32,
}

/// What a node has sent within a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Seconds over which it was counted.
    pub over_s: u16,
    /// Each network, in the order of the configuration.
    pub networks: Vec<OnNetwork>,
}

impl Sent {
    /// Puts it behind a list that is written, unless the datagram would be too long by it.
    pub fn put_behind(&self, list: &mut Vec<u8>) {
        let Ok(bytes) = postcard::to_stdvec(self) else { return };
        if list.len() + 1 + bytes.len() <= MOST {
            list.push(KIND);
            list.extend(bytes);
        }
    }

    /// What stands behind a list; `None` where that is nothing, or nothing of this kind.
    pub fn behind(rest: &[u8]) -> Option<Self> {
        let (kind, bytes) = rest.split_first()?;
        let (sent, rest) = postcard::take_from_bytes::<Self>(bytes).ok()?;
        let fits = *kind == KIND && rest.is_empty() && sent.networks.len() <= MOST_NETWORKS;
        fits.then_some(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle() -> Sent {
        let rate = |tenths, bytes| Rate { tenths, bytes };
        let on = OnNetwork { gossip: rate(20, 131), all: rate(80, 830), put_off: 0 };
        Sent { over_s: 30, networks: vec![on; 3] }
    }

    #[test]
    fn an_idle_node_pays_24_bytes_twice_a_minute_for_each_controller() {
        let mut list = vec![0; 40];
        idle().put_behind(&mut list);
        assert_eq!(list.len() - 40, 24);
        assert_eq!(Sent::behind(&list[40..]), Some(idle()));
    }

    #[test]
    fn a_datagram_that_is_full_goes_without_it() {
        let mut list = vec![0; MOST - 23];
        idle().put_behind(&mut list);
        assert_eq!(list.len(), MOST - 23);
        let mut list = vec![0; MOST - 24];
        idle().put_behind(&mut list);
        assert_eq!(list.len(), MOST);
    }

    #[test]
    fn what_is_something_else_is_overlooked() {
        let mut bytes = Vec::new();
        idle().put_behind(&mut bytes);
        assert_eq!(Sent::behind(&[]), None);
        assert_eq!(Sent::behind(&bytes[..bytes.len() - 1]), None);
        bytes.push(0);
        assert_eq!(Sent::behind(&bytes), None);
        bytes[0] = 2;
        assert_eq!(Sent::behind(&bytes[..bytes.len() - 1]), None);
        let mut many = Vec::new();
        Sent { over_s: 1, networks: vec![OnNetwork::default(); 9] }.put_behind(&mut many);
        assert_eq!(Sent::behind(&many), None);
    }

    #[test]
    fn a_rate_is_what_came_in_a_second_and_another_program_has_none() {
        let (first, last) =
            (Total { packets: 10, bytes: 1000 }, Total { packets: 70, bytes: 4940 });
        let came = last.since(first).expect("more than before");
        let rate = Rate::of(came, Duration::from_secs(30));
        assert_eq!(rate, Rate { tenths: 20, bytes: 131 });
        assert_eq!(rate.plus(rate).tenths, 40);
        assert_eq!(first.since(last), None);
        let endless = Rate::of(Total { packets: u64::MAX, bytes: u64::MAX }, Duration::ZERO);
        assert_eq!(endless, Rate { tenths: u32::MAX, bytes: u32::MAX });
    }
}
