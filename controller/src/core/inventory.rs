//! Enrolment: what the inventory says and the registry does not, and the BMCs' identities.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::NodeId;
use fencing::bmc::Ask;

use super::leading::Asked;
use super::levels::BMC_ANSWERS;
use crate::core::Controller;
use crate::effect::Effect;
use crate::registry::Command;

/// How often the identity of a BMC that is not enrolled yet is asked for.
const BMC_IDENTITY_EVERY: Duration = Duration::from_secs(15);

impl Controller {
    /// Proposes what the inventory says and the registry does not. Whether there was nothing to propose.
    pub(super) fn enrol(&mut self, out: &mut Vec<Effect>) -> bool {
        if !self.leads() {
            return false;
        }
        let set: BTreeMap<_, _> =
            self.settings.controllers.iter().map(|(id, peer)| (*id, peer.lease.clone())).collect();
        let known = self.registry.lease().now().controllers();
        // E2 counts with one set that never changes; only addresses may. Another set is another cluster, for now.
        let same_members = known.is_empty() || known.keys().eq(set.keys());
        let moved = same_members && *known != set;
        if moved {
            self.propose_once(Command::Controllers { set }, out);
        }
        let news: Vec<_> = self
            .inventory
            .iter()
            .filter(|(id, record)| self.registry.node(*id).map(|node| &node.record) != Some(record))
            .cloned()
            .collect();
        let nothing = !moved && news.is_empty();
        for (node, record) in news {
            self.propose_once(Command::Enrol { node, record: Box::new(record) }, out);
        }
        nothing
    }

    /// Asks for the identity of BMCs that are not enrolled yet: trust on first use, by a read that switches nothing.
    /// Whether all are enrolled whose nodes are not out.
    pub(super) fn enrol_bmcs(&mut self) -> bool {
        let now = self.now;
        let mut wanting: Vec<(NodeId, u8)> = Vec::new();
        for (id, node) in self.registry.nodes() {
            let fenced = self.registry.incident_of(*id).is_some_and(|i| i.fence().is_some());
            let unknown = node.levels().filter(|level| !node.bmcs.contains_key(level));
            wanting.extend(unknown.filter(|_| !fenced).map(|level| (*id, level)));
        }
        let none = wanting.is_empty();
        for (node, level) in wanting {
            let Some(leading) = &mut self.leading else { return none };
            if leading.bmc_not_before.get(&(node, level)).is_some_and(|at| now < *at) {
                continue;
            }
            leading.bmc_not_before.insert((node, level), now + BMC_IDENTITY_EVERY);
            let ticket = self.ask_as(Asked::BmcIdentity(node, level));
            let not_after = now + BMC_ANSWERS;
            let (ask, expect) = (Ask::Read, None);
            self.ask_level(ticket, (node, level), ask, expect, not_after);
        }
        none
    }
}
