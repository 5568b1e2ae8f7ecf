//! What the leader does, and what may happen at all.

use super::state::{
    Action, DESTINATIONS, Decision, Place, Progress, Seen, Stage, State, Status, Vm,
};
use super::{Evacuate, Mutant};

fn number(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}

impl Evacuate {
    pub(super) fn possible(&self, s: &State, actions: &mut Vec<Action>) {
        if !s.off {
            actions.push(Action::SourceOff);
        }
        if s.off && !s.booted {
            actions.push(Action::SourceBoots);
        }
        if self.breaks(Mutant::ClearsEarly) && s.forced_down && s.stage == Stage::Recovered {
            actions.push(Action::Clears);
        }
        if let Some(stage) = self.next_stage(s) {
            actions.push(Action::Enter(stage));
        }
        if s.elections > 0 && s.stage >= Stage::Evacuating {
            for commits in [true, false] {
                for sends in [true, false] {
                    actions.push(Action::Elected(commits, sends));
                }
            }
        }
        if self.vms().any(|v| s.vms[v].has_posts()) {
            actions.push(Action::OrdersLapse);
        }
        for dest in 0..2 {
            if s.deaths > 0 && !s.dead[dest] {
                actions.push(Action::Dies(number(dest)));
            }
        }
        for v in self.vms() {
            self.about(s, v, actions);
        }
    }

    fn about(&self, s: &State, v: usize, actions: &mut Vec<Action>) {
        let (vm, name) = (&s.vms[v], number(v));
        let begun = s.stage == Stage::Evacuating
            || self.breaks(Mutant::AtIntent) && s.stage == Stage::Fencing;
        if begun && vm.decision.is_none() {
            self.by_leader(s, vm, name, actions);
        }
        if s.stage == Stage::Recovered || begun {
            for (dest, seen) in vm.census.iter().enumerate() {
                let useful = !vm.is_settled() || s.booted && vm.progress == Progress::Parked;
                if *seen == Seen::Unasked && !s.dead[dest] && useful && vm.tries > 0 {
                    actions.push(Action::Asks(name, number(dest)));
                }
            }
        }
        if vm.decision.is_some() {
            actions.push(Action::Decided(name));
        }
        for (slot, post) in vm.posts.iter().enumerate() {
            if post.is_some() {
                let slot = number(slot);
                for told in [true, false] {
                    actions.push(Action::Taken(name, slot, told));
                    actions.push(Action::Lost(name, slot, told));
                }
            }
        }
        for (place, record) in vm.records.iter().enumerate() {
            let Some(record) = record else { continue };
            let place = number(place);
            for well in [true, false] {
                match record.status {
                    Status::Accepted => actions.push(Action::Schedules(name, place, well)),
                    Status::PreMigrating if s.lives(record.place) => {
                        actions.push(Action::Spawns(name, place, well));
                    }
                    Status::Spawned if s.lives(record.place) => {
                        actions.push(Action::Ends(name, place, well));
                    }
                    Status::PreMigrating
                    | Status::Spawned
                    | Status::Done
                    | Status::Completed
                    | Status::Error
                    | Status::Failed => {}
                }
            }
        }
        let back = matches!(s.stage, Stage::Released | Stage::Returned);
        if back && vm.host == Place::Source && vm.guests & 1 == 0 {
            actions.push(Action::UserStarts(name));
        }
    }

    fn by_leader(&self, s: &State, vm: &Vm, name: u8, actions: &mut Vec<Action>) {
        match vm.progress {
            Progress::Waiting if !vm.looked => actions.push(Action::Looks(name)),
            Progress::Waiting => {
                if vm.tries >= self.scope.tries {
                    return;
                }
                for place in DESTINATIONS {
                    let named = vm.same.is_none_or(|same| same == place);
                    if named && s.lives(place) {
                        actions.push(Action::Attempt(name, place));
                    }
                }
            }
            Progress::Attempted(_) if vm.mine => {
                if vm.posts.iter().any(Option::is_none) {
                    actions.push(Action::Posts(name));
                }
            }
            Progress::Attempted(_) | Progress::Sent(_) if vm.waits => {
                actions.push(Action::TimesOut(name));
            }
            Progress::Attempted(_) | Progress::Sent(_) => {
                if self.breaks(Mutant::SendsAgain) && vm.posts.iter().any(Option::is_none) {
                    actions.push(Action::Posts(name));
                }
                actions.push(Action::Follows(name));
                actions.push(Action::GivesUp(name));
            }
            Progress::Moved(_) | Progress::Parked => {}
        }
    }

    /// The next stage, when its conditions hold.
    fn next_stage(&self, s: &State) -> Option<Stage> {
        let vms = || self.vms().map(|v| &s.vms[v]);
        match s.stage {
            Stage::Fencing => s.off.then_some(Stage::Fenced),
            Stage::Fenced => Some(Stage::ForcedDown),
            Stage::ForcedDown => Some(Stage::Evacuating),
            Stage::Evacuating => vms().all(Vm::is_settled).then_some(Stage::Recovered),
            Stage::Recovered => {
                let lapsed = !vms().any(Vm::has_posts) || self.breaks(Mutant::ReleasesEarly);
                let queued = vms().any(|vm| vm.records().any(|r| r.status.is_queued()))
                    && !self.breaks(Mutant::ReleasesWithQueued);
                let doubt = vms()
                    .any(|vm| vm.progress == Progress::Parked && !self.is_clear(s, vm))
                    && !self.breaks(Mutant::ReleasesWithDoubt);
                (s.booted && lapsed && !queued && !doubt).then_some(Stage::Released)
            }
            // Nova refuses while a `done` record is left; the source's nova-compute makes `completed` of it.
            Stage::Released => Some(Stage::Returned),
            Stage::Returned => None,
        }
    }

    /// A census found it on no destination that lives.
    fn is_clear(&self, s: &State, vm: &Vm) -> bool {
        let absent = |dest: usize| s.dead[dest] || vm.census[dest] == Seen::Absent;
        vm.tries == 0 || (absent(0) && absent(1))
    }

    /// The leader's view of an attempt that it waits for no answer of.
    pub(super) fn follow(&self, s: &State, vm: &Vm, named: Place) -> Option<Decision> {
        if let Some((number, record)) = vm.newest() {
            return match record.status {
                Status::Error => Some(Decision::VoidPast(number)),
                Status::Failed if self.breaks(Mutant::FailedIsClean) => {
                    Some(Decision::VoidPast(number))
                }
                Status::Failed => Some(Decision::Parked),
                Status::Done | Status::Completed => self.confirm(s, vm),
                Status::Accepted | Status::PreMigrating | Status::Spawned => None,
            };
        }
        if self.breaks(Mutant::NoCensus) {
            return Some(Decision::Void);
        }
        let asked = |dest: usize| s.dead[dest] || vm.census[dest] != Seen::Unasked;
        if !asked(0) || !asked(1) {
            return None;
        }
        if vm.census.contains(&Seen::Present) || !s.lives(named) {
            return Some(Decision::Parked);
        }
        if self.breaks(Mutant::OtherPlace) {
            return Some(Decision::Void);
        }
        Some(Decision::VoidSame(named))
    }

    /// Its record ended well: Nova must place it there, and that node's agent must see it.
    fn confirm(&self, s: &State, vm: &Vm) -> Option<Decision> {
        if vm.host == Place::Source {
            return None;
        }
        let here = s.lives(vm.host) && vm.guests & vm.host.bit() != 0;
        Some(if here { Decision::Moved(vm.host) } else { Decision::Parked })
    }
}
