//! What is going to happen, ordered by time and, at equal times, by who was first to be put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A queue of happenings.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Due>>,
    /// What is due, by its slot: a happening is large, and a heap moves what it holds.
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    sequence: u64,
}

/// Ordered by time, then by who was first; no two have the same sequence number. One number, since that is compared
/// several times for each happening: nanoseconds in the upper half, then [`ORDER`] bits of sequence, then the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due(u128);

/// Bits of a sequence number: years of the largest cluster.
const ORDER: u32 = 40;
/// Bits of a slot: more happenings cannot wait at a time.
const SLOT: u32 = 24;

impl Due {
    fn new(at: Duration, sequence: u64, slot: u32) -> Self {
        assert!(sequence >> ORDER == 0 && slot >> SLOT == 0, "the queue is full");
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        Self(u128::from(nanos) << (ORDER + SLOT) | u128::from(sequence) << SLOT | u128::from(slot))
    }

    fn nanos(self) -> u64 {
        (self.0 >> (ORDER + SLOT)) as u64
    }

    fn slot(self) -> usize {
        (self.0 & ((1 << SLOT) - 1)) as usize
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts a happening in.
    ///
    /// # Panics
    /// When sixteen million happenings wait already, or after a million million of them: some core has run wild.
    pub fn push(&mut self, at: Duration, what: T) {
        self.sequence += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(what);
        }
        self.heap.push(Reverse(Due::new(at, self.sequence, slot)));
    }

    /// The next happening that is due by `until`.
    pub fn pop(&mut self, until: Duration) -> Option<(Duration, T)> {
        let at = Duration::from_nanos(self.heap.peek()?.0.nanos());
        if at > until {
            return None;
        }
        let slot = self.heap.pop()?.0.slot();
        let what = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot as u32);
        Some((at, what))
    }

    /// How many happenings wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is going to happen.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_equal_times_the_first_comes_first() {
        let mut queue = Queue::default();
        let second = Duration::from_secs(1);
        for what in ["b", "c"] {
            queue.push(second, what);
        }
        queue.push(Duration::ZERO, "a");
        let order: Vec<_> =
            std::iter::from_fn(|| queue.pop(second)).map(|(_, what)| what).collect();
        assert_eq!(order, ["a", "b", "c"]);
        assert!(queue.pop(second).is_none());
    }

    #[test]
    fn slots_are_used_again_and_do_not_change_the_order() {
        let mut queue = Queue::default();
        let at = |nanos| Duration::new(1 << 33, nanos);
        for round in 0..100 {
            queue.push(at(round + 7), round * 2 + 1);
            queue.push(at(round + 7), round * 2 + 2);
            let before = queue.pop(at(round + 7));
            assert_eq!(before, Some((at(round / 2 + 7), round + 1)));
        }
        assert_eq!(queue.len(), 100);
    }
}
