//! Since when somebody stood for a node, reckoned from what was on the wire and from nothing that the node says of itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fencing::lease::{LeaseTimes, Message, vouches_needed};
use fencing::sign::{self, PublicKey, Signer};
use fencing::{ControllerId, NodeId};
use uuid::Uuid;

/// Renewals and asks that are remembered, of each node.
const MOST: usize = 512;

/// Everything that was said, as far as it concerns who stands for whom.
pub(crate) struct Ledger {
    cluster: Uuid,
    keys: BTreeMap<Signer, PublicKey>,
    nodes: BTreeMap<NodeId, Standing>,
}

#[derive(Default)]
struct Standing {
    renewals: BTreeMap<u64, Instant>,
    asks: BTreeMap<u64, Instant>,
    acked: BTreeMap<ControllerId, Instant>,
    vouched: BTreeMap<NodeId, Instant>,
    heard: Option<Instant>,
    crashed: Option<Instant>,
}

/// The last that kept a node alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stood {
    /// When the renewal or ask that was answered came by: moments after it was sent.
    pub(crate) base: Instant,
    /// Until when it lets the node live without its watchdog: L, or C after an ask.
    pub(crate) term: Duration,
    /// `lease` or `vouch`.
    pub(crate) by: &'static str,
}

impl Ledger {
    /// Nothing said yet. A datagram that none of these has signed is none of ours.
    pub(crate) fn new(cluster: Uuid, keys: BTreeMap<Signer, PublicKey>) -> Self {
        Self { cluster, keys, nodes: BTreeMap::new() }
    }

    /// A datagram passed.
    pub(crate) fn saw(&mut self, at: Instant, bytes: &[u8]) {
        let keys = &self.keys;
        let opened = sign::open(self.cluster, &|signer| keys.get(&signer).copied(), bytes);
        let Some((signer, message)) = opened else { return };
        match (signer, message) {
            (Signer::Node(node), Message::Renew { seq, .. }) => {
                let standing = self.nodes.entry(node).or_default();
                standing.heard = Some(at);
                remember(&mut standing.renewals, seq, at);
            }
            (Signer::Node(_), Message::Ask { node, seq, .. }) => {
                let standing = self.nodes.entry(node).or_default();
                standing.heard = Some(at);
                remember(&mut standing.asks, seq, at);
            }
            (Signer::Controller(id), Message::Ack { node, seq, .. }) => {
                let standing = self.nodes.entry(node).or_default();
                newest(&mut standing.acked, id, standing.renewals.get(&seq));
            }
            (Signer::Node(_), Message::Vouch { voter, node, seq, .. }) => {
                let standing = self.nodes.entry(node).or_default();
                newest(&mut standing.vouched, voter, standing.asks.get(&seq));
            }
            (Signer::Node(_), Message::Crashed { node, .. }) => {
                self.nodes.entry(node).or_default().crashed.get_or_insert(at);
            }
            (
                Signer::Node(_) | Signer::Controller(_),
                Message::Renew { .. }
                | Message::Ack { .. }
                | Message::NoAck { .. }
                | Message::Ask { .. }
                | Message::Vouch { .. }
                | Message::NoVouch { .. }
                | Message::Crashed { .. },
            ) => {}
        }
    }

    /// When the node itself was last heard to renew or to ask.
    pub(crate) fn heard(&self, node: NodeId) -> Option<Instant> {
        self.nodes.get(&node)?.heard
    }

    /// When the first beacon of its crash kernel passed.
    pub(crate) fn crashed(&self, node: NodeId) -> Option<Instant> {
        self.nodes.get(&node)?.crashed
    }

    /// The last that kept this node alive, of three controllers and so many other voters.
    pub(crate) fn stood(&self, node: NodeId, others: usize, times: &LeaseTimes) -> Option<Stood> {
        let standing = self.nodes.get(&node)?;
        let lease = nth_newest(standing.acked.values(), 2).map(|base| Stood {
            base,
            term: times.lease,
            by: "lease",
        });
        let vouch = nth_newest(standing.vouched.values(), vouches_needed(others))
            .map(|base| Stood { base, term: times.vouch, by: "vouch" });
        [lease, vouch].into_iter().flatten().max_by_key(|stood| stood.base + stood.term)
    }
}

fn remember(sent: &mut BTreeMap<u64, Instant>, seq: u64, at: Instant) {
    // The same renewal goes to each controller: the first of the three counts, as it is nearest to the sending.
    sent.entry(seq).or_insert(at);
    while sent.len() > MOST {
        sent.pop_first();
    }
}

fn newest<T: Ord>(of: &mut BTreeMap<T, Instant>, who: T, asked: Option<&Instant>) {
    let Some(&asked) = asked else { return };
    let newest = of.entry(who).or_insert(asked);
    *newest = asked.max(*newest);
}

fn nth_newest<'a>(all: impl Iterator<Item = &'a Instant>, n: usize) -> Option<Instant> {
    let mut all: Vec<Instant> = all.copied().collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.get(n.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use fencing::BootId;
    use fencing::lease::{LogPart, Profile};
    use fencing::sign::KeyPair;

    use super::*;

    #[test]
    fn a_lease_counts_from_the_second_newest_acked_renewal() {
        let (cluster, node, boot) =
            (Uuid::from_u128(1), NodeId(Uuid::from_u128(2)), BootId(Uuid::from_u128(3)));
        let key = |seed| KeyPair::from_seed([seed; 32]);
        let signers: Vec<(Signer, KeyPair)> = (1..=3)
            .map(|id| (Signer::Controller(ControllerId(u64::from(id))), key(id)))
            .chain([(Signer::Node(node), key(9))])
            .collect();
        let keys = signers.iter().map(|(signer, key)| (*signer, key.public())).collect();
        let mut ledger = Ledger::new(cluster, keys);
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let say = |ledger: &mut Ledger, at, who: usize, message: &Message| {
            let (signer, key) = &signers[who];
            ledger.saw(at, &sign::seal(cluster, *signer, key, message).expect("short"));
        };
        let times = Profile::Fast.times();
        for seq in 1..=3 {
            let renew = Message::Renew {
                boot,
                seq,
                n: 0,
                challenge: 0,
                watchdog: fencing::lease::WatchdogState::Closed,
                times,
                uptime: Duration::ZERO,
                piece: 0,
            };
            say(&mut ledger, at(seq), 3, &renew);
        }
        let ack = |seq| Message::Ack { node, boot, seq, committed: 0, log: LogPart::Nothing };
        say(&mut ledger, at(9), 0, &ack(3));
        assert!(ledger.stood(node, 0, &times).is_none(), "one is no majority of three");
        say(&mut ledger, at(9), 1, &ack(1));
        assert_eq!(ledger.stood(node, 0, &times).map(|stood| stood.base), Some(at(1)));
        say(&mut ledger, at(9), 2, &ack(2));
        assert_eq!(ledger.stood(node, 0, &times).map(|stood| stood.base), Some(at(2)));
        assert_eq!(ledger.heard(node), Some(at(3)));
    }
}
