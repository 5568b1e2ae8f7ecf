//! Open Session and RAKP 1 to 4, from the console's side (IPMI 2.0, 13.15).

use std::time::Duration;

use super::{Effect, HANDSHAKES, Session};
use crate::bmc::ipmi::crypto::Exchange;
use crate::bmc::ipmi::packet::{Payload, plain_datagram};
use crate::bmc::ipmi::rakp::{
    Algorithms, Head, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, decode_rakp4, status,
};
use crate::bmc::ipmi::{Malformed, Window};
use crate::bmc::{CipherSuite, Failure, Step};

/// "Look the user up by its name only", so that the level does not pick the user.
const NAME_ONLY: u8 = 0x10;

/// One try to log in.
#[derive(Default)]
pub(super) struct Handshake {
    /// Which of the configured suites is tried.
    suite: usize,
    /// Tries so far.
    tries: u32,
    /// Tag of the outstanding request; another one for each step of each try.
    tag: u8,
    console: u32,
    bmc: u32,
    random: [u8; 16],
    /// Complete after RAKP 2.
    pub(super) exchange: Option<Exchange>,
}

impl Session {
    /// A fresh session id and random number: nothing of an earlier try fits this one.
    pub(super) fn new_handshake(&mut self) {
        self.keys = None;
        self.outbound = 0;
        self.inbound = Window::default();
        let console = self.draw.session_id();
        let random = self.draw.block();
        let handshake = &mut self.handshake;
        handshake.tries += 1;
        (handshake.console, handshake.random) = (console, random);
        handshake.exchange = None;
        self.next_tag();
    }

    pub(super) fn handshake_datagram(&mut self) -> Vec<u8> {
        let handshake = &self.handshake;
        let (tag, bmc, role) = (handshake.tag, handshake.bmc, self.role());
        match (self.step, &handshake.exchange) {
            (Step::Rakp1, _) => {
                let (random, user) = (handshake.random, self.config.user.as_bytes().to_vec());
                plain_datagram(Payload::Rakp1, &Rakp1 { tag, bmc, random, role, user }.encode())
            }
            (Step::Rakp3, Some(exchange)) => {
                let code = exchange.rakp3_code(&self.config.password);
                let rakp3 = Rakp3 { tag, status: status::OK, bmc, code };
                plain_datagram(Payload::Rakp3, &rakp3.encode())
            }
            (_, _) => {
                let request = OpenRequest {
                    tag,
                    level: self.config.privilege.level(),
                    console: handshake.console,
                    algorithms: self.suite().into(),
                };
                plain_datagram(Payload::OpenRequest, &request.encode())
            }
        }
    }

    pub(super) fn on_open(
        &mut self,
        now: Duration,
        payload: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Malformed> {
        let (head, accepted) = OpenResponse::decode(payload)?;
        if self.step != Step::OpenSession || !self.is_ours(head) {
            return Ok(());
        }
        self.answered(now);
        let Some(accepted) = accepted else {
            self.refused(head.status, now, effects);
            return Ok(());
        };
        if accepted.algorithms != Algorithms::from(self.suite()) {
            self.fail(Failure::OtherAlgorithm, now, effects);
        } else if accepted.bmc == 0 {
            self.fail(Failure::Malformed("session id 0".into()), now, effects);
        } else {
            self.handshake.bmc = accepted.bmc;
            self.next_tag();
            self.enter(Step::Rakp1, now, effects);
        }
        Ok(())
    }

    pub(super) fn on_rakp2(
        &mut self,
        now: Duration,
        payload: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Malformed> {
        let (head, accepted) = Rakp2::decode(payload)?;
        if self.step != Step::Rakp1 || !self.is_ours(head) {
            return Ok(());
        }
        self.answered(now);
        let Some(rakp2) = accepted else {
            self.refused(head.status, now, effects);
            return Ok(());
        };
        let exchange = Exchange {
            suite: self.suite(),
            console: self.handshake.console,
            bmc: self.handshake.bmc,
            console_random: self.handshake.random,
            bmc_random: rakp2.random,
            guid: rakp2.guid,
            role: self.role(),
            user: self.config.user.as_bytes().to_vec(),
        };
        // The BMC must prove first that it knows the password: to any other we prove nothing.
        if !exchange.rakp2_is_right(&self.config.password, &rakp2.code) {
            self.fail(Failure::WrongPassword, now, effects);
            return Ok(());
        }
        self.handshake.exchange = Some(exchange);
        self.next_tag();
        self.enter(Step::Rakp3, now, effects);
        Ok(())
    }

    pub(super) fn on_rakp4(
        &mut self,
        now: Duration,
        payload: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Malformed> {
        let (head, check) = decode_rakp4(payload)?;
        let Some(exchange) = &self.handshake.exchange else { return Ok(()) };
        if self.step != Step::Rakp3 || !self.is_ours(head) {
            return Ok(());
        }
        if head.status != status::OK {
            self.answered(now);
            self.refused(head.status, now, effects);
            return Ok(());
        }
        let keys = exchange.keys(&self.config.password);
        if !exchange.rakp4_is_right(&keys, check) {
            let failure = Failure::Malformed("RAKP 4 proves nothing".into());
            self.fail(failure, now, effects);
            return Ok(());
        }
        self.keys = Some(keys);
        self.answered(now);
        self.enter(Step::SetPrivilege, now, effects);
        Ok(())
    }

    /// A refusal of any part of the handshake.
    fn refused(&mut self, code: u8, now: Duration, effects: &mut Vec<Effect>) {
        let step = self.step;
        let failure = match code {
            status::NO_RESOURCES | status::NO_RESOURCES_AT_ROLE => Failure::SlotsFull,
            status::INVALID_AUTHENTICATION
            | status::INVALID_INTEGRITY
            | status::NO_AUTHENTICATION
            | status::NO_INTEGRITY
            | status::INVALID_CONFIDENTIALITY
            | status::NO_SUITE => return self.next_suite(now, effects),
            status::INVALID_ROLE | status::UNAUTHORIZED_ROLE => Failure::NoPrivilege,
            status::INVALID_NAME | status::UNAUTHORIZED_NAME => Failure::UnknownUser,
            status::INVALID_CHECK if step == Step::Rakp1 => Failure::WrongPassword,
            // RAKP 2 has shown that the password is right, so this is a handshake out of step:
            // the BMC has answered a resent RAKP 1 anew, or has forgotten the session.
            status::INVALID_CHECK | status::INVALID_SESSION | status::INACTIVE_SESSION
                if self.handshake.tries < HANDSHAKES =>
            {
                self.wait_for(self.patience * 2);
                return self.enter(Step::OpenSession, now, effects);
            }
            status => Failure::HandshakeRefused { step, status },
        };
        self.fail(failure, now, effects);
    }

    fn next_suite(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.handshake.suite + 1 < self.config.suites.len() {
            self.handshake.suite += 1;
            self.handshake.tries = 0;
            self.enter(Step::OpenSession, now, effects);
        } else {
            self.fail(Failure::CipherRefused, now, effects);
        }
    }

    /// Tag and session id are those of the outstanding request. A refusal may lack the id.
    fn is_ours(&self, head: Head) -> bool {
        let console = match head.console {
            Some(console) => console == self.handshake.console || head.status != status::OK,
            None => head.status != status::OK,
        };
        head.tag == self.handshake.tag && console
    }

    fn next_tag(&mut self) {
        self.handshake.tag = self.handshake.tag.wrapping_add(1);
    }

    fn role(&self) -> u8 {
        NAME_ONLY | self.config.privilege.level()
    }

    fn suite(&self) -> CipherSuite {
        // `start` refuses an empty list and `next_suite` stays inside of it.
        self.config.suites.get(self.handshake.suite).copied().unwrap_or(CipherSuite::S17)
    }

    pub(super) fn own_session(&self) -> u32 {
        self.handshake.console
    }

    pub(super) fn bmc_session(&self) -> u32 {
        self.handshake.bmc
    }
}
