//! The lease: a node lives as long as a majority of the controllers, or half of its peers, stand for it.
//!
//! `times` has the sums, `message` what sentinels and controllers say to each other, `log` the part of the committed
//! registry that a sentinel adopts, `shared` why a copy of it costs little, `voters` who counts.

mod hazards;
mod log;
mod message;
mod shared;
mod times;
mod voters;

pub use hazards::Hazards;
pub use log::{Adopted, Change, LogPart};
pub use message::{Message, WatchdogState};
pub use times::{LeaseTimes, Profile, TimesError};
pub use voters::{promises_needed, vouches_needed};
