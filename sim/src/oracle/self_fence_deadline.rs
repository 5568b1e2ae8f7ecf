//! S4.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Oracle;
use crate::fact::Fact;
use crate::node::{Machine, Power};
use crate::place::{Place, node_id, node_number};
use crate::world::World;

/// S4: an armed boot that nobody stands for is over after a known time: at any
/// `t > max(base_c + L, base_v + C) + 3W(1+e)` it is reset; after K more its disks are quiet.
#[derive(Debug, Default)]
pub(super) struct SelfFenceDeadline {
    /// By their numbers.
    nodes: Vec<Stood>,
    judged: u64,
}

/// Who stood for a boot, by what was really sent.
#[derive(Debug, Default)]
struct Stood {
    boots: u32,
    /// Numbers and send times of renewals and asks, in the order of the numbers: that is the order in which they are sent.
    sent: VecDeque<(u64, Duration)>,
    /// Send time of the newest renewal that each controller acked.
    acked: BTreeMap<u8, Duration>,
    /// Send time of the newest ask that each voter vouched for.
    vouched: BTreeMap<u16, Duration>,
}

/// Renewals and asks that are remembered: a lease's worth of each profile.
const REMEMBERED: usize = 512;

impl Oracle for SelfFenceDeadline {
    fn name(&self) -> &'static str {
        "self_fence_deadline"
    }

    fn promise(&self) -> &'static str {
        "a node for which neither controllers nor peers stand is off after a known time"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Renewed { node, seq, .. } | Fact::Asked { node, seq } => {
                let stood = self.stood(world, *node);
                stood.send(*seq, world.now());
                Ok(())
            }
            Fact::Acked { controller, node, boot, seq } => {
                let number = node_number(*node);
                if world.node(number).is_some_and(|node| node.boot() == *boot) {
                    let stood = self.stood(world, number);
                    if let Some(at) = stood.sent_at(*seq) {
                        let newest = stood.acked.entry(*controller).or_default();
                        *newest = at.max(*newest);
                    }
                }
                Ok(())
            }
            Fact::Vouched { voter, node, seq } => {
                let stood = self.stood(world, *node);
                if let Some(at) = stood.sent_at(*seq) {
                    let newest = stood.vouched.entry(*voter).or_default();
                    *newest = at.max(*newest);
                }
                Ok(())
            }
            Fact::Second => world.nodes.iter().try_for_each(|node| self.judge_node(world, node)),
            Fact::GuestStarted { .. }
            | Fact::Applied { .. }
            | Fact::Intended { .. }
            | Fact::Proven { .. }
            | Fact::OffArrived { .. }
            | Fact::Called { .. }
            | Fact::GateOpened { .. }
            | Fact::BmcAsked { .. }
            | Fact::Obeyed { .. }
            | Fact::Adopted { .. }
            | Fact::Ended { .. }
            | Fact::Ordered { .. }
            | Fact::Answered { .. }
            | Fact::Told { .. }
            | Fact::WriteFailed { .. }
            | Fact::Reset { .. }
            | Fact::Halted { .. } => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl SelfFenceDeadline {
    fn stood(&mut self, world: &World, number: u16) -> &mut Stood {
        let boots = world.node(number).map_or(0, |node| node.boots);
        let place = usize::from(number);
        if self.nodes.len() <= place {
            self.nodes.resize_with(place + 1, Stood::default);
        }
        let stood = &mut self.nodes[place];
        if stood.boots != boots {
            *stood = Stood { boots, ..Stood::default() };
        }
        stood
    }

    fn judge_node(&mut self, world: &World, node: &Machine) -> Result<(), String> {
        // A device that was closed because of a committed DISARMED resets nobody: that is what disarming is for.
        let known = world.registry().and_then(|registry| registry.node(node_id(node.number)));
        let armed = known.and_then(|known| known.armed).map(|arming| arming.boot);
        let guarded = node.watchdog.fed().is_some() || armed == Some(node.boot());
        if node.power != Power::Running || !guarded {
            return Ok(());
        }
        if world.ghost.lied_about.contains(&node.number) {
            return Ok(());
        }
        self.judged += 1;
        let times = world.plan().profile.times();
        let needed = world.seats.len() / 2 + 1;
        let stood = self.stood(world, node.number);
        let base_c = nth_newest(&stood.acked, needed);
        // 3W(1+e). K, which the promise adds, is for disks to become quiet: power ends before.
        let drift = (times.lease + times.watchdog * 3) / 1000;
        let slack = times.watchdog * 33 / 10 + drift;
        if base_c.is_some_and(|base| world.now() <= base + times.lease + slack) {
            // Whatever its peers say, they can only give it more.
            return Ok(());
        }
        // By the log that its sentinel has adopted, or had when it died.
        let adopted = node.sentinel.core.as_ref().map(|core| core.adopted());
        let adopted = adopted.or(node.kept.as_ref().map(|kept| &kept.adopted));
        let others = adopted.map_or(0, |adopted| {
            adopted.each_voter().filter(|(id, _)| node_number(*id) != node.number).count()
        });
        let vouches = others.div_ceil(2);
        if vouches == 0 {
            return Ok(());
        }
        let base_v = nth_newest(&stood.vouched, vouches);
        let until = [base_c.map(|b| b + times.lease), base_v.map(|b| b + times.vouch)];
        let Some(until) = until.into_iter().flatten().max() else { return Ok(()) };
        let deadline = until + slack;
        if world.now() > deadline {
            let late = world.now().saturating_sub(deadline);
            return Err(format!(
                "{} runs on {late:.1?} after its deadline",
                Place::Node(node.number)
            ));
        }
        Ok(())
    }
}

impl Stood {
    fn send(&mut self, seq: u64, now: Duration) {
        match self.sent.back() {
            Some((newest, _)) if seq <= *newest => match self.place(seq) {
                Ok(known) => self.sent[known].1 = now,
                Err(place) => self.sent.insert(place, (seq, now)),
            },
            Some(_) | None => self.sent.push_back((seq, now)),
        }
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
    }

    fn sent_at(&self, seq: u64) -> Option<Duration> {
        // Most are answered at once.
        let newest = self.sent.back().filter(|(newest, _)| *newest == seq);
        let known = newest.or_else(|| self.sent.get(self.place(seq).ok()?));
        known.map(|(_, at)| *at)
    }

    fn place(&self, seq: u64) -> Result<usize, usize> {
        self.sent.binary_search_by_key(&seq, |(seq, _)| *seq)
    }
}

fn nth_newest<K>(times: &BTreeMap<K, Duration>, n: usize) -> Option<Duration> {
    let mut newest: Vec<Duration> = times.values().copied().collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    newest.get(n.checked_sub(1)?).copied()
}
