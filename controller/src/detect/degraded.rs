//! Which nodes a leader calls degraded on a network: they answer, and many pings stay unanswered. It is shown, and moves
//! nothing: the matrix knows up, down and unknown, and an action waits for none of this.

use std::time::Duration;

use action_matrix::Reach;
use fencing::NodeId;
use gossip::sweep::TRIES;

use super::loss::Found;
use super::sight::{Seen, Sight};
use crate::effect::Effect;

impl Sight {
    /// How many of the last 20 pings a degraded node left unanswered, and since when it is degraded. `None` for others.
    pub fn degraded(&self, node: NodeId) -> Option<(u32, Duration)> {
        self.losses.of(node)
    }

    /// A node left its sweep's tries unanswered.
    pub(super) fn note_missed(&mut self, now: Duration, node: NodeId) {
        if self.targets.get(&node).is_some_and(|target| target.reach == Reach::Up) {
            self.losses.missed(now, node, TRIES);
        }
    }

    pub(super) fn note_found(
        &mut self,
        now: Duration,
        node: NodeId,
        found: Found,
        seen: &mut Vec<Seen>,
    ) {
        match found {
            Found::Nothing => {}
            Found::Well => seen.push(Seen::Well(node)),
            Found::Lossy => self.note_lossy(now, node, seen),
        }
    }

    fn note_lossy(&mut self, now: Duration, node: NodeId, seen: &mut Vec<Seen>) {
        if self.blind || self.dark || !self.is_sound() {
            return;
        }
        if self.loses_most() {
            self.blind = true;
            self.losses.end_all();
            seen.push(Seen::Blind(true));
            return;
        }
        let up = self.targets.get(&node).is_some_and(|target| target.reach == Reach::Up);
        if let Some(lost) = up.then(|| self.losses.begin(now, node)).flatten() {
            seen.push(Seen::Degraded(node, lost));
        }
    }

    /// More than half of those who are up here lose pings, and more than one: the link that is lossy is our own.
    fn loses_most(&self) -> bool {
        let touched = self.losses.touched();
        touched > 1 && touched * 2 > self.up_here()
    }

    /// After each sweep: whether pings are lost by so few again that it is them.
    pub(super) fn see_blind(&mut self, seen: &mut Vec<Seen>) {
        if self.blind && self.losses.touched() * 4 <= self.up_here() {
            self.blind = false;
            seen.push(Seen::Blind(false));
        }
    }

    fn up_here(&self) -> usize {
        self.targets.values().filter(|target| target.reach == Reach::Up).count()
    }

    /// Pings the degraded once more.
    pub(super) fn ping_degraded(&mut self, now: Duration, out: &mut Vec<Effect>) {
        for (node, nonce) in self.losses.timeout(now) {
            let Some(target) = self.targets.get(&node) else { continue };
            out.push(Effect::Ping { network: self.network, to: target.ping, nonce });
        }
    }
}
