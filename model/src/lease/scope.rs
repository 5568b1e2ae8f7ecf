//! Bounds. Each takes a part of the protocol that fits into memory as a whole; together they cover the rules.

use std::fmt;

use super::log::Entry;

/// The bounds of one search.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Their name.
    pub name: &'static str,
    /// Peers of the node, a bit each.
    pub voters: u8,
    /// The first set of controllers, a bit each.
    pub set: u8,
    /// All controllers that there ever are.
    pub all: u8,
    /// How it begins.
    pub begins: Begins,
    /// Changes of voters or controllers, in this order, at any time.
    pub changes: &'static [Entry],
    /// Packets that are held up at a time.
    pub late: u8,
    /// Reboots of voters.
    pub reboots: u8,
    /// Elections.
    pub elections: u8,
    /// Restarts of controllers.
    pub restarts: u8,
    /// Kills of the node's sentinel.
    pub kills: u8,
    /// Ticks by which the leader's clock may run ahead.
    pub ahead: u8,
    /// VERIFY entries at most.
    pub verifies: u8,
    /// Disarms of the node, each followed by a wish to arm it, or not.
    pub disarms: u8,
    /// Drills of the node's watchdog.
    pub drills: u8,
    /// Intents and drills that are given up.
    pub cancels: u8,
    /// Whether acks are given.
    pub acks: bool,
    /// Whether vouches are given.
    pub vouches: bool,
    /// Whether S22 is looked at too.
    pub disarm_holds: bool,
}

/// How a run begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begins {
    /// The node is armed and stood for, and the leader has just written the intent into its log.
    IntentWritten,
    /// The node is armed and stood for.
    Armed,
    /// The node has a lease; its device is closed.
    Unarmed,
}

const NOTHING: Scope = Scope {
    name: "",
    voters: 0b111,
    set: 0b1,
    all: 0b1,
    begins: Begins::IntentWritten,
    changes: &[],
    late: 0,
    reboots: 0,
    elections: 0,
    restarts: 0,
    kills: 0,
    ahead: 0,
    verifies: 1,
    disarms: 0,
    drills: 0,
    cancels: 0,
    acks: true,
    vouches: true,
    disarm_holds: false,
};

/// Three controllers, one peer: lease, watchdog, T0, leaders that change.
pub(super) const CORE: Scope = Scope {
    name: "core",
    voters: 0b1,
    set: 0b111,
    all: 0b111,
    late: 1,
    elections: 1,
    restarts: 1,
    kills: 1,
    ahead: 1,
    vouches: false,
    ..NOTHING
};

/// A part of `core` for the breaks of its sums.
pub(super) const WATCH: Scope = Scope { name: "watch", late: 0, elections: 0, ..CORE };

/// A part of `core` for the break that needs a late ack.
pub(super) const LATE: Scope = Scope { name: "late", elections: 0, restarts: 0, kills: 0, ..CORE };

/// Two peers, no acks: vouches, promises, VERIFY, a voter that reboots.
pub(super) const PEERS: Scope = Scope {
    name: "peers",
    voters: 0b11,
    late: 1,
    reboots: 1,
    kills: 1,
    ahead: 1,
    verifies: 2,
    acks: false,
    ..NOTHING
};

/// Three peers, so that one may take another's place in the quorum.
pub(super) const TRIO: Scope = Scope { name: "trio", reboots: 1, acks: false, ..NOTHING };

/// Acks and vouches, one after the other.
pub(super) const BOTH: Scope =
    Scope { name: "both", voters: 0b11, late: 1, kills: 1, ahead: 1, ..NOTHING };

/// Voters leave before or after the intent, the node adopts that or not.
pub(super) const ELECTORATE: Scope = Scope {
    name: "electorate",
    voters: 0b11,
    begins: Begins::Armed,
    changes: &[Entry::Leaves(0)],
    acks: false,
    ..NOTHING
};

/// A voter is rebooted and armed again, before or after the intent.
pub(super) const REARMED: Scope = Scope {
    name: "rearmed",
    voters: 0b11,
    begins: Begins::Armed,
    changes: &[Entry::Joins(0, 1)],
    reboots: 1,
    late: 1,
    acks: false,
    ..NOTHING
};

/// The set of controllers changes twice, one member at a time.
pub(super) const SETS: Scope = Scope {
    name: "sets",
    voters: 0b1,
    set: 0b0111,
    all: 0b1111,
    begins: Begins::Armed,
    changes: &[Entry::Set(0b0011), Entry::Set(0b1011)],
    vouches: false,
    ..NOTHING
};

/// The same with a new leader: too wide to be searched as a whole, so for breaks alone.
pub(super) const HEIRS: Scope = Scope { name: "heirs", elections: 1, ..SETS };

/// A controller leaves the set, before or after the intent; another may lead.
pub(super) const SHRUNK: Scope =
    Scope { name: "shrunk", changes: &[Entry::Set(0b0011)], all: 0b0111, elections: 1, ..SETS };

/// A controller joins the set, before or after the intent; another may lead.
pub(super) const GROWN: Scope = Scope {
    name: "grown",
    set: 0b0011,
    all: 0b0111,
    changes: &[Entry::Set(0b0111)],
    elections: 1,
    ..SETS
};

/// The node is armed, disarmed and armed again.
pub(super) const MIRROR: Scope = Scope {
    name: "mirror",
    voters: 0b1,
    begins: Begins::Unarmed,
    late: 1,
    kills: 1,
    disarms: 1,
    ..NOTHING
};

/// A drill of the watchdog, given up at any time, and a fence in earnest after it.
pub(super) const DRILL: Scope = Scope {
    name: "drill",
    voters: 0b11,
    begins: Begins::Armed,
    kills: 1,
    ahead: 1,
    drills: 1,
    cancels: 1,
    ..NOTHING
};

/// A part of `drill` for the break that needs no drill.
pub(super) const AGAIN: Scope = Scope { name: "again", kills: 0, drills: 0, ..DRILL };

/// A fence that is given up, another after it, and a leader that knows of neither.
pub(super) const CANCEL: Scope = Scope {
    name: "cancel",
    voters: 0b1,
    set: 0b111,
    all: 0b111,
    elections: 1,
    cancels: 1,
    vouches: false,
    ..NOTHING
};

impl Scope {
    /// All bounds of the whole check.
    pub const ALL: &[Scope] =
        &[CORE, PEERS, TRIO, BOTH, ELECTORATE, REARMED, SHRUNK, GROWN, MIRROR, DRILL, CANCEL];
    /// Bounds that take minutes each.
    pub const WIDE: &[Scope] = &[
        SETS,
        Scope { name: "shrunk, late", late: 1, ..SHRUNK },
        Scope { name: "grown, late", late: 1, ..GROWN },
    ];
    /// Bounds for a test of a few seconds.
    pub const QUICK: &[Scope] =
        &[BOTH, Scope { name: "mirror, in time", late: 0, kills: 0, ..MIRROR }];
    /// The bounds with S22 in a crash of the sentinel, where it does not hold.
    pub const HOLE: Scope = Scope { name: "mirror, S22 in a crash", disarm_holds: true, ..MIRROR };
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} controllers, {} voters, {} changes, {} late packets, {} reboots, {} elections, \
             {} restarts, {} kills, clock {} ahead, {} VERIFY, {} disarms, {} drills, {} given up",
            self.all.count_ones(),
            self.voters.count_ones(),
            self.changes.len(),
            self.late,
            self.reboots,
            self.elections,
            self.restarts,
            self.kills,
            self.ahead,
            self.verifies,
            self.disarms,
            self.drills,
            self.cancels
        )
    }
}
