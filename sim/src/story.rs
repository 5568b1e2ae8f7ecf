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
    names: BTreeMap<String, String>,
    hash: Hash,
}

/// Lengths of ids in a line: in full, and of a boot.
const IDS: [usize; 2] = [36, 8];

/// FNV-1a: it only has to differ when a run differs.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

/// What eight zero bytes multiply it by: times are numbers of sixteen bytes, and the upper eight are always zero.
const ZEROS: u64 = PRIME.wrapping_pow(8);
const PRIME: u64 = 0x0100_0000_01b3;

impl Hash {
    fn add_zeros(&mut self) {
        self.0 = self.0.wrapping_mul(ZEROS);
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
}

impl Story {
    /// Lines before this are forgotten, and this time is 0.000.
    pub fn begin(&mut self, at: Duration) {
        self.began = Some(at);
        self.lines.clear();
    }

    /// An id is told by this name.
    pub fn name(&mut self, id: impl ToString, name: impl Into<String>) {
        self.names.insert(id.to_string(), name.into());
    }

    /// A line.
    pub fn tell(&mut self, at: Duration, subject: &str, text: &str) {
        let text = self.with_names(format!("{subject:<10}  {text}"));
        self.note(at, text.as_bytes());
        let at = at.saturating_sub(self.began.unwrap_or_default());
        if !is_repeated(&self.lines, &text) && !fold(&mut self.lines, at, &text) {
            self.lines.push(Line { at, text });
        }
    }

    /// The text with names for the ids in it. An id stands where a word begins.
    fn with_names(&self, text: String) -> String {
        let mut named = String::new();
        let (mut begin, mut inside) = (0, false);
        for (at, letter) in text.char_indices() {
            let starts = !inside && letter.is_ascii_hexdigit() && at >= begin;
            inside = letter.is_ascii_alphanumeric() || letter == '-';
            if !starts {
                continue;
            }
            let known = IDS.iter().find_map(|length| {
                let id = text.get(at..at + length)?;
                self.names.get(id).map(|name| (name, at + length))
            });
            if let Some((name, end)) = known {
                named.push_str(text.get(begin..at).unwrap_or_default());
                named.push_str(name);
                begin = end;
            }
        }
        if begin == 0 {
            return text;
        }
        named.push_str(text.get(begin..).unwrap_or_default());
        named
    }

    /// Something that only the hash knows of.
    pub fn note(&mut self, at: Duration, bytes: &[u8]) {
        self.hash.add_zeros();
        self.hash.add(&u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).to_be_bytes());
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

/// Lines that belong together are one: what is said again, who says the same, a node's networks one after the other.
fn fold(lines: &mut [Line], at: Duration, text: &str) -> bool {
    let subject = text.split_whitespace().next().unwrap_or_default();
    let Some((new_who, new_what)) = who_and_what(text) else { return false };
    let recent = lines.iter_mut().rev().take_while(|line| at.saturating_sub(line.at) <= TOGETHER);
    for line in recent.filter(|line| line.text.split_whitespace().next() == Some(subject)) {
        let Some((who, what)) = who_and_what(&line.text) else { continue };
        let named = who.split(", ").any(|name| name == new_who);
        if what == new_what && matches!(subject, "observe" | "sentinel") {
            if !named {
                line.text = format!("{subject:<10}  {who}, {new_who} {what}");
            }
            return true;
        }
        if who != new_who || subject != "observe" {
            continue;
        }
        match (what.strip_prefix(SUSPECT), new_what.strip_prefix(SUSPECT)) {
            (Some(on), Some(also)) => {
                if !on.split(", ").any(|known| known == also) {
                    line.text = format!("{subject:<10}  {who} {SUSPECT}{on}, {also}");
                }
                return true;
            }
            (None, None) if is_of_loss(what) || is_of_loss(new_what) => {}
            (None, None) => {
                line.text = text.to_owned();
                return true;
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
    }
    false
}

/// A degraded link is told beside what the networks are.
fn is_of_loss(what: &str) -> bool {
    what.starts_with("degraded on ") || what.starts_with("well again on ")
}

/// Not only lately: a BMC that reads on reads on.
fn is_repeated(lines: &[Line], text: &str) -> bool {
    let last = lines.iter().rev().find(|line| line.text.starts_with("bmc"));
    text.starts_with("bmc")
        && !text.contains(" off: ")
        && last.is_some_and(|line| line.text == text)
}

/// Lines at most this far apart may belong together.
const TOGETHER: Duration = Duration::from_millis(1500);
const SUSPECT: &str = "suspect on ";

/// `node-1, node-2` and the rest of a line that begins so.
fn who_and_what(text: &str) -> Option<(&str, &str)> {
    let rest = text.get(12..)?;
    let end = rest.contains(' ').then(|| {
        let mut end = 0;
        for word in rest.split_inclusive(' ') {
            end += word.len();
            if !word.ends_with(", ") {
                break;
            }
        }
        end
    })?;
    let (who, what) = rest.split_at_checked(end)?;
    who.starts_with("node-").then_some((who.trim_end(), what))
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>7}.{:03}  {}", self.at.as_secs(), self.at.subsec_millis(), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[(u64, &str, &str)]) -> Vec<String> {
        let mut story = Story::default();
        for (ms, subject, text) in lines {
            story.tell(Duration::from_millis(*ms), subject, text);
        }
        story.lines().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_says_the_same_at_the_same_time_says_it_together() {
        let lines = told(&[
            (0, "observe", "node-1 suspect on storage"),
            (100, "observe", "node-1 suspect on tenant"),
            (200, "observe", "node-1 m-t"),
            (300, "observe", "node-1 m--"),
            (400, "observe", "node-2 m--"),
            (5000, "observe", "node-1 mst"),
        ]);
        let expected = [
            "      0.000  observe     node-1 suspect on storage, tenant",
            "      0.200  observe     node-1, node-2 m--",
            "      5.000  observe     node-1 mst",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_bmc_that_reads_on_reads_on_but_each_off_is_told() {
        let lines = told(&[
            (0, "bmc", "node-1 off: ok"),
            (1, "bmc", "node-1 off: ok"),
            (2, "bmc", "node-1 reads on"),
            (9000, "bmc", "node-1 reads on"),
        ]);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn ids_are_told_by_their_names() {
        let mut story = Story::default();
        let (id, other) = (uuid::Uuid::from_u128(7), uuid::Uuid::from_u128(8));
        story.name(id, "node-7");
        story.tell(Duration::ZERO, "a", &format!("well-known {id}, at={id}; {other}"));
        let expected = format!("a           well-known node-7, at=node-7; {other}");
        assert_eq!(story.lines().first().map(|line| line.text.as_str()), Some(expected.as_str()));
    }

    #[test]
    fn eight_zeros_at_once_are_eight_zeros() {
        let (mut one, mut other) = (Hash::default(), Hash::default());
        one.add(&[0; 8]);
        other.add_zeros();
        assert_eq!(one.0, other.0);
    }

    #[test]
    fn the_hash_differs_when_something_happens_that_no_line_tells() {
        let (mut one, mut other) = (Story::default(), Story::default());
        one.note(Duration::ZERO, b"a");
        other.note(Duration::ZERO, b"b");
        assert_ne!(one.hash(), other.hash());
    }
}
