//! The controller of the pretended node: it gossips, and keeps what the node's agent says of its checks and its domains.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use fencing::checks::{self, Check, Message, State};
use fencing::domains::{self, Domain, List, News};
use fencing::stray::{self, Destroy};
use fencing::{BootId, census};
use gossip::group::{self, Effect, Group};
use gossip::seal::Envelope;
use uuid::Uuid;

use crate::pretended::{self, NODE};

/// What the controller has heard.
pub(crate) struct Controller {
    socket: UdpSocket,
    envelope: Envelope,
    group: Group,
    began: Instant,
    sealed: u64,
    /// Start of the agent, and what each check said last in it.
    life: u64,
    checks: BTreeMap<String, Check>,
    /// How often gossip called the node dead.
    pub(crate) deaths: u32,
    /// What each census was answered with.
    censuses: BTreeMap<u64, Vec<Uuid>>,
    /// What the node says unasked: its boot, and what runs there.
    list: Option<(BootId, BTreeMap<Uuid, Domain>)>,
}

impl Controller {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        let (envelope, group) = pretended::gossip(&socket);
        Self {
            socket,
            envelope,
            group,
            began: Instant::now(),
            sealed: 0,
            life: 0,
            checks: BTreeMap::new(),
            deaths: 0,
            censuses: BTreeMap::new(),
            list: None,
        }
    }

    /// What a check of the agent's present life says.
    pub(crate) fn says(&self, name: &str, state: State) -> Option<&Check> {
        self.checks.get(name).filter(|check| check.state == state)
    }

    /// Starts of the agent, as it counts them.
    pub(crate) fn life(&self) -> u64 {
        self.life
    }

    /// Whether gossip calls the node alive.
    pub(crate) fn has_it_alive(&self) -> bool {
        self.group
            .members()
            .any(|(member, state)| member.id == NODE && state == group::State::Alive)
    }

    /// Asks the agent which domains run there.
    pub(crate) fn ask_for_domains(&mut self, nonce: u64) {
        let ask = postcard::to_stdvec(&census::Message::Ask { nonce }).expect("plain");
        self.tell(census::CHANNEL, &ask);
    }

    /// What a census was answered with, if it was.
    pub(crate) fn answer(&self, nonce: u64) -> Option<&[Uuid]> {
        self.censuses.get(&nonce).map(Vec::as_slice)
    }

    /// The boot of the node, and what the list that it sends unasked says of a domain.
    pub(crate) fn listed(&self, domain: Uuid) -> Option<(BootId, Domain)> {
        let (boot, domains) = self.list.as_ref()?;
        domains.get(&domain).map(|domain| (*boot, *domain))
    }

    /// Orders a stray copy to be ended.
    pub(crate) fn order(&mut self, destroy: &Destroy) {
        self.tell(stray::CHANNEL, &postcard::to_stdvec(destroy).expect("plain"));
    }

    fn tell(&mut self, channel: u8, message: &[u8]) {
        let payload = [&[channel], message].concat();
        let to = self.group.members().find(|(member, _)| member.id == NODE).expect("it is there");
        let (to, mut out) = (to.0.addr, Vec::new());
        self.group.talk(to, &payload, &mut out).expect("short");
        self.carry_out(out);
    }

    /// Goes on until this is so, and answers how long that took.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        longest: Duration,
        so: impl Fn(&Self) -> bool,
    ) -> Duration {
        let began = Instant::now();
        while !so(self) {
            assert!(began.elapsed() < longest, "not {what} after {longest:?}: {:?}", self.checks);
            self.step();
        }
        began.elapsed()
    }

    /// Goes on for so long.
    pub(crate) fn pass(&mut self, span: Duration) {
        let began = Instant::now();
        while began.elapsed() < span {
            self.step();
        }
    }

    fn step(&mut self) {
        let mut out = Vec::new();
        let mut buffer = [0; 2048];
        if let Ok((length, from)) = self.socket.recv_from(&mut buffer)
            && let Ok(bytes) = self.envelope.open(&mut buffer[..length])
        {
            let packet = group::Event::Packet { from, bytes };
            self.group.handle(self.began.elapsed(), packet, &mut out);
        }
        let now = self.began.elapsed();
        if self.group.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.group.handle(now, group::Event::Timeout, &mut out);
        }
        self.carry_out(out);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to, bytes } => {
                    self.sealed += 1;
                    let mut nonce = [0; 24];
                    nonce[..8].copy_from_slice(&self.sealed.to_le_bytes());
                    let mut datagram = Vec::new();
                    self.envelope.seal(nonce, &bytes, &mut datagram);
                    // Nobody may listen there yet.
                    let _ = self.socket.send_to(&datagram, to);
                }
                Effect::Talk { bytes, .. } => self.hear(&bytes),
                Effect::MemberDown(member) if member.id == NODE => self.deaths += 1,
                _ => {}
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        match bytes.split_first() {
            Some((&checks::CHANNEL, rest)) => {
                let Ok(Message::Report(report)) = postcard::from_bytes(rest) else { return };
                if report.life > self.life {
                    (self.life, self.checks) = (report.life, BTreeMap::new());
                }
                for check in report.checks {
                    let known = self.checks.get(&check.name);
                    if known.is_none_or(|known| known.turn < check.turn) {
                        self.checks.insert(check.name.clone(), check);
                    }
                }
            }
            Some((&census::CHANNEL, rest)) => {
                let message = postcard::from_bytes(rest);
                if let Ok(census::Message::Answer { nonce, parts, domains, .. }) = message {
                    assert_eq!(parts, 1, "more domains than this controller reads");
                    self.censuses.insert(nonce, domains);
                }
            }
            Some((&domains::CHANNEL, rest)) => {
                if let Ok(list) = postcard::from_bytes::<List>(rest) {
                    self.read(list);
                }
            }
            _ => {}
        }
    }

    fn read(&mut self, list: List) {
        let (_, known) = self.list.get_or_insert_with(|| (list.boot, BTreeMap::new()));
        let came = match list.news {
            News::Whole { parts, domains, .. } => {
                assert_eq!(parts, 1, "more domains than this controller reads");
                known.clear();
                domains
            }
            News::Changed { came, gone } => {
                known.retain(|domain, _| !gone.contains(domain));
                came
            }
        };
        known.extend(came.into_iter().map(|domain| (domain.id, domain)));
    }
}
