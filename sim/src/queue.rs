//! What is going to happen, ordered by time and, at equal times, by who was first to be put in.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A queue of happenings.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Due<T>>,
    sequence: u64,
}

#[derive(Debug)]
struct Due<T> {
    at: Duration,
    sequence: u64,
    what: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts a happening in.
    pub fn push(&mut self, at: Duration, what: T) {
        self.sequence += 1;
        self.heap.push(Due { at, sequence: self.sequence, what });
    }

    /// The next happening that is due by `until`.
    pub fn pop(&mut self, until: Duration) -> Option<(Duration, T)> {
        if self.heap.peek()?.at > until {
            return None;
        }
        self.heap.pop().map(|due| (due.at, due.what))
    }
}

impl<T> Ord for Due<T> {
    /// The heap gives its greatest: the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Due<T> {}

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
