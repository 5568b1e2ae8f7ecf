//! One address that is pinged, and what its answers prove.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use uuid::Uuid;

use super::{CONTROL_SILENT, Effect};

/// Pings remembered for each target: 1.6 s. An answer to an older one is no news.
const OUTSTANDING: usize = 16;

pub(super) struct Target {
    pub(super) to: SocketAddr,
    sent: VecDeque<(u64, Duration)>,
    /// When the newest answered ping was sent; when we began, while `answered` is false.
    proof: Duration,
    answered: bool,
}

impl Target {
    pub(super) fn new(ping: SocketAddr, now: Duration) -> Self {
        Self { to: ping, sent: VecDeque::with_capacity(OUTSTANDING), proof: now, answered: false }
    }

    pub(super) fn ping(&mut self, now: Duration, nonce: u64) -> Effect {
        if self.sent.len() >= OUTSTANDING {
            self.sent.pop_front();
        }
        self.sent.push_back((nonce, now));
        Effect::Ping { to: self.to, nonce }
    }

    /// Takes an answer for what it proves: that the target was there after the ping was sent.
    pub(super) fn pong(&mut self, nonce: u64) -> bool {
        let Some(at) = self.sent.iter().position(|(sent, _)| *sent == nonce) else { return false };
        let answered = self.sent.drain(..=at).next_back();
        if let Some((_, sent)) = answered {
            self.proof = self.proof.max(sent);
        }
        self.answered = true;
        true
    }

    pub(super) fn unanswered(&self, now: Duration) -> Duration {
        now.saturating_sub(self.proof)
    }

    /// When it will have been silent for so long.
    pub(super) fn silent_at(&self, span: Duration) -> Duration {
        self.proof + span
    }

    pub(super) fn put_off(&mut self, late: Duration) {
        self.proof += late;
        self.sent.iter_mut().for_each(|(_, sent)| *sent += late);
    }
}

/// Control members that had time to answer, and how many of them are silent.
pub(super) fn control_voice(control: &BTreeMap<Uuid, Target>, now: Duration) -> (u8, u8) {
    let silent = |target: &&Target| target.unanswered(now) >= CONTROL_SILENT;
    let judged = control.values().filter(|target| target.answered || silent(target));
    let (asked, silent) =
        judged.fold((0, 0), |(asked, sum), target| (asked + 1, sum + u8::from(silent(&target))));
    (asked, silent)
}
