//! The client core: one question to one BMC, from the first datagram to Close Session.

mod commands;
mod config;
mod handshake;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use self::config::{Config, Pace};
use self::handshake::Handshake;
use super::crypto::Keys;
use super::packet::{Packet, Payload};
use super::{Draw, Malformed, Window};
use crate::bmc::{Failure, Identity, Reply, Step};

/// What happens to a session.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A datagram from the BMC's address.
    Datagram(&'a [u8]),
    /// The time of [`Session::poll_timeout`] has come. The first one starts the session.
    Timeout,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this to the BMC.
    Send(Vec<u8>),
    /// The end. No further effect follows, in this call or any later.
    Done(Reply),
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(datagram) => write!(f, "send {} bytes", datagram.len()),
            Self::Done(reply) => write!(f, "done, {reply}"),
        }
    }
}

/// Handshakes before we give up: a BMC that draws a new random number for each resent RAKP 1 makes
/// a lost datagram spoil the whole handshake.
const HANDSHAKES: u32 = 4;
/// Sendings of one step without an answer that are rather silence than a lack of time.
const SILENT_AFTER: u32 = 4;
/// Sendings of Close Session: the reply is known by then, only the slot is at stake.
const CLOSE_TRIES: u32 = 2;
/// Sendings of the capabilities request: it is only a help for diagnosis.
const CAPABILITIES_TRIES: u32 = 2;

/// One question to one BMC.
pub struct Session {
    config: Config,
    draw: Draw,
    progress: Progress,
    /// Absolute, set by the first event.
    deadline: Duration,
    step: Step,
    resend: Resend,
    /// First wait of the next step, at least twice the time of the slowest clear answer, so that a
    /// slow BMC is not asked again before it can have answered.
    patience: Duration,
    /// A clear answer was timed in this handshake or session.
    timed: bool,
    handshake: Handshake,
    keys: Option<Keys>,
    outbound: u32,
    inbound: Window,
    /// Number of the outstanding request. It has 64 values, more than a session has requests (6
    /// commands, 5 of them renewed at most 11 times): so a late answer fits no later request.
    request: u8,
    identity: Option<Identity>,
    /// Known when only Close Session is left.
    reply: Option<Reply>,
    heard: bool,
    nonsense: Option<Malformed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Fresh,
    Asking,
    Finished,
}

/// The outstanding datagram.
#[derive(Clone, Copy, Debug, Default)]
struct Resend {
    last_sent: Duration,
    sent: u32,
    next: Duration,
    /// Completion code of a BMC that was busy: the next sending is a new request.
    busy: Option<u8>,
}

impl Session {
    /// A session that starts with its first [`Event::Timeout`]. The seed must be unpredictable and
    /// never used twice.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let patience = config.pace.first;
        Self {
            config,
            draw: Draw::new(seed),
            progress: Progress::Fresh,
            deadline: Duration::ZERO,
            step: Step::Capabilities,
            resend: Resend::default(),
            patience,
            timed: false,
            handshake: Handshake::default(),
            keys: None,
            outbound: 0,
            inbound: Window::default(),
            request: 0,
            identity: None,
            reply: None,
            heard: false,
            nonsense: None,
        }
    }

    /// When [`Event::Timeout`] is due and why; `None` when the session is over.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        match self.progress {
            Progress::Fresh => Some((Duration::ZERO, "start")),
            Progress::Asking if self.deadline <= self.resend.next => {
                Some((self.deadline, "deadline"))
            }
            Progress::Asking => Some((self.resend.next, "send again")),
            Progress::Finished => None,
        }
    }

    /// Takes an event in. `now` never goes back.
    pub fn handle(&mut self, now: Duration, event: Event<'_>, effects: &mut Vec<Effect>) {
        match (self.progress, event) {
            (Progress::Fresh, Event::Timeout) => self.start(now, effects),
            (Progress::Asking, _) if now >= self.deadline => self.out_of_time(effects),
            (Progress::Asking, Event::Timeout) => self.on_timeout(now, effects),
            (Progress::Asking, Event::Datagram(datagram)) => {
                if let Err(nonsense) = self.on_datagram(now, datagram, effects) {
                    self.nonsense = Some(nonsense);
                }
            }
            (Progress::Fresh, Event::Datagram(_)) | (Progress::Finished, _) => {}
        }
    }

    fn start(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.progress = Progress::Asking;
        self.deadline = now + self.config.deadline;
        if let Some(why) = self.config.unusable() {
            return self.finish(Reply::Failed(Failure::Unusable(why.into())), effects);
        }
        self.enter(Step::Capabilities, now, effects);
    }

    /// Hostile input ends here: `Err` is remembered for the diagnosis and changes nothing else.
    fn on_datagram(
        &mut self,
        now: Duration,
        datagram: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Malformed> {
        match Packet::decode(datagram)? {
            Packet::Legacy(payload) => self.on_capabilities(now, payload, effects),
            Packet::Plain(Payload::OpenResponse, payload) => self.on_open(now, payload, effects),
            Packet::Plain(Payload::Rakp2, payload) => self.on_rakp2(now, payload, effects),
            Packet::Plain(Payload::Rakp4, payload) => self.on_rakp4(now, payload, effects),
            Packet::Plain(
                Payload::Message | Payload::OpenRequest | Payload::Rakp1 | Payload::Rakp3,
                _,
            ) => Err(Malformed("a payload that no BMC sends to us")),
            Packet::Sealed(sealed) => self.on_sealed(now, &sealed, effects),
        }
    }

    fn on_timeout(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if now < self.resend.next {
            return;
        }
        let tries = match self.step {
            Step::Capabilities => CAPABILITIES_TRIES.min(self.config.pace.tries),
            Step::CloseSession => CLOSE_TRIES,
            Step::OpenSession
            | Step::Rakp1
            | Step::Rakp3
            | Step::SetPrivilege
            | Step::SystemGuid
            | Step::DeviceGuid
            | Step::PowerOff
            | Step::Status => self.config.pace.tries,
        };
        if self.resend.sent < tries {
            return self.send(now, effects);
        }
        match self.step {
            Step::Capabilities => self.enter(Step::OpenSession, now, effects),
            Step::CloseSession => self.end(effects),
            Step::OpenSession
            | Step::Rakp1
            | Step::Rakp3
            | Step::SetPrivilege
            | Step::SystemGuid
            | Step::DeviceGuid
            | Step::PowerOff
            | Step::Status => {
                let failure = match self.resend.busy {
                    Some(code) => Failure::Refused { step: self.step, code },
                    None => self.silence(Failure::WentSilent(self.step)),
                };
                self.give_up(failure, effects);
            }
        }
    }

    fn out_of_time(&mut self, effects: &mut Vec<Effect>) {
        if self.reply.is_some() {
            return self.end(effects);
        }
        let failure = match self.resend.sent {
            ..SILENT_AFTER => Failure::Deadline,
            SILENT_AFTER.. => Failure::WentSilent(self.step),
        };
        let failure = self.silence(failure);
        self.give_up(failure, effects);
    }

    /// What to call a silence: `otherwise` if the BMC was heard before.
    fn silence(&self, otherwise: Failure) -> Failure {
        match (self.heard, self.nonsense) {
            (true, _) => otherwise,
            (false, Some(Malformed(why))) => Failure::Malformed(why.into()),
            (false, None) => Failure::NoAnswer,
        }
    }

    /// Goes on to a step and sends it for the first time.
    fn enter(&mut self, step: Step, now: Duration, effects: &mut Vec<Effect>) {
        self.step = step;
        self.resend = Resend::default();
        self.next_request();
        if step == Step::OpenSession {
            self.new_handshake();
        }
        self.send(now, effects);
    }

    fn send(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.resend.busy.take().is_some() {
            self.next_request();
        }
        let datagram = self.datagram();
        let wait = self.patience * 2u32.saturating_pow(self.resend.sent.min(8));
        self.resend.next = now + wait.min(self.config.pace.longest.max(self.patience));
        self.resend.last_sent = now;
        self.resend.sent += 1;
        effects.push(Effect::Send(datagram));
    }

    /// The outstanding step is answered.
    fn answered(&mut self, now: Duration) {
        self.heard = true;
        let took = now.saturating_sub(self.resend.last_sent);
        let clear = self.resend.sent == 1;
        // If not clear, it is not known which of the sendings was answered. With a BMC that was
        // timed before it was a loss; any other is at least as slow as from the last sending.
        if clear || !self.timed {
            self.wait_for(took * 2);
        }
        self.timed |= clear;
    }

    /// Waits at least this long before anything is sent again, within bounds.
    fn wait_for(&mut self, patience: Duration) {
        self.patience = self.patience.max(patience.min(self.config.pace.longest * 4));
    }

    /// Fails, politely if the BMC still answers.
    fn fail(&mut self, failure: Failure, now: Duration, effects: &mut Vec<Effect>) {
        self.reply = Some(Reply::Failed(failure));
        if self.keys.is_some() {
            self.enter(Step::CloseSession, now, effects);
        } else {
            self.end(effects);
        }
    }

    /// Fails without waiting for anything more; a last Close Session may still free the slot.
    fn give_up(&mut self, failure: Failure, effects: &mut Vec<Effect>) {
        if self.keys.is_some() {
            self.step = Step::CloseSession;
            self.next_request();
            effects.push(Effect::Send(self.datagram()));
        }
        self.finish(Reply::Failed(failure), effects);
    }

    fn end(&mut self, effects: &mut Vec<Effect>) {
        let reply = self.reply.take().unwrap_or(Reply::Failed(Failure::Deadline));
        self.finish(reply, effects);
    }

    fn finish(&mut self, reply: Reply, effects: &mut Vec<Effect>) {
        self.progress = Progress::Finished;
        self.keys = None;
        effects.push(Effect::Done(reply));
    }

    /// Builds the datagram of the current step; each call is a new packet of the same request.
    fn datagram(&mut self) -> Vec<u8> {
        match self.step {
            Step::Capabilities => self.capabilities_datagram(),
            Step::OpenSession | Step::Rakp1 | Step::Rakp3 => self.handshake_datagram(),
            Step::SetPrivilege
            | Step::SystemGuid
            | Step::DeviceGuid
            | Step::PowerOff
            | Step::Status
            | Step::CloseSession => self.sealed_datagram(),
        }
    }
}
