//! The core of a witness: pings suspects and a control group, and reports.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::target::{Target, control_voice};
use super::{CONTROL_GROUP, MAX_ASK, MAX_WATCHES, Report, T_OBS, Watch};

/// Time between two pings.
const ROUND: Duration = Duration::from_millis(100);

/// Time between two reports when nothing changes.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// An answer after such a gap is reported at once.
const GAP: Duration = Duration::from_millis(300);

/// The control group changes by at most one member in this time: a group that follows gossip into
/// the dark would always be too young to be judged.
const ROTATE: Duration = Duration::from_secs(1);

/// Controllers that may ask for the same suspect.
const MAX_ASKERS: usize = 9;

/// Rounds later than this mean that this program stood still, not that others were silent.
const STALL: Duration = Duration::from_millis(300);

/// A member that gossip calls alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Node or controller id.
    pub id: Uuid,
    /// Where it answers pings on this network.
    pub ping: SocketAddr,
}

/// What happens to a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A controller asks. The caller has made sure that it is one.
    Watch(Watch),
    /// An ask ends.
    Unwatch {
        /// Its number.
        ask: u64,
    },
    /// An answer came in on the ping port.
    Pong {
        /// That of the ping.
        nonce: u64,
        /// Who answers.
        id: Uuid,
        /// In which boot.
        boot: Uuid,
    },
    /// The time of [`Witness::poll_timeout`] has come.
    Timeout,
}

/// What a witness wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ping this address.
    Ping {
        /// A ping port.
        to: SocketAddr,
        /// To be echoed.
        nonce: u64,
    },
    /// Send this to all controllers. A lost one is followed by the next.
    Report(Report),
}

/// Watches suspects on one network for those who ask.
pub struct Witness {
    me: Uuid,
    rng: ChaCha8Rng,
    watches: BTreeMap<Uuid, Watched>,
    control: BTreeMap<Uuid, Target>,
    next_round: Option<Duration>,
    next_rotation: Duration,
    refused: u64,
}

struct Watched {
    boot: Uuid,
    target: Target,
    asks: BTreeMap<Uuid, Ask>,
    boot_seen: Option<Uuid>,
    answers: u32,
    silent: bool,
    next_report: Duration,
}

#[derive(Clone, Copy)]
struct Ask {
    ask: u64,
    until: Duration,
}

impl Witness {
    /// A witness that watches nobody. Nonces come from `seed`, which must be unpredictable outside
    /// of simulations: an answer is believed by its nonce.
    #[must_use]
    pub fn new(me: Uuid, seed: u64) -> Self {
        Self {
            me,
            rng: ChaCha8Rng::seed_from_u64(seed),
            watches: BTreeMap::new(),
            control: BTreeMap::new(),
            next_round: None,
            next_rotation: Duration::ZERO,
            refused: 0,
        }
    }

    /// Takes an event in. `alive` are the members that gossip calls alive; it is read only when the
    /// control group is drawn, at most once a second, and may include this member and suspects.
    pub fn handle(
        &mut self,
        now: Duration,
        event: Event,
        alive: impl IntoIterator<Item = Peer>,
        out: &mut Vec<Effect>,
    ) {
        match event {
            Event::Watch(watch) => self.watch(now, &watch),
            Event::Unwatch { ask } => self.unwatch(ask),
            Event::Pong { nonce, id, boot } => self.pong(now, nonce, id, boot, out),
            Event::Timeout => {
                self.round(now, alive, out);
                self.tell_silent(now, out);
            }
        }
    }

    /// When to call [`Witness::handle`] with a timeout, and why. `None` while nobody is watched.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        let silent = self.watches.values().filter_map(Watched::silent_at).min();
        let silent = silent.map(|at| (at, "a suspect is silent"));
        let round = self.next_round.map(|at| (at, "ping suspects"));
        [round, silent].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Asks refused because too many suspects, or too many askers, were there already.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Suspects watched now.
    pub fn suspects(&self) -> impl Iterator<Item = Uuid> {
        self.watches.keys().copied()
    }

    fn watch(&mut self, now: Duration, watch: &Watch) {
        let room = self.watches.len() < MAX_WATCHES;
        let lasts = Duration::from_millis(u64::from(watch.lasts_ms)).min(MAX_ASK);
        let ask = Ask { ask: watch.ask, until: now + lasts };
        // Another boot is another suspect: what was seen of the old one says nothing about it.
        if self.watches.get(&watch.suspect).is_some_and(|watched| watched.boot != watch.boot) {
            self.watches.remove(&watch.suspect);
        } else if !room && !self.watches.contains_key(&watch.suspect) {
            self.refused += 1;
            return;
        }
        let watched = self.watches.entry(watch.suspect).or_insert_with(|| Watched {
            boot: watch.boot,
            target: Target::new(watch.addr, now),
            asks: BTreeMap::new(),
            boot_seen: None,
            answers: 0,
            silent: false,
            next_report: now + REPORT_EVERY,
        });
        watched.target.to = watch.addr;
        if watched.asks.len() >= MAX_ASKERS && !watched.asks.contains_key(&watch.asked_by) {
            self.refused += 1;
            return;
        }
        watched.asks.insert(watch.asked_by, ask);
        self.control.remove(&watch.suspect);
        if self.next_round.is_none() {
            self.next_round = Some(now);
            self.next_rotation = now;
        }
    }

    fn unwatch(&mut self, ask: u64) {
        for watched in self.watches.values_mut() {
            watched.asks.retain(|_, asked| asked.ask != ask);
        }
        self.drop_unasked();
    }

    fn drop_unasked(&mut self) {
        self.watches.retain(|_, watched| !watched.asks.is_empty());
        if self.watches.is_empty() {
            self.control.clear();
            self.next_round = None;
        }
    }

    fn pong(&mut self, now: Duration, nonce: u64, id: Uuid, boot: Uuid, out: &mut Vec<Effect>) {
        if let Some(target) = self.control.get_mut(&id) {
            target.pong(nonce);
        }
        if mutants::is_on(mutants::Mutant::M44) {
            return;
        }
        let Some(watched) = self.watches.get_mut(&id) else { return };
        let before = watched.target.unanswered(now);
        if !watched.target.pong(nonce) {
            return;
        }
        watched.answers = watched.answers.saturating_add(1);
        let changed = watched.answers == 1 || watched.silent || before >= GAP;
        let restarted = watched.boot_seen != Some(boot);
        watched.boot_seen = Some(boot);
        watched.silent = watched.target.unanswered(now) >= T_OBS;
        if changed || restarted {
            let voice = control_voice(&self.control, now);
            watched.report(now, self.me, id, voice, out);
        }
    }

    fn round(
        &mut self,
        now: Duration,
        alive: impl IntoIterator<Item = Peer>,
        out: &mut Vec<Effect>,
    ) {
        let Some(at) = self.next_round.filter(|at| *at <= now) else { return };
        let late = now.saturating_sub(at);
        if late > STALL {
            self.control.values_mut().for_each(|target| target.put_off(late));
            for watched in self.watches.values_mut() {
                watched.target.put_off(late);
                watched.silent &= watched.target.unanswered(now) >= T_OBS;
            }
        }
        for watched in self.watches.values_mut() {
            watched.asks.retain(|_, asked| asked.until > now);
        }
        self.drop_unasked();
        if self.watches.is_empty() {
            return;
        }
        if self.next_rotation <= now {
            self.next_rotation = now + ROTATE;
            self.rotate(now, alive);
        }
        self.tell_silent(now, out);
        let voice = control_voice(&self.control, now);
        for (id, watched) in &mut self.watches {
            if now >= watched.next_report {
                watched.report(now, self.me, *id, voice, out);
            }
            out.push(watched.target.ping(now, self.rng.next_u64()));
        }
        for target in self.control.values_mut() {
            out.push(target.ping(now, self.rng.next_u64()));
        }
        self.next_round = Some(now + ROUND);
    }

    /// T_obs is over in the middle of a round, mostly: verdicts wait for this word.
    fn tell_silent(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let voice = control_voice(&self.control, now);
        for (id, watched) in &mut self.watches {
            if watched.silent_at().is_some_and(|at| at <= now) {
                watched.silent = true;
                watched.report(now, self.me, *id, voice, out);
            }
        }
    }

    /// Fills the control group, and exchanges at most one member that gossip no longer calls alive.
    /// One without a replacement stays: that it is silent may be our own fault.
    fn rotate(&mut self, now: Duration, alive: impl IntoIterator<Item = Peer>) {
        let mut alive: Vec<_> = alive
            .into_iter()
            .filter(|peer| peer.id != self.me && !self.watches.contains_key(&peer.id))
            .collect();
        let gone = self.control.keys().find(|id| alive.iter().all(|peer| peer.id != **id)).copied();
        alive.retain(|peer| !self.control.contains_key(&peer.id));
        if let Some(gone) =
            gone.filter(|_| !alive.is_empty() && self.control.len() >= CONTROL_GROUP)
        {
            self.control.remove(&gone);
        }
        while self.control.len() < CONTROL_GROUP && !alive.is_empty() {
            let peer = alive.swap_remove(self.rng.random_range(0..alive.len()));
            self.control.insert(peer.id, Target::new(peer.ping, now));
        }
    }
}

impl Watched {
    /// When it will have been silent for T_obs; `None` once that was told.
    fn silent_at(&self) -> Option<Duration> {
        (!self.silent).then(|| self.target.silent_at(T_OBS))
    }

    fn report(
        &mut self,
        now: Duration,
        observer: Uuid,
        suspect: Uuid,
        (control_asked, control_silent): (u8, u8),
        out: &mut Vec<Effect>,
    ) {
        self.next_report = now + REPORT_EVERY;
        let unanswered = self.target.unanswered(now).as_millis();
        for (asked_by, ask) in &self.asks {
            out.push(Effect::Report(Report {
                ask: ask.ask,
                asked_by: *asked_by,
                observer,
                suspect,
                boot: self.boot,
                boot_seen: self.boot_seen,
                unanswered_ms: u32::try_from(unanswered).unwrap_or(u32::MAX),
                answers: self.answers,
                control_asked,
                control_silent,
            }));
        }
    }
}

#[cfg(test)]
mod tests;
