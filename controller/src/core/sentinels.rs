//! What this controller has heard of the nodes' sentinels, and what it answers them.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::lease::{Message, WatchdogState};
use fencing::{BootId, NodeId};
use mutants::{Mutant, is_on};

use crate::registry::Registry;

/// Challenges remembered per boot; one is fresh for L.
const CHALLENGES: usize = 4;

/// The last that was heard of a node's sentinel.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// Its boot.
    pub(super) boot: BootId,
    /// When its newest renewal came.
    pub(super) at: Duration,
    /// Sequence number of that renewal: an older one is a replay or came late.
    pub(super) seq: u64,
    /// Highest n that this boot reported.
    pub(super) n: u64,
    /// Its watchdog.
    pub(super) watchdog: WatchdogState,
    /// How long the node had been up then.
    pub(super) uptime: Duration,
    /// Its newest challenges, newest last.
    pub(super) challenges: Vec<u64>,
    /// When the crash kernel of this boot spoke last, unless the boot itself was heard after it.
    pub(super) crashed: Option<Duration>,
}

/// All sentinels.
#[derive(Clone, Debug, Default)]
pub(super) struct Sentinels {
    heard: BTreeMap<NodeId, Heard>,
    /// Newest sequence numbers of boots that are no longer the newest, to tell a packet of an old boot from a replay, and
    /// when they were heard last.
    older: BTreeMap<(NodeId, BootId), (u64, Duration)>,
}

/// What a renewal meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing: a replay, or an older one that came late.
    Stale,
    /// The boot that was heard before.
    Same,
    /// A boot that is heard for the first time here.
    NewBoot,
    /// A boot that gave way to a newer one speaks again.
    OldBoot,
}

impl Sentinels {
    /// Takes a renewal, signed by the node itself.
    pub(super) fn renewed(&mut self, now: Duration, node: NodeId, message: &Message) -> News {
        let Message::Renew { boot, seq, n, challenge, watchdog, uptime, .. } = message else {
            return News::Stale;
        };
        if let Some(last) = self.older.get_mut(&(node, *boot)) {
            if *seq <= last.0 {
                return News::Stale;
            }
            *last = (*seq, now);
            return News::OldBoot;
        }
        let fresh = || Heard {
            boot: *boot,
            at: now,
            seq: *seq,
            n: *n,
            watchdog: *watchdog,
            uptime: *uptime,
            challenges: vec![*challenge],
            crashed: None,
        };
        let Some(heard) = self.heard.get_mut(&node) else {
            self.heard.insert(node, fresh());
            return News::NewBoot;
        };
        if heard.boot != *boot {
            self.older.insert((node, heard.boot), (heard.seq, heard.at));
            *heard = fresh();
            return News::NewBoot;
        }
        if *seq < heard.seq {
            return News::Stale;
        }
        // The same renewal arrives once per network.
        if *seq > heard.seq {
            heard.challenges.push(*challenge);
            if heard.challenges.len() > CHALLENGES {
                heard.challenges.remove(0);
            }
        }
        (heard.at, heard.seq, heard.watchdog, heard.uptime) = (now, *seq, *watchdog, *uptime);
        heard.n = heard.n.max(*n);
        heard.crashed = None;
        News::Same
    }

    /// What is known of a node.
    pub(super) fn of(&self, node: NodeId) -> Option<&Heard> {
        self.heard.get(&node)
    }

    /// The crash kernel of the newest boot spoke, signed by the node itself.
    pub(super) fn crashed(&mut self, node: NodeId, now: Duration) {
        if let Some(heard) = self.heard.get_mut(&node) {
            heard.crashed = Some(now);
        }
    }

    /// When a boot that gave way to a newer one was heard last.
    pub(super) fn ended(&self, node: NodeId, boot: BootId) -> Option<Duration> {
        self.older.get(&(node, boot)).map(|(_, at)| *at)
    }

    /// All nodes that were heard.
    pub(super) fn all(&self) -> &BTreeMap<NodeId, Heard> {
        &self.heard
    }
}

/// Whether a controller may stand for this boot (rule 8): not while its own log, uncommitted tail included, holds an open
/// intent on the node, and never for a boot that was fenced.
pub(super) fn may_ack(
    registry: &Registry,
    intents_in_tail: &[(u64, NodeId)],
    node: NodeId,
    boot: BootId,
) -> bool {
    registry.node(node).is_some_and(|known| {
        (!registry.is_known_out(known) || is_on(Mutant::M06))
            && !known.was_fenced(boot)
            && intents_in_tail.iter().all(|(_, on)| *on != node)
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn renew(boot: u128, seq: u64) -> Message {
        Message::Renew {
            boot: BootId(Uuid::from_u128(boot)),
            seq,
            n: 0,
            challenge: seq,
            watchdog: WatchdogState::Absent,
            uptime: Duration::ZERO,
            piece: 0,
            times: fencing::lease::Profile::Fast.times(),
        }
    }

    #[test]
    fn a_packet_of_an_old_boot_is_told_from_its_replay() {
        let mut sentinels = Sentinels::default();
        let node = NodeId(Uuid::from_u128(1));
        let now = Duration::from_secs(1);
        let mut hear = |boot, seq| sentinels.renewed(now, node, &renew(boot, seq));
        assert_eq!(hear(10, 5), News::NewBoot);
        assert_eq!(hear(10, 6), News::Same);
        assert_eq!(hear(11, 1), News::NewBoot);
        assert_eq!(hear(10, 6), News::Stale);
        assert_eq!(hear(10, 7), News::OldBoot);
        assert_eq!(hear(11, 2), News::Same);
    }
}
