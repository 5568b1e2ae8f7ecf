//! The sentinel: lease client and watchdog feeder, nothing else. One thread, locked memory, real-time.
//!
//! [`Sentinel`] decides; [`run`] waits, hands events in and carries effects out. A node lives as long as a majority of
//! the controllers or half of its peers stand for it (`docs/safety.md`, the lease). Everything that could make a node
//! live longer than that is a bug of the worst kind; everything that makes it die earlier is a bug of the second worst.

mod adoption;
mod core;
mod counters;
mod device;
mod event;
mod inbound;
mod launch;
mod lease;
mod machine;
mod peers;
mod renewal;
mod setup;
mod shell;
mod sockets;
mod store;
#[cfg(test)]
mod tests;

pub use self::core::Sentinel;
pub use counters::{Counters, OrderRefusal};
pub use event::{Effect, Event, ResetReason, Saved, Warning};
pub use setup::{Pinned, Setup, Start, Status};
pub use shell::{SentinelError, run};
pub(crate) use store::sent;
pub use store::{Report, StoreError};
