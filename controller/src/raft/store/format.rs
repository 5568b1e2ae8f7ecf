//! Bytes of the store's files. Integers are little-endian; a seal is half a SHA-256.
//!
//! ```text
//! log-N   magic[8] identity[16] first[8] seal[16]   then records, numbered from `first` on:
//!         length[4] number[8] payload[length] seal[16]       seal over the seal before it and all
//!                                                            of the record: a chain
//! mark    at 0 and at 4096:  number[8] seal[16] check[16]    the last record that was durable
//! ```

use sha2::{Digest, Sha256};

use super::super::MAX_STATE;

pub(super) type Seal = [u8; SEAL];

const SEAL: usize = 16;
const MAGIC: &[u8; 8] = b"HFRAFT1\n";
pub(super) const HEADER: usize = 8 + SEAL + 8 + SEAL;
/// Longest payload: a snapshot and a long log behind it.
const MAX_PAYLOAD: usize = 8 * MAX_STATE;

/// The two places of the mark lie in different sectors and pages: one torn write spoils one.
pub(super) const SLOTS: [u64; 2] = [0, 4096];
const SLOT: usize = 8 + SEAL + SEAL;

/// One record that was read back.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) payload: &'a [u8],
    pub(super) seal: Seal,
    pub(super) end: usize,
}

/// The last record known to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) number: u64,
    pub(super) seal: Seal,
}

fn seal(parts: &[&[u8]]) -> Seal {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut out = [0; SEAL];
    out.copy_from_slice(&hash.finalize()[..SEAL]);
    out
}

/// Name of the log file whose first record is `first`.
pub(super) fn log_name(first: u64) -> String {
    format!("log-{first:020}")
}

/// The number in a log file's name.
pub(super) fn log_number(name: &str) -> Option<u64> {
    name.strip_prefix("log-").filter(|digits| digits.len() == 20)?.parse().ok()
}

pub(super) fn header(identity: &str, first: u64) -> ([u8; HEADER], Seal) {
    let owner = seal(&[identity.as_bytes()]);
    let chain = seal(&[MAGIC, &owner, &first.to_le_bytes()]);
    let mut out = [0; HEADER];
    out[..8].copy_from_slice(MAGIC);
    out[8..24].copy_from_slice(&owner);
    out[24..32].copy_from_slice(&first.to_le_bytes());
    out[32..].copy_from_slice(&chain);
    (out, chain)
}

/// Bytes and seal of a record; `None` if the payload is too long.
pub(super) fn record(before: &Seal, number: u64, payload: &[u8]) -> Option<(Vec<u8>, Seal)> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_PAYLOAD)?;
    let head = [&length.to_le_bytes()[..], &number.to_le_bytes()].concat();
    let chain = seal(&[before, &head, payload]);
    Some(([&head[..], payload, &chain].concat(), chain))
}

/// The record at `start`; `Err` says what is wrong with it.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    start: usize,
    before: &Seal,
    number: u64,
) -> Result<Read<'a>, &'static str> {
    let rest = bytes.get(start..).unwrap_or_default();
    let (head, rest) = rest.split_at_checked(12).ok_or("ends within the head of a record")?;
    let (length, found) = head.split_at(4);
    let length = length.try_into().map_or(0, u32::from_le_bytes) as usize;
    if length > MAX_PAYLOAD {
        return Err("length out of range");
    }
    let (payload, rest) = rest.split_at_checked(length).ok_or("ends within a record")?;
    let tail = rest.get(..SEAL).ok_or("ends within the seal of a record")?;
    let chain = seal(&[before, head, payload]);
    if chain != tail {
        return Err("seal does not match");
    }
    if found != number.to_le_bytes() {
        return Err("record out of order");
    }
    Ok(Read { payload, seal: chain, end: start + 12 + length + SEAL })
}

impl Mark {
    pub(super) fn encode(&self) -> [u8; SLOT] {
        let number = self.number.to_le_bytes();
        let mut out = [0; SLOT];
        out[..8].copy_from_slice(&number);
        out[8..24].copy_from_slice(&self.seal);
        out[24..].copy_from_slice(&seal(&[b"mark", &number, &self.seal]));
        out
    }

    pub(super) fn decode(bytes: &[u8], slot: u64) -> Option<Mark> {
        let start = usize::try_from(slot).ok()?;
        let bytes = bytes.get(start..start + SLOT)?;
        let mark = Mark {
            number: u64::from_le_bytes(bytes[..8].try_into().ok()?),
            seal: bytes[8..24].try_into().ok()?,
        };
        (mark.encode() == bytes).then_some(mark)
    }
}
