//! Copies of incidents: whoever looks after one changes the core meanwhile, so that it needs one of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use fencing::IncidentId;

use crate::core::Controller;
use crate::registry::Incident;

/// The copies that were made of one state of the registry.
#[derive(Debug, Default)]
pub(super) struct Copies {
    index: u64,
    of: BTreeMap<IncidentId, Arc<Incident>>,
}

impl Controller {
    /// An incident as it is now. The leader looks ten times a second, and entries are rare: so each state of the registry
    /// is copied once and not at each look.
    pub(super) fn incident(&mut self, id: IncidentId) -> Option<Arc<Incident>> {
        let index = self.registry.index();
        if self.copies.index != index {
            self.copies = Copies { index, of: BTreeMap::new() };
        }
        if let Some(known) = self.copies.of.get(&id) {
            return Some(Arc::clone(known));
        }
        let copy = Arc::new(self.registry.incidents().get(&id)?.clone());
        self.copies.of.insert(id, Arc::clone(&copy));
        Some(copy)
    }
}
