//! The sans-I/O core around the library: everything in by a call, everything out by an [`Output`].

use std::collections::BTreeMap;

use ::raft::{
    Config, LightReady, ProgressState, RawNode, Ready, SnapshotStatus, StateRole, Storage,
};

use super::admit::Admission;
use super::log::{Hard, Record, Restored, Saved, Write};
use super::message::Message;
use super::shelf::{Shelf, from_hard_state, from_snapshot};
use super::{Index, MAX_COMMAND, MAX_READS, MAX_STATE, NotLeader, Output, PeerId, Settings, Term};

/// Ticks between two heartbeats.
const HEARTBEAT: usize = 2;
/// Shortest wait for a leader, in ticks; the longest is one less than twice this.
const ELECTION: usize = 10;
/// Ticks after which a snapshot that nobody acknowledged counts as lost.
const SNAPSHOT_LOST: u32 = 20;
/// Bytes of commands that a leader takes before the first of them is committed.
const MAX_UNCOMMITTED: u64 = 16 << 20;

/// One controller's part in the group. Deterministic: the same calls give the same outputs.
pub struct Raft {
    settings: Settings,
    raw: RawNode<Shelf>,
    /// Whether the own snapshot and log have been handed out after the start.
    begun: bool,
    halted: bool,
    told: Option<(Option<PeerId>, bool, Term)>,
    /// Highest term heard from each peer since the start.
    heard: BTreeMap<PeerId, u64>,
    /// Ticks since a snapshot went to a peer.
    in_snapshot: BTreeMap<PeerId, u32>,
    reads: Reads,
    /// Applied index at which the last snapshot was wanted or made.
    wanted: u64,
}

/// Tickets on their way. Each question carries a number of its own, so that a ticket asked twice
/// is two questions; within a term only one life of one leader asks.
#[derive(Default)]
struct Reads {
    next: u64,
    asked: BTreeMap<u64, u64>,
    /// Asked before this leader had committed an entry of its own term, which it must first.
    early: Vec<u64>,
}

impl Raft {
    /// Starts from what the store gave back. The first call to [`Raft::tick`] hands out the own
    /// snapshot and the committed entries behind it; before that the state machine is empty and
    /// must not answer anyone.
    ///
    /// # Panics
    /// If `settings` break their own rules: 1, 3 or 5 different peers of 1 to 5, `me` among them.
    pub fn new(settings: Settings, restored: Restored) -> Raft {
        let mut voters: Vec<u64> = settings.peers.iter().map(|peer| peer.0).collect();
        voters.sort_unstable();
        voters.dedup();
        assert!(voters.len() == settings.peers.len(), "a peer is named twice");
        assert!(matches!(voters.len(), 1 | 3 | 5), "a group has 1, 3 or 5 peers");
        assert!(voters.iter().all(|id| (1..=5).contains(id)), "peers are numbered 1 to 5");
        assert!(voters.contains(&settings.me.0), "this controller is not among the peers");
        let config = Config {
            id: settings.me.0,
            election_tick: ELECTION,
            heartbeat_tick: HEARTBEAT,
            min_election_tick: ELECTION,
            max_election_tick: 2 * ELECTION,
            applied: restored.compacted().0,
            max_size_per_msg: MAX_COMMAND as u64,
            max_inflight_msgs: 64,
            max_uncommitted_size: MAX_UNCOMMITTED,
            check_quorum: !mutants::is_on(mutants::Mutant::M40),
            pre_vote: true,
            ..Config::default()
        };
        let wanted = restored.compacted().0;
        let quiet = slog::Logger::root(slog::Discard, slog::o!());
        #[allow(clippy::expect_used, reason = "the asserts above are the library's own rules")]
        let raw = RawNode::new(&config, Shelf { held: restored, voters }, &quiet)
            .expect("settings were checked above");
        let mut raft = Raft {
            settings,
            raw,
            begun: false,
            halted: false,
            told: None,
            heard: BTreeMap::new(),
            in_snapshot: BTreeMap::new(),
            reads: Reads::default(),
            wanted,
        };
        raft.fix_timeout();
        raft
    }

    /// 50 ms have passed: heartbeats every 2 ticks, an election after 10 to 19 without a leader.
    /// After a stall it is called once, not once for each interval missed: time that this process
    /// did not run is no silence of the leader.
    pub fn tick(&mut self, out: &mut Vec<Output>) {
        if self.halted {
            return;
        }
        self.begin(out);
        self.raw.tick();
        self.give_up_lost_snapshots();
        self.drain(out);
    }

    /// A message came from `from`, who was authenticated by whoever carried it. What does not fit
    /// is dropped like a lost one; what shows that logs or disks contradict each other halts.
    pub fn step(&mut self, from: PeerId, message: Message, out: &mut Vec<Output>) {
        if self.halted {
            return;
        }
        self.begin(out);
        match self.admit(from, &message) {
            Admission::Drop(_) => return,
            Admission::Halt(reason) => {
                self.halted = true;
                self.reads = Reads::default();
                out.push(Output::Halt { reason });
                return;
            }
            Admission::Take => {}
        }
        if message.term_is_held() {
            let heard = self.heard.entry(from).or_default();
            *heard = message.term.max(*heard);
        }
        let conf_state = self.raw.store().conf_state();
        let Some(message) = self.bent(message) else { return };
        // What it refuses (a drop) changes nothing: as if the message had been lost.
        let _ = self.raw.step(message.into_library(from.0, self.settings.me.0, conf_state));
        self.drain(out);
    }

    /// Proposes a command; that it is accepted says nothing, only its `Apply` does. A command that
    /// is not applied when the role is lost may still be applied later, or never.
    ///
    /// # Errors
    /// [`NotLeader`]: nothing was proposed.
    ///
    /// # Panics
    /// If the command is empty or longer than [`MAX_COMMAND`]: the owner bounds what it proposes.
    pub fn propose(&mut self, command: Vec<u8>, out: &mut Vec<Output>) -> Result<(), NotLeader> {
        assert!(!command.is_empty() && command.len() <= MAX_COMMAND, "a command has 1..=1 MiB");
        self.begin(out);
        if !self.is_leader() {
            return Err(NotLeader { leader: self.leader() });
        }
        if self.raw.propose(Vec::new(), command).is_err() {
            return Err(NotLeader { leader: self.raw.raft.lead_transferee.map(PeerId) });
        }
        if mutants::is_on(mutants::Mutant::M39) {
            let last = self.raw.raft.raft_log.last_index();
            self.raw.raft.raft_log.commit_to(last);
        }
        self.drain(out);
        Ok(())
    }

    /// Asks a majority whether this is still the leader; `ReadReady` with the ticket is the yes.
    /// There is no no: a ticket ends unanswered when the role is lost.
    ///
    /// # Errors
    /// [`NotLeader`]: nothing was asked.
    pub fn read_index(&mut self, ticket: u64, out: &mut Vec<Output>) -> Result<(), NotLeader> {
        self.begin(out);
        let waiting = self.reads.asked.len() + self.reads.early.len();
        if !self.is_leader() || waiting >= MAX_READS {
            return Err(NotLeader { leader: self.leader() });
        }
        self.reads.early.push(ticket);
        self.drain(out);
        Ok(())
    }

    /// Hands the leadership to `to`, when it has caught up and within an election timeout, or not
    /// at all; meanwhile proposals are refused. Nothing on a follower.
    pub fn transfer(&mut self, to: PeerId, out: &mut Vec<Output>) {
        self.begin(out);
        if self.is_leader() && to != self.settings.me && self.is_peer(to) {
            self.raw.transfer_leader(to.0);
            self.drain(out);
        }
    }

    /// Replaces the log up to `index` by the state machine's state at exactly that index. Nothing
    /// if that is already so, or if `index` is not applied yet.
    ///
    /// # Panics
    /// If the state is longer than [`MAX_STATE`]: no peer would take it.
    pub fn compact(&mut self, index: Index, state: Vec<u8>, out: &mut Vec<Output>) {
        assert!(state.len() <= MAX_STATE, "a snapshot has at most 16 MiB");
        let held = &self.raw.store().held;
        if self.halted || index <= held.compacted() || index.0 > self.raw.raft.raft_log.applied {
            return;
        }
        let Some(term) = held.term_at(index.0) else { return };
        let snapshot = Some(Saved { index: index.0, term, state });
        self.persist(Write { snapshot, ..Write::default() }, out);
    }

    /// Whether this controller leads, as far as it knows: no authority by itself.
    pub fn is_leader(&self) -> bool {
        !self.halted && self.raw.raft.state == StateRole::Leader
    }

    /// Who leads the current term, if known.
    pub fn leader(&self) -> Option<PeerId> {
        Some(PeerId(self.raw.raft.leader_id)).filter(|peer| peer.0 != 0 && !self.halted)
    }

    /// The current term.
    pub fn term(&self) -> Term {
        Term(self.raw.raft.term)
    }

    /// Highest index known to be on the disks of a majority, in a term that was elected.
    pub fn commit(&self) -> Index {
        Index(self.raw.raft.raft_log.committed)
    }

    /// Last index in the log, committed or not.
    pub fn last_index(&self) -> Index {
        Index(self.raw.raft.raft_log.last_index())
    }

    /// On the leader: up to which index each peer is known to hold the leader's log on disk, in
    /// order of peers, its own included. Empty elsewhere.
    pub fn matched(&self) -> Vec<(PeerId, Index)> {
        if !self.is_leader() {
            return Vec::new();
        }
        let voters = &self.raw.store().voters;
        voters.iter().map(|id| (PeerId(*id), self.matched_by(PeerId(*id)))).collect()
    }

    /// Last index that was handed out by `Apply` or `Install`.
    pub fn applied(&self) -> Index {
        Index(self.raw.raft.raft_log.applied)
    }

    /// The entries after `after` that this log holds beyond what was handed out by `Apply`, uncommitted
    /// ones included: what this controller may already have acknowledged to a leader.
    pub fn tail(&self, after: Index) -> impl Iterator<Item = (Index, Term, &[u8])> {
        self.raw.store().held.entries_after(self.applied().max(after))
    }

    pub(super) fn me(&self) -> PeerId {
        self.settings.me
    }

    pub(super) fn is_peer(&self, peer: PeerId) -> bool {
        self.settings.peers.contains(&peer)
    }

    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        self.raw.store().term(index).ok()
    }

    pub(super) fn matched_by(&self, peer: PeerId) -> Index {
        let progress = self.raw.raft.prs().get(peer.0).filter(|_| self.is_leader());
        Index(progress.map_or(0, |progress| progress.matched))
    }

    #[cfg(test)]
    pub(super) fn next_for(&self, peer: PeerId) -> Index {
        Index(self.raw.raft.prs().get(peer.0).map_or(0, |progress| progress.next_idx))
    }

    #[cfg(test)]
    pub(super) fn make_probe(&mut self, peer: PeerId) {
        self.raw.report_unreachable(peer.0);
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> &Restored {
        &self.raw.store().held
    }

    /// Hands out the own snapshot, once.
    fn begin(&mut self, out: &mut Vec<Output>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let saved = self.raw.store().held.snapshot().clone();
        if saved.index > 0 {
            out.push(install(saved));
        }
        self.drain(out);
    }

    /// Takes everything out of the library, in the one order in which it is safe.
    fn drain(&mut self, out: &mut Vec<Output>) {
        loop {
            self.fix_timeout();
            self.ask_early_reads();
            if !self.raw.has_ready() {
                return;
            }
            let mut ready = self.raw.ready();
            self.send(ready.take_messages(), out);
            let mut write = write_of(&ready);
            let late = write.hard.take_if(|_| mutants::is_on(mutants::Mutant::M38));
            if mutants::is_on(mutants::Mutant::M71) {
                self.send(ready.take_persisted_messages(), out);
            }
            self.persist(write, out);
            self.tell_role(out);
            self.send(ready.take_persisted_messages(), out);
            self.persist(Write { hard: late, ..Write::default() }, out);
            if ready.snapshot().get_metadata().index > 0 {
                self.wanted = ready.snapshot().get_metadata().index;
                out.push(install(from_snapshot(ready.snapshot())));
            }
            self.apply(ready.take_committed_entries(), out);
            self.answer_reads(&ready, out);
            let light = self.raw.advance_append(ready);
            self.after_persisting(light, out);
            self.raw.advance_apply();
        }
    }

    /// What the library lets go only because the write before it is durable.
    fn after_persisting(&mut self, mut light: LightReady, out: &mut Vec<Output>) {
        if let Some(commit) = light.commit_index() {
            let hard = Hard { commit, ..self.raw.store().held.hard() };
            self.persist(Write { hard: Some(hard), ..Write::default() }, out);
        }
        self.send(light.take_messages(), out);
        self.apply(light.take_committed_entries(), out);
    }

    fn persist(&mut self, write: Write, out: &mut Vec<Output>) {
        if write.is_empty() {
            return;
        }
        let absorbed = self.raw.mut_store().held.absorb(&write);
        assert!(absorbed.is_ok(), "the log broke its own rules: {absorbed:?}");
        out.push(Output::Persist(write));
    }

    fn send(&mut self, messages: Vec<::raft::eraftpb::Message>, out: &mut Vec<Output>) {
        for message in messages {
            let to = PeerId(message.to);
            let heard = self.heard.get(&to).copied().unwrap_or(0);
            if let Some(message) = Message::from_library(message, heard) {
                out.push(Output::Send { to, message });
            }
        }
    }

    fn apply(&mut self, entries: Vec<::raft::eraftpb::Entry>, out: &mut Vec<Output>) {
        for entry in entries {
            let (index, term) = (Index(entry.index), Term(entry.term));
            out.push(Output::Apply { index, term, command: entry.data.to_vec() });
            if index.0 - self.wanted >= self.settings.snapshot_every.max(1) {
                self.wanted = index.0;
                out.push(Output::SnapshotWanted { index });
            }
        }
    }

    fn tell_role(&mut self, out: &mut Vec<Output>) {
        let now = (self.leader(), self.is_leader(), self.term());
        if self.told == Some(now) {
            return;
        }
        if !now.1 || self.told.is_none_or(|told| told.2 != now.2) {
            self.reads = Reads { next: self.reads.next, ..Reads::default() };
        }
        self.told = Some(now);
        let (leader, me_leading, term) = now;
        out.push(Output::Role { leader, me_leading, term });
    }

    /// The library drops a question that comes before the leader has committed in its own term;
    /// here it waits.
    fn ask_early_reads(&mut self) {
        if !self.is_leader() || !self.raw.raft.commit_to_current_term() {
            return;
        }
        for ticket in std::mem::take(&mut self.reads.early) {
            self.reads.next += 1;
            self.reads.asked.insert(self.reads.next, ticket);
            self.raw.read_index(self.reads.next.to_be_bytes().to_vec());
        }
    }

    fn answer_reads(&mut self, ready: &Ready, out: &mut Vec<Output>) {
        for state in ready.read_states() {
            let number = <[u8; 8]>::try_from(state.request_ctx.as_slice()).map(u64::from_be_bytes);
            let ticket = number.ok().and_then(|number| self.reads.asked.remove(&number));
            if let Some(ticket) = ticket {
                out.push(Output::ReadReady { ticket, index: Index(state.index) });
            }
        }
    }

    /// The library waits for ever for the fate of a snapshot; a lossy network tells none.
    fn give_up_lost_snapshots(&mut self) {
        if mutants::is_on(mutants::Mutant::M76) {
            return;
        }
        for peer in self.settings.peers.clone() {
            let progress = self.raw.raft.prs().get(peer.0).filter(|_| self.is_leader());
            if progress.is_none_or(|progress| progress.state != ProgressState::Snapshot) {
                self.in_snapshot.remove(&peer);
                continue;
            }
            let ticks = self.in_snapshot.entry(peer).or_default();
            *ticks += 1;
            if *ticks >= SNAPSHOT_LOST {
                self.in_snapshot.remove(&peer);
                self.raw.report_snapshot(peer.0, SnapshotStatus::Failure);
            }
        }
    }

    /// The library draws its election timeout from a global source of chance at every change of
    /// role; this overrules it by a function of seed, peer and term alone, different by at least
    /// two ticks for any two peers of a term.
    fn fix_timeout(&mut self) {
        let turn = mix(self.settings.seed ^ mix(self.raw.raft.term)) % ELECTION as u64;
        let place = (turn + 2 * (self.settings.me.0 - 1)) % ELECTION as u64;
        let timeout = ELECTION + usize::try_from(place).unwrap_or(0);
        self.raw.raft.set_randomized_election_timeout(timeout);
    }
}

fn install(saved: Saved) -> Output {
    Output::Install { index: Index(saved.index), term: Term(saved.term), state: saved.state }
}

fn write_of(ready: &Ready) -> Write {
    let entries = ready.entries();
    let snapshot = ready.snapshot();
    Write {
        hard: ready.hs().map(from_hard_state),
        snapshot: (snapshot.get_metadata().index > 0).then(|| from_snapshot(snapshot)),
        first: entries.first().map_or(0, |entry| entry.index),
        entries: entries
            .iter()
            .map(|entry| Record { term: entry.term, command: entry.data.to_vec() })
            .collect(),
    }
}

/// A fixed scrambling of 64 bits (the finaliser of splitmix64).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
