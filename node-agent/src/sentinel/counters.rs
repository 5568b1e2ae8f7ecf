//! What a sentinel counts. Nothing is decided by a counter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Renewals sent (one per period, whatever the number of addresses).
    pub renewals: u64,
    /// Acks that named one of this boot's renewals.
    pub acks: u64,
    /// Refusals of controllers.
    pub no_acks: u64,
    /// Rounds of asking, each of two waves at most.
    pub ask_rounds: u64,
    /// Vouches for one of this boot's asks.
    pub vouches: u64,
    /// Voters that answered FENCED.
    pub no_vouches: u64,
    /// Asks of peers that were answered, with either word.
    pub answers: u64,
    /// Feeds.
    pub feeds: u64,
    /// Parts of the log that were adopted.
    pub adoptions: u64,
    /// Parts of the log that did not follow own n, or were no log at all.
    pub misfits: u64,
    /// Messages that named another signer than theirs, or that no sentinel takes.
    pub dropped: u64,
    /// Fence events without effect, by reason.
    pub refused_orders: BTreeMap<OrderRefusal, u64>,
}

/// Why a fence event had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderRefusal {
    /// For another cluster.
    Cluster,
    /// For another node.
    Node,
    /// For another boot of this node.
    Boot,
    /// Its epoch is not above the highest that this node has stored.
    Epoch,
    /// It quotes no challenge of this sentinel, or one that is as old as L.
    Challenge,
    /// Fewer than two pinned controllers have signed it.
    Signatures,
}
