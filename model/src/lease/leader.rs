//! Rules 8 to 12 at the controllers: who acks, T0, promises, VERIFY, the grant.

use fencing::lease::promises_needed;

use super::log::{Version, majority, members};
use super::state::{Leader, NEVER, NOBODY, State, bit};
use super::{AHEAD, LEASE, Lease, Mutant, QUIET, VOTERS, VOUCH, WATCHDOG};

/// Where E2 stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// T0, promises or time are missing, or there is no E2 for this node.
    Waits,
    /// VERIFY is due.
    Verify,
    /// VERIFY is committed and not answered by enough.
    Verifying,
    /// `Fenced` may be committed.
    Proven,
}

impl Lease {
    /// wL, in ticks of the leader's clock. One tick more than the sum, since every bound is closed.
    pub(super) fn wait_lease(&self) -> u8 {
        LEASE + self.wait_off()
    }

    /// wC.
    pub(super) fn wait_vouch(&self) -> u8 {
        if self.breaks(Mutant::NoWaitAfterPromise) { 0 } else { VOUCH + self.wait_off() }
    }

    fn wait_off(&self) -> u8 {
        let feeds = match self.mutant {
            Some(Mutant::TwoW) => 2,
            Some(Mutant::OneW) => 1,
            Some(_) | None => 3,
        };
        let quiet = if self.breaks(Mutant::NoQuiet) { 0 } else { QUIET };
        let margin = if self.breaks(Mutant::NoMargin) { 0 } else { AHEAD };
        feeds * WATCHDOG + quiet + margin + 1
    }

    /// Rule 8: whether a controller acks the node.
    pub(super) fn acks(&self, s: &State, controller: usize) -> bool {
        let me = &s.controllers[controller];
        let removed = s.log.at(me.held).set >> controller & 1 == 0;
        // An intent counts as soon as it is held, its end only when that is committed.
        let known = match self.breaks(Mutant::CancelledWhenHeld) {
            true => me.held,
            false => me.held.min(s.committed),
        };
        let open = s.log.at(known).open || s.log.has_intent_between(known, me.held);
        !open
            || me.forgot
            || self.breaks(Mutant::AcksAfterIntent)
            || removed && self.breaks(Mutant::RemovedAcks)
    }

    /// Time goes on at the leader, or its clock runs ahead.
    pub(super) fn leader_tick(&self, leader: &mut Leader) {
        let older = |age: u8, most: u8| if age == NEVER { NEVER } else { (age + 1).min(most) };
        leader.t0 = older(leader.t0, self.wait_lease());
        for age in leader.promised.iter_mut().flatten() {
            *age = older(*age, self.wait_vouch());
        }
    }

    /// What is committed now, and what follows from it at the leader.
    pub(super) fn commit(&self, s: &mut State) {
        let set = s.log.at(s.log.len()).set;
        let held = |length: u8| members(set).filter(|c| s.controllers[*c].held >= length).count();
        let mut reached = s.committed;
        if s.leader.begun {
            let committed = |length: &u8| held(*length) >= majority(set);
            reached = (s.committed..=s.log.len()).rev().find(committed).unwrap_or(s.committed);
        }
        let before = std::mem::replace(&mut s.committed, reached);
        let passes = |length: u8| before < length && length <= reached;
        if s.log.intent().is_some_and(|(length, _)| passes(length)) {
            s.intent_age = 0;
        }
        if let Some(verify) = s.log.last_verify().filter(|length| passes(*length)) {
            s.leader.verify = verify;
            s.leader.promisers = self.promisers(&s.leader);
            s.leader.verified = 0;
        }
        self.note_t0(s);
    }

    fn promisers(&self, leader: &Leader) -> u8 {
        let old = |age: u8| age != NEVER && age >= self.wait_vouch();
        let late = self.breaks(Mutant::LatePromiserCounts);
        let mut mask = 0;
        for voter in 0..VOTERS {
            for boot in 0..2 {
                if late || old(leader.promised[voter][usize::from(boot)]) {
                    mask |= bit(voter, boot);
                }
            }
        }
        mask
    }

    /// T0: those that hold the intent block every controller set that the node may go by.
    fn note_t0(&self, s: &mut State) {
        if s.leader.who == NOBODY || !s.leader.begun || self.breaks(Mutant::WaitFromProposal) {
            return;
        }
        let Some((intent, floor)) = s.log.intent().filter(|(length, _)| *length <= s.committed)
        else {
            return;
        };
        let from = if self.breaks(Mutant::PresentSet) { s.committed } else { floor };
        let blocked = (from..=s.committed).all(|k| {
            let set = s.log.at(k).set;
            let free = members(set).filter(|c| s.controllers[*c].held < intent).count();
            free < majority(set)
        });
        if !blocked {
            s.leader.t0 = NEVER;
        } else if s.leader.t0 == NEVER {
            s.leader.t0 = 0;
        }
    }

    /// Whether the controller set is the same in all versions that count.
    pub(super) fn one_set(&self, s: &State) -> bool {
        let Some((_, floor)) = s.log.intent() else { return false };
        let first = s.log.at(floor).set;
        (floor..=s.committed).all(|k| s.log.at(k).set == first)
    }

    /// The leader hears a report.
    pub(super) fn hears(&self, s: &mut State, voter: usize, boot: u8, n: u8) {
        let Some((intent, _)) = s.log.intent() else { return };
        if s.leader.who == NOBODY || n < intent {
            return;
        }
        let promised = &mut s.leader.promised[voter][usize::from(boot)];
        if *promised == NEVER {
            *promised = 0;
        }
        if s.leader.verify == 0 || n < s.leader.verify {
            return;
        }
        let mut who = bit(voter, boot);
        if self.breaks(Mutant::VerifyAnyBoot) {
            who |= bit(voter, 0) | bit(voter, 1);
        }
        s.leader.verified |= who & s.leader.promisers;
    }

    /// Rule 11 (a) to (d).
    pub(super) fn standing(&self, s: &State) -> Standing {
        let Some((intent, frozen)) = s.log.intent().filter(|(length, _)| *length <= s.committed)
        else {
            return Standing::Waits;
        };
        let armed = s.log.at(intent).armed || self.breaks(Mutant::UnarmedCounts);
        if !armed || !s.leader.begun || s.leader.t0 < self.wait_lease() || s.leader.t0 == NEVER {
            return Standing::Waits;
        }
        let floor = match self.mutant {
            Some(Mutant::FloorNotFrozen) => s.leader.heard.max(frozen).min(intent),
            Some(Mutant::PresentVersion) => s.committed,
            Some(_) | None => frozen,
        };
        let versions = || (floor..=s.committed).map(|k| s.log.at(k));
        let counts = |version: &Version| version.armed || self.breaks(Mutant::UnarmedCounts);
        let promised = |voter: usize, boot: u8| {
            let age = s.leader.promised[voter][usize::from(boot)];
            age != NEVER && age >= self.wait_vouch()
        };
        let enough = |have: &dyn Fn(usize, u8) -> bool| {
            let mut any = false;
            let all = versions().filter(counts).all(|version| {
                any = true;
                self.has_quorum(&version, have)
            });
            all && any
        };
        if !enough(&promised) && !self.breaks(Mutant::NoPromise) {
            return Standing::Waits;
        }
        if self.breaks(Mutant::NoVerify) || self.breaks(Mutant::NoPromise) {
            return Standing::Proven;
        }
        if s.leader.verify == 0 {
            return Standing::Verify;
        }
        let verified = |voter: usize, boot: u8| s.leader.verified & bit(voter, boot) != 0;
        if enough(&verified) { Standing::Proven } else { Standing::Verifying }
    }

    fn has_quorum(&self, version: &Version, have: &dyn Fn(usize, u8) -> bool) -> bool {
        let others =
            || version.voters.iter().enumerate().filter_map(|(v, boot)| Some((v, (*boot)?)));
        let less = usize::from(self.breaks(Mutant::OnePromiseLess));
        let needed = promises_needed(others().count()).saturating_sub(less);
        // With nobody to promise there is no E2.
        others().count() > 0 && others().filter(|(v, boot)| have(*v, *boot)).count() >= needed
    }
}
