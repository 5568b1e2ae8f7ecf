//! The dice: which faults are on is drawn for each seed (a swarm), then when, where and how long each of them is.

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Request, Scope};
use controller::effect::{Network, Ticket};
use controller::event::Event;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::bmc::Behaviour;
use crate::fault::Deed;
use crate::node::Power;
use crate::place::Place;
use crate::seat::{Point, Trap};
use crate::wire::Way;
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
    NodePower, NodeFeed, NodeRepaired, BmcBad, CutOneWay, CutOne, CutAll, Lossy, Background, NetworkDark, Hang,
    ControllerDies, ControllerDiesAt, ControllerStops, ControllerStopsAt, ControllersAllDie, ControllerSplit,
    ControllerApart, ClockStep, AgentDies, AgentStops, SentinelStops, SentinelStopsAtFeed, SentinelDies, NovaDown,
    NovaSlow, NovaLosesReplies, NovaErrsWithEffect, NovaLateWrites, NovaFailsClaim, NovaFailsAfterSpawn, Disarm,
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
        let mut on: Vec<Kind> = Kind::ALL.iter().copied().filter(|_| rng.random_bool(0.4)).collect();
        // Without a node that dies there is little to see.
        on.extend([Kind::NodePower, Kind::NodeRepaired]);
        let pace = rng.random_range(10..60);
        let next = world.now() + Duration::from_secs(rng.random_range(1..pace));
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
        let (due, left) = std::mem::take(&mut self.undo).into_iter().partition(|(at, _)| *at <= now);
        self.undo = left;
        let due: Vec<(Duration, Undo)> = due;
        due.into_iter().for_each(|(_, undo)| carry_out(world, &undo));
        if self.next > now {
            return;
        }
        self.next = now + Duration::from_millis(self.rng.random_range(500..self.pace * 2000));
        let kind = self.on[self.rng.random_range(0..self.on.len())];
        *self.thrown.entry(kind).or_default() += 1;
        let (deeds, span, back) = self.draw(world, kind);
        for deed in &deeds {
            world.tell("dice", &deed.to_string());
            world.inflict(deed);
        }
        if let Some(back) = back {
            self.undo.push((now + span, back));
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
    }

    fn node(&mut self, world: &World) -> u8 {
        self.rng.random_range(1..=world.plan().nodes)
    }

    fn controller(&mut self, world: &World) -> u8 {
        let leader = world.leader().filter(|_| self.rng.random_bool(0.5));
        leader.unwrap_or_else(|| self.rng.random_range(1..=world.plan().controllers))
    }

    fn network(&mut self, world: &World) -> Network {
        Network(self.rng.random_range(0..world.plan().networks()))
    }

    fn span(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(from * 1000..to * 1000))
    }

    /// What is done, for how long, and what ends it.
    fn draw(&mut self, world: &mut World, kind: Kind) -> (Vec<Deed>, Duration, Option<Undo>) {
        match kind {
            Kind::NodePower | Kind::NodeFeed | Kind::NodeRepaired | Kind::BmcBad | Kind::Hang => self.draw_power(world, kind),
            Kind::CutOneWay | Kind::CutOne | Kind::CutAll | Kind::Lossy | Kind::Background | Kind::NetworkDark => {
                self.draw_wire(world, kind)
            }
            Kind::ControllerDies
            | Kind::ControllerDiesAt
            | Kind::ControllerStops
            | Kind::ControllerStopsAt
            | Kind::ControllersAllDie
            | Kind::ControllerSplit
            | Kind::ControllerApart
            | Kind::ClockStep => self.draw_controller(world, kind),
            Kind::AgentDies
            | Kind::AgentStops
            | Kind::SentinelStops
            | Kind::SentinelStopsAtFeed
            | Kind::SentinelDies => self.draw_program(world, kind),
            Kind::NovaDown
            | Kind::NovaSlow
            | Kind::NovaLosesReplies
            | Kind::NovaErrsWithEffect
            | Kind::NovaLateWrites
            | Kind::NovaFailsClaim
            | Kind::NovaFailsAfterSpawn => self.draw_nova(world, kind),
            Kind::Disarm | Kind::Maintenance => self.draw_order(world, kind),
        }
    }

    fn draw_power(&mut self, world: &World, kind: Kind) -> (Vec<Deed>, Duration, Option<Undo>) {
        let node = self.node(world);
        match kind {
            Kind::NodePower => back(vec![Deed::PowerOff(node, false)], self.span(5, 240), vec![Deed::PowerOn(node)]),
            Kind::NodeFeed => back(vec![Deed::PowerOff(node, true)], self.span(5, 300), vec![Deed::PowerOn(node)]),
            Kind::NodeRepaired => {
                let off = world.nodes.iter().filter(|node| node.power == Power::Off);
                let on = off.map(|node| Deed::PowerOn(node.number)).take(1).collect();
                (on, Duration::ZERO, None)
            }
            Kind::BmcBad => {
                let slow = Behaviour::Slow(self.span(1, 20));
                let ways = [
                    Behaviour::Silent,
                    Behaviour::Stuck,
                    slow,
                    Behaviour::Foreign,
                    Behaviour::Refuses,
                    Behaviour::Vague,
                ];
                let way = ways[self.rng.random_range(0..ways.len())];
                back(vec![Deed::Bmc(node, way)], self.span(20, 300), vec![Deed::Bmc(node, Behaviour::Obeys)])
            }
            _ => back(vec![Deed::Hang(node)], self.span(1, 120), vec![Deed::Unhang(node)]),
        }
    }

    fn draw_wire(&mut self, world: &World, kind: Kind) -> (Vec<Deed>, Duration, Option<Undo>) {
        let (node, network) = (Place::Node(self.node(world)), self.network(world));
        let all = (0..world.plan().networks()).map(Network);
        let heal = vec![Deed::Heal(node, network)];
        match kind {
            Kind::CutOneWay => {
                let way = if self.rng.random_bool(0.5) { Way::In } else { Way::Out };
                back(vec![Deed::Cut(node, network, Some(way))], self.span(1, 120), heal)
            }
            Kind::CutOne => back(vec![Deed::Cut(node, network, None)], self.span(1, 120), heal),
            Kind::CutAll => {
                let cut = all.clone().map(|network| Deed::Cut(node, network, None)).collect();
                let heal = all.map(|network| Deed::Heal(node, network)).collect();
                back(cut, self.span(1, 180), heal)
            }
            Kind::Lossy => {
                let permille = self.rng.random_range(50..950);
                back(vec![Deed::Lossy(node, network, permille)], self.span(5, 120), heal)
            }
            Kind::Background => {
                let permille = self.rng.random_range(5..200);
                back(vec![Deed::Background(permille)], self.span(5, 120), vec![Deed::Background(0)])
            }
            _ => back(vec![Deed::Dark(network, true)], self.span(1, 60), vec![Deed::Dark(network, false)]),
        }
    }

    fn draw_controller(&mut self, world: &World, kind: Kind) -> (Vec<Deed>, Duration, Option<Undo>) {
        let number = self.controller(world);
        let start = vec![Deed::StartController(number)];
        match kind {
            Kind::ControllerDies => back(vec![Deed::StopController(number)], self.span(1, 90), start),
            Kind::ControllerDiesAt => {
                let trap = self.trap(None);
                back(vec![Deed::Trap(number, trap)], self.span(5, 90), start)
            }
            Kind::ControllerStops => {
                let span = self.span(1, 90);
                (vec![Deed::StallController(number, Some(span))], span, None)
            }
            Kind::ControllerStopsAt => {
                let span = self.span(1, 90);
                let trap = self.trap(Some(span));
                (vec![Deed::Trap(number, trap)], span, None)
            }
            Kind::ControllersAllDie => {
                let all = 1..=world.plan().controllers;
                let stop = all.clone().map(Deed::StopController).collect();
                back(stop, self.span(5, 200), all.map(Deed::StartController).collect())
            }
            Kind::ControllerSplit => {
                let other = number % world.plan().controllers + 1;
                back(vec![Deed::Split(number, other, true)], self.span(1, 90), vec![Deed::Split(number, other, false)])
            }
            Kind::ControllerApart => {
                let place = Place::Controller(number);
                let all = (0..world.plan().networks()).map(Network);
                let cut = all.clone().map(|network| Deed::Cut(place, network, None)).collect();
                back(cut, self.span(1, 90), all.map(|network| Deed::Heal(place, network)).collect())
            }
            _ => {
                let by = self.rng.random_range(-3_600_000..3_600_000);
                (vec![Deed::StepClock(number, by)], Duration::ZERO, None)
            }
        }
    }

    fn trap(&mut self, stall: Option<Duration>) -> Trap {
        let count = Point::Count(self.rng.random_range(0..2000));
        let points =
            [count, Point::Off, Point::Read, Point::ForceDown, Point::Evacuate, Point::Persist];
        let point = points[self.rng.random_range(0..points.len())];
        Trap { point, after: self.rng.random_bool(0.5), stall }
    }

    fn draw_program(&mut self, world: &World, kind: Kind) -> (Vec<Deed>, Duration, Option<Undo>) {
        let node = self.node(world);
        match kind {
            Kind::AgentDies => back(vec![Deed::KillAgent(node)], self.span(1, 90), vec![Deed::StartAgent(node)]),
            Kind::AgentStops => {
                let span = self.span(1, 90);
                (vec![Deed::StallAgent(node, Some(span))], span, None)
            }
            Kind::SentinelStops => {
                let span = self.span(0, 40);
                (vec![Deed::StallSentinel(node, Some(span))], span, None)
            }
            Kind::SentinelStopsAtFeed => {
                let span = self.span(0, 60);
                (vec![Deed::StallAtFeed(node, span)], span, None)
            }
            _ => back(vec![Deed::KillSentinel(node)], self.span(0, 12), vec![Deed::StartSentinel(node)]),
        }
    }

    fn draw_nova(&mut self, world: &World, kind: Kind) -> (Vec<Deed>, Duration, Option<Undo>) {
        let mends = vec![Deed::NovaMends];
        let many = self.rng.random_range(1..4);
        let vm = world.vms.keys().nth(self.rng.random_range(0..world.vms.len()));
        let vm = vm.copied().unwrap_or_default();
        match kind {
            Kind::NovaDown => back(vec![Deed::NovaDown(true)], self.span(1, 120), mends),
            Kind::NovaSlow => {
                let by = self.span(1, 40);
                back(vec![Deed::NovaSlow(by)], self.span(5, 120), mends)
            }
            Kind::NovaLosesReplies => back(vec![Deed::NovaLoses(many)], self.span(30, 300), mends),
            Kind::NovaErrsWithEffect => back(vec![Deed::NovaFails(many)], self.span(30, 300), mends),
            Kind::NovaLateWrites => {
                let by = self.span(1, 100);
                back(vec![Deed::NovaLate(many, by)], self.span(30, 300), mends)
            }
            Kind::NovaFailsClaim => back(vec![Deed::NovaFailsClaim(vm)], self.span(60, 300), mends),
            _ => back(vec![Deed::NovaFailsAfterSpawn(vm)], self.span(60, 300), mends),
        }
    }

    fn draw_order(&mut self, world: &mut World, kind: Kind) -> (Vec<Deed>, Duration, Option<Undo>) {
        let (person, reason) = ("dice".to_owned(), "dice".to_owned());
        let node = Place::Node(self.node(world)).to_string();
        let (there, again) = if kind == Kind::Disarm {
            let scope = if self.rng.random_bool(0.5) { Scope::All } else { Scope::Node(node) };
            let disarm = Request::Disarm { scope: scope.clone(), reason, person: person.clone() };
            (disarm, Request::Arm { scope, person })
        } else {
            let on = |on| Request::Maintenance {
                node: node.clone(),
                on,
                reason: reason.clone(),
                person: person.clone(),
            };
            (on(true), on(false))
        };
        order(world, there);
        (Vec::new(), self.span(10, 180), Some(Undo::Order(again)))
    }
}

fn back(deeds: Vec<Deed>, span: Duration, undo: Vec<Deed>) -> (Vec<Deed>, Duration, Option<Undo>) {
    (deeds, span, Some(Undo::Deeds(undo)))
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
    if let Some(leader) = world.leader() {
        world.tell_controller(leader, Event::Order { ticket: Ticket(0), request });
    }
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
