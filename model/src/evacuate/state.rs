//! A state of the evacuation model: what is committed, what the leader holds in its head, what Nova and the nodes do.

/// VMs at most.
pub(super) const VMS: usize = 2;
const POSTS: usize = 2;
const RECORDS: usize = 3;

/// Where a VM may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// The node that was fenced.
    Source,
    /// A destination.
    First,
    /// Another destination.
    Second,
}

/// Both destinations.
pub(super) const DESTINATIONS: [Place; 2] = [Place::First, Place::Second];

impl Place {
    /// Its bit in a set of places.
    pub fn bit(self) -> u8 {
        match self {
            Place::Source => 1,
            Place::First => 2,
            Place::Second => 4,
        }
    }
}

/// How far the incident is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// The intent is committed.
    Fencing,
    /// The node is off.
    Fenced,
    /// Nova knows it.
    ForcedDown,
    /// VM by VM.
    Evacuating,
    /// Every VM is moved or parked.
    Recovered,
    /// The node may come back.
    Released,
    /// Its service is in use.
    Returned,
}

/// How far a VM is, as committed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Progress {
    /// No attempt that counts.
    Waiting,
    /// One POST may be sent, or was.
    Attempted(Place),
    /// Nova queued it.
    Sent(Place),
    /// It runs there.
    Moved(Place),
    /// Left to a human.
    Parked,
}

/// A migration record's status.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Status {
    /// Queued.
    Accepted,
    /// The destination works on it.
    PreMigrating,
    /// The guest was started; the record does not say so yet.
    Spawned,
    /// It ended well.
    Done,
    /// The source cleaned up after it.
    Completed,
    /// No host was found; no node was touched.
    Error,
    /// It broke off; a guest may be left there.
    Failed,
}

impl Status {
    /// Whether Nova shows it as not ended. A guest that was just started changes nothing in the record.
    pub fn is_queued(self) -> bool {
        matches!(self, Status::Accepted | Status::PreMigrating | Status::Spawned)
    }
}

/// A migration record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    /// Its destination.
    pub place: Place,
    /// Where it stands.
    pub status: Status,
}

/// What the leader decided and has not committed yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Decision {
    /// The attempt had no effect, by word of Nova.
    Void,
    /// It left no trace and no node runs it: the next names the same place.
    VoidSame(Place),
    /// Its record ended without a host.
    VoidPast(u8),
    /// Nova queued it.
    Sent,
    /// It runs there.
    Moved(Place),
    /// A human must look.
    Parked,
}

/// What a node's agent answered about a VM since the question mattered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Seen {
    /// It was not asked.
    Unasked,
    /// It does not run there.
    Absent,
    /// It runs there.
    Present,
}

/// A VM.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Vm {
    /// Committed.
    pub progress: Progress,
    /// Committed: the next attempt must name this place.
    pub same: Option<Place>,
    /// Committed: records up to this one say nothing.
    pub past: u8,
    /// Attempts.
    pub tries: u8,
    /// The leader: found it on the source.
    pub looked: bool,
    /// The leader: may send the POST.
    pub mine: bool,
    /// The leader: waits for Nova's answer.
    pub waits: bool,
    /// The leader: will commit this.
    pub decision: Option<Decision>,
    /// The leader: census by destination.
    pub census: [Seen; 2],
    /// POSTs on their way; the first is the leader's own if it waits for an answer.
    pub posts: [Option<Place>; POSTS],
    /// Nova's records, oldest first.
    pub records: [Option<Record>; RECORDS],
    /// Where Nova places it.
    pub host: Place,
    /// Where a guest of it runs, a bit each.
    pub guests: u8,
}

/// A state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// Committed.
    pub stage: Stage,
    /// The VMs.
    pub vms: [Vm; VMS],
    /// The source has no power or was rebooted, so that no guest of before runs.
    pub off: bool,
    /// The source was booted again; its gate is closed.
    pub booted: bool,
    /// Nova holds the source down.
    pub forced_down: bool,
    /// Destinations without power.
    pub dead: [bool; 2],
    /// Changes of leader that are left.
    pub elections: u8,
    /// Deaths of destinations that are left.
    pub deaths: u8,
    /// A POST left before `Fenced` and `ForcedDown`.
    pub early: bool,
}

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The source loses its power.
    SourceOff,
    /// The stage goes on to this one.
    Enter(Stage),
    /// The source boots; the gate stays closed.
    SourceBoots,
    /// A mutant clears `forced_down`.
    Clears,
    /// Another controller leads: whether it inherits what the old one was about to commit, and whether a POST that the
    /// old one was about to send leaves it later.
    Elected(bool, bool),
    /// All orders on their way are past their deadline and their channel's life.
    OrdersLapse,
    /// A destination dies.
    Dies(u8),
    /// The leader looks at a VM.
    Looks(u8),
    /// An attempt is committed.
    Attempt(u8, Place),
    /// The POST leaves.
    Posts(u8),
    /// The leader waits for Nova's answer no longer; the POST may yet arrive.
    TimesOut(u8),
    /// Nova takes a POST: which, and whether its answer arrives.
    Taken(u8, u8, bool),
    /// A POST is lost on the way: which, and whether its sender knows that it never left.
    Lost(u8, u8, bool),
    /// The leader follows the newest record, or finds none and has a census.
    Follows(u8),
    /// The leader gives a record up that does not move.
    GivesUp(u8),
    /// The leader asks a destination's agent.
    Asks(u8, u8),
    /// The leader's decision is committed.
    Decided(u8),
    /// Nova finds a host, or none.
    Schedules(u8, u8, bool),
    /// The destination starts the guest, or fails before.
    Spawns(u8, u8, bool),
    /// The record ends: well, or `failed` with the guest left running.
    Ends(u8, u8, bool),
    /// A user starts a VM that Nova places on the source, which is back.
    UserStarts(u8),
}

impl Vm {
    const NEW: Vm = Vm {
        progress: Progress::Waiting,
        same: None,
        past: 0,
        tries: 0,
        looked: false,
        mine: false,
        waits: false,
        decision: None,
        census: [Seen::Unasked; 2],
        posts: [None; POSTS],
        records: [None; RECORDS],
        host: Place::Source,
        guests: 1,
    };

    /// Its records.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().flatten()
    }

    /// Number of the newest record, from 1, beyond those that say nothing.
    pub fn newest(&self) -> Option<(u8, Record)> {
        let numbered = (1u8..).zip(self.records.iter().flatten().copied());
        numbered.filter(|(number, _)| *number > self.past).last()
    }

    /// Whether a POST is on its way.
    pub fn has_posts(&self) -> bool {
        self.posts.iter().any(Option::is_some)
    }

    /// Settled for good.
    pub fn is_settled(&self) -> bool {
        matches!(self.progress, Progress::Moved(_) | Progress::Parked)
    }

    /// Everywhere but on the source where a guest runs or may yet be started by what is on its way.
    pub fn places_that_may_start(&self) -> u8 {
        let posts = self.posts.iter().flatten().map(|place| place.bit());
        let records = self.records().filter(|r| r.status.is_queued()).map(|r| r.place.bit());
        (self.guests & 0b110) | posts.chain(records).fold(0, |bits, bit| bits | bit)
    }
}

impl State {
    /// The intent is committed, every VM runs on the source.
    pub fn new(elections: u8, deaths: u8) -> Self {
        Self {
            stage: Stage::Fencing,
            vms: [Vm::NEW; VMS],
            off: false,
            booted: false,
            forced_down: false,
            dead: [false; 2],
            elections,
            deaths,
            early: false,
        }
    }

    /// Whether a place has power.
    pub fn lives(&self, place: Place) -> bool {
        match place {
            Place::Source => !self.off || self.booted,
            Place::First => !self.dead[0],
            Place::Second => !self.dead[1],
        }
    }
}
