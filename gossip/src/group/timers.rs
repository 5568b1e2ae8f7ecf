//! Timers of a group, in order of time and then of the moment they were set.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::identity::Member;

/// What a timer is for.
#[derive(Clone, Debug)]
pub(super) enum Timer {
    /// One of foca's own. Set by foca.
    Swim(foca::Timer<Member>),
    /// Ask seeds again. Set by `join`, and again each time it fires.
    Join,
    /// Compare the state with a random member. Set at start, and again each time it fires.
    Exchange,
    /// Repeat broadcasts. Set while one waits to be repeated.
    Spread,
    /// Look at what waits for room under the ceiling. Set while something does.
    Errands,
    /// Come back under a new generation. Set when the group was heard to believe us dead.
    Renew,
    /// Forget the long dead and the expired. Set at start, and again each time it fires.
    Forget,
}

impl Timer {
    fn reason(&self) -> &'static str {
        match self {
            Timer::Swim(foca::Timer::ProbeRandomMember(_)) => "probe a member",
            Timer::Swim(foca::Timer::SendIndirectProbe { .. }) => "probe through others",
            Timer::Swim(foca::Timer::ChangeSuspectToDown { .. }) => "a suspicion ends",
            Timer::Swim(foca::Timer::PeriodicAnnounce(_)) => "announce",
            Timer::Swim(foca::Timer::PeriodicAnnounceDown(_)) => "announce to the dead",
            Timer::Swim(foca::Timer::PeriodicGossip(_)) => "pass news on",
            Timer::Swim(foca::Timer::RemoveDown(_)) => "forget the dead",
            Timer::Join => "ask seeds",
            Timer::Exchange => "exchange state",
            Timer::Spread => "repeat broadcasts",
            Timer::Errands => "send what was put off",
            Timer::Renew => "come back",
            Timer::Forget => "forget what is old",
        }
    }
}

/// When a timer fires, and where it waits: a timer is large, and a heap moves what it holds. Ordered by time, then by the
/// moment it was set; no two have the same sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Duration,
    sequence: u64,
    slot: usize,
}

/// The heap. The sequence number makes equal deadlines fire in the order they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Entry>>,
    slots: Vec<Option<Timer>>,
    free: Vec<usize>,
    sequence: u64,
    /// The first of them: it is asked for much more often than it changes.
    next: Option<(Duration, &'static str)>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Duration, timer: Timer) {
        self.sequence += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if self.next.is_none_or(|(first, _)| at < first) {
            self.next = Some((at, timer.reason()));
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(timer);
        }
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, slot }));
    }

    pub(super) fn next(&self) -> Option<(Duration, &'static str)> {
        self.next
    }

    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Timer> {
        if self.next?.0 > now {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        let timer = self.slots.get_mut(entry.slot).and_then(Option::take);
        self.free.push(entry.slot);
        self.note_next();
        timer
    }

    /// Puts every timer off by `late`: see `Group::handle`.
    pub(super) fn put_off(&mut self, late: Duration) {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        for Reverse(entry) in &mut entries {
            entry.at += late;
        }
        self.heap = entries.into();
        self.note_next();
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
        self.slots.clear();
        self.free.clear();
        self.next = None;
    }

    fn note_next(&mut self) {
        self.next = self.heap.peek().and_then(|Reverse(entry)| {
            let timer = self.slots.get(entry.slot)?.as_ref()?;
            Some((entry.at, timer.reason()))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_deadlines_fire_in_the_order_they_were_set() {
        let mut timers = Timers::default();
        let at = Duration::from_secs(1);
        timers.set(at, Timer::Join);
        timers.set(at, Timer::Exchange);
        timers.set(Duration::ZERO, Timer::Forget);
        assert_eq!(timers.next(), Some((Duration::ZERO, "forget what is old")));
        let order: Vec<_> = std::iter::from_fn(|| timers.pop_due(at)).map(|t| t.reason()).collect();
        assert_eq!(order, ["forget what is old", "ask seeds", "exchange state"]);
    }

    #[test]
    fn what_is_put_off_keeps_its_order_and_is_not_due() {
        let mut timers = Timers::default();
        timers.set(Duration::from_secs(1), Timer::Join);
        timers.set(Duration::from_secs(2), Timer::Exchange);
        timers.put_off(Duration::from_secs(5));
        assert!(timers.pop_due(Duration::from_secs(5)).is_none());
        assert_eq!(timers.next(), Some((Duration::from_secs(6), "ask seeds")));
        assert!(matches!(timers.pop_due(Duration::from_secs(7)), Some(Timer::Join)));
    }
}
