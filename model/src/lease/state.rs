//! A state of the lease model. Voters are alike, and so are controllers: states that differ by their order alone are one
//! state to the search ([`State`]'s `Hash`), while each keeps its names for the story.

use std::hash::{Hash, Hasher};

use super::log::Log;
use super::{CONTROLLERS, VOTERS};

/// An age that says "never", or "too old to matter".
pub(super) const NEVER: u8 = u8::MAX;

/// Nobody leads.
pub(super) const NOBODY: u8 = u8::MAX;

/// A state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// The node that may be fenced, with its sentinel.
    pub node: Node,
    /// Its peers.
    pub voters: [Voter; VOTERS],
    /// The controllers.
    pub controllers: [Controller; CONTROLLERS],
    /// The longest log that can still be committed; every controller holds a prefix.
    pub log: Log,
    /// Committed prefix length.
    pub committed: u8,
    /// Ticks since the intent was committed, by true time.
    pub intent_age: u8,
    /// Who evaluates.
    pub leader: Leader,
    /// Packets that were held up.
    pub late: [Late; 2],
    /// Faults that are left.
    pub left: Left,
    /// Voters differ by what the bounds say of them, so their order counts.
    pub ordered: bool,
}

/// The node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    /// Whether it runs.
    pub life: Life,
    /// Whether its sentinel holds the device open.
    pub open: bool,
    /// Ticks since the device was fed; [`NEVER`] while it is not armed.
    pub fed: u8,
    /// How far the sentinel is with its next feed.
    pub feeding: Feeding,
    /// Age of the newest renewal that each controller acked.
    pub acked: [u8; CONTROLLERS],
    /// The same, as the node believes it.
    pub believes_acked: [u8; CONTROLLERS],
    /// Age of the newest ask that each voter vouched for.
    pub vouched: [u8; VOTERS],
    /// The same, as the node believes it.
    pub believes_vouched: [u8; VOTERS],
    /// Ticks since anybody stood for it, by true ages.
    pub over: u8,
    /// n.
    pub n: u8,
    /// Its watchdog fired although its sentinel knew that it is disarmed, and did not hold the device.
    pub reset_though_disarmed: bool,
    /// Its sentinel has read of a drill, and nobody has stood for the node since that was given up.
    pub drilled: bool,
}

/// Check, feed, and the clock read again: the sentinel may stall between any two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Feeding {
    /// Neither.
    Idle,
    /// The check has passed; the feed may come late.
    Checked,
    /// It has fed, or opened the device, and has not read the clock again.
    Fed,
}

/// Whether the node can write to its disks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Life {
    /// It runs.
    Up,
    /// It was reset and is not quiet for this many ticks more.
    Dying(u8),
    /// It is off.
    Off,
}

/// A peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Voter {
    /// Its boot.
    pub boot: u8,
    /// n that it goes by.
    pub n: u8,
    /// n that it reports.
    pub reports: u8,
}

/// A controller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Controller {
    /// Length of its log.
    pub held: u8,
    /// It was restarted since the intent was committed: it does not know when that was.
    pub restarted: bool,
    /// It forgot what it promised (a mutant).
    pub forgot: bool,
}

/// The evaluating leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Leader {
    /// Who leads, or [`NOBODY`].
    pub who: u8,
    /// An entry of its own term is committed.
    pub begun: bool,
    /// Ticks since T0 on its clock.
    pub t0: u8,
    /// Ticks since each voter's promise in each boot was heard, on its clock.
    pub promised: [[u8; 2]; VOTERS],
    /// VERIFY's prefix length; 0 while there is none of this leader.
    pub verify: u8,
    /// Who promised early enough for VERIFY, a bit for each voter and boot.
    pub promisers: u8,
    /// Who of them was heard past VERIFY.
    pub verified: u8,
    /// Highest n that the node reported.
    pub heard: u8,
}

/// A packet that was held up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Late {
    /// None.
    Nothing,
    /// A controller's ack of a renewal of this age.
    Ack(u8, u8),
    /// A voter's vouch for an ask of this age.
    Vouch(u8, u8),
    /// A voter's report: voter, boot, n.
    Report(u8, u8, u8),
    /// The node's renewal: whether the device is open, n.
    Renewal(bool, u8),
}

/// Faults and events that are left.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Left {
    /// Reboots of voters.
    pub reboots: u8,
    /// Elections.
    pub elections: u8,
    /// Restarts of controllers.
    pub restarts: u8,
    /// Kills of the node's sentinel.
    pub kills: u8,
    /// Ticks by which the leader's clock may yet run ahead.
    pub ahead: u8,
    /// Changes of the registry that the bounds name and that are made.
    pub changes: u8,
    /// Disarms of the node.
    pub disarms: u8,
    /// Drills of its watchdog.
    pub drills: u8,
    /// Intents and drills that are given up.
    pub cancels: u8,
}

/// Bit of a voter's boot.
pub(super) fn bit(voter: usize, boot: u8) -> u8 {
    1 << (voter * 2 + usize::from(boot))
}

impl State {
    fn voter_key(&self, voter: usize) -> u128 {
        let Voter { boot, n, reports } = self.voters[voter];
        let node = &self.node;
        let mut key = Key(0);
        for byte in [boot, n, reports, node.vouched[voter], node.believes_vouched[voter]] {
            key.add(byte);
        }
        let leader = &self.leader;
        leader.promised[voter].iter().for_each(|age| key.add(*age));
        let bits = |mask: u8| mask >> (voter * 2) & 3;
        key.add(bits(leader.promisers) << 2 | bits(leader.verified));
        let mut of_voter: Slots = [0; 2];
        for (slot, late) in of_voter.iter_mut().zip(self.late) {
            *slot = match late {
                Late::Vouch(of, age) if usize::from(of) == voter => 0x40 | (age & 0x1f),
                Late::Report(of, boot, n) if usize::from(of) == voter => 0x80 | boot << 5 | n,
                Late::Vouch(..)
                | Late::Report(..)
                | Late::Nothing
                | Late::Ack(..)
                | Late::Renewal(..) => 0,
            };
        }
        of_voter.sort_unstable();
        of_voter.iter().for_each(|byte| key.add(*byte));
        key.0
    }

    fn controller_key(&self, controller: usize) -> u128 {
        let Controller { held, restarted, forgot } = self.controllers[controller];
        let mut key = Key(0);
        let leads = usize::from(self.leader.who) == controller;
        key.add(held << 3 | u8::from(restarted) << 2 | u8::from(forgot) << 1 | u8::from(leads));
        key.add(self.node.acked[controller]);
        key.add(self.node.believes_acked[controller]);
        let mut of_controller: Slots = [0; 2];
        for (slot, late) in of_controller.iter_mut().zip(self.late) {
            *slot = match late {
                Late::Ack(of, age) if usize::from(of) == controller => 0x40 | (age & 0x1f),
                Late::Ack(..)
                | Late::Vouch(..)
                | Late::Report(..)
                | Late::Nothing
                | Late::Renewal(..) => 0,
            };
        }
        of_controller.sort_unstable();
        of_controller.iter().for_each(|byte| key.add(*byte));
        key.0
    }
}

/// What is held up of one sender.
type Slots = [u8; 2];

struct Key(u128);

impl Key {
    fn add(&mut self, byte: u8) {
        self.0 = self.0 << 8 | u128::from(byte);
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut voters: [u128; VOTERS] = std::array::from_fn(|voter| self.voter_key(voter));
        let mut controllers: [u128; CONTROLLERS] =
            std::array::from_fn(|controller| self.controller_key(controller));
        if !self.ordered {
            voters.sort_unstable();
            controllers.sort_unstable();
        }
        voters.iter().chain(&controllers).for_each(|key| hasher.write_u128(*key));
        let Node { life, open, fed, feeding, over, n, reset_though_disarmed, drilled, .. } =
            self.node;
        let life = match life {
            Life::Up => 0,
            Life::Dying(left) => 1 + left,
            Life::Off => NEVER,
        };
        let Leader { who, begun, t0, verify, heard, .. } = self.leader;
        let mut rest = Key(0);
        for byte in [
            life,
            u8::from(drilled) << 3
                | u8::from(reset_though_disarmed) << 2
                | u8::from(open) << 6
                | feeding as u8,
            fed,
            over,
            n,
            self.committed,
            self.intent_age,
            u8::from(who == NOBODY) << 1 | u8::from(begun),
            t0,
            verify,
            heard,
        ] {
            rest.add(byte);
        }
        hasher.write_u128(rest.0);
        self.log.hash(hasher);
        self.left.hash(hasher);
        let mut renewals = self.late.map(|late| match late {
            Late::Renewal(open, n) => 1 + (u8::from(open) << 4 | n),
            Late::Nothing | Late::Ack(..) | Late::Vouch(..) | Late::Report(..) => 0,
        });
        renewals.sort_unstable();
        renewals.hash(hasher);
    }
}
