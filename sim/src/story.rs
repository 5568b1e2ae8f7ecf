//! The story of a run: what a reader sees, and a hash over all that happened.

use std::collections::BTreeMap;
use std::time::Duration;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// True time since the story began.
    pub at: Duration,
    /// The sentence.
    pub text: String,
}

/// The story.
#[derive(Debug, Default)]
pub struct Story {
    lines: Vec<Line>,
    began: Option<Duration>,
    /// Ids that stand in lines, and the names that readers know.
    names: Vec<(String, String)>,
    /// The last line of each subject.
    last: BTreeMap<String, String>,
    hash: Hash,
}

/// FNV-1a: it only has to differ when a run differs.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Story {
    /// Lines before this are forgotten, and this time is 0.000.
    pub fn begin(&mut self, at: Duration) {
        self.began = Some(at);
        self.lines.clear();
        self.last.clear();
    }

    /// An id is told by this name.
    pub fn name(&mut self, id: impl ToString, name: impl Into<String>) {
        self.names.push((id.to_string(), name.into()));
    }

    /// A line.
    pub fn tell(&mut self, at: Duration, subject: &str, text: &str) {
        let mut text = format!("{subject:<10}  {text}");
        for (id, name) in &self.names {
            if text.contains(id) {
                text = text.replace(id, name);
            }
        }
        self.note(at, text.as_bytes());
        // Said again and again it is still one line.
        let said = self.last.insert(subject.to_owned(), text.clone());
        if said.as_ref() == Some(&text) {
            return;
        }
        let at = at.saturating_sub(self.began.unwrap_or_default());
        self.lines.push(Line { at, text });
    }

    /// Something that only the hash knows of.
    pub fn note(&mut self, at: Duration, bytes: &[u8]) {
        self.hash.add(&at.as_nanos().to_be_bytes());
        self.hash.add(bytes);
    }

    /// All lines so far.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Since when the story is told.
    pub fn began(&self) -> Duration {
        self.began.unwrap_or_default()
    }

    /// Differs when anything that happened differs.
    pub fn hash(&self) -> u64 {
        self.hash.0
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>7}.{:03}  {}", self.at.as_secs(), self.at.subsec_millis(), self.text)
    }
}
