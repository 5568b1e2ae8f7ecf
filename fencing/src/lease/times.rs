//! The times of the lease protocol, and the sums that a configuration must satisfy.

use std::fmt;
use std::time::Duration;

use mutants::{Mutant, is_on};
use serde::{Deserialize, Serialize};

/// A named set of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A BMC is present and E1 ends in 10-40 s; E2 closes the power-feed hole.
    #[default]
    Balanced,
    /// A hardware watchdog that takes 8 s; no BMC, or short outages matter most.
    Fast,
    /// An unreliable control network.
    Calm,
}

impl Profile {
    /// The profile's times.
    pub fn times(self) -> LeaseTimes {
        let (lease, vouch, watchdog) = match self {
            Profile::Balanced => (60, 30, 20),
            Profile::Fast => (20, 12, 8),
            Profile::Calm => (300, 60, 30),
        };
        LeaseTimes {
            renew_every: Duration::from_secs(1),
            lease: Duration::from_secs(lease),
            vouch: Duration::from_secs(vouch),
            watchdog: Duration::from_secs(watchdog),
            quiet: Duration::from_secs(10),
            margin: Duration::from_secs(5),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Profile::Balanced => "balanced",
            Profile::Fast => "fast",
            Profile::Calm => "calm",
        })
    }
}

/// Times of one armed boot. They are what its sentinel uses until it is armed anew, so they are committed with it: a
/// leader never reckons with its own profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTimes {
    /// p: how often the sentinel renews. Too large: few chances per lease. Too small: traffic.
    pub renew_every: Duration,
    /// L: how long a lease lasts from the send time of the renewal that a majority acked.
    pub lease: Duration,
    /// C: how long a peer's vouch lasts from the send time of the ask; at most L - 2p.
    pub vouch: Duration,
    /// W: watchdog timeout as read back from the device.
    pub watchdog: Duration,
    /// K: from reset to quiet disks; add the longest pretimeout or crash dump.
    pub quiet: Duration,
    /// M: margin for what the sum does not name.
    pub margin: Duration,
}

/// eps: how much later than its timeout a watchdog may fire, in thousandths.
const WATCHDOG_TOLERANCE_PERMILLE: u64 = 100;
/// rho: rate error of a clock against true time, in thousandths.
const CLOCK_ERROR_PERMILLE: u64 = 1;

impl LeaseTimes {
    /// wL: after this time from T0 a node that no controller acked is off.
    ///
    /// `(L + 3W(1+eps) + K)(1+rho)/(1-rho) + M`. The second W: a stall between the check and the feed gives one late
    /// feed. The third: the kernel feeds once more when the sentinel is killed.
    pub fn wait_after_intent(&self) -> Duration {
        self.wait(self.lease)
    }

    /// wC: after this time from tau (when enough peers had promised) a node that no peer vouched for is off. The sum
    /// of [`Self::wait_after_intent`] with C in the place of L.
    pub fn wait_after_promise(&self) -> Duration {
        self.wait(self.vouch)
    }

    fn wait(&self, standing: Duration) -> Duration {
        let third = if is_on(Mutant::M01) { self.watchdog_bound() / 3 } else { Duration::ZERO };
        let nominal = standing + self.watchdog_bound() - third + self.quiet;
        let stretched = nominal.as_nanos() * u128::from(1000 + CLOCK_ERROR_PERMILLE)
            / u128::from(1000 - CLOCK_ERROR_PERMILLE);
        Duration::from_nanos(u64::try_from(stretched).unwrap_or(u64::MAX)) + self.margin
    }

    /// 3W(1+eps): from the end of the last valid lease to the reset, at most.
    pub fn watchdog_bound(&self) -> Duration {
        self.watchdog * 3 * u32::try_from(1000 + WATCHDOG_TOLERANCE_PERMILLE).unwrap_or(u32::MAX)
            / 1000
    }

    /// Checks the sums that the protocol needs.
    ///
    /// # Errors
    /// Every sum that does not hold, written out; nothing may be armed with such times.
    pub fn check(&self) -> Result<(), TimesError> {
        let mut broken = Vec::new();
        let mut need = |name: &str, left: Duration, at_least: bool, right: Duration, sum: &str| {
            let holds = if at_least { left >= right } else { left <= right };
            if !holds {
                let sign = if at_least { ">=" } else { "<=" };
                broken.push(format!(
                    "{name} = {} must be {sign} {sum} = {}",
                    humantime::format_duration(left),
                    humantime::format_duration(right)
                ));
            }
        };
        need("lease L", self.lease, true, self.renew_every * 10, "10 p");
        need("watchdog W", self.watchdog, true, self.renew_every * 5, "5 p");
        let longest_vouch = self.lease.saturating_sub(self.renew_every * 2);
        need("vouch C", self.vouch, false, longest_vouch, "L - 2 p");
        if self.renew_every.is_zero() {
            broken.push("renewal period p must not be zero".to_owned());
        }
        if self.vouch.is_zero() {
            broken.push("vouch C must not be zero".to_owned());
        }
        if broken.is_empty() { Ok(()) } else { Err(TimesError { broken }) }
    }
}

/// Times that would break the bound behind E2. Nothing is armed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease times do not hold: {}", broken.join("; "))]
pub struct TimesError {
    /// One sentence per sum, written out.
    pub broken: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(profile: Profile) -> f64 {
        (profile.times().wait_after_intent().as_secs_f64() * 10.0).round() / 10.0
    }

    #[test]
    fn the_profiles_wait_as_the_specification_says() {
        assert_eq!(seconds(Profile::Balanced), 141.3);
        assert_eq!(seconds(Profile::Fast), 61.5);
        assert_eq!(seconds(Profile::Calm), 414.8);
    }

    #[test]
    fn every_profile_satisfies_its_own_sums() {
        for profile in [Profile::Balanced, Profile::Fast, Profile::Calm] {
            profile.times().check().expect("a shipped profile holds");
        }
    }

    #[test]
    fn a_broken_sum_is_written_out() {
        let times = LeaseTimes { lease: Duration::from_secs(9), ..Profile::Fast.times() };
        let error = times.check().expect_err("9 s is less than ten renewals");
        assert_eq!(
            error.to_string(),
            "the lease times do not hold: lease L = 9s must be >= 10 p = 10s; \
             vouch C = 12s must be <= L - 2 p = 7s"
        );
    }
}
