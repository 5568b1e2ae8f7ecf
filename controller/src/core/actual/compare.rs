//! What does not agree, since when, and what a human is told of it once Nova has confirmed it.

use std::collections::BTreeSet;
use std::time::Duration;

use fencing::NodeId;
use uuid::Uuid;

use super::owners::should_run;
use super::{Actual, Question};
use crate::core::Controller;
use crate::core::leading::Asked;
use crate::effect::Effect;
use crate::nova::{Call, Reply, ServerRecord};
use crate::registry::Node;

/// Servers that are asked about at once.
const MOST_OUT: usize = 4;
/// One that could not be read, or about which Nova says something else, is asked about again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What does not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Problem {
    /// Nova says that it runs there, and it does not.
    Missing,
    /// It runs there, and Nova has it elsewhere, or does not know it.
    Stray,
}

/// Whom a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::core) struct Key {
    pub(super) vm: Uuid,
    pub(super) node: NodeId,
    pub(super) problem: Problem,
}

/// A finding.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// When it was first seen, without a break.
    pub(super) since: Duration,
    /// When Nova last confirmed it.
    pub(super) confirmed: Option<Duration>,
    /// Nova is not asked before.
    pub(super) not_before: Duration,
    /// The sentence that a human was told.
    pub(super) told: Option<String>,
    /// The census that must find it nowhere was asked from here on.
    pub(super) census_since: Option<Duration>,
    /// Since when that census lacks answers.
    pub(super) silent_since: Option<Duration>,
    /// When nova-compute was found ready to reboot it.
    pub(super) compute_up: Option<Duration>,
    /// The node that Nova has a stray copy's server on, ACTIVE and at rest.
    pub(super) owner: Option<NodeId>,
    /// Since when records of moves were read, and how many kinds.
    pub(super) moves_read: Option<(Duration, usize)>,
    /// When an order to end it was committed.
    pub(super) ordered: Option<Duration>,
}

impl Finding {
    fn new(now: Duration) -> Self {
        Self {
            since: now,
            confirmed: None,
            not_before: Duration::ZERO,
            told: None,
            census_since: None,
            silent_since: None,
            compute_up: None,
            owner: None,
            moves_read: None,
            ordered: None,
        }
    }

    /// As if it had just been found, but for what a human was told.
    pub(super) fn begin_anew(&mut self, now: Duration) {
        *self = Self { told: self.told.take(), ..Self::new(now) };
    }
}

impl Controller {
    /// Notes what does not agree now. What agrees again is forgotten.
    pub(super) fn find(&mut self) {
        let now = self.now;
        let nodes = self.registry.nodes().iter().filter(|(id, _)| self.is_in_service(**id));
        let nodes: Vec<_> =
            nodes.filter_map(|(id, node)| Some((*id, node.serving_boot()?))).collect();
        let Some(leading) = &self.leading else { return };
        let Actual { lists, owners, .. } = &leading.actual;
        let mut found = BTreeSet::new();
        for (node, boot) in &nodes {
            let Some(list) = lists.fresh(now, *node, *boot) else { continue };
            let Some((_, owned)) = owners.on(*node) else { continue };
            if !list.cut {
                let gone = owned
                    .iter()
                    .filter(|(id, server)| server.should_run && !list.domains.contains_key(*id));
                let key = |vm| Key { vm, node: *node, problem: Problem::Missing };
                found.extend(gone.map(|(id, _)| key(*id)));
            }
            let strays = list.domains.keys().filter(|id| {
                let at_work = |(owner, server): (NodeId, &super::owners::Owned)| {
                    server.busy || !nodes.iter().any(|(known, _)| *known == owner)
                };
                !owned.contains_key(*id) && !owners.owner(**id).is_some_and(at_work)
            });
            let key = |vm| Key { vm, node: *node, problem: Problem::Stray };
            found.extend(strays.map(|id| key(*id)));
        }
        let Some(actual) = self.actual() else { return };
        actual.findings.retain(|key, _| found.contains(key));
        for key in found {
            actual.findings.entry(key).or_insert_with(|| Finding::new(now));
        }
    }

    /// Has Nova confirm what has held for long enough, and goes on with what it has confirmed.
    pub(super) fn follow_findings(&mut self, out: &mut Vec<Effect>) {
        let holds = self.settings.recovery.actual.holds;
        let now = self.now;
        let Some(actual) = self.actual() else { return };
        let held: Vec<(Key, Finding)> = actual
            .findings
            .iter()
            .filter(|(_, finding)| now.saturating_sub(finding.since) >= holds)
            .map(|(key, finding)| (*key, finding.clone()))
            .collect();
        for (key, finding) in held {
            if finding.confirmed.is_none() {
                if self.was_told_again(key, finding.since) {
                    self.ask_about(key);
                }
            } else if key.problem == Problem::Missing {
                self.follow_missing(key, &finding, out);
            } else {
                self.follow_stray(key, &finding, out);
            }
        }
    }

    /// Whether both sides have spoken since it was first seen: the agent by a whole list, Nova by the node's servers.
    fn was_told_again(&self, key: Key, since: Duration) -> bool {
        let Some(leading) = &self.leading else { return false };
        let boot = self.registry.node(key.node).and_then(Node::serving_boot);
        let list = boot.and_then(|boot| leading.actual.lists.fresh(self.now, key.node, boot));
        let read = leading.actual.owners.on(key.node).map(|(at, _)| *at);
        list.is_some_and(|list| list.whole_at > since) && read.is_some_and(|at| at > since)
    }

    /// Reads the server itself, unless that is under way.
    pub(super) fn ask_about(&mut self, key: Key) {
        let now = self.now;
        let Some(actual) = self.actual() else { return };
        let early = actual.findings.get(&key).is_none_or(|finding| finding.not_before > now);
        if early || actual.out.len() >= MOST_OUT || !actual.out.insert(key) {
            return;
        }
        let call = Call::Server { server: key.vm };
        self.ask_nova(Asked::Actual(Question::Server(key)), call);
    }

    pub(super) fn server_answered(&mut self, key: Key, reply: Reply, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(actual) = self.actual() else { return };
        actual.out.remove(&key);
        let Some(finding) = actual.findings.get_mut(&key) else { return };
        finding.not_before = now + ASK_AGAIN;
        let Reply::Server(server) = reply else { return };
        if !self.agrees(key, server.as_ref()) {
            // It begins anew: Nova has just said that it is otherwise.
            if let Some(actual) = self.actual() {
                actual.findings.remove(&key);
            }
            return;
        }
        let text = self.sentence(key, server.as_ref());
        let rests =
            server.as_ref().filter(|server| should_run(server) && server.status == "ACTIVE");
        let owner = rests.and_then(|server| self.node_of_host(server.host.as_deref()?));
        let owner = owner.map(|(owner, _)| owner);
        let on_record = self.is_on_record(key);
        let Some(finding) = self.actual().and_then(|actual| actual.findings.get_mut(&key)) else {
            return;
        };
        finding.confirmed = Some(now);
        finding.owner = owner;
        if finding.told.is_some() {
            return;
        }
        finding.told = Some(text.clone());
        // A human was told before that entry was proposed, by this leader or an earlier one.
        if on_record {
            return;
        }
        match key.problem {
            Problem::Missing => self.counts.missing += 1,
            Problem::Stray => self.counts.stray += 1,
        }
        out.push(Effect::page("actual", text));
    }

    /// Whether it is committed that this VM is missing there.
    fn is_on_record(&self, key: Key) -> bool {
        let boot = self.registry.node(key.node).and_then(Node::serving_boot);
        let known = self.registry.crashes().get(&key.vm);
        key.problem == Problem::Missing
            && known.is_some_and(|crash| {
                crash.over.is_none() && crash.node == key.node && boot == Some(crash.boot)
            })
    }

    /// A node whose list holds it.
    fn listed_on(&self, vm: Uuid) -> Option<String> {
        let lists = &self.leading.as_ref()?.actual.lists;
        let mut nodes = self.registry.nodes().iter();
        let holds = |id: NodeId, node: &Node| {
            let list = node.serving_boot().and_then(|boot| lists.fresh(self.now, id, boot));
            list.is_some_and(|list| list.domains.contains_key(&vm))
        };
        nodes.find(|(id, node)| holds(**id, node)).map(|(id, _)| self.name(*id))
    }

    /// Whether Nova's own record of the server is as the finding says.
    fn agrees(&self, key: Key, server: Option<&ServerRecord>) -> bool {
        let Some(node) = self.registry.node(key.node) else { return false };
        if !self.is_in_service(key.node) {
            return false;
        }
        let Some(server) = server else { return key.problem == Problem::Stray };
        let here = server.host.as_deref() == Some(&node.record.host);
        match key.problem {
            Problem::Missing => here && should_run(server),
            Problem::Stray => {
                // A resize that waits for its confirmation has its guest on the way.
                let moves = server.task_state.is_some() || server.vm_state == "resized";
                let owner = server.host.as_deref().and_then(|host| self.node_of_host(host));
                !here && !moves && owner.is_none_or(|(owner, _)| self.is_in_service(owner))
            }
        }
    }

    fn sentence(&self, key: Key, server: Option<&ServerRecord>) -> String {
        let (node, id) = (self.name(key.node), key.vm);
        match (key.problem, server) {
            (Problem::Missing, Some(server)) => {
                let remedy = match self.listed_on(key.vm) {
                    Some(other) => {
                        format!("it runs on {other}: do not start it before that is decided")
                    }
                    None => format!("`openstack server reboot --hard {id}`"),
                };
                let (name, status) = (&server.name, &server.status);
                format!("{name} does not run on {node}, and Nova says {status}: {remedy}")
            }
            (Problem::Stray, Some(server)) => format!(
                "{} runs on {node}, and Nova has it on {} ({}): two copies may write one disk. Make sure which is the \
                 right one, then `virsh destroy {id}` on {node}",
                server.name,
                server.host.as_deref().unwrap_or("no host"),
                server.status
            ),
            (_, None) => format!(
                "domain {id} runs on {node}, and Nova knows no such server: if it is nobody's, `virsh destroy {id}` there"
            ),
        }
    }
}
