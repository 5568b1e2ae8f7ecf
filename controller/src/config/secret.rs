//! Files that hold secrets: read only if nobody but their owner can.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::problem::Page;
use super::table::At;

/// Longest secret file, in bytes.
const LONGEST: u64 = 64 * 1024;

/// 32 bytes that controllers alone share. They do not print, and are wiped when dropped.
#[derive(Clone)]
pub struct PeerKey(Zeroizing<[u8; 32]>);

impl PeerKey {
    /// Takes a key over.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        let weak = bytes.windows(2).all(|pair| pair[0] == pair[1]);
        (!weak).then_some(Self(bytes))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerKey(***)")
    }
}

/// The API's bearer token. It does not print, and is wiped when dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes a token over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Reads a secret and hands its text to `read`; what fails is a problem at the key that names the file. No message
/// quotes the file.
pub(super) fn read<T>(
    file: &At<PathBuf>,
    page: &mut Page<'_>,
    read: impl FnOnce(&str) -> Result<T, (String, String)>,
) -> Option<T> {
    let shown = file.value.display();
    let (why, remedy) = match guarded(&file.value) {
        Ok(text) => match read(&text) {
            Ok(value) => return Some(value),
            Err((why, remedy)) => (format!("{shown}: {why}"), remedy),
        },
        Err(Unreadable::Open(mode)) => (
            format!("{shown} has mode {mode:o}: others can read this secret"),
            format!("chmod 600 {shown}"),
        ),
        Err(Unreadable::Io(error)) => (
            format!("cannot read {shown}: {error}"),
            "check the path, and that this program's user may read the file".to_owned(),
        ),
    };
    page.error(&file.span, why, "", remedy);
    None
}

/// A key of controllers.
pub(super) fn peer_key(text: &str) -> Result<PeerKey, (String, String)> {
    PeerKey::parse(text).ok_or_else(|| {
        let remedy = "make one with `hactl keys new --out FILE` and copy it to all controllers, and to no node";
        ("a peer key must be 64 random hexadecimal digits".to_owned(), remedy.to_owned())
    })
}

/// An API token.
pub(super) fn token(text: &str) -> Result<Token, (String, String)> {
    let token = text.trim();
    let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && token.len() >= 16 {
        return Ok(Token::new(token));
    }
    let remedy = "make one with `hactl keys new --out FILE`: any long random text will do";
    Err(("a token is one line of at least 16 letters and digits".to_owned(), remedy.to_owned()))
}

enum Unreadable {
    /// Others can read it; its mode.
    Open(u32),
    Io(std::io::Error),
}

fn guarded(path: &Path) -> Result<Zeroizing<String>, Unreadable> {
    // The mode of what is opened, not of what was there a moment before.
    let file = std::fs::File::open(path).map_err(Unreadable::Io)?;
    let mode = file.metadata().map_err(Unreadable::Io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Unreadable::Open(mode));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST).read_to_string(&mut text).map_err(Unreadable::Io)?;
    Ok(text)
}
