//! What the stand-in answers.

use std::time::Instant;

use fencing::bmc::Identity;
use sim::standin::bmc::{Chassis, Switch};

use super::server::Behaviour;

/// `Basic` of the user and the password that all have.
const BASIC: &str = "Basic YWRtaW46c2VjcmV0";
const LOGIN: &str = r#"{"Password":"secret","UserName":"admin"}"#;
const SYSTEM: &str = "/redfish/v1/Systems/1";
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// A request.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    authorization: Option<String>,
    token: Option<String>,
    pub(crate) length: usize,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn parse(head: &str) -> Option<Self> {
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let header = |name: &str| {
            let wanted = |line: &&str| {
                line.split(':').next().is_some_and(|key| key.eq_ignore_ascii_case(name))
            };
            let line = head.lines().skip(1).find(wanted)?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        Some(Self {
            method: first.next()?.to_owned(),
            path: first.next()?.to_owned(),
            authorization: header("authorization"),
            token: header("x-auth-token"),
            length: header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0),
            body: String::new(),
        })
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

fn answer(status: u16, body: impl Into<String>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into() }
}

/// The service behind the socket.
pub(crate) struct Service {
    pub(crate) behaviour: Behaviour,
    /// All requests, as `METHOD PATH`.
    pub(crate) asked: Vec<String>,
    /// Sessions that are open.
    pub(crate) sessions: Vec<u32>,
    /// Resets that reached it.
    pub(crate) resets: u32,
    /// Where there is no UUID, the serial number alone says who it is.
    pub(crate) without_uuid: bool,
    node: Switch,
    uuid: Identity,
    off_at: Option<Instant>,
    made: u32,
}

impl Service {
    pub(crate) fn new(node: Switch, uuid: Identity) -> Self {
        Self {
            behaviour: Behaviour::Obeys,
            asked: Vec::new(),
            sessions: Vec::new(),
            resets: 0,
            without_uuid: false,
            node,
            uuid,
            off_at: None,
            made: 0,
        }
    }

    pub(crate) fn answer(&mut self, asked: &Asked) -> Answer {
        self.asked.push(format!("{} {}", asked.method, asked.path));
        if self.off_at.is_some_and(|at| at <= Instant::now()) {
            self.off_at = None;
            self.node.set_power(false);
        }
        if self.behaviour == Behaviour::Redirects {
            let location = format!("Location: https://127.0.0.1:9{}", asked.path);
            return Answer { headers: vec![location], ..answer(302, "") };
        }
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/redfish/v1/") => answer(
                200,
                r#"{"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Links": {"Sessions":
                   {"@odata.id": "/redfish/v1/SessionService/Sessions"}}}"#,
            ),
            ("POST", SESSIONS) => self.log_in(asked),
            _ if !self.is_logged_in(asked) => answer(401, "{}"),
            ("DELETE", path) => self.log_out(path),
            ("GET", "/redfish/v1/Systems") => {
                answer(200, format!(r#"{{"Members": [{{"@odata.id": "{SYSTEM}"}}]}}"#))
            }
            ("GET", SYSTEM) => answer(200, self.system()),
            ("POST", path) if path.ends_with("/Actions/ComputerSystem.Reset") => self.reset(asked),
            _ => answer(404, "{}"),
        }
    }

    fn is_logged_in(&self, asked: &Asked) -> bool {
        let of_session =
            |token: &str| self.sessions.iter().any(|session| token == format!("token-{session}"));
        asked.authorization.as_deref() == Some(BASIC)
            || asked.token.as_deref().is_some_and(of_session)
    }

    fn log_in(&mut self, asked: &Asked) -> Answer {
        if self.behaviour == Behaviour::SlotsFull {
            return answer(400, r#"{"error": {"code": "Base.1.8.SessionLimitExceeded"}}"#);
        }
        if asked.body != LOGIN {
            return answer(401, "{}");
        }
        self.made += 1;
        self.sessions.push(self.made);
        let token = format!("X-Auth-Token: token-{}", self.made);
        let location = format!("Location: {SESSIONS}/{}", self.made);
        Answer { headers: vec![token, location], ..answer(201, "{}") }
    }

    fn log_out(&mut self, path: &str) -> Answer {
        let number = path.strip_prefix(SESSIONS).and_then(|rest| rest.get(1..)?.parse().ok());
        self.sessions.retain(|session| Some(*session) != number);
        answer(204, "")
    }

    fn system(&self) -> String {
        let on = self.node.power() && self.behaviour != Behaviour::Lies;
        let power = if self.behaviour == Behaviour::Vague || self.off_at.is_some() {
            "PoweringOff"
        } else if on {
            "On"
        } else {
            "Off"
        };
        let offered = if self.behaviour == Behaviour::Soft {
            r#"["On", "GracefulShutdown"]"#
        } else {
            r#"["On", "ForceOff", "GracefulShutdown"]"#
        };
        let foreign = self.behaviour == Behaviour::Foreign;
        let of = if foreign { "/redfish/v1/Systems/2" } else { SYSTEM };
        let uuid = if self.without_uuid { "null".to_owned() } else { format!("\"{}\"", self.uuid) };
        format!(
            r##"{{"@odata.id": "{SYSTEM}", "UUID": {uuid}, "SerialNumber": "S{}",
               "PowerState": "{power}", "Actions": {{"#ComputerSystem.Reset": {{
                   "target": "{of}/Actions/ComputerSystem.Reset",
                   "ResetType@Redfish.AllowableValues": {offered}}}}}}}"##,
            self.uuid.0[0]
        )
    }

    fn reset(&mut self, asked: &Asked) -> Answer {
        self.resets += 1;
        if asked.body != r#"{"ResetType":"ForceOff"}"# {
            return answer(400, "{}");
        }
        if let Behaviour::Refuses(status) = self.behaviour {
            return answer(status, "{}");
        }
        if let Behaviour::Slow(by) = self.behaviour {
            // A second off does not put the first one back.
            self.off_at = self.off_at.or(Some(Instant::now() + by));
        } else if ![Behaviour::Stuck, Behaviour::Lies, Behaviour::Vague].contains(&self.behaviour) {
            self.node.set_power(false);
        }
        answer(204, "")
    }
}
