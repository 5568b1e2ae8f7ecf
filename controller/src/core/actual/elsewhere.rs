//! Before a VM is ordered elsewhere: does another node say that it runs it already? Nova knows nothing of a copy that was
//! started past it, and a third place for the same disk would be the second writer. So it is left to a human.
//!
//! What a node said before the fence may have been overtaken by a live migration: then its next word is waited for. Lists
//! are no proof that nothing runs; one that shows nothing changes nothing.

use std::time::Duration;

use mutants::{Mutant, is_on};
use uuid::Uuid;

use crate::core::Controller;
use crate::core::recover::migration_kind;
use crate::effect::Effect;
use crate::nova::MigrationKind;
use crate::registry::Incident;

/// From the fence on, a node has so long to say again what it runs: a whole list comes every half minute. Its last word
/// counts then.
const SAYS_AGAIN: Duration = Duration::from_secs(45);
/// Until then it is looked at again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Controller {
    /// Whether a VM that waits for an attempt runs on another node already, by that node's own list: it is parked, or waits
    /// until that node has spoken since the fence.
    pub(in crate::core) fn waits_for_its_copy(
        &mut self,
        incident: &Incident,
        vm: Uuid,
        out: &mut Vec<Effect>,
    ) -> bool {
        let evacuation = migration_kind(incident) == MigrationKind::Evacuation;
        if !evacuation || is_on(Mutant::M98) {
            return false;
        }
        let Some((node, said_at)) = self.says_it_runs(incident, vm) else { return false };
        let (now, epoch) = (self.now, incident.fence().map(|fence| fence.epoch.index));
        let fenced_at = epoch.and_then(|index| self.intent_known.get(&index).copied());
        // Where it is not known when that was, what was said counts at once.
        let fenced_at = fenced_at.unwrap_or_default();
        if said_at <= fenced_at && now.saturating_sub(fenced_at) < SAYS_AGAIN {
            self.pause_vm_for(incident.id, vm, LOOK_AGAIN);
            return true;
        }
        let why = format!(
            "{node} says that it runs it, which Nova does not know, and two would write: end the copy that is wrong there, \
             then `openstack server evacuate` it"
        );
        self.park(incident.id, vm, why, out);
        true
    }

    /// A node other than the one that was lost whose list shows a VM, and when it last said so.
    fn says_it_runs(&self, incident: &Incident, vm: Uuid) -> Option<(String, Duration)> {
        let lists = &self.leading.as_ref()?.actual.lists;
        let others = self.registry.nodes().iter().filter(|(id, _)| **id != incident.node);
        let says = others.filter_map(|(id, node)| {
            let list = lists.fresh(self.now, *id, node.serving_boot()?)?;
            list.domains.contains_key(&vm).then(|| (node.record.name.clone(), list.at))
        });
        says.max_by_key(|(_, at)| *at)
    }
}
