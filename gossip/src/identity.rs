//! Who a member is: node id and boot id. Names and addresses identify nobody.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bits of a generation that belong to renewals within one start of the program.
const RENEWAL_BITS: u32 = 20;

/// One member of a group: a node or a controller, in one boot, in one generation.
///
/// Two members with the same `id` are the same machine. Which of the two is the newer one is decided
/// by [`Member::newer_than`], never by arrival. Everything above this crate is keyed by `id` and
/// `boot`: a generation changes whenever the group believed the member dead and it was not.
///
/// The derived order and equality use the same fields, so they agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Node id or controller id: stable for the life of the machine.
    pub id: Uuid,
    /// Orders the identities of one `id`; see [`Member::generation_of_start`].
    pub generation: u64,
    /// The kernel's boot id.
    pub boot: Uuid,
    /// Where this member's gossip is received on this network.
    pub addr: SocketAddr,
    /// Where this member answers witness pings on this network.
    pub ping: SocketAddr,
    /// Whether it is a controller.
    pub controller: bool,
}

impl Member {
    /// The generation with which the `starts`-th start of a program begins.
    ///
    /// The caller keeps `starts` on disk and raises it at each start. The low 20 bits are left to
    /// renewals while the program runs, so that a restart beats every renewal of the run before it
    /// although renewals are not written down.
    #[must_use]
    pub fn generation_of_start(starts: u64) -> u64 {
        starts.min(u64::MAX >> RENEWAL_BITS) << RENEWAL_BITS
    }

    /// Whether this identity replaces `other` of the same node: the higher generation wins. Where a
    /// lost counter made generations equal, any fixed order will do (boot, then the rest): the
    /// loser hears that it lost, and renews itself.
    #[must_use]
    pub fn newer_than(&self, other: &Self) -> bool {
        self > other
    }

    /// The same member, newer than both itself and `seen`, by at least `step`.
    pub(crate) fn renewed(&self, seen: u64, step: u64) -> Self {
        let generation = self.generation.max(seen).saturating_add(step.max(1));
        Self { generation, ..*self }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} boot {} generation {}", self.id, self.boot, self.generation)
    }
}

impl foca::Identity for Member {
    type Addr = Uuid;

    /// Always `None`: the group renews the identity itself, at a bounded rate. With foca's own
    /// renewal a member whose counter was lost would send as fast as the network carries it.
    fn renew(&self) -> Option<Self> {
        None
    }

    fn addr(&self) -> Uuid {
        self.id
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.newer_than(adversary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    fn member(generation: u64, boot: u128) -> Member {
        Member {
            id: Uuid::from_u128(1),
            generation,
            boot: Uuid::from_u128(boot),
            addr: SocketAddr::from(([10, 0, 0, 1], 7001)),
            ping: SocketAddr::from(([10, 0, 0, 1], 7002)),
            controller: false,
        }
    }

    #[test]
    fn a_newer_generation_wins_whatever_its_boot() {
        assert!(member(2, 1).newer_than(&member(1, 9)));
        assert!(!member(1, 9).newer_than(&member(2, 1)));
    }

    #[test]
    fn of_two_different_members_exactly_one_is_newer() {
        let all =
            [member(1, 1), member(1, 2), member(2, 1), Member { controller: true, ..member(1, 1) }];
        for a in &all {
            for b in &all {
                assert_eq!(a == b, a.cmp(b) == Ordering::Equal);
                assert_eq!(a != b, a.newer_than(b) ^ b.newer_than(a));
            }
        }
    }

    #[test]
    fn a_restart_beats_every_renewal_of_the_run_before_it() {
        let mut old = member(Member::generation_of_start(7), 1);
        for _ in 0..1000 {
            old = old.renewed(0, 1);
        }
        assert!(member(Member::generation_of_start(8), 1).newer_than(&old));
        assert!(Member::generation_of_start(u64::MAX) >= Member::generation_of_start(1 << 44));
    }
}
