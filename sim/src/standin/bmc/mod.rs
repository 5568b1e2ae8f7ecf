//! A BMC that speaks real IPMI 2.0 over LAN, cipher suites 3 and 17, and misbehaves on command.
//!
//! It exists because no BMC emulator at hand speaks suite 17, and because the misbehaviour of real
//! ones is what fencing must survive. ipmitool is the judge of its protocol. Like some real BMCs it
//! starts sessions at USER level, executes resent commands again, and draws a new random number for
//! each resent RAKP 1. It is a core: the simulator hands it datagrams, [`udp::serve`] puts it on a
//! socket.
//!
//! ```text
//! datagram -> BmcServer (sessions, login) -> command -> Behaviour -> Chassis (the node's power)
//! ```
//!
//! Absent: sensors, SEL, serial over LAN, IPMI 1.5 sessions, more than one user.

mod chassis;
mod command;
mod server;
#[cfg(test)]
mod tests;

pub mod udp;

pub use chassis::{Chassis, Switch};
pub use server::{Behaviour, BmcServer, Login, Settings};
