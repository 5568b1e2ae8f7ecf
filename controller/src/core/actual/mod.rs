//! Desired against actual: what Nova says should run is compared with the lists of domains that agents send.
//!
//! ```text
//!  agents' lists (lists) --+
//!                          +-> findings: missing, stray (compare) -> told; Missed, Reboot -> POST (reboot)
//!  Nova's servers (owners)-+
//! ```
//!
//! All of it is this leader's own and soft: the first pass after a change of leader only collects. A list proves nothing.
//! Whatever could hurt a VM waits for Nova's word about that server, and for a census of all nodes.

mod compare;
mod elsewhere;
mod lists;
mod owners;
mod reboot;
mod stray;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fencing::NodeId;
use fencing::domains::List;
use uuid::Uuid;

use crate::core::Controller;
use crate::effect::Effect;
use crate::nova::Reply;
use crate::registry::Node;

pub use view::Counts;

use compare::{Finding, Key};
use lists::{Lists, Taken};
use owners::Owners;
use stray::Ending;

/// Findings are looked through this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a leader has of it.
#[derive(Debug, Default)]
pub(super) struct Actual {
    lists: Lists,
    owners: Owners,
    findings: BTreeMap<Key, Finding>,
    next_look: Duration,
    /// Questions about one server that are out.
    out: BTreeSet<Key>,
    /// The VM that was rebooted last, and when.
    rebooting: Option<(Uuid, Duration)>,
    /// The order to end a stray copy that is on its way: one at a time.
    ending: Option<Ending>,
    /// Sentences told once.
    told: BTreeSet<String>,
}

/// What is asked of Nova for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The servers of a node.
    Servers(NodeId),
    /// One server, of which something was found.
    Server(Key),
    /// The nova-compute that is to reboot it.
    Service(Key),
    /// Records of moves that may be under way, as many kinds as were read before.
    Moves(Key, usize),
    /// A reboot.
    Reboot(Uuid),
}

impl Controller {
    /// An agent sent its list of domains.
    pub(super) fn listed(&mut self, list: List) {
        let now = self.now;
        self.counts.lists_received += 1;
        let serves = self.registry.node(list.node).and_then(Node::serving_boot);
        if serves != Some(list.boot) {
            return;
        }
        let Some(leading) = &mut self.leading else { return };
        if leading.actual.lists.take(now, list) == Taken::Used {
            self.counts.lists_used += 1;
        }
    }

    /// Compares, and follows what was found.
    pub(super) fn look_at_domains(&mut self, out: &mut Vec<Effect>) {
        let wanted = self.settings.nova && self.settings.recovery.actual.compare;
        if !wanted || self.leading.as_ref().is_none_or(|leading| !leading.begun) {
            return;
        }
        self.read_owners();
        self.advance_ending(out);
        let now = self.now;
        let Some(leading) = &mut self.leading else { return };
        if leading.actual.next_look > now {
            return;
        }
        leading.actual.next_look = now + LOOK_EVERY;
        let fresh = leading.nova_trouble.is_none() && leading.actual.owners.has_passed();
        if !fresh || self.registry.is_noop() {
            // What was found before says nothing once somebody looks again.
            leading.actual.findings.clear();
            return;
        }
        self.find();
        self.follow_findings(out);
        self.account_for_crashes(out);
    }

    /// Nova answered.
    pub(super) fn actual_answered(
        &mut self,
        question: Question,
        reply: Reply,
        out: &mut Vec<Effect>,
    ) {
        match (question, reply) {
            (Question::Servers(node), reply) => self.owners_answered(node, reply),
            (Question::Server(key), reply) => self.server_answered(key, reply, out),
            (Question::Service(key), reply) => self.service_answered(key, reply),
            (Question::Moves(key, read), reply) => self.moves_answered(key, read, &reply),
            (Question::Reboot(vm), reply) => self.reboot_answered(vm, &reply, out),
        }
    }

    /// Whether a node is in service and nobody has its hands on it.
    fn is_in_service(&self, id: NodeId) -> bool {
        self.registry.node(id).is_some_and(|node| {
            node.serving_boot().is_some()
                && node.incident.is_none()
                && node.maintenance.is_none()
                && !node.disarmed
        })
    }

    fn actual(&mut self) -> Option<&mut Actual> {
        self.leading.as_mut().map(|leading| &mut leading.actual)
    }

    /// A sentence that is told once in a leadership, unless what it is about ends.
    fn tell_actual_once(&mut self, text: String, out: &mut Vec<Effect>) {
        if self.actual().is_some_and(|actual| actual.told.insert(text.clone())) {
            out.push(Effect::page("actual", text));
        }
    }
}
