//! From reachability to an incident: the cell is held still for the row's time, the first row that matches is taken, the
//! guards are asked, and the verdict is proposed with the observations that it rests on.

use std::time::Duration;

use action_matrix::{Action, Reach};
use fencing::{BootId, NodeId};
use mutants::{Mutant, is_on};

use super::leading::{Rest, Settling};
use crate::core::{Controller, LOOK_EVERY};
use crate::detect::Sight;
use crate::effect::{Effect, Network};
use crate::guard::{self, Refusal};
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
        let suspects = self.sights.iter().any(Sight::has_suspects);
        match self.rest() {
            None => self.look_at_nodes(out),
            Some(rest) if rest.down || suspects => self.note_storms(out),
            Some(_) => {}
        }
        self.check_bmcs();
        self.advance_drill(out);
        self.advance_incidents(out);
        self.advance_reserved(out);
        self.keep_fresh();
        self.look_at_domains(out);
        self.ask_census(out);
        self.count_minutes(out);
        for end in self.registry.over() {
            self.propose_once(end, out);
        }
        self.give_up_if_unsound(out);
    }

    /// Looks at every node, and notes whether that need not be repeated before something stirs.
    fn look_at_nodes(&mut self, out: &mut Vec<Effect>) {
        let (index, turns) = self.stirred_at();
        let mut rests = self.enrol(out);
        rests &= self.enrol_bmcs();
        let down = self.note_health();
        self.note_storms(out);
        for node in self.registry.nodes().keys().copied().collect::<Vec<_>>() {
            rests &= self.decide(node, out);
        }
        rests &= !is_on(Mutant::M14);
        if let Some(leading) = &mut self.leading {
            leading.rest = rests.then_some(Rest { index, turns, down });
        }
    }

    /// The rest that the last look found, if nothing has stirred since: no entry, and no reach.
    fn rest(&self) -> Option<Rest> {
        let rest = self.leading.as_ref()?.rest?;
        (self.stirred_at() == (rest.index, rest.turns)).then_some(rest)
    }

    fn stirred_at(&self) -> (u64, u64) {
        let reaches: u64 = self.sights.iter().map(Sight::turns).sum();
        (self.registry.index(), reaches.wrapping_add(self.checks.turns()))
    }

    /// The inventory is another one: the next look looks at everything.
    pub(super) fn stir(&mut self) {
        if let Some(leading) = &mut self.leading {
            leading.rest = None;
        }
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

    /// Losses that most nodes share are this controller's own: it says so, and of no node that it is degraded.
    pub(super) fn note_blind(&mut self, network: Network, blind: bool, out: &mut Vec<Effect>) {
        let name = self.network_name(network);
        let text = if blind {
            format!(
                "pings of most nodes get lost on {name}: no single one is called degraded there"
            )
        } else {
            format!("pings of few nodes get lost on {name} again")
        };
        out.push(Effect::journal("observe", text));
    }

    /// What follows from a node's cell. Whether nothing will follow from it until it is another one.
    fn decide(&mut self, node: NodeId, out: &mut Vec<Effect>) -> bool {
        let (now, cell) = (self.now, self.cell(node));
        if self.registry.is_out(node) {
            self.forget_cell(node);
            return true;
        }
        let decision = self.matrix.decide(&cell);
        let Some(leading) = &mut self.leading else { return false };
        let fresh = || Settling { cell: cell.clone(), since: now, refused: None, acted: None };
        let settling = leading.settling.entry(node).or_insert_with(fresh);
        // A check that flaps must not hold up a row that does not ask for it.
        let other = settling.cell.networks != cell.networks
            || self.matrix.decide(&settling.cell).index != decision.index;
        if other || mutants::is_on(mutants::Mutant::M73) {
            *settling = fresh();
        }
        settling.cell = cell;
        let (since, acted) = (settling.since, settling.acted);
        let (place, row) = (decision.index, decision.row);
        let settle = row.settle();
        if acted == Some(place) {
            return true;
        }
        if now.saturating_sub(since) < settle {
            return false;
        }
        let actions = row.actions().to_vec();
        let rests_on = self.rests_on(row);
        let mut observations = self.observations(node);
        observations.extend(self.check_observations(node, &rests_on));
        let verdict = Verdict {
            row: row.name().to_owned(),
            reason: row.reason().to_owned(),
            actions: actions.clone(),
            cell: self.compact(node),
            observations,
            guards: self.guards_asked(node),
        };
        if actions.contains(&Action::Fence) {
            let evacuate = actions.contains(&Action::Evacuate);
            self.consider_fence(node, verdict, (evacuate, settle), &rests_on, out);
        } else {
            self.consider_soft(node, verdict, &actions, (place, &rests_on), out);
        }
        false
    }

    fn consider_fence(
        &mut self,
        node: NodeId,
        verdict: Verdict,
        (evacuate, settle): (bool, Duration),
        rests_on: &[String],
        out: &mut Vec<Effect>,
    ) {
        if let Some(refusal) = self.refusal(node) {
            self.refused(node, &verdict, refusal, out);
            return;
        }
        let Some(boot) = self.registry.node(node).and_then(Node::serving_boot) else { return };
        if !self.grounds_stand(node, out) || !self.checks_stand(node, rests_on, out) {
            return;
        }
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

    /// Whether observers find the node down now wherever it is down. Those who are asked no more, since the node has been
    /// down for long, are asked again: what they say now decides.
    fn grounds_stand(&mut self, node: NodeId, out: &mut Vec<Effect>) -> bool {
        let now = self.now;
        let mut stand = true;
        for sight in &mut self.sights {
            let down = matches!(sight.reach(node), Some((Reach::Down, _)));
            let believed = is_on(Mutant::M79) || is_on(Mutant::M14);
            if down && !sight.is_down_now(node) && !believed {
                sight.ask_again(now, node, out);
                stand = false;
            }
        }
        stand
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
        (place, rests_on): (usize, &[String]),
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
        if kind == Kind::Notify && self.sights.iter().any(Sight::is_dark) {
            return;
        }
        // That it flaps was told. If it stays down, this is told then.
        let flaps = rests_on.is_empty() && self.is_down_by_flapping(node);
        if kind == Kind::Notify && flaps {
            return;
        }
        // A node that never served has nothing to notify about: it is not there yet.
        let Some(boot) = self.registry.node(node).and_then(Node::serving_boot) else { return };
        let touches = kind != Kind::Notify;
        if touches && let Some(refusal) = self.soft_refusal(node) {
            self.refused(node, &verdict, refusal, out);
            return;
        }
        if touches && !self.checks_stand(node, rests_on, out) {
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
            out.push(match flaps {
                true => Effect::journal("verdict", text),
                false => Effect::page("verdict", text),
            });
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
        self.sights.iter_mut().for_each(|sight| sight.forget_flapping(node));
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
        self.start_waiting(out);
        if let Some(leading) = &mut self.leading {
            leading.works.retain(|id, _| open.iter().any(|(known, _)| known == id));
        }
    }

    fn count_minutes(&mut self, out: &mut Vec<Effect>) {
        let Some(leading) = self.leading.as_mut().filter(|leading| leading.next_minute <= self.now)
        else {
            return;
        };
        leading.next_minute = self.now + MINUTE;
        let recent = guard::minutes(self.settings.waits.quarantine_within);
        if self.registry.any_fence_within(recent)
            || self.registry.anything_ends_by_itself()
            || !self.registry.crashes().is_empty()
        {
            self.propose(Command::Minute, out);
        }
    }

    /// A leader that cannot see a network that most other controllers see gives its role up.
    fn give_up_if_unsound(&mut self, out: &mut Vec<Effect>) {
        let others = self.settings.controllers.len().saturating_sub(1);
        let now = self.now;
        let worse = self.sights.iter().any(|sight| {
            let sound = sight.is_sound() && !mutants::is_on(mutants::Mutant::M78);
            !sound && others > 0 && sight.sound_controllers(now) * 2 > others
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
}

/// Actions as a list of words.
fn words(actions: &[Action]) -> String {
    actions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
