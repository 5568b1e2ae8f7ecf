//! What a datagram is: RMCP header, session header, payload (IPMI 2.0, 13.6 and 13.28).

use super::Malformed;

/// Longest datagram that is looked at. The longest that we need has 100 bytes; a BMC's own limit
/// is below 300.
pub const LONGEST: usize = 512;

/// Version 1.0, no acknowledgement, class IPMI.
const RMCP: [u8; 4] = [0x06, 0x00, 0xff, 0x07];
const AUTH_NONE: u8 = 0x00;
const AUTH_RMCP_PLUS: u8 = 0x06;
/// Encrypted and authenticated.
const SEALED: u8 = 0xc0;

/// Kinds of payload that are understood (IPMI 2.0, table 13-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An IPMI request or response.
    Message,
    /// RMCP+ Open Session request.
    OpenRequest,
    /// RMCP+ Open Session response.
    OpenResponse,
    /// RAKP message 1.
    Rakp1,
    /// RAKP message 2.
    Rakp2,
    /// RAKP message 3.
    Rakp3,
    /// RAKP message 4.
    Rakp4,
}

impl Payload {
    fn number(self) -> u8 {
        match self {
            Self::Message => 0x00,
            Self::OpenRequest => 0x10,
            Self::OpenResponse => 0x11,
            Self::Rakp1 => 0x12,
            Self::Rakp2 => 0x13,
            Self::Rakp3 => 0x14,
            Self::Rakp4 => 0x15,
        }
    }

    fn from_number(number: u8) -> Result<Self, Malformed> {
        match number {
            0x00 => Ok(Self::Message),
            0x10 => Ok(Self::OpenRequest),
            0x11 => Ok(Self::OpenResponse),
            0x12 => Ok(Self::Rakp1),
            0x13 => Ok(Self::Rakp2),
            0x14 => Ok(Self::Rakp3),
            0x15 => Ok(Self::Rakp4),
            _ => Err(Malformed("unknown payload type")),
        }
    }
}

/// A datagram, taken apart as far as is possible without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// IPMI 1.5 framing outside of a session: only for Get Channel Authentication Capabilities.
    Legacy(&'a [u8]),
    /// RMCP+ outside of a session, neither encrypted nor authenticated.
    Plain(Payload, &'a [u8]),
    /// RMCP+ inside a session. Nothing of it may be believed before [`super::crypto::Keys::unseal`].
    Sealed(Sealed<'a>),
}

/// A packet inside a session, unverified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Session id of the receiver.
    pub session: u32,
    /// Session sequence number.
    pub sequence: u32,
    /// From the authentication type to the end: what the code covers, and the code.
    pub(super) body: &'a [u8],
    /// The encrypted payload in `body`.
    pub(super) payload: &'a [u8],
}

/// Length of the session header from authentication type to payload length.
pub(super) const HEADER: usize = 12;

impl<'a> Packet<'a> {
    /// Takes a datagram apart.
    ///
    /// # Errors
    /// It is not IPMI over LAN, is cut short, or claims something that we do not speak.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Malformed> {
        if datagram.len() > LONGEST {
            return Err(Malformed("longer than any answer"));
        }
        let body = match datagram.split_first_chunk::<4>() {
            Some(([RMCP_VERSION, _, _, RMCP_CLASS], body)) => body,
            Some(_) | None => return Err(Malformed("not IPMI over LAN")),
        };
        match body.split_first() {
            Some((&AUTH_NONE, rest)) => legacy(rest),
            Some((&AUTH_RMCP_PLUS, rest)) => rmcp_plus(body, rest),
            Some(_) | None => Err(Malformed("unknown authentication type")),
        }
    }
}

const RMCP_VERSION: u8 = RMCP[0];
const RMCP_CLASS: u8 = RMCP[3];

fn legacy(rest: &[u8]) -> Result<Packet<'_>, Malformed> {
    let Some(([_, _, _, _, session @ .., length], payload)) = rest.split_first_chunk::<9>() else {
        return Err(Malformed("short IPMI 1.5 header"));
    };
    if *session != [0; 4] {
        return Err(Malformed("IPMI 1.5 session"));
    }
    let payload = payload.get(..usize::from(*length)).ok_or(Malformed("short payload"))?;
    Ok(Packet::Legacy(payload))
}

fn rmcp_plus<'a>(body: &'a [u8], rest: &'a [u8]) -> Result<Packet<'a>, Malformed> {
    let Some((&[kind, i0, i1, i2, i3, s0, s1, s2, s3, l0, l1], rest)) =
        rest.split_first_chunk::<11>()
    else {
        return Err(Malformed("short session header"));
    };
    let session = u32::from_le_bytes([i0, i1, i2, i3]);
    let sequence = u32::from_le_bytes([s0, s1, s2, s3]);
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    let payload = rest.get(..length).ok_or(Malformed("short payload"))?;
    if session == 0 {
        return Ok(Packet::Plain(Payload::from_number(kind)?, payload));
    }
    // Any weaker flags would be a packet that anybody could have written.
    if kind != SEALED | Payload::Message.number() {
        return Err(Malformed("a packet in a session that is not sealed"));
    }
    Ok(Packet::Sealed(Sealed { session, sequence, body, payload }))
}

/// An IPMI 1.5 datagram outside of a session. Payloads are far below its 255 bytes.
pub fn legacy_datagram(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
    let mut datagram = RMCP.to_vec();
    datagram.push(AUTH_NONE);
    datagram.extend([0; 8]); // sequence and session id
    datagram.push(length);
    datagram.extend(&payload[..usize::from(length)]);
    datagram
}

/// An RMCP+ datagram outside of a session.
pub fn plain_datagram(kind: Payload, payload: &[u8]) -> Vec<u8> {
    let mut datagram = RMCP.to_vec();
    datagram.extend(header(kind.number(), 0, 0, payload.len()));
    datagram.extend(payload);
    datagram
}

/// RMCP header and the beginning of a sealed packet; the code covers all but the first 4 bytes.
pub(super) fn sealed_start(session: u32, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut datagram = RMCP.to_vec();
    let kind = SEALED | Payload::Message.number();
    datagram.extend(header(kind, session, sequence, payload.len()));
    datagram.extend(payload);
    datagram
}

/// Where the authenticated part of a sealed datagram begins.
pub(super) const AUTHENTICATED_FROM: usize = RMCP.len();

fn header(kind: u8, session: u32, sequence: u32, length: usize) -> [u8; HEADER] {
    let [i0, i1, i2, i3] = session.to_le_bytes();
    let [s0, s1, s2, s3] = sequence.to_le_bytes();
    // All payloads are built here and are far below 64 KiB.
    let [l0, l1] = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    [AUTH_RMCP_PLUS, kind, i0, i1, i2, i3, s0, s1, s2, s3, l0, l1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_datagram_comes_back() {
        let datagram = plain_datagram(Payload::Rakp2, &[1, 2, 3]);
        assert_eq!(Packet::decode(&datagram), Ok(Packet::Plain(Payload::Rakp2, &[1, 2, 3])));
        let datagram = legacy_datagram(&[4, 5]);
        assert_eq!(Packet::decode(&datagram), Ok(Packet::Legacy(&[4, 5])));
    }

    #[test]
    fn a_datagram_cut_short_anywhere_is_refused() {
        for datagram in [plain_datagram(Payload::Rakp2, &[1, 2, 3]), legacy_datagram(&[4, 5])] {
            for length in 0..datagram.len() {
                assert!(Packet::decode(&datagram[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn a_session_packet_without_encryption_or_authentication_is_refused() {
        for flags in [0x00, 0x40, 0x80] {
            let mut datagram = sealed_start(7, 1, &[0; 16]);
            datagram[5] = flags;
            assert!(Packet::decode(&datagram).is_err(), "{flags:#x}");
        }
    }
}
