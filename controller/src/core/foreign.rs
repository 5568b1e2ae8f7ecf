//! Orders of others: an evacuation that somebody else has asked of Nova, or an order of ours that came later than anybody
//! waits. Nova takes on a second one while the first is queued, and then runs two guests, or none. So the first has its time.

use std::time::Duration;

use mutants::{Mutant, is_on};
use uuid::Uuid;

use super::recover::migration_kind;
use crate::core::Controller;
use crate::effect::Effect;
use crate::nova::{MigrationKind, MigrationRecord, MigrationStatus, ServerRecord};
use crate::registry::Incident;

/// Such an order that does not end for this long is given up, with an alarm.
const FOREIGN_STUCK: Duration = Duration::from_secs(900);
/// A server that Nova is rebuilding is looked at again after this time: its record is read meanwhile.
const REBUILDING_AGAIN: Duration = Duration::from_secs(2);

/// An order that is none of a VM's attempts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foreign {
    /// When it was first seen.
    since: Duration,
    /// The first answer about the records that came after that. It may have been under way before; the next one was not.
    read_at: Option<Duration>,
}

/// Whether Nova has yet to carry out this record's order, or is at it.
pub(super) fn is_queued(record: &MigrationRecord) -> bool {
    match record.status {
        MigrationStatus::Accepted | MigrationStatus::Preparing | MigrationStatus::PreMigrating => {
            true
        }
        MigrationStatus::Running
        | MigrationStatus::Done
        | MigrationStatus::Completed
        | MigrationStatus::Error
        | MigrationStatus::Failed
        | MigrationStatus::Cancelled
        | MigrationStatus::Other(_) => false,
    }
}

impl Controller {
    /// Whether a server that waits for an attempt must wait for an order that is none of its attempts. It was looked at
    /// this moment.
    pub(super) fn waits_for_foreign(
        &mut self,
        incident: &Incident,
        id: Uuid,
        server: &ServerRecord,
        out: &mut Vec<Effect>,
    ) -> bool {
        // Whoever posts again without a look takes no look at records either.
        let careless = [Mutant::M27, Mutant::M28, Mutant::M81].into_iter().any(is_on);
        if migration_kind(incident) != MigrationKind::Evacuation || careless {
            return false;
        }
        let now = self.now;
        let rebuilding =
            server.task_state.as_deref().is_some_and(|task| task.starts_with("rebuil"));
        let Some(work) = self.work(incident.id) else { return false };
        let records = work.records.iter().flat_map(|(_, records)| records);
        let queued = records.filter(|record| record.server == id && is_queued(record));
        let queued = queued.map(|record| record.id).max();
        let read_at = work.records.as_ref().map(|(at, _)| *at);
        if queued.is_none() && !rebuilding {
            work.foreign.remove(&id);
            return false;
        }
        let seen = work.foreign.entry(id).or_insert(Foreign { since: now, read_at: None });
        let since = seen.since;
        let Some(record) = queued else {
            // Its record may have been made since we last read them. If there is none, a user has ordered the rebuild on the
            // host that is gone now, and Nova will never end it.
            let known = read_at.filter(|at| *at > since);
            match (seen.read_at, known) {
                (Some(first), Some(at)) if at > first => return false,
                (None, Some(at)) => seen.read_at = Some(at),
                (Some(_), Some(_)) | (_, None) => {}
            }
            self.pause_vm_for(incident.id, id, REBUILDING_AGAIN);
            return true;
        };
        let name = &server.name;
        if now.saturating_sub(since) >= FOREIGN_STUCK {
            let why = format!(
                "an evacuation of it that is not ours (record {record}) has not ended for {} minutes: see `openstack server \
                 migration list`, then evacuate it by hand",
                FOREIGN_STUCK.as_secs() / 60
            );
            self.park(incident.id, id, why, out);
            return true;
        }
        let text = format!(
            "{name} is being evacuated already, by an order that is not ours (record {record}): no second one before it ends"
        );
        self.tell_once(incident.id, "nova", text, out);
        self.pause_vm_for(incident.id, id, REBUILDING_AGAIN);
        true
    }
}
