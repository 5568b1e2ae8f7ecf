//! What nodes and controllers send.

use serde::{Deserialize, Serialize};

use crate::{Node, State};

/// What a node has sent lately, as its own programs counted it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Seconds since the leader was told.
    pub age_s: f64,
    /// Seconds over which it was counted.
    pub over_s: u64,
    /// Each network, in configured order.
    pub networks: Vec<SentOn>,
}

/// What a node sends on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentOn {
    /// The network.
    pub network: String,
    /// From the gossip port.
    pub gossip: Rate,
    /// From all ports: gossip, renewals, pings and the answers to them.
    pub all: Rate,
    /// How often gossip had to wait for its ceiling within that time.
    pub put_off: u64,
}

/// Datagrams as they leave, sealed or signed, without headers of IP and UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Datagrams in a second.
    pub packets_per_s: f64,
    /// Bytes in a second.
    pub bytes_per_s: f64,
}

/// What the controller that answers has sent on one network since its program began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentHere {
    /// The network.
    pub network: String,
    /// From the gossip port.
    pub gossip: Total,
    /// From the lease port: acks, pings and the answers to them.
    pub lease: Total,
    /// How often gossip had to wait for its ceiling.
    pub put_off: u64,
}

/// Datagrams and their bytes, without headers of IP and UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Datagrams.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A rate among the nodes: packets and bytes each by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Among {
    /// Half of the nodes send at most so much.
    pub median: Rate,
    /// No node sends more.
    pub worst: Rate,
}

/// What the nodes send on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentByNodes {
    /// The network.
    pub network: String,
    /// From their gossip ports.
    pub gossip: Among,
    /// From all their ports.
    pub all: Among,
    /// Nodes whose gossip had to wait for its ceiling.
    pub put_off_nodes: usize,
}

/// What the nodes of which it is known send, by network in configured order. Empty where it is known of none.
#[must_use]
pub fn sent_by_nodes(state: &State) -> Vec<SentByNodes> {
    let known: Vec<&Sent> =
        state.nodes.iter().filter_map(|node: &Node| node.sent.as_ref()).collect();
    let Some(first) = known.first() else { return Vec::new() };
    let names = first.networks.iter().map(|on| &on.network);
    names
        .map(|network| {
            let on: Vec<&SentOn> = known
                .iter()
                .flat_map(|sent| &sent.networks)
                .filter(|on| on.network == *network)
                .collect();
            SentByNodes {
                network: network.clone(),
                gossip: among(on.iter().map(|on| on.gossip)),
                all: among(on.iter().map(|on| on.all)),
                put_off_nodes: on.iter().filter(|on| on.put_off > 0).count(),
            }
        })
        .collect()
}

fn among(rates: impl Iterator<Item = Rate>) -> Among {
    let (mut packets, mut bytes): (Vec<f64>, Vec<f64>) =
        rates.map(|rate| (rate.packets_per_s, rate.bytes_per_s)).unzip();
    packets.sort_by(f64::total_cmp);
    bytes.sort_by(f64::total_cmp);
    let rate = |place: usize| Rate {
        packets_per_s: packets.get(place).copied().unwrap_or_default(),
        bytes_per_s: bytes.get(place).copied().unwrap_or_default(),
    };
    let last = packets.len().saturating_sub(1);
    Among { median: rate(last / 2), worst: rate(last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_and_bytes_have_a_median_each_and_nobody_has_none() {
        let rate = |packets_per_s, bytes_per_s| Rate { packets_per_s, bytes_per_s };
        let rates = [rate(3.0, 100.0), rate(1.0, 300.0), rate(2.0, 200.0), rate(9.0, 50.0)];
        let all = among(rates.into_iter());
        assert_eq!((all.median, all.worst), (rate(2.0, 100.0), rate(9.0, 300.0)));
        assert_eq!(among([].into_iter()), Among::default());
    }
}
