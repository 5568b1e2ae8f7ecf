//! The core against controllers and peers that answer as each test wants. Times are those of `fast`: p 1, L 20, C 12,
//! W 8 seconds. Mutants are named by their number in `docs/safety.md`.
#![allow(clippy::wildcard_enum_match_arm)] // A test looks for one variant; new ones do not concern it.

mod arming;
mod lease;
mod log;
mod orders;
mod shell;
mod vouch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use fencing::lease::{Change, Hazards, LeaseTimes, LogPart, Message, Profile, WatchdogState};
use fencing::sign::{KeyPair, Signer};
use fencing::{BootId, ControllerId, Epoch, NodeId};
use uuid::Uuid;

use super::{Effect, Event, Pinned, ResetReason, Saved, Sentinel, Setup, Start};

const CLUSTER: Uuid = Uuid::from_u128(77);
const ME: NodeId = NodeId(Uuid::from_u128(1));
const BOOT: BootId = BootId(Uuid::from_u128(1001));
const NETWORKS: u16 = 2;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn peer(number: u128) -> (NodeId, BootId) {
    (NodeId(Uuid::from_u128(number)), BootId(Uuid::from_u128(1000 + number)))
}

fn key(controller: u64) -> KeyPair {
    KeyPair::from_seed([u8::try_from(controller).unwrap(); 32])
}

/// One address per network; the last byte says whose.
fn addresses(number: u128, port: u16) -> Vec<SocketAddr> {
    let last = u8::try_from(number).unwrap();
    (0..NETWORKS)
        .map(|n| SocketAddr::from(([127, 9, u8::try_from(n).unwrap(), last], port)))
        .collect()
}

fn controllers(ids: &[u64]) -> Change {
    let set = ids.iter().map(|&id| (ControllerId(id), addresses(u128::from(id), 1)));
    Change::Controllers { set: set.collect() }
}

fn armed(node: NodeId, boot: BootId) -> Change {
    let times = Profile::Fast.times();
    Change::Armed { node, boot, times, addresses: addresses(node.0.as_u128(), 2) }
}

/// A sentinel and its world. Answers come at once, or `latency` later.
struct Bench {
    core: Sentinel,
    now: Duration,
    latency: Duration,
    acking: BTreeSet<u64>,
    vouching: BTreeSet<u128>,
    stores: bool,
    opens_with: Option<(Duration, bool)>,
    stall_in_feed: Duration,
    stall_in_open: Duration,
    log: u64,
    coming: Vec<(Duration, Event)>,
    done: Vec<(Duration, Effect)>,
}

fn setup(start: Start) -> Setup {
    let pinned =
        |id: u64| Pinned { key: key(id).public(), addresses: addresses(u128::from(id), 1) };
    Setup {
        cluster: CLUSTER,
        node: ME,
        boot: BOOT,
        booted_at: Duration::ZERO,
        times: Profile::Fast.times(),
        controllers: (1..=3).map(|id| (ControllerId(id), pinned(id))).collect(),
        has_watchdog: true,
        hazards: Hazards::default(),
        start,
        highest_epoch: Some(Epoch { term: 1, index: 5 }),
        seed: 42,
    }
}

impl Bench {
    fn new() -> Self {
        Self::of(setup(Start::Fresh))
    }

    fn of(setup: Setup) -> Self {
        Self {
            core: Sentinel::new(setup),
            now: Duration::ZERO,
            latency: Duration::ZERO,
            acking: BTreeSet::new(),
            vouching: BTreeSet::new(),
            stores: true,
            opens_with: Some((seconds(8.0), true)),
            stall_in_feed: Duration::ZERO,
            stall_in_open: Duration::ZERO,
            log: 0,
            coming: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Armed, with `others` more armed nodes, all controllers acking, at 5 s.
    fn armed(others: u128) -> Self {
        let mut bench = Self::new();
        bench.acking = BTreeSet::from([1, 2, 3]);
        bench.run(1.0);
        bench.arm(others);
        bench.run(5.0);
        assert!(bench.core.status(bench.now).armed);
        bench
    }

    fn arm(&mut self, others: u128) {
        let mut changes = vec![controllers(&[1, 2, 3]), armed(ME, BOOT)];
        changes.extend((2..2 + others).map(|n| armed(peer(n).0, peer(n).1)));
        self.commit(&changes);
    }

    /// All changes in one part, told by controller 1.
    fn commit(&mut self, changes: &[Change]) {
        self.commit_from(1, changes);
    }

    fn commit_from(&mut self, controller: u64, changes: &[Change]) {
        let after = self.log;
        self.log += u64::try_from(changes.len()).unwrap();
        let changes = (after + 1..).zip(changes.iter().cloned()).collect();
        let part = LogPart::Entries { after, upto: self.log, changes };
        self.part(controller, self.log, part);
    }

    fn part(&mut self, controller: u64, committed: u64, log: LogPart) {
        let message = Message::NoAck { seq: 0, committed, log };
        self.message(Signer::Controller(ControllerId(controller)), message);
    }

    fn message(&mut self, signer: Signer, message: Message) {
        let from = addresses(9, 9)[0];
        self.event(Event::Message { signer, network: 0, from, message });
    }

    fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.core.handle(self.now, event, &mut effects);
        assert!(self.core.remembers_rightly());
        self.carry_out(effects);
    }

    /// Lets time pass up to `until`, with every timer and every answer on its time.
    fn run(&mut self, until: f64) {
        let until = seconds(until);
        for _ in 0..100_000 {
            self.coming.sort_by_key(|(at, _)| *at);
            let answer = self.coming.first().map(|(at, _)| *at).filter(|at| *at <= until);
            let timer = self.core.poll_timeout().map(|(at, _)| at).filter(|at| *at <= until);
            match (answer, timer) {
                (Some(answer), timer) if timer.is_none_or(|timer| answer <= timer) => {
                    self.now = self.now.max(answer);
                    let (_, event) = self.coming.remove(0);
                    self.event(event);
                }
                (_, Some(timer)) => {
                    self.now = self.now.max(timer);
                    self.event(Event::Timeout);
                }
                (_, None) => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("did not settle: {:?}", self.core.poll_timeout());
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.done.push((self.now, effect.clone()));
            match effect {
                Effect::Send { to, message } => self.answer(&to, &message),
                Effect::Store(Saved { n, .. }) if self.stores => self.event(Event::Stored { n }),
                Effect::OpenWatchdog => {
                    self.now += self.stall_in_open;
                    self.event(match self.opens_with {
                        Some((timeout, counts_for_e2)) => {
                            let class = fencing::watchdog::Class::Hardware;
                            Event::WatchdogOpened { timeout, class, counts_for_e2 }
                        }
                        None => Event::WatchdogFailed("busy".to_owned()),
                    });
                }
                Effect::Feed => {
                    self.now += self.stall_in_feed;
                    let mut effects = Vec::new();
                    self.core.after_feed(self.now, &mut effects);
                    self.carry_out(effects);
                }
                Effect::Store(_)
                | Effect::StoreEpoch(_)
                | Effect::MagicClose
                | Effect::GateOpen { .. }
                | Effect::GateClosed
                | Effect::Warn(_)
                | Effect::Reset(_) => {}
            }
        }
    }

    fn answer(&mut self, to: &[(u8, SocketAddr)], message: &Message) {
        let mut answers: Vec<(Signer, Message)> = Vec::new();
        if let Message::Renew { boot, seq, .. } = *message {
            answers.extend(self.acking.iter().map(|&id| {
                let (committed, log) = (self.log, LogPart::Nothing);
                (
                    Signer::Controller(ControllerId(id)),
                    Message::Ack { node: ME, boot, seq, committed, log },
                )
            }));
        }
        if let Message::Ask { node, boot, seq } = *message {
            answers.extend(self.vouching.iter().filter_map(|&number| {
                let asked = addresses(number, 2).iter().any(|a| to.iter().any(|(_, to)| to == a));
                let (voter, voter_boot) = peer(number);
                asked.then_some((
                    Signer::Node(voter),
                    Message::Vouch { voter, voter_boot, node, boot, seq },
                ))
            }));
        }
        for (signer, message) in answers {
            let event = Event::Message { signer, network: 0, from: to[0].1, message };
            self.coming.push((self.now + self.latency, event));
        }
    }

    fn times_of(&self, wanted: impl Fn(&Effect) -> bool) -> Vec<f64> {
        let found = self.done.iter().filter(|(_, effect)| wanted(effect));
        found.map(|(at, _)| at.as_secs_f64()).collect()
    }

    fn feeds(&self) -> Vec<f64> {
        self.times_of(|effect| *effect == Effect::Feed)
    }

    fn resets(&self) -> Vec<(f64, ResetReason)> {
        let mut resets = Vec::new();
        for (at, effect) in &self.done {
            if let Effect::Reset(reason) = effect {
                resets.push((at.as_secs_f64(), *reason));
            }
        }
        resets
    }

    fn sent(&self) -> Vec<&Message> {
        let mut sent = Vec::new();
        for (_, effect) in &self.done {
            if let Effect::Send { message, .. } = effect {
                sent.push(message);
            }
        }
        sent
    }

    fn last_renewal(&self) -> (u64, u64, u64, WatchdogState) {
        for message in self.sent().into_iter().rev() {
            if let Message::Renew { seq, n, challenge, watchdog, .. } = *message {
                return (seq, n, challenge, watchdog);
            }
        }
        panic!("no renewal was sent")
    }

    fn did(&self, wanted: &Effect) -> bool {
        self.done.iter().any(|(_, effect)| effect == wanted)
    }
}

/// A pair of times that differ.
fn times(lease: f64, vouch: f64) -> LeaseTimes {
    LeaseTimes { lease: seconds(lease), vouch: seconds(vouch), ..Profile::Fast.times() }
}

/// Voters by number, for messages to and fro.
fn vouch(number: u128, seq: u64) -> (Signer, Message) {
    let (voter, voter_boot) = peer(number);
    (Signer::Node(voter), Message::Vouch { voter, voter_boot, node: ME, boot: BOOT, seq })
}

fn ask(number: u128, seq: u64) -> (Signer, Message) {
    let (node, boot) = peer(number);
    (Signer::Node(node), Message::Ask { node, boot, seq })
}

fn refused(bench: &Bench) -> BTreeMap<super::OrderRefusal, u64> {
    bench.core.counters().refused_orders.clone()
}
