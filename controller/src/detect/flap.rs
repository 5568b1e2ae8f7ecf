//! Which nodes flap on a network: judged down again and again, and up between. It is shown, and damps what is told; the
//! matrix does not know it, and an action waits for none of it.
//!
//! What is remembered ends with a leadership, and with a fence: a node that was off has begun anew.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use action_matrix::Reach;
use fencing::NodeId;

use super::sight::{Seen, Sight};

/// Judged down so often ...
const SPELLS: usize = 3;
/// ... within this time, a node flaps. Fewer are failures of their own.
const WITHIN: Duration = Duration::from_secs(10 * 60);
/// It does no longer when it has held still for this time, up or down.
const CALM: Duration = Duration::from_secs(2 * 60);
/// But not longer than this.
const CALM_MOST: Duration = Duration::from_secs(16 * 60);
/// One that flaps again within this time after it was calm must hold still twice as long as the last time.
const REMEMBER: Duration = Duration::from_secs(60 * 60);
/// One that flaps and has been down for this time without a break stays down, ...
const STAYS: Duration = Duration::from_secs(30);
/// ... if that is also so many times the longest that it was down before, and came back. So what is told of it is told
/// once, and not at each spell: after that only one twice as long is told again.
const STAYS_LONGER: u32 = 2;

/// A node that flaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// Since when it is called so.
    pub since: Duration,
    /// How often it has been judged down since the first of the spells that began it.
    pub downs: u32,
    /// When it was last judged up or down.
    pub turned: Duration,
    /// How long it must hold still.
    pub needs: Duration,
    /// The longest that it was down and came back, in this spell of flapping or in those that began it.
    pub longest: Duration,
}

impl Flapping {
    /// Whether it stays down, if it is: far longer than while it flapped, or as long as makes it calm.
    pub fn stays(&self, now: Duration) -> bool {
        let longer = (self.longest * STAYS_LONGER).max(STAYS);
        now.saturating_sub(self.turned) >= longer.min(self.needs)
    }
}

/// A time in which a node was judged down.
#[derive(Clone, Copy, Debug)]
struct Spell {
    began: Duration,
    /// `None` while it is down.
    lasted: Option<Duration>,
}

/// What a leader remembers of one network.
#[derive(Debug, Default)]
pub(super) struct Flaps {
    leading: bool,
    /// When each node was judged down, within [`WITHIN`], the last [`SPELLS`] times.
    downs: BTreeMap<NodeId, VecDeque<Spell>>,
    flapping: BTreeMap<NodeId, Flapping>,
    /// Who was calm again when, and how long it had to hold still for that.
    ended: BTreeMap<NodeId, (Duration, Duration)>,
}

impl Flaps {
    /// A leader begins with an empty memory; nobody else has one.
    pub(super) fn lead(&mut self, leading: bool) {
        *self = Self { leading, ..Self::default() };
    }

    /// A node was judged up or down. What it is called from now on, if that is new.
    pub(super) fn turned(&mut self, now: Duration, node: NodeId, reach: Reach) -> Option<Flapping> {
        let down = reach == Reach::Down;
        let lasted = if down { None } else { self.end_spell(now, node) };
        if let Some(flapping) = self.flapping.get_mut(&node) {
            flapping.turned = now;
            flapping.downs += u32::from(down);
            flapping.longest = flapping.longest.max(lasted.unwrap_or_default());
        }
        if !self.leading || !down {
            return None;
        }
        let downs = self.downs.entry(node).or_default();
        downs.push_back(Spell { began: now, lasted: None });
        while downs.len() > SPELLS
            || downs.front().is_some_and(|spell| now.saturating_sub(spell.began) > WITHIN)
        {
            downs.pop_front();
        }
        if downs.len() < SPELLS || self.flapping.contains_key(&node) {
            return None;
        }
        let longest = downs.iter().filter_map(|spell| spell.lasted).max().unwrap_or_default();
        let recently = |(at, _): &(Duration, Duration)| now.saturating_sub(*at) <= REMEMBER;
        let needed = self.ended.remove(&node).filter(recently);
        let needs = needed.map_or(CALM, |(_, needed)| (needed * 2).min(CALM_MOST));
        let flapping = Flapping { since: now, downs: SPELLS as u32, turned: now, needs, longest };
        self.flapping.insert(node, flapping);
        Some(flapping)
    }

    /// How long a node was down that is up again.
    fn end_spell(&mut self, now: Duration, node: NodeId) -> Option<Duration> {
        let spell = self.downs.get_mut(&node)?.back_mut().filter(|spell| spell.lasted.is_none())?;
        spell.lasted = Some(now.saturating_sub(spell.began));
        spell.lasted
    }

    /// Who has held still for long enough, and for how long that had to be.
    pub(super) fn calmed(&mut self, now: Duration) -> Vec<(NodeId, Duration)> {
        let still = |flapping: &Flapping| now.saturating_sub(flapping.turned) >= flapping.needs;
        let calm: Vec<_> = self
            .flapping
            .iter()
            .filter(|(_, flapping)| still(flapping))
            .map(|(node, flapping)| (*node, flapping.needs))
            .collect();
        for (node, needs) in &calm {
            self.flapping.remove(node);
            self.ended.insert(*node, (now, *needs));
        }
        calm
    }

    /// A node was fenced, or is gone.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.downs.remove(&node);
        self.flapping.remove(&node);
        self.ended.remove(&node);
    }

    pub(super) fn of(&self, node: NodeId) -> Option<Flapping> {
        self.flapping.get(&node).copied()
    }
}

impl Sight {
    /// Whether a node flaps here, and what is known of it.
    pub fn flapping(&self, node: NodeId) -> Option<Flapping> {
        self.flaps.of(node)
    }

    /// A node is out: what its links did before says nothing about what they will do.
    pub fn forget_flapping(&mut self, node: NodeId) {
        self.flaps.forget(node);
    }

    pub(super) fn note_turn(
        &mut self,
        now: Duration,
        node: NodeId,
        reach: Reach,
        seen: &mut Vec<Seen>,
    ) {
        seen.extend(self.flaps.turned(now, node, reach).map(|known| Seen::Flapping(node, known)));
    }

    /// After each sweep: whether anybody flaps no more.
    pub(super) fn see_calm(&mut self, now: Duration, seen: &mut Vec<Seen>) {
        for (node, held) in self.flaps.calmed(now) {
            seen.push(Seen::Calm(node, held));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NODE: NodeId = NodeId(Uuid::from_u128(1));

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn leader() -> Flaps {
        let mut flaps = Flaps::default();
        flaps.lead(true);
        flaps
    }

    /// Down at each of these times, and up 10 s later. How long it had to hold still where it was called flapping.
    fn spells(flaps: &mut Flaps, times: &[u64]) -> Vec<Option<u64>> {
        let mut told = Vec::new();
        for time in times {
            let found = flaps.turned(at(*time), NODE, Reach::Down);
            told.push(found.map(|found| found.needs.as_secs()));
            assert_eq!(flaps.turned(at(time + 10), NODE, Reach::Up), None);
        }
        told
    }

    #[test]
    fn the_third_spell_within_ten_minutes_is_told_and_none_after_it() {
        let mut flaps = leader();
        assert_eq!(spells(&mut flaps, &[0, 300, 600, 650]), [None, None, Some(120), None]);
        assert_eq!(flaps.of(NODE).map(|known| (known.since, known.downs)), Some((at(600), 4)));
        let mut slow = leader();
        assert_eq!(spells(&mut slow, &[0, 301, 602, 903]), [None; 4]);
        let mut follower = Flaps::default();
        assert_eq!(spells(&mut follower, &[0, 20, 40, 60]), [None; 4]);
        assert!(follower.downs.is_empty(), "who does not lead remembers nothing");
    }

    #[test]
    fn it_is_calm_when_it_has_held_still_up_or_down() {
        let mut flaps = leader();
        spells(&mut flaps, &[0, 20, 40]);
        assert_eq!(flaps.calmed(at(169)), []);
        flaps.turned(at(169), NODE, Reach::Down);
        assert_eq!(flaps.calmed(at(288)), []);
        assert_eq!(flaps.calmed(at(289)), [(NODE, CALM)]);
        assert_eq!((flaps.of(NODE), flaps.calmed(at(999))), (None, Vec::new()));
    }

    #[test]
    fn who_flaps_again_must_hold_still_for_twice_as_long_up_to_a_bound() {
        let (mut flaps, mut now, mut needed) = (leader(), 0, Vec::new());
        for _ in 0..6 {
            let needs = spells(&mut flaps, &[now, now + 20, now + 40]).into_iter().flatten();
            needed.extend(needs);
            now += 40 + 10 + needed.last().expect("it flaps");
            assert_eq!(flaps.calmed(at(now)).len(), 1);
        }
        assert_eq!(needed, [120, 240, 480, 960, 960, 960]);
        let later = now + REMEMBER.as_secs() + 1;
        assert_eq!(spells(&mut flaps, &[later, later + 20, later + 40])[2], Some(120));
    }

    #[test]
    fn one_that_flaps_again_at_once_is_told_at_its_first_spell() {
        let mut flaps = leader();
        spells(&mut flaps, &[0, 20, 40]);
        assert_eq!(flaps.calmed(at(170)).len(), 1);
        assert_eq!(spells(&mut flaps, &[180]), [Some(240)]);
    }

    #[test]
    fn it_stays_down_after_twice_its_longest_spell_and_half_a_minute_at_least() {
        let mut flaps = leader();
        spells(&mut flaps, &[0, 20]);
        flaps.turned(at(40), NODE, Reach::Down);
        let stays = |flaps: &Flaps, now| flaps.of(NODE).expect("it flaps").stays(at(now));
        assert!(!stays(&flaps, 69) && stays(&flaps, 70), "its spells were of 10 s");
        flaps.turned(at(80), NODE, Reach::Up);
        flaps.turned(at(90), NODE, Reach::Down);
        assert!(!stays(&flaps, 169) && stays(&flaps, 170), "it was down for 40 s, and came back");
        flaps.turned(at(175), NODE, Reach::Up);
        flaps.turned(at(180), NODE, Reach::Down);
        assert!(!stays(&flaps, 299) && stays(&flaps, 300), "as long as makes it calm");
        assert_eq!(flaps.calmed(at(300)), [(NODE, CALM)]);
    }

    #[test]
    fn the_spells_that_began_it_count_as_well() {
        let mut flaps = leader();
        flaps.turned(at(0), NODE, Reach::Down);
        flaps.turned(at(45), NODE, Reach::Up);
        spells(&mut flaps, &[50]);
        flaps.turned(at(70), NODE, Reach::Down);
        let known = flaps.of(NODE).expect("it flaps");
        assert_eq!(known.longest, at(45));
        assert!(!known.stays(at(159)) && known.stays(at(160)));
    }

    #[test]
    fn a_fence_ends_it_and_nothing_is_remembered() {
        let mut flaps = leader();
        spells(&mut flaps, &[0, 20, 40]);
        flaps.forget(NODE);
        assert_eq!(flaps.of(NODE), None);
        assert_eq!(spells(&mut flaps, &[60, 80]), [None, None]);
    }
}
