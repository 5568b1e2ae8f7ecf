//! Witnesses: who pings a suspect because the leader asked for it, and what they say to each other.
//!
//! ```text
//! member      -> controllers  Hint       a probe failed
//! leader      -> witnesses    Watch      ping this one and report, until told to stop
//! witness     -> suspect      Ping       every 100 ms, on the ping port
//! suspect     -> witness      Pong       by its sentinel
//! witness     -> controllers  Report     every 250 ms, and at once when it falls silent or is back
//! leader      -> witnesses    Unwatch
//! ```
//!
//! Pings have their own port, own fixed form and no payload; the rest travels as a payload of
//! [`crate::group::Group::talk`]. Two machines' clocks are never compared: all times are spans.

mod target;
mod watch;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use uuid::Uuid;

pub use watch::{Effect, Event, Peer, Witness};

/// Unanswered for so long: the observer cannot reach it. The judge adds S before a verdict.
pub const T_OBS: Duration = Duration::from_millis(1500);

/// A control member that has not answered for so long is silent. Shorter than [`T_OBS`], so that an
/// observer in the dark loses its voice before it calls anybody unreachable.
pub const CONTROL_SILENT: Duration = Duration::from_millis(1000);

/// Members in the control group of an observer.
pub const CONTROL_GROUP: usize = 7;

/// Suspects watched at once. More at once is a storm, in which nothing is fenced.
pub const MAX_WATCHES: usize = 64;

/// Longest life of an ask that is not renewed.
pub const MAX_ASK: Duration = Duration::from_secs(60);

/// What travels on the ping port. Both kinds have the same length: an answer is never larger than
/// its question, so a replayed ping with a forged source amplifies nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Are you there?
    Ping {
        /// Drawn at random for each ping.
        nonce: u64,
    },
    /// Yes. Written by the sentinel, or by the agent where there is none.
    Pong {
        /// That of the ping.
        nonce: u64,
        /// Who answers: an address proves nothing.
        id: Uuid,
        /// In which boot.
        boot: Uuid,
    },
}

impl Probe {
    /// Bytes of a ping and of a pong.
    pub const LENGTH: usize = 41;

    /// Writes it without allocation: `1 kind | 8 nonce | 16 id | 16 boot`, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let (kind, nonce, id, boot) = match self {
            Probe::Ping { nonce } => (1, *nonce, Uuid::nil(), Uuid::nil()),
            Probe::Pong { nonce, id, boot } => (2, *nonce, *id, *boot),
        };
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = kind;
        bytes[1..9].copy_from_slice(&nonce.to_be_bytes());
        bytes[9..25].copy_from_slice(id.as_bytes());
        bytes[25..].copy_from_slice(boot.as_bytes());
        bytes
    }

    /// Reads it; `None` for anything else, and for another length.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().ok()?;
        let nonce = u64::from_be_bytes(bytes[1..9].try_into().ok()?);
        match bytes[0] {
            1 => Some(Probe::Ping { nonce }),
            2 => Some(Probe::Pong {
                nonce,
                id: Uuid::from_slice(&bytes[9..25]).ok()?,
                boot: Uuid::from_slice(&bytes[25..]).ok()?,
            }),
            _ => None,
        }
    }
}

/// What members and controllers tell each other about suspects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// To all controllers.
    Hint(Hint),
    /// To witnesses.
    Watch(Watch),
    /// To witnesses: stop.
    Unwatch {
        /// The ask that ends.
        ask: u64,
    },
    /// To all controllers.
    Report(Report),
}

impl Message {
    /// Bytes for [`crate::group::Group::talk`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Fails only for what cannot be written at all; a message can.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads a message; `None` where it is not one, or where more follows.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (message, rest) = postcard::take_from_bytes(bytes).ok()?;
        rest.is_empty().then_some(message)
    }
}

/// A member's probe failed. It never decides anything: it makes the leader ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Who did not answer.
    pub suspect: Uuid,
    /// In which boot it was known.
    pub boot: Uuid,
    /// Whose probe it was.
    pub observer: Uuid,
    /// Local health of the observer, 0 good to 4 bad: `Group::score`.
    pub score: u8,
}

/// The leader's ask. It renews it about once a second under a new number, which changes nothing but
/// the number that reports quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Unique among asks of all controllers: draw it at random.
    pub ask: u64,
    /// The controller that asks.
    pub asked_by: Uuid,
    /// Whom to ping.
    pub suspect: Uuid,
    /// The boot that is suspected.
    pub boot: Uuid,
    /// Where it answers pings on this network. A witness that knows the suspect's member takes the
    /// address from there instead: an ask must not aim pings at strangers.
    pub addr: SocketAddr,
    /// Milliseconds until the ask ends unless renewed, at most [`MAX_ASK`].
    pub lasts_ms: u32,
}

/// What one observer saw by its own pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The newest ask of `asked_by`.
    pub ask: u64,
    /// The controller that asked. The report goes to all, so that a new leader inherits it.
    pub asked_by: Uuid,
    /// Who saw it.
    pub observer: Uuid,
    /// Who is suspected.
    pub suspect: Uuid,
    /// The boot that is suspected.
    pub boot: Uuid,
    /// The boot that answered last, if any did. Another one than `boot` proves a restart.
    pub boot_seen: Option<Uuid>,
    /// Milliseconds since the newest ping that was answered had been sent; since the watch began
    /// where none was. Time in which the observer itself stood still does not count.
    pub unanswered_ms: u32,
    /// Answers since the watch began.
    pub answers: u32,
    /// Control members that had time to answer.
    pub control_asked: u8,
    /// Of these, silent for [`CONTROL_SILENT`] or longer.
    pub control_silent: u8,
}

impl Report {
    /// Whether the observer has a voice: at most half of its control group is silent. Where nobody
    /// else is there to ask, nothing speaks against it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let most_answer = u16::from(self.control_silent) * 2 <= u16::from(self.control_asked);
        most_answer || mutants::is_on(mutants::Mutant::M16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn probes_and_messages_survive_the_wire() {
        let (id, boot) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for probe in [Probe::Ping { nonce: 7 }, Probe::Pong { nonce: u64::MAX, id, boot }] {
            assert_eq!(Probe::parse(&probe.to_bytes()), Some(probe));
            assert_eq!(Probe::parse(&probe.to_bytes()[1..]), None);
        }
        let addr = SocketAddr::from(([10, 0, 0, 1], 7002));
        let watch = Watch { ask: 1, asked_by: id, suspect: id, boot, addr, lasts_ms: 5000 };
        for message in [Message::Watch(watch), Message::Unwatch { ask: 1 }] {
            let mut bytes = message.to_bytes();
            assert_eq!(Message::parse(&bytes), Some(message));
            bytes.push(0);
            assert_eq!(Message::parse(&bytes), None);
        }
    }

    #[test]
    fn an_observer_is_sound_while_at_most_half_of_its_control_group_is_silent() {
        let sound = |control_asked, control_silent| {
            let id = Uuid::nil();
            let report = Report {
                ask: 0,
                asked_by: id,
                observer: id,
                suspect: id,
                boot: id,
                boot_seen: None,
                unanswered_ms: 0,
                answers: 0,
                control_asked,
                control_silent,
            };
            report.is_sound()
        };
        assert!(sound(7, 3) && !sound(7, 4) && sound(2, 1) && sound(0, 0) && !sound(255, 255));
    }

    proptest! {
        #[test]
        fn noise_is_parsed_or_refused_and_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&noise);
            let _ = Probe::parse(&noise);
            if let Some(bytes) = noise.get(..Probe::LENGTH) {
                let _ = Probe::parse(bytes);
            }
        }
    }
}
