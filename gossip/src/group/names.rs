//! Short names: two members that know each other name themselves by eight bytes in SWIM's packets, not by their whole
//! identities of some 55 bytes each.
//!
//! ```text
//! foca writes   | sender, in full | incarnation | receiver, in full | message, news |
//! brief         | name | name | incarnation | message, news |
//! ```
//!
//! Whoever is written to in full is remembered by its name, and so is whoever writes. So a member that has named us, in the
//! identity that we have now, knows ours, and is written to briefly from then on. Whoever cannot tell
//! a sender's name says so, and is written to in full from then on.

use std::collections::BTreeMap;

use super::exchange::mix;
use crate::identity::Member;
use crate::packet::Kind;

/// Names kept. Above, all are dropped and learned anew: so many members are refused anyway.
const MAX_NAMES: usize = 6000;

/// Bytes of a name.
const NAME: usize = size_of::<u64>();

/// A member's name: a digest of all that its identity says. No secret depends on it.
type Name = u64;

/// What a brief packet turned out to be.
pub(super) enum Read {
    /// What foca can read.
    Whole(Vec<u8>),
    /// It is for an identity that we do not have, or no more.
    NotOurs,
    /// The sender's name is unknown: this answer tells it.
    Stranger(Vec<u8>),
    /// It is not even two names.
    Malformed,
}

/// Whom we can name.
pub(super) struct Names {
    me: Member,
    name: Name,
    written: Vec<u8>,
    known: BTreeMap<Name, Known>,
}

struct Known {
    written: Box<[u8]>,
    /// It has named us as we are, so we stand in its own list.
    knows_us: bool,
}

impl Names {
    pub(super) fn new(me: Member) -> Self {
        let written = write(&me);
        Self { me, name: name(&written), written, known: BTreeMap::new() }
    }

    /// We go on under another identity, which nobody knows yet.
    pub(super) fn renew(&mut self, me: Member) {
        self.written = write(&me);
        self.name = name(&self.written);
        self.me = me;
        for known in self.known.values_mut() {
            known.knows_us = false;
        }
    }

    /// A packet from `from` came in, for `to`.
    pub(super) fn heard(&mut self, from: &Member, to: &Member) {
        if *to != self.me {
            return;
        }
        let written = write(from);
        self.learn(name(&written), &written).knows_us = true;
    }

    fn learn(&mut self, name: Name, written: &[u8]) -> &mut Known {
        if self.known.len() >= MAX_NAMES && !self.known.contains_key(&name) {
            self.known.clear();
        }
        let new = || Known { written: written.into(), knows_us: false };
        self.known.entry(name).or_insert_with(new)
    }

    /// An identity that is no more.
    pub(super) fn forget(&mut self, member: &Member) {
        self.known.remove(&name(&write(member)));
    }

    /// The packet for `to`, as foca wrote it, with names where they are understood. Whom we write to may answer by name.
    pub(super) fn packet(&mut self, to: &Member, data: &[u8]) -> Vec<u8> {
        let written = write(to);
        let theirs = name(&written);
        let brief = if self.learn(theirs, &written).knows_us {
            self.brief(theirs, &written, data)
        } else {
            None
        };
        brief.unwrap_or_else(|| {
            let mut packet = Vec::with_capacity(1 + data.len());
            packet.push(Kind::Swim as u8);
            packet.extend_from_slice(data);
            packet
        })
    }

    fn brief(&self, theirs: Name, written: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        let after = data.strip_prefix(self.written.as_slice())?;
        let (_, rest) = postcard::take_from_bytes::<u16>(after).ok()?;
        let incarnation = after.get(..after.len() - rest.len())?;
        let rest = rest.strip_prefix(written)?;
        let mut packet = Vec::with_capacity(1 + 2 * NAME + incarnation.len() + rest.len());
        packet.push(Kind::Brief as u8);
        packet.extend_from_slice(&self.name.to_le_bytes());
        packet.extend_from_slice(&theirs.to_le_bytes());
        packet.extend_from_slice(incarnation);
        packet.extend_from_slice(rest);
        Some(packet)
    }

    /// What is in a brief packet.
    pub(super) fn read(&self, body: &[u8]) -> Read {
        let Some((sender, receiver, body)) = two(body) else { return Read::Malformed };
        if receiver != self.name {
            return Read::NotOurs;
        }
        let Some(known) = self.known.get(&sender) else {
            return Read::Stranger(pair(Kind::Stranger, sender, self.name));
        };
        let Ok((_, rest)) = postcard::take_from_bytes::<u16>(body) else { return Read::Malformed };
        let incarnation = body.get(..body.len() - rest.len()).unwrap_or_default();
        let parts = [known.written.as_ref(), incarnation, &self.written, rest];
        Read::Whole(parts.concat())
    }

    /// Somebody does not know us by our name. `false` where that is not written as it should be.
    pub(super) fn hear_stranger(&mut self, body: &[u8]) -> bool {
        let Some((ours, theirs, [])) = two(body) else { return false };
        if ours == self.name
            && let Some(known) = self.known.get_mut(&theirs)
        {
            known.knows_us = false;
        }
        true
    }
}

fn two(body: &[u8]) -> Option<(Name, Name, &[u8])> {
    let (first, rest) = body.split_first_chunk::<NAME>()?;
    let (second, rest) = rest.split_first_chunk::<NAME>()?;
    Some((Name::from_le_bytes(*first), Name::from_le_bytes(*second), rest))
}

fn pair(kind: Kind, first: Name, second: Name) -> Vec<u8> {
    let mut packet = vec![kind as u8];
    packet.extend_from_slice(&first.to_le_bytes());
    packet.extend_from_slice(&second.to_le_bytes());
    packet
}

/// An identity as it stands in foca's headers.
fn write(member: &Member) -> Vec<u8> {
    // Writing to memory fails only where a value cannot be written at all; this one can.
    postcard::to_extend(member, Vec::with_capacity(64)).unwrap_or_default()
}

fn name(written: &[u8]) -> Name {
    let mut words = written.chunks(size_of::<u64>()).map(|chunk| {
        let mut word = [0; size_of::<u64>()];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(word)
    });
    words.by_ref().fold(written.len() as u64, |sum, word| mix(sum ^ word))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use foca::{Codec as _, Header, Message};
    use uuid::Uuid;

    use super::super::codec::Codec;
    use super::*;

    fn member(id: u128, generation: u64) -> Member {
        Member {
            id: Uuid::from_u128(id),
            generation,
            boot: Uuid::from_u128(7),
            addr: SocketAddr::from(([10, 0, 0, 1], 7001)),
            ping: SocketAddr::from(([10, 0, 0, 1], 7002)),
            controller: false,
        }
    }

    fn packet(src: Member, dst: Member) -> Vec<u8> {
        let header = Header { src, src_incarnation: 300, dst, message: Message::Ping(9) };
        let mut data = Vec::new();
        Codec.encode_header(&header, &mut data).unwrap();
        data.extend_from_slice(b"news");
        data
    }

    /// Two members that have heard of each other.
    fn acquainted() -> (Member, Names, Member, Names) {
        let (a, b) = (member(1, 1), member(2, 1));
        let (mut at_a, mut at_b) = (Names::new(a), Names::new(b));
        at_b.packet(&a, &packet(b, a));
        at_a.heard(&b, &a);
        (a, at_a, b, at_b)
    }

    fn read(names: &Names, packet: &[u8]) -> Read {
        let (kind, body) = Kind::split(packet).unwrap();
        assert_eq!(kind, Kind::Brief);
        names.read(body)
    }

    #[test]
    fn a_stranger_is_written_to_in_full_and_an_acquaintance_by_name() {
        let (a, b) = (member(1, 1), member(2, 1));
        let mut at_a = Names::new(a);
        let data = packet(a, b);
        assert_eq!(at_a.packet(&b, &data), [&[Kind::Swim as u8], data.as_slice()].concat());
        at_a.heard(&b, &a);
        let brief = at_a.packet(&b, &data);
        assert!(brief.len() + 80 < data.len(), "{} of {}", brief.len(), data.len());
    }

    #[test]
    fn what_is_written_by_name_is_read_as_it_was() {
        let (a, mut at_a, b, at_b) = acquainted();
        let data = packet(a, b);
        assert!(
            matches!(read(&at_b, &at_a.packet(&b, &data)), Read::Whole(whole) if whole == data)
        );
    }

    #[test]
    fn who_has_a_new_identity_writes_in_full_until_it_is_named() {
        let (_, mut at_a, b, mut at_b) = acquainted();
        let newer = member(1, 2);
        at_a.renew(newer);
        assert_eq!(at_a.packet(&b, &packet(newer, b)).first(), Some(&(Kind::Swim as u8)));
        // What the other one still sends is for somebody who is no more.
        at_b.heard(&member(1, 1), &b);
        let late = at_b.packet(&member(1, 1), &packet(b, member(1, 1)));
        assert!(matches!(read(&at_a, &late), Read::NotOurs));
        at_a.heard(&b, &member(1, 1));
        assert_eq!(at_a.packet(&b, &packet(newer, b)).first(), Some(&(Kind::Swim as u8)));
        at_a.heard(&b, &newer);
        assert_eq!(at_a.packet(&b, &packet(newer, b)).first(), Some(&(Kind::Brief as u8)));
    }

    #[test]
    fn who_does_not_know_the_name_says_so_and_is_written_to_in_full() {
        let (a, mut at_a, b, mut at_b) = acquainted();
        at_b.forget(&a);
        let data = packet(a, b);
        let Read::Stranger(answer) = read(&at_b, &at_a.packet(&b, &data)) else {
            panic!("a name that was forgotten is not known")
        };
        let (kind, body) = Kind::split(&answer).unwrap();
        assert!(kind == Kind::Stranger && at_a.hear_stranger(body));
        assert_eq!(at_a.packet(&b, &data).first(), Some(&(Kind::Swim as u8)));
    }

    #[test]
    fn names_are_bounded_and_noise_is_refused() {
        let me = member(1, 1);
        let mut names = Names::new(me);
        for id in 0..2 * MAX_NAMES as u128 {
            names.heard(&member(id, 3), &me);
            assert!(names.known.len() <= MAX_NAMES);
        }
        assert!(matches!(names.read(b"0123456789abcde"), Read::Malformed));
        assert!(!names.hear_stranger(b"0123456789abcde"));
        assert!(!names.hear_stranger(b"0123456789abcdefg"));
    }
}
