//! Rule 2: renewals. And while a controller has more of the log than fits one ack, a renewal to that one alone, sooner: a
//! machine that has just booted has adopted nothing, and with a thousand nodes it lacks more than a thousand changes.

use std::net::SocketAddr;
use std::time::Duration;

use fencing::ControllerId;
use fencing::lease::{Message, WatchdogState};
use rand::Rng as _;

use super::core::{Sentinel, everywhere};
use super::event::Effect;

/// From a part of the log to the asking for the next. Sooner: when all nodes of a large cluster boot at once, controllers do
/// little else than verify. Later: guests wait for their boot to be named.
const MORE_AFTER: Duration = Duration::from_millis(100);

/// Who has more of the log, and when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct More {
    pub(super) at: Duration,
    who: ControllerId,
    network: u8,
}

impl Sentinel {
    pub(super) fn renew(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if now < self.next_renewal {
            return;
        }
        self.next_renewal = now + self.times().renew_every;
        let message = self.renewal(now, self.log.furthest_missing_piece());
        let set = self.log.state().controllers();
        let pinned = self.pinned.iter().filter(|(id, _)| !set.contains_key(id));
        let pinned = pinned.map(|(_, pinned)| &pinned.addresses);
        let to = set.values().chain(pinned).flat_map(|addresses| everywhere(addresses)).collect();
        effects.push(Effect::Send { to, message });
    }

    /// A part of the log came, and its sender has more. One is asked at a time, for the pieces of two snapshots do
    /// not make one; and each node has a favourite, so that after a power failure of a whole site no controller gets all of it.
    pub(super) fn has_more(&mut self, now: Duration, who: ControllerId, network: u8) {
        let set = self.log.state().controllers();
        let place = self.node.0.as_u128() % set.len().max(1) as u128;
        let favourite = usize::try_from(place).ok().and_then(|place| set.keys().nth(place));
        if self.more.is_none_or(|more| more.who != who && favourite == Some(&who)) {
            self.more = Some(More { at: now + MORE_AFTER, who, network });
        }
    }

    /// Is lost like any datagram; the next ordinary renewal begins anew. It goes where the controller is known to listen: a
    /// datagram's source can be forged.
    pub(super) fn ask_for_more(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let Some(more) = self.more.filter(|more| more.at <= now) else { return };
        self.more = None;
        let Some(address) = self.address_of(more.who, more.network) else { return };
        let message = self.renewal(now, self.log.missing_piece(more.who));
        effects.push(Effect::Send { to: vec![(more.network, address)], message });
    }

    fn address_of(&self, controller: ControllerId, network: u8) -> Option<SocketAddr> {
        let adopted = self.log.state().controllers().get(&controller);
        let pinned = self.pinned.get(&controller).map(|pinned| &pinned.addresses);
        adopted.or(pinned)?.get(usize::from(network)).copied()
    }

    fn renewal(&mut self, now: Duration, piece: u16) -> Message {
        let times = self.times();
        let (seq, challenge) = (self.next_seq(now), self.rng.next_u64());
        self.lease.renewed(now, times.lease, seq, challenge);
        self.counters.renewals += 1;
        Message::Renew {
            boot: self.boot,
            seq,
            n: self.log.reportable(),
            challenge,
            watchdog: self.watchdog_state(),
            uptime: now.saturating_sub(self.booted_at),
            times,
            piece,
        }
    }

    fn watchdog_state(&self) -> WatchdogState {
        if self.hazards.is_empty() {
            self.device.state()
        } else {
            WatchdogState::Refused { hazards: self.hazards }
        }
    }
}
