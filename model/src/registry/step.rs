//! What a step changes.

use super::actions::Action;
use super::state::{CONTROLLERS, Cell, Entry, Kind, LIFE, Outcome, State, intent, len};
use super::{Mutant, Registry};

impl Registry {
    pub(super) fn after(&self, before: &State, action: Action) -> State {
        let mut s = *before;
        match action {
            Action::Elected(c, voter) => {
                let term = s.controllers[c].term.max(s.controllers[voter].term) + 1;
                let them = &mut s.controllers[voter];
                (them.term, them.leads, them.fresh, them.waited) = (term, false, false, 0);
                let me = &mut s.controllers[c];
                (me.term, me.leads, me.fresh, me.waited) = (term, true, false, 0);
                self.write(&mut s, c, Kind::Noop);
            }
            Action::Copies(leader, follower, all) => self.copy(&mut s, leader, follower, all),
            Action::Writes(c, kind) => {
                s.controllers[c].fresh |= kind == Kind::Intent;
                self.write(&mut s, c, kind);
            }
            Action::Orders(c) => self.order(&mut s, c),
            Action::Arrives => {
                s.ghost.late_effect |= s.power && self.furthest(&s) == Outcome::Released;
                (s.power, s.guests, s.order) = (false, false, None);
            }
            Action::OrderLost => s.order = None,
            Action::Tick => {
                let kept = self.breaks(Mutant::NoDeadline).then_some(0);
                s.order = s.order.and_then(|left| left.checked_sub(1).or(kept));
                self.wait(&mut s, 1);
            }
            Action::LongTime(paused) => self.long_time(&mut s, paused),
            Action::Heals => s.cell = Cell::Well,
            Action::Dies => (s.power, s.guests) = (false, false),
            Action::Boots => (s.power, s.booted) = (true, true),
            Action::Admitted => s.guests = true,
            Action::Crashes(c) => {
                s.crashes -= 1;
                let me = &mut s.controllers[c];
                (me.leads, me.fresh, me.waited) = (false, false, 0);
                if self.breaks(Mutant::LosesLog) {
                    let last = len(&me.log).saturating_sub(1);
                    me.log[last] = None;
                    me.commit = me.commit.min(u8::try_from(last).unwrap_or(0));
                }
            }
        }
        s
    }

    fn write(&self, s: &mut State, c: usize, kind: Kind) {
        let me = &mut s.controllers[c];
        let (place, term) = (len(&me.log), me.term);
        if let Some(free) = me.log.get_mut(place) {
            *free = Some(Entry { kind, term });
        }
        self.commit(s, c);
    }

    fn copy(&self, s: &mut State, leader: usize, follower: usize, all: bool) {
        let me = s.controllers[leader];
        let them = &mut s.controllers[follower];
        if them.term < me.term {
            (them.leads, them.fresh, them.waited) = (false, false, 0);
        }
        them.term = me.term;
        let upto = if all { len(&me.log) } else { len(&me.log).saturating_sub(1) };
        // Only what contradicts the leader's log is cut off.
        let agrees = them.log[..upto] == me.log[..upto];
        if !agrees {
            them.log[..upto].copy_from_slice(&me.log[..upto]);
            them.log[upto..].fill(None);
        }
        let known = me.commit.min(u8::try_from(upto).unwrap_or(0));
        them.commit = them.commit.max(known);
        self.commit(s, leader);
    }

    /// A leader counts the copies of entries of its own term.
    fn commit(&self, s: &mut State, c: usize) {
        let me = s.controllers[c];
        let held = |length: usize| {
            let same = s.controllers.iter().filter(|other| other.log[..length] == me.log[..length]);
            same.count() * 2 > CONTROLLERS || self.breaks(Mutant::NoQuorum)
        };
        let own = |length: usize| {
            let term = me.log[length - 1].map(|entry| entry.term);
            term == Some(me.term) || self.breaks(Mutant::OldTermCounts)
        };
        let known = usize::from(me.commit);
        let reached = (known + 1..=len(&me.log)).rev().find(|l| own(*l) && held(*l));
        s.controllers[c].commit = u8::try_from(reached.unwrap_or(known)).unwrap_or(me.commit);
    }

    fn order(&self, s: &mut State, c: usize) {
        let me = s.controllers[c];
        let committed = intent(&me.log).is_some_and(|(index, _)| {
            let length = usize::from(index);
            let has = |other: &&super::state::Controller| {
                usize::from(other.commit) >= length && other.log[..length] == me.log[..length]
            };
            s.controllers.iter().any(|other| has(&other))
        });
        let newer = s.controllers.iter().filter(|other| other.term > me.term).count();
        s.ghost.effect_too_early |= !committed || newer * 2 > CONTROLLERS;
        s.ghost.struck_well |= s.cell == Cell::LongWell && s.guests;
        s.ghost.by_heir = !me.fresh;
        s.order = Some(LIFE);
    }

    fn wait(&self, s: &mut State, ticks: u8) {
        for c in 0..CONTROLLERS {
            let fenced = self.outcome(s, c) == Outcome::Fenced;
            let me = &mut s.controllers[c];
            let waits = me.leads && fenced && s.booted;
            me.waited = if waits { (me.waited + ticks).min(LIFE + 1) } else { 0 };
        }
    }

    /// Minutes pass. A leader that runs without a majority steps down; one that was paused knows of nothing.
    fn long_time(&self, s: &mut State, paused: u8) {
        s.cell = Cell::LongWell;
        s.order = s.order.filter(|_| self.breaks(Mutant::NoDeadline));
        self.wait(s, LIFE + 1);
        let awake = CONTROLLERS - usize::try_from(paused.count_ones()).unwrap_or(0);
        for (c, me) in s.controllers.iter_mut().enumerate() {
            me.fresh = false;
            if paused >> c & 1 == 0 && awake * 2 <= CONTROLLERS {
                (me.leads, me.waited) = (false, 0);
            }
        }
    }
}
