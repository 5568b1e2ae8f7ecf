//! The census: which domains run on a node, asked with a nonce so that an old answer cannot pass for a new one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{BootId, NodeId};

/// Marks a census message among the application payloads that gossip carries.
pub const CHANNEL: u8 = 2;

/// Domains in one answer, so that it fits a datagram.
pub const DOMAINS_PER_PART: usize = 40;

/// Census traffic between controllers and agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Controller to agent: which domains run with you?
    Ask {
        /// Fresh; the answer quotes it.
        nonce: u64,
    },
    /// Agent to controller, one of `parts` datagrams.
    Answer {
        /// The nonce of the ask.
        nonce: u64,
        /// Who answers.
        node: NodeId,
        /// Its boot.
        boot: BootId,
        /// 0-based.
        part: u16,
        /// At least 1, also for a node without domains.
        parts: u16,
        /// UUIDs of the running domains (Nova's server ids), [`DOMAINS_PER_PART`] at most.
        domains: Vec<Uuid>,
    },
}
