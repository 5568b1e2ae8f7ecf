//! Whether a directory takes a file. It is tried in a process of its own: storage that is lost lets a process hang so that
//! not even a signal ends it, and then it must be another one than the agent. A lock keeps it the only one for its
//! directory, also when the agent was restarted meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use fencing::checks::State;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::plan::Outcome;

/// The word on the command line that begins such a process.
pub(super) const WORD: &str = "probe-mount";
/// The file that is written in the directory.
const FILE: &str = ".holdfast-probe";
/// What is written: one sector is enough to make the storage answer.
const BYTES: [u8; 512] = [b'h'; 512];

/// The command that tries `path`, in the program `agent`.
pub(super) fn command(agent: &Path, lock: &Path, path: &Path) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    vec![text(agent), WORD.to_owned(), text(lock), text(path)]
}

/// Where the lock of a check is.
pub(super) fn lock(run_dir: &Path, name: &str) -> PathBuf {
    run_dir.join(format!("probe-{name}.lock"))
}

/// Tries it, in this process; may never come back.
pub fn try_mount(lock: &Path, path: &Path) -> Outcome {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock);
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Outcome::unknown(&format!("{}: {error}", lock.display())),
    };
    let _held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => held,
        Err((_, Errno::EWOULDBLOCK)) => {
            return Outcome::critical(0, &format!("{} hangs since an earlier try", path.display()));
        }
        Err((_, error)) => return Outcome::unknown(&format!("{}: {error}", lock.display())),
    };
    match write(path) {
        Ok(()) => Outcome::ok(&format!("{} can be written", path.display())),
        // Who may write there is a matter of how it was set up, and says nothing of the storage.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Outcome::unknown(&format!("{}: {error}", path.display()))
        }
        Err(error) => Outcome::critical(
            error.raw_os_error().unwrap_or(0),
            &format!("{}: {error}", path.display()),
        ),
    }
}

/// The exit code by which the other process says how it is.
pub fn exit_code(outcome: &Outcome) -> u8 {
    match outcome.state {
        State::Ok => 0,
        State::Warning => 1,
        State::Critical => 2,
        State::Unknown => 3,
    }
}

fn write(path: &Path) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        // A link would let somebody else choose what is overwritten.
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path.join(FILE))?;
    file.write_all(&BYTES)?;
    file.sync_all()?;
    file.rewind()?;
    let mut back = Vec::new();
    file.take(1024).read_to_end(&mut back)?;
    if back == BYTES {
        Ok(())
    } else {
        Err(io::Error::other("what was written does not come back"))
    }
}
