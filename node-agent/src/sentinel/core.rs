//! The sentinel's decisions: `docs/safety.md`, the lease, rules 1 to 7 and 13. Pure: `now` is CLOCK_BOOTTIME, the
//! time since the machine's boot, so that a restarted sentinel never uses a sequence number again, and so that a
//! suspended machine finds its lease over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use fencing::lease::{Adopted, Hazards, LeaseTimes, Message, WatchdogState, vouches_needed};
use fencing::watchdog::Class;
use fencing::{BootId, ControllerId, Epoch, NodeId};
use mutants::{Mutant, is_on};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::adoption::Log;
#[cfg(test)]
use super::adoption::Own;
use super::counters::Counters;
use super::device::Device;
use super::event::{Effect, Event, ResetReason, Saved, Warning};
use super::lease::Lease;
use super::peers::{Peers, Voter};
use super::renewal::More;
use super::setup::{Pinned, Setup, Start, Status};

/// Sentinel of one boot of one node.
#[derive(Debug)]
pub struct Sentinel {
    pub(super) cluster: Uuid,
    pub(super) node: NodeId,
    pub(super) boot: BootId,
    pub(super) booted_at: Duration,
    own_times: LeaseTimes,
    pub(super) pinned: BTreeMap<ControllerId, Pinned>,
    pub(super) log: Log,
    pub(super) lease: Lease,
    lease_base: Option<Duration>,
    pub(super) peers: Peers,
    pub(super) device: Device,
    /// Why it is not to be armed.
    pub(super) hazards: Hazards,
    pub(super) highest_epoch: Option<Epoch>,
    /// Of renewals and asks alike.
    seq: u64,
    pub(super) next_renewal: Duration,
    pub(super) more: Option<More>,
    pub(super) rng: ChaCha8Rng,
    phase: Phase,
    pub(super) lease_is_old: bool,
    /// Since when it lets its watchdog fire.
    drill_since: Option<Duration>,
    warned_of_entry: bool,
    pub(super) counters: Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has happened yet.
    New,
    Running,
    /// A reset was ordered: no feed, no vouch, nothing any more, should the machine go on for a while.
    Reset,
}

/// An address per network, in the order of the configuration.
pub(super) fn everywhere(addresses: &[SocketAddr]) -> impl Iterator<Item = (u8, SocketAddr)> + '_ {
    (0..=u8::MAX).zip(addresses.iter().copied())
}

impl Sentinel {
    /// A sentinel that has done nothing yet. Hand it [`Event::Timeout`] at once.
    pub fn new(setup: Setup) -> Self {
        let Setup { node, boot, .. } = setup;
        let log = match setup.start {
            Start::Resumed(saved) if saved.boot == boot => Log::resumed(node, *saved),
            Start::Resumed(_) | Start::Fresh => Log::empty(node, boot, false),
            Start::Lost => Log::empty(node, boot, true),
        };
        // What was armed already stays so: a boot whose device is not opened again is reset.
        let armed = log.state().is_armed(node, boot);
        let hazards = if armed { Hazards::default() } else { setup.hazards };
        Self {
            cluster: setup.cluster,
            node,
            boot,
            booted_at: setup.booted_at,
            own_times: setup.times,
            pinned: setup.controllers,
            log,
            lease: Lease::default(),
            lease_base: None,
            peers: Peers::default(),
            device: Device::new(setup.has_watchdog && hazards.is_empty()),
            hazards,
            highest_epoch: setup.highest_epoch,
            seq: 0,
            next_renewal: Duration::ZERO,
            more: None,
            rng: ChaCha8Rng::seed_from_u64(setup.seed),
            phase: Phase::New,
            lease_is_old: false,
            drill_since: None,
            warned_of_entry: false,
            counters: Counters::default(),
        }
    }

    /// Takes an event; what is to be done is appended to `effects`.
    pub fn handle(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Reset {
            return;
        }
        match event {
            Event::Message { signer, network, from, message } => {
                self.message(now, signer, (network, from), message, effects);
            }
            Event::WatchdogOpened { timeout, class, counts_for_e2 } => {
                self.watchdog_opened(now, (timeout, class), counts_for_e2, effects);
            }
            Event::WatchdogFailed(why) => {
                self.device.failed();
                effects.push(Effect::Warn(Warning::NoWatchdog(why)));
            }
            Event::FenceEvent(event) => self.fence_event(now, &event, effects),
            Event::Stored { n } => self.log.stored(n),
            Event::Timeout => {}
        }
        self.act(now, effects);
    }

    /// To be called with a clock read after a feed was carried out: a stall between the check and the feed gives one
    /// feed too many, and this ends the node before it gives another.
    pub fn after_feed(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let drill = self.drill_since.is_some();
        if self.phase != Phase::Reset && !drill && !self.stands(now) {
            self.reset(ResetReason::LateFeed, effects);
        }
    }

    /// When the next [`Event::Timeout`] is due, and why.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        match self.phase {
            Phase::New => return Some((Duration::ZERO, "start")),
            Phase::Reset => return None,
            Phase::Running => {}
        }
        if self.drill_since.is_some() {
            return Some((self.next_renewal, "renew"));
        }
        let times = self.times();
        let ask = self.may_ask().then(|| self.ask_due(&times));
        [
            Some((self.next_renewal, "renew")),
            self.more.map(|more| (more.at, "more of the log")),
            ask.map(|at| (at, "ask")),
            self.lease_base()
                .filter(|_| !self.lease_is_old)
                .map(|b| (b + times.lease / 2, "old lease")),
            self.device.next(),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// What the agent and an operator may know.
    pub fn status(&self, now: Duration) -> Status {
        Status {
            n: self.log.n(),
            armed: self.is_armed(),
            gate_open: self.log.gate_is_open(),
            lease_age: self.lease_base().map(|base| now.saturating_sub(base)),
            standing: self.stands(now),
            watchdog: self.device.state(),
            lost: self.log.is_lost(),
        }
    }

    /// What a restarted sentinel of this boot needs.
    pub fn saved(&self) -> Saved {
        self.log.saved()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The state at n, for oracles and for an operator.
    pub fn adopted(&self) -> &Adopted {
        self.log.state()
    }

    /// Whether what is remembered between events is what would be found anew.
    #[cfg(test)]
    pub(super) fn remembers_rightly(&self) -> bool {
        let own = Own::of(self.log.state(), self.node, self.boot);
        *self.log.own() == own && self.lease_base == self.counted_base()
    }

    /// Opening was a feed: as after any other, the clock has been read again, and nobody may stand for the node now.
    fn watchdog_opened(
        &mut self,
        now: Duration,
        (timeout, class): (Duration, Class),
        counts_for_e2: bool,
        effects: &mut Vec<Effect>,
    ) {
        self.device.opened(now, timeout, class, counts_for_e2);
        if !counts_for_e2 {
            // It will not be armed, so a lost lease must not reset it; and no renewal has named it yet.
            self.device.failed();
            effects.push(Effect::MagicClose);
            effects.push(Effect::Warn(Warning::ClassDoesNotCount));
            return;
        }
        self.check_entry(effects);
        if !self.stands(now) && !is_on(Mutant::M62) {
            self.reset(ResetReason::LateFeed, effects);
        }
    }

    pub(super) fn check_entry(&mut self, effects: &mut Vec<Effect>) {
        let entry = self.log.own().times;
        if let (Some(entry), WatchdogState::Open { timeout, .. }) = (entry, self.device.state())
            && entry.watchdog < timeout
            && !std::mem::replace(&mut self.warned_of_entry, true)
        {
            let (entry, device) = (entry.watchdog, timeout);
            effects.push(Effect::Warn(Warning::ArmedWithOtherTimeout { entry, device }));
        }
    }

    /// Whatever follows from the state and the time. The order matters: an intent ends everything, and the lease is
    /// looked at in the same call as the feed that rests on it.
    fn act(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.phase == Phase::New {
            self.start(effects);
        }
        if self.phase == Phase::Running && self.log.own().open {
            if self.log.state().is_watchdog_drill(self.node) {
                return self.drill(now, effects);
            }
            self.log.close_gate();
            effects.push(Effect::GateClosed);
            self.reset(ResetReason::OwnIntent, effects);
        }
        if self.phase == Phase::Reset {
            return;
        }
        // A drill that was given up: its lease ran out meanwhile, and the device is overdue. Until somebody stands for
        // the node again nothing is fed and nothing is reset.
        if self.drill_since.is_some() && !self.stands(now) {
            return self.drill(now, effects);
        }
        self.drill_since = None;
        self.follow_arming(now, effects);
        self.feed(now, effects);
        if self.phase == Phase::Reset {
            return;
        }
        self.renew(now, effects);
        self.ask_for_more(now, effects);
        self.ask(now, effects);
        if self.log.open_gate() {
            effects.push(Effect::Store(self.log.saved()));
            effects.push(Effect::GateOpen { boot: self.boot });
        }
        self.watch_lease(now, effects);
    }

    /// The intent on this boot is a drill of its watchdog: from here on nothing is fed, whoever stands for the node, and
    /// the device must fire. Renewals go on, for the leader takes the time from the last one. A sentinel that was
    /// started anew leaves the device alone: the kernel fed it when the former one closed it.
    fn drill(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let times = self.times();
        if self.drill_since.is_none() {
            self.log.close_gate();
            effects.push(Effect::GateClosed);
            effects.push(Effect::Warn(Warning::Drill { timeout: times.watchdog }));
        }
        let since = *self.drill_since.get_or_insert(now);
        if now.saturating_sub(since) >= times.wait_after_intent() * 2 {
            self.reset(ResetReason::WatchdogSilent, effects);
            return;
        }
        self.renew(now, effects);
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Running;
        if self.log.is_lost() {
            effects.push(Effect::Warn(Warning::StateLost));
        }
        effects.push(if self.log.gate_is_open() {
            Effect::GateOpen { boot: self.boot }
        } else {
            Effect::GateClosed
        });
    }

    /// Rule 7. The device is opened under a valid lease of this process's own, since opening feeds it, and closed only
    /// when the log that was adopted says DISARMED: what E2 reads comes first.
    fn follow_arming(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let armed = self.is_armed();
        let held = self.log.own().held;
        if held && !armed && self.device.close() {
            effects.push(Effect::MagicClose);
        }
        let leased = self.has_lease(now) || is_on(Mutant::M62);
        if (armed || !held) && leased && self.device.open() {
            effects.push(Effect::OpenWatchdog);
        }
    }

    /// Rule 4.
    fn feed(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.stands(now) {
            if self.device.feed(now) {
                self.counters.feeds += 1;
                effects.push(Effect::Feed);
            }
            return;
        }
        if let Some(warning) = self.device.alarm(now) {
            effects.push(Effect::Warn(warning));
        }
        // An armed boot whose device could not be opened again after a restart: nobody else would reset it.
        let unguarded = self.is_armed() && self.device.is_absent() && self.lease_base().is_some();
        if self.device.is_overdue(now) || unguarded {
            self.reset(ResetReason::WatchdogSilent, effects);
        }
    }

    /// Rule 6.
    fn ask(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let times = self.times();
        if !self.may_ask() || now < self.ask_due(&times) {
            return;
        }
        let voters = self.other_voters();
        let to_ask = if now >= self.round_due(&times) {
            self.counters.ask_rounds += 1;
            let mut nodes: Vec<NodeId> = voters.iter().map(|(node, _)| *node).collect();
            nodes.shuffle(&mut self.rng);
            self.peers.begin_round(now, nodes)
        } else {
            self.peers.second_wave(&voters)
        };
        if to_ask.is_empty() {
            return;
        }
        let seq = self.next_seq(now);
        self.peers.asked(now, times.vouch, seq);
        let state = self.log.state();
        let to = to_ask.iter().flat_map(|node| everywhere(state.addresses(*node))).collect();
        let message = Message::Ask { node: self.node, boot: self.boot, seq };
        effects.push(Effect::Send { to, message });
    }

    fn watch_lease(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let lease = self.times().lease;
        let age = self.lease_base().map(|base| now.saturating_sub(base));
        let old = age.is_some_and(|age| age >= lease / 2);
        if let Some(age) = age.filter(|_| old && !self.lease_is_old) {
            effects.push(Effect::Warn(Warning::LeaseOld { age, lease }));
        }
        self.lease_is_old = old;
    }

    pub(super) fn reset(&mut self, reason: ResetReason, effects: &mut Vec<Effect>) {
        self.phase = Phase::Reset;
        effects.push(Effect::Reset(reason));
    }

    /// Whether anybody stands for this node: rule 4's one condition, for feeding and for what follows a feed.
    fn stands(&self, now: Duration) -> bool {
        self.has_lease(now) || self.is_vouched_for(now)
    }

    fn has_lease(&self, now: Duration) -> bool {
        let lease = self.times().lease;
        self.lease_base().is_some_and(|base| now.saturating_sub(base) < lease)
    }

    fn is_vouched_for(&self, now: Duration) -> bool {
        if !self.is_armed() || self.log.is_lost() {
            return false;
        }
        let voters = self.other_voters();
        if vouches_needed(voters.len()) == 0 {
            return true;
        }
        let vouch = self.times().vouch;
        self.peers.base(&voters).is_some_and(|base| now.saturating_sub(base) < vouch)
    }

    fn lease_base(&self) -> Option<Duration> {
        self.lease_base
    }

    /// Counts base_c anew. Only what a controller says changes it: an ack, or the log that comes with one.
    pub(super) fn count_base(&mut self) {
        self.lease_base = self.counted_base();
    }

    /// base_c, by the controller set of the adopted prefix; before there is one, by that of the configuration.
    fn counted_base(&self) -> Option<Duration> {
        let set = self.log.state().controllers();
        if set.is_empty() {
            self.lease.base(self.pinned.keys())
        } else {
            self.lease.base(set.keys())
        }
    }

    fn is_armed(&self) -> bool {
        self.log.own().armed
    }

    /// V(n) without this node.
    pub(super) fn other_voters(&self) -> BTreeSet<Voter> {
        let mut voters = self.log.state().voters();
        voters.retain(|(node, _)| *node != self.node);
        voters
    }

    /// L, C and W of the entry that armed this boot are what the leader reckons with. Until it was adopted the node's
    /// own hold; where they differ, the shorter ones err towards dying early.
    pub(super) fn times(&self) -> LeaseTimes {
        let own = self.own_times;
        self.log.own().times.map_or(own, |entry| LeaseTimes {
            lease: own.lease.min(entry.lease),
            vouch: own.vouch.min(entry.vouch),
            ..own
        })
    }

    /// Only an armed boot whose device is open has a use for vouches.
    fn may_ask(&self) -> bool {
        self.is_armed() && !self.log.is_lost() && self.device.is_open()
    }

    fn ask_due(&self, times: &LeaseTimes) -> Duration {
        let wave = self.peers.next_wave(times.vouch).unwrap_or(Duration::MAX);
        self.round_due(times).min(wave.max(self.old_from(times)))
    }

    fn round_due(&self, times: &LeaseTimes) -> Duration {
        self.old_from(times).max(self.peers.next_round(times.vouch))
    }

    fn old_from(&self, times: &LeaseTimes) -> Duration {
        self.lease_base().map_or(Duration::ZERO, |base| base + times.lease / 2)
    }

    /// Counts up, and never repeats within one boot, whichever process asks: an ack of an earlier process must not pass
    /// for an answer to this one.
    pub(super) fn next_seq(&mut self, now: Duration) -> u64 {
        let clock = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.seq = clock.max(self.seq + 1);
        self.seq
    }
}
