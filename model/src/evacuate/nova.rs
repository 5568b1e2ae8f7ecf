//! What a step changes: at the leader, in Nova, on the nodes.

use super::state::{
    Action, DESTINATIONS, Decision, Place, Progress, Record, Seen, Stage, State, Status, Vm,
};
use super::{Evacuate, Mutant};

impl Evacuate {
    pub(super) fn after(&self, before: &State, action: Action) -> State {
        let mut s = *before;
        match action {
            Action::SourceOff => {
                s.off = true;
                s.vms.iter_mut().for_each(|vm| vm.guests &= !1);
            }
            Action::Enter(stage) => enter(&mut s, stage),
            Action::SourceBoots => {
                s.booted = true;
                forget_census(&mut s);
            }
            Action::Clears => s.forced_down = false,
            Action::Elected(commits, sends) => {
                s.elections -= 1;
                for vm in &mut s.vms {
                    if commits {
                        self.decided(vm);
                    }
                    self.lose_leader(vm, sends);
                }
            }
            Action::TimesOut(v) => s.vms[usize::from(v)].waits = false,
            Action::OrdersLapse => {
                for vm in &mut s.vms {
                    vm.posts = [None; 2];
                    vm.waits = false;
                }
            }
            Action::Dies(dest) => {
                let place = DESTINATIONS[usize::from(dest)];
                s.deaths -= 1;
                s.dead[usize::from(dest)] = true;
                s.vms.iter_mut().for_each(|vm| vm.guests &= !place.bit());
            }
            Action::Looks(v) => {
                let vm = &mut s.vms[usize::from(v)];
                if vm.host != Place::Source || vm.tries >= self.scope.tries {
                    vm.decision = Some(Decision::Parked);
                } else {
                    vm.looked = true;
                }
            }
            Action::Attempt(v, place) => {
                let vm = &mut s.vms[usize::from(v)];
                (vm.progress, vm.mine, vm.looked) = (Progress::Attempted(place), true, false);
                vm.tries += 1;
                vm.census = [Seen::Unasked; 2];
            }
            Action::Posts(v) => {
                s.early |= s.stage < Stage::ForcedDown || !s.off;
                let vm = &mut s.vms[usize::from(v)];
                if let Progress::Attempted(place) | Progress::Sent(place) = vm.progress {
                    send(vm, place);
                    vm.waits = vm.mine;
                    vm.mine = false;
                }
            }
            Action::Taken(v, slot, told) => self.taken(&mut s, usize::from(v), slot, told),
            Action::Lost(v, slot, told) => {
                let vm = &mut s.vms[usize::from(v)];
                vm.posts[usize::from(slot)] = None;
                if slot == 0 && std::mem::take(&mut vm.waits) && told {
                    vm.decision = Some(Decision::Void);
                }
                shift(vm);
            }
            Action::Follows(v) => {
                let vm = &s.vms[usize::from(v)];
                if let Progress::Attempted(named) | Progress::Sent(named) = vm.progress {
                    s.vms[usize::from(v)].decision = self.follow(&s, vm, named);
                }
            }
            Action::GivesUp(v) => s.vms[usize::from(v)].decision = Some(Decision::Parked),
            Action::Asks(v, dest) => {
                let vm = &mut s.vms[usize::from(v)];
                let runs = vm.guests & DESTINATIONS[usize::from(dest)].bit() != 0;
                vm.census[usize::from(dest)] = if runs { Seen::Present } else { Seen::Absent };
            }
            Action::Decided(v) => self.decided(&mut s.vms[usize::from(v)]),
            Action::Schedules(v, place, found) => {
                let vm = &mut s.vms[usize::from(v)];
                set(vm, place, if found { Status::PreMigrating } else { Status::Error });
            }
            Action::Spawns(v, place, well) => {
                let vm = &mut s.vms[usize::from(v)];
                let Some(record) = vm.records[usize::from(place)] else { return s };
                let there = vm.guests & record.place.bit() != 0;
                if well && !there {
                    vm.guests |= record.place.bit();
                    set(vm, place, Status::Spawned);
                } else {
                    set(vm, place, Status::Failed);
                }
            }
            Action::Ends(v, place, well) => {
                let vm = &mut s.vms[usize::from(v)];
                let Some(record) = vm.records[usize::from(place)] else { return s };
                if well {
                    vm.host = record.place;
                }
                set(vm, place, if well { Status::Done } else { Status::Failed });
            }
            Action::UserStarts(v) => s.vms[usize::from(v)].guests |= 1,
        }
        let queued_news = matches!(action, Action::Spawns(..) | Action::Ends(..));
        if queued_news && s.stage == Stage::Recovered && !self.breaks(Mutant::OldCensus) {
            // Before a release the records are read first; who is asked is asked after that.
            forget_census(&mut s);
        }
        s
    }

    /// The next leader knows nothing of what was sent. A POST that was confirmed may yet leave the old one.
    fn lose_leader(&self, vm: &mut Vm, sends: bool) {
        if let (true, Progress::Attempted(place)) = (vm.mine && sends, vm.progress) {
            send(vm, place);
        }
        vm.mine =
            self.breaks(Mutant::NewLeaderSends) && matches!(vm.progress, Progress::Attempted(_));
        (vm.looked, vm.waits, vm.decision) = (false, false, None);
        vm.census = [Seen::Unasked; 2];
    }

    /// Nova takes a POST: refused without effect, or queued with a record.
    fn taken(&self, s: &mut State, v: usize, slot: u8, told: bool) {
        let slot = usize::from(slot);
        let (forced_down, dead) = (s.forced_down, s.dead);
        let vm = &mut s.vms[v];
        let Some(place) = vm.posts[slot].take() else { return };
        let own = slot == 0 && std::mem::take(&mut vm.waits);
        let source_down = match vm.host {
            Place::Source => forced_down,
            Place::First => dead[0],
            Place::Second => dead[1],
        };
        let free = vm.records.iter().position(Option::is_none);
        let answer = match free {
            Some(free) if source_down && vm.host != place => {
                vm.records[free] = Some(Record { place, status: Status::Accepted });
                Decision::Sent
            }
            Some(_) | None => Decision::Void,
        };
        if own && told {
            vm.decision = Some(answer);
        }
        shift(vm);
    }

    fn decided(&self, vm: &mut Vm) {
        let in_flight = matches!(vm.progress, Progress::Attempted(_) | Progress::Sent(_));
        match vm.decision.take() {
            Some(Decision::Void) if in_flight => vm.progress = Progress::Waiting,
            Some(Decision::VoidSame(place)) if in_flight => {
                vm.progress = Progress::Waiting;
                vm.same = Some(place);
            }
            Some(Decision::VoidPast(number)) if in_flight => {
                vm.progress = Progress::Waiting;
                vm.past = number;
            }
            Some(Decision::Sent) => {
                if let Progress::Attempted(place) = vm.progress {
                    vm.progress = Progress::Sent(place);
                }
            }
            Some(Decision::Moved(place)) => vm.progress = Progress::Moved(place),
            Some(Decision::Parked) => vm.progress = Progress::Parked,
            Some(Decision::Void | Decision::VoidSame(_) | Decision::VoidPast(_)) | None => {}
        }
        vm.looked = false;
        if vm.is_settled() {
            (vm.mine, vm.waits) = (false, false);
            vm.census = [Seen::Unasked; 2];
        }
    }
}

fn enter(s: &mut State, stage: Stage) {
    s.stage = stage;
    match stage {
        Stage::ForcedDown => s.forced_down = true,
        // The source's nova-compute cleans up. What is queued would still run.
        Stage::Released => {
            for vm in &mut s.vms {
                for record in vm.records.iter_mut().flatten() {
                    if record.status == Status::Done {
                        record.status = Status::Completed;
                    }
                }
            }
        }
        Stage::Returned => s.forced_down = false,
        // What was answered before says nothing about the time since.
        Stage::Recovered => forget_census(s),
        Stage::Fencing | Stage::Fenced | Stage::Evacuating => {}
    }
}

fn forget_census(s: &mut State) {
    s.vms.iter_mut().for_each(|vm| vm.census = [Seen::Unasked; 2]);
}

/// A POST is on its way. An older one takes the second place: the first is whose answer is waited for.
fn send(vm: &mut Vm, place: Place) {
    vm.posts = [Some(place), vm.posts[0].or(vm.posts[1])];
}

fn shift(vm: &mut Vm) {
    if vm.posts[0].is_none() && !vm.waits {
        vm.posts = [vm.posts[1], None];
    }
}

fn set(vm: &mut Vm, place: u8, status: Status) {
    if let Some(record) = &mut vm.records[usize::from(place)] {
        record.status = status;
    }
}
