//! Our groups.

use std::net::SocketAddr;
use std::time::Duration;

use gossip::config::Config;
use gossip::group::{Effect, Event, Group};
use gossip::identity::Member;
use uuid::Uuid;

use super::{Out, Speaker};

/// One member.
pub(crate) struct Ours(Group);

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], u16::try_from(number + 1).expect("few members")))
}

impl Ours {
    /// `alpha`: as for foca alone.
    pub(crate) fn begin(
        number: usize,
        members: usize,
        alpha: f64,
        (seed, now): (u64, Duration),
        out: &mut Out,
    ) -> Box<dyn Speaker> {
        let suspicion = Duration::from_secs_f64(alpha * (members as f64).log10());
        let config = Config { suspicion: Some(suspicion), ..Config::lan(members) };
        let me = Member {
            id: Uuid::from_u128(1 + number as u128),
            generation: Member::generation_of_start(1),
            boot: Uuid::from_u128(1000 + number as u128),
            addr: address(number),
            ping: address(number),
            controller: false,
        };
        let mut group = Group::new(config, me, seed);
        let mut effects = Vec::new();
        group.join(now, &[address(0), address(1), address(2)], &mut effects);
        take(effects, out);
        Box::new(Self(group))
    }
}

fn take(effects: Vec<Effect>, out: &mut Out) {
    let number = |member: &Member| usize::from(member.addr.port()) - 1;
    for effect in effects {
        match effect {
            Effect::Send { to, bytes } => out.sends.push((usize::from(to.port()) - 1, bytes)),
            Effect::MemberUp(member) => out.says.push((number(&member), false)),
            Effect::MemberDown(member) => out.says.push((number(&member), true)),
            Effect::ProbeFailed { .. }
            | Effect::Renamed { .. }
            | Effect::Heard { .. }
            | Effect::PutOff { .. }
            | Effect::Talk { .. } => {}
        }
    }
}

impl Speaker for Ours {
    fn packet(&mut self, now: Duration, from: usize, bytes: &[u8], out: &mut Out) {
        let mut effects = Vec::new();
        self.0.handle(now, Event::Packet { from: address(from), bytes }, &mut effects);
        take(effects, out);
    }

    fn due(&self) -> Option<Duration> {
        self.0.poll_timeout().map(|(at, _)| at)
    }

    fn fire(&mut self, now: Duration, out: &mut Out) {
        let mut effects = Vec::new();
        self.0.handle(now, Event::Timeout, &mut effects);
        take(effects, out);
    }
}
