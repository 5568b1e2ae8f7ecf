//! Effects that need a leader: they wait until a quorum has confirmed, after the commit that they rest on, that this
//! controller still leads (S6). A leader that was paused and replaced sends nothing.

use std::collections::BTreeMap;

use crate::core::Controller;
use crate::effect::Effect;
use crate::raft::Index;

/// Effects in wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    fresh: Vec<Effect>,
    asked: BTreeMap<u64, Vec<Effect>>,
}

impl Outbox {
    /// Drops everything: the controller no longer leads.
    pub(super) fn clear(&mut self) {
        self.fresh.clear();
        self.asked.clear();
    }
}

impl Controller {
    /// Sends an effect as soon as leadership is confirmed.
    pub(super) fn send_as_leader(&mut self, effect: Effect) {
        self.outbox.fresh.push(effect);
    }

    /// Asks for the confirmation of what was decided in this event.
    pub(super) fn release_outbox(&mut self, out: &mut Vec<Effect>) {
        // A cluster of one confirms at once, and what that sets free may want to send more: hence the loop.
        while !self.outbox.fresh.is_empty() {
            let effects = std::mem::take(&mut self.outbox.fresh);
            if mutants::is_on(mutants::Mutant::M22) {
                out.extend(effects);
                return;
            }
            let ticket = self.ticket().0;
            self.outbox.asked.insert(ticket, effects);
            let mut refused = false;
            self.with_raft(out, |raft, outputs| {
                refused = raft.read_index(ticket, outputs).is_err()
            });
            if refused {
                self.outbox.asked.remove(&ticket);
            }
        }
    }

    /// A quorum confirmed it.
    pub(super) fn confirmed(&mut self, ticket: u64, index: Index, out: &mut Vec<Effect>) {
        debug_assert!(self.registry.index() >= index.0, "outputs come in order");
        if let Some(effects) = self.outbox.asked.remove(&ticket) {
            out.extend(effects);
        }
    }
}
