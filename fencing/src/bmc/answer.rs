//! What can be asked of a BMC and what it can answer, as plain data for the journal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Failure;

/// A question to a BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Fresh session, identity, hard power off, close.
    Off,
    /// Fresh session, identity, chassis status, close.
    Read,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Read => "read",
        })
    }
}

/// What a BMC says about the power of its node. Only `Off` can ever count as off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    /// Powered.
    On,
    /// Not powered.
    Off,
    /// Any other word of a BMC that answers in words ("PoweringOff", empty). Not off.
    Other(String),
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Off => f.write_str("off"),
            Self::Other(word) => write!(f, "other ({})", word.escape_debug()),
        }
    }
}

/// The GUID of a BMC, the UUID of a Redfish system, or what stands in for one, as enrolled and as
/// read: how we know that the right machine answered.
/// The bytes stand in the order in which the BMC sends them, as vendors disagree about which
/// order is meant; it is only compared, so the order does not matter. Never all 0x00 or all 0xff,
/// which are what a BMC without a GUID answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Identity(pub [u8; 16]);

impl Identity {
    /// The identity in the first 16 bytes, or `None` if there are fewer or they say nothing.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
        let empty = bytes.iter().all(|b| *b == 0) || bytes.iter().all(|b| *b == 0xff);
        (!empty).then_some(Self(bytes))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Identity {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(uuid::Uuid::try_parse(text)?.into_bytes()))
    }
}

impl TryFrom<String> for Identity {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.to_string()
    }
}

/// How a BMC said no to a power off that reached it. The node may be off all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// IPMI completion code (IPMI 2.0, table 5-2).
    Completion(u8),
    /// HTTP status of Redfish.
    Http(u16),
    /// The off was sent, and a fence agent saw no effect of it in its time; its exit code.
    Exit(i32),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completion(code) => write!(f, "{code:#04x}"),
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::Exit(code) => write!(f, "exit code {code}"),
        }
    }
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The BMC answered the power off. Not evidence, whatever it answered.
    OffSent {
        /// Who answered, if it has a GUID.
        identity: Option<Identity>,
        /// How the power off was refused, if it was.
        refused: Option<Refusal>,
    },
    /// The BMC answered the read.
    Read {
        /// Its word about the power.
        power: Power,
        /// Who answered, if it has a GUID.
        identity: Option<Identity>,
    },
    /// No answer to the question. After [`Ask::Off`] the node may be off nevertheless, if the
    /// failure came after the command was sent.
    Failed(Failure),
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffSent { refused: None, .. } => f.write_str("off: ok"),
            Self::OffSent { refused: Some(code), .. } => write!(f, "off: refused, {code}"),
            Self::Read { power, .. } => write!(f, "reads {power}"),
            Self::Failed(failure) => write!(f, "failed: {failure}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Step;
    use super::*;

    #[test]
    fn an_identity_reads_back_what_it_shows() {
        let identity =
            Identity(*b"\xa1\x23\x45\x67\x89\xab\xcd\xef\xa1\x23\x45\x67\x89\xab\xcd\xef");
        assert_eq!(identity.to_string(), "a1234567-89ab-cdef-a123-456789abcdef");
        assert_eq!(identity.to_string().parse(), Ok(identity));
        assert!("a1234567-89ab".parse::<Identity>().is_err());
    }

    #[test]
    fn an_empty_guid_is_no_identity() {
        assert_eq!(Identity::from_bytes(&[0; 16]), None);
        assert_eq!(Identity::from_bytes(&[0xff; 16]), None);
        assert_eq!(Identity::from_bytes(&[7; 15]), None);
        assert_eq!(Identity::from_bytes(&[7; 17]), Some(Identity([7; 16])));
    }

    #[test]
    fn replies_survive_the_journal() {
        let replies = [
            Reply::OffSent {
                identity: Some(Identity([7; 16])),
                refused: Some(Refusal::Completion(0xd4)),
            },
            Reply::Read { power: Power::Other("PoweringOff".into()), identity: None },
            Reply::Failed(Failure::WrongIdentity { expected: Identity([1; 16]), read: None }),
            Reply::Failed(Failure::Malformed("short".into())),
            Reply::Failed(Failure::WentSilent(Step::Rakp1)),
        ];
        for reply in replies {
            let bytes = postcard::to_stdvec(&reply).expect("plain data");
            assert_eq!(postcard::from_bytes::<Reply>(&bytes), Ok(reply));
        }
    }
}
