//! The files of the records of a program: one for each life of its core, in one directory, bounded all together.
//!
//! A record that cannot be written is no reason to stop, and nothing waits for the disk: the last second may be missing
//! after a power cut, not after a crash of the process alone.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::marker::PhantomData;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::{ENDING, Title, Writer};

/// A core's life is recorded up to this part of all that may be kept; then a new one should begin.
const PARTS: u64 = 4;
/// What is written reaches the system after this time at the latest.
const FLUSH: Duration = Duration::from_secs(1);

/// A frame that can say that nothing more is written, on purpose.
pub trait Last: Serialize {
    /// The last frame of a record, with the reason.
    fn last(why: &str) -> Self;
}

/// Writes records, whose last frame is an `F`.
pub struct Files<F> {
    dir: PathBuf,
    /// Bytes that all files may have; 0: nothing is recorded.
    most: u64,
    open: Option<Open>,
    /// The last record had to end, and no other has begun.
    full: bool,
    /// Earlier files, oldest first, with their lengths.
    earlier: VecDeque<(PathBuf, u64)>,
    last: PhantomData<fn() -> F>,
}

struct Open {
    path: PathBuf,
    to: Writer<BufWriter<File>>,
    flushed: Duration,
}

impl<F: Last> Files<F> {
    /// Records in this directory, which is made when the first begins. All of them have `most` bytes at most; with 0
    /// nothing is recorded.
    pub fn new(dir: PathBuf, most: u64) -> Self {
        Self { dir, most, open: None, full: false, earlier: VecDeque::new(), last: PhantomData }
    }

    /// A core begins: a file of its own, named by `life`, a number that rises with each. `now` is the time of its clock.
    pub fn begin(&mut self, title: &Title, life: u64, now: Duration, head: &impl Serialize) {
        self.end("the next record goes on");
        if self.most == 0 {
            return;
        }
        match self.create(title, life, now, head) {
            Ok(open) => (self.open, self.full) = (Some(open), false),
            Err(error) => {
                tracing::warn!(%error, dir = %self.dir.display(), "events are not recorded");
                return;
            }
        }
        self.keep_within();
    }

    /// Adds a frame that may wait a second for the disk.
    pub fn put(&mut self, now: Duration, frame: &impl Serialize) {
        let Some(open) = &mut self.open else { return };
        let flush = now.saturating_sub(open.flushed) >= FLUSH;
        if flush {
            open.flushed = now;
        }
        self.write(frame, flush);
    }

    /// Adds a frame that is to be read even if the process ends now.
    pub fn put_now(&mut self, frame: &impl Serialize) {
        self.write(frame, true);
    }

    /// Ends the record on purpose.
    pub fn end(&mut self, why: &str) {
        if let Some(mut open) = self.open.take() {
            // If this is lost, it just ends.
            let _ = open.to.put(&F::last(why));
            let _ = open.to.flush();
            self.earlier.push_back((open.path, open.to.length()));
        }
    }

    /// Whether a new core should begin, so that a record begins that can be replayed.
    pub fn is_long(&self) -> bool {
        self.full || self.open.as_ref().is_some_and(|open| open.to.length() > self.most / PARTS)
    }

    fn create(
        &mut self,
        title: &Title,
        life: u64,
        now: Duration,
        head: &impl Serialize,
    ) -> io::Result<Open> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        self.earlier = records(&self.dir)?;
        // The number of lives only rises, so names are in order and never used twice.
        let path = self.dir.join(format!("{life:010}.{ENDING}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let mut to = Writer::new(BufWriter::new(file))?;
        to.put(title)?;
        to.put(head)?;
        to.flush()?;
        Ok(Open { path, to, flushed: now })
    }

    fn write(&mut self, frame: &impl Serialize, flush: bool) {
        let Some(open) = &mut self.open else { return };
        let written = open.to.put(frame);
        let written = written.and_then(|()| if flush { open.to.flush() } else { Ok(()) });
        if let Err(error) = written {
            tracing::warn!(%error, file = %open.path.display(), "events are recorded no more, until the next start");
            self.open = None;
            return;
        }
        self.keep_within();
    }

    /// Removes the oldest where there is too much; the one that is written ends where nothing else is left.
    fn keep_within(&mut self) {
        let Some(open) = &self.open else { return };
        let length = open.to.length();
        let all = |earlier: &VecDeque<(PathBuf, u64)>| {
            earlier.iter().map(|(_, length)| length).sum::<u64>() + length
        };
        while all(&self.earlier) > self.most {
            let Some((path, _)) = self.earlier.pop_front() else {
                tracing::warn!(
                    file = %open.path.display(), bytes = length,
                    "the record is as long as all may be, and ends; another begins with another life of this core"
                );
                self.full = true;
                self.end("it was as long as all records may be");
                return;
            };
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, file = %path.display(), "an old record cannot be removed");
            }
        }
    }
}

/// All records of a directory, oldest first, with their lengths.
fn records(dir: &Path) -> io::Result<VecDeque<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            found.push((path, entry.metadata()?.len()));
        }
    }
    found.sort();
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Text(String);

    impl Last for Text {
        fn last(why: &str) -> Self {
            Text(why.to_owned())
        }
    }

    const MOST: u64 = 4000;

    fn length(dir: &Path) -> (usize, u64) {
        let found = records(dir).expect("a directory");
        (found.len(), found.iter().map(|(_, length)| length).sum())
    }

    #[test]
    fn the_oldest_go_first_and_all_together_stay_within_the_bound() {
        let dir = std::env::temp_dir().join(format!("holdfast-records-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let mut files = Files::<Text>::new(dir.clone(), MOST);
        let title = Title::of("a test");
        for life in 1..=20 {
            files.begin(&title, life, Duration::ZERO, &"a head");
            assert!(!files.is_long(), "life {life} has just begun");
            while !files.is_long() {
                files.put_now(&Text("an event".repeat(10)));
                assert!(length(&dir).1 <= MOST, "life {life}");
            }
        }
        let (number, bytes) = length(&dir);
        assert!((3..=4).contains(&number), "{number} files of {bytes} bytes");
        // The last goes on alone, until it is as long as all may be; then it ends.
        for _ in 0..MOST {
            files.put_now(&Text("an event".to_owned()));
        }
        let (number, bytes) = length(&dir);
        assert!(number == 1 && bytes <= MOST + 100 && bytes > MOST / 2, "{number}, {bytes}");
        assert!(files.is_long() && dir.join("0000000020.record").exists());
        std::fs::remove_dir_all(&dir).expect("it is there");
    }

    #[test]
    fn without_room_nothing_is_written() {
        let dir = std::env::temp_dir().join(format!("holdfast-no-records-{}", std::process::id()));
        let mut files = Files::<Text>::new(dir.clone(), 0);
        files.begin(&Title::of("a test"), 1, Duration::ZERO, &"a head");
        files.put_now(&Text("an event".to_owned()));
        assert!(!dir.exists() && !files.is_long());
    }
}
