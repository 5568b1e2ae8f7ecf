//! The dice: which faults are on is drawn for each seed (a swarm), then when, where and how long each of them is.

mod draw;

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Request, Scope};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::bmc::Behaviour;
use crate::fault::Deed;
use crate::node::Power;
use crate::place::Place;
use crate::world::World;

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// Kinds of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Kind { $($kind),* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Kind] = &[$(Kind::$kind),*];
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
];

/// The dice of one seed.
pub struct Dice {
    rng: ChaCha8Rng,
    on: Vec<Kind>,
    next: Duration,
    undo: Vec<(Duration, Undo)>,
    thrown: BTreeMap<Kind, u64>,
    pace: u64,
}

#[derive(Clone, Debug)]
enum Undo {
    Deeds(Vec<Deed>),
    Order(Request),
}

impl Dice {
    /// Draws which faults are on.
    pub fn new(world: &World, mut rng: ChaCha8Rng) -> Self {
        let mut on: Vec<Kind> =
            Kind::ALL.iter().copied().filter(|_| rng.random_bool(0.4)).collect();
        // Without nodes that die, and come back, there is little to see.
        on.extend([Kind::NodePower, Kind::NodeFeed, Kind::CutAll, Kind::NodeRepaired].repeat(2));
        let pace = rng.random_range(8..40);
        Self::with(world, rng, on, pace)
    }

    /// Dice with these kinds of fault, one of them every `pace` seconds on average.
    pub fn with(world: &World, mut rng: ChaCha8Rng, on: Vec<Kind>, pace: u64) -> Self {
        let next = world.now() + Duration::from_secs(rng.random_range(1..pace.max(2)));
        Self { rng, on, next, undo: Vec::new(), thrown: BTreeMap::new(), pace }
    }

    /// When something is to be done next.
    pub fn next_at(&self) -> Duration {
        self.undo.iter().map(|(at, _)| *at).min().map_or(self.next, |undo| undo.min(self.next))
    }

    /// How often each kind was met.
    pub fn thrown(&self) -> &BTreeMap<Kind, u64> {
        &self.thrown
    }

    /// Does what is due.
    pub fn throw(&mut self, world: &mut World) {
        let now = world.now();
        let (due, left) =
            std::mem::take(&mut self.undo).into_iter().partition(|(at, _)| *at <= now);
        self.undo = left;
        let due: Vec<(Duration, Undo)> = due;
        due.into_iter().for_each(|(_, undo)| carry_out(world, &undo));
        if self.next > now {
            return;
        }
        self.next = now + Duration::from_millis(self.rng.random_range(500..self.pace * 2000));
        let kind = self.on[self.rng.random_range(0..self.on.len())];
        *self.thrown.entry(kind).or_default() += 1;
        let throw = self.draw(world, kind);
        for deed in &throw.deeds {
            world.tell("dice", &deed.to_string());
            world.inflict(deed);
        }
        if let Some(undo) = throw.undo {
            self.undo.push((now + throw.span, undo));
        }
    }

    /// No more faults: everything works again.
    pub fn end(&mut self, world: &mut World) {
        world.tell("dice", "the faults end");
        for (_, undo) in std::mem::take(&mut self.undo) {
            carry_out(world, &undo);
        }
        world.wire.heal_all();
        world.inflict(&Deed::NovaMends);
        for number in 1..=world.plan().controllers {
            world.inflict(&Deed::ResumeController(number));
            if let Some(seat) = world.seats.get_mut(usize::from(number) - 1) {
                seat.trap = None;
            }
            world.inflict(&Deed::StartController(number));
        }
        for number in 1..=world.plan().nodes {
            for deed in [
                Deed::Bmc(number, Behaviour::Obeys),
                Deed::Unhang(number),
                Deed::ResumeSentinel(number),
                Deed::ResumeAgent(number),
            ] {
                world.inflict(&deed);
            }
        }
        let person = || "dice".to_owned();
        order(world, Request::Arm { scope: Scope::All, person: person() });
        for number in 1..=world.plan().nodes {
            let (node, reason) = (Place::Node(number).to_string(), person());
            order(world, Request::Maintenance { node, on: false, reason, person: person() });
        }
        mend(world);
        world.calm_down();
    }
}

fn carry_out(world: &mut World, undo: &Undo) {
    match undo {
        Undo::Deeds(deeds) => {
            for deed in deeds {
                world.tell("dice", &deed.to_string());
                world.inflict(deed);
            }
        }
        Undo::Order(request) => order(world, request.clone()),
    }
}

fn order(world: &mut World, request: Request) {
    world.order(request);
}

/// What an operator or a service manager would do: switch on what is off, start what is not there.
pub(super) fn mend(world: &mut World) {
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
