//! A watchdog device.

use std::time::Duration;

/// What kind of device a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A timer in the chipset.
    Hardware,
    /// A timer in the kernel: it does not fire when the kernel hangs, and never counts for E2.
    Soft,
    /// There, and it cannot be opened.
    Broken,
    /// A timer in the chipset that takes every feed and never fires. Outside of the fault model: only a fire test shows it.
    Dead,
    /// None.
    Absent,
}

/// A device, as it really is.
#[derive(Debug)]
pub struct Watchdog {
    /// Its kind.
    pub kind: Kind,
    timeout: Duration,
    /// How late it fires, in thousandths of its timeout.
    late: u32,
    fed: Option<Duration>,
    /// Whether a process holds it open.
    held: bool,
    /// Whether a look at it is in the queue.
    pub watched: bool,
}

impl Watchdog {
    /// A hardware device that is closed.
    pub fn new(timeout: Duration) -> Self {
        Self { kind: Kind::Hardware, timeout, late: 0, fed: None, held: false, watched: false }
    }

    /// How late it fires, up to the tolerance that the sum allows.
    pub fn set_late(&mut self, permille: u32) {
        self.late = permille;
    }

    /// Its timeout as it reads back.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Opens it, which feeds it. False where there is none.
    pub fn open(&mut self, now: Duration) -> bool {
        if matches!(self.kind, Kind::Absent | Kind::Broken) {
            return false;
        }
        (self.fed, self.held) = (Some(now), true);
        true
    }

    /// Its holder was killed: the kernel closes it without magic, which feeds it once more.
    pub fn holder_killed(&mut self, now: Duration) {
        if std::mem::take(&mut self.held) {
            self.feed(now);
        }
    }

    /// A feed; nothing on a closed device.
    pub fn feed(&mut self, now: Duration) {
        if let Some(fed) = &mut self.fed {
            *fed = now;
        }
    }

    /// Closed with magic: it no longer fires.
    pub fn close_magically(&mut self) {
        (self.fed, self.held) = (None, false);
    }

    /// The machine lost power, or was reset.
    pub fn power_lost(&mut self) {
        (self.fed, self.held) = (None, false);
    }

    /// When it fires unless it is fed before.
    pub fn fires_at(&self) -> Option<Duration> {
        self.fed.map(|fed| fed + self.timeout + self.timeout * self.late / 1000)
    }

    /// When it was fed last, while it is open.
    pub fn fed(&self) -> Option<Duration> {
        self.fed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_fires_a_timeout_after_the_last_feed_and_not_after_magic() {
        let mut watchdog = Watchdog::new(8 * SECOND);
        assert_eq!(watchdog.fires_at(), None);
        watchdog.feed(SECOND);
        assert_eq!(watchdog.fires_at(), None, "closed");
        assert!(watchdog.open(SECOND));
        watchdog.feed(3 * SECOND);
        assert_eq!(watchdog.fires_at(), Some(11 * SECOND));
        watchdog.close_magically();
        assert_eq!(watchdog.fires_at(), None);
    }
}
