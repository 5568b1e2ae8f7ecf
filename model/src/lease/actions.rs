//! What may happen next. Whatever is possible may also be put off for ever: that is what pauses and losses are.

use super::leader::Standing;
use super::log::{Entry, majority, members};
use super::state::{Feeding, Late, Life, NEVER, NOBODY, State};
use super::{Lease, Mutant};

/// A step. Voters and controllers by their number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A tick for everybody.
    Tick,
    /// The leader's clock gains a tick.
    ClockAhead,
    /// A controller acks a renewal that leaves now; the ack arrives at once.
    Acked(u8),
    /// The same, and the ack is held up.
    AckLate(u8),
    /// A voter vouches for an ask that leaves now; the vouch arrives at once.
    Vouched(u8),
    /// The same, and the vouch is held up.
    VouchLate(u8),
    /// A packet that was held up arrives, and may arrive again.
    Arrives(u8),
    /// The sentinel finds that somebody stands for its node; the feed follows when it gets to it.
    Checks,
    /// The feed.
    Feeds,
    /// The clock is read again after it.
    Rereads,
    /// A mutant's feed.
    TimerFeeds,
    /// The sentinel is killed and begins anew.
    Killed,
    /// The sentinel opens the device.
    Opens,
    /// The sentinel closes the device with magic.
    Closes,
    /// The node adopts the committed entries up to this n.
    NodeAdopts(u8),
    /// The leader hears the node's own n.
    NodeReports,
    /// A renewal of the node is held up.
    RenewalLate,
    /// The leader arms the node on what a renewal says: whether the device is open, and n.
    Arms(bool, u8),
    /// A voter adopts all that is committed.
    Adopts(u8),
    /// A mutant's report.
    ReportsEarly(u8),
    /// A voter is rebooted.
    Rebooted(u8),
    /// The leader hears a voter's n.
    Reports(u8),
    /// The same, and the report is held up.
    ReportLate(u8),
    /// The leader writes an entry.
    Writes(Entry),
    /// A controller takes the leader's log.
    Takes(u8),
    /// A controller is elected; whether it learned of the intent's commit when it happened.
    Elected(u8, bool),
    /// The leader's own term begins.
    Begins,
    /// A controller is restarted.
    Restarted(u8),
}

impl Lease {
    pub(super) fn possible(&self, s: &State, actions: &mut Vec<Action>) {
        if s.log.at(s.committed).fenced {
            return;
        }
        actions.push(Action::Tick);
        if s.left.ahead > 0 && s.leader.t0 != NEVER {
            actions.push(Action::ClockAhead);
        }
        if s.node.life == Life::Up {
            self.at_the_node(s, actions);
        }
        self.at_the_voters(s, actions);
        self.at_the_controllers(s, actions);
    }

    fn has_slot(&self, s: &State) -> bool {
        let used = s.late.iter().filter(|late| **late != Late::Nothing).count();
        used < usize::from(self.scope.late)
    }

    fn at_the_node(&self, s: &State, actions: &mut Vec<Action>) {
        let node = &s.node;
        for controller in members(self.scope.all).filter(|_| self.scope.acks) {
            let name = u8::try_from(controller).unwrap_or(NOBODY);
            if self.acks(s, controller) && node.acked[controller] != 0 {
                actions.push(Action::Acked(name));
            }
            if self.acks(s, controller) && self.has_slot(s) && node.acked[controller] != 0 {
                actions.push(Action::AckLate(name));
            }
        }
        for voter in members(self.scope.voters).filter(|_| self.scope.vouches) {
            let name = u8::try_from(voter).unwrap_or(NOBODY);
            let knows = s.log.at(s.voters[voter].n).open;
            let vouches = !knows || self.breaks(Mutant::VouchesThoughKnown);
            if vouches && node.vouched[voter] != 0 {
                actions.push(Action::Vouched(name));
                if self.has_slot(s) {
                    actions.push(Action::VouchLate(name));
                }
            }
        }
        for slot in 0..2u8 {
            if s.late[usize::from(slot)] != Late::Nothing {
                actions.push(Action::Arrives(slot));
            }
        }
        match node.feeding {
            Feeding::Idle if self.may_feed(s) => actions.push(Action::Checks),
            Feeding::Checked => actions.push(Action::Feeds),
            Feeding::Fed => actions.push(Action::Rereads),
            Feeding::Idle => {}
        }
        if node.open && node.fed != 0 && self.breaks(Mutant::FeedFromTimer) {
            actions.push(Action::TimerFeeds);
        }
        if node.open && s.left.kills > 0 {
            actions.push(Action::Killed);
        }
        let own = s.log.at(node.n);
        let leased = self.has_lease(s) || self.breaks(Mutant::OpensWithoutLease);
        if !node.open && leased && !own.drill && (own.armed || !own.held) {
            actions.push(Action::Opens);
        }
        let early = self.breaks(Mutant::ClosesEarly) && s.left.disarms > 0;
        if node.open && (own.held && !own.armed || early) {
            actions.push(Action::Closes);
        }
        if node.n < s.committed {
            actions.push(Action::NodeAdopts(node.n + 1));
        }
        // Entries come in one ack: an intent and its end may be read at once.
        if self.scope.cancels > 0 && node.n + 1 < s.committed {
            actions.push(Action::NodeAdopts(s.committed));
        }
        if s.leader.heard < node.n && s.leader.who != NOBODY && !self.scope.changes.is_empty() {
            actions.push(Action::NodeReports);
        }
        if self.scope.disarms > 0 {
            if self.has_slot(s) {
                actions.push(Action::RenewalLate);
            }
            self.arms(s, node.open, node.n, actions);
        }
    }

    /// Rule 4: somebody stands for the node, and it is not drilled.
    fn may_feed(&self, s: &State) -> bool {
        let goes_on = s.node.drilled && self.breaks(Mutant::FeedsAfterDrill);
        s.node.open && !s.log.at(s.node.n).drill && (self.stands(s) || goes_on)
    }

    /// Rule 7 at the leader, with what the registry says when the entry is applied.
    pub(super) fn arms(&self, s: &State, open: bool, n: u8, actions: &mut Vec<Action>) {
        let registry = s.log.at(s.log.len());
        let serves = !registry.armed && !registry.open && !registry.held;
        let fresh = n >= registry.rearm_floor || self.breaks(Mutant::NoRearmFloor);
        let open = open || self.breaks(Mutant::ArmedBeforeOpen);
        if open && serves && fresh && s.log.has_room() && s.leader.who != NOBODY {
            actions.push(Action::Arms(open, n));
        }
    }

    fn at_the_voters(&self, s: &State, actions: &mut Vec<Action>) {
        for voter in members(self.scope.voters) {
            let name = u8::try_from(voter).unwrap_or(NOBODY);
            let me = s.voters[voter];
            if me.n < s.committed {
                actions.push(Action::Adopts(name));
            }
            if me.reports < s.committed && self.breaks(Mutant::ReportsEarly) {
                actions.push(Action::ReportsEarly(name));
            }
            let knows = me.n > 0 || !self.scope.changes.is_empty();
            if me.boot == 0 && s.left.reboots > 0 && knows {
                actions.push(Action::Rebooted(name));
            }
            let intent = s.log.intent().map_or(NOBODY, |(length, _)| length);
            if me.reports >= intent {
                if self.is_news(s, voter) {
                    actions.push(Action::Reports(name));
                }
                // A report of a boot that goes on may as well be sent later.
                if s.left.reboots > 0 && self.has_slot(s) {
                    actions.push(Action::ReportLate(name));
                }
            }
        }
        if s.node.life != Life::Up {
            for slot in 0..2u8 {
                if matches!(s.late[usize::from(slot)], Late::Report(..) | Late::Renewal(..)) {
                    actions.push(Action::Arrives(slot));
                }
            }
        }
    }

    fn is_news(&self, s: &State, voter: usize) -> bool {
        let me = s.voters[voter];
        let first = s.leader.promised[voter][usize::from(me.boot)] == NEVER;
        let verifies = s.leader.verify > 0 && me.reports >= s.leader.verify;
        s.leader.who != NOBODY && (first || verifies)
    }

    fn at_the_controllers(&self, s: &State, actions: &mut Vec<Action>) {
        if s.leader.who != NOBODY {
            self.entries(s, actions);
            for controller in members(self.scope.all) {
                if s.controllers[controller].held < s.log.len() {
                    actions.push(Action::Takes(u8::try_from(controller).unwrap_or(NOBODY)));
                }
            }
        }
        if s.leader.who != NOBODY && !s.leader.begun {
            let set = s.log.at(s.log.len()).set;
            let all = members(set).filter(|c| s.controllers[*c].held == s.log.len()).count();
            if all >= majority(set) {
                actions.push(Action::Begins);
            }
        }
        for controller in members(self.scope.all) {
            let name = u8::try_from(controller).unwrap_or(NOBODY);
            if s.left.elections > 0 && s.leader.who != name && self.may_lead(s, controller) {
                actions.push(Action::Elected(name, false));
                let intent = s.log.intent().map_or(NOBODY, |(length, _)| length);
                let me = s.controllers[controller];
                let knew = s.committed >= intent && me.held >= intent && !me.restarted;
                let keeps = self.one_set(s) && !me.restarted;
                if knew && keeps || knew_wrongly(self, s, intent, me.held) {
                    actions.push(Action::Elected(name, true));
                }
            }
            if s.left.restarts > 0 && !s.controllers[controller].restarted {
                actions.push(Action::Restarted(name));
            }
        }
    }

    /// A majority of its set has no longer log than it.
    fn may_lead(&self, s: &State, candidate: usize) -> bool {
        let held = s.controllers[candidate].held;
        let set = s.log.at(held).set;
        let votes = members(set).filter(|c| s.controllers[*c].held <= held).count();
        set >> candidate & 1 == 1 && votes >= majority(set)
    }

    fn entries(&self, s: &State, actions: &mut Vec<Action>) {
        if !s.log.has_room() {
            return;
        }
        let last = s.log.at(s.log.len());
        if !last.open && !last.held {
            actions.push(Action::Writes(Entry::Intent(s.leader.heard)));
            if s.left.drills > 0 && last.armed {
                actions.push(Action::Writes(Entry::Drill));
            }
        }
        if last.open && !last.fenced && s.left.cancels > 0 {
            actions.push(Action::Writes(Entry::Cancelled));
        }
        if let Some(change) = self.scope.changes.get(usize::from(s.left.changes)) {
            let settled = s.committed == s.log.len() && s.leader.begun;
            let fits = match *change {
                Entry::Joins(voter, boot) => s.voters[usize::from(voter)].boot == boot,
                Entry::Set(_) => settled,
                Entry::Leaves(_)
                | Entry::Intent(_)
                | Entry::Drill
                | Entry::Cancelled
                | Entry::Verify
                | Entry::Fenced
                | Entry::Armed
                | Entry::Disarmed
                | Entry::ArmWanted => true,
            };
            if fits {
                actions.push(Action::Writes(*change));
            }
        }
        if s.left.disarms > 0 && !last.held {
            actions.push(Action::Writes(Entry::Disarmed));
        }
        if last.held && !last.open {
            actions.push(Action::Writes(Entry::ArmWanted));
        }
        let settled = s.log.len() == s.committed && s.leader.begun;
        let room = s.log.verifies() < usize::from(self.scope.verifies);
        match self.standing(s) {
            Standing::Verify | Standing::Verifying if settled && room => {
                actions.push(Action::Writes(Entry::Verify));
            }
            Standing::Proven if settled => actions.push(Action::Writes(Entry::Fenced)),
            Standing::Waits | Standing::Verify | Standing::Verifying | Standing::Proven => {}
        }
    }
}

/// The mutant that takes another's word for T0.
fn knew_wrongly(model: &Lease, s: &State, intent: u8, held: u8) -> bool {
    model.breaks(Mutant::HeirKeepsT0) && s.committed >= intent && held >= intent
}
