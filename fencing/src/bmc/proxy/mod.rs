//! The way to a BMC that controllers do not reach: a node that does, and whose agent carries one conversation.
//!
//! The driver stays at the controller, and with it password, certificate, identity and rule. What a proxy carries is
//! authenticated end to end (RMCP+ or TLS), so one that lies can only keep a question from its answer. What it is asked
//! to carry is signed by a controller, for one connection and for a time that the proxy measures itself.
//!
//! ```text
//!  controller                            proxy node                                BMC
//!      | -------------- tcp ----------------> |
//!      | <-------- a random challenge ------- |  its clock starts
//!      | --- order: whom, how, how long ----> |  signed over the challenge
//!      | <------------- 0: goes on ---------- |
//!      | <== datagrams with their length ===> | <========== udp ==============> |
//!      | <== or the bytes of a stream ======> | <========== tcp ==============> |
//! ```

mod dial;
mod tunnel;
mod way;

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sign::{KeyPair, PublicKey, Signature};
use crate::{ControllerId, NodeId};

pub use dial::{Caller, dial};
pub(super) use tunnel::Tunnel;
pub(super) use way::{Framed, through};
pub use way::{Proxied, Ways};

/// What a proxy says first, before its challenge.
pub const GREETING: [u8; 4] = *b"HFP1";
/// Bytes of a challenge.
pub const CHALLENGE: usize = 32;
/// Longest signed order that is looked at.
pub const LONGEST_ORDER: usize = 512;
/// The longest that a proxy carries anything: longer than a controller asks.
pub const LONGEST_CARRY: std::time::Duration = std::time::Duration::from_secs(30);
/// What a proxy answers to an order that it carries out; anything else is a [`Refusal`].
pub const GOES_ON: u8 = 0;

/// A node through which a BMC is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The node. An order for it is no order for another.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Where its agent takes orders.
    pub address: SocketAddr,
}

/// How a proxy speaks to the BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams, for IPMI.
    Udp,
    /// A stream, for Redfish.
    Tcp,
}

/// What a controller asks a proxy for. It says nothing of power: a proxy does not know what it carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Cluster that it is valid in.
    pub cluster: Uuid,
    /// The proxy.
    pub proxy: NodeId,
    /// Who asks.
    pub controller: ControllerId,
    /// The connection's own: an order is good once, and for no other boot or start of the agent.
    pub challenge: [u8; CHALLENGE],
    /// The BMC.
    pub to: SocketAddr,
    /// How to speak to it.
    pub how: Transport,
    /// Milliseconds, from the moment in which the proxy sent the challenge, after which it must carry nothing. The
    /// controller had the challenge later, so the proxy errs towards giving up early.
    pub left_ms: u32,
}

/// An order with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOrder {
    /// What is ordered.
    pub order: Order,
    /// Of the controller that it names.
    pub signature: Signature,
}

/// Why a proxy does not carry. Its number goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Refusal {
    /// Not an order, or not signed by a controller that the node knows.
    Unsigned,
    /// An order for another node, cluster or connection.
    NotForMe,
    /// Its time is over.
    Late,
    /// The address is not in the network that the node's own configuration allows.
    Foreign,
    /// As many conversations as it carries at once, or too many orders in a short time.
    Busy,
    /// The node does not reach the BMC.
    Unreachable,
}

/// Separates these signatures from all others made with the same keys.
const DOMAIN: &[u8] = b"holdfast bmc proxy v1\0";

impl Order {
    /// The order as it goes over the wire.
    pub fn sign(self, key: &KeyPair) -> SignedOrder {
        let signature = key.sign(&self.bytes());
        SignedOrder { order: self, signature }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        // Serialising plain data cannot fail; an empty body would only make the signature useless.
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }
}

impl SignedOrder {
    /// Reads one; `None` for anything else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST_ORDER {
            return None;
        }
        postcard::from_bytes(bytes).ok()
    }

    /// As bytes, at most [`LONGEST_ORDER`].
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Whether the controller that it names has signed it, by the keys that are known.
    pub fn is_signed(&self, keys: &[(ControllerId, PublicKey)]) -> bool {
        let bytes = self.order.bytes();
        keys.iter()
            .any(|(id, key)| *id == self.order.controller && key.verifies(&bytes, &self.signature))
    }
}

impl Refusal {
    const ALL: [Self; 6] =
        [Self::Unsigned, Self::NotForMe, Self::Late, Self::Foreign, Self::Busy, Self::Unreachable];

    /// On the wire; never [`GOES_ON`].
    pub fn code(self) -> u8 {
        match self {
            Self::Unsigned => 1,
            Self::NotForMe => 2,
            Self::Late => 3,
            Self::Foreign => 4,
            Self::Busy => 5,
            Self::Unreachable => 6,
        }
    }

    /// From the wire.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => {
                "it does not know our key: compare the [[controller]] sections of its node.toml with ours"
            }
            Self::NotForMe => {
                "it is another node, or in another cluster: check `proxy` in the inventory"
            }
            Self::Late => "the time was over",
            Self::Foreign => {
                "its own configuration does not allow this BMC: add its network and port to [proxy] in its node.toml"
            }
            Self::Busy => "it carries as much as it can",
            Self::Unreachable => "it does not reach the BMC either: check its route to the BMC network",
        })
    }
}

/// Why a proxy was no help. No failure is evidence of anything; after an off was sent, it may have been executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ProxyFailure {
    /// No proxy of the BMC is up. Nothing was sent.
    #[error("no proxy of this BMC is up ({0}): bring one back, or name another one in `via`")]
    NoneUp(String),
    /// No connection to its agent. Nothing was sent.
    #[error(
        "its agent does not answer ({0}): check [proxy] in its node.toml, and that the agent runs"
    )]
    NoAnswer(String),
    /// It answered and would not. Nothing was sent.
    #[error("it refuses: {0}")]
    Refused(Refusal),
    /// It speaks something else. Nothing was sent.
    #[error("what answers there is no proxy of ours: check `proxy` in the inventory")]
    Strange,
    /// The connection ended in the middle.
    #[error("it stopped carrying in the middle")]
    Ended,
}

#[cfg(test)]
mod tests;
