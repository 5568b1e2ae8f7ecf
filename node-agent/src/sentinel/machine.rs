//! What touches the machine as a whole: its clock, its reset, its memory and priority.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::reboot::{RebootMode, reboot};
use nix::time::{ClockId, clock_gettime};

/// CLOCK_BOOTTIME: it runs on while the machine is suspended, so that the node errs towards dying early.
pub(super) fn now() -> Result<Duration, nix::Error> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from)
}

/// Resets the machine, without syncing and without asking anybody. Returns only if the kernel refuses both ways.
pub(super) fn reset() -> String {
    // Needs no cooperation of init, drivers or file systems; absent where the kernel was built without it.
    let by_sysrq = fs::write("/proc/sysrq-trigger", b"b");
    let by_call = reboot(RebootMode::RB_AUTOBOOT);
    format!("sysrq: {by_sysrq:?}, reboot: {by_call:?}")
}

/// Keeps the program in memory. A sentinel that is paged in while the machine swaps is late for its feed.
pub(super) fn lock_memory() -> Result<(), nix::Error> {
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
}

/// Whether the scheduler treats this thread as real-time (the unit sets `CPUSchedulingPolicy=rr`). `None` if the kernel
/// does not say.
pub(super) fn is_real_time() -> Option<bool> {
    const POLICY: usize = 41;
    let stat = fs::read_to_string("/proc/thread-self/stat").ok()?;
    // The name in parentheses may hold spaces, and it is the second field.
    let after_name = stat.rsplit_once(')')?.1;
    let policy: u32 = after_name.split_whitespace().nth(POLICY - 3)?.parse().ok()?;
    Some(policy == 1 || policy == 2)
}

/// Whether the kernel was told never to stop this watchdog once it is open. `None` where it does not say.
pub(super) fn never_stops(device: &Path) -> Option<bool> {
    let name = device.file_name()?;
    let class = Path::new("/sys/class/watchdog").join(name).join("nowayout");
    fs::read_to_string(class).ok().map(|text| text.trim() == "1")
}
