//! Times of a group, and what follows from the number of its members.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use crate::ceiling::Ceiling;
use crate::packet::MAX_PLAIN;

/// Members that one update or gossip round is sent to, and relays of an indirect probe. [SWIM 4.1]
pub(crate) const FANOUT: usize = 3;

/// How long a dead member is remembered, so that a healed partition finds it again without seeds.
const REMEMBER_DEAD: Duration = Duration::from_secs(24 * 3600);

/// Times of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Members expected. Only the start: the group goes on with the number it really sees.
    pub members: usize,
    /// One random member is probed this often. Too small: traffic; too large: late hints. At least
    /// twice `probe_answer`, or the indirect probe has no time.
    pub probe_every: Duration,
    /// How long a probe may go unanswered before others are asked to probe. Too small: indirect
    /// probes for nothing; too large: late hints. Several times the round trip of the network.
    pub probe_answer: Duration,
    /// News is passed on this often while there is any.
    pub gossip_every: Duration,
    /// How often the full state is compared with one random known member, dead ones included.
    /// Too small: traffic of order members; too large: a missed message stays missed longer.
    pub exchange_every: Duration,
    /// How long a suspect may take to refute. `None`: 4 s times log10 of the members, at least 4 s.
    /// Nothing but the hint `MemberDown` waits for it.
    pub suspicion: Option<Duration>,
    /// What the group may send in a second. `None`: as much as it wants to.
    pub ceiling: Option<Ceiling>,
}

impl Config {
    /// Times for a local network.
    #[must_use]
    pub fn lan(members: usize) -> Self {
        Self {
            members,
            probe_every: Duration::from_secs(1),
            probe_answer: Duration::from_millis(500),
            gossip_every: Duration::from_millis(200),
            exchange_every: Duration::from_secs(30),
            suspicion: None,
            ceiling: None,
        }
    }

    /// What foca is told for a group of `members`.
    pub(crate) fn swim(&self, members: usize) -> foca::Config {
        let answer = self.probe_answer.max(Duration::from_millis(1));
        foca::Config {
            probe_period: self.probe_every.max(answer * 2),
            probe_rtt: answer,
            num_indirect_probes: NonZeroUsize::new(FANOUT).unwrap_or(NonZeroUsize::MIN),
            max_transmissions: transmissions(members),
            suspect_to_down_after: self.suspicion.unwrap_or_else(|| suspicion(members)),
            remove_down_after: Some(REMEMBER_DEAD),
            // One byte is ours: the kind of the packet.
            max_packet_size: NonZeroUsize::new(MAX_PLAIN - 1).unwrap_or(NonZeroUsize::MIN),
            notify_down_members: true,
            // The exchange does what both announcements do, and carries all members in one go.
            periodic_announce: None,
            periodic_announce_to_down_members: None,
            periodic_gossip: Some(foca::PeriodicParams {
                frequency: self.gossip_every,
                num_members: NonZeroUsize::new(FANOUT).unwrap_or(NonZeroUsize::MIN),
            }),
        }
    }
}

/// How often one piece of news is sent on: 4 log10 (n + 1). [SWIM 4.1]
fn transmissions(members: usize) -> NonZeroU8 {
    let digits = (members.min(1_000_000) as f64 + 1.0).log10();
    NonZeroU8::new((4.0 * digits).ceil() as u8).unwrap_or(NonZeroU8::MIN)
}

/// 4 s times log10 n, at least 4 s. [Lifeguard 4]
fn suspicion(members: usize) -> Duration {
    Duration::from_secs_f64(4.0 * (members.clamp(1, 1_000_000) as f64).log10().max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_with_the_logarithm_of_the_members() {
        assert_eq!(suspicion(0), Duration::from_secs(4));
        assert_eq!(suspicion(1000), Duration::from_secs(12));
        assert_eq!(transmissions(0).get(), 1);
        assert_eq!(transmissions(999).get(), 12);
        assert_eq!(transmissions(usize::MAX).get(), 25);
    }

    #[test]
    fn a_probe_always_leaves_time_for_the_indirect_one() {
        let mut config = Config::lan(10);
        config.probe_every = Duration::ZERO;
        config.probe_answer = Duration::ZERO;
        let swim = config.swim(10);
        assert!(swim.probe_period >= swim.probe_rtt * 2 && !swim.probe_rtt.is_zero());
    }
}
