//! From reachability to an incident: the cell is held still for the row's time, the first row that matches is taken, the
//! guards are asked, and the verdict is proposed with the observations that it rests on.

use std::time::Duration;

use action_matrix::{Action, Cell, Reach};
use fencing::{BootId, NodeId};

use super::leading::Settling;
use crate::core::{Controller, LOOK_EVERY};
use crate::detect::member_id;
use crate::effect::{Effect, Network};
use crate::guard::{self, Asked, Refusal, is_storm};
use crate::registry::{Command, Course, Kind, Node, State, Verdict};

/// The registry's own clock.
const MINUTE: Duration = Duration::from_secs(60);
/// A leader whose own link is worse than others' gives its role up after this time.
const UNSOUND_FOR: Duration = Duration::from_secs(3);

impl Controller {
    /// The leader looks at everything that it has in hand.
    pub(super) fn look(&mut self, out: &mut Vec<Effect>) {
        if !self.leads() || self.now < self.next_look {
            return;
        }
        self.next_look = self.now + LOOK_EVERY;
        self.enrol(out);
        self.enrol_bmcs();
        self.check_bmcs();
        self.note_health();
        self.note_storms(out);
        for node in self.registry.nodes().keys().copied().collect::<Vec<_>>() {
            self.decide(node, out);
        }
        self.advance_drill(out);
        self.advance_incidents(out);
        self.ask_census(out);
        self.count_minutes(out);
        self.give_up_if_unsound(out);
    }

    /// A node's reachability as a cell of the matrix. Checks are not observed yet: they are unknown, which matches only
    /// rows that leave them open.
    pub(super) fn cell(&self, node: NodeId) -> Cell {
        let reach = |sight: &crate::detect::Sight| {
            let reach = sight.reach(node).map_or(Reach::Unknown, |(reach, _)| reach);
            let unknown_is_down = mutants::is_on(mutants::Mutant::M17) && reach == Reach::Unknown;
            if unknown_is_down { Reach::Down } else { reach }
        };
        Cell { networks: self.sights.iter().map(reach).collect(), checks: Vec::new() }
    }

    /// Its networks in compact form. Checks, which nobody observes yet, would only repeat that they are unknown.
    pub(super) fn compact(&self, node: NodeId) -> String {
        let all = self.matrix.compact(&self.cell(node));
        all.split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// A node's reach changed on some network.
    pub(super) fn reach_changed(&mut self, node: NodeId, out: &mut Vec<Effect>) {
        self.next_look = self.now;
        if self.leading.is_some() {
            let (name, compact) = (self.name(node), self.compact(node));
            out.push(Effect::journal("observe", format!("{name} {compact}")));
        }
    }

    /// A node that is suspected on one network is watched on all.
    pub(super) fn watch_elsewhere(&mut self, node: NodeId, out: &mut Vec<Effect>) {
        let now = self.now;
        for sight in &mut self.sights {
            sight.suspected_elsewhere(now, node, out);
        }
    }

    /// A network that nobody can judge is that network's failure: a human is told, no node is judged on it.
    pub(super) fn note_dark(&mut self, network: Network, dark: bool, out: &mut Vec<Effect>) {
        let name = self.network_name(network);
        if dark {
            let text = format!(
                "network {name} is dark: too few controllers reach most of its members; what it says of a node is \
                 unknown until it is back. Look at the switch"
            );
            out.push(Effect::page("observe", text));
        } else {
            out.push(Effect::journal("observe", format!("network {name} can be judged again")));
        }
    }

    fn decide(&mut self, node: NodeId, out: &mut Vec<Effect>) {
        let (now, cell) = (self.now, self.cell(node));
        if self.registry.is_out(node) {
            self.forget_cell(node);
            return;
        }
        let Some(leading) = &mut self.leading else { return };
        let fresh = || Settling { cell: cell.clone(), since: now, refused: None, acted: None };
        let settling = leading.settling.entry(node).or_insert_with(fresh);
        if settling.cell != cell {
            *settling = fresh();
        }
        let (since, acted) = (settling.since, settling.acted);
        let decision = self.matrix.decide(&cell);
        let (place, row) = (decision.index, decision.row);
        let settle = row.settle();
        if acted == Some(place) || now.saturating_sub(since) < settle {
            return;
        }
        let actions = row.actions().to_vec();
        let verdict = Verdict {
            row: row.name().to_owned(),
            reason: row.reason().to_owned(),
            actions: actions.clone(),
            cell: self.compact(node),
            observations: self.observations(node),
        };
        if actions.contains(&Action::Fence) {
            let evacuate = actions.contains(&Action::Evacuate);
            self.consider_fence(node, verdict, evacuate, settle, out);
        } else {
            self.consider_soft(node, verdict, &actions, place, out);
        }
    }

    fn consider_fence(
        &mut self,
        node: NodeId,
        verdict: Verdict,
        evacuate: bool,
        settle: Duration,
        out: &mut Vec<Effect>,
    ) {
        if let Some(refusal) = self.refusal(node) {
            self.refused(node, &verdict, refusal, out);
            return;
        }
        let Some(boot) = self.registry.node(node).and_then(Node::serving_boot) else { return };
        let name = self.name(node);
        let text = format!(
            "{name} {} settled for {:.1}s, row {:?}: {}",
            verdict.cell,
            settle.as_secs_f64(),
            verdict.row,
            words(&verdict.actions)
        );
        let floor = self.floor(node, boot);
        let intent = Command::Intent { node, boot, floor, verdict, evacuate, drill: None };
        if self.propose_once(intent, out) {
            out.push(Effect::journal("verdict", text));
        }
    }

    /// Rule 9: the highest n that this boot reported, or the n of its ARMED entry.
    pub(super) fn floor(&self, node: NodeId, boot: BootId) -> u64 {
        let reported =
            self.sentinels.of(node).filter(|heard| heard.boot == boot).map(|heard| heard.n);
        let armed = self.registry.node(node).and_then(|known| known.armed);
        reported.or(armed.filter(|arming| arming.boot == boot).map(|arming| arming.n)).unwrap_or(0)
    }

    /// Rows that do not fence.
    fn consider_soft(
        &mut self,
        node: NodeId,
        verdict: Verdict,
        actions: &[Action],
        place: usize,
        out: &mut Vec<Effect>,
    ) {
        let kind = if actions.contains(&Action::Migrate) {
            Some(Kind::Migrate)
        } else if actions.contains(&Action::Disable) {
            Some(Kind::Disable)
        } else {
            actions.contains(&Action::Notify).then_some(Kind::Notify)
        };
        let open =
            self.registry.incident_of(node).map(|incident| (incident.id, incident.course.clone()));
        let Some(kind) = kind else {
            self.acted(node, place);
            return;
        };
        if let Some((id, course)) = open {
            // Another finding about the same node: the new one takes the place of one that only tells or waits.
            if course == Course::Soft(Kind::Notify) && kind != Kind::Notify {
                let why = "superseded by another row".to_owned();
                self.propose_once(Command::Closed { incident: id, why }, out);
            } else {
                self.acted(node, place);
            }
            return;
        }
        // A network that nobody can judge is one page for the network, not an incident for each of its nodes.
        if kind == Kind::Notify && self.sights.iter().any(crate::detect::Sight::is_dark) {
            return;
        }
        // A node that never served has nothing to notify about: it is not there yet.
        let Some(boot) = self.registry.node(node).and_then(Node::serving_boot) else { return };
        let touches = kind != Kind::Notify;
        if touches && let Some(refusal) = self.soft_refusal(node) {
            self.refused(node, &verdict, refusal, out);
            return;
        }
        let name = self.name(node);
        let text = format!(
            "{name} {} row {:?}: {}. {}",
            verdict.cell,
            verdict.row,
            words(&verdict.actions),
            verdict.reason
        );
        if self.propose_once(Command::Opened { node, boot, verdict, kind }, out) {
            self.acted(node, place);
            out.push(Effect::page("verdict", text));
        }
    }

    fn acted(&mut self, node: NodeId, place: usize) {
        let settling = self.leading.as_mut().and_then(|leading| leading.settling.get_mut(&node));
        if let Some(settling) = settling {
            settling.acted = Some(place);
        }
    }

    fn forget_cell(&mut self, node: NodeId) {
        if let Some(leading) = &mut self.leading {
            leading.settling.remove(&node);
        }
    }

    fn refused(
        &mut self,
        node: NodeId,
        verdict: &Verdict,
        refusal: Refusal,
        out: &mut Vec<Effect>,
    ) {
        let name = self.name(node);
        let settling = self.leading.as_mut().and_then(|leading| leading.settling.get_mut(&node));
        let Some(settling) = settling else { return };
        let told = settling.refused.as_ref().map(Refusal::name) == Some(refusal.name());
        if !told {
            let what = words(&verdict.actions);
            let text =
                format!("{name} {} not done ({what}): {}: {refusal}", verdict.cell, refusal.name());
            out.push(Effect::page("guard", text));
        }
        settling.refused = Some(refusal);
    }

    /// Why a fence of this node would be refused now.
    pub(super) fn refusal(&self, node: NodeId) -> Option<Refusal> {
        let suspected = self.suspected(node);
        self.asked(node, &suspected, guard::refuse_verdict)
    }

    /// Why an operator's own order to fence would be refused now.
    pub(super) fn order_refusal(&self, node: NodeId) -> Option<Refusal> {
        self.asked(node, &[node], guard::refuse_order)
    }

    /// Rows that disable or migrate touch Nova alone, so only the guards that mean "hands off" concern them. These come
    /// first in the order in which they are asked, so that no other one hides them.
    fn soft_refusal(&self, node: NodeId) -> Option<Refusal> {
        self.refusal(node).filter(|refusal| {
            matches!(
                refusal,
                Refusal::Noop
                    | Refusal::Disarmed(_)
                    | Refusal::Maintenance(_)
                    | Refusal::Grace(_)
                    | Refusal::AllSuspected
                    | Refusal::Storm(_)
                    | Refusal::NotProtected
                    | Refusal::Quorum
                    | Refusal::Stale(_)
            )
        })
    }

    fn asked(
        &self,
        node: NodeId,
        suspected: &[NodeId],
        guards: fn(&Asked<'_>) -> Option<Refusal>,
    ) -> Option<Refusal> {
        let leading = self.leading.as_ref()?;
        let domain = self.registry.node(node).map(|known| known.record.domain.as_str());
        let storm = domain.and_then(|domain| leading.storms.get(domain));
        let left = |begin: Duration, wait: Duration| (begin + wait).checked_sub(self.now);
        guards(&Asked {
            registry: &self.registry,
            node,
            suspected,
            grace_left: self.grace_left(),
            new_leader_left: left(leading.since, self.settings.waits.new_leader)
                .filter(|left| !left.is_zero()),
            waits: &self.settings.waits,
            storm_stop: storm.is_some_and(|until| *until > self.now),
            controllers: self.settings.controllers.len(),
            stale: leading.nova_trouble.as_deref(),
        })
    }

    /// What is left of the start-up grace.
    pub(super) fn grace_left(&self) -> Option<Duration> {
        self.grace_until.checked_sub(self.now).filter(|left| !left.is_zero())
    }

    /// Protected nodes that are suspected or unreachable on some network, `node` counted in.
    fn suspected(&self, node: NodeId) -> Vec<NodeId> {
        let troubled = |id: &NodeId| {
            let down = |sight: &crate::detect::Sight| {
                sight.is_silent(*id) || matches!(sight.reach(*id), Some((Reach::Down, _)))
            };
            *id == node || self.sights.iter().any(down)
        };
        let protected =
            |known: &Node| known.serving_boot().is_some() && known.maintenance.is_none();
        self.registry
            .nodes()
            .iter()
            .filter(|(id, known)| protected(known) && troubled(id))
            .map(|(id, _)| *id)
            .collect()
    }

    /// A storm stops new fences of its domain, also for a while after it is over.
    fn note_storms(&mut self, out: &mut Vec<Effect>) {
        let nobody = NodeId(uuid::Uuid::nil());
        let suspected = self.suspected(nobody);
        if suspected.is_empty() {
            return;
        }
        let until = self.now + self.settings.waits.storm_over;
        let mut domains: Vec<String> =
            self.registry.nodes().values().map(|node| node.record.domain.clone()).collect();
        domains.sort_unstable();
        domains.dedup();
        for domain in domains {
            if !is_storm(&self.registry, &domain, &suspected) {
                continue;
            }
            let Some(leading) = &mut self.leading else { return };
            let before = leading.storms.insert(domain.clone(), until);
            if before.is_none_or(|at| at < self.now) {
                out.push(Effect::page(
                    "guard",
                    format!("storm in failure domain {domain}: {} nodes suspected at once, no new fence there", suspected.len()),
                ));
            }
        }
    }

    /// Since when every network of a node has been up.
    fn note_health(&mut self) {
        let nodes: Vec<NodeId> = self.registry.nodes().keys().copied().collect();
        for node in nodes {
            let well = self.cell(node).networks.iter().all(|reach| *reach == Reach::Up);
            let now = self.now;
            let Some(leading) = &mut self.leading else { return };
            if well {
                leading.healthy.entry(node).or_insert(now);
            } else {
                leading.healthy.remove(&node);
            }
        }
    }

    /// How long every network of a node has been up.
    pub(super) fn healthy_for(&self, node: NodeId) -> Duration {
        let since = self.leading.as_ref().and_then(|leading| leading.healthy.get(&node));
        since.map_or(Duration::ZERO, |since| self.now.saturating_sub(*since))
    }

    fn observations(&self, node: NodeId) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, sight) in self.settings.networks.iter().zip(&self.sights) {
            let Some((_, observers)) = sight.grounds(node) else { continue };
            let reach = sight.reach(node).map_or(Reach::Unknown, |(reach, _)| reach);
            if reach == Reach::Up {
                continue;
            }
            for seen in observers {
                let who = self.observer_name(seen.id);
                let voice = if seen.sound { "" } else { " (no voice)" };
                lines.push(format!(
                    "{name}: {who} unanswered for {:.1}s{voice}",
                    seen.unanswered.as_secs_f64()
                ));
            }
        }
        lines
    }

    /// A controller's or a node's name.
    pub(super) fn observer_name(&self, id: uuid::Uuid) -> String {
        let mut controllers = self.settings.controllers.keys();
        match controllers.find(|controller| member_id(self.settings.cluster, **controller) == id) {
            Some(controller) => controller.to_string(),
            None => self.name(NodeId(id)),
        }
    }

    fn advance_incidents(&mut self, out: &mut Vec<Effect>) {
        if self.registry.is_noop() {
            return;
        }
        let open: Vec<_> =
            self.registry.open_incidents().map(|incident| (incident.id, incident.state)).collect();
        for (id, state) in &open {
            match state {
                State::Fencing => self.advance_fence(*id, out),
                State::Fenced | State::ForcedDown | State::Evacuating => {
                    self.advance_recovery(*id, out);
                }
                State::Disabling | State::Migrating => self.advance_migration(*id, out),
                State::Recovered | State::Released => self.advance_return(*id, out),
                State::Notified | State::Migrated => self.close_when_well(*id, out),
                State::Returned | State::Cancelled | State::Closed => {}
            }
        }
        if let Some(leading) = &mut self.leading {
            leading.works.retain(|id, _| open.iter().any(|(known, _)| known == id));
        }
    }

    fn count_minutes(&mut self, out: &mut Vec<Effect>) {
        let recent =
            self.registry.any_fence_within(guard::minutes(self.settings.waits.quarantine_within));
        let Some(leading) = &mut self.leading else { return };
        if leading.next_minute <= self.now {
            leading.next_minute = self.now + MINUTE;
            if recent {
                self.propose(Command::Minute, out);
            }
        }
    }

    /// A leader that cannot see a network that most other controllers see gives its role up.
    fn give_up_if_unsound(&mut self, out: &mut Vec<Effect>) {
        let others = self.settings.controllers.len().saturating_sub(1);
        let now = self.now;
        let worse = self.sights.iter().any(|sight| {
            !sight.is_sound() && others > 0 && sight.sound_controllers(now) * 2 > others
        });
        let Some(leading) = &mut self.leading else { return };
        if !worse {
            leading.unsound_since = None;
            return;
        }
        let since = *leading.unsound_since.get_or_insert(now);
        if now.saturating_sub(since) >= UNSOUND_FOR {
            leading.unsound_since = None;
            out.push(Effect::page(
                "raft",
                "this leader's own link is bad: another controller takes over",
            ));
            self.hand_over(out);
        }
    }

    /// Proposes what the inventory says and the registry does not.
    pub(super) fn enrol(&mut self, out: &mut Vec<Effect>) {
        if !self.leads() {
            return;
        }
        let set: std::collections::BTreeMap<_, _> =
            self.settings.controllers.iter().map(|(id, peer)| (*id, peer.lease.clone())).collect();
        let known = self.registry.lease().now().controllers();
        // E2 counts with one set that never changes; only addresses may. Another set is another cluster, for now.
        let same_members = known.is_empty() || known.keys().eq(set.keys());
        if same_members && *known != set {
            self.propose_once(Command::Controllers { set }, out);
        }
        let news: Vec<_> = self
            .inventory
            .iter()
            .filter(|(id, record)| self.registry.node(*id).map(|node| &node.record) != Some(record))
            .cloned()
            .collect();
        for (node, record) in news {
            self.propose_once(Command::Enrol { node, record: Box::new(record) }, out);
        }
    }
}

/// Actions as a list of words.
fn words(actions: &[Action]) -> String {
    actions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
