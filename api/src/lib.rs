//! The HTTP API of the controllers, version 1: what goes over the wire between `hactl`, the web page and a controller.
//!
//! Everything is JSON. A read is `GET /v1/state` (one [`State`], the whole picture; it is small) or one of its parts; a
//! change is `POST /v1/do` with a [`Request`] and is answered by a [`Done`] once it is committed. Only the leader
//! answers either; another controller says who leads ([`Failure::NotLeader`]). Ids and times are plain JSON values, so
//! that other programs need nothing of ours. Times are milliseconds of the leader's wall clock, for display only.
//!
//! ```text
//!  hactl --GET /v1/state--> any controller   -> State | NotLeader{leader, url}
//!  hactl --POST /v1/do----> the leader       -> Done  | Failure
//! ```
#![forbid(unsafe_code)]

mod incident;
mod request;
mod sent;
mod state;
mod vms;

pub use incident::{Drill, Incident, Phase, Step, Vm};
pub use request::{Done, Failure, Request, Scope};
pub use sent::{Among, Rate, Sent, SentByNodes, SentHere, SentOn, Total, sent_by_nodes};
pub use state::{
    Boot, Check, Controller, Degraded, Detection, Doubt, FencedNode, Flapping, Matrix,
    NetworkReach, Node, NodePhase, Observation, Refusal, State, Sweep, WatchdogTest, Weight,
};
pub use vms::{Actual, Crash, ListOfNode, RunningVm, Vms};

/// Path of the version that this crate describes.
pub const VERSION: &str = "v1";
