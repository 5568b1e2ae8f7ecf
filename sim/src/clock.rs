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

    /// The first true time at which it reads at least `reading`.
    pub fn when(&self, reading: Duration) -> Duration {
        let wanted = reading.saturating_sub(self.read_then);
        let after = short(wanted, MILLION_64, MILLION_64 + i64::from(self.ppm));
        let after = after.unwrap_or_else(|| {
            let rate = MILLION + i128::from(self.ppm);
            unsigned(signed(wanted) * MILLION / rate)
        });
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
    fn a_timer_is_never_early_on_its_own_clock() {
        for ppm in [-1000, -1, 0, 1, 1000] {
            let clock = Clock::new(Duration::from_secs(7), Duration::from_secs(1234), ppm);
            for nanos in [0, 1, 999, 1_000_000_007, 86_400_000_000_123] {
                let reading = Duration::from_secs(1234) + Duration::from_nanos(nanos);
                let at = clock.when(reading);
                assert!(clock.read(at) >= reading, "{ppm} {nanos}");
                assert!(clock.read(at) <= reading + Duration::from_nanos(2), "{ppm} {nanos}");
            }
        }
    }
}
