//! The controllers' journals, read as they grow.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

/// Reads what was added to several journals.
pub(super) struct Journals {
    files: Vec<Tail>,
    /// Sentences that were told already: a new leader may tell what the old one told.
    told: BTreeSet<String>,
}

struct Tail {
    name: String,
    path: PathBuf,
    offset: u64,
    rest: String,
}

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The controller.
    pub(super) controller: String,
    /// Its subject, such as `verdict`.
    pub(super) subject: String,
    /// The sentence.
    pub(super) text: String,
}

/// Subjects that begin a line's sentence.
const SUBJECTS: [&str; 11] = [
    "observe", "verdict", "guard", "registry", "fence", "bmc", "nova", "raft", "order", "cosign",
    "lease",
];

impl Journals {
    /// Those of these controllers (name, file). What is in them already is read too.
    pub(super) fn new(files: impl IntoIterator<Item = (String, PathBuf)>) -> Self {
        let files = files.into_iter();
        let files = files.map(|(name, path)| Tail { name, path, offset: 0, rest: String::new() });
        Self { files: files.collect(), told: BTreeSet::new() }
    }

    /// What is new.
    pub(super) fn read(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for file in &mut self.files {
            for text in file.read() {
                if let Some(line) = parse(&file.name, &text)
                    && self.told.insert(format!("{} {}", line.subject, line.text))
                {
                    lines.push(line);
                }
            }
        }
        lines
    }

    /// Forgets what was told, so that it is told again when it happens again.
    pub(super) fn forget(&mut self) {
        self.told.clear();
    }
}

impl Tail {
    fn read(&mut self) -> Vec<String> {
        let mut text = Vec::new();
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        if file.seek(SeekFrom::Start(self.offset)).is_err() || file.read_to_end(&mut text).is_err()
        {
            return Vec::new();
        }
        self.offset += u64::try_from(text.len()).unwrap_or(0);
        self.rest.push_str(&String::from_utf8_lossy(&text));
        let Some(end) = self.rest.rfind('\n') else { return Vec::new() };
        let whole: String = self.rest.drain(..=end).collect();
        whole.lines().map(str::to_owned).collect()
    }
}

/// A line is `TIME SUBJECT SENTENCE`, whatever stands before the subject.
fn parse(controller: &str, text: &str) -> Option<Line> {
    let (subject, at) = SUBJECTS
        .iter()
        .filter_map(|subject| Some((*subject, text.find(&format!(" {subject} "))?)))
        .min_by_key(|(_, at)| *at)?;
    let text = text.get(at + subject.len() + 2..)?.trim().to_owned();
    Some(Line { controller: controller.to_owned(), subject: subject.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_read_once_and_half_a_line_waits() {
        let path = std::env::temp_dir().join(format!("hf-journal-{}", std::process::id()));
        std::fs::write(&path, "2026-01-01T00:00:00Z registry  node-1 FenceIntent\n1 ver")
            .expect("written");
        let mut journals = Journals::new([("controller-1".to_owned(), path.clone())]);
        let lines = journals.read();
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (lines[0].subject.as_str(), lines[0].text.as_str()),
            ("registry", "node-1 FenceIntent")
        );
        std::fs::write(&path, "2026-01-01T00:00:00Z registry  node-1 FenceIntent\n1 verdict x\n")
            .expect("written");
        assert_eq!(journals.read().len(), 1);
        assert!(journals.read().is_empty());
    }
}
