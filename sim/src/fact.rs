//! What happened, told to the oracles: things that only the simulator knows.

use std::collections::BTreeSet;
use std::fmt;

use controller::nova::call::Call;
use fencing::{BootId, IncidentId, NodeId};
use uuid::Uuid;

/// A fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A guest began to run, and to write.
    GuestStarted {
        /// Which.
        vm: Uuid,
        /// Where.
        node: u8,
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
        node: u8,
        /// Its number.
        seq: u64,
    },
    /// A sentinel asked its peers.
    Asked {
        /// Which.
        node: u8,
        /// The number of the ask.
        seq: u64,
    },
    /// A sentinel vouched.
    Vouched {
        /// Which.
        voter: u8,
        /// For.
        node: u8,
        /// The ask.
        seq: u64,
    },
    /// A hard off left a controller.
    OffSent {
        /// By.
        controller: u8,
        /// For.
        node: u8,
    },
    /// A hard off reached a BMC.
    OffArrived {
        /// By.
        controller: u8,
        /// Whose.
        node: u8,
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
    /// A boot gate opened.
    GateOpened {
        /// Of.
        node: u8,
    },
    /// A node was reset by its watchdog or by its sentinel.
    Reset {
        /// Which.
        node: u8,
        /// Which boot ended.
        boot: BootId,
        /// Why.
        why: String,
        /// Who could have vouched for it, by the log that its sentinel had adopted, itself included.
        voters: BTreeSet<(NodeId, BootId)>,
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
