//! To whom a broadcast is passed on at once.
//!
//! Chance alone reaches the last few only with many copies for everybody. So all members stand in one order, which follows
//! from what is told and is the same for whoever knows the same members. Each tells four others by a tree over this order,
//! four by a tree over the reverse order (whoever is a leaf in one is inside the other), and its successor. That is three
//! copies for each member, from three others, after log4 n steps; without loss nobody is left out, and where the orders of
//! two members differ by some, the successors close the gaps.
//!
//! Each member knows how many copies it should have got. Who got fewer takes it that packets are lost, and goes on telling
//! members at random, so that loss costs packets only while there is loss.

use std::net::SocketAddr;

use uuid::Uuid;

use super::exchange::mix;

/// Members that one tells in each of the two trees.
const BRANCHES: usize = 4;

/// The places of a member in the order of one broadcast.
pub(super) struct Onward {
    /// Everybody but the one whom the broadcast is about: it is told directly.
    order: Vec<(u64, Uuid, SocketAddr)>,
    /// Where we stand.
    place: usize,
}

impl Onward {
    /// The order of a broadcast among these members and ourselves.
    pub(super) fn new(
        me: (Uuid, SocketAddr),
        others: impl Iterator<Item = (Uuid, SocketAddr)>,
        key: u128,
        epoch: (u64, u64),
    ) -> Self {
        let salt = mix(mix((key >> 64) as u64 ^ mix(key as u64)) ^ mix(epoch.0 ^ mix(epoch.1)));
        let rank = |id: Uuid| {
            let (high, low) = id.as_u64_pair();
            mix(mix(salt ^ high) ^ low)
        };
        let everybody = std::iter::once(me).chain(others);
        let mut order: Vec<_> = everybody
            .filter(|(id, _)| *id == me.0 || id.as_u128() != key)
            .map(|(id, addr)| (rank(id), id, addr))
            .collect();
        order.sort_unstable();
        let place = order.iter().position(|(_, id, _)| *id == me.0).unwrap_or(0);
        Self { order, place }
    }

    /// Whom we tell.
    pub(super) fn to(&self) -> Vec<SocketAddr> {
        let all = self.order.len();
        let back = all - 1 - self.place;
        let children = |place: usize| (place * BRANCHES + 1)..=(place * BRANCHES + BRANCHES);
        let forth = children(self.place);
        let reverse = children(back).filter_map(|place| (all - 1).checked_sub(place));
        self.addresses(forth.chain(reverse).chain([(self.place + 1) % all]))
    }

    /// Whom the origin tells besides: those from whom both trees begin.
    pub(super) fn roots(&self) -> Vec<SocketAddr> {
        self.addresses([0, self.order.len() - 1].into_iter())
    }

    /// How many others tell us, if all goes well.
    pub(super) fn copies(&self) -> u8 {
        let all = self.order.len();
        let back = all - 1 - self.place;
        let parent = |place: usize| (place > 0).then(|| (place - 1) / BRANCHES);
        let mut from: Vec<usize> = vec![(self.place + all - 1) % all];
        from.extend(parent(self.place));
        from.extend(parent(back).map(|place| all - 1 - place));
        from.retain(|place| *place != self.place);
        from.sort_unstable();
        from.dedup();
        u8::try_from(from.len()).unwrap_or(u8::MAX)
    }

    /// Without ourselves, each once.
    fn addresses(&self, places: impl Iterator<Item = usize>) -> Vec<SocketAddr> {
        let others = places.filter(|place| *place != self.place);
        let mut to: Vec<_> =
            others.filter_map(|place| self.order.get(place)).map(|(_, _, addr)| *addr).collect();
        to.sort_unstable();
        to.dedup();
        to
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn one(number: u16) -> (Uuid, SocketAddr) {
        (Uuid::from_u128(number.into()), SocketAddr::from(([10, 0, 0, 1], number)))
    }

    fn onward(me: u16, members: u16) -> Onward {
        Onward::new(one(me), (1..=members).filter(|n| *n != me).map(one), 7, (1, 2))
    }

    #[test]
    fn each_member_is_told_by_as_many_as_it_expects_and_that_is_three_at_most() {
        for members in [1, 2, 3, 5, 30, 101, 1000] {
            let mut told = BTreeMap::<u16, u8>::new();
            for me in (1..=members).filter(|me| *me != 7) {
                for to in onward(me, members).to() {
                    *told.entry(to.port()).or_default() += 1;
                }
            }
            for me in (1..=members).filter(|me| *me != 7) {
                let expected = onward(me, members).copies();
                assert_eq!(told.get(&me).copied().unwrap_or(0), expected, "{me} of {members}");
                assert!(expected <= 3 && (members < 10 || expected >= 2), "{me} of {members}");
            }
            assert_eq!(told.get(&7), None, "whom it is about is told directly");
        }
    }

    #[test]
    fn another_broadcast_has_another_order() {
        let order = |epoch| {
            let onward = Onward::new(one(1), (2..=30).map(one), 7, epoch);
            onward.order.iter().map(|(_, _, addr)| addr.port()).collect::<Vec<_>>()
        };
        assert_ne!(order((1, 2)), order((1, 3)));
        assert_eq!(order((1, 2)), order((1, 2)));
    }
}
