//! n and the state at n: the committed log as far as this sentinel has adopted it, and the boot gate that hangs on it.

use std::collections::BTreeMap;

use fencing::lease::{Adopted, Change, LeaseTimes, LogPart};
use fencing::{BootId, ControllerId, NodeId};
use mutants::{Mutant, is_on};

use super::event::Saved;

/// Pieces of one snapshot. Six changes make a piece, a node has four at most (named, held, in maintenance, out), and a group takes
/// no more than 5,500 nodes. Who refused a snapshot could never run a guest.
const MOST_PIECES: u16 = 4096;

/// The adopted prefix.
#[derive(Clone, Debug)]
pub(super) struct Log {
    node: NodeId,
    boot: BootId,
    n: u64,
    state: Adopted,
    own: Own,
    /// n that may be reported: it is in memory-backed storage.
    stored: u64,
    lost: bool,
    gate: Gate,
    /// Highest commit index that each controller has named.
    committed: BTreeMap<ControllerId, u64>,
    /// Snapshots on their way, one per controller: the pieces of two controllers are not mixed.
    pieces: BTreeMap<ControllerId, Pieces>,
}

/// What the state at n says of this node and boot. It is asked for several times after each event, and changes only
/// with n: [`Log::look_at_state`] alone makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// Whether this boot is armed.
    pub(super) armed: bool,
    /// The times that it was armed with.
    pub(super) times: Option<LeaseTimes>,
    /// Whether the node was disarmed and nobody has asked to arm it since.
    pub(super) held: bool,
    /// Whether this boot is in Open.
    pub(super) open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Closed,
    /// The state at this n lets guests run; a majority of the controllers has yet to say that it is committed.
    Due(u64),
    Open,
}

#[derive(Clone, Debug)]
struct Pieces {
    at: u64,
    of: u16,
    got: BTreeMap<u16, Vec<Change>>,
}

impl Log {
    /// Of a boot that has adopted nothing, or that lost what it had.
    pub(super) fn empty(node: NodeId, boot: BootId, lost: bool) -> Self {
        Self {
            node,
            boot,
            n: 0,
            state: Adopted::default(),
            own: Own::default(),
            stored: 0,
            lost,
            gate: Gate::Closed,
            committed: BTreeMap::new(),
            pieces: BTreeMap::new(),
        }
    }

    /// Of a sentinel that was restarted within its boot.
    pub(super) fn resumed(node: NodeId, saved: Saved) -> Self {
        let gate = if saved.gate { Gate::Open } else { Gate::Closed };
        let empty = Self::empty(node, saved.boot, saved.lost);
        let mut log = Self { n: saved.n, stored: saved.n, state: saved.adopted, gate, ..empty };
        log.look_at_state();
        log
    }

    /// The state at n.
    pub(super) fn state(&self) -> &Adopted {
        &self.state
    }

    /// What the state at n says of this boot.
    pub(super) fn own(&self) -> &Own {
        &self.own
    }

    /// n.
    pub(super) fn n(&self) -> u64 {
        self.n
    }

    /// The n that may be reported.
    pub(super) fn reportable(&self) -> u64 {
        self.stored
    }

    /// Whether an earlier n of this boot was lost.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the gate of this boot is open.
    pub(super) fn gate_is_open(&self) -> bool {
        self.gate == Gate::Open
    }

    /// What a restarted sentinel would need.
    pub(super) fn saved(&self) -> Saved {
        Saved {
            boot: self.boot,
            n: self.n,
            adopted: self.state.clone(),
            gate: self.gate_is_open(),
            lost: self.lost,
        }
    }

    /// The prefix up to n is in memory-backed storage.
    pub(super) fn stored(&mut self, n: u64) {
        self.stored = self.stored.max(n.min(self.n));
    }

    /// A controller named its commit index.
    pub(super) fn heard_commit(&mut self, controller: ControllerId, index: u64) {
        let highest = self.committed.entry(controller).or_default();
        *highest = index.max(*highest);
    }

    /// The first piece that is missing of the snapshot that this controller sends; 0 where none is on its way.
    pub(super) fn missing_piece(&self, controller: ControllerId) -> u16 {
        self.pieces.get(&controller).map_or(0, Pieces::missing)
    }

    /// The same for whoever answers: of the snapshot that has come furthest.
    pub(super) fn furthest_missing_piece(&self) -> u16 {
        self.pieces.values().map(Pieces::missing).max().unwrap_or(0)
    }

    /// Adopts the part if it follows what is here. False where it does not, or where more pieces are needed.
    pub(super) fn adopt(&mut self, from: ControllerId, part: LogPart) -> Adoption {
        match part {
            LogPart::Nothing => Adoption::Nothing,
            LogPart::Entries { after, upto, changes } => {
                let bounds = changes.iter().all(|(index, _)| *index > after && *index <= upto);
                let ordered = changes.is_sorted_by(|a, b| a.0 < b.0);
                if after != self.n || upto <= after || !bounds || !ordered {
                    return Adoption::Misfit;
                }
                changes.iter().for_each(|(_, change)| self.state.apply(change));
                self.reach(upto)
            }
            LogPart::Snapshot { at, piece, pieces, changes } => {
                self.collect(from, at, piece, pieces, changes)
            }
        }
    }

    /// Opens the gate when its time has come: the state names this boot, and a majority of the controllers in it has
    /// said that they know this prefix to be committed. A single controller, however old its view, opens nothing.
    pub(super) fn open_gate(&mut self) -> bool {
        if mutants::is_on(mutants::Mutant::M34) && self.gate != Gate::Open {
            self.gate = Gate::Open;
            return true;
        }
        let Gate::Due(due) = self.gate else { return false };
        let set = self.state.controllers();
        let known = |id: &&ControllerId| self.committed.get(id).is_some_and(|&index| index >= due);
        let needed = if is_on(Mutant::M65) { 1 } else { set.len() / 2 + 1 };
        let ready = !set.is_empty() && set.keys().filter(known).count() >= needed;
        if ready {
            self.gate = Gate::Open;
        }
        ready
    }

    /// Closes the gate for this boot.
    pub(super) fn close_gate(&mut self) {
        self.gate = Gate::Closed;
    }

    fn collect(
        &mut self,
        from: ControllerId,
        at: u64,
        piece: u16,
        of: u16,
        changes: Vec<Change>,
    ) -> Adoption {
        if at <= self.n || piece >= of || of > MOST_PIECES {
            return Adoption::Misfit;
        }
        let fits = |known: &Pieces| known.at == at && known.of == of || is_on(Mutant::M101);
        let known = self.pieces.remove(&from).filter(fits);
        let mut pieces = known.unwrap_or(Pieces { at, of, got: BTreeMap::new() });
        pieces.got.insert(piece, changes);
        if pieces.got.len() < usize::from(of) && !is_on(Mutant::M100) {
            self.pieces.insert(from, pieces);
            return Adoption::Nothing;
        }
        if !is_on(Mutant::M102) {
            self.state = Adopted::default();
        }
        pieces.got.values().flatten().for_each(|change| self.state.apply(change));
        self.reach(at)
    }

    fn reach(&mut self, n: u64) -> Adoption {
        self.n = n;
        self.pieces.retain(|_, pieces| pieces.at > n);
        self.look_at_state();
        Adoption::Adopted
    }

    /// Once open the gate stays open for this boot: a disarmed node keeps its guests.
    fn look_at_state(&mut self) {
        self.own = Own::of(&self.state, self.node, self.boot);
        let may = self.state.may_run_guests(self.node, self.boot);
        self.gate = match self.gate {
            Gate::Open => Gate::Open,
            Gate::Due(n) if may => Gate::Due(n),
            Gate::Closed | Gate::Due(_) if may => Gate::Due(self.n),
            Gate::Closed | Gate::Due(_) => Gate::Closed,
        };
    }
}

impl Pieces {
    fn missing(&self) -> u16 {
        (0..self.of).find(|piece| !self.got.contains_key(piece)).unwrap_or(0)
    }
}

impl Own {
    /// What a state says of a boot.
    pub(super) fn of(state: &Adopted, node: NodeId, boot: BootId) -> Self {
        let armed = state.is_armed(node, boot);
        Self {
            armed,
            times: state.times(node).filter(|_| armed).copied(),
            held: state.is_held(node),
            open: state.open_boot(node) == Some(boot),
        }
    }
}

/// What became of a part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adoption {
    /// n has grown.
    Adopted,
    /// There was nothing in it, or more pieces are to come.
    Nothing,
    /// It does not follow own n, or is no log.
    Misfit,
}
