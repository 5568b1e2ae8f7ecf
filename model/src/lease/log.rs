//! The committed log as far as the lease is concerned. A version is a prefix length.

use super::{CONTROLLERS, VOTERS};

/// Most entries of one run.
const MOST: usize = 7;

/// An entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Entry {
    /// The promise to fence the node; carries the floor n_h.
    Intent(u8),
    /// The same, as a drill of its watchdog: the device is to reset it, and nobody grants E2.
    Drill,
    /// The intent, or the drill, is given up.
    Cancelled,
    /// VERIFY.
    Verify,
    /// The grant by E2.
    Fenced,
    /// A voter leaves: disarmed.
    Leaves(u8),
    /// A voter is armed in this boot.
    Joins(u8, u8),
    /// A new set of controllers, a bit each.
    Set(u8),
    /// The node is armed.
    Armed,
    /// The node is disarmed.
    Disarmed,
    /// The node's sentinel may open its device again.
    ArmWanted,
}

/// A log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Log {
    entries: [Option<Entry>; MOST],
    len: u8,
    /// Voters of the empty log: boot 0, a bit each.
    voters: u8,
    set: u8,
    armed: bool,
}

/// The state at one version.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// Boot in which each voter is armed.
    pub voters: [Option<u8>; VOTERS],
    /// C(k), a bit each.
    pub set: u8,
    /// Whether the node is in Open.
    pub open: bool,
    /// Whether it is there for a drill of its watchdog.
    pub drill: bool,
    /// Whether the node is armed.
    pub armed: bool,
    /// Whether the node is disarmed and nobody asked to arm it since.
    pub held: bool,
    /// Length of the prefix that ends with the last disarm or wish to arm.
    pub rearm_floor: u8,
    /// Whether the node was granted.
    pub fenced: bool,
}

impl Log {
    /// The empty log of a cluster with these voters and controllers.
    pub fn new(voters: u8, set: u8, armed: bool) -> Self {
        Self { entries: [None; MOST], len: 0, voters, set, armed }
    }

    /// Its length.
    pub fn len(&self) -> u8 {
        self.len
    }

    /// Whether another entry has room.
    pub fn has_room(&self) -> bool {
        usize::from(self.len) < MOST
    }

    /// Appends.
    pub fn push(&mut self, entry: Entry) {
        if let Some(place) = self.entries.get_mut(usize::from(self.len)) {
            *place = Some(entry);
            self.len += 1;
        }
    }

    /// Drops what is beyond `len`.
    pub fn truncate(&mut self, len: u8) {
        self.entries.iter_mut().skip(usize::from(len)).for_each(|entry| *entry = None);
        self.len = self.len.min(len);
    }

    /// The first `len` entries.
    pub fn prefix(&self, len: u8) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().take(usize::from(len.min(self.len))).flatten().copied()
    }

    /// Prefix length that ends with the open intent that is no drill, and its floor.
    pub fn intent(&self) -> Option<(u8, u8)> {
        let mut intent = None;
        for (length, entry) in (1u8..).zip(self.prefix(self.len)) {
            match entry {
                Entry::Intent(floor) => intent = Some((length, floor)),
                Entry::Drill | Entry::Cancelled => intent = None,
                Entry::Verify
                | Entry::Fenced
                | Entry::Leaves(_)
                | Entry::Joins(..)
                | Entry::Set(_)
                | Entry::Armed
                | Entry::Disarmed
                | Entry::ArmWanted => {}
            }
        }
        intent
    }

    /// Whether an intent or a drill lies beyond the first `from` entries and within the first `to`.
    pub fn has_intent_between(&self, from: u8, to: u8) -> bool {
        let mut beyond = self.prefix(to).skip(usize::from(from));
        beyond.any(|entry| matches!(entry, Entry::Intent(_) | Entry::Drill))
    }

    /// How many drills there were.
    pub fn drills(&self) -> usize {
        self.prefix(self.len).filter(|entry| *entry == Entry::Drill).count()
    }

    /// Prefix length that ends with the last VERIFY.
    pub fn last_verify(&self) -> Option<u8> {
        let entries = (1u8..).zip(self.prefix(self.len));
        entries.filter(|(_, entry)| *entry == Entry::Verify).map(|(length, _)| length).last()
    }

    /// How many entries are VERIFY.
    pub fn verifies(&self) -> usize {
        self.prefix(self.len).filter(|entry| *entry == Entry::Verify).count()
    }

    /// The state at version `k`.
    pub fn at(&self, k: u8) -> Version {
        let mut version = Version {
            voters: std::array::from_fn(|voter| (self.voters >> voter & 1 == 1).then_some(0)),
            set: self.set,
            open: false,
            drill: false,
            armed: self.armed,
            held: false,
            rearm_floor: 0,
            fenced: false,
        };
        for (length, entry) in (1u8..).zip(self.prefix(k)) {
            match entry {
                Entry::Intent(_) => (version.open, version.drill) = (true, false),
                Entry::Drill => (version.open, version.drill) = (true, true),
                Entry::Cancelled => (version.open, version.drill) = (false, false),
                Entry::Verify => {}
                Entry::Fenced => version.fenced = true,
                Entry::Leaves(voter) => version.voters[usize::from(voter)] = None,
                Entry::Joins(voter, boot) => version.voters[usize::from(voter)] = Some(boot),
                Entry::Set(set) => version.set = set,
                Entry::Armed => (version.armed, version.held) = (true, false),
                // A node that is out stays armed in the eyes of its fence.
                Entry::Disarmed => {
                    version.armed &= version.open;
                    (version.held, version.rearm_floor) = (true, length);
                }
                Entry::ArmWanted => (version.held, version.rearm_floor) = (false, length),
            }
        }
        version
    }
}

/// Members of a set of controllers.
pub(super) fn members(set: u8) -> impl Iterator<Item = usize> {
    (0..CONTROLLERS).filter(move |controller| set >> controller & 1 == 1)
}

/// Members that make a majority of the set.
pub(super) fn majority(set: u8) -> usize {
    members(set).count() / 2 + 1
}
