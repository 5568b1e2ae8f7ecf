//! Detection: what this controller and its witnesses see of every node, on every network.
//!
//! ```text
//!  gossip's failed probes, the sweep's misses          hints
//!    -> Case: witnesses and controllers ping the suspect on that network
//!    -> judge: majority of the sound controllers and of the answering witnesses, unbroken for S
//!    -> reach of the node on the network: up, down, unknown
//! ```
//!
//! [`Sight`] is one network: its gossip group, its sweep, this controller's own witness, and the cases of its suspects.
//! Only a leader opens cases; every controller sweeps and answers the leader's asks. A leader also counts the pings that
//! stay unanswered, and calls a link degraded that loses many; and it remembers who was judged down again and again, and
//! says of it that it flaps. Both are for display, and no part of a reach.

mod case;
mod degraded;
mod flap;
mod heard;
mod loss;
mod sight;
mod suspects;

pub use case::{Case, Observer, T_OBS};
pub use flap::Flapping;
pub use loss::LAST_PINGS;
pub(crate) use sight::first;
pub use sight::{Seen, Sight, Swept, Target};

use uuid::Uuid;

use fencing::ControllerId;

/// First byte of a gossip payload that belongs to witnesses (see `fencing::census::CHANNEL` for the other kind).
pub const WITNESS_CHANNEL: u8 = 1;

/// A controller's id among gossip members: the cluster's id counted up, so that every program can tell it.
pub fn member_id(cluster: Uuid, controller: ControllerId) -> Uuid {
    Uuid::from_u128(cluster.as_u128().wrapping_add(u128::from(controller.0)))
}
