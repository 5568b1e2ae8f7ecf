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

/// Ordered by time, then by who was first; no two have the same sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Duration,
    sequence: u64,
    slot: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts a happening in.
    pub fn push(&mut self, at: Duration, what: T) {
        self.sequence += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(what);
        }
        self.heap.push(Reverse(Due { at, sequence: self.sequence, slot }));
    }

    /// The next happening that is due by `until`.
    pub fn pop(&mut self, until: Duration) -> Option<(Duration, T)> {
        if self.heap.peek()?.0.at > until {
            return None;
        }
        let Reverse(due) = self.heap.pop()?;
        let what = self.slots.get_mut(due.slot as usize)?.take()?;
        self.free.push(due.slot);
        Some((due.at, what))
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
}
