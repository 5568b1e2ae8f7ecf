//! Kinds and sizes of what travels on a group's port.

use crate::seal::OVERHEAD;

/// A datagram never exceeds this, sealed: it fits every network without fragments.
pub const MAX_DATAGRAM: usize = 1200;

/// What is left of a datagram for the unsealed packet.
pub const MAX_PLAIN: usize = MAX_DATAGRAM - OVERHEAD;

/// Most bytes of a payload given to `Group::talk`.
pub const MAX_TALK: usize = 1000;

/// Most bytes of one broadcast: it must fit a packet together with its key, epoch and lifetime.
pub const MAX_BROADCAST: usize = 900;

/// First byte of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SWIM: probes and news about members, as foca writes them, to a member that may not know us yet.
    Swim = 1,
    /// State of all members, in pieces, and the broadcasts that are still alive.
    Exchange = 2,
    /// Broadcasts alone.
    Spread = 3,
    /// An application's own payload for one member.
    Talk = 4,
    /// SWIM between members that know each other: both are named by a digest.
    Brief = 5,
    /// The answer to a brief packet of somebody whose name is not known here.
    Stranger = 6,
}

impl Kind {
    /// Splits a packet; `None` for an empty one and for an unknown kind.
    pub(crate) fn split(packet: &[u8]) -> Option<(Kind, &[u8])> {
        let (first, rest) = packet.split_first()?;
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == *first)?;
        Some((kind, rest))
    }

    const ALL: [Kind; 6] =
        [Kind::Swim, Kind::Exchange, Kind::Spread, Kind::Talk, Kind::Brief, Kind::Stranger];
}
