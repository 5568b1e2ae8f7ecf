//! The ceiling of a group: the bytes that it may send in a second, and the least that it can live with.

use serde::{Deserialize, Serialize};

use crate::config::FANOUT;
use crate::packet::MAX_DATAGRAM;

/// SWIM's own packets that a member is left room for in each second. At rest it sends one probe and, on average, one
/// answer; eight also hold the answers of a second in which chance has several probe it, and indirect probes.
const PROBES: usize = 8;

/// Bytes of the longest probe or answer without news: both members in full, IPv6, sealed.
pub(crate) const PROBE: usize = 232;

/// Bytes of a round of news, all packets full: as `hactl gossip calc` reckons it. A piece of an exchange is one of them.
pub(crate) const ROUND: usize = FANOUT * MAX_DATAGRAM;

/// Bytes that are kept free for probes and their answers.
pub(crate) const KEPT_FREE: usize = PROBES * PROBE;

/// The most bytes that a group may send in any second: sealed datagrams, without headers of IP and UDP.
///
/// Too low: exchanges and news wait, and who joins a large cluster learns late who is there; the state of all members is
/// some 70 bytes for each. Too high: it does nothing. Fence events, probes and answers to probes never wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling(u32);

/// A ceiling that probes and exchanges would not fit under. Nothing is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} bytes a second are too few: probes and their answers need {PROBES} x {PROBE} = {KEPT_FREE}, a round of news \
     or a piece of an exchange {FANOUT} x {MAX_DATAGRAM} = {ROUND}, together {LEAST}", LEAST = Ceiling::LEAST
)]
pub struct TooLow(pub u32);

impl Ceiling {
    /// The lowest there may be: what probes need, and a round of news.
    pub const LEAST: u32 = (KEPT_FREE + ROUND) as u32;

    /// A ceiling of so many bytes in a second.
    ///
    /// # Errors
    /// [`TooLow`], with the sum that it must be.
    pub fn new(bytes_per_second: u32) -> Result<Self, TooLow> {
        if bytes_per_second < Self::LEAST {
            return Err(TooLow(bytes_per_second));
        }
        Ok(Self(bytes_per_second))
    }

    /// In bytes a second.
    #[must_use]
    pub fn bytes_per_second(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use foca::{Header, Message};
    use uuid::Uuid;

    use super::*;
    use crate::identity::Member;
    use crate::seal::OVERHEAD;

    #[test]
    fn what_is_too_low_is_refused_with_the_sum() {
        assert_eq!(Ceiling::new(Ceiling::LEAST).map(Ceiling::bytes_per_second), Ok(5456));
        let refused = Ceiling::new(5000).expect_err("too low").to_string();
        assert_eq!(
            refused,
            "5000 bytes a second are too few: probes and their answers need 8 x 232 = 1856, a round of news or a \
             piece of an exchange 3 x 1200 = 3600, together 5456"
        );
    }

    #[test]
    fn no_probe_without_news_is_longer_than_is_reckoned() {
        let addr = SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], 65535));
        let id = Uuid::from_u128(u128::MAX);
        let member =
            Member { id, generation: u64::MAX, boot: id, addr, ping: addr, controller: true };
        let message = Message::Ping(u8::MAX);
        let header = Header { src: member, src_incarnation: u16::MAX, dst: member, message };
        let written = postcard::to_allocvec(&header).expect("it fits memory").len();
        assert!(1 + written + OVERHEAD <= PROBE, "{written}");
    }
}
