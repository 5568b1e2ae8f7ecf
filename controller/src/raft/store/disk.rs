//! The few operations on files that the store needs, so that a test can fail each of them.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// One flat directory of files. Names are the store's own and contain no separator.
pub(super) trait Disk {
    /// Names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A whole file; refuses one longer than `most`.
    fn read(&mut self, name: &str, most: u64) -> io::Result<Vec<u8>>;
    /// Writes at an offset; makes the file if it is not there. Not durable before `sync`.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file. Not durable before `sync`.
    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()>;
    /// Makes the content of a file durable.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Renames, replacing. Not durable before `sync_names`.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Not durable before `sync_names`.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes names durable.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// Name of the file that is locked while the directory is in use.
const LOCK: &str = "lock";

/// A directory of the machine, locked against a second user until dropped.
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
    open: BTreeMap<String, File>,
    _lock: File,
}

impl Directory {
    /// Opens the directory, making it if needed; `None` if another process holds its lock.
    pub(super) fn open(path: &Path) -> io::Result<Option<Directory>> {
        std::fs::create_dir_all(path)?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let handle = File::open(path)?;
        Ok(Some(Directory { path: path.into(), handle, open: BTreeMap::new(), _lock: lock }))
    }

    fn file(&mut self, name: &str) -> io::Result<&File> {
        if !self.open.contains_key(name) {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            self.open.insert(name.into(), options.open(self.path.join(name))?);
        }
        self.open.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.retain(|name| name != LOCK);
        names.sort();
        Ok(names)
    }

    fn read(&mut self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let file = File::open(self.path.join(name))?;
        let len = file.metadata()?.len();
        if len > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.file(name)?.set_len(len)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))?;
        self.open.remove(to);
        if let Some(file) = self.open.remove(from) {
            self.open.insert(to.into(), file);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open.remove(name);
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.handle.sync_all()
    }
}
