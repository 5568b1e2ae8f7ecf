//! Where a BMC is and how to log in to it.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A password. It is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the password over; the caller keeps no copy.
    pub fn new(password: String) -> Self {
        Self(Zeroizing::new(password))
    }

    /// The bytes, for key derivation and logins only.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As a text, for logins only.
    pub fn expose_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One BMC that speaks IPMI, and the login for it.
#[derive(Clone, Debug)]
pub struct BmcTarget {
    /// Its address; IPMI over LAN is UDP port 623.
    pub addr: SocketAddr,
    /// User name, at most 16 bytes (IPMI 2.0, 22.28).
    pub user: String,
    /// Password, at most 20 bytes (IPMI 2.0, 22.30). 20 random bytes are best, as everyone who can
    /// reach the BMC can fetch a hash of it (CVE-2013-4786).
    pub password: Secret,
    /// Suites in the order to try. Only 17 is the safe list; 3 is for BMCs that know no better.
    pub suites: Vec<CipherSuite>,
    /// Level of the session. Operator is enough; a higher one needs a more powerful user.
    pub privilege: Privilege,
}

/// The cipher suites that are spoken. Suites 0 to 2 lack encryption or authentication and have no
/// variant, so no configuration and no answer can lead to them (IPMI 2.0, table 22-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CipherSuite {
    /// RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    #[serde(rename = "17")]
    S17,
    /// RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128. By opt-in.
    #[serde(rename = "3")]
    S3,
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S17 => "17",
            Self::S3 => "3",
        })
    }
}

/// Level that a session is raised to, for a session starts at USER and may not power off there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privilege {
    /// May use chassis control. Enough for fencing.
    #[default]
    Operator,
    /// For BMCs that refuse chassis control to operators.
    Admin,
}

impl Privilege {
    /// The level on the wire (IPMI 2.0, table 22-23).
    pub fn level(self) -> u8 {
        match self {
            Self::Operator => 3,
            Self::Admin => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let target = BmcTarget {
            addr: ([127, 0, 0, 1], 623).into(),
            user: "fence".into(),
            password: Secret::new("correct horse".into()),
            suites: vec![CipherSuite::S17],
            privilege: Privilege::default(),
        };
        let shown = format!("{target:?}");
        assert!(shown.contains("***") && !shown.contains("horse"), "{shown}");
    }
}
