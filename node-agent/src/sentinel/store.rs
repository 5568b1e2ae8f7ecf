//! The sentinel's files. What is in `run_dir` is memory-backed and ends with the boot; what is in `state_dir` is on disk.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fencing::sent::Total;
use fencing::{BootId, Epoch};
use serde::{Deserialize, Serialize};

use super::counters::Counters;
use super::event::Saved;
use super::setup::{Start, Status};
use crate::config::Config;
use crate::files;

/// Why a file of the sentinel could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be written. What it would have said is not reported to anybody.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is there and cannot be read or parsed. The sentinel does not start: it never goes on with defaults.
    #[error("cannot use {}: restore it, or reboot the node and remove it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Where the sentinel keeps what it must not forget.
#[derive(Clone, Debug)]
pub(super) struct Store {
    boot: BootId,
    saved: PathBuf,
    last_boot: PathBuf,
    epoch: PathBuf,
    gate: PathBuf,
    status: PathBuf,
}

/// What the agent reads: `run_dir/sentinel.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The boot that it speaks of.
    pub boot: BootId,
    /// n.
    pub n: u64,
    /// Whether this boot is armed.
    pub armed: bool,
    /// Whether guests may start.
    pub gate_open: bool,
    /// Milliseconds since base_c; absent before the first lease.
    pub lease_age_ms: Option<u64>,
    /// Whether somebody stands for the node.
    pub standing: bool,
    /// Class of the open device; absent while none is open.
    pub watchdog: Option<String>,
    /// Whether n of this boot was lost.
    pub lost: bool,
    /// Process id of the sentinel.
    pub pid: u32,
    /// What it counted.
    pub counters: Counters,
    /// What it has sent on each network, each in its place.
    #[serde(default)]
    pub sent: Vec<Total>,
    /// When that was so: milliseconds on its own clock.
    #[serde(default)]
    pub sent_at_ms: u64,
}

impl Report {
    /// The report of a sentinel of this boot with a device of this class.
    pub(super) fn new(
        boot: BootId,
        status: &Status,
        class: Option<String>,
        counters: &Counters,
        (now, sent): (Duration, Vec<Total>),
    ) -> Self {
        let milliseconds = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            boot,
            n: status.n,
            armed: status.armed,
            gate_open: status.gate_open,
            lease_age_ms: status.lease_age.map(milliseconds),
            standing: status.standing,
            watchdog: class,
            lost: status.lost,
            pid: std::process::id(),
            counters: counters.clone(),
            sent,
            sent_at_ms: milliseconds(now),
        }
    }

    /// Whether nothing but ages and counters differs.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let Self { boot, n, armed, gate_open, lease_age_ms, standing, watchdog, lost, pid, .. } =
            self;
        (*boot, *n, *armed, *gate_open) == (other.boot, other.n, other.armed, other.gate_open)
            && (*standing, *lost, *pid) == (other.standing, other.lost, other.pid)
            && *watchdog == other.watchdog
            && lease_age_ms.is_some() == other.lease_age_ms.is_some()
    }
}

/// What the sentinel of this boot has sent on each network, and when by its own clock. `None` where it has not told.
pub(crate) async fn sent(file: &Path, boot: BootId) -> Option<(Duration, Vec<Total>)> {
    let text = tokio::fs::read(file).await.ok()?;
    let report = serde_json::from_slice::<Report>(&text).ok()?;
    let told = report.boot == boot && !report.sent.is_empty();
    told.then_some((Duration::from_millis(report.sent_at_ms), report.sent))
}

impl Store {
    /// Makes the directories where they are missing.
    pub(super) fn open(config: &Config, boot: BootId) -> Result<Self, StoreError> {
        for dir in [&config.run_dir, &config.state_dir] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|source| StoreError::Write { path: dir.clone(), source })?;
        }
        Ok(Self {
            boot,
            saved: config.run_dir.join("sentinel.state"),
            last_boot: config.state_dir.join("sentinel.boot"),
            epoch: config.state_dir.join("fence-epoch"),
            gate: config.gate_file(),
            status: config.sentinel_file(),
        })
    }

    /// What is known of an earlier sentinel of this boot. That there is one now is on disk before this returns, so that
    /// a lost n is noticed.
    pub(super) fn start(&self) -> Result<Start, StoreError> {
        let saved = read(&self.saved)?.and_then(|bytes| postcard::from_bytes::<Saved>(&bytes).ok());
        let boot = self.boot.0.to_string();
        let last = read(&self.last_boot)?.unwrap_or_default();
        let start = match saved.filter(|saved| saved.boot == self.boot) {
            Some(saved) => Start::Resumed(Box::new(saved)),
            None if last == boot.as_bytes() => Start::Lost,
            None => Start::Fresh,
        };
        replace(&self.last_boot, boot.as_bytes(), true)?;
        Ok(start)
    }

    pub(super) fn save(&self, saved: &Saved) -> Result<(), StoreError> {
        let bytes = postcard::to_stdvec(saved).map_err(|error| StoreError::Write {
            path: self.saved.clone(),
            source: io::Error::other(error),
        })?;
        replace(&self.saved, &bytes, false)
    }

    pub(super) fn highest_epoch(&self) -> Result<Option<Epoch>, StoreError> {
        let Some(bytes) = read(&self.epoch)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let parsed = text.trim().split_once('.').and_then(|(term, index)| {
            Some(Epoch { term: term.parse().ok()?, index: index.parse().ok()? })
        });
        let wrong = || StoreError::Read {
            path: self.epoch.clone(),
            source: io::Error::other("must be TERM.INDEX"),
        };
        parsed.ok_or_else(wrong).map(Some)
    }

    pub(super) fn save_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        replace(&self.epoch, epoch.to_string().as_bytes(), true)
    }

    /// The gate file holds the boot id while guests of that boot may start, byte for byte as the kernel writes it, so
    /// that `cmp` can tell. One of another boot opens nothing.
    pub(super) fn open_gate(&self) -> Result<(), StoreError> {
        replace(&self.gate, format!("{}\n", self.boot.0).as_bytes(), false)
    }

    pub(super) fn close_gate(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.gate) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Write { path: self.gate.clone(), source })
            }
            Err(_) | Ok(()) => Ok(()),
        }
    }

    pub(super) fn report(&self, report: &Report) -> Result<(), StoreError> {
        let text = serde_json::to_vec(report).map_err(|error| StoreError::Write {
            path: self.status.clone(),
            source: io::Error::other(error),
        })?;
        replace(&self.status, &text, false)
    }
}

/// Its bytes; `None` where there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::Read { path: path.to_owned(), source }),
    }
}

fn replace(path: &Path, bytes: &[u8], durable: bool) -> Result<(), StoreError> {
    files::replace(path, bytes, durable)
        .map_err(|source| StoreError::Write { path: path.to_owned(), source })
}
