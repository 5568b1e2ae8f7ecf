//! A scripted BMC, made of the codec alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Config, Effect, Event, Pace, Session};
use super::GUID;
use crate::bmc::ipmi::command::{
    APPLICATION, CHASSIS, CHASSIS_CONTROL, CHASSIS_STATUS, CLOSE_SESSION, DEVICE_GUID, SYSTEM_GUID,
};
use crate::bmc::ipmi::crypto::{Exchange, Keys};
use crate::bmc::ipmi::message::{Request, Response};
use crate::bmc::ipmi::packet::{Packet, Payload, legacy_datagram, plain_datagram};
use crate::bmc::ipmi::rakp::{
    Algorithms, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, encode_rakp4,
};
use crate::bmc::{Ask, CipherSuite, Identity, Privilege, Reply, Secret};

const BMC_SESSION: u32 = 0x0b0b_0b0b;

pub(super) fn config(ask: Ask, expect: Option<Identity>, suites: &[CipherSuite]) -> Config {
    Config {
        user: "fence".into(),
        password: Secret::new("secret".into()),
        suites: suites.to_vec(),
        privilege: Privilege::Operator,
        ask,
        expect,
        deadline: Duration::from_secs(10),
        pace: Pace::default(),
    }
}

pub(super) fn session(ask: Ask, expect: Option<Identity>, suites: &[CipherSuite]) -> Session {
    Session::new(config(ask, expect, suites), [5; 32])
}

/// Runs a session against a peer that answers at once, to its end.
pub(super) fn converse(session: &mut Session, peer: &mut Peer) -> Reply {
    let mut now = Duration::ZERO;
    let mut effects = Vec::new();
    while let Some((due, _)) = session.poll_timeout() {
        now = now.max(due);
        session.handle(now, Event::Timeout, &mut effects);
        while !effects.is_empty() {
            match effects.remove(0) {
                Effect::Done(reply) => return reply,
                Effect::Send(datagram) => {
                    for answer in peer.answer(&datagram) {
                        session.handle(now, Event::Datagram(&answer), &mut effects);
                    }
                }
            }
        }
    }
    panic!("a session must end with a reply");
}

/// What a forged or repeated answer has wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Tag of the handshake.
    Tag,
    /// The console's id for the session, in the handshake.
    Console,
    /// Integrity check of RAKP 4.
    Check,
    /// Session id of a sealed packet.
    Session,
    /// Sequence number of a sealed packet, always the same.
    Sequence,
}

pub(super) struct Peer {
    pub(super) wrong: Option<Wrong>,
    pub(super) password: Secret,
    pub(super) guid: Option<Identity>,
    pub(super) status: Vec<u8>,
    /// Completion codes to give before the good one, for a command.
    pub(super) codes: BTreeMap<(u8, u8), Vec<u8>>,
    /// Algorithms to claim instead of those asked for.
    pub(super) named: Option<Algorithms>,
    /// Number each answer as if it were to the request before.
    pub(super) stale: bool,
    /// The how manyth answer to change, where, how, or to cut it there.
    pub(super) mutate: Option<(usize, usize, u8, bool)>,
    pub(super) asked: Vec<(u8, u8)>,
    pub(super) controls: Vec<Vec<u8>>,
    pub(super) status_numbers: Vec<u8>,
    pub(super) saw_rakp3: bool,
    pub(super) closed: bool,
    pub(super) exchange: Option<Exchange>,
    pub(super) keys: Option<Keys>,
    pub(super) sent: u32,
    pub(super) answers: usize,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            wrong: None,
            password: Secret::new("secret".into()),
            guid: Some(GUID),
            status: vec![0x21, 0, 0, 0],
            codes: BTreeMap::new(),
            named: None,
            stale: false,
            mutate: None,
            asked: Vec::new(),
            controls: Vec::new(),
            status_numbers: Vec::new(),
            saw_rakp3: false,
            closed: false,
            exchange: None,
            keys: None,
            sent: 0,
            answers: 0,
        }
    }
}

impl Peer {
    fn answer(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let mut answer = match Packet::decode(datagram).expect("we send what can be read") {
            Packet::Legacy(payload) => {
                let request = Request::decode(payload).expect("a request");
                legacy_datagram(&request.answer(0, &[1, 0x80, 4, 2, 0, 0, 0, 0]).encode())
            }
            Packet::Plain(kind, payload) => {
                let mut answer = self.handshake(kind, payload);
                // Behind 16 bytes of headers: tag, status, 2 reserved, the console's id.
                match self.wrong {
                    Some(Wrong::Tag) => answer[16] ^= 1,
                    Some(Wrong::Console) => answer[20] ^= 1,
                    Some(Wrong::Check | Wrong::Session | Wrong::Sequence) | None => {}
                }
                answer
            }
            Packet::Sealed(sealed) => {
                let message = self.keys.as_ref().expect("logged in").unseal(&sealed);
                let request = Request::decode(&message.expect("well sealed")).expect("a request");
                let response = self.execute(&request);
                self.seal(&response)
            }
        };
        self.answers += 1;
        match self.mutate {
            Some((at, place, bits, cut)) if at + 1 == self.answers => {
                let place = place % answer.len();
                if cut {
                    answer.truncate(place);
                } else {
                    answer[place] ^= bits;
                }
            }
            Some(_) | None => {}
        }
        vec![answer]
    }

    fn handshake(&mut self, kind: Payload, payload: &[u8]) -> Vec<u8> {
        match kind {
            Payload::OpenRequest => {
                let request = OpenRequest::decode(payload).expect("an open session request");
                self.exchange = Some(Exchange {
                    suite: request.algorithms.suite().expect("a suite"),
                    console: request.console,
                    bmc: BMC_SESSION,
                    console_random: [0; 16],
                    bmc_random: [2; 16],
                    guid: self.guid.map_or([0; 16], |guid| guid.0),
                    role: 0,
                    user: Vec::new(),
                });
                let algorithms = self.named.unwrap_or(request.algorithms);
                let response = OpenResponse { bmc: BMC_SESSION, algorithms };
                let response = response.encode(request.tag, 3, request.console);
                plain_datagram(Payload::OpenResponse, &response)
            }
            Payload::Rakp1 => {
                let rakp1 = Rakp1::decode(payload).expect("RAKP 1");
                let exchange = self.exchange.as_mut().expect("opened");
                exchange.console_random = rakp1.random;
                exchange.role = rakp1.role;
                exchange.user = rakp1.user;
                let code = exchange.rakp2_code(&self.password);
                let rakp2 = Rakp2 { random: [2; 16], guid: exchange.guid, code };
                plain_datagram(Payload::Rakp2, &rakp2.encode(rakp1.tag, exchange.console))
            }
            Payload::Rakp3 => {
                self.saw_rakp3 = true;
                let rakp3 = Rakp3::decode(payload).expect("RAKP 3");
                let exchange = self.exchange.as_ref().expect("opened");
                assert!(exchange.rakp3_is_right(&self.password, &rakp3.code));
                let keys = exchange.keys(&self.password);
                let mut check = exchange.rakp4_check(&keys);
                check[0] ^= u8::from(self.wrong == Some(Wrong::Check));
                self.keys = Some(keys);
                plain_datagram(Payload::Rakp4, &encode_rakp4(rakp3.tag, exchange.console, &check))
            }
            Payload::Message | Payload::OpenResponse | Payload::Rakp2 | Payload::Rakp4 => {
                panic!("a console does not send {kind:?}")
            }
        }
    }

    fn execute(&mut self, request: &Request) -> Response {
        let command = (request.function, request.command);
        self.asked.push(command);
        if command == (CHASSIS, CHASSIS_STATUS) {
            self.status_numbers.push(request.sequence);
        }
        if let Some(code) = self.codes.get_mut(&command).and_then(|codes| codes.pop()) {
            return request.answer(code, &[]);
        }
        match command {
            (CHASSIS, CHASSIS_CONTROL) => {
                self.controls.push(request.data.clone());
                request.answer(0, &[])
            }
            (CHASSIS, CHASSIS_STATUS) => request.answer(0, &self.status),
            (APPLICATION, SYSTEM_GUID | DEVICE_GUID) => match self.guid {
                Some(guid) => request.answer(0, &guid.0),
                None => request.answer(0xc1, &[]),
            },
            (APPLICATION, CLOSE_SESSION) => {
                assert_eq!(request.data, BMC_SESSION.to_le_bytes());
                self.closed = true;
                request.answer(0, &[])
            }
            _ => request.answer(0, &[3]),
        }
    }

    fn seal(&mut self, response: &Response) -> Vec<u8> {
        let mut response = response.clone();
        if self.stale {
            response.sequence = response.sequence.wrapping_sub(1) & 0x3f;
        }
        if self.wrong != Some(Wrong::Sequence) || self.sent == 0 {
            self.sent += 1;
        }
        let exchange = self.exchange.as_ref().expect("opened");
        let keys = self.keys.as_ref().expect("logged in");
        let console = exchange.console ^ u32::from(self.wrong == Some(Wrong::Session));
        keys.seal(console, self.sent, [7; 16], &response.encode())
    }
}
