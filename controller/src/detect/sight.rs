//! One network, as this controller sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use action_matrix::Reach;
use fencing::sent::Sent;
use fencing::{BootId, NodeId, census, checks, domains};
use gossip::ceiling::Ceiling;
use gossip::group::{self, Group};
use gossip::sweep::{self, Stagger, Sweep};
use gossip::witness::{self, Witness};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::case::{Case, Observer};
use super::flap::{Flapping, Flaps};
use super::loss::Losses;
use crate::effect::{Effect, Network};

/// A peer's sweep counts while it is at most this old.
const SWEEP_FRESH: Duration = Duration::from_secs(3);

/// A node that is swept on this network.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where its sentinel answers pings.
    pub ping: SocketAddr,
    /// Where its agent gossips.
    pub gossip: SocketAddr,
    /// Failure domain: witnesses are drawn from two of them where there are as many.
    pub domain: String,
    /// Whether a committed entry says that a boot of it serves: such a node is missed also by a controller that has
    /// never heard it, as after a restart of all of them.
    pub serves: bool,
    /// The boot that answered last.
    pub boot: Option<Uuid>,
    pub(super) reach: Reach,
    pub(super) since: Duration,
    pub(super) why: String,
    pub(super) observers: Vec<Observer>,
}

/// Something that the rest of the controller should know.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A node's reach changed.
    Reach(NodeId, Reach),
    /// A suspicion was raised (leader only).
    Suspected(NodeId),
    /// A link loses many pings: so many of the last 20 stayed unanswered (leader only, for display alone).
    Degraded(NodeId, u32),
    /// A degraded link answered all of the last 20 pings.
    Well(NodeId),
    /// A node was judged down again and again, and up between (leader only, for display alone).
    Flapping(NodeId, Flapping),
    /// It has held still for so long, up or down, and no longer flaps.
    Calm(NodeId, Duration),
    /// This controller loses pings of most nodes here: it calls nobody degraded. Or it no longer does.
    Blind(bool),
    /// Too few controllers see this network to judge anything on it (leader only), or enough do again.
    Dark(bool),
    /// A census answer.
    Census(census::Message),
    /// The list of domains of a node, from where its agent gossips.
    Listed(domains::List),
    /// What a boot of a node says to have sent, from where its agent gossips.
    Sent(NodeId, BootId, Sent),
    /// What a node's health checks say, from where its agent gossips.
    Checks(checks::Report),
    /// So much of our gossip had to wait for its ceiling.
    PutOff(u64),
    /// A sweep of ours is over.
    Swept {
        /// Members asked.
        asked: u32,
        /// Members that did not answer.
        missed: u32,
    },
}

/// How a controller's last sweep of a network ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// When this controller learned of it.
    pub at: Duration,
    /// Members asked.
    pub asked: u32,
    /// Members that did not answer.
    pub missed: u32,
}

impl Swept {
    /// Whether it gives its controller a voice: it is fresh, and missed few.
    pub fn has_voice(&self, now: Duration) -> bool {
        self.is_sound() && now.saturating_sub(self.at) <= SWEEP_FRESH
    }

    fn is_sound(&self) -> bool {
        is_sound(self.asked, self.missed)
    }
}

/// One network.
pub struct Sight {
    pub(super) network: Network,
    pub(super) me: Uuid,
    pub(super) controllers: BTreeMap<Uuid, SocketAddr>,
    pub(super) hold: Duration,
    pub(super) group: Group,
    pub(super) sweep: Sweep,
    pub(super) witness: Witness,
    pub(super) rng: ChaCha8Rng,
    pub(super) targets: BTreeMap<NodeId, Target>,
    pub(super) cases: BTreeMap<NodeId, Case>,
    pub(super) swept: BTreeMap<Uuid, Swept>,
    pub(super) next_judge: Option<Duration>,
    pub(super) leading: bool,
    pub(super) dark: bool,
    pub(super) losses: Losses,
    pub(super) blind: bool,
    pub(super) flaps: Flaps,
    pub(super) turns: u64,
}

impl Sight {
    /// A network on which `me` gossips as `member`; `controllers` are all of them with their gossip addresses. `stagger` is
    /// that of its sweep beside those of the other networks.
    pub fn new(
        network: Network,
        member: gossip::identity::Member,
        controllers: BTreeMap<Uuid, SocketAddr>,
        hold: Duration,
        ceiling: Option<Ceiling>,
        stagger: Stagger,
        seed: u64,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let config = gossip::config::Config { ceiling, ..gossip::config::Config::lan(16) };
        Self {
            network,
            me: member.id,
            controllers,
            hold,
            group: Group::new(config, member, rng.next_u64()),
            sweep: Sweep::new(stagger, rng.next_u64()),
            witness: Witness::new(member.id, rng.next_u64()),
            rng,
            targets: BTreeMap::new(),
            cases: BTreeMap::new(),
            swept: BTreeMap::new(),
            next_judge: None,
            leading: false,
            dark: false,
            losses: Losses::new(seed),
            blind: false,
            flaps: Flaps::default(),
            turns: 0,
        }
    }

    /// Joins the group through these addresses.
    pub fn join(&mut self, now: Duration, seeds: &[SocketAddr], out: &mut Vec<Effect>) {
        let mut effects = Vec::new();
        self.group.join(now, seeds, &mut effects);
        self.take_group(now, effects, out, &mut Vec::new());
    }

    /// Says goodbye.
    pub fn leave(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let mut effects = Vec::new();
        self.group.leave(now, &mut effects);
        self.take_group(now, effects, out, &mut Vec::new());
    }

    /// The nodes to be swept: those that are enrolled and were not removed.
    pub fn set_targets<'a>(
        &mut self,
        now: Duration,
        nodes: impl Iterator<Item = (NodeId, SocketAddr, SocketAddr, &'a str, bool)>,
    ) {
        let mut named = Vec::new();
        for (node, ping, gossip, domain, serves) in nodes {
            named.push(node);
            let Some(known) = self.targets.get_mut(&node) else {
                self.sweep.add(now, node.0, ping);
                let (reach, why) = (Reach::Unknown, "never heard on this network".to_owned());
                let (domain, observers) = (domain.to_owned(), Vec::new());
                let (boot, since) = (None, now);
                let target =
                    Target { ping, gossip, domain, serves, boot, reach, since, why, observers };
                self.targets.insert(node, target);
                self.turns += 1;
                continue;
            };
            // Each entry that arms a node comes by here with all nodes: what is the same is left as it is.
            if known.ping != ping {
                self.sweep.add(now, node.0, ping);
                known.ping = ping;
            }
            if known.domain != domain {
                known.domain = domain.to_owned();
            }
            (known.gossip, known.serves) = (gossip, serves);
        }
        if named.len() == self.targets.len() {
            return;
        }
        self.turns += 1;
        let mut gone: BTreeSet<NodeId> = self.targets.keys().copied().collect();
        for node in &named {
            gone.remove(node);
        }
        for node in gone {
            self.sweep.remove(node.0);
            self.targets.remove(&node);
            self.cases.remove(&node);
            self.losses.forget(node);
            self.flaps.forget(node);
        }
    }

    /// A gossip datagram came in.
    pub fn packet(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Vec<Effect>,
        seen: &mut Vec<Seen>,
    ) {
        let mut effects = Vec::new();
        self.group.handle(now, group::Event::Packet { from, bytes }, &mut effects);
        self.take_group(now, effects, out, seen);
    }

    /// A pong came in.
    pub fn pong(
        &mut self,
        now: Duration,
        nonce: u64,
        id: Uuid,
        boot: Uuid,
        out: &mut Vec<Effect>,
        seen: &mut Vec<Seen>,
    ) {
        let mut effects = Vec::new();
        self.sweep.handle(now, sweep::Event::Pong { nonce, id, boot }, &mut effects);
        self.take_sweep(now, effects, out, seen);
        self.with_witness(now, witness::Event::Pong { nonce, id, boot }, out);
        let found = self.losses.pong(now, NodeId(id), nonce);
        self.note_found(now, NodeId(id), found, seen);
    }

    /// A sweep is over, another controller's or this one's.
    pub fn sweep_ended(&mut self, now: Duration, controller: Uuid, asked: u32, missed: u32) {
        self.swept.insert(controller, Swept { at: now, asked, missed });
    }

    /// Whether this controller leads: only a leader asks.
    pub fn lead(&mut self, now: Duration, leading: bool) {
        if self.leading != leading {
            self.leading = leading;
            self.cases.clear();
            self.losses.lead(now, leading);
            self.flaps.lead(leading);
            self.blind = false;
            self.next_judge = None;
        }
    }

    /// The time has come.
    pub fn timeout(&mut self, now: Duration, out: &mut Vec<Effect>, seen: &mut Vec<Seen>) {
        if due(self.group.poll_timeout(), now) {
            let mut effects = Vec::new();
            self.group.handle(now, group::Event::Timeout, &mut effects);
            self.take_group(now, effects, out, seen);
        }
        if due(self.sweep.poll_timeout(), now) {
            let mut effects = Vec::new();
            self.sweep.handle(now, sweep::Event::Timeout, &mut effects);
            self.take_sweep(now, effects, out, seen);
        }
        if due(self.witness.poll_timeout(), now) {
            self.with_witness(now, witness::Event::Timeout, out);
        }
        if due(self.losses.poll_timeout(), now) {
            self.ping_degraded(now, out);
        }
        if self.next_judge.is_some_and(|at| at <= now) {
            self.judge_all(now, out, seen);
        }
    }

    /// When [`Self::timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        let judge = self.next_judge.map(|at| (at, "judge suspects"));
        let own = first(first(self.witness.poll_timeout(), judge), self.losses.poll_timeout());
        first(first(self.group.poll_timeout(), self.sweep.poll_timeout()), own)
    }

    /// A node's reach here, and since when.
    pub fn reach(&self, node: NodeId) -> Option<(Reach, Duration)> {
        let target = self.targets.get(&node)?;
        if mutants::is_on(mutants::Mutant::M14)
            && self.group.members().any(|(m, s)| m.id == node.0 && s == group::State::Down)
        {
            return Some((Reach::Down, target.since));
        }
        Some(if self.dark { (Reach::Unknown, target.since) } else { (target.reach, target.since) })
    }

    /// How often [`Self::reach`] has changed, of whatever node.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Why a node's reach is what it is, and who says so.
    pub fn grounds(&self, node: NodeId) -> Option<(&str, &[Observer])> {
        let target = self.targets.get(&node)?;
        Some((&target.why, &target.observers))
    }

    /// Whether the observers who are asked now find a node down. One that was judged a while ago is watched no more: what
    /// they said then is no ground for a fence now ([`Self::ask_again`]).
    pub fn is_down_now(&self, node: NodeId) -> bool {
        self.cases.get(&node).is_some_and(Case::is_down)
    }

    /// Whether a case of any node is open.
    pub fn has_suspects(&self) -> bool {
        !self.cases.is_empty()
    }

    /// Whether any node is watched here: in a case of its own, or because a leader asked.
    pub fn watches(&self) -> bool {
        !self.cases.is_empty() || self.witness.suspects().next().is_some()
    }

    /// Whether a case of this node is open.
    pub fn is_suspect(&self, node: NodeId) -> bool {
        self.cases.contains_key(&node)
    }

    /// Whether the observers of an open case cannot reach this node now.
    pub fn is_silent(&self, node: NodeId) -> bool {
        self.cases.get(&node).is_some_and(Case::is_silent)
    }

    /// Sends a payload to a node's agent here.
    pub fn talk(&self, node: NodeId, channel: u8, bytes: &[u8], out: &mut Vec<Effect>) {
        if let Some(target) = self.targets.get(&node) {
            self.talk_to(target.gossip, channel, bytes, out);
        }
    }

    /// Spreads a broadcast until it is cancelled.
    pub fn broadcast(
        &mut self,
        now: Duration,
        key: u128,
        epoch: (u64, u64),
        bytes: &[u8],
        out: &mut Vec<Effect>,
    ) {
        let mut effects = Vec::new();
        // Stale or overlong broadcasts are refused: the newer one that is there, or no acceleration, is the consequence.
        let _ = self.group.broadcast(now, key, epoch, bytes, FENCE_EVENT_LIFE, &mut effects);
        self.take_group(now, effects, out, &mut Vec::new());
    }

    /// Ends a broadcast.
    pub fn cancel(&mut self, key: u128) {
        self.group.cancel(key);
    }

    /// Whether this controller's own last sweep was sound.
    pub fn is_sound(&self) -> bool {
        self.swept.get(&self.me).is_none_or(Swept::is_sound)
    }

    /// Controllers whose last sweep here is fresh and sound.
    pub fn sound_controllers(&self, now: Duration) -> usize {
        self.swept.values().filter(|swept| swept.has_voice(now)).count()
    }

    /// How the last sweep of this controller, or of another one, ended.
    pub fn swept(&self, controller: Uuid) -> Option<&Swept> {
        self.swept.get(&controller)
    }

    /// How often gossip had to wait here for its ceiling.
    pub fn put_off(&self) -> u64 {
        self.group.counters().put_off
    }

    /// Whether too few controllers see this network for any judgement.
    pub fn is_dark(&self) -> bool {
        self.dark
    }

    pub(super) fn talk_to(&self, to: SocketAddr, channel: u8, bytes: &[u8], out: &mut Vec<Effect>) {
        let mut payload = Vec::with_capacity(bytes.len() + 1);
        payload.push(channel);
        payload.extend_from_slice(bytes);
        let mut effects = Vec::new();
        if self.group.talk(to, &payload, &mut effects).is_ok() {
            effects.into_iter().for_each(|effect| self.send(effect, out));
        }
    }
}

/// Fence events are repeated by us until evidence is in; a copy elsewhere lives this long after the last repetition.
const FENCE_EVENT_LIFE: Duration = Duration::from_secs(60);

/// A controller whose last sweep missed more than 30 %, and more than one, has no voice.
fn is_sound(asked: u32, missed: u32) -> bool {
    mutants::is_on(mutants::Mutant::M16)
        || missed <= 1
        || u64::from(missed) * 10 <= u64::from(asked) * 3
}

/// The earlier of two timers. It is asked for after each event.
pub(crate) fn first(
    one: Option<(Duration, &'static str)>,
    other: Option<(Duration, &'static str)>,
) -> Option<(Duration, &'static str)> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
        (one, None) => one,
        (None, other) => other,
    }
}

fn due(timeout: Option<(Duration, &'static str)>, now: Duration) -> bool {
    timeout.is_some_and(|(at, _)| at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_misses_more_than_30_percent_has_no_voice() {
        assert!(is_sound(10, 3));
        assert!(!is_sound(10, 4));
        assert!(is_sound(2, 1));
        assert!(!is_sound(2, 2));
        assert!(is_sound(0, 0));
    }
}
