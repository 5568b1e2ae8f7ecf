//! The watchdog device: what resets a node that nobody stands for.
//!
//! The kernel feeds too: at open, at SETTIMEOUT, and at every close without magic, so also when the process is killed.
//! The sums of [`crate::lease`] count that; here it only means that a device is not opened without a lease.
//!
//! Nothing in this module closes a device with magic unless it is told to: a panic, an error or a drop leaves it
//! running, and the node is reset.

mod class;
mod ioctl;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

pub use class::Class;

/// What is behind the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A device of the kernel, `/dev/watchdog0`.
    Device,
    /// A lab's FIFO or unix socket that gets the same bytes, `\0` feed and `V` magic, and `R`: reset now.
    StandIn,
}

/// An open watchdog. Dropping it closes it without magic: it fires one timeout later.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    sink: Sink,
    class: Class,
    identity: String,
    timeout: Duration,
    magic: bool,
}

/// Why there is no watchdog, or why it could not be fed.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// Another program holds the device. The node is not armed.
    #[error(
        "{} is in use: systemd (RuntimeWatchdogSec= in system.conf; set it to 0), sbd or sanlock (stop and disable \
         them) or another watchdog daemon holds it; `fuser -v {}` names the process", path.display(), path.display()
    )]
    Busy {
        /// The device.
        path: PathBuf,
    },
    /// It could not be opened. The node is not armed.
    #[error("cannot open the watchdog {}: load its driver, or name the right path in [watchdog]", path.display())]
    Open {
        /// The device.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The stand-in's path is neither a FIFO nor a socket. The node is not armed.
    #[error("{} is no FIFO and no unix socket: a stand-in needs one, made by the lab", path.display())]
    NotAStandIn {
        /// The path.
        path: PathBuf,
    },
    /// The wanted timeout is not whole seconds of at least one. The node is not armed.
    #[error("a watchdog timeout must be whole seconds, at least 1s, not {}", humantime::format_duration(*wanted))]
    NotWholeSeconds {
        /// The timeout of the configuration.
        wanted: Duration,
    },
    /// An ioctl failed. The device was closed with magic and the node is not armed.
    #[error("{} refuses {call}: use another watchdog, or a timeout in its range", path.display())]
    Refused {
        /// The device.
        path: PathBuf,
        /// The ioctl.
        call: &'static str,
        /// What the kernel said.
        #[source]
        source: Errno,
    },
    /// The device runs with another timeout than it was told. It was closed with magic and the node is not armed.
    #[error(
        "{} took {} instead of {}: choose a watchdog time (lease times W) that the device can hold, or another profile",
        path.display(), humantime::format_duration(*found), humantime::format_duration(*wanted)
    )]
    OtherTimeout {
        /// The device.
        path: PathBuf,
        /// The timeout of the configuration.
        wanted: Duration,
        /// What the device said when asked.
        found: Duration,
    },
    /// A write failed. The device was not fed, or not closed: it fires.
    #[error("cannot {what} the watchdog {}", path.display())]
    Write {
        /// The device.
        path: PathBuf,
        /// feed, close or reset.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl Device {
    /// Opens the device, which feeds it, sets the timeout and reads it back.
    ///
    /// # Errors
    /// [`WatchdogError`]; a device that was opened and is not what was wanted is closed with magic again, since nobody
    /// has heard of it yet.
    pub fn open(path: &Path, kind: Kind, wanted: Duration) -> Result<Self, WatchdogError> {
        match kind {
            Kind::Device => Self::open_device(path, wanted),
            Kind::StandIn => Self::open_stand_in(path, wanted),
        }
    }

    /// The timeout as the device says it.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Its class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The driver's name for it.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether the driver knows the magic close; without it a disarmed node is reset all the same.
    pub fn closes_by_magic(&self) -> bool {
        self.magic
    }

    /// Feeds it.
    ///
    /// # Errors
    /// [`WatchdogError::Write`]; it was not fed.
    pub fn feed(&mut self) -> Result<(), WatchdogError> {
        self.write("feed", b"\0")
    }

    /// Disarms and closes it.
    ///
    /// # Errors
    /// [`WatchdogError::Write`]; the device goes on counting and fires.
    pub fn close_magically(mut self) -> Result<(), WatchdogError> {
        self.write("close", b"V")
    }

    /// Tells a stand-in to reset its pretended node at once.
    ///
    /// # Errors
    /// [`WatchdogError::NotAStandIn`] for a real device, to which nothing was written; else
    /// [`WatchdogError::Write`] and the pretended node goes on.
    pub fn reset_stand_in(&mut self) -> Result<(), WatchdogError> {
        if self.class != Class::StandIn {
            return Err(WatchdogError::NotAStandIn { path: self.path.clone() });
        }
        self.write("reset", b"R")
    }

    fn open_device(path: &Path, wanted: Duration) -> Result<Self, WatchdogError> {
        let seconds = whole_seconds(wanted)?;
        let file =
            OpenOptions::new().write(true).open(path).map_err(|source| opening(path, source))?;
        let refused =
            |call| move |source| WatchdogError::Refused { path: path.to_owned(), call, source };
        let set = || {
            let support = ioctl::support(&file).map_err(refused("WDIOC_GETSUPPORT"))?;
            ioctl::set_timeout(&file, seconds).map_err(refused("WDIOC_SETTIMEOUT"))?;
            let found = ioctl::timeout(&file).map_err(refused("WDIOC_GETTIMEOUT"))?;
            let found = Duration::from_secs(u64::try_from(found).unwrap_or(0));
            (found == wanted).then_some(support).ok_or_else(|| WatchdogError::OtherTimeout {
                path: path.to_owned(),
                wanted,
                found,
            })
        };
        match set() {
            Ok(support) => Ok(Self {
                path: path.to_owned(),
                class: Class::of_identity(&support.identity),
                identity: support.identity,
                timeout: wanted,
                magic: support.options & ioctl::MAGIC_CLOSE != 0,
                sink: Sink::File(file),
            }),
            Err(error) => {
                // Nobody was told of this device, so nothing rests on it. If the write fails it fires, which is safe.
                let _ = (&file).write_all(b"V");
                Err(error)
            }
        }
    }

    fn open_stand_in(path: &Path, wanted: Duration) -> Result<Self, WatchdogError> {
        whole_milliseconds(wanted)?;
        let mut device = Self {
            path: path.to_owned(),
            sink: open_sink(path)?,
            class: Class::StandIn,
            identity: "stand-in".to_owned(),
            timeout: wanted,
            magic: true,
        };
        // The kernel feeds a device that is opened; so does this.
        device.feed()?;
        Ok(device)
    }

    fn write(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), WatchdogError> {
        let written = match &mut self.sink {
            Sink::File(file) => file.write_all(bytes),
            Sink::Socket(socket) => socket.write_all(bytes),
        };
        written.map_err(|source| WatchdogError::Write { path: self.path.clone(), what, source })
    }
}

/// Tells a stand-in to reset its pretended node at once. It need not be open: a real machine can be reset without a
/// watchdog too.
///
/// # Errors
/// [`WatchdogError`]; the pretended node goes on.
pub fn reset_stand_in(path: &Path) -> Result<(), WatchdogError> {
    let mut sink = open_sink(path)?;
    let written = match &mut sink {
        Sink::File(file) => file.write_all(b"R"),
        Sink::Socket(socket) => socket.write_all(b"R"),
    };
    written.map_err(|source| WatchdogError::Write { path: path.to_owned(), what: "reset", source })
}

/// Where the bytes go.
#[derive(Debug)]
enum Sink {
    File(File),
    Socket(UnixStream),
}

fn open_sink(path: &Path) -> Result<Sink, WatchdogError> {
    let kind = path.metadata().map_err(|source| opening(path, source))?.file_type();
    if kind.is_socket() {
        let socket = UnixStream::connect(path).map_err(|source| opening(path, source))?;
        socket.set_nonblocking(true).map_err(|source| opening(path, source))?;
        return Ok(Sink::Socket(socket));
    }
    if !kind.is_fifo() {
        return Err(WatchdogError::NotAStandIn { path: path.to_owned() });
    }
    // Without a reader this fails at once; a lab whose watchdog is not there must not pass for one that is.
    let flags = nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path);
    file.map(Sink::File).map_err(|source| opening(path, source))
}

fn opening(path: &Path, source: io::Error) -> WatchdogError {
    let path = path.to_owned();
    if source.raw_os_error() == Some(Errno::EBUSY as i32) {
        WatchdogError::Busy { path }
    } else {
        WatchdogError::Open { path, source }
    }
}

fn whole_seconds(wanted: Duration) -> Result<i32, WatchdogError> {
    let seconds = i32::try_from(wanted.as_secs()).unwrap_or(0);
    if seconds == 0 || wanted.subsec_nanos() != 0 {
        return Err(WatchdogError::NotWholeSeconds { wanted });
    }
    Ok(seconds)
}

/// A stand-in may be quick, for tests, but never zero.
fn whole_milliseconds(wanted: Duration) -> Result<(), WatchdogError> {
    if wanted.as_millis() == 0 {
        return Err(WatchdogError::NotWholeSeconds { wanted });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A socket in a directory of its own, with what was written to it.
    fn stand_in(name: &str) -> (PathBuf, UnixListener) {
        let dir =
            std::env::temp_dir().join(format!("holdfast-watchdog-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory for the test");
        let path = dir.join("watchdog");
        let listener = UnixListener::bind(&path).expect("a socket");
        (path, listener)
    }

    fn all_bytes(listener: &UnixListener) -> Vec<u8> {
        let (mut stream, _) = listener.accept().expect("opened");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("closed");
        bytes
    }

    #[test]
    fn a_stand_in_gets_the_bytes_of_the_kernel_interface() {
        let (path, listener) = stand_in("bytes");
        let mut device = Device::open(&path, Kind::StandIn, SECOND).expect("a stand-in");
        assert_eq!((device.class(), device.timeout()), (Class::StandIn, SECOND));
        device.feed().expect("fed");
        device.close_magically().expect("closed");
        assert_eq!(all_bytes(&listener), b"\0\0V");
    }

    #[test]
    fn a_dropped_device_is_never_closed_with_magic() {
        let (path, listener) = stand_in("drop");
        drop(Device::open(&path, Kind::StandIn, SECOND).expect("a stand-in"));
        assert_eq!(all_bytes(&listener), b"\0");
    }

    #[test]
    fn a_panic_does_not_close_with_magic() {
        let (path, listener) = stand_in("panic");
        let died = std::thread::spawn(move || {
            let _device = Device::open(&path, Kind::StandIn, SECOND).expect("a stand-in");
            panic!("expected by this test");
        })
        .join();
        assert!(died.is_err());
        assert_eq!(all_bytes(&listener), b"\0");
    }

    #[test]
    fn a_reset_needs_no_open_device() {
        let (path, listener) = stand_in("reset");
        reset_stand_in(&path).expect("told");
        assert_eq!(all_bytes(&listener), b"R");
    }

    #[test]
    fn a_fifo_without_a_reader_is_no_watchdog() {
        let (path, _listener) = stand_in("fifo");
        let fifo = path.with_file_name("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        let error = Device::open(&fifo, Kind::StandIn, SECOND).expect_err("nobody reads");
        assert!(matches!(error, WatchdogError::Open { .. }), "{error}");
        let reader = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&fifo);
        let mut reader = reader.expect("a reader");
        let device = Device::open(&fifo, Kind::StandIn, SECOND).expect("somebody reads");
        device.close_magically().expect("closed");
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("closed");
        assert_eq!(bytes, b"\0V");
    }

    #[test]
    fn a_regular_file_is_no_stand_in() {
        let (path, _listener) = stand_in("file");
        let file = path.with_file_name("file");
        std::fs::write(&file, b"").expect("written");
        let error = Device::open(&file, Kind::StandIn, SECOND).expect_err("a file");
        assert!(matches!(error, WatchdogError::NotAStandIn { .. }), "{error}");
    }

    #[test]
    fn a_device_that_is_no_watchdog_is_refused_by_its_first_answer() {
        let error =
            Device::open(Path::new("/dev/null"), Kind::Device, SECOND).expect_err("no watchdog");
        assert!(
            matches!(error, WatchdogError::Refused { call: "WDIOC_GETSUPPORT", .. }),
            "{error}"
        );
    }

    #[test]
    fn a_busy_device_names_who_may_hold_it() {
        let error =
            opening(Path::new("/dev/watchdog0"), io::Error::from_raw_os_error(Errno::EBUSY as i32));
        let text = error.to_string();
        for word in ["RuntimeWatchdogSec", "sbd", "sanlock", "/dev/watchdog0"] {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn a_timeout_of_half_a_second_is_not_asked_of_a_device() {
        let half = Duration::from_millis(500);
        assert!(matches!(whole_seconds(half), Err(WatchdogError::NotWholeSeconds { .. })));
        assert!(matches!(
            whole_seconds(Duration::ZERO),
            Err(WatchdogError::NotWholeSeconds { .. })
        ));
    }
}
