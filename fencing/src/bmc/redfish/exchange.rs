//! The core: one question to one system, as requests out and answers in.

use super::resource::{
    ActionInfo, HardOff, Made, Root, System, Systems, clip, parse, path, path_of_url, same,
};
use super::{LogIn, RedfishFailure, Stage};
use crate::bmc::{Ask, Failure, Identity, Refusal, Reply, Secret};

/// Where every Redfish service begins (DSP0266, 6.3).
const ROOT: &str = "/redfish/v1/";
/// Where the systems are if the root does not say.
const SYSTEMS: &str = "/redfish/v1/Systems";
/// Where sessions are made if the root does not say.
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";
/// Most systems that are named to the operator.
const NAMED: usize = 8;

/// What to ask.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The question.
    pub ask: Ask,
    /// The enrolled identity. With [`Ask::Off`], another one or none means that no off is sent.
    pub expect: Option<Identity>,
    /// How to log in.
    pub log_in: LogIn,
    /// Path of the system; `None`: the only one.
    pub system: Option<String>,
    /// UUID that the inventory names.
    pub uuid: Option<Identity>,
    /// Serial number that the inventory names.
    pub serial: Option<String>,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// What for.
    pub stage: Stage,
    /// How.
    pub method: Method,
    /// Path on the BMC.
    pub path: String,
    /// As whom.
    pub auth: Auth,
    /// With what.
    pub body: Option<Body>,
}

/// HTTP methods that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Logs in, or switches off.
    Post,
    /// Logs out.
    Delete,
}

/// As whom a request is sent.
#[derive(Clone, Debug)]
pub enum Auth {
    /// As nobody.
    Nobody,
    /// With user and password.
    Basic,
    /// With the token of a session.
    Token(Secret),
}

/// What a request carries. The shell writes it, so that the core holds no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// User and password, for a session.
    LogIn,
    /// `{"ResetType": "ForceOff"}`.
    ForceOff,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `X-Auth-Token`.
    pub token: Option<Secret>,
    /// `Location`.
    pub location: Option<String>,
    /// The body, within bounds.
    pub body: Vec<u8>,
}

/// What follows from an answer.
#[derive(Debug)]
pub enum Next {
    /// Send this.
    Send(Request),
    /// The end.
    Done(Reply),
}

/// One question to one system.
pub struct Exchange {
    plan: Plan,
    stage: Stage,
    sessions: String,
    systems: String,
    auth: Auth,
    /// The session that is ours to end.
    session: Option<String>,
    system: String,
    identity: Option<Identity>,
    /// Where the off goes once action info was read.
    target: String,
    /// Known when only the logout is left.
    reply: Option<Reply>,
}

impl Exchange {
    /// An exchange and its first request.
    pub fn new(plan: Plan) -> (Self, Request) {
        let exchange = Self {
            stage: Stage::Root,
            sessions: SESSIONS.into(),
            systems: SYSTEMS.into(),
            auth: Auth::Nobody,
            session: None,
            system: String::new(),
            identity: None,
            target: String::new(),
            reply: None,
            plan,
        };
        let first = exchange.request(Method::Get, ROOT, None);
        (exchange, first)
    }

    /// Takes in what became of the last request.
    pub fn answered(&mut self, answer: Result<Answer, RedfishFailure>) -> Next {
        if self.stage == Stage::LogOut {
            // The reply is known by then, only the BMC's place is at stake.
            return self.done();
        }
        let next = answer.map_err(Failure::Redfish).and_then(|answer| self.take(&answer));
        next.unwrap_or_else(|failure| self.finish(Reply::Failed(failure)))
    }

    fn take(&mut self, answer: &Answer) -> Result<Next, Failure> {
        if (300..400).contains(&answer.status) {
            let (stage, status) = (self.stage, answer.status);
            return Err(Failure::Redfish(RedfishFailure::Redirected { stage, status }));
        }
        match self.stage {
            Stage::Root => self.on_root(answer),
            Stage::LogIn => self.on_log_in(answer),
            Stage::Systems => self.on_systems(answer),
            Stage::System => self.on_system(answer),
            Stage::ActionInfo => self.on_action_info(answer),
            Stage::Reset => self.on_reset(answer),
            Stage::LogOut => Ok(self.done()),
        }
    }

    fn on_root(&mut self, answer: &Answer) -> Result<Next, Failure> {
        let root: Root = self.read(answer)?;
        if let Some(systems) = root.systems {
            self.systems = path(&systems.id).ok_or_else(|| self.nonsense("a strange link"))?;
        }
        if let Some(sessions) = root.links.and_then(|links| links.sessions) {
            self.sessions = path(&sessions.id).ok_or_else(|| self.nonsense("a strange link"))?;
        }
        Ok(match self.plan.log_in {
            LogIn::Basic => {
                self.auth = Auth::Basic;
                self.find_system()
            }
            LogIn::Session => {
                self.stage = Stage::LogIn;
                let sessions = self.sessions.clone();
                Next::Send(self.request(Method::Post, &sessions, Some(Body::LogIn)))
            }
        })
    }

    fn on_log_in(&mut self, answer: &Answer) -> Result<Next, Failure> {
        if !is_success(answer.status) {
            return Err(self.login_refused(answer));
        }
        let token = answer.token.clone().ok_or_else(|| self.nonsense("a login without a token"))?;
        let made = || parse::<Made>(Stage::LogIn, &answer.body).ok().and_then(|made| made.id);
        let place = answer.location.clone().or_else(made);
        self.session = place.as_deref().and_then(path_of_url);
        self.auth = Auth::Token(token);
        Ok(self.find_system())
    }

    fn login_refused(&self, answer: &Answer) -> Failure {
        // Which status a full table has is the vendor's choice; the message is not (DSP0268, Base).
        let full = String::from_utf8_lossy(&answer.body).contains("SessionLimitExceeded");
        match answer.status {
            _ if full => RedfishFailure::SlotsFull.into(),
            // A login that is understood and refused is a wrong one, whatever the vendor calls it.
            400 | 401 => RedfishFailure::LoginRefused(Stage::LogIn).into(),
            429 | 503 => RedfishFailure::SlotsFull.into(),
            _ => self.refused(answer.status),
        }
    }

    fn find_system(&mut self) -> Next {
        match self.plan.system.clone() {
            Some(system) => self.read_system(system),
            None => {
                self.stage = Stage::Systems;
                let systems = self.systems.clone();
                Next::Send(self.request(Method::Get, &systems, None))
            }
        }
    }

    fn on_systems(&mut self, answer: &Answer) -> Result<Next, Failure> {
        let systems: Systems = self.read(answer)?;
        match systems.members.as_slice() {
            [one] => {
                let system = path(&one.id).ok_or_else(|| self.nonsense("a strange link"))?;
                Ok(self.read_system(system))
            }
            [] => Err(self.nonsense("no system")),
            [_, _, ..] => {
                let names = systems.members.iter().take(NAMED).map(|link| clip(&link.id));
                let names = names.collect::<Vec<_>>().join(", ");
                Err(RedfishFailure::WhichSystem(names).into())
            }
        }
    }

    fn read_system(&mut self, system: String) -> Next {
        self.stage = Stage::System;
        self.system = system.clone();
        Next::Send(self.request(Method::Get, &system, None))
    }

    fn on_system(&mut self, answer: &Answer) -> Result<Next, Failure> {
        if answer.status == 404 {
            return Err(RedfishFailure::NoSuchSystem(clip(&self.system)).into());
        }
        let system: System = self.read(answer)?;
        if !system.is_at(&self.system) {
            return Err(self.nonsense("another system than asked for"));
        }
        self.is_the_right_one(&system)?;
        self.identity = system.identity();
        match (self.plan.ask, self.plan.expect) {
            (Ask::Read, _) => {
                let (power, identity) = (system.power(), self.identity);
                Ok(self.finish(Reply::Read { power, identity }))
            }
            (Ask::Off, Some(expected)) if self.identity != Some(expected) => {
                Err(Failure::WrongIdentity { expected, read: self.identity })
            }
            (Ask::Off, _) => match system.hard_off(&self.system)? {
                HardOff::At(target) => Ok(self.force_off(target)),
                HardOff::Ask { target, info } => {
                    self.stage = Stage::ActionInfo;
                    self.target = target;
                    Ok(Next::Send(self.request(Method::Get, &info, None)))
                }
            },
        }
    }

    /// What the inventory itself says of the machine holds for reads too: a foreign one is not enrolled either.
    fn is_the_right_one(&self, system: &System) -> Result<(), Failure> {
        if let Some(expected) = self.plan.uuid
            && system.uuid() != Some(expected)
        {
            return Err(Failure::WrongIdentity { expected, read: system.uuid() });
        }
        if let Some(expected) = &self.plan.serial
            && system.serial() != Some(expected)
        {
            let (expected, read) = (expected.clone(), system.serial().map(clip));
            return Err(RedfishFailure::WrongSerial { expected, read }.into());
        }
        Ok(())
    }

    fn on_action_info(&mut self, answer: &Answer) -> Result<Next, Failure> {
        let info: ActionInfo = self.read(answer)?;
        if !info.offers_force_off() {
            return Err(RedfishFailure::NoForceOff.into());
        }
        let target = std::mem::take(&mut self.target);
        Ok(self.force_off(target))
    }

    fn force_off(&mut self, target: String) -> Next {
        self.stage = Stage::Reset;
        Next::Send(self.request(Method::Post, &target, Some(Body::ForceOff)))
    }

    fn on_reset(&mut self, answer: &Answer) -> Result<Next, Failure> {
        // A refusal may mean "it is off already": reads decide. Without the right nothing was tried at all.
        if let 401 | 403 = answer.status {
            return Err(self.refused(answer.status));
        }
        let refused = (!is_success(answer.status)).then_some(Refusal::Http(answer.status));
        let identity = self.identity;
        Ok(self.finish(Reply::OffSent { identity, refused }))
    }

    /// Ends the question, with a logout where there is a session.
    fn finish(&mut self, reply: Reply) -> Next {
        self.reply = Some(reply);
        match self.session.take() {
            Some(session) if !same(&session, &self.sessions) => {
                self.stage = Stage::LogOut;
                Next::Send(self.request(Method::Delete, &session, None))
            }
            Some(_) | None => self.done(),
        }
    }

    fn done(&mut self) -> Next {
        self.stage = Stage::LogOut;
        let over = || Reply::Failed(self.nonsense("the question is over"));
        Next::Done(self.reply.clone().unwrap_or_else(over))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        if answer.status != 200 {
            return Err(self.refused(answer.status));
        }
        Ok(parse(self.stage, &answer.body)?)
    }

    fn refused(&self, status: u16) -> Failure {
        let stage = self.stage;
        Failure::Redfish(match status {
            401 => RedfishFailure::LoginRefused(stage),
            403 => RedfishFailure::NoRight(stage),
            _ => RedfishFailure::Refused { stage, status },
        })
    }

    fn nonsense(&self, why: &'static str) -> Failure {
        Failure::Redfish(RedfishFailure::Nonsense { stage: self.stage, why: why.into() })
    }

    fn request(&self, method: Method, path: &str, body: Option<Body>) -> Request {
        let auth = self.auth.clone();
        Request { stage: self.stage, method, path: path.to_owned(), auth, body }
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
