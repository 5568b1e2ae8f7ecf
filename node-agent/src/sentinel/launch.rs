//! What the sentinel asks the machine for once, before it goes round.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use fencing::ControllerId;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::machine;
use super::setup::{Pinned, Setup, Start};
use super::shell::SentinelError;
use crate::config::Config;

pub(super) fn seed() -> Result<u64, SentinelError> {
    getrandom::u64().map_err(|error| SentinelError::System {
        what: "draw a random seed",
        source: error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
    })
}

pub(super) fn start_word(setup: &Setup) -> &'static str {
    match setup.start {
        Start::Fresh => "fresh",
        Start::Resumed(_) => "resumed",
        Start::Lost => "lost",
    }
}

pub(super) fn pinned(config: &Config) -> BTreeMap<ControllerId, Pinned> {
    let pinned = |controller: &crate::config::Controller| {
        (controller.id, Pinned { key: controller.key, addresses: controller.lease.clone() })
    };
    config.controllers.iter().map(pinned).collect()
}

/// A machine's boot began when its clock did. A lab's began when its boot id was written; only a report rests on it.
pub(super) fn booted_at(config: &Config, now: Duration) -> Duration {
    if config.is_real_machine() {
        return Duration::ZERO;
    }
    let written = fs::metadata(&config.boot_id_file).and_then(|file| file.modified());
    let age = written.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    now.saturating_sub(age.unwrap_or_default())
}

pub(super) fn hangup() -> Result<SignalFd, SentinelError> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGHUP);
    let failed = |source| SentinelError::System { what: "wait for SIGHUP", source };
    signals.thread_block().map_err(failed)?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(failed)
}

pub(super) fn take_priority() {
    if let Err(error) = machine::lock_memory() {
        tracing::warn!(%error, "memory is not locked: under swapping this node may be reset; LimitMEMLOCK=infinity");
    }
    if machine::is_real_time() != Some(true) {
        tracing::warn!(
            "not real-time: under load this node may be reset; CPUSchedulingPolicy=rr in the unit"
        );
    }
}
