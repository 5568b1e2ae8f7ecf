//! What the sentinel knows of its watchdog device: open or not, and when it was last fed.

use std::time::Duration;

use fencing::lease::WatchdogState;
use fencing::watchdog::Class;

use super::event::Warning;

/// Longest time between two feeds, however large W is.
const FEED_AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// The device, seen from the core.
#[derive(Clone, Copy, Debug)]
pub(super) enum Device {
    /// None, or none that may be opened.
    Absent,
    Closed,
    /// The shell was told to open it. It is reported closed.
    Opening,
    Open {
        timeout: Duration,
        class: Class,
        counts_for_e2: bool,
        fed: Duration,
        warned: Warned,
    },
}

/// What was said since the last feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Warned {
    No,
    NotStanding,
    ResetNear,
}

impl Device {
    pub(super) fn new(present: bool) -> Self {
        if present { Device::Closed } else { Device::Absent }
    }

    /// What renewals say.
    pub(super) fn state(&self) -> WatchdogState {
        match *self {
            Device::Absent => WatchdogState::Absent,
            Device::Closed | Device::Opening => WatchdogState::Closed,
            Device::Open { timeout, class, counts_for_e2, .. } => {
                WatchdogState::Open { timeout, class, counts_for_e2 }
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Device::Open { .. })
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Device::Absent)
    }

    /// Whether it is to be opened now, and that it will be.
    pub(super) fn open(&mut self) -> bool {
        let closed = matches!(self, Device::Closed);
        if closed {
            *self = Device::Opening;
        }
        closed
    }

    pub(super) fn opened(
        &mut self,
        now: Duration,
        timeout: Duration,
        class: Class,
        counts_for_e2: bool,
    ) {
        *self = Device::Open { timeout, class, counts_for_e2, fed: now, warned: Warned::No };
    }

    pub(super) fn failed(&mut self) {
        *self = Device::Absent;
    }

    /// Whether it is to be closed now, and that it will be.
    pub(super) fn close(&mut self) -> bool {
        let open = self.is_open();
        if open {
            *self = Device::Closed;
        }
        open
    }

    /// Whether a feed is due, and that it will be carried out: at most a second or W/4 apart.
    pub(super) fn feed(&mut self, now: Duration) -> bool {
        match self {
            Device::Open { timeout, fed, warned, .. } if now >= *fed + period(*timeout) => {
                (*fed, *warned) = (now, Warned::No);
                true
            }
            Device::Open { .. } | Device::Absent | Device::Closed | Device::Opening => false,
        }
    }

    /// What is to be said, once each, while nobody stands for the node. SBD warns at 3/5 of its watchdog time too.
    pub(super) fn alarm(&mut self, now: Duration) -> Option<Warning> {
        let Device::Open { timeout, fed, warned, .. } = self else { return None };
        let (timeout, unfed) = (*timeout, now.saturating_sub(*fed));
        let (level, warning) = if unfed >= timeout * 3 / 5 {
            (Warned::ResetNear, Warning::ResetNear { unfed, timeout })
        } else if unfed >= period(timeout) {
            (Warned::NotStanding, Warning::NotStanding { unfed })
        } else {
            return None;
        };
        let news = level > *warned;
        *warned = level.max(*warned);
        news.then_some(warning)
    }

    /// When a feed is due, or something is to be said, or the device should have fired.
    pub(super) fn next(&self) -> Option<(Duration, &'static str)> {
        match *self {
            Device::Open { timeout, fed, warned, .. } => Some(match warned {
                Warned::No => (fed + period(timeout), "feed"),
                Warned::NotStanding => (fed + timeout * 3 / 5, "not fed for 3/5 of W"),
                Warned::ResetNear => (fed + timeout, "not fed for W"),
            }),
            Device::Absent | Device::Closed | Device::Opening => None,
        }
    }

    /// Whether a device that was fed in time would have fired by now: it slept with the machine, or it is broken.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        match *self {
            Device::Open { timeout, fed, .. } => now.saturating_sub(fed) >= timeout,
            Device::Absent | Device::Closed | Device::Opening => false,
        }
    }
}

fn period(timeout: Duration) -> Duration {
    FEED_AT_LEAST_EVERY.min(timeout / 4)
}
