//! A disk in memory that keeps what is synced apart from what is only written, and fails on
//! demand.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests may, and print their seeds")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::disk::Disk;
use crate::raft::rig::Dice;

#[derive(Clone, Debug)]
enum Change {
    Bytes(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Debug, Default)]
struct Node {
    seen: Vec<u8>,
    kept: Vec<u8>,
    pending: Vec<Change>,
}

/// What goes wrong, and at which operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The power fails instead of the operation.
    Power,
    /// The operation fails once; a failed sync loses what it should have kept, but the cache
    /// still shows it, as Linux does.
    Error(io::ErrorKind),
    /// A sync says yes and keeps nothing.
    LostSync,
}

#[derive(Clone, Default)]
pub(super) struct State {
    nodes: Vec<Node>,
    names: BTreeMap<String, usize>,
    kept_names: BTreeMap<String, usize>,
    pub(super) operations: u64,
    pub(super) fault: Option<(u64, Fault)>,
    dead: bool,
}

/// Shared, so that it outlives the store that runs on it.
#[derive(Clone, Default)]
pub(super) struct FaultyDisk(pub(super) Arc<Mutex<State>>);

impl FaultyDisk {
    pub(super) fn plan(&self, operation: u64, fault: Fault) {
        self.0.lock().unwrap().fault = Some((operation, fault));
    }

    pub(super) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// The power fails: of what is not synced, any first part stays, down to a byte; of names not
    /// synced, all or none.
    pub(super) fn lose_power(&self, dice: &mut Dice) {
        let mut state = self.0.lock().unwrap();
        for node in &mut state.nodes {
            let keep = dice.below(node.pending.len() as u64 + 1) as usize;
            for (at, change) in std::mem::take(&mut node.pending).into_iter().enumerate() {
                if at < keep {
                    make(&mut node.kept, &change);
                } else if let (true, Change::Bytes(offset, bytes)) = (at == keep, change) {
                    let torn = dice.below(bytes.len() as u64 + 1) as usize;
                    make(&mut node.kept, &Change::Bytes(offset, bytes[..torn].to_vec()));
                }
            }
            node.seen = node.kept.clone();
        }
        if dice.percent(50) {
            state.kept_names = state.names.clone();
        }
        state.names = state.kept_names.clone();
        (state.dead, state.fault) = (false, None);
    }

    /// The process dies, the machine goes on.
    pub(super) fn restart(&self) {
        let mut state = self.0.lock().unwrap();
        (state.dead, state.fault) = (false, None);
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().names.keys().cloned().collect()
    }

    /// Changes a file behind the store's back.
    pub(super) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock().unwrap();
        let node = state.names[name];
        edit(&mut state.nodes[node].seen);
        state.nodes[node].kept = state.nodes[node].seen.clone();
    }

    pub(super) fn copy(&self) -> FaultyDisk {
        FaultyDisk(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }
}

fn make(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Bytes(offset, new) => {
            let start = usize::try_from(*offset).unwrap();
            bytes.resize(bytes.len().max(start + new.len()), 0);
            bytes[start..start + new.len()].copy_from_slice(new);
        }
        Change::Cut(len) => bytes.truncate(usize::try_from(*len).unwrap()),
    }
}

impl State {
    /// Counts an operation; the fault that hits it, if any.
    fn hit(&mut self) -> io::Result<Option<Fault>> {
        if self.dead {
            return Err(io::ErrorKind::Other.into());
        }
        self.operations += 1;
        match self.fault {
            Some((at, Fault::Power)) if at == self.operations => {
                self.dead = true;
                Err(io::ErrorKind::Other.into())
            }
            Some((at, fault)) if at == self.operations => Ok(Some(fault)),
            _ => Ok(None),
        }
    }

    fn fail(&mut self) -> io::Result<()> {
        match self.hit()? {
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::Power | Fault::LostSync) | None => Ok(()),
        }
    }

    fn node(&mut self, name: &str) -> &mut Node {
        let next = self.nodes.len();
        let node = *self.names.entry(name.into()).or_insert(next);
        if node == next {
            self.nodes.push(Node::default());
        }
        &mut self.nodes[node]
    }

    fn change(&mut self, name: &str, change: Change) {
        let node = self.node(name);
        make(&mut node.seen, &change);
        node.pending.push(change);
    }
}

impl Disk for FaultyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn read(&mut self, name: &str, _: u64) -> io::Result<Vec<u8>> {
        let mut state = self.0.lock().unwrap();
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(state.node(name).seen.clone())
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let failed = state.fail();
        let whole = if failed.is_ok() { bytes.len() } else { bytes.len() / 2 };
        // A failed write may have written its first half.
        state.change(name, Change::Bytes(offset, bytes[..whole].to_vec()));
        failed
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.fail()?;
        state.change(name, Change::Cut(len));
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let fault = state.hit()?;
        let node = state.node(name);
        let pending = std::mem::take(&mut node.pending);
        match fault {
            None | Some(Fault::Power) => {
                pending.iter().for_each(|change| make(&mut node.kept, change));
                Ok(())
            }
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::LostSync) => Ok(()),
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.fail()?;
        let node = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.into(), node);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.fail()?;
        state.names.remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        match state.hit()? {
            Some(Fault::Error(kind)) => return Err(kind.into()),
            Some(Fault::LostSync) => {}
            None | Some(Fault::Power) => state.kept_names = state.names.clone(),
        }
        Ok(())
    }
}
