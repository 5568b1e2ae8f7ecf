//! The journal: a line per change of state, in the log and in a file that stays when the log is gone.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::effect::{Level, Line};

/// A file is put aside when it is longer than this, in bytes.
const LONGEST: u64 = 16 << 20;
/// Files put aside that are kept.
const KEPT: u32 = 4;

/// The file. A line that cannot be written is no reason to stop: the registry is the truth, this is its story.
pub(super) struct Journal {
    path: PathBuf,
    longest: u64,
    open: Option<(File, u64)>,
    complained: bool,
}

impl Journal {
    pub(super) fn new(dir: &Path) -> Self {
        Self { path: dir.join("journal.log"), longest: LONGEST, open: None, complained: false }
    }

    /// Writes a line to log and file.
    pub(super) fn write(&mut self, line: &Line) {
        let subject = line.subject;
        match line.level {
            Level::State => tracing::info!("{subject}: {}", line.text),
            Level::Page => tracing::warn!("{subject}: {}", line.text),
            Level::Broken => tracing::error!("{subject}: {}", line.text),
        }
        let at = humantime::format_rfc3339_millis(SystemTime::now());
        // One line, whatever the sentence holds.
        let text = line.to_string().replace('\n', "\\n");
        match self.append(&format!("{at} {text}\n")) {
            Ok(()) => self.complained = false,
            Err(error) => {
                self.open = None;
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(%error, file = %self.path.display(), "the journal is not written");
                }
            }
        }
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        let (mut file, length) = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        file.write_all(line.as_bytes())?;
        let length = length + line.len() as u64;
        if length < self.longest {
            self.open = Some((file, length));
            return Ok(());
        }
        let aside = |number: u32| self.path.with_extension(format!("log.{number}"));
        for number in (1..KEPT).rev() {
            let _ = std::fs::rename(aside(number), aside(number + 1));
        }
        std::fs::rename(&self.path, aside(1))
    }

    fn open_file(&self) -> io::Result<(File, u64)> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_in_few_files() {
        let dir = std::env::temp_dir().join(format!("holdfast-journal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let mut journal = Journal::new(&dir);
        journal.longest = 200;
        for number in 0..100 {
            let text = format!("line {number}\nof two");
            journal.write(&Line { level: Level::Page, subject: "raft", text });
        }
        let mut names: Vec<_> =
            std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert!(names.len() <= 5, "{names:?}");
        let newest: String =
            names.iter().map(|name| std::fs::read_to_string(dir.join(name)).unwrap()).collect();
        assert!(newest.contains("raft      line 99\\nof two  PAGE\n"), "{newest}");
        assert!(!newest.contains("line 1\\n"), "{newest}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
