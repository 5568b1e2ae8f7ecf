//! The deterministic simulator: a whole cloud in one thread, under virtual time, from one seed.
//!
//! It drives the real cores: controllers with Raft and detection, agents with gossip, sentinels with lease and watchdog.
//! What is simulated is everything around them: networks, power, watchdog devices, BMCs, hypervisors, disks, and Nova
//! (the same model that the lab serves over HTTP, [`standin`]).
//!
//! ```text
//!  scenario::run, explore        a story that somebody wrote, or dice
//!      | Deed                    what is done to the world
//!      v
//!  World: Queue of happenings -> cores -> effects -> wire, disk, BMC, Nova, device -> Queue
//!      | Fact                    what happened, ghost state included
//!      v
//!  oracle::*                     one property each, after every event
//! ```
//!
//! The same seed gives the same run, byte for byte: `Story::hash` says so.
#![forbid(unsafe_code)]

pub mod world;

pub mod bmc;
pub mod clock;
pub mod node;
pub mod place;
pub mod queue;
pub mod seat;
pub mod wire;

pub mod fact;
pub mod fault;
pub mod oracle;
pub mod run;
pub mod story;

pub mod ci;
pub mod explore;
pub mod fleet;
pub mod scenario;

#[cfg(feature = "mutants")]
pub mod hunt;

pub mod standin;
