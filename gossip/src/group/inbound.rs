//! What comes in from the network. Every byte may be a lie of somebody who holds the cluster key:
//! it is bounded, parsed or dropped, and can at most mislead a hint.

use std::net::SocketAddr;
use std::time::Duration;

use super::allowance::Errand;
use super::exchange::{self, Item, Opening, Record, Step, Told, Wire};
use super::names::Read;
use super::{Effect, Group};
use crate::packet::{Kind, MAX_BROADCAST, MAX_PLAIN, MAX_TALK};

/// Members known at most: above, packets that could add more are refused. 5,000 nodes, their controllers, and some that are
/// dead and not forgotten yet.
const MAX_MEMBERS: usize = 5500;

/// Full states sent within a second. An answer is larger than its question, and a question can be
/// replayed by somebody without the key.
const MAX_ANSWERS: u32 = 50;

/// For so long after the first answer to a join, what we learn is news to nobody else.
const LEARNING: Duration = Duration::from_secs(5);

impl Group {
    pub(super) fn receive(
        &mut self,
        now: Duration,
        from: SocketAddr,
        packet: &[u8],
        out: &mut Vec<Effect>,
    ) {
        if packet.len() > MAX_PLAIN {
            self.side.counters.malformed += 1;
            return;
        }
        match Kind::split(packet) {
            Some((Kind::Swim, body)) if self.has_room() => {
                self.with_swim(now, out, |swim, run| swim.handle_data(body, run));
            }
            Some((Kind::Brief, body)) if self.has_room() => self.hear_brief(now, from, body, out),
            Some((Kind::Exchange, body)) if self.has_room() => self.hear_state(now, body, out),
            Some((Kind::Swim | Kind::Brief | Kind::Exchange, _)) => {
                self.side.counters.overfull += 1
            }
            Some((Kind::Spread, body)) => self.hear_spread(now, body, out),
            Some((Kind::Talk, body)) if body.len() <= MAX_TALK => {
                out.push(Effect::Talk { from, bytes: body.to_vec() });
            }
            Some((Kind::Stranger, body)) if self.side.names.hear_stranger(body) => {}
            Some((Kind::Talk | Kind::Stranger, _)) | None => self.side.counters.malformed += 1,
        }
    }

    fn hear_brief(&mut self, now: Duration, from: SocketAddr, body: &[u8], out: &mut Vec<Effect>) {
        match self.side.names.read(body) {
            Read::Whole(data) => {
                self.with_swim(now, out, |swim, run| swim.handle_data(&data, run));
            }
            // Foca, too, drops what is not for the identity that it has.
            Read::NotOurs => {}
            // It is shorter than what it answers: nobody gains by having it sent elsewhere.
            Read::Stranger(bytes) => {
                self.side.counters.strangers += 1;
                self.side.send(now, from, bytes, out);
            }
            Read::Malformed => self.side.counters.malformed += 1,
        }
    }

    fn has_room(&self) -> bool {
        self.swim.iter_membership_state().len() <= MAX_MEMBERS
    }

    fn hear_state(&mut self, now: Duration, body: &[u8], out: &mut Vec<Effect>) {
        let Ok((opening, mut rest)) = postcard::take_from_bytes::<Opening>(body) else {
            self.side.counters.malformed += 1;
            return;
        };
        if opening.from.id == self.me().id {
            self.hear_of_ourselves(opening.from.generation);
            self.side.counters.from_ourselves += 1;
            return;
        }
        let sender =
            Record { member: opening.from, incarnation: opening.incarnation, state: Wire::Alive };
        match opening.step {
            Step::Ask { digest } => {
                self.apply(now, &[sender], true, out);
                if digest != self.digest(now) {
                    self.answer(now, &opening, true, out);
                }
            }
            Step::Piece { answer } => {
                let mut records = vec![sender];
                while let Some(item) = exchange::next_item(&mut rest) {
                    match item {
                        Item::Record(record) => records.push(record),
                        Item::Told(told) => self.hear(now, &told, out),
                    }
                }
                if !rest.is_empty() {
                    self.side.counters.malformed += 1;
                }
                let until = *self.learning_until.get_or_insert(now + LEARNING);
                self.apply(now, &records, now > until, out);
                if std::mem::take(&mut self.side.defunct) {
                    // First the new identity, so that the answer below already carries it.
                    self.renew_soon(now, out);
                }
                if answer {
                    self.answer(now, &opening, false, out);
                }
            }
        }
    }

    /// The answer goes to the address inside the sealed packet, never to where the datagram came
    /// from: a replay with a forged source would aim it at somebody else.
    fn answer(&mut self, now: Duration, to: &Opening, ask: bool, out: &mut Vec<Effect>) {
        if now.saturating_sub(self.answers.0) >= Duration::from_secs(1) {
            self.answers = (now, 0);
        }
        if self.answers.1 >= MAX_ANSWERS {
            self.side.counters.unanswered_asks += 1;
            return;
        }
        self.answers.1 += 1;
        self.errand(now, Errand::State { to: to.from.addr, ask }, out);
    }

    fn apply(&mut self, now: Duration, records: &[Record], news: bool, out: &mut Vec<Effect>) {
        let me = self.me().id;
        for record in records.iter().filter(|record| record.member.id == me) {
            self.hear_of_ourselves(record.member.generation);
        }
        let wanted = records.iter().filter(|record| self.tells_something(record));
        let updates: Vec<_> = wanted.map(Record::update).collect();
        self.with_swim(now, out, |swim, run| swim.apply_many(updates.into_iter(), news, run));
    }

    /// That somebody whom we never knew is dead tells nothing. It would only keep the memory of the
    /// long gone alive for ever, handed on from member to member.
    fn tells_something(&self, record: &Record) -> bool {
        record.state != Wire::Down
            || record.member.id == self.me().id
            || self.swim.iter_membership_state().any(|known| known.id().id == record.member.id)
    }

    fn hear_spread(&mut self, now: Duration, body: &[u8], out: &mut Vec<Effect>) {
        let mut rest = body;
        while let Some(item) = exchange::next_item(&mut rest) {
            match item {
                Item::Told(told) => self.hear(now, &told, out),
                Item::Record(_) => self.side.counters.malformed += 1,
            }
        }
        if !rest.is_empty() {
            self.side.counters.malformed += 1;
        }
    }

    fn hear(&mut self, now: Duration, told: &Told<'_>, out: &mut Vec<Effect>) {
        if told.bytes.len() > MAX_BROADCAST {
            self.side.counters.malformed += 1;
            return;
        }
        // Checked only when it is news: a signature costs more than a look into a table.
        let news = !self.spread.knows(told.key, told.epoch);
        if news && self.check.as_ref().is_some_and(|check| !check(told.key, told.epoch, told.bytes))
        {
            self.side.counters.forged_broadcasts += 1;
            return;
        }
        let quick = self.quick_rounds();
        if self.spread.hear(now, *told, quick) {
            let bytes = told.bytes.to_vec();
            out.push(Effect::Heard { key: told.key, epoch: told.epoch, bytes });
            if told.key == self.me().id.as_u128() {
                // It is about us: we stand in nobody's order, and whoever began it tells us each time.
                self.spread.expect(told.key, 0);
            } else {
                let onward = self.onward(told);
                self.spread.expect(told.key, onward.copies());
                self.tell(now, told, &onward, false, out);
            }
            self.wake_spread();
        }
    }
}
