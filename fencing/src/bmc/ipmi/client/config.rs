//! What a session is told before it starts.

use std::time::Duration;

use crate::bmc::ipmi::rakp::LONGEST_USER;
use crate::bmc::{Ask, CipherSuite, Identity, Privilege, Secret};

/// What to ask, as whom, and for how long.
#[derive(Clone, Debug)]
pub struct Config {
    /// User name, at most 16 bytes.
    pub user: String,
    /// Password, at most 20 bytes.
    pub password: Secret,
    /// Suites in the order to try, at least one.
    pub suites: Vec<CipherSuite>,
    /// Level to raise the session to.
    pub privilege: Privilege,
    /// The question.
    pub ask: Ask,
    /// The enrolled identity. With [`Ask::Off`], another one or none means that no off is sent.
    pub expect: Option<Identity>,
    /// From the first event to the reply, at the latest.
    pub deadline: Duration,
    /// When to send again.
    pub pace: Pace,
}

/// When an unanswered datagram is sent again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Wait after the first sending; it doubles with each. Too short: a slow BMC gets every command
    /// several times and executes each. Too long: each lost datagram costs this much.
    pub first: Duration,
    /// Longest wait between two sendings to a BMC that is not known to be slow; four times this to
    /// one that is.
    pub longest: Duration,
    /// Sendings of one step before it counts as silent.
    pub tries: u32,
}

impl Default for Pace {
    /// 0.4 s, doubling to 1 s, 12 sendings: 11.2 s for a step that stays silent; at 20 % loss in
    /// each direction one step in 200,000 is given up.
    fn default() -> Self {
        Self { first: Duration::from_millis(400), longest: Duration::from_secs(1), tries: 12 }
    }
}

impl Config {
    /// Why no session can come of this, if so.
    pub(super) fn unusable(&self) -> Option<&'static str> {
        if self.suites.is_empty() {
            Some("name at least one cipher suite")
        } else if self.user.len() > LONGEST_USER {
            Some("a user name has at most 16 bytes")
        } else if self.password.expose().len() > 20 {
            Some("a password has at most 20 bytes")
        } else {
            None
        }
    }
}
