//! What runs on a compute node: two programs that share a configuration and nothing else.
//!
//! [`sentinel`] (`ha-sentinel`) asks for the lease and feeds the watchdog. It is small, real-time, and the only one that
//! can reset the node. [`agent`] (`ha-node-agent`) gossips on every network, observes others as a witness, lists the
//! running domains and passes fence events on. It may crash, hang or be upgraded at any time.
//!
//! ```text
//!  controllers <--renew, ack--> sentinel --feed--> /dev/watchdog0      a port of its own, keys of its own
//!  peers       <--ask, vouch--> sentinel
//!                               ^      | state: boot, n, gate          a unix socket, a file in run_dir
//!                  fence event  |      v
//!  members     <---- gossip ---->  agent <--> libvirt                  one group per network
//!  controllers <---- tcp ------->  proxy <--> BMCs                     in the agent, where [proxy] allows it
//! ```
#![forbid(unsafe_code)]

pub mod config;

pub mod agent;
pub mod beacon;
pub mod checks;
pub mod preflight;
pub mod proxy;
pub mod record;
pub mod sentinel;

mod aside;
mod files;
pub mod program;
