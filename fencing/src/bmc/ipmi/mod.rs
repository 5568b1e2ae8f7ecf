//! IPMI 2.0 over LAN (RMCP+), only what fencing needs, after "IPMI Specification v2.0 rev 1.1".
//!
//! The client core is [`Session`]: one question, from the first datagram to Close Session. Below it
//! lies the codec, which has both directions because the stand-in BMC of the simulator speaks it
//! from the other side:
//!
//! ```text
//! Session   one question to one BMC: handshake, commands, resending, deadline
//! command   which requests exist, and what their answers are called
//! rakp      payloads of Open Session and RAKP 1-4
//! message   an IPMI request or response with its checksums
//! crypto    keys, message authentication codes, encryption of a cipher suite
//! packet    what a datagram is: RMCP header, session header, payload
//! ```
//!
//! Absent on purpose: cipher suites 0 to 2, IPMI 1.5 sessions, the ASF ping, two-key logins (Kg),
//! bridging, and every power command but off. All decoding is bounded and total: a datagram is
//! either understood or dropped with a reason.

mod client;
mod draw;
mod window;

pub mod command;
pub mod crypto;
pub mod message;
pub mod packet;
pub mod rakp;

pub use client::{Config, Effect, Event, Pace, Session};
pub use draw::Draw;
pub use window::Window;

/// Why bytes were dropped. Nothing of them was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);
