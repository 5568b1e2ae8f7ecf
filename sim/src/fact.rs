//! What happened, told to the oracles: things that only the simulator knows.

use std::collections::BTreeSet;
use std::fmt;

use api::Request;
use controller::effect::Line;
use controller::nova::call::Call;
use fencing::bmc::Ask;
use fencing::event::Order;
use fencing::{BootId, ControllerId, IncidentId, NodeId, stray};
use uuid::Uuid;

/// A fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A guest began to run, and to write.
    GuestStarted {
        /// Which.
        vm: Uuid,
        /// Where.
        node: u16,
        /// A human started it, past Nova and past us.
        by_hand: bool,
    },
    /// A controller applied the log up to here.
    Applied {
        /// Which.
        controller: u8,
        /// Up to.
        index: u64,
    },
    /// A FenceIntent was applied for the first time anywhere.
    Intended {
        /// By.
        controller: u8,
        /// Its incident.
        incident: IncidentId,
    },
    /// A `Fenced` was applied for the first time anywhere.
    Proven {
        /// By.
        controller: u8,
        /// Its incident.
        incident: IncidentId,
    },
    /// A controller acked a renewal.
    Acked {
        /// Which.
        controller: u8,
        /// Of.
        node: NodeId,
        /// In.
        boot: BootId,
        /// Quoted.
        seq: u64,
    },
    /// A sentinel sent a renewal.
    Renewed {
        /// Which.
        node: u16,
        /// Its number.
        seq: u64,
        /// The challenge that it brought along.
        challenge: u64,
    },
    /// A sentinel asked its peers.
    Asked {
        /// Which.
        node: u16,
        /// The number of the ask.
        seq: u64,
    },
    /// A sentinel vouched.
    Vouched {
        /// Which.
        voter: u16,
        /// For.
        node: u16,
        /// The ask.
        seq: u64,
    },
    /// A question leaves a controller for a BMC.
    BmcAsked {
        /// Which.
        controller: u8,
        /// Whose.
        node: NodeId,
        /// What.
        ask: Ask,
    },
    /// A hard off reached a BMC.
    OffArrived {
        /// By.
        controller: u8,
        /// Whose.
        node: u16,
        /// Which level of its fencing.
        level: u8,
        /// Whether the BMC took it as meant for its machine.
        obeyed: bool,
    },
    /// A call reached Nova; told before Nova acts on it.
    Called {
        /// By.
        controller: u8,
        /// What.
        call: Call,
    },
    /// A sentinel has taken in a part of the log.
    Adopted {
        /// Of which node.
        node: u16,
        /// As far as it has the log now.
        n: u64,
    },
    /// A boot gate opened.
    GateOpened {
        /// Of.
        node: u16,
    },
    /// A node was reset by its watchdog or by its sentinel.
    Reset {
        /// Which.
        node: u16,
        /// Which boot ended.
        boot: BootId,
        /// Why.
        why: String,
        /// Who could have vouched for it, by the log that its sentinel had adopted, itself included.
        voters: BTreeSet<(NodeId, BootId)>,
        /// Whether its sentinel, if one ran, knew this boot as armed: nobody can vouch for another (rule 4).
        armed: bool,
    },
    /// An agent ends a domain, on an order.
    Ended {
        /// Which.
        node: u16,
        /// What it was ordered.
        order: stray::Order,
        /// By whom it was signed, so they say.
        signers: Vec<ControllerId>,
    },
    /// A fence event made a sentinel reset its node.
    Obeyed {
        /// Which.
        node: u16,
        /// In which boot.
        boot: BootId,
        /// What it was ordered.
        order: Order,
        /// By whom it was signed, so they say.
        signers: Vec<ControllerId>,
    },
    /// An operator's order came to the leader.
    Ordered {
        /// What.
        request: Request,
    },
    /// An operator was answered.
    Answered {
        /// About what.
        request: Request,
        /// Index of its entry, when it was done.
        index: Option<u64>,
    },
    /// A leader wrote a line, or any controller one that says it is broken.
    Told {
        /// Which.
        controller: u8,
        /// The line.
        line: Line,
    },
    /// A controller's disk did not take a write.
    WriteFailed {
        /// Which.
        controller: u8,
        /// In which of its lives.
        starts: u32,
    },
    /// A controller ended itself because its state contradicts the others'.
    Halted {
        /// Which.
        controller: u8,
        /// Why.
        why: String,
    },
    /// A second passed: for what no event would show.
    Second,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
