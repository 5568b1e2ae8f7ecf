//! Before a VM is ordered elsewhere: does another node say that it runs it already? Nova knows nothing of a copy that was
//! started past it, and a third place for the same disk would be the second writer. So it is left to a human.
//!
//! ```text
//!  fenced --census of all nodes--> answers, while the service is forced down; who is silent for 3 s: its last list
//!         --VM by VM-------------> nobody shows it: Attempt | a node shows it: Parked
//! ```
//!
//! What a node said before the fence may have been overtaken by a live migration: then its next word is waited for. Answers
//! are no proof that nothing runs; one that shows nothing changes nothing.

use std::time::Duration;

use action_matrix::Reach;
use fencing::{BootId, NodeId};
use mutants::{Mutant, is_on};
use uuid::Uuid;

use crate::core::Controller;
use crate::core::recover::migration_kind;
use crate::effect::Effect;
use crate::nova::MigrationKind;
use crate::registry::{Incident, Node};

/// All nodes are asked what they run once the fence has its evidence. Who has not answered after this time is taken at its
/// last word: an agent that hangs must not hold up the VMs of another node.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// From the fence on, a node that does not answer has so long to say again what it runs: a whole list comes every half
/// minute. Its last word counts then.
const SAYS_AGAIN: Duration = Duration::from_secs(45);
/// Until then it is looked at again after this time, and while answers are missing after this one.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const ANSWERS_AGAIN: Duration = Duration::from_millis(250);

impl Controller {
    /// Asks all other nodes what they run, from now on until they have answered. Answers since when.
    pub(in crate::core) fn ask_for_copies(&mut self, incident: &Incident) -> Duration {
        let now = self.now;
        let Some(work) = self.work(incident.id) else { return now };
        let since = *work.copies_asked.get_or_insert(now);
        if now.saturating_sub(since) < ANSWERS_WITHIN && !is_on(Mutant::M99) {
            let others: Vec<_> = self.others(incident).map(|(id, boot, _)| (id, boot)).collect();
            self.want_census(&others, since);
        }
        since
    }

    /// Whether a VM that waits for an attempt runs on another node already, by that node's own word: it is parked, or waits
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
        let (now, asked) = (self.now, self.ask_for_copies(incident));
        if now.saturating_sub(asked) < ANSWERS_WITHIN && !self.all_answered(incident, asked) {
            self.pause_vm_for(incident.id, vm, ANSWERS_AGAIN);
            return true;
        }
        let Some((node, said_at)) = self.says_it_runs(incident, vm, asked) else { return false };
        let epoch = incident.fence().map(|fence| fence.epoch.index);
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

    /// Nodes in service other than the one that was lost.
    fn others(&self, incident: &Incident) -> impl Iterator<Item = (NodeId, BootId, &Node)> {
        let lost = incident.node;
        let others = self.registry.nodes().iter().filter(move |(id, _)| **id != lost);
        others.filter_map(|(id, node)| Some((*id, node.serving_boot()?, node)))
    }

    /// Whether every node that can be expected to answer has done so. One that is lost itself, or is down on all networks,
    /// cannot; and where agents see no guests none is asked.
    fn all_answered(&self, incident: &Incident, since: Duration) -> bool {
        let expected = self.settings.confirm_by_census && !is_on(Mutant::M99);
        let can = |id: NodeId, node: &Node| {
            node.incident.is_none() && self.reaches(id).any(|(reach, _)| reach != Reach::Down)
        };
        let answers = |id, boot| self.census_since(id, boot, since).is_some();
        let mut others = self.others(incident).filter(|(id, _, node)| can(*id, node));
        !expected || others.all(|(id, boot, _)| answers(id, boot))
    }

    /// A node that shows a VM, by its list or by its answer since, and when it last said so.
    fn says_it_runs(
        &self,
        incident: &Incident,
        vm: Uuid,
        since: Duration,
    ) -> Option<(String, Duration)> {
        let lists = &self.leading.as_ref()?.actual.lists;
        let says = self.others(incident).filter_map(|(id, boot, node)| {
            let list = lists.fresh(self.now, id, boot);
            let list = list.map(|list| (list.at, list.domains.contains_key(&vm)));
            let answer = self.census_since(id, boot, since);
            let answer = answer.map(|(asked_at, domains)| (asked_at, domains.contains(&vm)));
            Some((node.record.name.clone(), shown(list, answer)?))
        });
        says.max_by_key(|(_, at)| *at)
    }
}

/// When a node last showed a VM, if it still does: by its list and by its answer, with the time of each. An answer that shows
/// none ends what an older list showed; no list ends what an answer showed, for it may have been written before and come
/// later.
fn shown(list: Option<(Duration, bool)>, answer: Option<(Duration, bool)>) -> Option<Duration> {
    match (list, answer) {
        (_, Some((asked_at, true))) => Some(asked_at),
        (Some((told_at, _)), Some((asked_at, false))) if told_at <= asked_at => None,
        (Some((told_at, true)), _) => Some(told_at),
        (Some((_, false)) | None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_what_an_older_list_showed_and_no_list_ends_what_an_answer_showed() {
        let at = Duration::from_secs;
        let shown = |list: Option<(u64, bool)>, answer: Option<(u64, bool)>| {
            super::shown(list.map(|(t, s)| (at(t), s)), answer.map(|(t, s)| (at(t), s)))
        };
        assert_eq!(shown(None, None), None);
        assert_eq!(shown(Some((1, true)), None), Some(at(1)));
        assert_eq!(shown(Some((1, false)), None), None);
        assert_eq!(shown(Some((1, true)), Some((2, false))), None);
        assert_eq!(shown(Some((3, true)), Some((2, false))), Some(at(3)));
        assert_eq!(shown(Some((3, false)), Some((2, true))), Some(at(2)));
        assert_eq!(shown(None, Some((2, true))), Some(at(2)));
        assert_eq!(shown(None, Some((2, false))), None);
    }
}
