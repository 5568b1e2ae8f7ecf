//! The periodic exchange: wire form, packing into datagrams, and the digest that spares it.
//!
//! ```text
//! A -> B  Ask { A, digest }       B compares; equal digests end it here
//! B -> A  Piece, Piece ...        all that B knows; the first asks for A's part
//! A -> B  Piece, Piece ...
//! ```

use serde::{Deserialize, Serialize};

use crate::identity::Member;
use crate::packet::{Kind, MAX_PLAIN};

/// Opens a packet of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) from: Member,
    pub(super) incarnation: u16,
    pub(super) step: Step,
}

/// Which packet of the exchange it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// Compare this digest with yours.
    Ask { digest: u64 },
    /// Items follow, until the packet ends; `answer` asks for the other side's.
    Piece { answer: bool },
}

/// One item of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Item<'a> {
    Record(Record),
    #[serde(borrow)]
    Told(Told<'a>),
}

/// What the sender knows of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) member: Member,
    pub(super) incarnation: u16,
    pub(super) state: Wire,
}

/// State of a member as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wire {
    Alive,
    Suspect,
    Down,
}

/// One broadcast as it travels. `left` counts down in flight, so that no clock is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told<'a> {
    pub(super) key: u128,
    pub(super) epoch: (u64, u64),
    /// Milliseconds of life left.
    pub(super) left: u32,
    pub(super) bytes: &'a [u8],
}

impl Record {
    pub(super) fn known(known: &foca::Member<Member>) -> Self {
        let state = match known.state() {
            foca::State::Alive => Wire::Alive,
            foca::State::Suspect => Wire::Suspect,
            foca::State::Down => Wire::Down,
        };
        Self { member: *known.id(), incarnation: known.incarnation(), state }
    }

    pub(super) fn update(&self) -> foca::Member<Member> {
        let state = match self.state {
            Wire::Alive => foca::State::Alive,
            Wire::Suspect => foca::State::Suspect,
            Wire::Down => foca::State::Down,
        };
        foca::Member::new(self.member, self.incarnation, state)
    }
}

/// Writes packets that each begin alike and are filled with items up to the size limit.
pub(super) struct Packer {
    head: Vec<u8>,
    packet: Vec<u8>,
    full: Vec<Vec<u8>>,
}

impl Packer {
    /// Packets of broadcasts alone.
    pub(super) fn spread() -> Self {
        Self::with(vec![Kind::Spread as u8])
    }

    /// Pieces of an exchange. Only the first asks for an answer, if any: one is enough.
    pub(super) fn pieces(from: Member, incarnation: u16, answer: bool) -> Self {
        let opening = |answer| Opening { from, incarnation, step: Step::Piece { answer } };
        Self { packet: write(&opening(answer)), ..Self::with(write(&opening(false))) }
    }

    fn with(head: Vec<u8>) -> Self {
        Self { packet: head.clone(), head, full: Vec::new() }
    }

    /// Adds an item; one that fits no packet is left out and answers `false`.
    pub(super) fn add(&mut self, item: &Item<'_>) -> bool {
        let mut scratch = [0; MAX_PLAIN];
        let Ok(item) = postcard::to_slice(item, &mut scratch) else { return false };
        if self.head.len() + item.len() > MAX_PLAIN {
            return false;
        }
        if self.packet.len() + item.len() > MAX_PLAIN {
            let next = self.head.clone();
            self.full.push(std::mem::replace(&mut self.packet, next));
        }
        self.packet.extend_from_slice(item);
        true
    }

    /// Packets begun so far.
    pub(super) fn begun(&self) -> usize {
        self.full.len() + usize::from(self.packet.len() > self.head.len())
    }

    /// All packets: one at least, if only to ask for an answer.
    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        if self.packet.len() > self.head.len() || self.full.is_empty() {
            self.full.push(self.packet);
        }
        self.full
    }
}

/// A packet that holds nothing but its opening.
pub(super) fn write(opening: &Opening) -> Vec<u8> {
    // Writing to memory fails only where a value cannot be written at all; this one can.
    postcard::to_extend(opening, vec![Kind::Exchange as u8]).unwrap_or_default()
}

/// Reads the next item; `None` where the rest is not one.
pub(super) fn next_item<'a>(rest: &mut &'a [u8]) -> Option<Item<'a>> {
    let (item, after) = postcard::take_from_bytes(rest).ok()?;
    *rest = after;
    Some(item)
}

/// Order-independent digest over what should be equal everywhere: who is alive, in which identity
/// and incarnation, and which broadcasts live. The dead are left out (a member that joined after
/// a death never hears of it), and so is suspicion, which passes by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digest(pub(super) u64);

impl Digest {
    pub(super) fn member(&mut self, member: &Member, incarnation: u16) {
        let (a, b) = member.id.as_u64_pair();
        let (c, d) = member.boot.as_u64_pair();
        self.add(&[1, a, b, c, d, member.generation, u64::from(incarnation)]);
    }

    pub(super) fn told(&mut self, key: u128, epoch: (u64, u64)) {
        self.add(&[2, (key >> 64) as u64, key as u64, epoch.0, epoch.1]);
    }

    fn add(&mut self, words: &[u64]) {
        let mixed = words.iter().fold(0, |sum, word| mix(sum ^ word));
        self.0 = self.0.wrapping_add(mixed);
    }
}

/// Finalizer of SplitMix64: spreads each bit over all. No secret depends on it.
pub(super) fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use uuid::Uuid;

    fn member(id: u128) -> Member {
        Member {
            id: Uuid::from_u128(id),
            generation: u64::MAX,
            boot: Uuid::from_u128(id),
            addr: SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], 65535)),
            ping: SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], 65534)),
            controller: true,
        }
    }

    #[test]
    fn a_thousand_members_travel_in_pieces_that_fit() {
        let mut packer = Packer::pieces(member(0), 7, true);
        for id in 0..1000 {
            let record = Record { member: member(id), incarnation: 1, state: Wire::Suspect };
            assert!(packer.add(&Item::Record(record)));
        }
        let mut seen = 0;
        for (index, packet) in packer.finish().iter().enumerate() {
            assert!(packet.len() <= MAX_PLAIN);
            let (kind, body) = Kind::split(packet).unwrap();
            assert_eq!(kind, Kind::Exchange);
            let (read, mut rest): (Opening, _) = postcard::take_from_bytes(body).unwrap();
            assert_eq!(read.step, Step::Piece { answer: index == 0 });
            while let Some(item) = next_item(&mut rest) {
                assert!(matches!(item, Item::Record(r) if r.member.id == Uuid::from_u128(seen)));
                seen += 1;
            }
            assert!(rest.is_empty());
        }
        assert_eq!(seen, 1000);
    }

    #[test]
    fn a_broadcast_of_the_greatest_size_fits_a_piece() {
        let mut packer = Packer::pieces(member(0), 7, true);
        let bytes = [0xff; crate::packet::MAX_BROADCAST];
        let told =
            Told { key: u128::MAX, epoch: (u64::MAX, u64::MAX), left: u32::MAX, bytes: &bytes };
        assert!(packer.add(&Item::Told(told)));
        let bytes = [0xff; MAX_PLAIN];
        assert!(!packer.add(&Item::Told(Told { bytes: &bytes, ..told })));
    }

    #[test]
    fn a_digest_does_not_depend_on_order_and_sees_each_field() {
        let mut one = Digest::default();
        one.member(&member(1), 1);
        one.member(&member(2), 1);
        let mut two = Digest::default();
        two.member(&member(2), 1);
        two.member(&member(1), 1);
        assert_eq!(one.0, two.0);
        two.told(1, (1, 1));
        assert_ne!(one.0, two.0);
        let mut other = Digest::default();
        other.member(&member(1), 2);
        other.member(&member(2), 1);
        assert_ne!(one.0, other.0);
    }
}
