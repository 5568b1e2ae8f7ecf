//! The cluster's keys: a short list, the first of which seals, all of which open.

use std::fmt;

use zeroize::Zeroizing;

/// Most keys in a ring. A rotation needs two; more is a rotation that was never finished.
pub const MAX_KEYS: usize = 8;

/// A key. It does not print, and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes a key over. The caller wipes its own copy.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// Why a key file is refused. The keys in use stay as they are. No variant quotes the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A line is not `ID HEX64`. No key is installed.
    #[error("line {0}: write a key id from 0 to 255, a space, and 64 hexadecimal digits")]
    Line(usize),
    /// Two lines have the same key id. No key is installed.
    #[error("line {0}: this key id is there already; give each key its own")]
    Twice(usize),
    /// A key of equal bytes is a placeholder. No key is installed.
    #[error("line {0}: all bytes of this key are equal; draw one at random")]
    Weak(usize),
    /// More than eight keys. No key is installed.
    #[error("line {0}: more than 8 keys; remove those that are no longer used")]
    TooMany(usize),
    /// No key at all. No key is installed.
    #[error("no key; write at least one line `ID HEX64`")]
    Empty,
}

/// The keys of a cluster.
#[derive(Clone, Debug)]
pub struct Keyring {
    primary: (u8, Secret),
    others: Vec<(u8, Secret)>,
}

impl Keyring {
    /// A ring of one key.
    #[must_use]
    pub fn single(id: u8, secret: Secret) -> Self {
        Self { primary: (id, secret), others: Vec::new() }
    }

    /// Reads a key file: a line `ID HEX64` for each key, the first of which seals. Empty lines
    /// and lines that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut ring: Option<Self> = None;
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (id, secret) = key(text).ok_or(KeyError::Line(line))?;
            if secret.bytes().windows(2).all(|pair| pair[0] == pair[1]) {
                return Err(KeyError::Weak(line));
            }
            match &mut ring {
                None => ring = Some(Self::single(id, secret)),
                Some(ring) if ring.find(id).is_some() => return Err(KeyError::Twice(line)),
                Some(ring) if ring.others.len() + 1 >= MAX_KEYS => {
                    return Err(KeyError::TooMany(line));
                }
                Some(ring) => ring.others.push((id, secret)),
            }
        }
        ring.ok_or(KeyError::Empty)
    }

    /// Ids of all keys, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = u8> {
        std::iter::once(self.primary.0).chain(self.others.iter().map(|(id, _)| *id))
    }

    pub(super) fn primary(&self) -> (u8, &Secret) {
        (self.primary.0, &self.primary.1)
    }

    pub(super) fn find(&self, id: u8) -> Option<&Secret> {
        if self.primary.0 == id {
            return Some(&self.primary.1);
        }
        self.others.iter().find(|(other, _)| *other == id).map(|(_, secret)| secret)
    }
}

fn key(line: &str) -> Option<(u8, Secret)> {
    let mut words = line.split_ascii_whitespace();
    let (id, hex) = (words.next()?, words.next()?);
    if words.next().is_some() || hex.len() != 64 || !id.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some((id.parse().ok()?, Secret::new(&bytes)))
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

    #[test]
    fn the_first_key_seals_and_all_open() {
        let other = HEX.replace('0', "f");
        let text = format!("# comment\n\n7 {HEX}\r\n  255   {other}\n");
        let ring = Keyring::parse(&text).unwrap();
        assert_eq!(ring.ids().collect::<Vec<_>>(), [7, 255]);
        assert_eq!(ring.primary().1.bytes()[31], 0x1f);
        assert!(ring.find(255).is_some() && ring.find(8).is_none());
    }

    #[test]
    fn a_wrong_line_is_named_and_never_quoted() {
        let bad = [
            (format!("1 {HEX}\n1 {HEX}"), KeyError::Twice(2)),
            (format!("256 {HEX}"), KeyError::Line(1)),
            (format!("+1 {HEX}"), KeyError::Line(1)),
            (format!("-1 {HEX}"), KeyError::Line(1)),
            (format!("1 {HEX} 2"), KeyError::Line(1)),
            (format!("\n1 {}", &HEX[1..]), KeyError::Line(2)),
            (format!("1 {HEX}00"), KeyError::Line(1)),
            (format!("1 {}", HEX.replace("00", "zz")), KeyError::Line(1)),
            (format!("1 {}", HEX.replace("00", "+0")), KeyError::Line(1)),
            (format!("1 {}", HEX.replace("00", "é")), KeyError::Line(1)),
            (format!("1 {}", "a1".repeat(32)), KeyError::Weak(1)),
            (String::from("# nothing"), KeyError::Empty),
            ((0..9).map(|id| format!("{id} {HEX}\n")).collect(), KeyError::TooMany(9)),
        ];
        for (text, error) in bad {
            assert_eq!(Keyring::parse(&text).unwrap_err(), error, "{text}");
            assert!(!error.to_string().contains("0001"));
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        let ring = Keyring::parse(&format!("1 {HEX}")).unwrap();
        assert_eq!(format!("{ring:?}"), "Keyring { primary: (1, Secret(..)), others: [] }");
    }
}
