//! The whole picture, as the leader sees it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Incident;

/// Everything that `hactl` and the page show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Cluster id.
    pub cluster: Uuid,
    /// The controller that answers.
    pub controller: u64,
    /// The leader, if one is known.
    pub leader: Option<u64>,
    /// Raft term.
    pub term: u64,
    /// Raft commit index.
    pub committed: u64,
    /// All controllers.
    pub controllers: Vec<Controller>,
    /// Decides and journals, but touches nothing.
    pub noop: bool,
    /// Cluster-wide disarm: its reason.
    pub disarmed: Option<String>,
    /// Minutes until that disarm ends by itself, if it does.
    #[serde(default)]
    pub disarmed_for_min: Option<u64>,
    /// Reserved hosts that are in use.
    #[serde(default)]
    pub reserved: Vec<String>,
    /// Why no fence may begin now, beside the above (start-up grace, one controller only, ...).
    pub holds: Vec<Refusal>,
    /// Whether Nova's answers and the observations are fresh; a sentence each for what is not.
    pub stale: Vec<String>,
    /// Each controller's last sweep of each network, as this controller knows it.
    #[serde(default)]
    pub sweeps: Vec<Sweep>,
    /// All enrolled nodes, by name.
    pub nodes: Vec<Node>,
    /// Incidents, newest first: all open ones and the last closed ones.
    pub incidents: Vec<Incident>,
    /// Nodes that are out, from their FenceIntent to their release.
    pub fenced: Vec<FencedNode>,
    /// The running matrix.
    pub matrix: Matrix,
    /// What this controller has counted of lists of domains.
    #[serde(default)]
    pub actual: crate::Actual,
    /// What this controller has sent, by network.
    #[serde(default)]
    pub sent: Vec<crate::SentHere>,
}

/// A controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// 1 to 5.
    pub id: u64,
    /// `leader`, `follower`, or `unknown`.
    pub role: String,
    /// How far it holds the log, as the leader knows it.
    pub matched: Option<u64>,
    /// Its API's URL.
    pub url: String,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its id for life.
    pub id: Uuid,
    /// Failure domain.
    pub domain: String,
    /// Nova's service host.
    pub host: String,
    /// The boot that was heard last.
    pub boot: Option<Boot>,
    /// What we do with it.
    pub phase: NodePhase,
    /// Reachability per network, in configured order.
    pub networks: Vec<NetworkReach>,
    /// Compact reachability (`m-t`).
    pub compact: String,
    /// Whether its present boot is armed, so that a lost lease can become evidence.
    pub armed: bool,
    /// Watchdog as its sentinel reports it.
    pub watchdog: String,
    /// Seconds since its sentinel's last renewal reached this controller.
    pub renewed_s: Option<f64>,
    /// What the last drill of its watchdog has shown.
    #[serde(default)]
    pub watchdog_test: Option<WatchdogTest>,
    /// Maintenance: its reason.
    pub maintenance: Option<String>,
    /// Minutes until its maintenance or disarm ends by itself, if it does.
    #[serde(default)]
    pub exempt_for_min: Option<u64>,
    /// BMC: enrolled identity, or why there is none.
    pub bmc: String,
    /// Number of fences in its history.
    pub fences: u32,
    /// Guards that would refuse to fence it now.
    pub refusals: Vec<Refusal>,
    /// Why it would not be recovered if it died now, or not surely.
    #[serde(default)]
    pub doubts: Vec<Doubt>,
    /// What its own health checks say.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What it has sent lately, where it told.
    #[serde(default)]
    pub sent: Option<crate::Sent>,
}

/// What a health check of a node says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// `ok`, `warning`, `critical`, `unknown`; unknown also when its agent is not heard.
    pub state: String,
    /// What it said before.
    pub before: String,
    /// The exit code, the HTTP status or the errno behind it, as it was when it changed.
    pub code: i32,
    /// A line for people.
    pub message: String,
    /// Seconds since it says so.
    pub for_s: f64,
    /// Seconds since it was last heard that this holds.
    pub heard_s: f64,
}

/// What a drill has shown of a watchdog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchdogTest {
    /// The boot that it ended, or should have.
    pub boot: Uuid,
    /// When, wall clock in ms.
    pub at_ms: u64,
    /// Whether it fired.
    pub fired: bool,
    /// Seconds from the intent to the last that was heard of that boot.
    pub took_s: f64,
    /// What kind of device it was.
    pub class: String,
}

/// Why a node would not be recovered if it died now, or not surely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// How heavy it is.
    pub weight: Weight,
    /// What is wrong, a sentence.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// How heavy a doubt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// It would not be recovered.
    NotRecovered,
    /// It would be recovered more slowly, or not from every death.
    AtRisk,
    /// It would be recovered; something else is worth knowing.
    Note,
}

/// A boot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// Kernel boot id.
    pub id: Uuid,
    /// Seconds since that boot, as the sentinel said.
    pub uptime_s: f64,
}

/// What we do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodePhase {
    /// Never heard of since enrolment.
    NeverSeen,
    /// Protected.
    Protected,
    /// An incident is open.
    Incident,
    /// Fenced and not released.
    Out,
    /// Released, not yet returned.
    Returning,
    /// In maintenance or disarmed.
    Exempt,
}

/// How a controller's last sweep of a network ended: it pings every node once a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The network.
    pub network: String,
    /// The controller's id.
    pub controller: u64,
    /// Nodes asked.
    pub asked: u32,
    /// Nodes that did not answer.
    pub missed: u32,
    /// Whether it has a voice there: its sweep is fresh, and did not miss too many.
    pub voice: bool,
    /// Seconds since this controller learned of it.
    pub age_s: f64,
}

/// Reachability on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkReach {
    /// The network.
    pub network: String,
    /// `up`, `suspect`, `down`, `unknown`.
    pub reach: String,
    /// Seconds since it is so.
    pub for_s: f64,
    /// Whether the leader loses many pings of a node that answers; for display, no row of the matrix asks for it.
    #[serde(default)]
    pub degraded: Option<Degraded>,
    /// Whether it is judged down again and again; for display too.
    #[serde(default)]
    pub flapping: Option<Flapping>,
    /// Why, with the observers that say so.
    pub detection: Detection,
}

/// A link that loses much of what it carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Degraded {
    /// Pings that stayed unanswered.
    pub unanswered: u32,
    /// Of so many, the last ones.
    pub of: u32,
    /// Seconds since it is degraded.
    pub for_s: f64,
}

/// A link that is judged down again and again, and up between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flapping {
    /// How often it was judged down since it began.
    pub downs: u32,
    /// Seconds since it is called so.
    pub for_s: f64,
    /// Seconds until it no longer is, if it holds still.
    pub calm_in_s: f64,
}

/// What a verdict on one network rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// A sentence.
    pub reason: String,
    /// Observations.
    pub observers: Vec<Observation>,
}

/// What one observer says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Controller or node name.
    pub observer: String,
    /// Whether it has a voice.
    pub sound: bool,
    /// Seconds for which its pings have not been answered.
    pub unanswered_s: f64,
}

/// A guard's no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Guard's name, one of the documented ones.
    pub guard: String,
    /// The sentence, with the remedy.
    pub why: String,
}

/// A node that is out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FencedNode {
    /// Node name.
    pub node: String,
    /// The boot that was fenced.
    pub boot: Uuid,
    /// Since when, wall clock in ms.
    pub since_ms: u64,
    /// `E1`..`E7` with its sentence; `None` while the fence is under way or blocked.
    pub evidence: Option<String>,
    /// Incident.
    pub incident: u64,
    /// How many fences of this node are on record.
    pub count: u32,
    /// What its release waits for.
    pub release: String,
}

/// The running matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// Its text.
    pub text: String,
    /// Raft index at which it came; 0 for the one of the configuration.
    pub index: u64,
    /// Who applied it.
    pub by: String,
}
