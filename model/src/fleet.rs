//! S23, fleet_survives: four armed nodes of which the controllers vanish at any time, links break and a node dies. A node that
//! always reaches enough voters is never reset. Nothing here is late but what is cut: the sums are the lease model's.

use fencing::lease::vouches_needed;

use crate::check::{Subject, bits};

const NODES: usize = 4;
/// L, C and W, in ticks. An ask goes out every tick.
const LEASE: u8 = 3;
const VOUCH: u8 = 2;
const WATCHDOG: u8 = 2;
const NEVER: u8 = u8::MAX;
/// Links that break.
const CUTS: u8 = 2;
/// Nodes that die.
const DEATHS: u8 = 1;

/// One break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A peer vouches only while it holds a lease itself.
    AsksForLeases,
    /// No vouch counts.
    NoVouches,
    /// One vouch more is wanted.
    OneVouchMore,
}

impl Mutant {
    /// All.
    pub const ALL: &[Mutant] = &[Mutant::AsksForLeases, Mutant::NoVouches, Mutant::OneVouchMore];

    /// What it breaks, as half a sentence.
    pub fn breaks(self) -> &'static str {
        match self {
            Mutant::AsksForLeases => "peers are asked for their leases instead of vouching",
            Mutant::NoVouches => "a lost lease alone resets a node",
            Mutant::OneVouchMore => "v + 1 vouches are wanted",
        }
    }

    /// Its number in the list of mutants of the simulator, if it has one.
    pub fn number(self) -> &'static str {
        match self {
            Mutant::AsksForLeases => "M61",
            Mutant::NoVouches | Mutant::OneVouchMore => "",
        }
    }
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// The broken rule.
    pub mutant: Option<Mutant>,
}

/// A node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node {
    alive: bool,
    /// Reset by its own watchdog.
    reset: bool,
    /// Reset although it had always reached enough voters.
    unfair: bool,
    /// It did not reach enough voters once.
    short: bool,
    lease: u8,
    vouched: [u8; NODES],
    fed: u8,
}

/// A state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    nodes: [Node; NODES],
    /// Links that are cut, a bit for each pair.
    cut: u16,
    controllers: bool,
    cuts: u8,
    deaths: u8,
}

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A tick: everybody asks, answers and feeds.
    Tick,
    /// The controllers are gone.
    ControllersGone,
    /// They are back.
    ControllersBack,
    /// A link breaks for good.
    Cut(usize, usize),
    /// A node dies.
    Dies(usize),
}

fn pair(a: usize, b: usize) -> u16 {
    1 << (a.min(b) * NODES + a.max(b))
}

fn older(age: u8, most: u8) -> u8 {
    if age >= most { NEVER } else { age + 1 }
}

impl Fleet {
    fn is_vouched_for(&self, node: &Node, own: usize) -> bool {
        let needed = match self.mutant {
            Some(Mutant::NoVouches) => return false,
            Some(Mutant::OneVouchMore) => vouches_needed(NODES - 1) + 1,
            Some(Mutant::AsksForLeases) | None => vouches_needed(NODES - 1),
        };
        let vouched = node.vouched.iter().enumerate();
        vouched.filter(|(other, age)| *other != own && **age != NEVER).count() >= needed
    }

    fn reach(s: &State, node: usize) -> usize {
        let reached = |other: &usize| {
            *other != node && s.nodes[*other].alive && s.cut & pair(node, *other) == 0
        };
        (0..NODES).filter(reached).count()
    }

    fn note_short(s: &mut State) {
        for node in 0..NODES {
            s.nodes[node].short |= Self::reach(s, node) < vouches_needed(NODES - 1);
        }
    }

    fn tick(&self, s: &mut State) {
        let before = *s;
        for own in 0..NODES {
            let node = &mut s.nodes[own];
            if !node.alive {
                continue;
            }
            node.lease = if s.controllers { 0 } else { older(node.lease, LEASE) };
            for other in 0..NODES {
                let them = &before.nodes[other];
                let heard = them.alive && before.cut & pair(own, other) == 0;
                let vouches = self.mutant != Some(Mutant::AsksForLeases) || them.lease != NEVER;
                let age = &mut node.vouched[other];
                *age = if heard && vouches { 0 } else { older(*age, VOUCH) };
            }
            if node.lease != NEVER || self.is_vouched_for(node, own) {
                node.fed = 0;
            } else if node.fed >= WATCHDOG {
                (node.alive, node.reset, node.unfair) = (false, true, !node.short);
                (node.lease, node.vouched) = (NEVER, [NEVER; NODES]);
            } else {
                node.fed += 1;
            }
        }
    }
}

impl Subject for Fleet {
    type State = State;
    type Action = Action;

    const ALWAYS: &'static [&'static str] = &["S23 fleet_survives"];
    const SOMETIMES: &'static [&'static str] =
        &["nobody has a lease and all live", "a lone node is reset", "the controllers return"];

    fn name(&self) -> String {
        "fleet".to_owned()
    }

    fn bounds(&self) -> String {
        format!("{NODES} nodes, {CUTS} links cut, {DEATHS} deaths, controllers come and go")
    }

    fn start(&self) -> Vec<State> {
        let node = Node {
            alive: true,
            reset: false,
            unfair: false,
            short: false,
            lease: 0,
            vouched: [0; NODES],
            fed: 0,
        };
        let nodes = [node; NODES];
        vec![State { nodes, cut: 0, controllers: true, cuts: CUTS, deaths: DEATHS }]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        actions.push(if s.controllers { Action::ControllersGone } else { Action::ControllersBack });
        for a in 0..NODES {
            if s.deaths > 0 && s.nodes[a].alive {
                actions.push(Action::Dies(a));
            }
            for b in 0..a {
                if s.cuts > 0 && s.cut & pair(a, b) == 0 {
                    actions.push(Action::Cut(a, b));
                }
            }
        }
    }

    fn step(&self, before: &State, action: Action) -> Option<State> {
        let mut s = *before;
        match action {
            Action::Tick => self.tick(&mut s),
            Action::ControllersGone => s.controllers = false,
            Action::ControllersBack => s.controllers = true,
            Action::Cut(a, b) => {
                s.cuts -= 1;
                s.cut |= pair(a, b);
            }
            Action::Dies(a) => {
                s.deaths -= 1;
                s.nodes[a].alive = false;
                (s.nodes[a].lease, s.nodes[a].vouched) = (NEVER, [NEVER; NODES]);
            }
        }
        Self::note_short(&mut s);
        Some(s)
    }

    fn broken(&self, s: &State) -> u32 {
        bits(&[s.nodes.iter().any(|node| node.unfair)])
    }

    fn reached(&self, s: &State) -> u32 {
        let leaseless = s.nodes.iter().all(|node| node.alive && node.lease == NEVER);
        let lone = s.nodes.iter().any(|node| node.reset);
        bits(&[leaseless, lone, lone && s.controllers])
    }

    fn wanted(&self) -> u32 {
        0b111
    }

    fn passes_time(&self, action: &Action) -> bool {
        *action == Action::Tick
    }

    fn tell(&self, _: &State, action: &Action, after: &State) -> String {
        let told = match action {
            Action::Tick => "a tick".to_owned(),
            Action::ControllersGone => "the controllers are gone".to_owned(),
            Action::ControllersBack => "the controllers are back".to_owned(),
            Action::Cut(a, b) => {
                format!("the link between node-{} and node-{} breaks", a + 1, b + 1)
            }
            Action::Dies(a) => format!("node-{} dies", a + 1),
        };
        let reset: Vec<String> = (1..)
            .zip(&after.nodes)
            .filter(|(_, n)| n.reset)
            .map(|(i, _): (u8, _)| format!("node-{i}"))
            .collect();
        if reset.is_empty() { told } else { format!("{told:<64} reset: {}", reset.join(", ")) }
    }
}
