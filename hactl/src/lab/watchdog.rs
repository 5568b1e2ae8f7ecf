//! The stand-in for a node's watchdog: a socket that takes what the kernel's interface takes. It keeps time in a thread
//! of its own, as the device would go on whatever the lab does.

use std::io::{self, Read as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Why a watchdog reset its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Not fed for its timeout.
    NotFed,
    /// The sentinel asked for it.
    Asked,
}

/// How often the socket is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Starts a watchdog at this path with this timeout. `fire` resets the node; it is called at most once per arming, and
/// the watchdog goes on for the next boot.
pub(super) fn start(
    path: &Path,
    timeout: Duration,
    mut fire: impl FnMut(Cause) + Send + 'static,
) -> io::Result<()> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        let mut device = Device { timeout, due: None, streams: Vec::new() };
        loop {
            if let Ok((stream, _)) = listener.accept()
                && stream.set_nonblocking(true).is_ok()
            {
                device.streams.push(stream);
            }
            if let Some(cause) = device.look(Instant::now()) {
                device.due = None;
                device.streams.clear();
                fire(cause);
            }
            std::thread::sleep(LOOK);
        }
    })?;
    Ok(())
}

struct Device {
    timeout: Duration,
    /// When it fires; `None` while it is not armed.
    due: Option<Instant>,
    streams: Vec<UnixStream>,
}

impl Device {
    fn look(&mut self, now: Instant) -> Option<Cause> {
        let mut bytes = Vec::new();
        let mut open = Vec::new();
        for mut stream in std::mem::take(&mut self.streams) {
            let mut buffer = [0; 64];
            match stream.read(&mut buffer) {
                // The kernel feeds at a close without magic.
                Ok(0) if self.due.is_some() => bytes.push(0),
                Ok(0) => {}
                Ok(length) => {
                    bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                    open.push(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => open.push(stream),
                Err(_) => {}
            }
        }
        self.streams = open;
        // What was due fires before a feed that came too late.
        if self.due.is_some_and(|due| due <= now) {
            return Some(Cause::NotFed);
        }
        for byte in bytes {
            match byte {
                b'V' => self.due = None,
                b'R' => return Some(Cause::Asked),
                _ => self.due = Some(now + self.timeout),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(200);

    fn watchdog(name: &str) -> (PathBuf, Receiver<Cause>) {
        let path = std::env::temp_dir().join(format!("hf-{}-{name}", std::process::id()));
        let (sender, fired) = channel();
        let told = move |cause| {
            let _ = sender.send(cause);
        };
        start(&path, TIMEOUT, told).expect("a watchdog");
        (path, fired)
    }

    #[test]
    fn one_that_is_no_longer_fed_fires_once() {
        let (path, fired) = watchdog("unfed");
        let mut stream = UnixStream::connect(path).expect("connected");
        let began = Instant::now();
        stream.write_all(b"\0").expect("fed");
        assert_eq!(fired.recv_timeout(TIMEOUT * 5), Ok(Cause::NotFed));
        assert!(began.elapsed() >= TIMEOUT);
        assert_eq!(fired.recv_timeout(TIMEOUT * 2), Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn a_magic_close_disarms_and_another_close_does_not() {
        let (path, fired) = watchdog("close");
        let mut stream = UnixStream::connect(&path).expect("connected");
        stream.write_all(b"\0V").expect("closed");
        drop(stream);
        assert_eq!(fired.recv_timeout(TIMEOUT * 2), Err(RecvTimeoutError::Timeout));
        let mut stream = UnixStream::connect(&path).expect("connected");
        stream.write_all(b"\0").expect("fed");
        drop(stream);
        assert_eq!(fired.recv_timeout(TIMEOUT * 5), Ok(Cause::NotFed));
    }

    #[test]
    fn a_reset_that_is_asked_for_comes_at_once() {
        let (path, fired) = watchdog("asked");
        let mut stream = UnixStream::connect(path).expect("connected");
        stream.write_all(b"R").expect("asked");
        assert_eq!(fired.recv_timeout(TIMEOUT / 2), Ok(Cause::Asked));
    }
}
