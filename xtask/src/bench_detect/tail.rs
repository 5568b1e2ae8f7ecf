//! Files that grow, read as they do.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

/// What is new in some files.
#[derive(Default)]
pub(super) struct Tails(Vec<Tail>);

struct Tail {
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line whose end is not there yet.
    rest: String,
}

impl Tails {
    pub(super) fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let tail = |path| Tail { path, file: None, rest: String::new() };
        Self(files.into_iter().map(tail).collect())
    }

    /// Whole lines that were added, each with the place of its file.
    pub(super) fn read(&mut self) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        for (place, tail) in self.0.iter_mut().enumerate() {
            if tail.file.is_none() {
                tail.file = File::open(&tail.path).ok();
            }
            let Some(file) = &mut tail.file else { continue };
            let mut bytes = Vec::new();
            if file.read_to_end(&mut bytes).is_err() {
                continue;
            }
            tail.rest.push_str(&String::from_utf8_lossy(&bytes));
            while let Some(end) = tail.rest.find('\n') {
                let line: String = tail.rest.drain(..=end).collect();
                lines.push((place, line.trim_end().to_owned()));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn half_a_line_waits_for_its_end() {
        let path = std::env::temp_dir().join(format!("hf-tail-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let mut tails = Tails::of([path.clone()]);
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tails.read(), [(0, "one".to_owned())]);
        file.write_all(b"o\n").unwrap();
        assert_eq!(tails.read(), [(0, "two".to_owned())]);
        assert!(tails.read().is_empty());
        std::fs::remove_file(path).unwrap();
    }
}
