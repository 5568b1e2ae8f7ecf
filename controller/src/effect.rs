//! What the decision core wants done. A shell carries effects out in the order in which they came and decides nothing.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use fencing::bmc::{Ask, Identity};
use fencing::event::Order;
use fencing::lease;
use fencing::sign::Signature;
use fencing::{BootId, ControllerId, NodeId, stray};
use serde::{Deserialize, Serialize};

use crate::nova;
use crate::raft;

/// A network by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Network(pub u8);

impl Network {
    /// Its place as an index.
    pub fn place(self) -> usize {
        usize::from(self.0)
    }
}

/// A question that an answer quotes; unique within one life of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// What controllers say to each other, over one connection for each pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Raft's.
    Raft(raft::Message),
    /// How my last sweep of this network went: soundness of an observer.
    Swept {
        /// The network.
        network: Network,
        /// Members asked.
        asked: u32,
        /// Members that did not answer.
        missed: u32,
        /// How long this controller has been up: the start-up grace is for a cold start of all of them, not of one.
        up: Duration,
    },
    /// A renewal of a boot that is being fenced, or was, came in here: signed by the node, and no replay.
    OldBootHeard {
        /// The node.
        node: NodeId,
        /// The boot that should be off.
        boot: BootId,
    },
    /// Sign this order if you hold its committed intent.
    CosignWanted(Order),
    /// Signed.
    Cosigned(Order, Signature),
    /// Sign this order to end a stray copy, if you hold its committed entry.
    StrayWanted(stray::Order),
    /// Signed.
    StraySigned(stray::Order, Signature),
}

/// An effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make this durable before anything that follows is done. Twice is harmless.
    Persist(raft::Write),
    /// Send to a controller; may be lost.
    Peer {
        /// Addressee.
        to: ControllerId,
        /// What.
        message: PeerMessage,
    },
    /// Seal and send from the gossip port. Twice is harmless.
    Gossip {
        /// Network.
        network: Network,
        /// Destination.
        to: SocketAddr,
        /// Unsealed bytes.
        bytes: Vec<u8>,
    },
    /// Send a witness ping from the lease port. Twice is harmless.
    Ping {
        /// Network.
        network: Network,
        /// Destination.
        to: SocketAddr,
        /// To be quoted.
        nonce: u64,
    },
    /// Sign and send from the lease port. Twice is harmless.
    Lease {
        /// Network.
        network: Network,
        /// Destination.
        to: SocketAddr,
        /// What.
        message: lease::Message,
    },
    /// Ask a BMC, unless `not_after` has passed. An off twice is harmless: reads decide.
    Bmc {
        /// To be quoted.
        ticket: Ticket,
        /// Whose.
        node: NodeId,
        /// Which level of its fencing, from 1 on.
        level: u8,
        /// Nodes that may be asked to carry it, where the level is one that controllers do not reach.
        via: Vec<NodeId>,
        /// What.
        ask: Ask,
        /// Identity that must answer, or no off is sent.
        expect: Option<Identity>,
        /// On this controller's own clock.
        not_after: Duration,
    },
    /// Ask Nova, unless `not_after` has passed. Never repeated by the shell.
    Nova {
        /// To be quoted.
        ticket: Ticket,
        /// What.
        call: nova::Call,
        /// On this controller's own clock.
        not_after: Duration,
    },
    /// Answer an operator.
    Answer {
        /// The order's.
        ticket: Ticket,
        /// What.
        result: Result<api::Done, api::Failure>,
    },
    /// Write to the journal and the log.
    Journal(Line),
    /// This controller's state contradicts the others': end the process, do not start it again by itself.
    Halt(String),
}

/// One line of the journal: what happened, to whom, in the words that log, golden files and `hactl why` share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// How loud.
    pub level: Level,
    /// Subject: `observe`, `verdict`, `guard`, `registry`, `fence`, `bmc`, `nova`, `raft`, `order`.
    pub subject: &'static str,
    /// The sentence.
    pub text: String,
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// A state changed.
    State,
    /// Wake someone.
    Page,
    /// We are broken.
    Broken,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = if self.level == Level::State { "" } else { "  PAGE" };
        write!(f, "{:<9} {}{page}", self.subject, self.text)
    }
}

impl Effect {
    /// A line about a change of state.
    pub fn journal(subject: &'static str, text: impl Into<String>) -> Self {
        Effect::Journal(Line { level: Level::State, subject, text: text.into() })
    }

    /// A line that must wake someone.
    pub fn page(subject: &'static str, text: impl Into<String>) -> Self {
        Effect::Journal(Line { level: Level::Page, subject, text: text.into() })
    }
}
