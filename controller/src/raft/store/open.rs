//! Reading a directory back: what is whole, what was never finished, what is damaged.

use super::super::{Restored, Write};
use super::disk::Disk;
use super::format::{self, HEADER, Mark, SLOTS, header, log_name, log_number};
use super::{IDENTITY, Identity, MARK, MAX_FILE, Store, StoreError, io_error, whole};

/// What a log file holds.
struct Contents {
    held: Restored,
    mark: Mark,
    /// Where the last whole record ends.
    end: usize,
}

/// The newest mark, and whether both of its places could be read.
#[derive(Clone, Copy)]
struct Known {
    mark: Mark,
    slot: usize,
    both: bool,
}

impl Store {
    pub(super) fn open_on(
        disk: Box<dyn Disk + Send>,
        identity: &Identity,
    ) -> Result<(Store, Restored), StoreError> {
        let mut store = Store {
            disk,
            identity: identity.to_string(),
            held: Restored::default(),
            log: String::new(),
            len: 0,
            mark: Mark { number: 0, seal: [0; 16] },
            slot: 0,
            failed: false,
        };
        let names = store.disk.list().map_err(|error| io_error("list", ".", error))?;
        if names.iter().any(|name| name == IDENTITY) {
            store.check_identity(identity)?;
            store.load(&names)?;
        } else {
            store.check_nothing_is_lost(&names)?;
            store.make()?;
        }
        let restored = store.held.clone();
        Ok((store, restored))
    }

    fn read(&mut self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.disk.read(name, MAX_FILE).map_err(|error| io_error("read", name, error))
    }

    fn check_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let found = self.read(IDENTITY)?;
        if found == self.identity.as_bytes() {
            return Ok(());
        }
        let found = String::from_utf8_lossy(&found[..found.len().min(1024)]).into_owned();
        Err(StoreError::WrongIdentity { found, expected: identity.clone() })
    }

    /// The identity is made last. Without it the directory may hold what `make` leaves when it is
    /// interrupted, and nothing else: anything more was a controller's once.
    fn check_nothing_is_lost(&mut self, names: &[String]) -> Result<(), StoreError> {
        let (first, seal) = whole(&self.identity, 1, &Restored::default())?;
        let begun = Mark { number: 1, seal };
        for name in names {
            let unfinished = match name.as_str() {
                MARK => {
                    let bytes = self.read(name)?;
                    let marks = SLOTS.map(|slot| Mark::decode(&bytes, slot));
                    marks.into_iter().flatten().all(|mark| mark == begun)
                }
                name if name.ends_with(".tmp") => true,
                name if log_number(name).is_some() => self.read(name)? == first,
                _ => continue,
            };
            if !unfinished {
                return Err(corrupt(name, 0, "the file `identity` is gone, others are here"));
            }
        }
        Ok(())
    }

    fn make(&mut self) -> Result<(), StoreError> {
        self.remove_if_there("log.tmp")?;
        self.begin_log(1)?;
        self.set_mark(self.mark)?;
        let identity = self.identity.clone();
        self.remove_if_there("identity.tmp")?;
        self.replace("identity.tmp", IDENTITY, identity.as_bytes())
    }

    fn load(&mut self, names: &[String]) -> Result<(), StoreError> {
        let known = self.read_mark()?;
        let mut logs: Vec<u64> = names.iter().filter_map(|name| log_number(name)).collect();
        logs.sort_unstable();
        // A log that was begun but never marked was never promised; the one before it holds all.
        let unmarked = logs.len() > 1 && known.both && logs.last() > Some(&known.mark.number);
        let dropped = if unmarked { logs.pop() } else { None };
        let Some(newest) = logs.pop() else {
            return Err(corrupt("log", 0, "no log file is left"));
        };
        let name = log_name(newest);
        let bytes = self.read(&name)?;
        let contents = self.replay(&name, newest, &bytes, known)?;
        if contents.end < bytes.len() {
            tracing::warn!(
                file = name,
                offset = contents.end,
                bytes = bytes.len() - contents.end,
                "cut off an unfinished record that nobody was told of"
            );
            self.disk
                .truncate(&name, contents.end as u64)
                .map_err(|error| io_error("cut", &name, error))?;
        }
        self.disk.sync(&name).map_err(|error| io_error("sync", &name, error))?;
        self.log = name;
        self.len = contents.end as u64;
        self.held = contents.held;
        self.slot = 1 - known.slot;
        self.set_mark(contents.mark)?;
        self.set_mark(contents.mark)?;
        for old in logs.into_iter().chain(dropped) {
            self.remove_if_there(&log_name(old))?;
        }
        self.remove_if_there("log.tmp")?;
        self.remove_if_there("identity.tmp")?;
        self.disk.sync_names().map_err(|error| io_error("sync the directory of", "log", error))
    }

    fn remove_if_there(&mut self, name: &str) -> Result<(), StoreError> {
        let names = self.disk.list().map_err(|error| io_error("list", ".", error))?;
        if names.iter().any(|there| there == name) {
            self.disk.remove(name).map_err(|error| io_error("remove", name, error))?;
        }
        Ok(())
    }

    fn read_mark(&mut self) -> Result<Known, StoreError> {
        let bytes = self.read(MARK)?;
        match SLOTS.map(|slot| Mark::decode(&bytes, slot)) {
            [Some(one), Some(two)] if one.number >= two.number => {
                Ok(Known { mark: one, slot: 0, both: true })
            }
            [Some(_), Some(mark)] => Ok(Known { mark, slot: 1, both: true }),
            [Some(mark), None] => Ok(Known { mark, slot: 0, both: false }),
            [None, Some(mark)] => Ok(Known { mark, slot: 1, both: false }),
            [None, None] => Err(corrupt(MARK, 0, "neither of its two places can be read")),
        }
    }

    /// Reads records up to the mark; all of them must be whole, and the last the one it names.
    ///
    /// If one place of the mark is spoilt, it may be that of a record more: this record is kept if
    /// it is whole, and refused if it is there but damaged, for then nothing tells a record that
    /// was never finished from one that was promised.
    fn replay(
        &self,
        name: &str,
        first: u64,
        bytes: &[u8],
        known: Known,
    ) -> Result<Contents, StoreError> {
        let (head, mut chain) = header(&self.identity, first);
        if bytes.get(..HEADER) != Some(&head[..]) {
            return Err(corrupt(name, 0, "the header is damaged or another controller's"));
        }
        let last = if known.both { known.mark.number } else { known.mark.number + 1 };
        let mut held = Restored::default();
        let mut at = HEADER;
        let mut number = first;
        while number <= last {
            let spare = number > known.mark.number;
            if spare && at == bytes.len() {
                break;
            }
            let read = format::read(bytes, at, &chain, number)
                .map_err(|what| corrupt(name, at, &format!("record {number}: {what}")))?;
            let write: Write = postcard::from_bytes(read.payload)
                .map_err(|_| corrupt(name, at, &format!("record {number} does not parse")))?;
            held.absorb(&write)
                .map_err(|gap| corrupt(name, at, &format!("record {number}: {gap}")))?;
            if number == known.mark.number && read.seal != known.mark.seal {
                return Err(corrupt(name, at, "it is not the record that the mark names"));
            }
            chain = read.seal;
            at = read.end;
            number += 1;
        }
        if number == first {
            return Err(corrupt(name, at, "records up to the mark are missing"));
        }
        Ok(Contents { held, mark: Mark { number: number - 1, seal: chain }, end: at })
    }
}

fn corrupt(file: &str, offset: usize, what: &str) -> StoreError {
    StoreError::Corrupt { file: file.to_owned(), offset: offset as u64, what: what.to_owned() }
}
