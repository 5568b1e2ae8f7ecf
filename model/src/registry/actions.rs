//! What may happen next.

use super::state::{CONTROLLERS, Cell, Controller, Kind, LIFE, Outcome, State, intent, len};
use super::{Mutant, Registry, is, is_troubled};

/// A step; controllers by their number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A controller is elected with the vote of another.
    Elected(usize, usize),
    /// A follower takes the leader's log: all of it, or all but the last entry.
    Copies(usize, usize, bool),
    /// A leader writes an entry.
    Writes(usize, Kind),
    /// A leader's order to switch the node off is confirmed and on its way.
    Orders(usize),
    /// It arrives.
    Arrives,
    /// It is lost.
    OrderLost,
    /// A second or so.
    Tick,
    /// Minutes; these controllers were paused, a bit each.
    LongTime(u8),
    /// The node's trouble is over.
    Heals,
    /// The node loses its power by itself.
    Dies,
    /// It boots, its gate closed.
    Boots,
    /// Its gate opens.
    Admitted,
    /// A controller crashes and starts again.
    Crashes(usize),
}

impl Registry {
    pub(super) fn possible(&self, s: &State, actions: &mut Vec<Action>) {
        for c in 0..CONTROLLERS {
            for other in (0..CONTROLLERS).filter(|other| *other != c) {
                if self.may_lead(s, c, other) {
                    actions.push(Action::Elected(c, other));
                }
                let (me, them) = (&s.controllers[c], &s.controllers[other]);
                if me.leads && them.term <= me.term {
                    actions.push(Action::Copies(c, other, true));
                    if len(&me.log) > len(&them.log) + 1 || self.scope.orders == 0 {
                        actions.push(Action::Copies(c, other, false));
                    }
                }
            }
            if s.controllers[c].leads {
                self.by_leader(s, c, actions);
            }
            if s.crashes > 0 {
                actions.push(Action::Crashes(c));
            }
        }
        if s.order.is_some() {
            actions.extend([Action::Arrives, Action::OrderLost]);
        }
        if self.scope.orders > 0 {
            self.at_the_node(s, actions);
        }
    }

    fn at_the_node(&self, s: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        match s.cell {
            Cell::Troubled => actions.push(Action::Heals),
            Cell::Well => {
                let paused = (0..8).filter(|paused| is_calm(s, *paused));
                actions.extend(paused.map(Action::LongTime));
            }
            Cell::LongWell => {}
        }
        if s.power && s.cell == Cell::Troubled {
            actions.push(Action::Dies);
        }
        if !s.power {
            actions.push(Action::Boots);
        }
        let ended = matches!(self.furthest(s), Outcome::Cancelled | Outcome::Released);
        if s.power && s.booted && !s.guests && ended {
            actions.push(Action::Admitted);
        }
    }

    fn may_lead(&self, s: &State, candidate: usize, voter: usize) -> bool {
        let (me, them) = (&s.controllers[candidate], &s.controllers[voter]);
        let last =
            |c: &Controller| (c.log.iter().flatten().last().map_or(0, |e| e.term), len(&c.log));
        let behind = last(me) < last(them) && !self.breaks(Mutant::VotesForOlder);
        !me.leads
            && me.term.max(them.term) < self.scope.terms
            && !behind
            && len(&me.log) < self.scope.entries
    }

    fn by_leader(&self, s: &State, c: usize, actions: &mut Vec<Action>) {
        let me = &s.controllers[c];
        let outcome = self.outcome(s, c);
        let last = usize::from(me.commit).checked_sub(1).and_then(|place| me.log[place]);
        let begun = last.is_some_and(|entry| entry.term == me.term);
        let has = |kind| me.log.iter().flatten().any(|entry| is(entry, kind));
        if len(&me.log) < self.scope.entries {
            if !has(Kind::Intent) && is_troubled(s) {
                actions.push(Action::Writes(c, Kind::Intent));
            }
            if outcome == Outcome::Fencing && begun && !has(Kind::Fenced) {
                if !is_troubled(s) && !has(Kind::Cancel) {
                    actions.push(Action::Writes(c, Kind::Cancel));
                }
                if !s.power {
                    actions.push(Action::Writes(c, Kind::Fenced));
                }
            }
            let waited = me.waited > LIFE || self.breaks(Mutant::ReleasesEarly);
            let back = s.booted && s.power && waited;
            if outcome == Outcome::Fenced && begun && back && !has(Kind::Released) {
                actions.push(Action::Writes(c, Kind::Released));
            }
        }
        let open = outcome == Outcome::Fencing
            || self.breaks(Mutant::BeforeCommit) && has(Kind::Intent) && !has(Kind::Fenced);
        let same_term = s.controllers.iter().filter(|other| other.term == me.term).count();
        let leads = same_term * 2 > CONTROLLERS || self.breaks(Mutant::NoReadIndex);
        let room = s.order.is_none() && self.scope.orders > 0;
        if open && begun && leads && room && self.may_strike(s, me) {
            actions.push(Action::Orders(c));
        }
    }

    /// The rule for intents that were not made just now: the node's present cell must fence.
    fn may_strike(&self, s: &State, me: &Controller) -> bool {
        let own_term = intent(&me.log).is_some_and(|(_, term)| term == me.term);
        me.fresh
            || is_troubled(s)
            || self.breaks(Mutant::StrikesInherited)
            || own_term && self.breaks(Mutant::OwnTermStrikes)
    }
}

/// Whether minutes can pass with these paused: a majority that runs has a leader among it, and a leader that runs has done
/// what there was to do, or could not.
fn is_calm(s: &State, paused: u8) -> bool {
    let runs = |c: &usize| paused >> c & 1 == 0;
    let awake = (0..CONTROLLERS).filter(runs).count();
    let newest = s.controllers.iter().map(|c| c.term).max();
    let led = (0..CONTROLLERS)
        .filter(runs)
        .any(|c| s.controllers[c].leads && Some(s.controllers[c].term) == newest);
    let busy = (0..CONTROLLERS)
        .filter(runs)
        .any(|c| s.controllers[c].leads && intent(&s.controllers[c].log).is_some());
    (awake * 2 <= CONTROLLERS || led) && (!busy || awake * 2 <= CONTROLLERS)
}
