//! What a network's group, sweep and witness have found, and what they want to be sent.

use std::net::SocketAddr;
use std::time::Duration;

use action_matrix::Reach;
use fencing::sent::Sent;
use fencing::{NodeId, census, checks, domains};
use gossip::group;
use gossip::sweep;
use gossip::witness::{self, Message, T_OBS};
use uuid::Uuid;

use super::WITNESS_CHANNEL;
use super::sight::{Seen, Sight};
use super::suspects::JUDGE_SOON;
use crate::effect::Effect;

impl Sight {
    pub(super) fn send(&self, effect: group::Effect, out: &mut Vec<Effect>) {
        if let group::Effect::Send { to, bytes } = effect {
            out.push(Effect::Gossip { network: self.network, to, bytes });
        }
    }

    pub(super) fn take_group(
        &mut self,
        now: Duration,
        effects: Vec<group::Effect>,
        out: &mut Vec<Effect>,
        seen: &mut Vec<Seen>,
    ) {
        for effect in effects {
            match effect {
                group::Effect::Send { .. } => self.send(effect, out),
                group::Effect::ProbeFailed { member } => self.suspect(now, member.id, out, seen),
                group::Effect::MemberDown(member) => self.suspect(now, member.id, out, seen),
                group::Effect::Talk { from, bytes } => self.talked(now, from, &bytes, out, seen),
                group::Effect::PutOff { count } => seen.push(Seen::PutOff(count)),
                group::Effect::MemberUp(_)
                | group::Effect::Renamed { .. }
                | group::Effect::Heard { .. } => {}
            }
        }
    }

    fn talked(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Vec<Effect>,
        seen: &mut Vec<Seen>,
    ) {
        let Some((&channel, body)) = bytes.split_first() else { return };
        if channel == census::CHANNEL {
            if let Ok(message) = postcard::from_bytes(body) {
                seen.push(Seen::Census(message));
            }
            return;
        }
        if channel == domains::CHANNEL {
            if let Ok((list, behind)) = postcard::take_from_bytes::<domains::List>(body)
                && self.targets.get(&list.node).is_some_and(|target| target.gossip == from)
            {
                let sent = Sent::behind(behind);
                seen.extend(sent.map(|sent| Seen::Sent(list.node, list.boot, sent)));
                seen.push(Seen::Listed(list));
            }
            return;
        }
        if channel == checks::CHANNEL {
            if let Ok(checks::Message::Report(report)) = postcard::from_bytes(body)
                && self.targets.get(&report.node).is_some_and(|target| target.gossip == from)
            {
                seen.push(Seen::Checks(report));
            }
            return;
        }
        match Message::parse(body).filter(|_| channel == WITNESS_CHANNEL) {
            Some(Message::Hint(hint)) => self.suspect(now, hint.suspect, out, seen),
            Some(Message::Watch(watch)) => {
                self.with_witness(now, witness::Event::Watch(watch), out)
            }
            Some(Message::Unwatch { ask }) => {
                self.with_witness(now, witness::Event::Unwatch { ask }, out);
            }
            Some(Message::Report(report)) => self.reported(now, report),
            None => {}
        }
    }

    pub(super) fn take_sweep(
        &mut self,
        now: Duration,
        effects: Vec<sweep::Effect>,
        out: &mut Vec<Effect>,
        seen: &mut Vec<Seen>,
    ) {
        for effect in effects {
            match effect {
                sweep::Effect::Ping { to, nonce } => {
                    out.push(Effect::Ping { network: self.network, to, nonce });
                }
                sweep::Effect::Missed { member } => {
                    self.note_missed(now, NodeId(member));
                    self.suspect(now, member, out, seen);
                }
                sweep::Effect::Answered { member, boot, unanswered } => {
                    self.answered(now, NodeId(member), boot, out, seen);
                    let found = self.losses.answered(now, NodeId(member), unanswered);
                    self.note_found(now, NodeId(member), found, seen);
                }
                sweep::Effect::Finished { asked, missed } => {
                    self.sweep_ended(now, self.me, asked, missed);
                    seen.push(Seen::Swept { asked, missed });
                    self.see_dark(now, seen);
                    self.see_blind(seen);
                    self.see_calm(now, seen);
                }
            }
        }
    }

    fn answered(
        &mut self,
        now: Duration,
        node: NodeId,
        boot: Uuid,
        out: &mut Vec<Effect>,
        seen: &mut Vec<Seen>,
    ) {
        let Some(target) = self.targets.get_mut(&node) else { return };
        target.boot = Some(boot);
        match target.reach {
            // One answer to one controller is enough to leave "never heard"; a node that was judged down needs a judge.
            Reach::Unknown => {
                self.turn(now, node, Reach::Up, "it answers", seen);
            }
            Reach::Down if mutants::is_on(mutants::Mutant::M77) => {}
            Reach::Down => self.suspect(now, node.0, out, seen),
            Reach::Up => {}
        }
    }

    /// A node's reach is another one from now on.
    pub(super) fn turn(
        &mut self,
        now: Duration,
        node: NodeId,
        reach: Reach,
        why: &str,
        seen: &mut Vec<Seen>,
    ) {
        let Some(target) = self.targets.get_mut(&node) else { return };
        (target.reach, target.since, target.why) = (reach, now, why.to_owned());
        self.losses.forget(node);
        self.turns += 1;
        seen.push(Seen::Reach(node, reach));
        self.note_turn(now, node, reach, seen);
    }

    /// From now on this network can, or cannot, be judged.
    pub(super) fn turn_dark(&mut self, dark: bool) {
        self.dark = dark;
        self.losses.end_all();
        self.turns += 1;
    }

    pub(super) fn with_witness(
        &mut self,
        now: Duration,
        event: witness::Event,
        out: &mut Vec<Effect>,
    ) {
        let mut effects = Vec::new();
        self.witness.handle(now, event, self.group.peers(), &mut effects);
        for effect in effects {
            match effect {
                witness::Effect::Ping { to, nonce } => {
                    out.push(Effect::Ping { network: self.network, to, nonce });
                }
                witness::Effect::Report(report) => {
                    self.reported(now, report);
                    let bytes = Message::Report(report).to_bytes();
                    let others = self.controllers.iter().filter(|(id, _)| **id != self.me);
                    for (_, to) in others {
                        self.talk_to(*to, WITNESS_CHANNEL, &bytes, out);
                    }
                }
            }
        }
    }

    fn reported(&mut self, now: Duration, report: witness::Report) {
        if report.asked_by == self.me
            && let Some(case) = self.cases.get_mut(&NodeId(report.suspect))
        {
            case.reported(now, report);
            if Duration::from_millis(u64::from(report.unanswered_ms)) >= T_OBS && !case.holds() {
                self.judge_by(now + JUDGE_SOON);
            }
        }
    }
}
