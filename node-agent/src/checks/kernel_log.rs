//! What the kernel says: a task that hangs, a machine check, an I/O error. Nothing is waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};

use super::plan::Outcome;
use super::probe::Patterns;

/// Read at once at most; the rest is read with the next run.
const MOST: usize = 256 * 1024;
/// Longest record of the kernel's log.
const RECORD: usize = 8 * 1024;

/// A log that is read on and on.
#[derive(Debug)]
pub(super) struct KernelLog {
    patterns: Patterns,
    file: Option<File>,
    /// A line whose end was not read yet.
    rest: Vec<u8>,
    /// When the last line that matters was said, on the kernel's clock, and which.
    found: Option<(Duration, String)>,
}

impl KernelLog {
    pub(super) fn new(patterns: Patterns) -> Self {
        Self { patterns, file: None, rest: Vec::new(), found: None }
    }

    /// Reads on, and says whether anything that matters was said a while ago at most.
    pub(super) fn look(&mut self) -> Outcome {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        match self.read(now) {
            Ok(()) => self.judge(now),
            Err(error) => {
                self.file = None;
                Outcome::unknown(&format!("{}: {error}", self.patterns.path.display()))
            }
        }
    }

    fn judge(&self, now: Duration) -> Outcome {
        match &self.found {
            Some((at, line)) if now.saturating_sub(*at) <= self.patterns.remember => {
                Outcome::new(self.patterns.state, 0, line)
            }
            Some(_) | None => Outcome::ok("nothing of that kind"),
        }
    }

    fn read(&mut self, now: Duration) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .read(true)
                .custom_flags(OFlag::O_NONBLOCK.bits())
                .open(&self.patterns.path)?,
        };
        let mut buffer = vec![0; RECORD];
        let mut read = 0;
        while read < MOST {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    read += length;
                    self.take(now, buffer.get(..length).unwrap_or_default());
                }
                // Nothing more for now.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Records were overwritten before they were read: the next read gives the oldest that is left.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.file = Some(file);
        Ok(())
    }

    fn take(&mut self, now: Duration, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.see(now, &String::from_utf8_lossy(&line));
        }
        if self.rest.len() > RECORD {
            self.rest.clear();
        }
    }

    fn see(&mut self, now: Duration, line: &str) {
        let (at, text) = said(line).unwrap_or((now, line));
        if self.patterns.patterns.iter().any(|pattern| text.contains(pattern.as_str())) {
            self.found = Some((at, text.trim().to_owned()));
        }
    }
}

/// `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT`, as the kernel writes it.
fn said(line: &str) -> Option<(Duration, &str)> {
    let (head, text) = line.split_once(';')?;
    let micros = head.split(',').nth(2)?.parse().ok()?;
    Some((Duration::from_micros(micros), text))
}
