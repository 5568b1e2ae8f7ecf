//! A small cluster under virtual time: real cores, simulated disks, a network that loses, delays,
//! doubles and reorders, and oracles that look after every output.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests may, and print their seeds")]

use std::collections::{BTreeMap, BTreeSet};

use super::{Index, Message, Output, PeerId, Raft, Restored, Settings, Term};

/// Milliseconds between two ticks of a controller.
const TICK: u64 = 50;

/// A source of chance with a seed (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// When a controller dies at its next write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    BeforePersist,
    AfterPersist,
}

/// A rule of the shell that is broken on purpose, to see that the oracles see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breach {
    None,
    /// A restart loses the last entry, if it was not committed.
    LosesLastEntry,
    /// What follows a write that never became durable is sent all the same.
    SendsBeforePersist,
}

pub(super) struct Machine {
    pub(super) raft: Option<Raft>,
    pub(super) disk: Restored,
    /// The state machine: applied index, term of it, and a running hash of all commands.
    pub(super) state: (u64, u64, u64),
    pub(super) crash: Option<Crash>,
    pub(super) halted: Option<String>,
    pub(super) ready: Vec<(u64, Index)>,
}

struct Packet {
    at: u64,
    number: u64,
    from: PeerId,
    to: PeerId,
    message: Message,
}

pub(super) struct Rig {
    pub(super) now: u64,
    pub(super) machines: BTreeMap<PeerId, Machine>,
    pub(super) dice: Dice,
    pub(super) loss: u64,
    pub(super) doubled: u64,
    pub(super) delay: u64,
    pub(super) cut: BTreeSet<(PeerId, PeerId)>,
    pub(super) trace: String,
    /// Everything ever applied anywhere: index to term and command.
    pub(super) history: BTreeMap<u64, (u64, Vec<u8>)>,
    pub(super) leaders: BTreeMap<Term, PeerId>,
    pub(super) snapshot_every: u64,
    pub(super) installs: u64,
    pub(super) reads: BTreeMap<u64, u64>,
    pub(super) breach: Breach,
    packets: Vec<Packet>,
    sent: u64,
    seed: u64,
}

impl Rig {
    pub(super) fn new(peers: u64, seed: u64) -> Rig {
        let mut rig = Rig {
            now: 0,
            machines: BTreeMap::new(),
            dice: Dice(seed),
            loss: 0,
            doubled: 0,
            delay: 4,
            cut: BTreeSet::new(),
            trace: String::new(),
            history: BTreeMap::new(),
            leaders: BTreeMap::new(),
            snapshot_every: 1000,
            installs: 0,
            reads: BTreeMap::new(),
            breach: Breach::None,
            packets: Vec::new(),
            sent: 0,
            seed,
        };
        for id in 1..=peers {
            let machine = Machine {
                raft: None,
                disk: Restored::default(),
                state: (0, 0, 0),
                crash: None,
                halted: None,
                ready: Vec::new(),
            };
            rig.machines.insert(PeerId(id), machine);
        }
        for id in 1..=peers {
            rig.start(PeerId(id));
        }
        rig
    }

    pub(super) fn peers(&self) -> Vec<PeerId> {
        self.machines.keys().copied().collect()
    }

    pub(super) fn machine(&mut self, id: PeerId) -> &mut Machine {
        self.machines.get_mut(&id).unwrap()
    }

    pub(super) fn raft(&mut self, id: PeerId) -> &mut Raft {
        self.machine(id).raft.as_mut().unwrap()
    }

    pub(super) fn start(&mut self, id: PeerId) {
        let settings = Settings {
            me: id,
            peers: self.peers(),
            seed: self.seed,
            snapshot_every: self.snapshot_every,
        };
        let breach = self.breach;
        let machine = self.machine(id);
        if breach == Breach::LosesLastEntry {
            machine.disk.forget_last_entry();
        }
        let raft = Raft::new(settings, machine.disk.clone());
        machine.raft = Some(raft);
        machine.state = (0, 0, 0);
        self.note(id, "starts");
    }

    pub(super) fn kill(&mut self, id: PeerId) {
        self.machine(id).raft = None;
        self.note(id, "dies");
    }

    /// The one controller that leads the highest term, if it can still reach a majority's ear.
    pub(super) fn leader(&self) -> Option<PeerId> {
        let running = self.machines.iter().filter_map(|(id, m)| Some((id, m.raft.as_ref()?)));
        running
            .filter(|(_, raft)| raft.is_leader())
            .max_by_key(|(_, raft)| raft.term())
            .map(|l| *l.0)
    }

    pub(super) fn isolate(&mut self, id: PeerId) {
        for other in self.peers() {
            self.cut.insert((id, other));
            self.cut.insert((other, id));
        }
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Runs until `until` says yes, at most `most` ms; gives the time it took.
    pub(super) fn run_until(&mut self, most: u64, until: impl Fn(&Rig) -> bool) -> Option<u64> {
        let begin = self.now;
        while self.now < begin + most {
            self.step_ms();
            if until(self) {
                return Some(self.now - begin);
            }
        }
        None
    }

    pub(super) fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    fn step_ms(&mut self) {
        self.now += 1;
        let mut due: Vec<Packet> = Vec::new();
        let now = self.now;
        let (ready, later) =
            std::mem::take(&mut self.packets).into_iter().partition(|p| p.at <= now);
        self.packets = later;
        due.extend::<Vec<Packet>>(ready);
        due.sort_by_key(|packet| (packet.at, packet.number));
        for packet in due {
            if !self.cut.contains(&(packet.from, packet.to)) {
                let (from, message) = (packet.from, packet.message);
                self.call(packet.to, |raft, out| raft.step(from, message, out));
            }
        }
        for id in self.peers() {
            if (self.now + 7 * id.0).is_multiple_of(TICK) {
                self.call(id, |raft, out| raft.tick(out));
            }
        }
    }

    pub(super) fn propose(&mut self, id: PeerId, command: &[u8]) -> bool {
        let command = command.to_vec();
        self.call(id, |raft, out| raft.propose(command, out).is_ok()).unwrap_or(false)
    }

    pub(super) fn read(&mut self, id: PeerId, ticket: u64) -> bool {
        let newest = self.history.keys().next_back().copied().unwrap_or(0);
        let asked = self.call(id, |raft, out| {
            // Answers of a single controller come within the call.
            raft.read_index(ticket, out).is_ok()
        });
        self.reads.insert(ticket, newest);
        asked.unwrap_or(false)
    }

    /// Calls into a running core and carries its outputs out as a shell does.
    pub(super) fn call<R>(
        &mut self,
        id: PeerId,
        call: impl FnOnce(&mut Raft, &mut Vec<Output>) -> R,
    ) -> Option<R> {
        let mut out = Vec::new();
        let result = call(self.machine(id).raft.as_mut()?, &mut out);
        self.carry_out(id, out);
        Some(result)
    }

    fn carry_out(&mut self, id: PeerId, mut outputs: Vec<Output>) {
        while !outputs.is_empty() {
            let mut snapshots = Vec::new();
            let mut left = std::mem::take(&mut outputs).into_iter();
            while let Some(output) = left.next() {
                self.note(id, &output.to_string());
                match output {
                    Output::Persist(write) => {
                        let machine = self.machine(id);
                        let crash = machine.crash.take();
                        if crash != Some(Crash::BeforePersist) {
                            machine.disk.absorb(&write).unwrap();
                        }
                        if crash.is_some() {
                            if self.breach == Breach::SendsBeforePersist {
                                self.post_all(id, left);
                            }
                            self.kill(id);
                            return;
                        }
                    }
                    Output::Send { to, message } => self.post(id, to, message),
                    Output::Apply { index, term, command } => {
                        self.applied(id, index, term, &command);
                    }
                    Output::Install { index, term, state } => {
                        let hash = u64::from_be_bytes(state.try_into().unwrap());
                        self.machine(id).state = (index.0, term.0, hash);
                        self.installs += 1;
                    }
                    Output::SnapshotWanted { index } => {
                        let state = self.machine(id).state;
                        assert_eq!(state.0, index.0, "wanted where the state machine stands");
                        snapshots.push((index, state.2.to_be_bytes().to_vec()));
                    }
                    Output::Role { me_leading: true, term, .. } => self.elected(id, term),
                    Output::Role { .. } => {}
                    Output::ReadReady { ticket, index } => {
                        let newest = self.reads.get(&ticket).copied().unwrap_or(0);
                        assert!(index.0 >= newest, "read {ticket} misses what was committed");
                        self.machine(id).ready.push((ticket, index));
                    }
                    Output::Halt { reason } => {
                        self.machine(id).halted = Some(reason);
                        self.kill(id);
                        return;
                    }
                }
            }
            for (index, state) in snapshots {
                self.raft(id).compact(index, state, &mut outputs);
            }
        }
        self.check_order(id);
    }

    fn post_all(&mut self, from: PeerId, outputs: impl Iterator<Item = Output>) {
        for output in outputs {
            if let Output::Send { to, message } = output {
                self.post(from, to, message);
            }
        }
    }

    fn post(&mut self, from: PeerId, to: PeerId, message: Message) {
        let message = Message::decode(&message.encode()).unwrap();
        let copies = if self.dice.percent(self.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now + 1 + self.dice.below(self.delay);
            self.sent += 1;
            if !self.dice.percent(self.loss) {
                let message = message.clone();
                self.packets.push(Packet { at, number: self.sent, from, to, message });
            }
        }
    }

    /// State machine safety, and commitment on a majority of disks.
    pub(super) fn applied(&mut self, id: PeerId, index: Index, term: Term, command: &[u8]) {
        let majority = self.machines.len() / 2 + 1;
        let holders = self.machines.values().filter(|machine| {
            let disk = &machine.disk;
            index <= disk.compacted() || disk.term_at(index.0) == Some(term.0)
        });
        let holders = holders.count();
        let entry = (term.0, command.to_vec());
        let state = &mut self.machines.get_mut(&id).unwrap().state;
        assert_eq!(index.0, state.0 + 1, "{id} applies in order");
        *state = (index.0, term.0, Dice(state.2 ^ fold(command) ^ term.0).roll());
        match self.history.get(&index.0) {
            Some(known) => assert_eq!(*known, entry, "{id} applies another {index}"),
            None => {
                assert!(holders >= majority, "{index} applied, on {holders} disks only");
                self.history.insert(index.0, entry);
            }
        }
    }

    /// Election safety and leader completeness.
    fn elected(&mut self, id: PeerId, term: Term) {
        let first = *self.leaders.entry(term).or_insert(id);
        assert_eq!(first, id, "two leaders in term {term}");
        let disk = &self.machines[&id].disk;
        for (index, (entry_term, _)) in self.history.range(disk.compacted().0 + 1..) {
            assert_eq!(disk.term_at(*index), Some(*entry_term), "{id} leads without {index}");
        }
    }

    /// snapshot <= applied <= committed <= last, and memory agrees with the disk.
    fn check_order(&mut self, id: PeerId) {
        let machine = &self.machines[&id];
        let Some(raft) = &machine.raft else { return };
        let (snapshot, applied) = (machine.disk.compacted().0, machine.state.0);
        let (commit, last) = (raft.commit().0, raft.last_index().0);
        assert!(
            snapshot <= applied && applied <= commit && commit <= last,
            "{id}: {snapshot} {applied} {commit} {last}"
        );
        assert_eq!(raft.held(), &machine.disk, "{id}: memory and disk differ");
        for (peer, matched) in raft.matched() {
            assert!(peer == id || raft.next_for(peer) > matched, "{id}: next <= match of {peer}");
        }
    }

    /// Log matching: where two disks agree on index and term, they agree on all before it.
    pub(super) fn check_log_matching(&self) {
        let disks: Vec<&Restored> = self.machines.values().map(|machine| &machine.disk).collect();
        for (at, one) in disks.iter().enumerate() {
            for two in &disks[..at] {
                let from = one.compacted().max(two.compacted());
                let pairs: Vec<_> = one.entries_after(from).zip(two.entries_after(from)).collect();
                let same = pairs.iter().rposition(|(a, b)| a.1 == b.1).map_or(0, |at| at + 1);
                assert!(pairs[..same].iter().all(|(a, b)| a == b), "logs do not match");
            }
        }
    }

    fn note(&mut self, id: PeerId, what: &str) {
        use std::fmt::Write;
        let _ = writeln!(self.trace, "{:>6} {id} {what}", self.now);
    }
}

fn fold(command: &[u8]) -> u64 {
    command.iter().fold(command.len() as u64, |hash, byte| Dice(hash ^ u64::from(*byte)).roll())
}
