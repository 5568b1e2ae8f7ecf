//! The log on disk: what a controller has promised, kept through any crash or not at all.
//!
//! A directory holds `identity` (whose it is, for people too), one `log-N` (its first record is
//! the whole state, each later one a [`Write`], all chained by hashes), `mark` (number and seal of
//! the last record that was made durable) and `lock`. A write is done when record *and* mark are
//! durable. So at start a damaged or missing record up to the mark is damage, and is refused; one
//! behind the mark was never promised to anyone, and is cut off.
//!
//! A controller whose directory is refused or lost is *rebuilt as a new member*, under a new id:
//! under its old one it could vote twice in a term. An old copy of the whole directory looks sound
//! from within; the peers find it out (`Message::heard` in the core).
//!
//! Every error ends the process (`fail_static`). After a failed sync nothing is tried again: the
//! kernel may have marked the lost pages clean.

mod disk;
#[cfg(test)]
mod faulty;
mod format;
mod open;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use self::disk::{Directory, Disk};
use self::format::{HEADER, Mark, SLOTS, Seal, header, log_name, record};
use super::{Gap, Restored, Write};

/// Longest log file. Snapshots come long before.
const MAX_FILE: u64 = 1 << 30;

/// Whose directory it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, by the id made at `hactl keys init`.
    pub cluster: String,
    /// The controller: name and the random id made with its key, so that a controller that is
    /// rebuilt under an old name is another one.
    pub controller: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cluster {:?}", self.cluster)?;
        writeln!(f, "controller {:?}", self.controller)
    }
}

/// Why a directory cannot be used. The process must end in every case.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the directory. Nothing was read or written.
    #[error("{} is in use by another controller process", .0.display())]
    Locked(PathBuf),
    /// The directory belongs to someone else. Nothing was written.
    #[error(
        "the directory belongs to\n{found}and this is\n{expected}use the right directory; never edit the file `identity`"
    )]
    WrongIdentity {
        /// Content of the file.
        found: String,
        /// What it must be.
        expected: Identity,
    },
    /// Something that was durable is damaged or gone. Nothing was changed.
    #[error(
        "{file} is damaged at offset {offset}: {what}. This controller must be rebuilt as a new \
         member with a new id; never wipe its directory and start it again under the old one"
    )]
    Corrupt {
        /// Name of the file.
        file: String,
        /// Byte at which the damaged part begins.
        offset: u64,
        /// What does not hold.
        what: String,
    },
    /// The disk is full. What was being written is not durable; free space, then start again.
    #[error("no space left to {operation} {file}")]
    Full {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The system failed. Whether what was being written is durable is unknown.
    #[error("cannot {operation} {file}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A write does not continue the log: an error of this program. Nothing was written.
    #[error("write refused")]
    Refused(#[source] Gap),
    /// Record or file would be longer than this version reads. Nothing was written.
    #[error("a record of {0} bytes does not fit")]
    TooLong(usize),
    /// An earlier write failed. Nothing was written.
    #[error("the store has failed before")]
    Failed,
}

/// An open directory.
pub struct Store {
    disk: Box<dyn Disk + Send>,
    identity: String,
    held: Restored,
    log: String,
    len: u64,
    mark: Mark,
    /// Which place of the mark is written next: never the one that holds the newest.
    slot: usize,
    failed: bool,
}

impl Store {
    /// Opens or makes the directory, checks all of it, and gives back what it holds.
    ///
    /// # Errors
    /// [`StoreError`]; the process must end. Nothing is repaired but an unfinished last record.
    pub fn open(dir: &Path, identity: &Identity) -> Result<(Store, Restored), StoreError> {
        let shown = dir.display().to_string();
        let directory = Directory::open(dir).map_err(|error| io_error("open", &shown, error))?;
        let directory = directory.ok_or_else(|| StoreError::Locked(dir.into()))?;
        Store::open_on(Box::new(directory), identity)
    }

    /// All that is durable, as [`Store::open`] would give it back now.
    pub fn held(&self) -> &Restored {
        &self.held
    }

    /// Makes a write durable before it returns. Twice is harmless.
    ///
    /// # Errors
    /// [`StoreError`]: it is unknown whether the write is durable. The process must end; every
    /// further write fails.
    pub fn write(&mut self, write: &Write) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(StoreError::Failed);
        }
        self.held.absorb(write).map_err(StoreError::Refused)?;
        if write.has_snapshot() {
            self.begin_log(self.mark.number + 1)?;
        } else {
            self.append(write)?;
        }
        self.failed = false;
        Ok(())
    }

    fn append(&mut self, write: &Write) -> Result<(), StoreError> {
        let number = self.mark.number + 1;
        let (bytes, seal) = sealed(&self.mark.seal, number, write)?;
        if self.len + bytes.len() as u64 > MAX_FILE {
            return Err(StoreError::TooLong(bytes.len()));
        }
        let log = self.log.clone();
        self.disk
            .write_at(&log, self.len, &bytes)
            .map_err(|error| io_error("write", &log, error))?;
        self.disk.sync(&log).map_err(|error| io_error("sync", &log, error))?;
        self.len += bytes.len() as u64;
        self.set_mark(Mark { number, seal })
    }

    /// A new log file whose first record is the whole state; the old one goes when the mark names
    /// the new one.
    fn begin_log(&mut self, first: u64) -> Result<(), StoreError> {
        const UNFINISHED: &str = "log.tmp";
        let (bytes, seal) = whole(&self.identity, first, &self.held)?;
        let name = log_name(first);
        self.replace(UNFINISHED, &name, &bytes)?;
        let old = std::mem::replace(&mut self.log, name);
        self.len = bytes.len() as u64;
        self.set_mark(Mark { number: first, seal })?;
        if !old.is_empty() && old != self.log {
            self.disk.remove(&old).map_err(|error| io_error("remove", &old, error))?;
        }
        Ok(())
    }

    /// Writes a file aside and puts it in place as a whole.
    fn replace(&mut self, aside: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.disk.write_at(aside, 0, bytes).map_err(|error| io_error("write", aside, error))?;
        self.disk.sync(aside).map_err(|error| io_error("sync", aside, error))?;
        self.disk.rename(aside, name).map_err(|error| io_error("rename", name, error))?;
        self.disk.sync_names().map_err(|error| io_error("sync the directory of", name, error))
    }

    fn set_mark(&mut self, mark: Mark) -> Result<(), StoreError> {
        let offset = SLOTS[self.slot];
        self.disk
            .write_at(MARK, offset, &mark.encode())
            .map_err(|error| io_error("write", MARK, error))?;
        self.disk.sync(MARK).map_err(|error| io_error("sync", MARK, error))?;
        self.slot = 1 - self.slot;
        self.mark = mark;
        Ok(())
    }
}

const MARK: &str = "mark";
const IDENTITY: &str = "identity";

/// A log file that holds nothing but the whole state.
fn whole(identity: &str, first: u64, held: &Restored) -> Result<(Vec<u8>, Seal), StoreError> {
    let (head, chain) = header(identity, first);
    let (bytes, seal) = sealed(&chain, first, &held.whole())?;
    let mut out = Vec::with_capacity(HEADER + bytes.len());
    out.extend_from_slice(&head);
    out.extend_from_slice(&bytes);
    Ok((out, seal))
}

fn sealed(before: &Seal, number: u64, write: &Write) -> Result<(Vec<u8>, Seal), StoreError> {
    let payload = postcard::to_allocvec(write).map_err(|_| StoreError::TooLong(0))?;
    record(before, number, &payload).ok_or(StoreError::TooLong(payload.len()))
}

fn io_error(operation: &'static str, file: &str, source: io::Error) -> StoreError {
    let file = file.to_owned();
    let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if full {
        StoreError::Full { operation, file, source }
    } else {
        StoreError::Io { operation, file, source }
    }
}
