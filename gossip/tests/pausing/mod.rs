//! Members that stop for a while and go on, again and again, in one thread under virtual time. Packets that come meanwhile
//! wait, and are all read when it goes on: before its timers fire where the whole process stood still. Where it was only
//! blocked (as in the experiment by which Lifeguard was measured) its timers fire all the time, and what it sends waits.
//! A packet takes 0.2 to 2.2 ms, a message costs no time, and nothing is lost.

pub(crate) mod ours;
pub(crate) mod plain;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a member does in answer to something.
#[derive(Default)]
pub(crate) struct Out {
    pub(crate) sends: Vec<(usize, Vec<u8>)>,
    /// Whom it calls dead from now on, or no longer.
    pub(crate) says: Vec<(usize, bool)>,
}

/// A member that gossips.
pub(crate) trait Speaker {
    fn packet(&mut self, now: Duration, from: usize, bytes: &[u8], out: &mut Out);
    fn due(&self) -> Option<Duration>;
    fn fire(&mut self, now: Duration, out: &mut Out);
}

/// What is done to the members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    pub(crate) members: usize,
    /// C: so many are stopped again and again, those with the lowest numbers.
    pub(crate) shaky: usize,
    /// D and I: for so long, and running for so long in between.
    pub(crate) stopped: Duration,
    pub(crate) running: Duration,
    /// Only its packets wait, and its timers do not.
    pub(crate) blocked: bool,
    /// All stop and go on together; otherwise each has a phase of its own.
    pub(crate) in_step: bool,
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// How often a healthy member was called dead, by anybody, and by a healthy one.
    pub(crate) wrong: [u64; 2],
    pub(crate) pauses: u64,
    /// Seconds from the beginning of a pause until a first healthy member called the stopped one dead, and until nine of
    /// ten did.
    pub(crate) first: Vec<f64>,
    pub(crate) most: Vec<f64>,
    /// Packets of a member in a second.
    pub(crate) packets: f64,
}

enum What {
    Deliver { to: usize, from: usize, bytes: Vec<u8> },
    Wake(usize),
    Stop(usize),
    Go(usize),
}

struct Node {
    speaker: Box<dyn Speaker>,
    stopped: bool,
    waiting: Vec<(usize, Vec<u8>)>,
    unsent: Vec<(usize, Vec<u8>)>,
    wakes_at: Option<Duration>,
}

struct World {
    now: Duration,
    pauses: Pauses,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, What>,
    sequence: u64,
    rng: ChaCha8Rng,
    sent: u64,
    /// Who calls whom dead.
    dead: BTreeSet<(usize, usize)>,
    /// Pauses that go on: since when, and whether a first one and most have said so.
    open: BTreeMap<usize, (Duration, bool, bool)>,
    found: Found,
}

/// Lets members come to rest, then stops some of them now and then for this long, and tells what was said.
pub(crate) fn run(
    pauses: Pauses,
    span: Duration,
    new: impl Fn(usize, u64, Duration, &mut Out) -> Box<dyn Speaker>,
) -> Found {
    let mut world = World {
        now: Duration::from_secs(1000),
        pauses,
        nodes: Vec::new(),
        queue: BinaryHeap::new(),
        events: BTreeMap::new(),
        sequence: 0,
        rng: ChaCha8Rng::seed_from_u64(pauses.seed),
        sent: 0,
        dead: BTreeSet::new(),
        open: BTreeMap::new(),
        found: Found::default(),
    };
    for number in 0..pauses.members {
        let mut out = Out::default();
        let speaker = new(number, world.rng.random(), world.now, &mut out);
        let (waiting, unsent) = (Vec::new(), Vec::new());
        world.nodes.push(Node { speaker, stopped: false, waiting, unsent, wakes_at: None });
        world.carry_out(number, out);
        world.run(Duration::from_millis(1000 / pauses.members as u64));
    }
    world.run(Duration::from_secs(40));
    assert!(world.dead.is_empty(), "they came to rest");
    (world.found, world.sent) = (Found::default(), 0);
    let cycle = pauses.stopped + pauses.running;
    for number in 0..pauses.shaky {
        let phase = if pauses.in_step { 0.0 } else { world.rng.random_range(0.0..1.0) };
        world.push(world.now + cycle.mul_f64(phase), What::Stop(number));
    }
    world.run(span);
    world.found.packets = world.sent as f64 / span.as_secs_f64() / pauses.members as f64;
    for times in [&mut world.found.first, &mut world.found.most] {
        times.sort_by(f64::total_cmp);
    }
    world.found
}

impl World {
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, sequence))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            match self.events.remove(&sequence) {
                Some(What::Deliver { to, from, bytes }) => self.deliver(to, from, bytes),
                Some(What::Wake(node)) => self.wake(node, at),
                Some(What::Stop(node)) => self.stop(node),
                Some(What::Go(node)) => self.go(node),
                None => {}
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, to: usize, from: usize, bytes: Vec<u8>) {
        // Who has not begun yet hears nothing.
        let Some(node) = self.nodes.get_mut(to) else { return };
        if node.stopped {
            node.waiting.push((from, bytes));
            return;
        }
        let mut out = Out::default();
        node.speaker.packet(self.now, from, &bytes, &mut out);
        self.carry_out(to, out);
    }

    fn wake(&mut self, number: usize, at: Duration) {
        let node = &mut self.nodes[number];
        if node.wakes_at == Some(at) {
            node.wakes_at = None;
        }
        if !node.stopped || self.pauses.blocked {
            self.fire(number);
        }
    }

    fn fire(&mut self, number: usize) {
        let mut out = Out::default();
        let speaker = &mut self.nodes[number].speaker;
        if speaker.due().is_some_and(|at| at <= self.now) {
            speaker.fire(self.now, &mut out);
        }
        self.carry_out(number, out);
    }

    fn stop(&mut self, number: usize) {
        self.nodes[number].stopped = true;
        self.found.pauses += 1;
        self.open.insert(number, (self.now, false, false));
        self.push(self.now + self.grain(self.pauses.stopped), What::Go(number));
    }

    fn go(&mut self, number: usize) {
        self.nodes[number].stopped = false;
        self.open.remove(&number);
        let unsent = std::mem::take(&mut self.nodes[number].unsent);
        self.carry_out(number, Out { sends: unsent, says: Vec::new() });
        for (from, bytes) in std::mem::take(&mut self.nodes[number].waiting) {
            self.deliver(number, from, bytes);
        }
        self.fire(number);
        let at = self.now + self.grain(self.pauses.running);
        self.push(at, What::Stop(number));
    }

    /// Members with equal times do not march in step, unless they are to.
    fn grain(&self, time: Duration) -> Duration {
        let chance = self.sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let grain = Duration::from_micros(chance % 100_000);
        if self.pauses.in_step { time } else { time + grain }
    }

    fn carry_out(&mut self, number: usize, out: Out) {
        for (to, bytes) in out.sends {
            if self.nodes[number].stopped {
                self.nodes[number].unsent.push((to, bytes));
                continue;
            }
            self.sent += 1;
            let flight = Duration::from_micros(self.rng.random_range(200..2200));
            self.push(self.now + flight, What::Deliver { to, from: number, bytes });
        }
        for (of, dead) in out.says {
            if !dead {
                self.dead.remove(&(number, of));
            } else if self.dead.insert((number, of)) {
                self.called_dead(number, of);
            }
        }
        let node = &mut self.nodes[number];
        if let Some(at) = node.speaker.due()
            && node.wakes_at.is_none_or(|wakes| at < wakes)
        {
            node.wakes_at = Some(at);
            self.push(at, What::Wake(number));
        }
    }

    fn called_dead(&mut self, by: usize, of: usize) {
        let shaky = self.pauses.shaky;
        if of >= shaky {
            self.found.wrong[0] += 1;
            self.found.wrong[1] += u64::from(by >= shaky);
            return;
        }
        let healthy = self.pauses.members - shaky;
        let say_so = self.dead.iter().filter(|(by, dead)| *dead == of && *by >= shaky).count();
        let Some((since, first, most)) = self.open.get_mut(&of) else { return };
        let after = (self.now - *since).as_secs_f64();
        if say_so > 0 && !std::mem::replace(first, true) {
            self.found.first.push(after);
        }
        if say_so * 10 >= healthy * 9 && !std::mem::replace(most, true) {
            self.found.most.push(after);
        }
    }

    fn push(&mut self, at: Duration, what: What) {
        self.sequence += 1;
        self.events.insert(self.sequence, what);
        self.queue.push(Reverse((at, self.sequence)));
    }
}

/// The setting C, D and I in seconds, and whether members are only blocked, and all at once.
pub(crate) fn pauses(
    members: usize,
    (shaky, stopped, running): (usize, u64, u64),
    (blocked, in_step): (bool, bool),
) -> Pauses {
    let (stopped, running) = (Duration::from_secs(stopped), Duration::from_secs(running));
    Pauses { members, shaky, stopped, running, blocked, in_step, seed: 7 }
}

/// Plays it with foca alone.
pub(crate) fn plain(pauses: Pauses, alpha: f64, span: Duration) -> Found {
    let members = pauses.members;
    run(pauses, span, |number, seed, now, out| {
        plain::Plain::begin(number, members, alpha, (seed, now), out)
    })
}

/// Plays it with our groups.
pub(crate) fn ours(pauses: Pauses, alpha: f64, span: Duration) -> Found {
    let members = pauses.members;
    run(pauses, span, |number, seed, now, out| {
        ours::Ours::begin(number, members, alpha, (seed, now), out)
    })
}
