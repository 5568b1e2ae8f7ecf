//! An ordered map in pieces that its copies share.
//!
//! A sentinel hands a copy of all that it has adopted to whoever writes it down, at each change. A change touches one node:
//! with a thousand nodes all but one piece of some twenty entries are the same before and after, and are not copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Entries of a piece. Fewer: a copy has more pieces to share. More: a change copies more entries.
const MOST: usize = 32;

/// The map. Written down it is the same as a `BTreeMap`.
#[derive(Clone, Debug)]
pub(super) struct Shared<K, V> {
    /// None is empty; in each, and from one to the next, keys rise.
    pieces: Vec<Arc<Vec<(K, V)>>>,
}

impl<K: Ord + Clone, V: Clone> Shared<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let piece = self.pieces.get(self.piece_of(key))?;
        let at = place(piece, key).ok()?;
        piece.get(at).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let number = self.piece_of(&key);
        let Some(piece) = self.pieces.get_mut(number) else {
            self.pieces.push(Arc::new(vec![(key, value)]));
            return;
        };
        let piece = Arc::make_mut(piece);
        match place(piece, &key) {
            Ok(at) => piece[at].1 = value,
            Err(at) => {
                // Not twice as much: a sentinel's memory is locked, and most pieces never grow again.
                piece.reserve_exact(1);
                piece.insert(at, (key, value));
            }
        }
        if piece.len() > MOST {
            let rest = piece.split_off(MOST / 2);
            piece.shrink_to_fit();
            self.pieces.insert(number + 1, Arc::new(rest));
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let number = self.piece_of(key);
        let piece = self.pieces.get_mut(number)?;
        let at = place(piece, key).ok()?;
        let piece = Arc::make_mut(piece);
        let (_, value) = piece.remove(at);
        if piece.is_empty() {
            self.pieces.remove(number);
        }
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.pieces.iter().flat_map(|piece| piece.iter()).map(|(key, value)| (key, value))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The piece in which a key stands, or would stand.
    fn piece_of(&self, key: &K) -> usize {
        let begins_before = |piece: &Arc<Vec<(K, V)>>| piece.first().is_some_and(|(k, _)| k <= key);
        self.pieces.partition_point(begins_before).saturating_sub(1)
    }
}

fn place<K: Ord, V>(piece: &[(K, V)], key: &K) -> Result<usize, usize> {
    piece.binary_search_by(|(known, _)| known.cmp(key))
}

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

/// Where the pieces end is nobody's business.
impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for Shared<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for Shared<K, V> {}

impl<K: Ord + Clone + Serialize, V: Clone + Serialize> Serialize for Shared<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // With their number, which not every format can do without.
        let entries: Vec<_> = self.iter().collect();
        serializer.collect_map(entries)
    }
}

impl<'de, K, V> Deserialize<'de> for Shared<K, V>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut shared = Self::default();
        for (key, value) in BTreeMap::<K, V>::deserialize(deserializer)? {
            shared.insert(key, value);
        }
        Ok(shared)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(keys: impl IntoIterator<Item = u16>) -> Shared<u16, u16> {
        let mut shared = Shared::default();
        keys.into_iter().for_each(|key| shared.insert(key, key));
        shared
    }

    #[test]
    fn a_change_copies_one_piece_and_the_copy_keeps_what_it_had() {
        let mut shared = of(0..1000);
        let copy = shared.clone();
        shared.insert(500, 7);
        let pairs = shared.pieces.iter().zip(&copy.pieces);
        assert_eq!(pairs.filter(|(one, other)| !Arc::ptr_eq(one, other)).count(), 1);
        assert_eq!((shared.get(&500), copy.get(&500)), (Some(&7), Some(&500)));
        let copy = shared.clone();
        assert_eq!(shared.remove(&1000), None);
        assert!(shared.pieces.iter().zip(&copy.pieces).all(|(a, b)| Arc::ptr_eq(a, b)));
    }

    #[test]
    fn no_piece_keeps_room_that_it_does_not_need() {
        let (mut shared, mut last) = (Shared::default(), Shared::default());
        for key in 0..1000_u16 {
            shared.insert(key, key);
            // Somebody holds the state before the last change, as the writer of a sentinel does.
            last = shared.clone();
        }
        let room: usize = last.pieces.iter().map(|piece| piece.capacity()).sum();
        assert_eq!((room, last.iter().count()), (1000, 1000));
    }

    #[test]
    fn how_it_came_about_makes_no_difference() {
        let (one, other) = (of(0..100), of((0..100).rev()));
        assert_ne!(one.pieces.len(), 0);
        assert_eq!(one, other);
        assert_ne!(one, of(0..99));
    }

    proptest! {
        #[test]
        fn it_does_what_an_ordered_map_does(deeds in proptest::collection::vec((any::<bool>(), 0..200_u16, any::<u16>()), 0..600)) {
            let (mut shared, mut map) = (Shared::default(), BTreeMap::new());
            for (inserts, key, value) in deeds {
                if inserts {
                    shared.insert(key, value);
                    map.insert(key, value);
                } else {
                    prop_assert_eq!(shared.remove(&key), map.remove(&key));
                }
                prop_assert_eq!(shared.get(&key), map.get(&key));
            }
            prop_assert!(shared.iter().eq(map.iter()) && shared.keys().eq(map.keys()));
            prop_assert!(shared.pieces.iter().all(|piece| (1..=MOST).contains(&piece.len())));
            let written = postcard::to_stdvec(&shared).unwrap_or_default();
            prop_assert_eq!(&written, &postcard::to_stdvec(&map).unwrap_or_default());
            prop_assert_eq!(postcard::from_bytes::<Shared<u16, u16>>(&written).ok(), Some(shared));
        }
    }
}
