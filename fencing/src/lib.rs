//! How Holdfast knows that a node is off.
//!
//! A node becomes `Fenced` only by evidence ([`evidence`]). This crate holds what the evidence rests on: the time
//! bound behind a lost lease ([`lease`]), the steps that turn a BMC's reads into E1 ([`e1`]), the rules under which
//! silence becomes E2 ([`e2`]), the BMC drivers ([`bmc`]), the watchdog device ([`watchdog`]), the signed order to a
//! node to reset itself ([`event`]) and who asks which domains run
//! ([`census`]). The list of domains that is sent without being asked ([`domains`]) proves nothing, nor does what a node
//! says to have sent ([`sent`]), and neither does what a node's own health checks say ([`checks`]): they are a reason to
//! fence, where the operator wants it, and no evidence.
//!
//! ```text
//!  sentinel --renew--> controllers: ack, or silence after an intent      lease, e2
//!  controller --off, read, read--> BMC                                   bmc, e1
//!  controllers --fence event, doubly signed--> agent -> sentinel         event
//! ```
// `deny`, not `forbid`: watchdog/ioctl.rs, the one file with unsafe code, allows it for itself.
#![deny(unsafe_code)]

mod id;
mod recall;

pub mod bmc;
pub mod census;
pub mod checks;
pub mod crash;
pub mod domains;
pub mod e1;
pub mod e2;
pub mod event;
pub mod evidence;
pub mod lease;
pub mod sent;
pub mod sign;
pub mod stray;
pub mod watchdog;

pub use id::{BootId, ControllerId, Epoch, IncidentId, NodeId};
pub use recall::keep_verifications;
