//! Writing small files that must never be half there.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Replaces the file whole or not at all, readable by its owner alone. `durable` also outlives a power loss; a
/// memory-backed file needs no such thing.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    rename(&new, path)?;
    match path.parent().filter(|_| durable) {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
