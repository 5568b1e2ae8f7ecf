//! What stands beside foca: its timers, its notifications, and the health of the member itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use foca::{Codec as _, PostcardCodec};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::allowance::Allowance;
use super::exchange::mix;
use super::names::Names;
use super::timers::{Timer, Timers};
use super::{Counters, Effect};
use crate::identity::Member;
use crate::seal::OVERHEAD;

/// Highest score of local health: probes then take five times as long. Higher would delay hints
/// about others too much while our own network is bad.
const MAX_SCORE: u32 = 4;

/// Bytes behind a header with no news: their number.
const NO_NEWS: usize = 2;

/// Everything that foca's runtime needs and that outlives one call.
pub(super) struct Side {
    pub(super) timers: Timers,
    pub(super) rng: ChaCha8Rng,
    pub(super) counters: Counters,
    /// The account under a ceiling.
    pub(super) allowance: Option<Allowance>,
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
    /// Probes begin and end at times that are multiples of the first, after the second.
    beat: (Duration, Duration),
    score: u32,
    probe_failed: bool,
    token: Option<foca::TimerToken>,
}

impl Side {
    /// `beat`: how long a probe may go unanswered.
    pub(super) fn new(
        me: Member,
        rng: ChaCha8Rng,
        beat: Duration,
        allowance: Option<Allowance>,
    ) -> Self {
        let beat = beat.max(Duration::from_millis(1));
        let part = mix(me.id.as_u64_pair().1 ^ mix(me.id.as_u64_pair().0)) as f64 / 2_f64.powi(64);
        Self {
            beat: (beat, beat.mul_f64(part)),
            timers: Timers::default(),
            rng,
            counters: Counters::default(),
            allowance,
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

    /// Sends what is not SWIM's, and counts it.
    pub(super) fn send(
        &mut self,
        now: Duration,
        to: SocketAddr,
        bytes: Vec<u8>,
        out: &mut Vec<Effect>,
    ) {
        if let Some(allowance) = &mut self.allowance {
            allowance.count(now, &bytes);
        }
        out.push(Effect::Send { to, bytes });
    }

    /// What foca wrote, cut behind its header if there is no room for the news in it. Whoever has missed it gets it by an
    /// exchange, for which we do not wait long then. A round of news is nothing but news: it was let begin, or we are
    /// leaving.
    fn without_news<'a>(&mut self, now: Duration, data: &'a [u8]) -> &'a [u8] {
        let Some(allowance) = &mut self.allowance else { return data };
        if allowance.has_room(now, data.len() + OVERHEAD) {
            return data;
        }
        let mut news = data;
        match PostcardCodec.decode_header(&mut news) {
            Ok(foca::Header::<Member> { message: foca::Message::Gossip, .. }) | Err(_) => data,
            Ok(_) if news.len() <= NO_NEWS => data,
            Ok(_) => {
                allowance.lose_news();
                data.get(..data.len() - news.len()).unwrap_or(data)
            }
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

    /// The beat nearest to a time. All groups of a machine have the same one, so that its programs wake up once for the
    /// probes of all networks; machines have different ones, so that they do not probe in step.
    fn on_the_beat(&self, now: Duration, at: Duration) -> Duration {
        let (beat, begins) = self.beat;
        let beats = at.saturating_sub(begins).div_duration_f64(beat).round();
        let nearest = begins + beat.mul_f64(beats);
        if nearest > now { nearest } else { nearest + beat }
    }

    /// 0 when our own probes are answered, up to 4 when they are not.
    pub(super) fn score(&self) -> u32 {
        self.score
    }

    /// We missed our own timers: what we find next is rather our fault.
    pub(super) fn stood_still(&mut self) {
        self.counters.stalls += 1;
        self.score = (self.score + 1).min(MAX_SCORE);
    }

    /// Probe timers are stretched while our own probes fail: then it may well be us.
    /// [Lifeguard, LHA-Probe] Both are stretched alike, which keeps them in order. So are suspicions: whoever we suspect
    /// has longer to refute it. Nothing but the hint `MemberDown` waits for their end.
    fn delay(&mut self, timer: &foca::Timer<Member>, after: Duration) -> Duration {
        match timer {
            foca::Timer::ProbeRandomMember(token) if self.token != Some(*token) => {
                // The first probe after (re)joining: members that start together spread out.
                self.token = Some(*token);
                after.mul_f64(self.rng.random_range(0.5..1.5))
            }
            foca::Timer::ProbeRandomMember(_)
            | foca::Timer::SendIndirectProbe { .. }
            | foca::Timer::ChangeSuspectToDown { .. } => after * (1 + self.score),
            foca::Timer::PeriodicAnnounce(_)
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
        let data = self.side.without_news(self.now, data);
        let bytes = self.side.names.packet(&to, data);
        if let Some(allowance) = &mut self.side.allowance {
            allowance.count_swim(self.now, &bytes);
        }
        self.out.push(Effect::Send { to: to.addr, bytes });
    }

    fn submit_after(&mut self, timer: foca::Timer<Member>, after: Duration) {
        match timer {
            foca::Timer::PeriodicGossip(_) => self.side.parked = Some(timer),
            foca::Timer::RemoveDown(member) => {
                self.side.forget.insert(member.id, (self.now + after, member));
            }
            foca::Timer::ProbeRandomMember(_) | foca::Timer::SendIndirectProbe { .. } => {
                let at = self.now + self.side.delay(&timer, after);
                self.side.timers.set(self.side.on_the_beat(self.now, at), Timer::Swim(timer));
            }
            foca::Timer::ChangeSuspectToDown { .. }
            | foca::Timer::PeriodicAnnounce(_)
            | foca::Timer::PeriodicAnnounceDown(_) => {
                let after = self.side.delay(&timer, after);
                self.side.timers.set(self.now + after, Timer::Swim(timer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn side(id: u128) -> Side {
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let (id, boot) = (Uuid::from_u128(id), Uuid::from_u128(1));
        let me = Member { id, generation: 1, boot, addr, ping: addr, controller: false };
        Side::new(me, ChaCha8Rng::seed_from_u64(1), Duration::from_millis(500), None)
    }

    #[test]
    fn a_timer_that_fires_late_does_not_lose_the_beat_and_machines_have_different_ones() {
        let millis = Duration::from_millis;
        let side = side(7);
        let first = side.on_the_beat(millis(9000), millis(10_000));
        assert!(first.abs_diff(millis(10_000)) <= millis(250), "{first:?}");
        let late = first + millis(40);
        let second = side.on_the_beat(late, late + millis(1000));
        assert!(second.abs_diff(first + millis(1000)) < Duration::from_micros(1), "{second:?}");
        let soon = side.on_the_beat(late, late + millis(1));
        assert!(soon > late && soon < late + millis(501), "{soon:?}");
        let beats: Vec<_> = (1..9).map(|id| self::side(id).beat.1).collect();
        assert!(beats.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > millis(1)), "{beats:?}");
    }
}
