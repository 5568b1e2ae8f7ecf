//! Rules 3 to 7 at the node: who stands for it, the feed, the reset, the device.

use fencing::lease::vouches_needed;

use super::log::{majority, members};
use super::state::{Feeding, Late, Life, NEVER, Node, State};
use super::{CONTROLLERS, LEASE, Lease, Mutant, QUIET, VOTERS, VOUCH, WATCHDOG};

/// The `nth` smallest age, counted from 1.
pub(super) fn nth_youngest(ages: impl Iterator<Item = u8>, nth: usize) -> u8 {
    let mut sorted = [NEVER; CONTROLLERS];
    sorted.iter_mut().zip(ages).for_each(|(place, age)| *place = age);
    sorted.sort_unstable();
    nth.checked_sub(1).and_then(|place| sorted.get(place).copied()).unwrap_or(NEVER)
}

/// A tick later; [`NEVER`] beyond `most`.
fn older(age: u8, most: u8) -> u8 {
    if age >= most { NEVER } else { age + 1 }
}

impl Lease {
    /// Whether a majority of the controllers stands for the node, as it believes.
    pub(super) fn has_lease(&self, s: &State) -> bool {
        let set = s.log.at(s.node.n).set;
        let quorum = if self.breaks(Mutant::AnyAck) { 1 } else { majority(set) };
        let base = nth_youngest(members(set).map(|c| s.node.believes_acked[c]), quorum);
        base != NEVER
    }

    /// Whether half of the other voters stand for the node, as it believes.
    pub(super) fn is_vouched_for(&self, s: &State) -> bool {
        self.vouched_by(s, &s.node.believes_vouched, u8::from(self.breaks(Mutant::OneVouchLess)))
    }

    pub(super) fn stands(&self, s: &State) -> bool {
        self.has_lease(s) || self.is_vouched_for(s)
    }

    /// base_c as an age, by the true send times.
    pub(super) fn true_lease_base(&self, s: &State) -> u8 {
        let set = s.log.at(s.node.n).set;
        nth_youngest(members(set).map(|c| s.node.acked[c]), majority(set))
    }

    fn truly_stands(&self, s: &State) -> bool {
        self.true_lease_base(s) != NEVER || self.vouched_by(s, &s.node.vouched, 0)
    }

    fn vouched_by(&self, s: &State, vouched: &[u8; VOTERS], less: u8) -> bool {
        let version = s.log.at(s.node.n);
        if !version.armed {
            return false;
        }
        let of = |voter: &usize| version.voters[*voter].is_some();
        let others = (0..VOTERS).filter(of).count();
        let needed = vouches_needed(others).saturating_sub(usize::from(less));
        needed == 0 || nth_youngest((0..VOTERS).filter(of).map(|v| vouched[v]), needed) != NEVER
    }

    /// Notes that somebody stands for the node, by true ages.
    pub(super) fn note_standing(&self, s: &mut State) {
        if s.node.life == Life::Up && self.truly_stands(s) {
            s.node.over = 0;
        }
    }

    /// Time goes on at the node.
    pub(super) fn node_tick(&self, s: &mut State) {
        match s.node.life {
            Life::Up if s.node.fed != NEVER && s.node.fed >= WATCHDOG => {
                let version = s.log.at(s.node.n);
                // A sentinel that holds the device and stalls cannot be helped; one that runs without it could.
                let knows = version.held && !version.armed && !version.open;
                s.node.reset_though_disarmed = knows && !s.node.open;
                self.die(s, QUIET.checked_sub(1).map_or(Life::Off, Life::Dying));
            }
            Life::Up => {
                let node = &mut s.node;
                if node.fed != NEVER {
                    node.fed += 1;
                }
                for ages in [&mut node.acked, &mut node.believes_acked] {
                    ages.iter_mut().for_each(|age| *age = older(*age, LEASE));
                }
                for ages in [&mut node.vouched, &mut node.believes_vouched] {
                    ages.iter_mut().for_each(|age| *age = older(*age, VOUCH));
                }
            }
            Life::Dying(left) => {
                s.node.life = left.checked_sub(1).map_or(Life::Off, Life::Dying);
                if s.node.life == Life::Off {
                    self.die(s, Life::Off);
                }
            }
            Life::Off => {}
        }
        let armed = s.log.at(s.committed).armed;
        if s.node.life == Life::Off || !armed {
            s.node.over = 0;
        } else {
            s.node.over = (s.node.over + 1).min(3 * WATCHDOG + QUIET + 1);
        }
        for late in &mut s.late {
            *late = match *late {
                Late::Ack(of, age) if age < LEASE => Late::Ack(of, age + 1),
                Late::Vouch(of, age) if age < VOUCH => Late::Vouch(of, age + 1),
                Late::Ack(..) | Late::Vouch(..) => Late::Nothing,
                Late::Nothing | Late::Report(..) | Late::Renewal(..) => *late,
            };
        }
        self.note_standing(s);
    }

    /// The sentinel resets the machine.
    pub(super) fn reset(&self, s: &mut State) {
        self.die(s, Life::Dying(QUIET));
    }

    fn die(&self, s: &mut State, life: Life) {
        let over = if life == Life::Off { 0 } else { s.node.over };
        let n = if life == Life::Off { 0 } else { s.node.n };
        let reset_though_disarmed = s.node.reset_though_disarmed;
        s.node = Node { life, over, n, reset_though_disarmed, ..NOTHING };
        for late in &mut s.late {
            if matches!(late, Late::Ack(..) | Late::Vouch(..)) {
                *late = Late::Nothing;
            }
        }
    }

    /// The sentinel finds that somebody stands for its node.
    pub(super) fn checks(s: &mut State) {
        (s.node.feeding, s.node.drilled) = (Feeding::Checked, false);
    }

    /// The clock is read again after a feed; no longer valid is the end. A drill leaves that to the device.
    pub(super) fn reread(&self, s: &mut State) {
        s.node.feeding = Feeding::Idle;
        if !self.stands(s) && !s.node.drilled {
            self.reset(s);
        }
    }

    /// The sentinel is killed: the kernel feeds when it closes the device without magic. The next one knows no ack.
    pub(super) fn kill(&self, s: &mut State) {
        let Node { life, fed, over, n, reset_though_disarmed, open, .. } = s.node;
        let fed = if open { 0 } else { fed };
        let drilled = s.log.at(n).drill;
        s.node = Node { life, fed, over, n, reset_though_disarmed, drilled, ..NOTHING };
        for late in &mut s.late {
            if matches!(late, Late::Ack(..) | Late::Vouch(..)) {
                *late = Late::Nothing;
            }
        }
    }

    /// Adopts committed entries; its own name in Open is the end, by its own hand or, in a drill, by its device's.
    pub(super) fn node_adopts(&self, s: &mut State, n: u8) {
        s.node.n = n;
        let own = s.log.at(n);
        if own.open && !own.drill {
            return self.reset(s);
        }
        s.node.drilled |= own.drill;
        self.note_standing(s);
    }

    /// An ack of a renewal of that age arrives.
    pub(super) fn acked(&self, s: &mut State, controller: usize, age: u8) {
        let believed = if self.breaks(Mutant::LeaseFromReceipt) { 0 } else { age };
        let node = &mut s.node;
        node.acked[controller] = node.acked[controller].min(age);
        node.believes_acked[controller] = node.believes_acked[controller].min(believed);
        self.note_standing(s);
    }

    /// A vouch for an ask of that age arrives.
    pub(super) fn vouched(&self, s: &mut State, voter: usize, age: u8) {
        let believed = if self.breaks(Mutant::VouchFromReceipt) { 0 } else { age };
        let node = &mut s.node;
        node.vouched[voter] = node.vouched[voter].min(age);
        node.believes_vouched[voter] = node.believes_vouched[voter].min(believed);
        self.note_standing(s);
    }
}

/// A node of which nothing is known.
pub(super) const NOTHING: Node = Node {
    life: Life::Off,
    open: false,
    fed: NEVER,
    feeding: Feeding::Idle,
    acked: [NEVER; CONTROLLERS],
    believes_acked: [NEVER; CONTROLLERS],
    vouched: [NEVER; VOTERS],
    believes_vouched: [NEVER; VOTERS],
    over: 0,
    n: 0,
    reset_though_disarmed: false,
    drilled: false,
};
