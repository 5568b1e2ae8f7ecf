//! One node's failure history, from verdict to return.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: u64,
    /// Node name.
    pub node: String,
    /// The boot it is about.
    pub boot: Uuid,
    /// State: `fencing`, `fenced`, `forced_down`, `evacuating`, `recovered`, `released`, `returned`, or for rows that do
    /// not fence `notified`, `disabled`, `migrating`, `migrated`, `closed`.
    pub state: String,
    /// Whether it still needs work or waits for the node.
    pub open: bool,
    /// Set when no evidence can be had: why, and what an operator can do.
    pub blocked: Option<String>,
    /// Set while no more of its VMs begin to move, because the limit on evacuations is reached: why, and the remedy.
    #[serde(default)]
    pub hold: Option<String>,
    /// Matrix row that matched.
    pub row: String,
    /// Its reason, the operator's words.
    pub reason: String,
    /// Its actions.
    pub actions: Vec<String>,
    /// Compact reachability at the verdict.
    pub reachability: String,
    /// The observations that the verdict rests on, a line each.
    pub observations: Vec<String>,
    /// Which guards were asked, and which had refused before.
    #[serde(default)]
    pub guards: Vec<String>,
    /// Nova's service host of the node: where its VMs were.
    #[serde(default)]
    pub host: String,
    /// How it ended, or who let the node back.
    #[serde(default)]
    pub note: String,
    /// Evidence, when there is.
    pub evidence: Option<String>,
    /// Set when it is a drill.
    #[serde(default)]
    pub drill: Option<Drill>,
    /// What the present leader asked and was answered on the way to the evidence. Gone with a change of leader.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// When each state began.
    pub phases: Vec<Phase>,
    /// The VMs.
    pub vms: Vec<Vm>,
}

/// A fence that tries whether fencing works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// What is tried: `bmc` or `watchdog`.
    pub what: String,
    /// When it was ordered, wall clock in ms.
    pub ordered_ms: u64,
}

/// Something that was asked or answered during a fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// A phrase.
    pub what: String,
    /// Wall clock in ms, for display.
    pub at_ms: u64,
}

/// The beginning of a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// State.
    pub state: String,
    /// Wall clock in ms, for display.
    pub at_ms: u64,
    /// Raft index of the entry.
    pub index: u64,
}

/// One VM of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// Nova's server id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// `waiting`, `sent`, `moved`, `left behind`.
    pub state: String,
    /// Where it runs, or was ordered to.
    pub destination: Option<String>,
    /// Nova's request id of our POST.
    pub request_id: Option<String>,
    /// Why it was left behind, with the remedy.
    pub why: Option<String>,
    /// Milliseconds from the attempt's commit to its end.
    pub took_ms: Option<u64>,
    /// Number of attempts, with those that had no effect.
    pub attempts: u32,
    /// Nova's migration record, once it is known.
    #[serde(default)]
    pub migration: Option<u64>,
    /// What the policy says of it; empty where it is what holds for all.
    #[serde(default)]
    pub policy: String,
    /// Hosts that had no room for it.
    #[serde(default)]
    pub tried: Vec<String>,
}
