//! A log that never makes its writer wait. A journal that hangs with its disk must not keep the sentinel from feeding:
//! lines go to a thread of their own, and where that does not keep up they are dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that wait to be written.
const MOST_LINES: usize = 256;
/// The thread only copies bytes, and its memory is locked with the sentinel's.
const STACK: usize = 128 * 1024;

enum Line {
    Text(Vec<u8>),
    /// Everything before it was written when the other end hears of it.
    Mark(SyncSender<()>),
}

/// The near end. Clones write to the same thread.
#[derive(Clone)]
pub(crate) struct Aside {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

impl Aside {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// The thread could not be made.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, queue) = sync_channel(MOST_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let thread = std::thread::Builder::new().name("log".to_owned()).stack_size(STACK);
        thread.spawn(move || write_all(out, &queue, &lost))?;
        Ok(Self { lines, dropped })
    }

    /// Waits until what was said so far is written, at most for so long.
    pub(crate) fn flush(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        if self.lines.try_send(Line::Mark(done)).is_ok() {
            // Too late is as good as never: the process ends.
            let _ = written.recv_timeout(patience);
        }
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Line::Text(bytes.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(mut out: impl Write, queue: &Receiver<Line>, lost: &AtomicU64) {
    while let Ok(line) = queue.recv() {
        // Nobody is left to be told of an error of the log.
        let _ = match line {
            Line::Text(text) => out.write_all(&text),
            Line::Mark(done) => {
                let _ = done.try_send(());
                Ok(())
            }
        };
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lines => {
                let _ = writeln!(out, "{lines} lines were lost: the log did not keep up");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;

    /// Blocks until it is let go, as a pipe does whose reader hangs.
    struct Stuck(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().expect("unpoisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_hangs_makes_nobody_wait_and_what_was_dropped_is_counted() {
        let (go, gate) = sync_channel::<()>(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut aside = Aside::start(Stuck(gate, Arc::clone(&written))).expect("a thread");
        let began = Instant::now();
        for line in 0..MOST_LINES * 3 {
            // As the log does: one write for each line.
            aside.write_all(format!("line {line}\n").as_bytes()).expect("never an error");
        }
        aside.flush(Duration::from_millis(50));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        drop(go);
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let text = String::from_utf8_lossy(&written.lock().expect("unpoisoned")).into_owned();
            if text.contains("lines were lost") {
                assert!(text.starts_with("line 0\n"), "{text}");
                return;
            }
            assert!(Instant::now() < until, "{text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_was_said_before_a_flush_is_written_after_it() {
        let (go, gate) = sync_channel::<()>(0);
        drop(go);
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut aside = Aside::start(Stuck(gate, Arc::clone(&written))).expect("a thread");
        aside.write_all(b"last words").expect("never an error");
        aside.flush(Duration::from_secs(10));
        assert_eq!(*written.lock().expect("unpoisoned"), b"last words");
    }
}
