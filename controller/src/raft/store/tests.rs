//! Every operation failing, every byte torn, every bit flipped.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests may, and print their seeds")]

use std::io;

use super::faulty::{Fault, FaultyDisk};
use super::format::log_number;
use super::{Identity, Store, StoreError};
use crate::raft::log::{Hard, Record, Saved};
use crate::raft::rig::Dice;
use crate::raft::{Restored, Write};

fn identity() -> Identity {
    Identity { cluster: "c-1".into(), controller: "controller-1 7f3a".into() }
}

fn open(disk: &FaultyDisk) -> Result<(Store, Restored), StoreError> {
    Store::open_on(Box::new(disk.clone()), &identity())
}

/// Votes, entries, a truncation, a snapshot, more entries.
fn story() -> Vec<Write> {
    let entry = |term, byte| Record { term, command: vec![byte; 3] };
    let hard = |term, vote, commit| Some(Hard { term, vote, commit });
    let entries = |first, entries, hard| Write { hard, snapshot: None, first, entries };
    vec![
        entries(0, vec![], hard(1, 1, 0)),
        entries(1, vec![entry(1, 1), entry(1, 2)], None),
        entries(0, vec![], hard(1, 1, 1)),
        entries(2, vec![entry(2, 3), entry(2, 4)], hard(2, 3, 2)),
        Write {
            snapshot: Some(Saved { index: 2, term: 2, state: vec![9; 20] }),
            ..Write::default()
        },
        entries(4, vec![entry(2, 5)], hard(2, 3, 3)),
        entries(5, vec![entry(2, 6)], None),
    ]
}

/// The states after none, one, ... all writes.
fn states() -> Vec<Restored> {
    let mut states = vec![Restored::default()];
    for write in story() {
        let mut next = states.last().unwrap().clone();
        next.absorb(&write).unwrap();
        states.push(next);
    }
    states
}

/// Writes the story until something fails; how many writes were confirmed.
fn tell(disk: &FaultyDisk) -> (usize, Option<StoreError>) {
    let mut store = match open(disk) {
        Ok((store, _)) => store,
        Err(error) => return (0, Some(error)),
    };
    for (done, write) in story().iter().enumerate() {
        if let Err(error) = store.write(write) {
            assert!(matches!(store.write(write), Err(StoreError::Failed)), "no second try");
            return (done, Some(error));
        }
    }
    (story().len(), None)
}

fn told() -> FaultyDisk {
    let disk = FaultyDisk::default();
    assert!(tell(&disk).1.is_none());
    disk
}

fn log_of(disk: &FaultyDisk) -> String {
    disk.names().into_iter().find(|name| log_number(name).is_some()).unwrap()
}

#[test]
fn what_was_written_is_found_again() {
    let disk = told();
    assert_eq!(open(&disk).unwrap().1, states()[7]);
    assert_eq!(open(&disk).unwrap().1, states()[7], "opening changes nothing");
    assert_eq!(disk.names().len(), 3, "one log, mark, identity: {:?}", disk.names());
}

#[test]
fn a_power_failure_at_any_operation_loses_nothing_that_was_confirmed() {
    let total = {
        let disk = FaultyDisk::default();
        tell(&disk);
        disk.operations()
    };
    let mut kept_more = 0;
    for at in 1..=total {
        for seed in 0..40 {
            let disk = FaultyDisk::default();
            disk.plan(at, Fault::Power);
            let (done, error) = tell(&disk);
            assert!(error.is_some());
            let mut dice = Dice(seed);
            disk.lose_power(&mut dice);
            // And once more, while it recovers.
            let again = disk.operations() + 1 + dice.below(8);
            disk.plan(again, Fault::Power);
            if open(&disk).is_err() {
                disk.lose_power(&mut dice);
            }
            disk.restart();
            let (mut store, found) =
                open(&disk).unwrap_or_else(|error| panic!("at {at} seed {seed}: {error}"));
            let which = states().iter().position(|state| *state == found);
            let which = which.unwrap_or_else(|| panic!("at {at} seed {seed}: a state of its own"));
            assert!(which == done || which == done + 1, "at {at} seed {seed}: {done} -> {which}");
            kept_more += usize::from(which > done);
            for write in &story()[which..] {
                store.write(write).unwrap();
            }
            drop(store);
            disk.lose_power(&mut dice);
            assert_eq!(open(&disk).unwrap().1, states()[7]);
        }
    }
    println!("{total} operations x 40: {kept_more} kept one write more than was confirmed");
}

#[test]
fn an_io_error_ends_it_and_a_restart_finds_all_that_was_confirmed() {
    let total = told().operations();
    for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
        for at in 1..=total {
            for power in [false, true] {
                let disk = FaultyDisk::default();
                disk.plan(at, Fault::Error(kind));
                let (done, error) = tell(&disk);
                let full = matches!(error, Some(StoreError::Full { .. }));
                assert_eq!(full, kind == io::ErrorKind::StorageFull, "at {at}: {error:?}");
                disk.restart();
                if power {
                    disk.lose_power(&mut Dice(at));
                }
                let (mut store, found) = open(&disk).unwrap_or_else(|e| panic!("at {at}: {e}"));
                let which = states().iter().position(|state| *state == found).unwrap();
                assert!(which == done || which == done + 1, "at {at}: {done} -> {which}");
                for write in &story()[which..] {
                    store.write(write).unwrap();
                }
                drop(store);
                disk.lose_power(&mut Dice(at));
                assert_eq!(open(&disk).unwrap().1, states()[7], "at {at}");
            }
        }
    }
}

#[test]
fn no_flipped_bit_changes_what_is_found() {
    let disk = told();
    let mut refused = 0;
    for name in disk.names() {
        let mut len = 0;
        disk.edit(&name, |bytes| len = bytes.len());
        for bit in 0..len * 8 {
            let disk = disk.copy();
            disk.edit(&name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            match open(&disk) {
                Ok((_, found)) => assert_eq!(found, states()[7], "{name} bit {bit}"),
                Err(StoreError::Corrupt { .. } | StoreError::WrongIdentity { .. }) => refused += 1,
                Err(other) => panic!("{name} bit {bit}: {other}"),
            }
        }
    }
    println!("{refused} flipped bits refused");
    assert!(refused > 1000);
}

#[test]
fn damage_is_named_where_it_is_and_another_log_of_the_same_length_is_refused() {
    let disk = told();
    let name = log_of(&disk);
    // Within the state of the snapshot in the first record: it still parses.
    let hit = disk.copy();
    hit.edit(&name, |bytes| bytes[super::HEADER + 12 + 10] ^= 1);
    match open(&hit).err() {
        Some(StoreError::Corrupt { offset, .. }) => assert_eq!(offset, super::HEADER as u64),
        other => panic!("{other:?}"),
    }
    let other = FaultyDisk::default();
    let (mut store, _) = open(&other).unwrap();
    for write in &story()[..6] {
        store.write(write).unwrap();
    }
    let last = Record { term: 2, command: vec![66; 3] };
    store.write(&Write { first: 5, entries: vec![last], ..Write::default() }).unwrap();
    let mut bytes = Vec::new();
    other.edit(&name, |all| bytes = all.clone());
    disk.edit(&name, |all| *all = bytes);
    let error = open(&disk).err().unwrap();
    assert!(error.to_string().contains("not the record that the mark names"), "{error}");
}

#[test]
fn a_confirmed_log_that_is_short_is_refused_at_every_length() {
    let disk = told();
    let name = log_of(&disk);
    let mut len = 0;
    disk.edit(&name, |bytes| len = bytes.len());
    for keep in 0..len {
        let disk = disk.copy();
        disk.edit(&name, |bytes| bytes.truncate(keep));
        let error = open(&disk).err().unwrap_or_else(|| panic!("{keep} bytes taken"));
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&name) && text.contains("rebuilt as a new member"), "{text}");
    }
}

#[test]
fn an_unfinished_last_record_is_cut_off_at_every_length() {
    // All but the last write, then the first bytes of the last one.
    let whole = told();
    let name = log_of(&whole);
    let mut bytes = Vec::new();
    whole.edit(&name, |all| bytes = all.clone());
    let disk = FaultyDisk::default();
    let (mut store, _) = open(&disk).unwrap();
    for write in &story()[..6] {
        store.write(write).unwrap();
    }
    drop(store);
    let mut begin = 0;
    disk.edit(&name, |part| begin = part.len());
    for end in begin..=bytes.len() {
        let disk = disk.copy();
        disk.edit(&name, |part| part.extend_from_slice(&bytes[begin..end]));
        let (mut store, found) = open(&disk).unwrap();
        assert_eq!(found, states()[6], "{end}");
        store.write(&story()[6]).unwrap();
        drop(store);
        assert_eq!(open(&disk).unwrap().1, states()[7]);
    }
}

#[test]
fn a_disk_that_lies_about_a_sync_is_found_out_or_has_lost_nothing() {
    let total = told().operations();
    let mut refused = 0;
    for at in 1..=total {
        let disk = FaultyDisk::default();
        disk.plan(at, Fault::LostSync);
        let (done, error) = tell(&disk);
        assert!(error.is_none());
        for seed in 0..10 {
            let disk = disk.copy();
            disk.lose_power(&mut Dice(seed));
            match open(&disk) {
                // The lie of the very last mark hides the last write.
                Ok((_, found)) => assert!(states()[done - 1..].contains(&found), "at {at}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_directory_of_someone_else_is_refused() {
    let disk = told();
    let other = Identity { controller: "controller-1 0000".into(), ..identity() };
    let error = Store::open_on(Box::new(disk.clone()), &other).err().unwrap();
    assert!(matches!(error, StoreError::WrongIdentity { .. }), "{error}");
    let mut state = disk.0.lock().unwrap().clone();
    state.fault = None;
    drop(state);
    use super::disk::Disk;
    let mut gone = disk.clone();
    gone.remove("identity").unwrap();
    let error = open(&disk).err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "a lost identity is no fresh start");
}

#[test]
fn a_real_directory_keeps_state_and_admits_one_process() {
    let dir = std::env::temp_dir().join(format!("holdfast-store-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let (mut store, found) = Store::open(&dir, &identity()).unwrap();
    assert_eq!(found, Restored::default());
    let begin = std::time::Instant::now();
    for write in story() {
        store.write(&write).unwrap();
    }
    println!("{} durable writes in {:?}", story().len(), begin.elapsed());
    let second = Store::open(&dir, &identity()).err().unwrap();
    assert!(matches!(second, StoreError::Locked(_)), "{second}");
    drop(store);
    assert_eq!(Store::open(&dir, &identity()).unwrap().1, states()[7]);
    std::fs::remove_dir_all(&dir).unwrap();
}
