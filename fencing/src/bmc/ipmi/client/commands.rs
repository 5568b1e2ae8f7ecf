//! The commands of a session and what follows from their answers.

use std::time::Duration;

use super::{Effect, Session};
use crate::bmc::ipmi::Malformed;
use crate::bmc::ipmi::command::{Command, code};
use crate::bmc::ipmi::message::Response;
use crate::bmc::ipmi::packet::{Sealed, legacy_datagram};
use crate::bmc::{Ask, Failure, Identity, Power, Refusal, Reply, Step};

impl Session {
    pub(super) fn capabilities_datagram(&mut self) -> Vec<u8> {
        legacy_datagram(&self.command().request(self.request).encode())
    }

    /// Anything that is an answer will do: a BMC that denies IPMI 2.0 here and speaks it
    /// nevertheless has been seen, and one that does not is found out by Open Session.
    pub(super) fn on_capabilities(
        &mut self,
        now: Duration,
        payload: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Malformed> {
        let response = Response::decode(payload)?;
        if self.step == Step::Capabilities && self.is_answer(&response) {
            self.answered(now);
            self.enter(Step::OpenSession, now, effects);
        }
        Ok(())
    }

    /// The current request with the next session sequence number: to the BMC a new command.
    pub(super) fn sealed_datagram(&mut self) -> Vec<u8> {
        self.outbound += 1;
        let iv = self.draw.block();
        let message = self.command().request(self.request).encode();
        match &self.keys {
            Some(keys) => keys.seal(self.bmc_session(), self.outbound, iv, &message),
            None => Vec::new(), // these steps are entered with keys only
        }
    }

    pub(super) fn on_sealed(
        &mut self,
        now: Duration,
        sealed: &Sealed<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Malformed> {
        let Some(keys) = &self.keys else { return Ok(()) };
        if sealed.session != self.own_session() {
            return Err(Malformed("a packet of another session"));
        }
        let message = keys.unseal(sealed)?;
        if !self.inbound.accept(sealed.sequence) {
            return Err(Malformed("a packet that was seen before"));
        }
        let response = Response::decode(&message)?;
        // The drain: an answer to an earlier request must never pass for one to this.
        if self.is_answer(&response) {
            self.on_response(now, &response, effects);
        }
        Ok(())
    }

    fn on_response(&mut self, now: Duration, response: &Response, effects: &mut Vec<Effect>) {
        if response.code == code::BUSY && self.step != Step::CloseSession {
            // Asked again as a new request when the wait is over.
            self.resend.busy = Some(response.code);
            return;
        }
        self.answered(now);
        let ok = response.code == code::OK;
        match self.step {
            Step::SetPrivilege if ok => self.enter(Step::SystemGuid, now, effects),
            Step::SystemGuid | Step::DeviceGuid => self.on_guid(now, response, effects),
            Step::PowerOff => {
                let refused = (!ok).then_some(Refusal::Completion(response.code));
                self.reply = Some(Reply::OffSent { identity: self.identity, refused });
                self.enter(Step::CloseSession, now, effects);
            }
            Step::Status if ok => self.on_status(now, &response.data, effects),
            Step::CloseSession => self.end(effects),
            step @ (Step::SetPrivilege | Step::Status) => {
                let failure = match response.code {
                    code::PRIVILEGE | code::LEVEL_NOT_FOR_USER | code::LEVEL_OVER_LIMIT => {
                        Failure::NoPrivilege
                    }
                    code => Failure::Refused { step, code },
                };
                self.fail(failure, now, effects);
            }
            Step::Capabilities | Step::OpenSession | Step::Rakp1 | Step::Rakp3 => {}
        }
    }

    /// The first that has one: system GUID, device GUID, GUID of RAKP 2. Only a refusal leads to
    /// the next, never silence, so the same BMC is always known by the same GUID.
    fn on_guid(&mut self, now: Duration, response: &Response, effects: &mut Vec<Effect>) {
        let found = match response.code {
            code::OK => Identity::from_bytes(&response.data),
            _ => None,
        };
        if found.is_none() && self.step == Step::SystemGuid {
            return self.enter(Step::DeviceGuid, now, effects);
        }
        let of_rakp = self.handshake.exchange.as_ref();
        self.identity =
            found.or_else(|| of_rakp.and_then(|exchange| Identity::from_bytes(&exchange.guid)));
        match (self.config.ask, self.config.expect) {
            (Ask::Off, Some(expected)) if self.identity != Some(expected) => {
                let failure = Failure::WrongIdentity { expected, read: self.identity };
                self.fail(failure, now, effects);
            }
            (Ask::Off, _) => self.enter(Step::PowerOff, now, effects),
            (Ask::Read, _) => self.enter(Step::Status, now, effects),
        }
    }

    fn on_status(&mut self, now: Duration, data: &[u8], effects: &mut Vec<Effect>) {
        // Three bytes by the specification; fewer are not a status that may count as "off".
        let [state, _, _, ..] = data else {
            return self.fail(Failure::Malformed("short chassis status".into()), now, effects);
        };
        let power = if state & 1 == 1 { Power::On } else { Power::Off };
        self.reply = Some(Reply::Read { power, identity: self.identity });
        self.enter(Step::CloseSession, now, effects);
    }

    fn is_answer(&self, response: &Response) -> bool {
        let request = self.command().request(self.request);
        (response.sequence, response.function, response.command)
            == (request.sequence, request.function, request.command)
    }

    pub(super) fn next_request(&mut self) {
        self.request = (self.request + 1) & 0x3f;
    }

    fn command(&self) -> Command {
        let level = self.config.privilege.level();
        match self.step {
            Step::SetPrivilege => Command::SessionPrivilege(level),
            Step::SystemGuid => Command::SystemGuid,
            Step::DeviceGuid => Command::DeviceGuid,
            Step::PowerOff => Command::PowerOff,
            Step::Status => Command::ChassisStatus,
            Step::CloseSession => Command::CloseSession(self.bmc_session()),
            Step::Capabilities | Step::OpenSession | Step::Rakp1 | Step::Rakp3 => {
                Command::ChannelCapabilities(level)
            }
        }
    }
}
