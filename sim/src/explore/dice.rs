//! The dice: which faults are on is drawn for each seed (a swarm), then when, where and how long each of them is.

mod draw;

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Request, Scope};
use controller::registry::Progress;
use fencing::IncidentId;
use fencing::checks::State;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::bmc::Behaviour;
use crate::fault::Deed;
use crate::node::Power;
use crate::world::{Finds, World};

use super::script::Step;

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// Kinds of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Kind { $($kind),* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Kind] = &[$(Kind::$kind),*];

            /// Whether it is no fault but something that an operator does; only dense explorations throw those.
            pub fn is_operators(self) -> bool {
                matches!(
                    self,
                    Kind::OperatorFences
                        | Kind::OperatorConfirms
                        | Kind::OperatorReleases
                        | Kind::Noop
                        | Kind::OperatorDrills
                )
            }

            /// Whether its times are drawn apart from all other faults (`cloud.rs`, `strays.rs`, `health.rs`).
            pub fn is_apart(self) -> bool {
                matches!(self, Kind::GuestCrashes | Kind::StrayStarts | Kind::CheckFails)
            }
        }
    };
}

kinds![
    NodePower,
    NodeFeed,
    NodeRepaired,
    BmcBad,
    CutOneWay,
    CutOne,
    CutAll,
    Lossy,
    Background,
    NetworkDark,
    Hang,
    ControllerDies,
    ControllerDiesAt,
    ControllerStops,
    ControllerStopsAt,
    ControllersAllDie,
    ControllerSplit,
    ControllerApart,
    ClockStep,
    AgentDies,
    AgentStops,
    SentinelStops,
    SentinelStopsAtFeed,
    SentinelDies,
    NovaDown,
    NovaSlow,
    NovaLosesReplies,
    NovaErrsWithEffect,
    NovaLateWrites,
    NovaFailsClaim,
    NovaFailsAfterSpawn,
    Disarm,
    Maintenance,
    Twice,
    Jitter,
    Deaf,
    Flaps,
    ControllerDisk,
    ClockDrifts,
    OperatorDisables,
    OperatorFences,
    OperatorConfirms,
    OperatorReleases,
    Noop,
    OperatorDrills,
    GuestCrashes,
    StrayStarts,
    CheckFails,
];

/// The dice of one seed.
pub struct Dice {
    rng: ChaCha8Rng,
    on: Vec<Kind>,
    next: Duration,
    /// What ends throws, and when.
    undo: Vec<Step>,
    thrown: BTreeMap<Kind, u64>,
    throws: usize,
    done: Vec<Step>,
    pace: u64,
    /// What comes first, before anything is drawn.
    first: Option<Kind>,
}

impl Dice {
    /// Draws which faults are on.
    pub fn new(world: &World, mut rng: ChaCha8Rng) -> Self {
        let faults =
            Kind::ALL.iter().copied().filter(|kind| !kind.is_operators() && !kind.is_apart());
        let mut on: Vec<Kind> = faults.filter(|_| rng.random_bool(0.4)).collect();
        // Without nodes that die, and come back, there is little to see.
        on.extend([Kind::NodePower, Kind::NodeFeed, Kind::CutAll, Kind::NodeRepaired].repeat(2));
        let pace = rng.random_range(8..40);
        Self::with(world, rng, on, pace)
    }

    /// The same, but faults follow each other soon, and an operator orders fences besides.
    pub fn dense(world: &World, mut rng: ChaCha8Rng) -> Self {
        let mut on: Vec<Kind> = Kind::ALL
            .iter()
            .copied()
            .filter(|kind| !kind.is_apart() && rng.random_bool(0.25))
            .collect();
        on.extend([Kind::NodePower, Kind::NodeFeed, Kind::CutAll, Kind::NodeRepaired]);
        on.extend([Kind::OperatorFences].repeat(on.len()));
        // A node that was fenced twice waits for a human.
        on.extend([Kind::OperatorReleases].repeat(on.len() / 8));
        let pace = rng.random_range(4..12);
        Self::with(world, rng, on, pace)
    }

    /// Dice with these kinds of fault, one of them every `pace` seconds on average.
    pub fn with(world: &World, mut rng: ChaCha8Rng, on: Vec<Kind>, pace: u64) -> Self {
        let next = world.now() + Duration::from_secs(rng.random_range(1..pace.max(2)));
        let (undo, done) = (Vec::new(), Vec::new());
        let thrown = BTreeMap::new();
        Self { rng, on, next, undo, thrown, throws: 0, done, pace, first: None }
    }

    /// The same, with this as the first throw.
    pub fn that_begin_with(self, kind: Kind) -> Self {
        Self { first: Some(kind), ..self }
    }

    /// The same, beginning so much later.
    pub fn later(self, by: Duration) -> Self {
        Self { next: self.next + by, ..self }
    }

    /// The same, with these beside what is drawn.
    pub fn beside(mut self, steps: Vec<Step>) -> Self {
        for step in &steps {
            *self.thrown.entry(step.kind).or_default() += 1;
        }
        self.undo.extend(steps);
        self
    }

    /// When something is to be done next.
    pub fn next_at(&self) -> Duration {
        self.undo.iter().map(|step| step.at).min().map_or(self.next, |undo| undo.min(self.next))
    }

    /// How often each kind was met.
    pub fn thrown(&self) -> &BTreeMap<Kind, u64> {
        &self.thrown
    }

    /// Does what is due.
    pub fn throw(&mut self, world: &mut World) {
        let now = world.now();
        let (due, left) =
            std::mem::take(&mut self.undo).into_iter().partition(|step| step.at <= now);
        self.undo = left;
        let due: Vec<Step> = due;
        due.into_iter().for_each(|step| self.carry_out(world, step));
        if self.next > now {
            return;
        }
        self.next = now + Duration::from_millis(self.rng.random_range(500..self.pace * 2000));
        let kind = self.on[self.rng.random_range(0..self.on.len())];
        let kind = self.first.take().unwrap_or(kind);
        *self.thrown.entry(kind).or_default() += 1;
        let throw = self.draw(world, kind);
        let begins = Step { at: now, throw: self.throws, kind, acts: throw.acts };
        if let Some(acts) = throw.undo {
            let at = now + throw.span;
            self.undo.push(Step { at, throw: self.throws, kind, acts });
        }
        self.throws += 1;
        self.carry_out(world, begins);
    }

    /// No more faults: everything works again.
    pub fn end(&mut self, world: &mut World) {
        for step in std::mem::take(&mut self.undo) {
            self.carry_out(world, step);
        }
        end(world);
    }

    /// Everything that was done so far, in order.
    pub fn steps(&self) -> &[Step] {
        &self.done
    }

    fn carry_out(&mut self, world: &mut World, step: Step) {
        step.carry_out(world);
        self.done.push(Step { at: world.now(), ..step });
    }
}

/// No fault is left: everything works again, as far as it does so without a human.
pub(super) fn end(world: &mut World) {
    world.tell("dice", "the faults end");
    world.wire.heal_all();
    world.inflict(&Deed::NovaMends);
    for number in 1..=world.plan().controllers {
        world.inflict(&Deed::ResumeController(number));
        if let Some(seat) = world.seats.get_mut(usize::from(number) - 1) {
            seat.trap = None;
        }
        world.inflict(&Deed::Disk(number, None));
        world.inflict(&Deed::StartController(number));
    }
    let checks = world.plan().checks.clone();
    for number in 1..=world.plan().nodes {
        for check in &checks {
            world.set_check(number, &check.name, Finds::Always(State::Ok));
            world.lose_checks(number, false);
        }
        for deed in [
            Deed::Bmc(number, 1, Behaviour::Obeys),
            Deed::Unhang(number),
            Deed::ResumeSentinel(number),
            Deed::ResumeAgent(number),
        ] {
            world.inflict(&deed);
        }
        // A stall that waits for a feed would come long after the end: the device may be closed now.
        if let Some(node) = world.nodes.get_mut(usize::from(number) - 1) {
            (node.stall_at_feed, node.stall_after_feed) = (None, None);
        }
    }
    world.calm_down();
}

fn order(world: &mut World, request: Request) {
    world.order(request);
}

/// Ends what was ordered, and repairs.
pub(super) fn mend(world: &mut World) {
    end_orders(world);
    repair(world);
}

/// Ends what an operator ordered; again and again, for an order given while nobody leads is lost.
pub(super) fn end_orders(world: &mut World) {
    ends(world).into_iter().for_each(|request| order(world, request));
}

/// What an operator or a service manager would do: switch on what is off, and start what is not there.
pub(super) fn repair(world: &mut World) {
    for number in 1..=world.plan().nodes {
        let Some(node) = world.node(number) else { continue };
        let deeds = match node.power {
            Power::NoFeed | Power::Off => vec![Deed::PowerOn(number)],
            Power::Booting => Vec::new(),
            Power::Running => {
                let sentinel = node.sentinel.core.is_none().then_some(Deed::StartSentinel(number));
                let agent = node.agent.core.is_none().then_some(Deed::StartAgent(number));
                sentinel.into_iter().chain(agent).collect()
            }
        };
        deeds.iter().for_each(|deed| world.inflict(deed));
    }
}

/// Ends of all orders that still hold.
fn ends(world: &World) -> Vec<Request> {
    let Some(registry) = world.registry().filter(|_| world.leader().is_some()) else {
        return Vec::new();
    };
    let person = || "dice".to_owned();
    let mut orders = Vec::new();
    if registry.is_noop() {
        orders.push(Request::Noop { on: false });
    }
    if registry.disarmed().is_some() {
        orders.push(Request::Arm { scope: Scope::All, person: person() });
    }
    for node in registry.nodes().values() {
        let name = node.record.name.clone();
        if node.maintenance.is_some() {
            let (node, reason) = (name, person());
            let (on, person) = (false, person());
            let (minutes, migrate) = (None, false);
            orders.push(Request::Maintenance { node, on, reason, person, minutes, migrate });
        } else if node.disarmed {
            orders.push(Request::Arm { scope: Scope::Node(name), person: person() });
        }
    }
    orders
}

/// An operator has repaired what was fenced twice, and lets it back.
pub(super) fn release(world: &mut World) {
    draw::releases(world).into_iter().for_each(|request| order(world, request));
    approvals(world).into_iter().for_each(|request| order(world, request));
}

/// He also lifts the limit on evacuations wherever it is met.
fn approvals(world: &World) -> Vec<Request> {
    let Some(registry) = world.registry().filter(|_| world.leader().is_some()) else {
        return Vec::new();
    };
    let most = world.plan().recovery.pace.hold_after;
    let held = registry.open_incidents().filter(|incident| {
        let waits = incident.vms.values().any(|vm| vm.progress == Progress::Waiting);
        waits && incident.approved.is_none() && registry.begun_within(60) >= most
    });
    let approve = |id: IncidentId| Request::Approve { incident: id.0, person: "dice".to_owned() };
    held.map(|incident| approve(incident.id)).collect()
}
