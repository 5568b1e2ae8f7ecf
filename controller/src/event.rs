//! What happens to the decision core. Everything is authenticated and opened by the shell before it comes here.

use std::net::{IpAddr, SocketAddr};

use fencing::bmc;
use fencing::lease;
use fencing::sign::Signer;
use fencing::{ControllerId, NodeId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::effect::{Network, PeerMessage, Ticket};
use crate::nova;
use crate::policy::Policy;
use crate::registry::Enrolment;

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The time of `poll_timeout` has come.
    Timeout,
    /// A gossip datagram of this network came in and opened with the cluster key.
    Gossip {
        /// Network.
        network: Network,
        /// Where from.
        from: SocketAddr,
        /// Unsealed bytes.
        bytes: Vec<u8>,
    },
    /// A pong came in on the lease port and opened with the cluster key.
    Pong {
        /// Network.
        network: Network,
        /// Where from.
        from: SocketAddr,
        /// Quoted.
        nonce: u64,
        /// Who answers.
        id: Uuid,
        /// Its boot.
        boot: Uuid,
    },
    /// A message of the lease protocol, signed by its sender's own key.
    Lease {
        /// Network.
        network: Network,
        /// Where from.
        from: SocketAddr,
        /// Who signed it.
        signer: Signer,
        /// What.
        message: lease::Message,
    },
    /// Another controller speaks.
    Peer {
        /// Which.
        from: ControllerId,
        /// What.
        message: PeerMessage,
    },
    /// A BMC was asked.
    Bmc {
        /// Quoted.
        ticket: Ticket,
        /// What came of it.
        reply: bmc::Reply,
    },
    /// Nova was asked.
    Nova {
        /// Quoted.
        ticket: Ticket,
        /// What came of it.
        reply: nova::Reply,
    },
    /// An operator orders something.
    Order {
        /// To be quoted.
        ticket: Ticket,
        /// What.
        #[serde(with = "as_text")]
        request: api::Request,
    },
    /// The inventory file was read, at start or by SIGHUP.
    Inventory {
        /// All nodes.
        nodes: Vec<(NodeId, Enrolment)>,
    },
    /// The policy file was read by SIGHUP.
    Policy {
        /// What it says.
        policy: Policy,
    },
    /// The matrix file was read by SIGHUP; parsed already, so it is a valid one.
    MatrixFile {
        /// Its text.
        text: String,
    },
    /// Whoever has this address says, without a signature, that it writes a crash dump.
    Dumping {
        /// Where from.
        from: IpAddr,
    },
}

/// An order is written as in the API: its tag stands among its fields, which only a text that describes itself can hold.
mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(
        request: &api::Request,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(request).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<api::Request, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(de::Error::custom)
    }
}
