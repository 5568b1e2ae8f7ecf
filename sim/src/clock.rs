//! Clocks of machines: each begins where it likes and runs a little too fast or too slow.

use std::time::Duration;

/// A monotonic clock. No decision compares the readings of two of them.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Duration,
    read_then: Duration,
    ppm: i32,
}

/// Readings are scaled by millionths.
const MILLION: i128 = 1_000_000;
const MILLION_64: i64 = 1_000_000;
/// Rate error of a clock that stands still.
const STANDS_STILL: i32 = -1_000_000;
/// When a clock that stands still reads more than it does: after the end of every run.
const NEVER: Duration = Duration::from_secs(1 << 32);

impl Clock {
    /// A clock that read `read_then` at the true time `began`; `ppm` is its rate error in millionths.
    pub fn new(began: Duration, read_then: Duration, ppm: i32) -> Self {
        Self { began, read_then, ppm }
    }

    /// What it reads at a true time; before it began, what it read then.
    pub fn read(&self, at: Duration) -> Duration {
        let passed = at.saturating_sub(self.began);
        if let Some(read) = short(passed, MILLION_64 + i64::from(self.ppm), MILLION_64) {
            return self.read_then + read;
        }
        let passed = signed(passed);
        self.read_then + unsigned(passed * (MILLION + i128::from(self.ppm)) / MILLION)
    }

    /// The same clock, from a true time on so many times too fast.
    pub fn faster(&self, at: Duration, times: i32) -> Self {
        Self { began: at, read_then: self.read(at), ppm: (times - 1) * 1_000_000 }
    }

    /// The same clock, from a true time on with another rate error.
    pub fn drifting(&self, at: Duration, ppm: i32) -> Self {
        Self { began: at, read_then: self.read(at), ppm }
    }

    /// The same clock, which stands still from a true time on, and its rate error until then. Nothing is due by it
    /// before it goes on.
    pub fn stopped(&self, at: Duration) -> (Self, i32) {
        (self.drifting(at, STANDS_STILL), self.ppm)
    }

    /// Whether it reads at least `reading` before a true time; cheaper than [`Clock::when`], and asked for after each event.
    pub fn comes_before(&self, reading: Duration, at: Duration) -> bool {
        self.read(at.saturating_sub(Duration::from_nanos(1))) >= reading
    }

    /// The first true time at which it reads at least `reading`.
    pub fn when(&self, reading: Duration) -> Duration {
        let rate = MILLION + i128::from(self.ppm);
        if rate <= 0 {
            return self.began + NEVER;
        }
        let wanted = reading.saturating_sub(self.read_then);
        let after = short(wanted, MILLION_64, MILLION_64 + i64::from(self.ppm));
        let after = after.unwrap_or_else(|| unsigned(signed(wanted) * MILLION / rate));
        let mut at = self.began + after;
        while self.read(at) < reading {
            at += Duration::from_nanos(1);
        }
        at
    }
}

/// `time * times / by` in 64 bits, where it fits there: it is asked for after each event.
fn short(time: Duration, times: i64, by: i64) -> Option<Duration> {
    let (times, by) = (u64::try_from(times).ok()?, u64::try_from(by).ok()?);
    let nanos = time.as_secs().checked_mul(1_000_000_000)?;
    let nanos = nanos.checked_add(u64::from(time.subsec_nanos()))?;
    Some(Duration::from_nanos(nanos.checked_mul(times)?.checked_div(by)?))
}

fn signed(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

fn unsigned(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_stopped_goes_on_where_it_was() {
        let second = Duration::from_secs(1);
        let clock = Clock::new(Duration::ZERO, Duration::ZERO, 0);
        let (stopped, ppm) = clock.stopped(second * 10);
        assert_eq!(stopped.read(second * 70), second * 10);
        assert!(stopped.when(second * 11) > second * 1_000_000);
        let again = stopped.drifting(second * 70, ppm);
        assert_eq!(again.read(second * 75), second * 15);
        assert_eq!(again.when(second * 15), second * 75);
    }

    #[test]
    fn a_timer_is_never_early_on_its_own_clock() {
        for ppm in [-1000, -1, 0, 1, 1000] {
            let clock = Clock::new(Duration::from_secs(7), Duration::from_secs(1234), ppm);
            for nanos in [0, 1, 999, 1_000_000_007, 86_400_000_000_123] {
                let reading = Duration::from_secs(1234) + Duration::from_nanos(nanos);
                let at = clock.when(reading);
                assert!(clock.read(at) >= reading, "{ppm} {nanos}");
                assert!(clock.read(at) <= reading + Duration::from_nanos(2), "{ppm} {nanos}");
                assert_eq!(clock.comes_before(reading, at), nanos == 0, "{ppm} {nanos}");
                assert!(clock.comes_before(reading, at + Duration::from_nanos(1)), "{ppm} {nanos}");
            }
        }
    }
}
