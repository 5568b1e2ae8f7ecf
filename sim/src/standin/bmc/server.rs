//! The server core: sessions and login.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use fencing::bmc::ipmi::crypto::{Exchange, Keys};
use fencing::bmc::ipmi::message::{Request, Response};
use fencing::bmc::ipmi::packet::{Packet, Payload, Sealed, legacy_datagram, plain_datagram};
use fencing::bmc::ipmi::rakp::{
    OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, encode_rakp4, refusal, status,
};
use fencing::bmc::ipmi::{Draw, Malformed, Window};
use fencing::bmc::{CipherSuite, Secret};

use super::Chassis;

/// How a BMC is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its only user.
    pub user: String,
    /// The user's password.
    pub password: Secret,
    /// System GUID. All zero: the BMC has none.
    pub guid: [u8; 16],
    /// Suites that it accepts.
    pub suites: Vec<CipherSuite>,
    /// Highest level of the user: 2 user, 3 operator, 4 administrator.
    pub limit: u8,
    /// Size of the session table. Real ones have 4 to 30.
    pub slots: usize,
    /// What a wrong user or password gets.
    pub login: Login,
    /// For session ids and random numbers.
    pub seed: [u8; 32],
}

impl Settings {
    /// An ordinary BMC: both suites, administrator, 10 slots, says what is wrong.
    pub fn new(user: &str, password: &str, guid: [u8; 16], seed: [u8; 32]) -> Self {
        Self {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
            guid,
            suites: vec![CipherSuite::S17, CipherSuite::S3],
            limit: 4,
            slots: 10,
            login: Login::Explains,
            seed,
        }
    }
}

/// What a wrong user or password gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// A status code.
    Explains,
    /// Nothing, as with some real BMCs.
    Ignores,
}

/// How a BMC does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Does and says what is true.
    Obeys,
    /// Says ok at once, the power goes off this much later.
    Slow(Duration),
    /// Answers nothing at all.
    Silent,
    /// Says ok and stays on; reads are true.
    Stuck,
    /// Says ok, stays on, and reads off.
    Lies,
    /// Refuses chassis control with this completion code.
    Refuses(u8),
    /// Has no free session.
    SlotsFull,
}

/// A session that was opened but not logged in is forgotten after this.
const HALF_OPEN: Duration = Duration::from_secs(10);
/// An idle session is forgotten after this (IPMI 2.0, 6.12.15: 60 s).
const IDLE: Duration = Duration::from_secs(60);
/// Level at which each session starts.
const USER: u8 = 2;

/// The BMC.
pub struct BmcServer {
    pub(super) settings: Settings,
    pub(super) behaviour: Behaviour,
    /// When a slow BMC will have switched off.
    pub(super) off_at: Option<Duration>,
    pub(super) controls: u64,
    draw: Draw,
    sessions: BTreeMap<u32, Slot>,
}

struct Slot {
    from: SocketAddr,
    used: Duration,
    /// Complete after RAKP 1.
    exchange: Exchange,
    challenged: bool,
    active: Option<Active>,
    /// Highest level asked for at the opening.
    ceiling: u8,
}

struct Active {
    keys: Keys,
    level: u8,
    outbound: u32,
    inbound: Window,
}

impl BmcServer {
    /// A BMC that obeys.
    pub fn new(settings: Settings) -> Self {
        let draw = Draw::new(settings.seed);
        Self {
            settings,
            behaviour: Behaviour::Obeys,
            off_at: None,
            controls: 0,
            draw,
            sessions: BTreeMap::new(),
        }
    }

    /// Changes the behaviour from now on. A power off that is under way goes on.
    pub fn behave(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
    }

    /// From now on opens sessions of this cipher suite alone.
    pub fn accept_only(&mut self, suite: CipherSuite) {
        self.settings.suites = vec![suite];
    }

    /// Chassis Control commands executed so far, resent ones included.
    pub fn controls(&self) -> u64 {
        self.controls
    }

    /// Sessions in the table, half-open ones included.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// When [`BmcServer::tick`] has something to do, and why.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        self.off_at.map(|at| (at, "slow power off"))
    }

    /// Does what is due: switches off a slow BMC's node, forgets old sessions.
    pub fn tick(&mut self, now: Duration, chassis: &mut dyn Chassis) {
        if self.off_at.is_some_and(|at| at <= now) {
            self.off_at = None;
            chassis.set_power(false);
        }
        self.sessions.retain(|_, slot| {
            let life = if slot.active.is_some() { IDLE } else { HALF_OPEN };
            now < slot.used + life
        });
    }

    /// Answers a datagram. What makes no sense is dropped, as by real BMCs.
    pub fn handle(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &[u8],
        chassis: &mut dyn Chassis,
    ) -> Vec<Vec<u8>> {
        self.tick(now, chassis);
        if self.behaviour == Behaviour::Silent {
            return Vec::new();
        }
        let answer = match Packet::decode(datagram) {
            Ok(Packet::Legacy(payload)) => self.outside(payload).map(|it| legacy_datagram(&it)),
            Ok(Packet::Plain(Payload::Message, payload)) => {
                self.outside(payload).map(|it| plain_datagram(Payload::Message, &it))
            }
            Ok(Packet::Plain(Payload::OpenRequest, payload)) => {
                self.open(now, from, payload).map(|it| plain_datagram(Payload::OpenResponse, &it))
            }
            Ok(Packet::Plain(Payload::Rakp1, payload)) => {
                self.rakp1(now, from, payload).map(|it| plain_datagram(Payload::Rakp2, &it))
            }
            Ok(Packet::Plain(Payload::Rakp3, payload)) => {
                self.rakp3(now, from, payload).map(|it| plain_datagram(Payload::Rakp4, &it))
            }
            Ok(Packet::Sealed(sealed)) => self.sealed(now, from, &sealed, chassis),
            Ok(Packet::Plain(Payload::OpenResponse | Payload::Rakp2 | Payload::Rakp4, _)) => {
                Err(SILENCE)
            }
            Err(malformed) => Err(malformed),
        };
        answer.into_iter().collect()
    }

    fn outside(&mut self, payload: &[u8]) -> Result<Vec<u8>, Malformed> {
        let request = Request::decode(payload)?;
        Ok(self.outside_session(&request).encode())
    }

    fn open(
        &mut self,
        now: Duration,
        from: SocketAddr,
        payload: &[u8],
    ) -> Result<Vec<u8>, Malformed> {
        let request = OpenRequest::decode(payload)?;
        let (tag, console) = (request.tag, request.console);
        if self.behaviour == Behaviour::SlotsFull || self.sessions.len() >= self.settings.slots {
            return Ok(refusal(tag, status::NO_RESOURCES, console));
        }
        let suite = request.algorithms.suite();
        let Some(suite) = suite.filter(|suite| self.settings.suites.contains(suite)) else {
            return Ok(refusal(tag, status::INVALID_AUTHENTICATION, console));
        };
        let bmc = self.draw.session_id();
        let ceiling = if request.level == 0 { self.settings.limit } else { request.level };
        let exchange = Exchange {
            suite,
            console,
            bmc,
            console_random: [0; 16],
            bmc_random: [0; 16],
            guid: self.settings.guid,
            role: 0,
            user: Vec::new(),
        };
        let slot = Slot { from, used: now, exchange, challenged: false, active: None, ceiling };
        self.sessions.insert(bmc, slot);
        let response = OpenResponse { bmc, algorithms: request.algorithms };
        Ok(response.encode(tag, ceiling, console))
    }

    fn rakp1(
        &mut self,
        now: Duration,
        from: SocketAddr,
        payload: &[u8],
    ) -> Result<Vec<u8>, Malformed> {
        let rakp1 = Rakp1::decode(payload)?;
        let random = self.draw.block();
        let settings = &self.settings;
        let Some(slot) = slot(&mut self.sessions, rakp1.bmc, from) else {
            return Ok(refusal(rakp1.tag, status::INVALID_SESSION, 0));
        };
        if slot.active.is_some() {
            return Err(SILENCE);
        }
        let console = slot.exchange.console;
        if rakp1.user != settings.user.as_bytes() {
            return self.login_refused(rakp1.bmc, rakp1.tag, status::UNAUTHORIZED_NAME, console);
        }
        if rakp1.role & 0x0f > settings.limit {
            return self.login_refused(rakp1.bmc, rakp1.tag, status::UNAUTHORIZED_ROLE, console);
        }
        slot.used = now;
        slot.challenged = true;
        let exchange = &mut slot.exchange;
        exchange.console_random = rakp1.random;
        exchange.bmc_random = random;
        exchange.role = rakp1.role;
        exchange.user = rakp1.user;
        let code = exchange.rakp2_code(&settings.password);
        Ok(Rakp2 { random, guid: exchange.guid, code }.encode(rakp1.tag, console))
    }

    fn rakp3(
        &mut self,
        now: Duration,
        from: SocketAddr,
        payload: &[u8],
    ) -> Result<Vec<u8>, Malformed> {
        let rakp3 = Rakp3::decode(payload)?;
        let password = &self.settings.password;
        let found = slot(&mut self.sessions, rakp3.bmc, from).filter(|slot| slot.challenged);
        let Some(slot) = found else {
            return Ok(refusal(rakp3.tag, status::INVALID_SESSION, 0));
        };
        let console = slot.exchange.console;
        if rakp3.status != status::OK || !slot.exchange.rakp3_is_right(password, &rakp3.code) {
            return self.login_refused(rakp3.bmc, rakp3.tag, status::INVALID_CHECK, console);
        }
        slot.used = now;
        let exchange = &slot.exchange;
        // A resent RAKP 3 gets the same answer, and does not set the session back.
        let active = slot.active.get_or_insert_with(|| Active {
            keys: exchange.keys(password),
            level: USER,
            outbound: 0,
            inbound: Window::default(),
        });
        Ok(encode_rakp4(rakp3.tag, console, &exchange.rakp4_check(&active.keys)))
    }

    fn login_refused(
        &mut self,
        session: u32,
        tag: u8,
        status: u8,
        console: u32,
    ) -> Result<Vec<u8>, Malformed> {
        match self.settings.login {
            Login::Explains => {
                self.sessions.remove(&session);
                Ok(refusal(tag, status, console))
            }
            Login::Ignores => Err(SILENCE),
        }
    }

    fn sealed(
        &mut self,
        now: Duration,
        from: SocketAddr,
        sealed: &Sealed<'_>,
        chassis: &mut dyn Chassis,
    ) -> Result<Vec<u8>, Malformed> {
        let slot = slot(&mut self.sessions, sealed.session, from).ok_or(SILENCE)?;
        let ceiling = slot.ceiling.min(self.settings.limit);
        let active = slot.active.as_mut().ok_or(SILENCE)?;
        let message = active.keys.unseal(sealed)?;
        if !active.inbound.accept(sealed.sequence) {
            return Err(Malformed("a packet that was seen before"));
        }
        let request = Request::decode(&message)?;
        slot.used = now;
        let mut level = active.level;
        let response = self.execute(now, &request, &mut level, ceiling, chassis);
        let closed = super::command::closes(&request, &response);
        let datagram = self.seal(sealed.session, level, &response).ok_or(SILENCE);
        if closed {
            self.sessions.remove(&sealed.session);
        }
        datagram
    }

    fn seal(&mut self, session: u32, level: u8, response: &Response) -> Option<Vec<u8>> {
        let iv = self.draw.block();
        let slot = self.sessions.get_mut(&session)?;
        let active = slot.active.as_mut()?;
        active.level = level;
        active.outbound += 1;
        Some(active.keys.seal(slot.exchange.console, active.outbound, iv, &response.encode()))
    }
}

/// Nothing is answered.
const SILENCE: Malformed = Malformed("no such session, or nothing to say");

fn slot(sessions: &mut BTreeMap<u32, Slot>, id: u32, from: SocketAddr) -> Option<&mut Slot> {
    sessions.get_mut(&id).filter(|slot| slot.from == from)
}
