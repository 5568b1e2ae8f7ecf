//! Payloads of the handshake: Open Session and RAKP messages 1 to 4 (IPMI 2.0, 13.17 to 13.23).

use super::Malformed;
use crate::bmc::CipherSuite;

/// Status codes of the handshake (IPMI 2.0, table 13-15).
pub mod status {
    /// Go on.
    pub const OK: u8 = 0x00;
    /// No free session.
    pub const NO_RESOURCES: u8 = 0x01;
    /// Invalid session id.
    pub const INVALID_SESSION: u8 = 0x02;
    /// Invalid authentication algorithm.
    pub const INVALID_AUTHENTICATION: u8 = 0x04;
    /// Invalid integrity algorithm.
    pub const INVALID_INTEGRITY: u8 = 0x05;
    /// No matching authentication payload.
    pub const NO_AUTHENTICATION: u8 = 0x06;
    /// No matching integrity payload.
    pub const NO_INTEGRITY: u8 = 0x07;
    /// Inactive session id.
    pub const INACTIVE_SESSION: u8 = 0x08;
    /// Invalid role.
    pub const INVALID_ROLE: u8 = 0x09;
    /// Role not allowed.
    pub const UNAUTHORIZED_ROLE: u8 = 0x0a;
    /// No free session at this role.
    pub const NO_RESOURCES_AT_ROLE: u8 = 0x0b;
    /// Name too long.
    pub const INVALID_NAME: u8 = 0x0c;
    /// No such user.
    pub const UNAUTHORIZED_NAME: u8 = 0x0d;
    /// Wrong key exchange authentication code.
    pub const INVALID_CHECK: u8 = 0x0f;
    /// Invalid confidentiality algorithm.
    pub const INVALID_CONFIDENTIALITY: u8 = 0x10;
    /// No cipher suite matches.
    pub const NO_SUITE: u8 = 0x11;
}

/// Longest user name.
pub const LONGEST_USER: usize = 16;

/// Numbers of the algorithms for authentication, integrity, confidentiality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithms(pub [u8; 3]);

impl From<CipherSuite> for Algorithms {
    fn from(suite: CipherSuite) -> Self {
        match suite {
            CipherSuite::S17 => Self([0x03, 0x04, 0x01]),
            CipherSuite::S3 => Self([0x01, 0x01, 0x01]),
        }
    }
}

impl Algorithms {
    /// The suite that is made of exactly these, if we speak it.
    pub fn suite(self) -> Option<CipherSuite> {
        [CipherSuite::S17, CipherSuite::S3].into_iter().find(|suite| self == (*suite).into())
    }

    fn encode(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().zip(0..).flat_map(|(number, kind)| [kind, 0, 0, 8, number, 0, 0, 0])
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut numbers = [0; 3];
        for ((number, kind), part) in numbers.iter_mut().zip(0u8..).zip(bytes.chunks(8)) {
            match part {
                [part_kind, _, _, 8, named, ..] if *part_kind == kind => *number = named & 0x3f,
                // A length of 0 means "take whatever you like": we never do.
                _ => return Err(Malformed("algorithm payload")),
            }
        }
        if bytes.len() < 24 {
            return Err(Malformed("algorithm payloads missing"));
        }
        Ok(Self(numbers))
    }
}

/// RMCP+ Open Session request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Repeated by the response.
    pub tag: u8,
    /// Highest level that the session will ask for.
    pub level: u8,
    /// Id that the console gives the session.
    pub console: u32,
    /// What to use.
    pub algorithms: Algorithms,
}

impl OpenRequest {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.tag, self.level, 0, 0];
        bytes.extend(self.console.to_le_bytes());
        bytes.extend(self.algorithms.encode());
        bytes
    }

    /// From a payload.
    ///
    /// # Errors
    /// Too short or no algorithms.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some((&[tag, level, _, _, c0, c1, c2, c3], rest)) = bytes.split_first_chunk::<8>()
        else {
            return Err(Malformed("short open session request"));
        };
        let console = u32::from_le_bytes([c0, c1, c2, c3]);
        Ok(Self { tag, level: level & 0x0f, console, algorithms: Algorithms::decode(rest)? })
    }
}

/// Start of every answer of the handshake. A refusal has no more than this, and some BMCs cut even
/// the session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Tag of the request.
    pub tag: u8,
    /// 0 or why not.
    pub status: u8,
    /// The console's id for the session, if it was there.
    pub console: Option<u32>,
}

impl Head {
    fn encode(tag: u8, status: u8, console: u32) -> Vec<u8> {
        let mut bytes = vec![tag, status, 0, 0];
        bytes.extend(console.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let [tag, status, rest @ ..] = bytes else {
            return Err(Malformed("short handshake answer"));
        };
        match rest.split_first_chunk::<6>() {
            Some((&[_, _, c0, c1, c2, c3], rest)) => {
                let console = Some(u32::from_le_bytes([c0, c1, c2, c3]));
                Ok((Self { tag: *tag, status: *status, console }, rest))
            }
            None if *status == status::OK => Err(Malformed("short handshake answer")),
            None => Ok((Self { tag: *tag, status: *status, console: None }, &[])),
        }
    }
}

/// A refusal of Open Session, RAKP 1 or RAKP 3.
pub fn refusal(tag: u8, status: u8, console: u32) -> Vec<u8> {
    Head::encode(tag, status, console)
}

/// RMCP+ Open Session response: the head, and if it is no refusal the BMC's id and algorithms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenResponse {
    /// Id that the BMC gives the session.
    pub bmc: u32,
    /// What the BMC says will be used.
    pub algorithms: Algorithms,
}

impl OpenResponse {
    /// The payload of an acceptance. The highest level is `level`.
    pub fn encode(&self, tag: u8, level: u8, console: u32) -> Vec<u8> {
        let mut bytes = Head::encode(tag, status::OK, console);
        bytes[2] = level;
        bytes.extend(self.bmc.to_le_bytes());
        bytes.extend(self.algorithms.encode());
        bytes
    }

    /// From a payload; `None` if it is a refusal.
    ///
    /// # Errors
    /// Too short, or algorithms that cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<(Head, Option<Self>), Malformed> {
        let (head, rest) = Head::decode(bytes)?;
        if head.status != status::OK {
            return Ok((head, None));
        }
        let (bmc, rest) = rest.split_first_chunk().ok_or(Malformed("short open session answer"))?;
        let bmc = u32::from_le_bytes(*bmc);
        Ok((head, Some(Self { bmc, algorithms: Algorithms::decode(rest)? })))
    }
}

/// RAKP message 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp1 {
    /// Repeated by RAKP 2.
    pub tag: u8,
    /// The BMC's id for the session.
    pub bmc: u32,
    /// The console's random number.
    pub random: [u8; 16],
    /// Requested level, with the bit for "look up by name only".
    pub role: u8,
    /// User name.
    pub user: Vec<u8>,
}

impl Rakp1 {
    /// The payload. A user longer than [`LONGEST_USER`] is cut, which the caller prevents.
    pub fn encode(&self) -> Vec<u8> {
        let user = &self.user[..self.user.len().min(LONGEST_USER)];
        let mut bytes = vec![self.tag, 0, 0, 0];
        bytes.extend(self.bmc.to_le_bytes());
        bytes.extend(self.random);
        bytes.extend([self.role, 0, 0, u8::try_from(user.len()).unwrap_or(0)]);
        bytes.extend(user);
        bytes
    }

    /// From a payload.
    ///
    /// # Errors
    /// Too short, or a user name that is longer than the payload or than allowed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        const SHORT: Malformed = Malformed("short RAKP 1");
        let (&[tag, _, _, _, b0, b1, b2, b3], rest) = bytes.split_first_chunk().ok_or(SHORT)?;
        let (random, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let (&[role, _, _, length], user) = rest.split_first_chunk().ok_or(SHORT)?;
        let user = user.get(..usize::from(length)).ok_or(SHORT)?;
        if user.len() > LONGEST_USER {
            return Err(Malformed("user name too long"));
        }
        let bmc = u32::from_le_bytes([b0, b1, b2, b3]);
        Ok(Self { tag, bmc, random: *random, role, user: user.to_vec() })
    }
}

/// RAKP message 2 after its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp2 {
    /// The BMC's random number.
    pub random: [u8; 16],
    /// Its GUID.
    pub guid: [u8; 16],
    /// Its key exchange authentication code, and whatever follows.
    pub code: Vec<u8>,
}

impl Rakp2 {
    /// The payload.
    pub fn encode(&self, tag: u8, console: u32) -> Vec<u8> {
        let mut bytes = Head::encode(tag, status::OK, console);
        bytes.extend(self.random);
        bytes.extend(self.guid);
        bytes.extend(&self.code);
        bytes
    }

    /// From a payload; `None` if it is a refusal.
    ///
    /// # Errors
    /// Too short.
    pub fn decode(bytes: &[u8]) -> Result<(Head, Option<Self>), Malformed> {
        const SHORT: Malformed = Malformed("short RAKP 2");
        let (head, rest) = Head::decode(bytes)?;
        if head.status != status::OK {
            return Ok((head, None));
        }
        let (random, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let (guid, code) = rest.split_first_chunk().ok_or(SHORT)?;
        Ok((head, Some(Self { random: *random, guid: *guid, code: code.to_vec() })))
    }
}

/// RAKP message 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp3 {
    /// Repeated by RAKP 4.
    pub tag: u8,
    /// 0, or why the console gives up.
    pub status: u8,
    /// The BMC's id for the session.
    pub bmc: u32,
    /// The console's key exchange authentication code.
    pub code: Vec<u8>,
}

impl Rakp3 {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Head::encode(self.tag, self.status, self.bmc);
        bytes.extend(&self.code);
        bytes
    }

    /// From a payload.
    ///
    /// # Errors
    /// Too short.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (head, code) = Head::decode(bytes)?;
        let bmc = head.console.ok_or(Malformed("short RAKP 3"))?;
        Ok(Self { tag: head.tag, status: head.status, bmc, code: code.to_vec() })
    }
}

/// The payload of an accepting RAKP message 4 with its integrity check value.
pub fn encode_rakp4(tag: u8, console: u32, check: &[u8]) -> Vec<u8> {
    let mut bytes = Head::encode(tag, status::OK, console);
    bytes.extend(check);
    bytes
}

/// RAKP message 4: head and integrity check value, which is empty in a refusal.
///
/// # Errors
/// Too short.
pub fn decode_rakp4(bytes: &[u8]) -> Result<(Head, &[u8]), Malformed> {
    Head::decode(bytes)
}
