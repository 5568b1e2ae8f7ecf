//! Suspects: who is asked about them, and how their cases are judged. Only a leader asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use action_matrix::Reach;
use fencing::NodeId;
use gossip::witness::{self, Message, Watch};
use rand::Rng;
use rand::seq::SliceRandom;
use uuid::Uuid;

use super::WITNESS_CHANNEL;
use super::case::Case;
use super::sight::{Seen, Sight};
use crate::effect::Effect;

/// Witnesses asked about a suspect.
const WITNESSES: usize = 5;
/// An ask is renewed this often, so that reports quote a fresh one.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// An ask ends by itself after this time.
const ASK_LASTS_MS: u32 = 3000;
/// Cases are judged this often, and when a hold is over.
const JUDGE_EVERY: Duration = Duration::from_millis(100);
/// And this soon after an observer's word that may begin a hold: those of the others come with it.
pub(super) const JUDGE_SOON: Duration = Duration::from_millis(10);
/// A suspect that answered for this long is no longer watched.
const CALM: Duration = Duration::from_secs(3);
/// A dead node is watched this long; then its sweep tells when it is back.
const WATCH_DEAD: Duration = Duration::from_secs(60);
/// Open cases at most: more at once is a storm, in which nothing is fenced.
const MOST_CASES: usize = 64;

impl Sight {
    /// A hint: opens a case, if this controller leads, knows the node, and has a voice here itself.
    pub(super) fn suspect(
        &mut self,
        now: Duration,
        id: Uuid,
        out: &mut Vec<Effect>,
        seen: &mut Vec<Seen>,
    ) {
        let node = NodeId(id);
        if self.open_case(now, node, out) {
            seen.push(Seen::Suspected(node));
        }
    }

    /// The same node is suspected on another network: whoever lost one link may have lost all, and the sooner its
    /// observers ask here, the sooner its cell stands still.
    pub fn suspected_elsewhere(&mut self, now: Duration, node: NodeId, out: &mut Vec<Effect>) {
        self.open_case(now, node, out);
    }

    /// A node that was judged down, and is to be fenced for it, is no longer watched: it is asked for anew, so that the
    /// fence rests on what is seen now.
    pub fn ask_again(&mut self, now: Duration, node: NodeId, out: &mut Vec<Effect>) {
        if self.targets.contains_key(&node) {
            self.begin_case(now, node, out);
        }
    }

    /// Whether a case was opened.
    fn open_case(&mut self, now: Duration, node: NodeId, out: &mut Vec<Effect>) -> bool {
        // A node judged down is watched for a while; later only its own answer, seen by the sweep, opens a case again.
        let known = self.targets.get(&node).is_some_and(|target| match target.reach {
            Reach::Up => true,
            Reach::Down => target.boot.is_some(),
            Reach::Unknown => target.serves,
        });
        known && self.begin_case(now, node, out)
    }

    fn begin_case(&mut self, now: Duration, node: NodeId, out: &mut Vec<Effect>) -> bool {
        let wanted = self.leading && !self.dark;
        if !wanted || self.cases.contains_key(&node) || self.cases.len() >= MOST_CASES {
            return false;
        }
        let witnesses = self.draw_witnesses(node);
        let mut case = Case::new(now, witnesses);
        case.alone = self.controllers.len() == 1;
        self.cases.insert(node, case);
        self.next_judge.get_or_insert(now + JUDGE_EVERY);
        self.ask(now, node, out);
        true
    }

    /// Cases are judged at this time at the latest.
    pub(super) fn judge_by(&mut self, at: Duration) {
        self.next_judge = self.next_judge.map(|next| next.min(at));
    }

    /// Random members that gossip calls alive, from at least two failure domains where there are as many.
    fn draw_witnesses(&mut self, suspect: NodeId) -> Vec<Uuid> {
        let alive: BTreeSet<Uuid> = self.group.peers().map(|peer| peer.id).collect();
        let mut able: Vec<(Uuid, &str)> = self
            .targets
            .iter()
            .filter(|(node, _)| **node != suspect && alive.contains(&node.0))
            .map(|(node, target)| (node.0, target.domain.as_str()))
            .collect();
        able.shuffle(&mut self.rng);
        let mut drawn: Vec<Uuid> = able.iter().take(WITNESSES).map(|(id, _)| *id).collect();
        let domains: BTreeSet<&str> =
            able.iter().filter(|(id, _)| drawn.contains(id)).map(|(_, domain)| *domain).collect();
        let elsewhere = able.iter().find(|(_, domain)| !domains.contains(domain));
        if let (1, Some((id, _)), Some(last)) = (domains.len(), elsewhere, drawn.last_mut()) {
            *last = *id;
        }
        drawn
    }

    /// A case that was opened before gossip knew anybody asks whoever it knows by now: without witnesses the controllers
    /// alone would judge, however many there are. Nobody who was drawn is replaced.
    fn draw_more_witnesses(&mut self, node: NodeId) {
        let known = self.cases.get(&node).map(|case| case.witnesses.clone()).unwrap_or_default();
        let new = |peer: &Uuid| *peer != node.0 && !known.contains(peer);
        let more = self
            .group
            .peers()
            .any(|peer| new(&peer.id) && self.targets.contains_key(&NodeId(peer.id)));
        if known.len() >= WITNESSES || !more {
            return;
        }
        let drawn: Vec<Uuid> = self.draw_witnesses(node).into_iter().filter(new).collect();
        if let Some(case) = self.cases.get_mut(&node) {
            case.witnesses.extend(drawn.into_iter().take(WITNESSES - known.len()));
        }
    }

    fn ask(&mut self, now: Duration, node: NodeId, out: &mut Vec<Effect>) {
        self.draw_more_witnesses(node);
        let ask = self.rng.next_u64();
        let Some(target) = self.targets.get(&node) else { return };
        let watch = Watch {
            ask,
            asked_by: self.me,
            suspect: node.0,
            boot: target.boot.unwrap_or_default(),
            addr: target.ping,
            lasts_ms: ASK_LASTS_MS,
        };
        let Some(case) = self.cases.get_mut(&node) else { return };
        case.asked(now, ask);
        let witnesses = case.witnesses.clone();
        let bytes = Message::Watch(watch).to_bytes();
        for witness in witnesses {
            self.talk(NodeId(witness), WITNESS_CHANNEL, &bytes, out);
        }
        for (_, to) in self.controllers.iter().filter(|(id, _)| **id != self.me) {
            self.talk_to(*to, WITNESS_CHANNEL, &bytes, out);
        }
        self.with_witness(now, witness::Event::Watch(watch), out);
    }

    pub(super) fn judge_all(&mut self, now: Duration, out: &mut Vec<Effect>, seen: &mut Vec<Seen>) {
        self.see_dark(now, seen);
        if self.dark {
            self.cases.clear();
        }
        for node in self.cases.keys().copied().collect::<Vec<_>>() {
            self.judge(now, node, seen);
            let again = self.cases.get(&node).and_then(Case::last_asked);
            if again.is_some_and(|(_, at)| now.saturating_sub(at) >= ASK_EVERY) {
                self.ask(now, node, out);
            }
            self.close_if_calm(now, node, out);
        }
        self.next_judge = (!self.cases.is_empty()).then_some(now + JUDGE_EVERY);
        let ends = self.cases.values().filter_map(|case| case.hold_ends(self.hold)).min();
        ends.into_iter().for_each(|ends| self.judge_by(ends));
    }

    fn judge(&mut self, now: Duration, node: NodeId, seen: &mut Vec<Seen>) {
        let sound: BTreeMap<Uuid, bool> =
            self.controllers.keys().map(|id| (*id, self.has_voice(now, *id))).collect();
        let controllers = sound.values().filter(|sound| **sound).count();
        let gone = |witness: &Uuid| {
            let known = self.targets.get(&NodeId(*witness));
            self.is_silent(NodeId(*witness)) || known.is_some_and(|t| t.reach == Reach::Down)
        };
        let lost = self
            .cases
            .get(&node)
            .map_or(0, |case| case.witnesses.iter().filter(|w| gone(w)).count());
        let (Some(case), Some(target)) = (self.cases.get_mut(&node), self.targets.get_mut(&node))
        else {
            return;
        };
        let observers = case.observers(now, |id| sound.get(&id).copied());
        let reach = case.judge(now, &observers, self.hold, controllers, lost);
        target.observers = observers;
        if let Some(reach) = reach.filter(|reach| *reach != target.reach) {
            let why = match reach {
                Reach::Up => "most controllers, or all witnesses, reach it",
                Reach::Down => "most sound controllers and most witnesses cannot reach it",
                Reach::Unknown => "too few observers",
            };
            self.turn(now, node, reach, why, seen);
        }
    }

    fn has_voice(&self, now: Duration, controller: Uuid) -> bool {
        self.swept.get(&controller).is_some_and(|swept| swept.has_voice(now))
    }

    fn close_if_calm(&mut self, now: Duration, node: NodeId, out: &mut Vec<Effect>) {
        let (Some(case), Some(target)) = (self.cases.get(&node), self.targets.get(&node)) else {
            return;
        };
        let calm = target.reach == Reach::Up && case.up_for(now).is_some_and(|time| time >= CALM);
        let watched = now.saturating_sub(target.since.max(case.opened));
        let long_dead = target.reach == Reach::Down && watched >= WATCH_DEAD;
        if !calm && !long_dead {
            return;
        }
        let (ask, witnesses) = (case.last_asked(), case.witnesses.clone());
        self.cases.remove(&node);
        if let Some(target) = self.targets.get_mut(&node).filter(|_| long_dead) {
            target.boot = None;
        }
        let Some((ask, _)) = ask else { return };
        let bytes = Message::Unwatch { ask }.to_bytes();
        for witness in witnesses {
            self.talk(NodeId(witness), WITNESS_CHANNEL, &bytes, out);
        }
        for (_, to) in self.controllers.iter().filter(|(id, _)| **id != self.me) {
            self.talk_to(*to, WITNESS_CHANNEL, &bytes, out);
        }
        self.with_witness(now, witness::Event::Unwatch { ask }, out);
    }

    /// Fewer than two sound controllers (fewer than one where there is only one): nothing is known here.
    pub(super) fn see_dark(&mut self, now: Duration, seen: &mut Vec<Seen>) {
        let needed = self.controllers.len().min(2);
        let dark = self.leading && self.sound_controllers(now) < needed;
        if dark != self.dark {
            self.turn_dark(dark);
            seen.push(Seen::Dark(dark));
            let nodes = self.targets.iter().map(|(node, target)| {
                Seen::Reach(*node, if dark { Reach::Unknown } else { target.reach })
            });
            seen.extend(nodes);
        }
    }
}
