//! How often this controller was started: a number on its disk that orders its gossip identities.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The number cannot be raised. The program does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartsError {
    /// The file cannot be used. The program does not start.
    #[error("cannot use {}: check the disk and who may write there", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds no number. The program does not start: a number used before would make the others deaf to it.
    #[error(
        "{} holds no number: write one there that is higher than all before, such as {}",
        .0.display(),
        1_000_000
    )]
    NoNumber(PathBuf),
}

/// Raises the number and makes it durable before it is used.
pub(super) fn raise(dir: &Path) -> Result<u64, StartsError> {
    let path = dir.join("starts");
    let failed = |source| StartsError::Io { path: path.clone(), source };
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse::<u64>().map_err(|_| StartsError::NoNumber(path.clone()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    let number = before.saturating_add(1);
    let new = dir.join("starts.new");
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(file, "{number}")?;
        file.sync_all()?;
        rename(&new, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(failed)?;
    Ok(number)
}
