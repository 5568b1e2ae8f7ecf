//! What a step changes.

use super::actions::Action;
use super::log::{Entry, Log, members};
use super::node::NOTHING;
use super::scope::Begins;
use super::state::{
    Controller, Feeding, Late, Leader, Left, Life, NEVER, NOBODY, Node, State, Voter,
};
use super::{CONTROLLERS, Lease, Mutant, VOTERS};

/// A leader that knows nothing yet.
const FRESH: Leader = Leader {
    who: 0,
    begun: false,
    t0: NEVER,
    promised: [[NEVER; 2]; VOTERS],
    verify: 0,
    promisers: 0,
    verified: 0,
    heard: 0,
};

impl Lease {
    /// The first state.
    pub(super) fn first(&self) -> State {
        let scope = &self.scope;
        let armed = scope.begins != Begins::Unarmed;
        let mut node = Node { life: Life::Up, open: armed, ..NOTHING };
        node.fed = if armed { 0 } else { NEVER };
        for controller in members(scope.set) {
            (node.acked[controller], node.believes_acked[controller]) = (0, 0);
        }
        let left = Left {
            reboots: scope.reboots,
            elections: scope.elections,
            restarts: scope.restarts,
            kills: scope.kills,
            ahead: scope.ahead,
            changes: 0,
            disarms: scope.disarms,
            drills: scope.drills,
            cancels: scope.cancels,
        };
        let mut state = State {
            node,
            voters: [Voter { boot: 0, n: 0, reports: 0 }; VOTERS],
            controllers: [Controller { held: 0, restarted: false, forgot: false }; CONTROLLERS],
            log: Log::new(scope.voters, scope.set, armed),
            committed: 0,
            intent_age: NEVER,
            leader: Leader { begun: true, ..FRESH },
            late: [Late::Nothing; 2],
            left,
            ordered: !scope.changes.is_empty(),
        };
        if scope.begins == Begins::IntentWritten {
            self.write(&mut state, Entry::Intent(0));
        }
        state
    }

    /// The state after a step.
    pub(super) fn after(&self, before: &State, action: Action) -> State {
        let mut s = *before;
        match action {
            Action::Tick => {
                self.node_tick(&mut s);
                self.leader_tick(&mut s.leader);
                if s.intent_age != NEVER {
                    s.intent_age = (s.intent_age + 1).min(self.wait_lease());
                }
            }
            Action::ClockAhead => {
                s.left.ahead -= 1;
                self.leader_tick(&mut s.leader);
            }
            Action::Acked(controller) => self.acked(&mut s, usize::from(controller), 0),
            Action::AckLate(controller) => keep(&mut s, Late::Ack(controller, 0)),
            Action::Vouched(voter) => self.vouched(&mut s, usize::from(voter), 0),
            Action::VouchLate(voter) => keep(&mut s, Late::Vouch(voter, 0)),
            Action::Arrives(slot) => self.arrives(&mut s, usize::from(slot)),
            Action::Checks => Self::checks(&mut s),
            Action::Feeds => (s.node.fed, s.node.feeding) = (0, Feeding::Fed),
            Action::Rereads => self.reread(&mut s),
            Action::TimerFeeds => s.node.fed = 0,
            Action::Killed => {
                s.left.kills -= 1;
                self.kill(&mut s);
            }
            Action::Opens => {
                s.node.open = true;
                (s.node.fed, s.node.feeding) = (0, Feeding::Fed);
            }
            Action::Closes => {
                (s.node.open, s.node.feeding) = (false, Feeding::Idle);
                s.node.fed = NEVER;
            }
            Action::NodeAdopts(n) => self.node_adopts(&mut s, n),
            Action::NodeReports => s.leader.heard = s.node.n,
            Action::RenewalLate => {
                let (open, n) = (s.node.open, s.node.n);
                keep(&mut s, Late::Renewal(open, n));
            }
            Action::Arms(..) => self.write(&mut s, Entry::Armed),
            Action::Adopts(voter) => {
                let committed = s.committed;
                let voter = &mut s.voters[usize::from(voter)];
                (voter.n, voter.reports) = (committed, committed);
            }
            Action::ReportsEarly(voter) => s.voters[usize::from(voter)].reports = s.committed,
            Action::Rebooted(voter) => {
                s.left.reboots -= 1;
                s.voters[usize::from(voter)] = Voter { boot: 1, n: 0, reports: 0 };
            }
            Action::Reports(voter) => {
                let Voter { boot, reports, .. } = s.voters[usize::from(voter)];
                self.hears(&mut s, usize::from(voter), boot, reports);
            }
            Action::ReportLate(voter) => {
                let Voter { boot, reports, .. } = s.voters[usize::from(voter)];
                keep(&mut s, Late::Report(voter, boot, reports));
            }
            Action::Writes(entry) => {
                match entry {
                    Entry::Leaves(_) | Entry::Joins(..) | Entry::Set(_) => s.left.changes += 1,
                    Entry::Disarmed => s.left.disarms -= 1,
                    Entry::Drill => s.left.drills -= 1,
                    Entry::Cancelled => s.left.cancels -= 1,
                    Entry::Intent(_)
                    | Entry::Verify
                    | Entry::Fenced
                    | Entry::Armed
                    | Entry::ArmWanted => {}
                }
                self.write(&mut s, entry);
            }
            Action::Takes(controller) => {
                s.controllers[usize::from(controller)].held = s.log.len();
                self.commit(&mut s);
            }
            Action::Elected(controller, knew) => self.elect(&mut s, controller, knew),
            Action::Begins => {
                s.leader.begun = true;
                self.commit(&mut s);
            }
            Action::Restarted(controller) => self.restart(&mut s, controller),
        }
        s
    }

    fn write(&self, s: &mut State, entry: Entry) {
        self.forget_the_fence_before(s, entry);
        s.log.push(entry);
        s.controllers[usize::from(s.leader.who)].held = s.log.len();
        if self.breaks(Mutant::WaitFromProposal) && matches!(entry, Entry::Intent(_)) {
            s.leader.t0 = 0;
        }
        self.commit(s);
    }

    /// What was heard for one intent says nothing of the next.
    fn forget_the_fence_before(&self, s: &mut State, entry: Entry) {
        if !matches!(entry, Entry::Intent(_) | Entry::Drill) {
            return;
        }
        let Leader { who, begun, heard, t0, promised, .. } = s.leader;
        s.leader = Leader { who, begun, heard, ..FRESH };
        if self.breaks(Mutant::PromiseOfAnother) {
            s.leader.promised = promised;
        }
        if self.breaks(Mutant::T0OfAnother) {
            s.leader.t0 = t0;
        }
    }

    fn arrives(&self, s: &mut State, slot: usize) {
        match s.late[slot] {
            Late::Nothing => {}
            Late::Ack(controller, age) => self.acked(s, usize::from(controller), age),
            Late::Vouch(voter, age) => self.vouched(s, usize::from(voter), age),
            Late::Report(voter, boot, n) => {
                s.late[slot] = Late::Nothing;
                self.hears(s, usize::from(voter), boot, n);
            }
            Late::Renewal(open, n) => {
                s.late[slot] = Late::Nothing;
                let mut arms = Vec::new();
                self.arms(s, open, n, &mut arms);
                if !arms.is_empty() {
                    self.write(s, Entry::Armed);
                }
            }
        }
    }

    /// What the old leader alone held is lost; that unblocks soonest.
    fn elect(&self, s: &mut State, controller: u8, knew: bool) {
        let held = s.controllers[usize::from(controller)].held;
        s.left.elections -= 1;
        s.log.truncate(held);
        for other in &mut s.controllers {
            other.held = other.held.min(held);
        }
        let t0 = if knew { s.intent_age } else { NEVER };
        s.leader = Leader { who: controller, t0, heard: s.leader.heard, ..FRESH };
    }

    fn restart(&self, s: &mut State, controller: u8) {
        s.left.restarts -= 1;
        let me = &mut s.controllers[usize::from(controller)];
        me.restarted = true;
        me.forgot = self.breaks(Mutant::ForgetsPromise);
        if s.leader.who == controller {
            let heard = s.leader.heard;
            s.leader = Leader { who: NOBODY, heard, ..FRESH };
        }
    }
}

/// A packet is held up in a free place; the places stay sorted, so that their order makes no states.
fn keep(s: &mut State, late: Late) {
    if let Some(slot) = s.late.iter_mut().find(|slot| **slot == Late::Nothing) {
        *slot = late;
    }
    s.late.sort_unstable_by(|a, b| b.cmp(a));
}
