//! One throw: what is done, for how long, and what ends it.

use std::time::Duration;

use api::{Request, Scope};
use controller::effect::Network;
use controller::registry::State;
use rand::RngExt;

use super::{Dice, Kind};
use crate::bmc::Behaviour;
use crate::explore::script::{self, Act};
use crate::fault::Deed;
use crate::node::{Machine, Power};
use crate::place::{Place, node_id};
use crate::seat::{DiskFault, Point, Trap};
use crate::wire::Way;
use crate::world::World;

/// What is done, for how long, and what ends it.
pub(super) struct Throw {
    pub(super) acts: Vec<Act>,
    pub(super) span: Duration,
    pub(super) undo: Option<Vec<Act>>,
}

impl Throw {
    fn for_a_while(deeds: Vec<Deed>, span: Duration, undo: Vec<Deed>) -> Self {
        Self { acts: script::deeds(deeds), span, undo: Some(script::deeds(undo)) }
    }

    /// Something that ends by itself, or never.
    fn once(deeds: Vec<Deed>) -> Self {
        Self { acts: script::deeds(deeds), span: Duration::ZERO, undo: None }
    }

    /// An order, and the one that takes it back.
    fn ordered(request: Request, span: Duration, back: Request) -> Self {
        Self { acts: vec![Act::Order(request)], span, undo: Some(vec![Act::Order(back)]) }
    }
}

impl Dice {
    pub(super) fn draw(&mut self, world: &World, kind: Kind) -> Throw {
        let node = self.rng.random_range(1..=world.plan().nodes);
        let network = Network(self.rng.random_range(0..world.plan().networks()));
        let (place, number) = (Place::Node(node), self.controller(world));
        let heal = vec![Deed::Heal(place, network)];
        let mends = vec![Deed::NovaMends];
        let many = self.rng.random_range(1..4);
        let vm = world
            .vms
            .keys()
            .nth(self.rng.random_range(0..world.vms.len()))
            .copied()
            .unwrap_or_default();
        let (short, long) = (self.span(1, 90), self.span(30, 300));
        let controllers = 1..=world.plan().controllers;
        let while_ = Throw::for_a_while;
        match kind {
            Kind::NodePower => {
                let node = self.just_back(world).unwrap_or(node);
                while_(vec![Deed::PowerOff(node, false)], long, vec![Deed::PowerOn(node)])
            }
            Kind::NodeFeed => {
                while_(vec![Deed::PowerOff(node, true)], long, vec![Deed::PowerOn(node)])
            }
            Kind::NodeRepaired => {
                let off = world.nodes.iter().filter(|node| node.power == Power::Off);
                Throw::once(off.map(|node| Deed::PowerOn(node.number)).take(1).collect())
            }
            Kind::BmcBad => {
                let bad = vec![Deed::Bmc(node, 1, self.behaviour())];
                while_(bad, long, vec![Deed::Bmc(node, 1, Behaviour::Obeys)])
            }
            Kind::Hang => while_(vec![Deed::Hang(node)], short, vec![Deed::Unhang(node)]),
            Kind::CutOneWay => {
                let way = if self.rng.random_bool(0.5) { Way::In } else { Way::Out };
                while_(vec![Deed::Cut(place, network, Some(way))], short, heal)
            }
            Kind::CutOne => while_(vec![Deed::Cut(place, network, None)], short, heal),
            Kind::CutAll => {
                let place = self.just_back(world).map_or(place, Place::Node);
                apart(world, place, short * 2)
            }
            Kind::Lossy => {
                let permille = self.rng.random_range(50..950);
                while_(vec![Deed::Lossy(place, network, permille)], short, heal)
            }
            Kind::Background => {
                let permille = self.rng.random_range(5..200);
                while_(vec![Deed::Background(permille)], short, vec![Deed::Background(0)])
            }
            Kind::NetworkDark => {
                while_(vec![Deed::Dark(network, true)], short, vec![Deed::Dark(network, false)])
            }
            Kind::ControllerDies => while_(
                vec![Deed::StopController(number)],
                short,
                vec![Deed::StartController(number)],
            ),
            Kind::ControllerDiesAt => {
                let trap = self.trap(None);
                while_(vec![Deed::Trap(number, trap)], short, vec![Deed::StartController(number)])
            }
            Kind::ControllerStops => Throw::once(vec![Deed::StallController(number, Some(short))]),
            Kind::ControllerStopsAt => {
                Throw::once(vec![Deed::Trap(number, self.trap(Some(short)))])
            }
            Kind::ControllersAllDie => {
                let stop = controllers.clone().map(Deed::StopController).collect();
                while_(stop, short * 2, controllers.map(Deed::StartController).collect())
            }
            Kind::ControllerSplit => {
                let other = number % world.plan().controllers + 1;
                let split = |split| vec![Deed::Split(number, other, split)];
                while_(split(true), short, split(false))
            }
            Kind::ControllerApart => apart(world, Place::Controller(number), short),
            Kind::ClockStep => {
                let by = self.rng.random_range(-3_600_000..3_600_000);
                Throw::once(vec![Deed::StepClock(Place::Controller(number), by)])
            }
            Kind::AgentDies => {
                while_(vec![Deed::KillAgent(node)], short, vec![Deed::StartAgent(node)])
            }
            Kind::AgentStops => Throw::once(vec![Deed::StallAgent(node, Some(short))]),
            Kind::SentinelStops => Throw::once(vec![Deed::StallSentinel(node, Some(short / 2))]),
            Kind::SentinelStopsAtFeed => Throw::once(vec![Deed::StallAtFeed(node, short)]),
            Kind::SentinelDies => {
                while_(vec![Deed::KillSentinel(node)], short / 8, vec![Deed::StartSentinel(node)])
            }
            Kind::NovaDown => while_(vec![Deed::NovaDown(true)], short, mends),
            Kind::NovaSlow => while_(vec![Deed::NovaSlow(short / 3)], long, mends),
            Kind::NovaLosesReplies => while_(vec![Deed::NovaLoses(many)], long, mends),
            Kind::NovaErrsWithEffect => while_(vec![Deed::NovaFails(many)], long, mends),
            Kind::NovaLateWrites => while_(vec![Deed::NovaLate(many, short)], long, mends),
            Kind::NovaFailsClaim => while_(vec![Deed::NovaFailsClaim(vm)], long, mends),
            Kind::NovaFailsAfterSpawn => while_(vec![Deed::NovaFailsAfterSpawn(vm)], long, mends),
            Kind::Disarm => self.disarm(node, long),
            Kind::Maintenance => self.maintain(node, long),
            Kind::Twice => {
                let permille = self.rng.random_range(100..900);
                while_(vec![Deed::Twice(place, network, permille)], long, heal)
            }
            Kind::Jitter => {
                let most = Duration::from_millis(self.rng.random_range(5..400));
                while_(vec![Deed::Jitter(place, network, most)], short, heal)
            }
            Kind::Deaf => {
                let other = Place::Node(node % world.plan().nodes + 1);
                let from =
                    if self.rng.random_bool(0.5) { other } else { Place::Controller(number) };
                while_(vec![Deed::Deaf(place, from, network)], short, heal)
            }
            Kind::Flaps => {
                let every = Duration::from_millis(self.rng.random_range(500..20_000));
                while_(vec![Deed::Flap(place, network, every)], long, heal)
            }
            Kind::ControllerDisk => {
                let mended = vec![Deed::Disk(number, None), Deed::StartController(number)];
                while_(vec![Deed::Disk(number, Some(self.disk_fault()))], short, mended)
            }
            Kind::ClockDrifts => {
                let machine =
                    if self.rng.random_bool(0.5) { place } else { Place::Controller(number) };
                Throw::once(vec![Deed::Drift(machine, self.rng.random_range(-900..=900))])
            }
            Kind::OperatorDisables => while_(
                vec![Deed::Compute(node, Some(false), None)],
                long,
                vec![Deed::Compute(node, Some(true), None)],
            ),
            Kind::OperatorFences => self.fence(world, long),
            Kind::OperatorConfirms => confirm(world),
            Kind::OperatorReleases => release(world),
            Kind::Noop => {
                Throw::ordered(Request::Noop { on: true }, short, Request::Noop { on: false })
            }
            Kind::OperatorDrills => self.drill(world, long),
            // Thrown beside all others alone.
            Kind::CheckFails | Kind::StrayStarts => Throw::once(Vec::new()),
            Kind::GuestCrashes => {
                let vms: Vec<_> = world.vms.keys().copied().collect();
                let place = self.rng.random_range(0..vms.len().max(1));
                Throw::once(vms.get(place).map(|vm| Deed::GuestCrashes(*vm)).into_iter().collect())
            }
        }
    }

    /// The leader as often as not.
    fn controller(&mut self, world: &World) -> u8 {
        let leader = world.leader().filter(|_| self.rng.random_bool(0.5));
        leader.unwrap_or_else(|| self.rng.random_range(1..=world.plan().controllers))
    }

    fn span(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(from * 1000..to * 1000))
    }

    fn disk_fault(&mut self) -> DiskFault {
        let ways = [DiskFault::Full, DiskFault::Once, DiskFault::Torn, DiskFault::Unsynced];
        ways[self.rng.random_range(0..ways.len())]
    }

    fn behaviour(&mut self) -> Behaviour {
        let ways = [
            Behaviour::Silent,
            Behaviour::Stuck,
            Behaviour::Slow(self.span(1, 20)),
            Behaviour::Foreign,
            Behaviour::Refuses,
            Behaviour::Vague,
        ];
        ways[self.rng.random_range(0..ways.len())]
    }

    fn trap(&mut self, stall: Option<Duration>) -> Trap {
        let count = Point::Count(self.rng.random_range(0..2000));
        let points =
            [count, Point::Off, Point::Read, Point::ForceDown, Point::Evacuate, Point::Persist];
        let point = points[self.rng.random_range(0..points.len())];
        Trap { point, after: self.rng.random_bool(0.5), stall, pause: false }
    }

    fn disarm(&mut self, node: u16, span: Duration) -> Throw {
        let all = self.rng.random_bool(0.5);
        let scope = if all { Scope::All } else { Scope::Node(Place::Node(node).to_string()) };
        let (person, reason) = ("dice".to_owned(), "dice".to_owned());
        // Some end by themselves, and are ended by hand only if that is earlier.
        let minutes = self.rng.random_bool(0.3).then(|| span.as_secs().div_ceil(60).max(1));
        let (by, on) = (person.clone(), scope.clone());
        let disarm = Request::Disarm { scope: on, reason, person: by, minutes };
        Throw::ordered(disarm, span, Request::Arm { scope, person })
    }

    /// Work on a node that an operator has planned, with or without its VMs moved away first.
    fn maintain(&mut self, node: u16, span: Duration) -> Throw {
        let migrate = self.rng.random_bool(0.4);
        let switch = |on| Request::Maintenance {
            node: Place::Node(node).to_string(),
            on,
            reason: "dice".to_owned(),
            person: "dice".to_owned(),
            minutes: None,
            migrate: on && migrate,
        };
        Throw::ordered(switch(true), span, switch(false))
    }

    /// A node that serves again and was fenced a moment ago, or twice, if there is one: whatever happens to it, it is left
    /// alone.
    fn just_back(&mut self, world: &World) -> Option<u16> {
        let registry = world.registry()?;
        let back = |number: &u16| {
            let id = node_id(*number);
            let fenced = registry.fences_within(id, 3) > 0 || registry.fences_within(id, 60) > 1;
            fenced && !registry.is_out(id)
        };
        let back: Vec<u16> = world.nodes.iter().map(|node| node.number).filter(back).collect();
        let place = (!back.is_empty()).then(|| self.rng.random_range(0..back.len()))?;
        back.get(place).copied()
    }

    /// An operator disables a node on which nothing runs, tries its BMC or its watchdog, and switches it on again later.
    fn drill(&mut self, world: &World, span: Duration) -> Throw {
        let out = |number| world.registry().is_some_and(|known| known.is_out(node_id(number)));
        let empty = |node: &&Machine| node.compute_runs() && node.guests.is_empty();
        let empty = world.nodes.iter().filter(empty).map(|node| node.number);
        let empty: Vec<u16> = empty.filter(|number| !out(*number)).collect();
        if empty.is_empty() {
            return Throw::once(Vec::new());
        }
        let number = empty[self.rng.random_range(0..empty.len())];
        let (node, person) = (Place::Node(number).to_string(), "dice".to_owned());
        let drill = Request::Drill { node, watchdog: self.rng.random_bool(0.6), person };
        let disable = Act::Deed(Deed::Compute(number, Some(false), None));
        let back = [Deed::PowerOn(number), Deed::Compute(number, Some(true), None)];
        let acts = vec![disable, Act::Order(drill)];
        Throw { acts, span: span / 2, undo: Some(script::deeds(back.to_vec())) }
    }

    /// An operator has a node fenced that serves, and switches it on again later.
    fn fence(&mut self, world: &World, span: Duration) -> Throw {
        let out = |number| world.registry().is_some_and(|known| known.is_out(node_id(number)));
        let serving = world.nodes.iter().filter(|node| node.compute_runs() && !out(node.number));
        let serving: Vec<u16> = serving.map(|node| node.number).collect();
        if serving.is_empty() {
            return Throw::once(Vec::new());
        }
        let number = serving[self.rng.random_range(0..serving.len())];
        let (person, reason) = ("dice".to_owned(), "dice".to_owned());
        let fence = Request::Fence { node: Place::Node(number).to_string(), reason, person };
        let on = vec![Act::Deed(Deed::PowerOn(number))];
        Throw { acts: vec![Act::Order(fence)], span: span / 8, undo: Some(on) }
    }
}

/// An operator has looked, and says of a node that is off that it is off.
fn confirm(world: &World) -> Throw {
    let sought = |number| {
        let incident = world.registry().and_then(|known| known.incident_of(node_id(number)));
        incident.is_some_and(|incident| incident.state == State::Fencing)
    };
    let off = |power| matches!(power, Power::Off | Power::NoFeed);
    let found = world.nodes.iter().find(|node| off(node.power) && sought(node.number));
    let acts = found.map(|node| {
        let (node, person) = (node.place().to_string(), "dice".to_owned());
        let reason = "it is off".to_owned();
        Act::Order(Request::Confirm { typed: node.clone(), node, reason, person })
    });
    Throw { acts: acts.into_iter().collect(), span: Duration::ZERO, undo: None }
}

/// An operator lets a node back that was recovered and waits, in quarantine perhaps.
fn release(world: &World) -> Throw {
    let acts = releases(world).into_iter().take(1).map(Act::Order).collect();
    Throw { acts, span: Duration::ZERO, undo: None }
}

/// The orders that let back whatever was recovered and runs.
pub(super) fn releases(world: &World) -> Vec<Request> {
    let waits = |number| {
        let incident = world.registry().and_then(|known| known.incident_of(node_id(number)));
        incident.is_some_and(|incident| incident.state == State::Recovered)
    };
    let waiting =
        world.nodes.iter().filter(|node| node.power == Power::Running && waits(node.number));
    let order = |node: String| {
        let person = "dice".to_owned();
        Request::Release { node, force: true, reason: "it is repaired".to_owned(), person }
    };
    waiting.map(|node| order(node.place().to_string())).collect()
}

fn apart(world: &World, place: Place, span: Duration) -> Throw {
    let networks = (0..world.plan().networks()).map(Network);
    let cut = networks.clone().map(|network| Deed::Cut(place, network, None)).collect();
    Throw::for_a_while(cut, span, networks.map(|network| Deed::Heal(place, network)).collect())
}
