//! A state of the registry model: three logs, who leads in which term, the node, an order on its way.

/// Controllers.
pub(super) const CONTROLLERS: usize = 3;
/// Entries at most.
pub(super) const ENTRIES: usize = 6;
/// Ticks for which an order may yet arrive after it was confirmed: `not_after` and the channel's life.
pub(super) const LIFE: u8 = 1;

/// What an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A leader's first.
    Noop,
    /// FenceIntent.
    Intent,
    /// CANCEL.
    Cancel,
    /// Evidence.
    Fenced,
    /// The node may come back.
    Released,
}

/// An entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Entry {
    /// What it says.
    pub kind: Kind,
    /// Its term.
    pub term: u8,
}

/// A log.
pub(super) type Log = [Option<Entry>; ENTRIES];

/// A controller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Controller {
    /// Its term.
    pub term: u8,
    /// It believes that it leads that term.
    pub leads: bool,
    /// On its disk.
    pub(super) log: Log,
    /// Committed prefix, as it knows.
    pub commit: u8,
    /// It leads, proposed the intent itself in this leadership, and no long time has passed since.
    pub fresh: bool,
    /// It leads: ticks for which a release has waited.
    pub waited: u8,
}

/// What the matrix says of the node now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cell {
    /// It fences.
    Troubled,
    /// It does not fence, since a moment ago.
    Well,
    /// It has not fenced for minutes.
    LongWell,
}

/// What the committed entries come to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Outcome {
    /// No incident.
    Nothing,
    /// The intent is committed.
    Fencing,
    /// It was cancelled.
    Cancelled,
    /// The evidence is committed.
    Fenced,
    /// The node may come back.
    Released,
}

/// What only the model sees.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Ghost {
    /// An order was confirmed without a committed intent, or by one that does not lead.
    pub effect_too_early: bool,
    /// An order hit a node that was released.
    pub late_effect: bool,
    /// A node that is long well was struck for an old verdict.
    pub struck_well: bool,
    /// The last order was given by one that did not make the intent just then.
    pub by_heir: bool,
}

/// A state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// The controllers.
    pub controllers: [Controller; CONTROLLERS],
    /// The node's cell.
    pub cell: Cell,
    /// The node has power.
    pub power: bool,
    /// It was booted again.
    pub booted: bool,
    /// Guests run on it.
    pub guests: bool,
    /// An order on its way: ticks that it has left.
    pub order: Option<u8>,
    /// Crashes that are left.
    pub crashes: u8,
    /// What only the model sees.
    pub ghost: Ghost,
}

/// Number of entries.
pub(super) fn len(log: &Log) -> usize {
    log.iter().flatten().count()
}

/// Index from 1 and term of the intent.
pub(super) fn intent(log: &Log) -> Option<(u8, u8)> {
    let numbered = (1u8..).zip(log.iter().flatten());
    numbered.filter(|(_, e)| e.kind == Kind::Intent).map(|(index, e)| (index, e.term)).next()
}

/// Folds committed entries. Entries that no longer fit change nothing.
pub(super) fn outcome<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    fenced_after_cancel: bool,
) -> Outcome {
    entries.fold(Outcome::Nothing, |before, entry| match (before, entry.kind) {
        (Outcome::Nothing, Kind::Intent) => Outcome::Fencing,
        (Outcome::Fencing, Kind::Cancel) => Outcome::Cancelled,
        (Outcome::Fencing, Kind::Fenced) => Outcome::Fenced,
        (Outcome::Cancelled, Kind::Fenced) if fenced_after_cancel => Outcome::Fenced,
        (Outcome::Fenced, Kind::Released) => Outcome::Released,
        (before, Kind::Noop | Kind::Intent | Kind::Cancel | Kind::Fenced | Kind::Released) => {
            before
        }
    })
}

impl State {
    /// One leader, its first entry committed everywhere, a node in trouble.
    pub fn new(crashes: u8) -> Self {
        let mut log = [None; ENTRIES];
        log[0] = Some(Entry { kind: Kind::Noop, term: 1 });
        let follower =
            Controller { term: 1, leads: false, log, commit: 1, fresh: false, waited: 0 };
        let leader = Controller { leads: true, ..follower };
        Self {
            controllers: [leader, follower, follower],
            cell: Cell::Troubled,
            power: true,
            booted: false,
            guests: true,
            order: None,
            crashes,
            ghost: Ghost::default(),
        }
    }
}
