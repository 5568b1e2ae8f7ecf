//! E1: a BMC verified off. A hard off is sent in this epoch, even to a node that already reads off, its own reply is
//! ignored, and two consecutive reads in fresh sessions must then say exactly "off", with the enrolled identity.
//!
//! ```text
//!  Sending --any reply--> Reading --off--> Reading(first off) --off, >= 3 s later--> evidence
//!                            |                   | on, other, no answer, other identity: begin again
//!                            '-- still on after RESEND_AFTER: Sending (the next try)
//! ```

use std::time::Duration;

use mutants::{Mutant, is_on};

use crate::bmc::{Ask, Failure, Identity, LevelKind, Power, Reply};
use crate::evidence::Evidence;

/// The two reads must be at least this far apart.
pub const READS_APART: Duration = Duration::from_secs(3);
/// The two reads must be at most this far apart.
pub const READS_WITHIN: Duration = Duration::from_secs(30);
/// Time between two reads while the node still reads on.
const READ_EVERY: Duration = Duration::from_millis(250);
/// A node that still reads on after this time is sent off again.
const RESEND_AFTER: Duration = Duration::from_secs(10);
/// Tries after which the level counts as failed; it goes on at [`SLOW_RETRY`] all the same, for a BMC may come back.
const TRIES: u32 = 3;
/// Pause after a failed try.
const SLOW_RETRY: Duration = Duration::from_secs(5);

/// The power-off of one node in one epoch, by one level of fencing. Volatile: a new leader begins anew and assumes nothing.
#[derive(Clone, Debug)]
pub struct PowerOff {
    enrolled: Identity,
    level: u8,
    kind: LevelKind,
    state: State,
    tries: u32,
    trouble: Option<Trouble>,
    sent_once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Off is to be sent at this time.
    SendAt(Duration),
    /// An off is on its way since this time.
    Sending,
    /// A read is to be made at this time; off was sent at `sent`.
    ReadAt { at: Duration, sent: Duration, first_off: Option<FirstOff> },
    /// A read was asked for at `asked`.
    Reading { asked: Duration, sent: Duration, first_off: Option<FirstOff> },
    /// The second read said off: nothing more is asked.
    Verified,
}

/// The first of the two reads that say off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FirstOff {
    /// When it was asked for: a packet of the node since then spoils it.
    asked: Duration,
    /// When its answer came: the distance to the second read counts from here.
    answered: Duration,
}

/// Why this BMC has not given evidence so far; a sentence each, shown to operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The BMC failed to answer properly. The node stays unproven.
    #[error("{0}")]
    Failed(Failure),
    /// It says ok and the node still reads on. The node stays unproven.
    #[error("off was sent {0} times and the BMC still reads on")]
    StillOn(u32),
    /// A state that is neither on nor off. The node stays unproven.
    #[error("the BMC reads {0:?}, which is neither on nor off")]
    NeitherOnNorOff(String),
    /// The session gave no identity, or another one than was enrolled. The node stays unproven.
    #[error("the BMC's identity is not the enrolled {0}: check its address in the inventory")]
    OtherIdentity(Identity),
    /// The node spoke after the BMC read off. The BMC is not to be trusted.
    #[error("the node was heard after its BMC read off")]
    NodeHeard,
}

impl PowerOff {
    /// Begins at `now`. A node without an enrolled identity cannot have E1, so it is demanded here.
    pub fn new(now: Duration, enrolled: Identity) -> Self {
        let state = State::SendAt(now);
        let (level, kind) = (1, LevelKind::Power(1));
        Self { enrolled, level, kind, state, tries: 0, trouble: None, sent_once: false }
    }

    /// Which of the node's levels it goes by, and what that proves: several devices take the power away only together,
    /// and their evidence is E5; that of a storage is E6.
    pub fn of_level(self, level: u8, kind: LevelKind) -> Self {
        Self { level, kind, ..self }
    }

    /// Whether anything was asked of the level.
    pub fn has_begun(&self) -> bool {
        self.tries > 0
    }

    /// Which of the node's levels it goes by.
    pub fn level(&self) -> u8 {
        self.level
    }

    fn evidence(&self, apart: Duration) -> Evidence {
        let (level, identity) = (self.level, self.enrolled);
        match self.kind {
            LevelKind::Power(0 | 1) => Evidence::Bmc { level, identity, apart },
            LevelKind::Power(outlets) => Evidence::Pdu { level, outlets, identity, apart },
            LevelKind::Storage(addresses) => {
                Evidence::Storage { level, addresses, identity, apart }
            }
        }
    }

    /// What the BMC is to be asked now, if anything. Each answer must be handed to [`Self::answered`].
    pub fn next(&mut self, now: Duration) -> Option<Ask> {
        match self.state {
            State::SendAt(at) if at <= now => {
                self.state = State::Sending;
                self.tries += 1;
                Some(Ask::Off)
            }
            State::ReadAt { at, sent, first_off } if at <= now => {
                self.state = State::Reading { asked: now, sent, first_off };
                Some(Ask::Read)
            }
            State::SendAt(_)
            | State::ReadAt { .. }
            | State::Sending
            | State::Reading { .. }
            | State::Verified => None,
        }
    }

    /// Takes an answer; `Some` is E1.
    pub fn answered(&mut self, now: Duration, reply: &Reply) -> Option<Evidence> {
        if is_on(Mutant::M74) && matches!(reply, Reply::Failed(_)) {
            return None;
        }
        match self.state {
            State::Sending => {
                self.off_answered(now, reply);
                let taken = is_on(Mutant::M19) && matches!(reply, Reply::OffSent { .. });
                taken.then(|| self.evidence(Duration::ZERO))
            }
            State::Reading { asked, sent, first_off } => {
                self.read_answered(now, reply, asked, sent, first_off)
            }
            State::SendAt(_) | State::ReadAt { .. } | State::Verified => None,
        }
    }

    /// An authenticated packet of that boot arrived: no read before it counts.
    pub fn node_heard(&mut self, now: Duration) {
        match self.state {
            State::ReadAt { at, sent, first_off: Some(_) } => {
                self.trouble = Some(Trouble::NodeHeard);
                self.state = State::ReadAt { at: at.max(now), sent, first_off: None };
            }
            State::Reading { sent, first_off: Some(_), .. } => {
                self.trouble = Some(Trouble::NodeHeard);
                self.state = State::ReadAt { at: now + READ_EVERY, sent, first_off: None };
            }
            State::SendAt(_)
            | State::Sending
            | State::ReadAt { .. }
            | State::Reading { .. }
            | State::Verified => {}
        }
    }

    /// When [`Self::next`] wants to be asked again.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        match self.state {
            State::SendAt(at) => Some((at, "power off")),
            State::ReadAt { at, .. } => Some((at, "power read")),
            State::Sending | State::Reading { .. } | State::Verified => None,
        }
    }

    /// Why there is no evidence yet, once something went wrong.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Whether all tries of this level were made without evidence. It goes on trying all the same.
    pub fn failed(&self) -> bool {
        self.tries > TRIES || (self.tries == TRIES && self.trouble.is_some())
    }

    fn off_answered(&mut self, now: Duration, reply: &Reply) {
        // The command's result is no fact about the power; only that it left matters, and reads decide.
        match reply {
            Reply::OffSent { .. } => {
                self.sent_once = true;
                self.state = State::ReadAt { at: now, sent: now, first_off: None };
            }
            Reply::Failed(failure) => self.try_again(now, Trouble::Failed(failure.clone())),
            Reply::Read { .. } => self.state = State::SendAt(now + SLOW_RETRY),
        }
    }

    fn read_answered(
        &mut self,
        now: Duration,
        reply: &Reply,
        asked: Duration,
        sent: Duration,
        first_off: Option<FirstOff>,
    ) -> Option<Evidence> {
        let (power, identity) = match reply {
            Reply::Read { power, identity } => (power, identity),
            Reply::Failed(failure) => {
                self.read_again(now, sent, Trouble::Failed(failure.clone()));
                return None;
            }
            Reply::OffSent { .. } => {
                self.state = State::ReadAt { at: now, sent, first_off: None };
                return None;
            }
        };
        if *identity != Some(self.enrolled) && !is_on(Mutant::M21) {
            self.read_again(now, sent, Trouble::OtherIdentity(self.enrolled));
            return None;
        }
        match power {
            Power::Off => self.read_off(now, asked, sent, first_off),
            Power::On => {
                self.read_again(now, sent, Trouble::StillOn(self.tries));
                None
            }
            Power::Other(text) => {
                self.read_again(now, sent, Trouble::NeitherOnNorOff(text.clone()));
                None
            }
        }
    }

    fn read_off(
        &mut self,
        now: Duration,
        asked: Duration,
        sent: Duration,
        first_off: Option<FirstOff>,
    ) -> Option<Evidence> {
        let fresh = FirstOff { asked, answered: now };
        let first = first_off.filter(|first| now.saturating_sub(first.asked) <= READS_WITHIN);
        let first = if is_on(Mutant::M18) { first.or(Some(fresh)) } else { first };
        let Some(first) = first else {
            let at = now + READS_APART;
            self.state = State::ReadAt { at, sent, first_off: Some(fresh) };
            return None;
        };
        let apart = asked.saturating_sub(first.answered);
        if apart < READS_APART && !is_on(Mutant::M18) {
            let at = first.answered + READS_APART;
            self.state = State::ReadAt { at, sent, first_off: Some(first) };
            return None;
        }
        // Without an off of this epoch an "off" may be a node that somebody is about to switch on.
        if !self.sent_once {
            self.state = State::SendAt(now);
            return None;
        }
        self.state = State::Verified;
        Some(self.evidence(apart))
    }

    fn read_again(&mut self, now: Duration, sent: Duration, trouble: Trouble) {
        self.trouble = Some(trouble);
        self.state = if now.saturating_sub(sent) >= RESEND_AFTER {
            State::SendAt(now)
        } else {
            State::ReadAt { at: now + READ_EVERY, sent, first_off: None }
        };
    }

    fn try_again(&mut self, now: Duration, trouble: Trouble) {
        self.trouble = Some(trouble);
        self.state = State::SendAt(now + SLOW_RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::Refusal;

    const ID: Identity = Identity([7; 16]);

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    fn read(power: Power) -> Reply {
        Reply::Read { power, identity: Some(ID) }
    }

    /// Drives it with scripted reads, each answered 0.1 s after it was asked; the time of the evidence, if it came.
    fn run(reads: &[Reply], until: f64) -> (Option<f64>, Vec<Ask>, PowerOff) {
        let mut off = PowerOff::new(Duration::ZERO, ID);
        let (mut now, mut reads, mut asks) = (Duration::ZERO, reads.iter(), Vec::new());
        while now < seconds(until) {
            if let Some(ask) = off.next(now) {
                now += seconds(0.1);
                let reply = match ask {
                    Ask::Off => Reply::OffSent { identity: Some(ID), refused: None },
                    Ask::Read => reads.next().cloned().unwrap_or(read(Power::On)),
                };
                asks.push(ask);
                if off.answered(now, &reply).is_some() {
                    return (Some(now.as_secs_f64()), asks, off);
                }
            }
            now += seconds(0.1);
        }
        (None, asks, off)
    }

    #[test]
    fn two_reads_off_three_seconds_apart_are_evidence() {
        let (at, asks, _) = run(&[read(Power::Off), read(Power::Off)], 20.0);
        assert_eq!(asks, [Ask::Off, Ask::Read, Ask::Read]);
        assert!(at.is_some_and(|at| (3.0..4.0).contains(&at)), "{at:?}");
    }

    #[test]
    fn one_read_off_is_not_enough() {
        let (at, _, _) = run(&[read(Power::Off)], 20.0);
        assert_eq!(at, None);
    }

    #[test]
    fn a_read_of_on_between_begins_again() {
        let script = [Power::Off, Power::On, Power::Off, Power::Off].map(read);
        let (at, _, _) = run(&script, 20.0);
        assert!(at.is_some_and(|at| at > 6.0), "{at:?}");
    }

    #[test]
    fn off_is_sent_even_to_a_node_that_reads_off() {
        let (_, asks, _) = run(&[read(Power::Off), read(Power::Off)], 20.0);
        assert_eq!(asks.first(), Some(&Ask::Off));
    }

    #[test]
    fn an_ok_without_effect_ends_as_trouble_after_three_tries() {
        let (at, asks, off) = run(&[], 60.0);
        assert_eq!(at, None);
        assert!(asks.iter().filter(|ask| **ask == Ask::Off).count() >= 3);
        assert!(off.failed());
        assert!(matches!(off.trouble(), Some(Trouble::StillOn(_))));
    }

    #[test]
    fn another_identity_is_never_evidence() {
        let other = Reply::Read { power: Power::Off, identity: Some(Identity([8; 16])) };
        let none = Reply::Read { power: Power::Off, identity: None };
        for reply in [other, none] {
            let (at, _, off) = run(&vec![reply; 100], 30.0);
            assert_eq!(at, None);
            assert_eq!(off.trouble(), Some(&Trouble::OtherIdentity(ID)));
        }
    }

    #[test]
    fn neither_on_nor_off_is_not_off() {
        let words = ["PoweringOff", "", "unknown"];
        for word in words {
            let (at, _, _) = run(&vec![read(Power::Other(word.into())); 100], 30.0);
            assert_eq!(at, None, "{word}");
        }
    }

    #[test]
    fn a_node_that_speaks_between_the_reads_spoils_the_first() {
        let mut off = PowerOff::new(Duration::ZERO, ID);
        assert_eq!(off.next(seconds(0.0)), Some(Ask::Off));
        off.answered(seconds(0.1), &Reply::OffSent { identity: Some(ID), refused: None });
        assert_eq!(off.next(seconds(0.1)), Some(Ask::Read));
        assert_eq!(off.answered(seconds(0.2), &read(Power::Off)), None);
        off.node_heard(seconds(1.0));
        assert_eq!(off.next(seconds(3.3)), Some(Ask::Read));
        assert_eq!(off.answered(seconds(3.4), &read(Power::Off)), None);
        assert_eq!(off.trouble(), Some(&Trouble::NodeHeard));
    }

    #[test]
    fn reads_too_far_apart_are_not_a_pair() {
        let mut off = PowerOff::new(Duration::ZERO, ID);
        off.next(seconds(0.0));
        off.answered(seconds(0.1), &Reply::OffSent { identity: Some(ID), refused: None });
        off.next(seconds(0.1));
        off.answered(seconds(0.2), &read(Power::Off));
        assert_eq!(off.next(seconds(40.0)), Some(Ask::Read));
        assert_eq!(off.answered(seconds(40.1), &read(Power::Off)), None);
    }

    #[test]
    fn the_reply_of_the_off_is_no_evidence_and_a_refusal_no_obstacle() {
        let mut off = PowerOff::new(Duration::ZERO, ID);
        off.next(seconds(0.0));
        let refused =
            Reply::OffSent { identity: Some(ID), refused: Some(Refusal::Completion(0xd5)) };
        assert_eq!(off.answered(seconds(0.1), &refused), None);
        assert_eq!(off.next(seconds(0.1)), Some(Ask::Read));
    }

    #[test]
    fn several_devices_that_only_together_take_the_power_away_give_e5() {
        let mut power = PowerOff::new(Duration::ZERO, ID).of_level(2, LevelKind::Power(2));
        assert_eq!(power.next(Duration::ZERO), Some(Ask::Off));
        let sent = Reply::OffSent { identity: Some(ID), refused: None };
        assert_eq!(power.answered(Duration::ZERO, &sent), None);
        let off = Reply::Read { power: Power::Off, identity: Some(ID) };
        let mut now = Duration::ZERO;
        let evidence = loop {
            now += Duration::from_millis(100);
            if power.next(now).is_some()
                && let Some(evidence) = power.answered(now, &off)
            {
                break evidence;
            }
        };
        assert_eq!((evidence.class(), evidence.level()), ("E5", Some(2)));
        assert!(evidence.to_string().starts_with("E5 all 2 outlets"), "{evidence}");
        assert!(evidence.to_string().ends_with(", level 2"), "{evidence}");
        let storage = PowerOff::new(Duration::ZERO, ID).of_level(3, LevelKind::Storage(2));
        let evidence = storage.evidence(READS_APART);
        assert_eq!((evidence.class(), evidence.level()), ("E6", Some(3)));
    }
}
