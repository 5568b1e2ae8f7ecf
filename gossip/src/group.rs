//! The group: SWIM by foca, with the layers that it lacks.
//!
//! | layer | why |
//! |---|---|
//! | stale suspicions are dropped | foca 2.0 tells a member that has refuted that it is dead |
//! | exchange of the full state | a lost message is found within a minute, a healed partition soon |
//! | broadcasts by two trees and a ring, repeated where copies are missing | chance alone misses a member now and then |
//! | renewal at a bounded rate | "the group says I am dead" is answered, never obeyed |
//! | short names | two identities in full are most of a packet |
//! | an allowance | under a ceiling, what can wait waits, and fence events do not |
//! | local health | who cannot reach others, or stood still, probes and suspects more slowly before it blames them |
//!
//! A program that was stopped for a while finds all its timers late. Then all are put off by the
//! same time: its probes were answered while it was not looking.

mod allowance;
mod codec;
mod exchange;
mod inbound;
mod names;
mod onward;
mod outbound;
mod renewal;
mod side;
mod spread;
mod text;
mod timers;

use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::config::Config;
use crate::identity::Member;
use crate::packet::{Kind, MAX_BROADCAST, MAX_TALK};
use crate::witness::Peer;
use allowance::Allowance;
use exchange::Told;
use renewal::Renewal;
use side::{Run, Side};
use spread::Spread;
use timers::Timer;

type Swim = foca::Foca<Member, codec::Codec, ChaCha8Rng, foca::NoCustomBroadcast>;

/// Decides whether a broadcast is genuine, by its key, epoch and bytes alone. What is refused is
/// neither reported, remembered nor passed on, so a forged epoch cannot push out a true one.
pub type Check = Box<dyn Fn(u128, (u64, u64), &[u8]) -> bool + Send>;

/// Timers later than this mean that the program stood still, not that others were silent.
const STALL: Duration = Duration::from_millis(300);

/// Seeds kept.
const MAX_SEEDS: usize = 64;

/// First pause between two attempts to join.
const JOIN_FIRST: Duration = Duration::from_millis(500);

/// The dead and expired are looked for this often.
const FORGET_EVERY: Duration = Duration::from_secs(5);

/// What happens to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A datagram came in and was opened.
    Packet {
        /// Where it came from.
        from: SocketAddr,
        /// The unsealed bytes.
        bytes: &'a [u8],
    },
    /// The time of [`Group::poll_timeout`] has come.
    Timeout,
}

/// What a group wants done, or has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Seal and send. Twice is harmless.
    Send {
        /// Destination.
        to: SocketAddr,
        /// Unsealed bytes, at most [`crate::packet::MAX_PLAIN`].
        bytes: Vec<u8>,
    },
    /// A probe, direct and indirect, went unanswered: a suspicion, and nothing more.
    ProbeFailed {
        /// Who did not answer.
        member: Member,
    },
    /// A member is there.
    MemberUp(Member),
    /// The group calls a member dead, or it has left. A hint.
    MemberDown(Member),
    /// The same node goes on under another identity: a new boot, or merely a new generation.
    Renamed {
        /// The identity replaced.
        from: Member,
        /// The one that counts now.
        to: Member,
    },
    /// A broadcast that is news. It may come twice after a restart: the hearer keeps the highest
    /// epoch of a key where it matters.
    Heard {
        /// What it is about.
        key: u128,
        /// Its age: higher is newer.
        epoch: (u64, u64),
        /// The caller's payload.
        bytes: Vec<u8>,
    },
    /// A payload that another member sent by [`Group::talk`].
    Talk {
        /// Where it came from.
        from: SocketAddr,
        /// The caller's payload.
        bytes: Vec<u8>,
    },
    /// So much was put off since the last word about it, because of the ceiling: rounds of news, news on probes,
    /// questions and pieces of exchanges. Said once a minute at most.
    PutOff {
        /// How many of them.
        count: u64,
    },
}

/// What the group believes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It answers probes.
    Alive,
    /// A probe failed and it has not refuted yet.
    Suspect,
    /// It did not refute in time, or left.
    Down,
}

/// Things that are counted because they should be rare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that do not parse, or that SWIM refuses.
    pub malformed: u64,
    /// Packets that claim to come from this member.
    pub from_ourselves: u64,
    /// Packets refused because too many members are known.
    pub overfull: u64,
    /// Exchanges not answered because too many were asked at once.
    pub unanswered_asks: u64,
    /// Broadcasts that the caller's check refused.
    pub forged_broadcasts: u64,
    /// Suspicions that were refuted before they ended.
    pub stale_suspicions: u64,
    /// Brief packets from members whose name was not known.
    pub strangers: u64,
    /// Times we came back under a new generation.
    pub renewals: u64,
    /// Times the program stood still.
    pub stalls: u64,
    /// What had to wait because of the ceiling.
    pub put_off: u64,
}

/// Why a group refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The payload exceeds `MAX_TALK` bytes. Nothing is sent.
    #[error("payload of {0} bytes is longer than {MAX_TALK}")]
    TalkTooLong(usize),
    /// The broadcast exceeds `MAX_BROADCAST` bytes. Nothing is sent.
    #[error("broadcast of {0} bytes is longer than {MAX_BROADCAST}")]
    BroadcastTooLong(usize),
    /// A newer epoch of the same key is known. The newer one goes on.
    #[error("a newer epoch of this broadcast is known")]
    BroadcastStale,
}

/// One member's view of one network. See the module for what it does.
pub struct Group {
    swim: Swim,
    side: Side,
    config: Config,
    spread: Spread,
    check: Option<Check>,
    seeds: Vec<SocketAddr>,
    join_pause: Duration,
    exchange_pause: Duration,
    /// When the next exchange is due. An earlier timer is of no use.
    exchange_at: Duration,
    /// Members for which foca's configuration was made.
    sized_for: usize,
    /// Until when what we learn is known to everybody but us.
    learning_until: Option<Duration>,
    /// Full states sent in the second that began then.
    answers: (Duration, u32),
    renewal: Renewal,
    left: bool,
}

impl Group {
    /// A group that knows nobody yet. `seed` decides every random choice.
    #[must_use]
    pub fn new(config: Config, me: Member, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let inner = ChaCha8Rng::from_rng(&mut rng);
        let sized_for = config.members.max(1);
        let swim = Swim::new(me, config.swim(sized_for), inner, codec::Codec);
        let allowance = config.ceiling.map(Allowance::new);
        Self {
            swim,
            side: Side::new(me, rng, config.probe_answer, allowance),
            config,
            spread: Spread::default(),
            check: None,
            seeds: Vec::new(),
            join_pause: JOIN_FIRST,
            exchange_pause: Duration::ZERO,
            exchange_at: Duration::ZERO,
            sized_for,
            learning_until: None,
            answers: (Duration::ZERO, 0),
            renewal: Renewal::default(),
            left: false,
        }
    }

    /// Has broadcasts of others judged before they count. Without it all are taken.
    pub fn set_check(&mut self, check: Check) {
        self.check = Some(check);
    }

    /// Asks seeds for the members, now and again until somebody answers, and once a minute later on
    /// while a seed is not among the living. At most 64 seeds are kept. Call it once, also with no
    /// seeds: it starts the group.
    pub fn join(&mut self, now: Duration, seeds: &[SocketAddr], out: &mut Vec<Effect>) {
        let me = self.me().addr;
        self.seeds = seeds.iter().copied().filter(|seed| *seed != me).take(MAX_SEEDS).collect();
        self.ask_seeds(now, out);
        self.first_exchange(now);
        self.side.timers.set(now + FORGET_EVERY, Timer::Forget);
        self.run_errands(now, out);
    }

    /// Tells some members that we go. From now on the group does nothing.
    pub fn leave(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.left {
            return;
        }
        self.with_swim(now, out, |swim, run| {
            swim.leave_cluster(&mut *run)?;
            // A single lost datagram must not turn a leave into a suspicion.
            swim.gossip(&mut *run)?;
            swim.gossip(run)
        });
        self.left = true;
        self.side.timers.clear();
    }

    /// Takes an event in. After [`Group::leave`] nothing happens any more.
    pub fn handle(&mut self, now: Duration, event: Event<'_>, out: &mut Vec<Effect>) {
        if self.left {
            return;
        }
        match event {
            Event::Packet { from, bytes } => self.receive(now, from, bytes, out),
            Event::Timeout => self.fire(now, out),
        }
        self.settle(now, out);
    }

    /// When to call [`Group::handle`] with a timeout, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        self.side.timers.next()
    }

    /// Sends a payload of at most [`MAX_TALK`] bytes to a member's gossip address. It may get lost.
    pub fn talk(&self, to: SocketAddr, bytes: &[u8], out: &mut Vec<Effect>) -> Result<(), Refused> {
        if bytes.len() > MAX_TALK {
            return Err(Refused::TalkTooLong(bytes.len()));
        }
        let mut packet = Vec::with_capacity(bytes.len() + 1);
        packet.push(Kind::Talk as u8);
        packet.extend_from_slice(bytes);
        out.push(Effect::Send { to, bytes: packet });
        Ok(())
    }

    /// Tells everybody, and goes on telling until [`Group::cancel`]: at once to some members, who pass it on by an order
    /// that reaches all (see `onward`), every second to one more (to four where packets are lost), and in each exchange.
    /// Where `key` is a member's node id, that member is told directly each time, also while the group calls it dead, and
    /// tells nobody. A lower epoch of the same key is pushed out everywhere. Copies end `life` after the last repetition (at
    /// most 10 minutes; below two exchanges a copy may end before it has mended a miss).
    pub fn broadcast(
        &mut self,
        now: Duration,
        key: u128,
        epoch: (u64, u64),
        bytes: &[u8],
        life: Duration,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        if bytes.len() > MAX_BROADCAST {
            return Err(Refused::BroadcastTooLong(bytes.len()));
        }
        let left = u32::try_from(life.as_millis()).unwrap_or(u32::MAX);
        let told = Told { key, epoch, left, bytes };
        let quick = self.quick_rounds();
        if !self.spread.begin(now, told, quick) {
            return Err(Refused::BroadcastStale);
        }
        let onward = self.onward(&told);
        self.spread.expect(key, onward.copies());
        self.tell(now, &told, &onward, true, out);
        self.wake_spread();
        Ok(())
    }

    /// Stops a broadcast of ours and no longer passes a heard one on.
    pub fn cancel(&mut self, key: u128) {
        self.spread.cancel(key);
    }

    /// This member, in its newest generation.
    #[must_use]
    pub fn me(&self) -> &Member {
        self.swim.identity()
    }

    /// All members known besides this one, in no particular but a repeatable order.
    pub fn members(&self) -> impl Iterator<Item = (&Member, State)> {
        let me = self.me().id;
        self.swim.iter_membership_state().filter(move |known| known.id().id != me).map(|known| {
            let state = match known.state() {
                foca::State::Alive => State::Alive,
                foca::State::Suspect => State::Suspect,
                foca::State::Down => State::Down,
            };
            (known.id(), state)
        })
    }

    /// Members that are alive, as a witness wants them for its control group.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        let alive = self.members().filter(|(_, state)| *state == State::Alive);
        alive.map(|(member, _)| Peer { id: member.id, ping: member.ping })
    }

    /// Rare things counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let put_off = self.side.allowance.as_ref().map_or(0, Allowance::all_put_off);
        Counters { put_off, ..self.side.counters }
    }

    /// Local health: 0 when our probes are answered and our timers fire in time, up to 4 when not.
    #[must_use]
    pub fn score(&self) -> u32 {
        self.side.score()
    }

    fn fire(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if let Some((at, _)) = self.side.timers.next()
            && now.saturating_sub(at) > STALL
        {
            self.side.stood_still();
            self.side.timers.put_off(now.saturating_sub(at));
        }
        while let Some(timer) = self.side.timers.pop_due(now) {
            match timer {
                Timer::Swim(timer) if self.has_to_wait(now, &timer) => {
                    self.side.timers.set(now + Allowance::pause(), Timer::Swim(timer));
                }
                Timer::Swim(timer) => self.fire_swim(now, timer, out),
                Timer::Join => self.ask_seeds(now, out),
                // One that was set before we came to want it sooner, or later.
                Timer::Exchange if now < self.exchange_at => {}
                Timer::Exchange => self.exchange(now, out),
                Timer::Spread => self.repeat(now, out),
                Timer::Errands => self.side.allowance.iter_mut().for_each(Allowance::woken),
                Timer::Renew => self.renew(now, out),
                Timer::Forget => self.forget(now, out),
            }
        }
    }

    fn fire_swim(&mut self, now: Duration, timer: foca::Timer<Member>, out: &mut Vec<Effect>) {
        if self.is_stale(&timer) {
            self.side.counters.stale_suspicions += 1;
            return;
        }
        let probe = matches!(timer, foca::Timer::ProbeRandomMember(_));
        if probe {
            self.side.probe_begins();
        }
        self.with_swim(now, out, |swim, run| swim.handle_timer(timer, run));
        self.side.allowance.iter_mut().for_each(Allowance::news_is_told);
        if probe {
            self.side.probe_ended();
        }
    }

    /// Foca tells a member that it is dead whenever this timer fires, even if it has refuted.
    fn is_stale(&self, timer: &foca::Timer<Member>) -> bool {
        match timer {
            foca::Timer::ChangeSuspectToDown { member_id, incarnation, .. } => {
                !self.swim.iter_members().any(|known| {
                    known.id() == member_id
                        && known.incarnation() == *incarnation
                        && known.state() == foca::State::Suspect
                })
            }
            foca::Timer::ProbeRandomMember(_)
            | foca::Timer::SendIndirectProbe { .. }
            | foca::Timer::PeriodicAnnounce(_)
            | foca::Timer::PeriodicAnnounceDown(_)
            | foca::Timer::PeriodicGossip(_)
            | foca::Timer::RemoveDown(_) => false,
        }
    }

    fn forget(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let due: Vec<_> =
            self.side.forget.values().filter(|(at, _)| *at <= now).map(|(_, m)| *m).collect();
        for member in due {
            self.side.forget.remove(&member.id);
            self.side.names.forget(&member);
            let timer = foca::Timer::RemoveDown(member);
            self.with_swim(now, out, |swim, run| swim.handle_timer(timer, run));
        }
        self.spread.forget(now);
        self.side.timers.set(now + FORGET_EVERY, Timer::Forget);
    }

    /// What is to be done after each event.
    fn settle(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if std::mem::take(&mut self.side.defunct) {
            self.renew_soon(now, out);
        }
        if std::mem::take(&mut self.side.changed) {
            let members = self.swim.num_members() + 1;
            if members.abs_diff(self.sized_for) * 4 > self.sized_for {
                self.sized_for = members;
                // Only the numbers that foca lets change do change.
                let _ = self.swim.set_config(self.config.swim(members));
            }
        }
        if self.swim.updates_backlog() > 0
            && let Some(timer) = self.side.parked.take()
        {
            self.side.timers.set(now + self.config.gossip_every, Timer::Swim(timer));
        }
        self.run_errands(now, out);
    }

    fn with_swim(
        &mut self,
        now: Duration,
        out: &mut Vec<Effect>,
        call: impl FnOnce(&mut Swim, &mut Run<'_>) -> Result<(), foca::Error>,
    ) {
        let mut run = Run { now, side: &mut self.side, out };
        if let Err(error) = call(&mut self.swim, &mut run) {
            match error {
                foca::Error::DataFromOurselves | foca::Error::IndirectForOurselves => {
                    self.side.counters.from_ourselves += 1;
                }
                foca::Error::DataTooBig
                | foca::Error::NotUndead
                | foca::Error::SameIdentity
                | foca::Error::NotConnected
                | foca::Error::IncompleteProbeCycle
                | foca::Error::MalformedPacket
                | foca::Error::Encode(_)
                | foca::Error::Decode(_)
                | foca::Error::CustomBroadcast(_)
                | foca::Error::InvalidConfig => self.side.counters.malformed += 1,
            }
        }
    }
}
