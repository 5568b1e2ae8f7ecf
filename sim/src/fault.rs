//! What can be done to a world from outside: by a scenario's author, or by an exploration's dice.

use std::fmt;
use std::time::Duration;

use controller::effect::Network;
use uuid::Uuid;

use crate::bmc::Behaviour;
use crate::node::Kind;
use crate::place::Place;
use crate::seat::{DiskFault, Trap};
use crate::wire::Way;
use crate::world::{Finds, World};

/// Something that is done to the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// A link is cut, in one direction or both.
    Cut(Place, Network, Option<Way>),
    /// A link is whole again.
    Heal(Place, Network),
    /// So many of a thousand datagrams of a link are lost.
    Lossy(Place, Network, u32),
    /// Datagrams on a link take so much longer, in one direction.
    Delay(Place, Network, Way, Duration),
    /// So many of a thousand datagrams are lost everywhere.
    Background(u32),
    /// So many of a thousand datagrams of a link arrive twice.
    Twice(Place, Network, u32),
    /// Datagrams of a link take up to so much longer, and overtake each other.
    Jitter(Place, Network, Duration),
    /// The first no longer receives what the second sends.
    Deaf(Place, Place, Network),
    /// A switch port goes down and up again, each time for so long.
    Flap(Place, Network, Duration),
    /// These machines reach each other and nobody else, Nova and the BMCs included; none: it is over.
    Island(Vec<Place>),
    /// A whole network goes down or comes back.
    Dark(Network, bool),
    /// Two controllers no longer reach each other, or do again.
    Split(u8, u8, bool),
    /// Two machines no longer reach each other on a network, or do again.
    Apart(Place, Place, Network, bool),
    /// A controller's disk does not take the next write.
    DiskFails(u8),
    /// A user has a VM migrated, live.
    UserMigrates(Uuid),
    /// An operator has a VM evacuated by hand, wherever Nova likes.
    UserEvacuates(Uuid),
    /// The guest of a VM dies as soon as it starts anywhere, and nobody tells Nova.
    GuestDies(Uuid),
    /// The guest of a VM dies wherever it runs, and nobody tells Nova.
    GuestCrashes(Uuid),
    /// Somebody starts the guest of a VM here, past Nova.
    GuestByHand(Uuid, u16),
    /// Whoever started that guest of a VM here ends it, if it is still there.
    GuestEndedByHand(Uuid, u16),
    /// A node loses its power; with its feed, its BMC too.
    PowerOff(u16, bool),
    /// A node's power and feed are back, and it boots.
    PowerOn(u16),
    /// A BMC of this level behaves so.
    Bmc(u16, u8, Behaviour),
    /// A node's kernel hangs.
    Hang(u16),
    /// A node's kernel crashes, and its crash kernel says so.
    Crash(u16),
    /// It crashes, and its crash kernel writes a dump for so long.
    Dump(u16, Duration),
    /// It goes on.
    Unhang(u16),
    /// A node's sentinel is stopped, for a time or until it is resumed.
    StallSentinel(u16, Option<Duration>),
    /// It stops between its next check and the feed.
    StallAtFeed(u16, Duration),
    /// It stops between its next feed and the look at the clock that follows.
    StallAfterFeed(u16, Duration),
    /// It goes on.
    ResumeSentinel(u16),
    /// A node's sentinel is killed.
    KillSentinel(u16),
    /// And started again.
    StartSentinel(u16),
    /// A node's agent is stopped.
    StallAgent(u16, Option<Duration>),
    /// It goes on.
    ResumeAgent(u16),
    /// A node's agent is killed.
    KillAgent(u16),
    /// And started again.
    StartAgent(u16),
    /// A controller's process dies.
    StopController(u8),
    /// And is started again.
    StartController(u8),
    /// A controller's process is stopped.
    StallController(u8, Option<Duration>),
    /// A controller's whole machine is paused, clock included.
    PauseController(u8, Option<Duration>),
    /// It goes on.
    ResumeController(u8),
    /// What is wrong with a controller's disk from now on.
    Disk(u8, Option<DiskFault>),
    /// A controller's disk is copied, or the copy takes its place.
    DiskImage(u8, bool),
    /// A machine's monotonic clock runs so many millionths too fast.
    Drift(Place, i32),
    /// A node's watchdog takes every feed from now on and never fires.
    DeadWatchdog(u16),
    /// Something waits for a controller at a place in its effects.
    Trap(u8, Trap),
    /// A machine's wall clock steps, by milliseconds.
    StepClock(Place, i64),
    /// Nova's API answers 503, or works again.
    NovaDown(bool),
    /// Glance answers this status, or works again.
    Glance(Option<u16>),
    /// Nova takes longer.
    NovaSlow(Duration),
    /// So many replies of Nova to writes are lost.
    NovaLoses(u32),
    /// So many of Nova's writes answer 500 with effect.
    NovaFails(u32),
    /// So many writes arrive only after this time.
    NovaLate(u32, Duration),
    /// Rebuilds of this VM fail at the claim.
    NovaFailsClaim(Uuid),
    /// Rebuilds of this VM fail after the spawn: its guest is left running.
    NovaFailsAfterSpawn(Uuid),
    /// Nova's messages to its computes are lost.
    NovaLosesMessages,
    /// Nova refuses to evacuate this VM.
    NovaRefuses(Uuid),
    /// A user deletes a VM.
    DeleteVm(Uuid),
    /// A VM is in another `vm_state`, with a `task_state` or none.
    SetVm(Uuid, String, Option<String>),
    /// An operator enables a node's nova-compute or not, or forces it down or not.
    Compute(u16, Option<bool>, Option<bool>),
    /// Nova is as good as new.
    NovaMends,
    /// A health check of a node finds this from now on.
    Check(u16, String, Finds),
    /// What a node's agent tells of its checks is lost, and nothing else; or not any more.
    ChecksLost(u16, bool),
    /// Somebody sends again what a node's agent told of checks that failed.
    ChecksReplayed(u16),
    /// From now on something is done wrong that the cores rely on, to see that an oracle notices.
    Sabotage(Sabotage),
}

/// A duty of a shell that is not done. Each has an oracle that must notice: see `tests/scenarios/sabotage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sabotage {
    /// nova-compute does not wait for the gate.
    NoGate,
    /// Nova's client sends every evacuation twice.
    PostsTwice,
    /// Controllers' clocks run six times too fast.
    FastClocks,
    /// Controllers' disks forget what they were given.
    ForgetfulDisks,
    /// BMCs are asked also when it is too late.
    LateEffects,
}

impl World {
    /// Does it.
    pub fn inflict(&mut self, deed: &Deed) {
        let text = deed.to_string();
        let now = self.now;
        self.story.note(now, text.as_bytes());
        match *deed {
            Deed::Cut(place, network, way) => {
                for way in way.map_or(vec![Way::In, Way::Out], |way| vec![way]) {
                    self.wire.cut(place, network, way);
                }
                self.trouble(place);
            }
            Deed::Heal(place, network) => {
                self.wire.heal(place, network);
                self.trouble(place);
            }
            Deed::Lossy(place, network, permille) => {
                self.wire.set_loss(place, network, permille);
                self.trouble(place);
            }
            Deed::Delay(place, network, way, by) => {
                self.wire.set_delay(place, network, way, by);
                self.trouble(place);
            }
            Deed::Background(permille) => {
                self.wire.set_background(permille);
                self.trouble_all();
            }
            Deed::Twice(place, network, permille) => self.wire.set_twice(place, network, permille),
            Deed::Jitter(place, network, most) => {
                self.wire.set_jitter(place, network, most);
                self.trouble(place);
            }
            Deed::Deaf(to, from, network) => {
                self.wire.set_deaf(to, from, network);
                self.trouble(to);
            }
            Deed::Flap(place, network, every) => self.start_flapping(place, network, every),
            Deed::Island(ref places) => {
                self.wire.set_island(places.iter().copied().collect());
                self.trouble_all();
            }
            Deed::Dark(network, dark) => {
                self.wire.set_dark(network, dark);
                self.trouble_all();
            }
            Deed::Split(one, other, split) => self.wire.set_split(one, other, split),
            Deed::Apart(one, other, network, apart) => {
                self.wire.set_apart(one, other, network, apart);
            }
            Deed::DiskFails(number) => {
                if let Some(seat) = self.seats.get_mut(usize::from(number) - 1) {
                    seat.disk_fault = Some(DiskFault::Once);
                }
            }
            Deed::UserMigrates(vm) => self.user_migrates(vm),
            Deed::UserEvacuates(vm) => self.evacuate_by_hand(vm),
            Deed::GuestDies(vm) => {
                self.ghost.doomed.insert(vm);
            }
            Deed::GuestCrashes(vm) => self.crash_guest(vm),
            Deed::GuestByHand(vm, node) => self.start_by_hand(vm, node),
            Deed::GuestEndedByHand(vm, node) => self.end_guest(node, vm),
            Deed::PowerOff(node, feed) => self.switch_off(node, feed),
            Deed::PowerOn(node) => self.switch_on(node),
            Deed::Bmc(node, level, behaviour) => {
                if let Some(bmc) = self.bmc_mut(node, level) {
                    bmc.behaviour = behaviour;
                }
            }
            Deed::Hang(node) => self.hang(node),
            Deed::Crash(node) => self.crash(node),
            Deed::Dump(node, span) => self.dump(node, span),
            Deed::Unhang(node) => self.unhang(node),
            Deed::StallSentinel(node, span) => self.stall_sentinel(node, span),
            Deed::StallAtFeed(node, span) => {
                self.trouble(Place::Node(node));
                if let Some(node) = self.nodes.get_mut(usize::from(node) - 1) {
                    node.stall_at_feed = Some(span);
                }
            }
            Deed::StallAfterFeed(node, span) => {
                self.trouble(Place::Node(node));
                if let Some(node) = self.nodes.get_mut(usize::from(node) - 1) {
                    node.stall_after_feed = Some(span);
                }
            }
            Deed::ResumeSentinel(node) => self.resume_sentinel(node),
            Deed::KillSentinel(node) => self.kill_sentinel(node),
            Deed::StartSentinel(node) => self.start_sentinel(node),
            Deed::StallAgent(node, span) => self.stall_agent(node, span),
            Deed::ResumeAgent(node) => self.resume_agent(node),
            Deed::KillAgent(node) => self.kill_agent(node),
            Deed::StartAgent(node) => self.start_agent(node),
            Deed::StopController(number) => self.stop_controller(number),
            Deed::StartController(number) => self.start_controller(number),
            Deed::StallController(number, span) => self.stall_controller(number, span),
            Deed::PauseController(number, span) => self.pause_controller(number, span),
            Deed::ResumeController(number) => self.resume_controller(number),
            Deed::Disk(number, fault) => {
                if let Some(seat) = self.seats.get_mut(usize::from(number) - 1) {
                    seat.disk_fault = fault;
                }
            }
            Deed::DiskImage(number, restore) => self.image_disk(number, restore),
            Deed::Drift(place, ppm) => self.drift(place, ppm),
            Deed::DeadWatchdog(number) => {
                self.ghost.lied_about.insert(number);
                if let Some(node) = self.nodes.get_mut(usize::from(number) - 1) {
                    node.watchdog.kind = Kind::Dead;
                }
            }
            Deed::Trap(number, trap) => {
                if let Some(seat) = self.seats.get_mut(usize::from(number) - 1) {
                    seat.trap = Some(trap);
                }
            }
            Deed::StepClock(place, ms) => self.step_clock(place, ms),
            Deed::NovaDown(down) => self.cloud.faults.down = down,
            Deed::Glance(status) => self.cloud.faults.glance = status,
            Deed::NovaSlow(by) => self.cloud.faults.slow = by,
            Deed::NovaLoses(replies) => self.cloud.faults.lost_replies = replies,
            Deed::NovaFails(writes) => self.cloud.faults.errors_with_effect = writes,
            Deed::NovaLate(writes, by) => {
                (self.cloud.faults.late_writes, self.cloud.faults.late_by) = (writes, by);
            }
            Deed::NovaFailsClaim(vm) => {
                self.cloud.faults.fail_claim.insert(vm);
            }
            Deed::NovaFailsAfterSpawn(vm) => {
                self.cloud.faults.fail_after_spawn.insert(vm);
            }
            Deed::NovaLosesMessages => self.cloud.faults.lose_messages = true,
            Deed::NovaRefuses(vm) => {
                self.cloud.faults.refuse.insert(vm);
            }
            Deed::DeleteVm(vm) => self.delete_vm(vm),
            Deed::SetVm(vm, ref state, ref task) => self.set_vm_state(vm, state, task.as_deref()),
            Deed::Compute(number, enabled, forced_down) => {
                self.update_compute(number, enabled, forced_down);
            }
            Deed::Check(number, ref check, finds) => {
                self.trouble(Place::Node(number));
                self.set_check(number, check, finds);
            }
            Deed::ChecksLost(number, lost) => self.lose_checks(number, lost),
            Deed::ChecksReplayed(number) => self.replay_checks(number),
            Deed::Sabotage(sabotage) => {
                self.sabotage.insert(sabotage);
                if sabotage == Sabotage::FastClocks {
                    self.seats.iter_mut().for_each(|seat| seat.clock = seat.clock.faster(now, 6));
                }
            }
            Deed::NovaMends => self.cloud.faults = crate::standin::nova::Faults::default(),
        }
        self.see_computes();
    }

    /// From now on a machine's clock has another rate.
    fn drift(&mut self, place: Place, ppm: i32) {
        let now = self.now;
        match place {
            Place::Node(number) => {
                if let Some(node) = self.nodes.get_mut(usize::from(number) - 1) {
                    (node.clock, node.ppm) = (node.clock.drifting(now, ppm), ppm);
                }
            }
            Place::Controller(number) => {
                if let Some(seat) = self.seats.get_mut(usize::from(number) - 1) {
                    seat.clock = seat.clock.drifting(now, ppm);
                }
            }
        }
    }

    fn step_clock(&mut self, place: Place, ms: i64) {
        let step = match place {
            Place::Controller(number) => {
                self.seats.get_mut(usize::from(number) - 1).map(|seat| &mut seat.wall_step)
            }
            Place::Node(number) => {
                self.nodes.get_mut(usize::from(number) - 1).map(|node| &mut node.wall_step)
            }
        };
        if let Some(step) = step {
            *step = step.saturating_add(ms);
        }
    }

    pub(crate) fn trouble(&mut self, place: Place) {
        let now = self.now;
        match place {
            Place::Node(number) => {
                if let Some(node) = self.nodes.get_mut(usize::from(number) - 1) {
                    node.troubled = now;
                }
            }
            Place::Controller(_) => {}
        }
    }

    fn trouble_all(&mut self) {
        let now = self.now;
        self.nodes.iter_mut().for_each(|node| node.troubled = now);
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
