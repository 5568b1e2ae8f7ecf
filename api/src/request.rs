//! What an operator can order.

use serde::{Deserialize, Serialize};

/// A change that the leader commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Decide and journal, touch nothing.
    Noop {
        /// On or off.
        on: bool,
    },
    /// Fence a node by hand; guards but maintenance and disarm are passed over.
    Fence {
        /// Node name.
        node: String,
        /// Why, for the audit.
        reason: String,
        /// Who.
        person: String,
    },
    /// E7: the operator says that the node is off.
    Confirm {
        /// Node name.
        node: String,
        /// The name typed again.
        typed: String,
        /// Why, for the audit.
        reason: String,
        /// Who.
        person: String,
    },
    /// Let a fenced node back although a condition of the automatic release does not hold.
    Release {
        /// Node name.
        node: String,
        /// Pass over the conditions that concern comfort; never those of safety.
        force: bool,
        /// Why, for the audit.
        reason: String,
        /// Who.
        person: String,
    },
    /// Maintenance of one node.
    Maintenance {
        /// Node name.
        node: String,
        /// On or off.
        on: bool,
        /// Why.
        reason: String,
        /// Who.
        person: String,
        /// It ends by itself after so many minutes.
        #[serde(default)]
        minutes: Option<u64>,
        /// Whether its service is disabled and its VMs are live-migrated.
        #[serde(default)]
        migrate: bool,
    },
    /// Hands off: no new fence, no self-fence.
    Disarm {
        /// What.
        scope: Scope,
        /// Why.
        reason: String,
        /// Who.
        person: String,
        /// It ends by itself after so many minutes.
        #[serde(default)]
        minutes: Option<u64>,
    },
    /// End of a disarm.
    Arm {
        /// What.
        scope: Scope,
        /// Who.
        person: String,
    },
    /// Takes the identity that a node's BMC gives now as the right one, and believes it again. Nothing is switched.
    BmcEnroll {
        /// Node name.
        node: String,
        /// Which level of its fencing, from 1 on.
        #[serde(default = "first_level")]
        level: u8,
        /// Who.
        person: String,
    },
    /// Fences an empty node that is disabled in Nova, to see whether it works.
    Drill {
        /// Node name.
        node: String,
        /// Let its watchdog fire, and leave its BMC alone.
        watchdog: bool,
        /// Who.
        person: String,
    },
    /// Lifts the limit on evacuations for one incident.
    Approve {
        /// Its number.
        incident: u64,
        /// Who.
        person: String,
    },
    /// Asks what the policy says of a server, and which rules decide. Nothing is committed: its index is 0.
    ExplainPolicy {
        /// Its id in Nova.
        server: String,
    },
    /// Takes a new matrix; it is validated again.
    Matrix {
        /// Its text.
        text: String,
        /// File it came from, for messages.
        file: String,
        /// Who.
        person: String,
    },
}

fn first_level() -> u8 {
    1
}

/// One node or all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every node.
    All,
    /// One node by name.
    Node(String),
}

/// A change is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Raft index of the entry.
    pub index: u64,
    /// What it did, a sentence; warnings of a matrix go with it.
    pub said: String,
}

/// Why there is no answer, or no change. Nothing was changed unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "snake_case")]
pub enum Failure {
    /// Ask the leader.
    NotLeader {
        /// Its id, if known.
        leader: Option<u64>,
        /// Its API's URL, if known.
        url: Option<String>,
    },
    /// The token is missing or wrong.
    NotAllowed,
    /// The request cannot be carried out; the sentence has the remedy.
    Refused {
        /// Why.
        why: String,
    },
    /// It was proposed, but leadership was lost before the commit was seen: look before asking again.
    Unknown {
        /// What to look at.
        look: String,
    },
}
