//! foca and nothing else, as whoever takes the crate would run it: its own timers, its own renewal, its own verdict.

use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, Foca, Identity, NoCustomBroadcast, Notification, PeriodicParams, Runtime};
use foca::{PostcardCodec, Timer};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Out, Speaker};

/// A member, and how often it came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Who {
    number: usize,
    bump: u32,
}

impl Identity for Who {
    type Addr = usize;

    fn renew(&self) -> Option<Self> {
        Some(Self { bump: self.bump + 1, ..*self })
    }

    fn addr(&self) -> usize {
        self.number
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.bump > adversary.bump
    }
}

/// One member.
pub(crate) struct Plain {
    foca: Foca<Who, PostcardCodec, ChaCha8Rng, NoCustomBroadcast>,
    timers: BTreeMap<(Duration, u64), Timer<Who>>,
    sequence: u64,
}

struct Run<'a> {
    now: Duration,
    timers: &'a mut BTreeMap<(Duration, u64), Timer<Who>>,
    sequence: &'a mut u64,
    out: &'a mut Out,
}

impl Plain {
    /// With the times that our groups have, but for suspicion: `alpha` times log10 of the members, in seconds.
    pub(crate) fn begin(
        number: usize,
        members: usize,
        alpha: f64,
        (seed, now): (u64, Duration),
        out: &mut Out,
    ) -> Box<dyn Speaker> {
        let three = NonZeroUsize::new(3).expect("not zero");
        let digits = (members as f64 + 1.0).log10();
        let config = Config {
            probe_period: Duration::from_secs(1),
            probe_rtt: Duration::from_millis(500),
            num_indirect_probes: three,
            max_transmissions: NonZeroU8::new((4.0 * digits).ceil() as u8).expect("not zero"),
            suspect_to_down_after: Duration::from_secs_f64(alpha * (members as f64).log10()),
            remove_down_after: Some(Duration::from_secs(24 * 3600)),
            max_packet_size: NonZeroUsize::new(1150).expect("not zero"),
            notify_down_members: true,
            periodic_announce: None,
            periodic_announce_to_down_members: Some(PeriodicParams {
                frequency: Duration::from_secs(30),
                num_members: three,
            }),
            periodic_gossip: Some(PeriodicParams {
                frequency: Duration::from_millis(200),
                num_members: three,
            }),
        };
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let foca = Foca::new(Who { number, bump: 0 }, config, rng, PostcardCodec);
        let mut plain = Self { foca, timers: BTreeMap::new(), sequence: 0 };
        let all = (0..members).filter(|other| *other != number);
        let alive = all.map(|number| foca::Member::alive(Who { number, bump: 0 }));
        plain.with(now, out, |foca, run| drop(foca.apply_many(alive, false, run)));
        Box::new(plain)
    }

    fn with(
        &mut self,
        now: Duration,
        out: &mut Out,
        call: impl FnOnce(&mut Foca<Who, PostcardCodec, ChaCha8Rng, NoCustomBroadcast>, &mut Run<'_>),
    ) {
        let (timers, sequence) = (&mut self.timers, &mut self.sequence);
        call(&mut self.foca, &mut Run { now, timers, sequence, out });
    }
}

impl Speaker for Plain {
    fn packet(&mut self, now: Duration, _: usize, bytes: &[u8], out: &mut Out) {
        // What is for an identity of the past is an error, and no reason to stop.
        self.with(now, out, |foca, run| drop(foca.handle_data(bytes, run)));
    }

    fn due(&self) -> Option<Duration> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    fn fire(&mut self, now: Duration, out: &mut Out) {
        while self.due().is_some_and(|at| at <= now) {
            let Some((_, timer)) = self.timers.pop_first() else { return };
            self.with(now, out, |foca, run| drop(foca.handle_timer(timer, run)));
        }
    }
}

impl Runtime<Who> for Run<'_> {
    fn notify(&mut self, notification: Notification<'_, Who>) {
        match notification {
            Notification::MemberDown(who) => self.out.says.push((who.number, true)),
            Notification::MemberUp(who) => self.out.says.push((who.number, false)),
            _ => {}
        }
    }

    fn send_to(&mut self, to: Who, data: &[u8]) {
        self.out.sends.push((to.number, data.to_vec()));
    }

    fn submit_after(&mut self, timer: Timer<Who>, after: Duration) {
        *self.sequence += 1;
        self.timers.insert((self.now + after, *self.sequence), timer);
    }
}
