//! A stray copy: where the policy says so it is ended on the node that Nova does not have it on. Never what may be the
//! only copy: the node that Nova has it on must show it running, in answer to a question of now.
//!
//! ```text
//!  confirmed finding -> census of both nodes -> Nova: there, ACTIVE, no task -> no record of a move is open
//!    -> EndStray committed -> order signed by this leader and a second controller -> the agent, which obeys it once
//! ```

use std::time::Duration;

use fencing::sign::Signature;
use fencing::stray::{CHANNEL, Destroy, Order};
use fencing::{ControllerId, NodeId};
use mutants::{Mutant, is_on};
use uuid::Uuid;

use super::Question;
use super::compare::{Finding, Key};
use crate::core::leading::Asked;
use crate::core::{Controller, Stray};
use crate::effect::{Effect, PeerMessage};
use crate::nova::{Call, MigrationKind, MigrationRecord, MigrationStatus, Reply};
use crate::registry::{Command, Node};

/// What a census and Nova said before an order is at most this old.
const GROUNDS_FRESH: Duration = Duration::from_secs(15);
/// An order is signed and sent within this time of its commit, or not at all.
const ORDER_LIVES: Duration = Duration::from_secs(10);
/// A co-signature is asked for again, and an order sent again, after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// A copy that is still there so long after its order is a human's.
const OBEYED_WITHIN: Duration = Duration::from_secs(60);

/// An order on its way.
#[derive(Clone, Debug)]
pub(in crate::core) struct Ending {
    key: Key,
    since: Duration,
    order: Order,
    asked_at: Option<Duration>,
    signed: Option<(ControllerId, Signature)>,
}

impl Controller {
    /// A confirmed stray copy: ended, where that is wanted and nothing speaks against it.
    pub(super) fn follow_stray(&mut self, key: Key, finding: &Finding, out: &mut Vec<Effect>) {
        let wanted = self.settings.recovery.actual.stray == Stray::Destroy;
        let busy = self.leading.as_ref().is_none_or(|leading| leading.actual.ending.is_some());
        if !wanted || busy || self.registry.disarmed().is_some() {
            return;
        }
        let (now, name) = (self.now, self.name_of_vm(key.vm));
        if let Some(ordered) = finding.ordered {
            if now.saturating_sub(ordered) >= OBEYED_WITHIN {
                let on = self.name(key.node);
                let text = format!(
                    "{name} was to be ended on {on} and still runs there: look at its agent and at libvirt"
                );
                self.tell_actual_once(text, out);
            }
            return;
        }
        let Some(owner) = finding.owner else { return };
        let serves = |id: NodeId| self.registry.node(id).and_then(Node::serving_boot);
        let (Some(boot), Some(owners)) = (serves(key.node), serves(owner)) else { return };
        let stale = |at: Duration| now.saturating_sub(at) > GROUNDS_FRESH;
        let since = finding.census_since.filter(|at| !stale(*at)).unwrap_or(now);
        self.note(key, |finding| finding.census_since = Some(since));
        // Both are asked at once.
        let (here, there) =
            (self.census_of(key.node, boot, since), self.census_of(owner, owners, since));
        let (Some(here), Some(there)) = (here, there) else { return };
        if !here.contains(&key.vm) {
            self.note(key, |finding| finding.begin_anew(now));
            return;
        }
        if !there.contains(&key.vm) && !is_on(Mutant::M90) {
            let text = format!(
                "{name} is not ended on {}: {} does not run it, so it may be the only copy",
                self.name(key.node),
                self.name(owner)
            );
            self.tell_actual_once(text, out);
            self.note(key, |finding| finding.begin_anew(now));
            return;
        }
        if finding.confirmed.is_none_or(|at| at < since) {
            self.ask_about(key);
        } else if finding.moves_read.is_none_or(|(at, read)| at < since || read < MOVES.len()) {
            let read = finding.moves_read.filter(|(at, _)| *at >= since).map_or(0, |(_, n)| n);
            self.ask_moves(key, owner, read);
        } else {
            let end = Command::EndStray { node: key.node, boot, vm: key.vm, owner, name };
            self.propose_once(end, out);
        }
    }

    /// Asks for the records of one kind of move off one of the two nodes.
    fn ask_moves(&mut self, key: Key, owner: NodeId, read: usize) {
        let Some((of_owner, kind)) = MOVES.get(read).copied() else { return };
        let node = if of_owner { owner } else { key.node };
        let Some(host) = self.registry.node(node).map(|node| node.record.host.clone()) else {
            return;
        };
        if self.actual().is_some_and(|actual| actual.out.insert(key)) {
            let call = Call::MigrationsFrom { host, kind };
            self.ask_nova(Asked::Actual(Question::Moves(key, read)), call);
        }
    }

    /// Nova's records of moves: one of this server that is not over speaks against any order.
    pub(super) fn moves_answered(&mut self, key: Key, read: usize, reply: &Reply) {
        let now = self.now;
        let Some(actual) = self.actual() else { return };
        actual.out.remove(&key);
        let Reply::Migrations(records) = reply else { return };
        let moves = |record: &MigrationRecord| record.server == key.vm && !is_over(&record.status);
        if records.iter().any(moves) {
            self.note(key, |finding| finding.begin_anew(now));
            return;
        }
        let mut owner = None;
        self.note(key, |finding| {
            let since = finding.moves_read.filter(|(_, n)| *n == read && read > 0);
            finding.moves_read = Some((since.map_or(now, |(at, _)| at), read + 1));
            owner = finding.owner;
        });
        if let Some(owner) = owner {
            self.ask_moves(key, owner, read + 1);
        }
    }

    /// It is committed: the leader that proposed it has it signed.
    pub(in crate::core) fn end_committed(&mut self, vm: Uuid, index: u64) {
        let (now, cluster) = (self.now, self.settings.cluster);
        self.ends_known.retain(|_, at| now.saturating_sub(*at) < ORDER_LIVES);
        self.ends_known.insert(index, now);
        let Some(stray) = self.registry.strays().get(&vm).cloned() else { return };
        let census = self.census_nonce(stray.node, stray.boot);
        let Some(leading) = &mut self.leading else { return };
        let of_vm = |command: &Command| matches!(command, Command::EndStray { vm: known, .. } if *known == vm);
        let ours = leading.begun && leading.proposed.iter().any(|(command, _)| of_vm(command));
        leading.proposed.retain(|(command, _)| !of_vm(command));
        let key = leading.actual.findings.keys().find(|key| key.vm == vm && key.node == stray.node);
        let (Some(key), Some(census), true) = (key.copied(), census, ours) else { return };
        let (node, boot) = (stray.node, stray.boot);
        let order = Order { cluster, node, boot, domain: vm, index, census };
        leading.actual.ending =
            Some(Ending { key, since: now, order, asked_at: None, signed: None });
        self.note(key, |finding| finding.ordered = Some(now));
    }

    /// Has an order signed and sent, and sent again while the copy is there.
    pub(super) fn advance_ending(&mut self, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(actual) = self.actual() else { return };
        let Some(ending) = &mut actual.ending else { return };
        let is_there = actual.findings.contains_key(&ending.key);
        if !is_there || now.saturating_sub(ending.since) >= ORDER_LIVES {
            actual.ending = None;
            return;
        }
        if ending.asked_at.is_some_and(|at| now.saturating_sub(at) < AGAIN) {
            return;
        }
        ending.asked_at = Some(now);
        let (order, signed) = (ending.order.clone(), ending.signed);
        match signed {
            None => self.tell_peers(&PeerMessage::StrayWanted(order), out),
            Some(second) => self.send_end(order, second, out),
        }
    }

    fn send_end(&self, order: Order, second: (ControllerId, Signature), out: &mut Vec<Effect>) {
        let node = order.node;
        let mine = (self.settings.me, order.sign(&self.settings.key));
        let destroy = Destroy { order, signatures: vec![mine, second] };
        let Ok(bytes) = postcard::to_stdvec(&destroy) else { return };
        for sight in &self.sights {
            sight.talk(node, CHANNEL, &bytes, out);
        }
    }

    /// Signs for another leader, if this controller holds the committed entry, has learned of it just now, and knows of
    /// nothing since that speaks against it.
    pub(in crate::core) fn sign_stray(
        &mut self,
        from: ControllerId,
        order: Order,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now;
        self.ends_known.retain(|_, at| now.saturating_sub(*at) < ORDER_LIVES);
        let held = self.registry.strays().get(&order.domain).is_some_and(|stray| {
            let in_service = |id: NodeId| {
                let node = self.registry.node(id);
                node.is_some_and(|node| node.incident.is_none() && node.serving_boot().is_some())
            };
            stray.index == order.index
                && (stray.node, stray.boot) == (order.node, order.boot)
                && in_service(stray.node)
                && in_service(stray.owner)
        });
        let hands_off = self.registry.is_noop() || self.registry.disarmed().is_some();
        let fresh = self.ends_known.contains_key(&order.index);
        if held && fresh && !hands_off && order.cluster == self.settings.cluster {
            let signature = order.sign(&self.settings.key);
            let message = PeerMessage::StraySigned(order, signature);
            out.push(Effect::Peer { to: from, message });
        }
    }

    /// A second signature is there.
    pub(in crate::core) fn stray_signed(
        &mut self,
        from: ControllerId,
        order: &Order,
        signature: Signature,
        out: &mut Vec<Effect>,
    ) {
        let (me, node) = (self.settings.me, self.name(order.node));
        let name = self.name_of_vm(order.domain);
        let Some(actual) = self.actual() else { return };
        let Some(ending) = &mut actual.ending else { return };
        if ending.signed.is_some() || ending.order != *order || from == me {
            return;
        }
        ending.signed = Some((from, signature));
        ending.asked_at = None;
        let text = format!("{name} is ended on {node}, signed by {me} and {from}");
        out.push(Effect::page("actual", text));
    }
}

/// Where records of moves are looked for: off the node that Nova has it on (`true`), and off the one that runs the copy.
const MOVES: [(bool, MigrationKind); 4] = [
    (true, MigrationKind::Evacuation),
    (true, MigrationKind::LiveMigration),
    (false, MigrationKind::Evacuation),
    (false, MigrationKind::LiveMigration),
];

/// Whether nothing can come of a record any more.
fn is_over(status: &MigrationStatus) -> bool {
    match status {
        MigrationStatus::Done
        | MigrationStatus::Completed
        | MigrationStatus::Error
        | MigrationStatus::Failed
        | MigrationStatus::Cancelled => true,
        MigrationStatus::Accepted
        | MigrationStatus::Preparing
        | MigrationStatus::PreMigrating
        | MigrationStatus::Running
        | MigrationStatus::Other(_) => false,
    }
}
