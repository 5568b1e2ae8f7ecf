//! Which waiting VM is next, and whether another may begin: windows of the cloud, of a cell, of a lost node, a bucket of
//! starts per minute, the order of restarts, and a limit that only a human lifts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fencing::IncidentId;
use uuid::Uuid;

use super::cloud::List;
use super::leading::VmStep;
use super::place::Place;
use super::recover::migration_kind;
use super::vm::SLOT_AGAIN;
use crate::core::Controller;
use crate::effect::Effect;
use crate::guard;
use crate::nova::{Call, MigrationKind};
use crate::registry::{Incident, Progress, State, Vm};

/// Room is read again this often while VMs wait.
const ROOM_FOR: Duration = Duration::from_secs(10);
/// Thousandths of a start.
const TOKEN: u64 = 1000;

/// Starts that are saved up; leader's own, full at its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    level: u64,
    at: Option<Duration>,
}

impl Bucket {
    /// Takes one start, if there is one: `per_minute` come in a minute, at most `most` are saved.
    pub(super) fn take(&mut self, now: Duration, per_minute: usize, most: usize) -> bool {
        let (per_minute, most) = (per_minute as u64, (most as u64).saturating_mul(TOKEN));
        let passed = self.at.map(|at| now.saturating_sub(at));
        let passed = passed.map(|passed| u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
        let come = passed.map_or(most, |ms| ms.saturating_mul(per_minute) / 60);
        // Time that was too short for a thousandth is not thrown away.
        if come > 0 || self.at.is_none() {
            self.at = Some(now);
        }
        self.level = self.level.saturating_add(come).min(most);
        let has = self.level >= TOKEN;
        if has {
            self.level -= TOKEN;
        }
        has
    }
}

/// What is under way.
#[derive(Debug, Default)]
struct Flow {
    cloud: usize,
    cells: BTreeMap<String, usize>,
    sources: BTreeMap<IncidentId, usize>,
    /// Groups of which a member is on its way.
    apart: BTreeSet<Uuid>,
    /// VMs that are on their way or being looked at.
    busy: BTreeSet<(IncidentId, Uuid)>,
    /// Those that are not begun yet, as the registry counts.
    looking: usize,
}

impl Flow {
    fn add(&mut self, incident: IncidentId, cell: &str, id: Uuid, vm: &Vm) {
        if !self.busy.insert((incident, id)) {
            return;
        }
        self.cloud += 1;
        *self.cells.entry(cell.to_owned()).or_default() += 1;
        *self.sources.entry(incident).or_default() += 1;
        self.apart.extend(&vm.before.apart);
        if !vm.in_flight() {
            self.looking += 1;
        }
    }
}

impl Controller {
    /// Begins with the VMs that are next, as far as the windows have room: each begins by a look at it.
    pub(super) fn start_waiting(&mut self, out: &mut Vec<Effect>) {
        let pace = self.settings.recovery.pace;
        let waits =
            |incident: &Incident| incident.vms.values().any(|vm| vm.progress == Progress::Waiting);
        let moving = || self.registry.open_incidents().filter(|incident| is_moving(incident));
        if !moving().any(waits) {
            return;
        }
        let moving: Vec<IncidentId> = moving().map(|incident| incident.id).collect();
        let moving: Vec<_> = moving.into_iter().filter_map(|id| self.incident(id)).collect();
        self.list_is_fresh(List::Hypervisors, ROOM_FOR);
        let mut flow = self.flow(&moving);
        let mut free = self.free_slots(&moving).saturating_sub(flow.looking);
        for incident in &moving {
            let cell = flow.cells.get(&self.cell_of(incident)).is_some_and(|n| *n >= pace.cell);
            let source = flow.sources.get(&incident.id).is_some_and(|n| *n >= pace.source);
            if cell || source || flow.cloud >= pace.cloud {
                self.count_nowhere(incident, out);
            }
        }
        if flow.cloud >= pace.cloud {
            return;
        }
        for (incident, id) in self.queue(&moving, &flow) {
            let Some(vm) = incident.vms.get(&id) else { continue };
            let cell = self.cell_of(incident);
            let of_cell = flow.cells.get(&cell).copied().unwrap_or(0);
            let of_source = flow.sources.get(&incident.id).copied().unwrap_or(0);
            let meets = vm.before.apart.iter().any(|group| flow.apart.contains(group));
            let most_of_source = match migration_kind(incident) {
                MigrationKind::Evacuation => pace.source,
                MigrationKind::LiveMigration => pace.migrated,
            };
            if of_cell >= pace.cell || of_source >= most_of_source || meets {
                continue;
            }
            if self.is_held(incident, flow.looking, out)
                || !self.has_slot(incident, id, vm, &mut free, out)
            {
                continue;
            }
            let now = self.now;
            let Some(leading) = &mut self.leading else { return };
            if flow.cloud >= pace.cloud || !leading.bucket.take(now, pace.per_minute, pace.cloud) {
                return;
            }
            flow.add(incident.id, &cell, id, vm);
            self.call_about_vm(incident.id, id, VmStep::Look, Call::Server { server: id });
        }
    }

    /// Whether a VM would be given a host now: a look at one that would then wait keeps Nova busy for nothing. Where no
    /// host is left at all, the look says so.
    fn has_slot(
        &mut self,
        incident: &Incident,
        id: Uuid,
        vm: &Vm,
        free: &mut usize,
        out: &mut Vec<Effect>,
    ) -> bool {
        if migration_kind(incident) != MigrationKind::Evacuation || vm.same.is_some() {
            return true;
        }
        if *free == 0 && self.is_anything_able(incident) {
            self.count_nowhere(incident, out);
            return false;
        }
        match self.destination(incident, id, vm) {
            Place::Named { .. } => *free = free.saturating_sub(1),
            Place::Nowhere => {}
            Place::Busy | Place::Suspected => {
                self.pause_vm_for(incident.id, id, SLOT_AGAIN);
                self.count_nowhere(incident, out);
                return false;
            }
        }
        true
    }

    /// Waiting VMs that may begin as far as they themselves are concerned: the higher priority first, then those that do
    /// not flap, then those of the older incident, then those that were tried less often.
    fn queue<'a>(&mut self, moving: &'a [Arc<Incident>], flow: &Flow) -> Vec<(&'a Incident, Uuid)> {
        let now = self.now;
        let mut queue = Vec::new();
        for incident in moving {
            let evacuates = migration_kind(incident) == MigrationKind::Evacuation;
            let frozen = incident.frozen.is_some();
            let order = self.order(incident);
            let Some(work) = self.work(incident.id) else { continue };
            // Without the services no destination can be named; they are being read.
            if frozen || (evacuates && work.services.is_none()) {
                continue;
            }
            let Some(order) = order else { continue };
            for (id, vm) in &incident.vms {
                let paused = work.vm_not_before.get(id).is_some_and(|at| *at > now);
                let next = vm.progress == Progress::Waiting && vm.before.treatment.order == order;
                if next && !paused && !flow.busy.contains(&(incident.id, *id)) {
                    let key = (
                        Reverse(vm.before.treatment.priority),
                        vm.moves,
                        incident.id,
                        vm.attempts + vm.voids,
                        *id,
                    );
                    queue.push((key, &**incident));
                }
            }
        }
        queue.sort_by_key(|(key, _)| *key);
        queue.into_iter().map(|((.., id), incident)| (incident, id)).collect()
    }

    /// The order of restarts that is on: the lowest that is not settled, once the wait of the one before it is over.
    fn order(&mut self, incident: &Incident) -> Option<u16> {
        let now = self.now;
        let open = incident.vms.values().filter(|vm| !vm.is_settled());
        let order = open.map(|vm| vm.before.treatment.order).min()?;
        let settled = incident.vms.values().filter(|vm| vm.before.treatment.order < order);
        let before = settled.map(|vm| &vm.before.treatment).max_by_key(|treatment| treatment.order);
        let wait = before.map_or(0, |treatment| treatment.wait_s);
        let since = *self.work(incident.id)?.order_since.entry(order).or_insert(now);
        (now.saturating_sub(since) >= Duration::from_secs(wait.into())).then_some(order)
    }

    fn flow(&mut self, moving: &[Arc<Incident>]) -> Flow {
        let mut flow = Flow::default();
        for incident in moving {
            let cell = self.cell_of(incident);
            let proposed = self.proposed_of(incident.id);
            let Some(work) = self.work(incident.id) else { continue };
            for (id, vm) in &incident.vms {
                let looking = work.vm_calls.contains(id) || proposed.contains(id);
                if vm.in_flight() || (looking && !vm.is_settled()) {
                    flow.add(incident.id, &cell, *id, vm);
                }
            }
        }
        flow
    }

    /// Whether the limit on evacuations is reached and nobody has lifted it for this incident; told once.
    fn is_held(&mut self, incident: &Incident, looking: usize, out: &mut Vec<Effect>) -> bool {
        let Some(hold) = self.hold(incident, looking) else { return false };
        if self.work(incident.id).is_some_and(|work| work.told.insert(hold.clone())) {
            out.push(Effect::page("nova", hold));
        }
        true
    }

    /// Why no more VMs of an incident begin, if the limit says so.
    pub(super) fn hold(&self, incident: &Incident, looking: usize) -> Option<String> {
        let pace = self.settings.recovery.pace;
        let waits = incident.vms.values().any(|vm| vm.progress == Progress::Waiting);
        if incident.approved.is_some() || !waits || !is_moving(incident) {
            return None;
        }
        let begun = self.registry.begun_within(guard::minutes(pace.hold_within));
        (begun + looking >= pace.hold_after).then(|| {
            format!(
                "{} hold: {} evacuations were begun within {}; if that is right: hactl incidents approve {}",
                self.name(incident.node),
                pace.hold_after,
                humantime::format_duration(pace.hold_within),
                incident.id
            )
        })
    }

    fn cell_of(&self, incident: &Incident) -> String {
        self.registry.node(incident.node).map(|node| node.record.cell.clone()).unwrap_or_default()
    }
}

/// Whether VMs of an incident may be on their way.
fn is_moving(incident: &Incident) -> bool {
    incident.planned && matches!(incident.state, State::Evacuating | State::Migrating)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_saved_and_then_so_many_a_minute() {
        let mut bucket = Bucket::default();
        let mut taken = |from: u64, to: u64| {
            let times = (from * 1000..to * 1000).step_by(100);
            times.filter(|ms| bucket.take(Duration::from_millis(*ms), 60, 10)).count()
        };
        assert_eq!(taken(0, 1), 10);
        let later = taken(1, 61);
        assert!((59..=61).contains(&later), "{later}");
        assert_eq!(taken(1000, 1001), 10, "never more than it can hold");
    }
}
