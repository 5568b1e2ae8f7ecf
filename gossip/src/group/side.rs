//! What stands beside foca: its timers, its notifications, and the health of the member itself.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::names::Names;
use super::timers::{Timer, Timers};
use super::{Counters, Effect};
use crate::identity::Member;

/// Highest score of local health: probes then take five times as long. Higher would delay hints
/// about others too much while our own network is bad.
const MAX_SCORE: u32 = 4;

/// Everything that foca's runtime needs and that outlives one call.
pub(super) struct Side {
    pub(super) timers: Timers,
    pub(super) rng: ChaCha8Rng,
    pub(super) counters: Counters,
    /// Who is named briefly.
    pub(super) names: Names,
    /// Our own incarnation, learned from what foca sends: it has no accessor.
    pub(super) incarnation: u16,
    /// Foca learned that the group believes us dead.
    pub(super) defunct: bool,
    /// A member came, went or changed its identity.
    pub(super) changed: bool,
    /// Foca's gossip timer while there is no news: a quiet group does not wake for nothing.
    pub(super) parked: Option<foca::Timer<Member>>,
    /// When each dead member is forgotten: one per node id, however often it dies.
    pub(super) forget: BTreeMap<Uuid, (Duration, Member)>,
    score: u32,
    probe_failed: bool,
    token: Option<foca::TimerToken>,
}

impl Side {
    pub(super) fn new(me: Member, rng: ChaCha8Rng) -> Self {
        Self {
            timers: Timers::default(),
            rng,
            counters: Counters::default(),
            names: Names::new(me),
            incarnation: 0,
            defunct: false,
            changed: false,
            parked: None,
            forget: BTreeMap::new(),
            score: 0,
            probe_failed: false,
            token: None,
        }
    }

    pub(super) fn probe_begins(&mut self) {
        self.probe_failed = false;
    }

    pub(super) fn probe_ended(&mut self) {
        if !self.probe_failed {
            self.score = self.score.saturating_sub(1);
        }
    }

    /// 0 when our own probes are answered, up to 4 when they are not.
    pub(super) fn score(&self) -> u32 {
        self.score
    }

    /// Probe timers are stretched while our own probes fail: then it may well be us.
    /// [Lifeguard, LHA-Probe] Both are stretched alike, which keeps them in order.
    fn delay(&mut self, timer: &foca::Timer<Member>, after: Duration) -> Duration {
        match timer {
            foca::Timer::ProbeRandomMember(token) if self.token != Some(*token) => {
                // The first probe after (re)joining: members that start together spread out.
                self.token = Some(*token);
                after.mul_f64(self.rng.random_range(0.5..1.5))
            }
            foca::Timer::ProbeRandomMember(_) | foca::Timer::SendIndirectProbe { .. } => {
                after * (1 + self.score)
            }
            foca::Timer::ChangeSuspectToDown { .. }
            | foca::Timer::PeriodicAnnounce(_)
            | foca::Timer::PeriodicAnnounceDown(_)
            | foca::Timer::PeriodicGossip(_)
            | foca::Timer::RemoveDown(_) => after,
        }
    }
}

/// One call into foca.
pub(super) struct Run<'a> {
    pub(super) now: Duration,
    pub(super) side: &'a mut Side,
    pub(super) out: &'a mut Vec<Effect>,
}

impl foca::Runtime<Member> for Run<'_> {
    fn notify(&mut self, notification: foca::Notification<'_, Member>) {
        match notification {
            foca::Notification::MemberUp(member) => {
                self.side.changed = true;
                self.side.forget.remove(&member.id);
                self.out.push(Effect::MemberUp(*member));
            }
            foca::Notification::MemberDown(member) => {
                self.side.changed = true;
                self.out.push(Effect::MemberDown(*member));
            }
            foca::Notification::Rename(from, to) => {
                self.side.changed = true;
                self.side.names.forget(from);
                self.out.push(Effect::Renamed { from: *from, to: *to });
            }
            foca::Notification::ProbeFailed(_, member) => {
                self.side.probe_failed = true;
                self.side.score = (self.side.score + 1).min(MAX_SCORE);
                self.out.push(Effect::ProbeFailed { member: *member });
            }
            foca::Notification::Defunct => self.side.defunct = true,
            foca::Notification::DataReceived(header) => {
                self.side.names.heard(&header.src, &header.dst);
            }
            foca::Notification::DataSent(header) => self.side.incarnation = header.src_incarnation,
            foca::Notification::Active
            | foca::Notification::Idle
            | foca::Notification::Rejoin(_) => {}
        }
    }

    fn send_to(&mut self, to: Member, data: &[u8]) {
        let bytes = self.side.names.packet(&to, data);
        self.out.push(Effect::Send { to: to.addr, bytes });
    }

    fn submit_after(&mut self, timer: foca::Timer<Member>, after: Duration) {
        match timer {
            foca::Timer::PeriodicGossip(_) => self.side.parked = Some(timer),
            foca::Timer::RemoveDown(member) => {
                self.side.forget.insert(member.id, (self.now + after, member));
            }
            foca::Timer::ProbeRandomMember(_)
            | foca::Timer::SendIndirectProbe { .. }
            | foca::Timer::ChangeSuspectToDown { .. }
            | foca::Timer::PeriodicAnnounce(_)
            | foca::Timer::PeriodicAnnounceDown(_) => {
                let after = self.side.delay(&timer, after);
                self.side.timers.set(self.now + after, Timer::Swim(timer));
            }
        }
    }
}
