//! A record of all that went into an agent's core, and a checksum of all that came out of it: what every record looks
//! like is told in the crate `record`, this is what stands in an agent's.
//!
//! Nothing secret is in it: datagrams stand there as they were after the seal was opened, and the gossip key does not.

mod head;
mod replay;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::{Effect, Event};

pub use head::Head;
pub use replay::{Decision, Difference, Replayed, replay};

/// The program whose records these are.
pub const PROGRAM: &str = "ha-node-agent";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Frame<'a> {
    /// An event was handed in.
    Event {
        /// On the clock of the process.
        now: Duration,
        /// What.
        event: Cow<'a, Event>,
    },
    /// Something came of it; where this does not follow an event, nothing did.
    Did {
        /// Of all effects, in their order.
        sum: u32,
    },
    /// Nothing more is written, on purpose.
    End {
        /// Why.
        why: String,
    },
}

impl Frame<'_> {
    /// What came of an event; `None` where nothing did.
    pub fn of_effects(effects: &[Effect]) -> Option<Self> {
        if effects.is_empty() {
            return None;
        }
        let mut sum = Sum(crc32fast::Hasher::new());
        for effect in effects {
            // All that there is to know of an effect; a checksum takes everything that is written into it.
            let _ = write!(sum, "{effect:?}");
        }
        Some(Frame::Did { sum: sum.0.finalize() })
    }
}

impl record::Last for Frame<'static> {
    fn last(why: &str) -> Self {
        Frame::End { why: why.to_owned() }
    }
}

struct Sum(crc32fast::Hasher);

impl fmt::Write for Sum {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}
