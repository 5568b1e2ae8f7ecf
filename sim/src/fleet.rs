//! A large cluster for an hour: what it detects, how fast it is, and what all of that costs.
//!
//! Packets are lost all the time, links flap, and now and then a node dies: by its power, with its BMC, or by its kernel.
//! The table tells from the true time of each death how long the cluster took.

mod deaths;
mod measure;
mod pauses;
mod recovery;
mod table;

use std::time::{Duration, Instant};

use action_matrix::Matrix;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fault::Deed;
use crate::place::{Place, node_id};
use crate::run::{NotSettled, Run};
use crate::world::Plan;
use controller::effect::Network;
use uuid::Uuid;

pub use deaths::Deaths;
pub use measure::{Cost, Measured};
pub use pauses::{Paused, Pauses};
pub use recovery::{Loss, Recovered, real_latency};
pub use table::Table;

/// A cluster and its hour.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// Everything follows from it.
    pub seed: u64,
    /// Nodes.
    pub nodes: u16,
    /// How long it is watched.
    pub span: Duration,
    /// Networks, 1 to 3: the first ones of the default matrix.
    pub networks: u8,
}

/// Nodes of a failure domain.
const RACK: u16 = 25;
/// Clusters of at least this size do not find each other first.
const LARGE: u16 = 100;
/// Per mille of all datagrams that is lost.
const LOSS: u32 = 5;
/// From one death to the next, on average: what the guards of a thousand nodes allow.
const DEATHS: Duration = Duration::from_secs(150);
/// From one flap to the next.
const FLAPS: Duration = Duration::from_secs(45);
/// A dead node is repaired after this time.
const REPAIR: Duration = Duration::from_secs(420);
/// Who waits is told how far it is this often.
const TOLD_EVERY: Duration = Duration::from_secs(2);
/// How exactly times are taken.
const GRAIN: Duration = Duration::from_millis(100);

/// A death, and what became of it.
#[derive(Clone, Debug)]
pub struct Death {
    /// Whose.
    pub node: u16,
    /// Of which kind.
    pub how: &'static str,
    /// When it died.
    pub at: Duration,
    /// When it is switched on again.
    pub repaired: Duration,
    /// When the intent to fence it was committed.
    pub verdict: Option<Duration>,
    /// When its evidence was committed, and of which class.
    pub fenced: Option<(Duration, &'static str)>,
    /// When all its VMs ran again.
    pub back: Option<Duration>,
    vms: Vec<Uuid>,
}

/// Why there is no table.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Broken {
    /// The cluster did not come to rest.
    #[error(transparent)]
    NotSettled(#[from] NotSettled),
    /// A property was broken: a wrong fence or a double run among them.
    #[error("{0}")]
    Violation(crate::oracle::Violation),
}

impl Fleet {
    /// One that is not watched for any time yet, on all three networks.
    pub fn quiet(seed: u64, nodes: u16) -> Self {
        Self { seed, nodes, span: Duration::ZERO, networks: 3 }
    }

    /// What it is made from.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::new(self.seed, self.nodes);
        if usize::from(self.networks) < plan.matrix.networks().len() {
            plan.matrix = matrix_of(plan.matrix.networks(), self.networks);
        }
        plan.domains = (self.nodes / RACK).max(3);
        plan.warm = self.nodes >= LARGE;
        plan
    }

    /// Lets the hour pass. `told` hears how much of it is over, now and then.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn run(&self, told: impl Fn(&str)) -> Result<Table, Broken> {
        let begin = Instant::now();
        let mut said = begin;
        told("the cluster is switched on");
        let mut run = Run::settled_telling(self.plan(), |world| {
            if said.elapsed() >= TOLD_EVERY {
                said = Instant::now();
                let (serving, now) = (world.serving(), world.now().as_secs());
                told(&format!("{serving} of {} nodes serve after {now} s", self.nodes));
            }
        })?;
        told(&format!("at rest after {:.0} s", run.world.now().as_secs_f64()));
        let cost = Cost::so_far(&run.world);
        let from = run.world.now();
        run.world.inflict(&Deed::Background(LOSS));
        let mut hour = Hour::new(self, &mut run);
        while run.world.now() < from + self.span {
            run.go_on(GRAIN).map_err(Broken::Violation)?;
            hour.pass(&mut run);
            if said.elapsed() >= TOLD_EVERY {
                said = Instant::now();
                let passed = run.world.now().saturating_sub(from).as_secs();
                told(&format!("{passed} s of {}", self.span.as_secs()));
            }
        }
        let wrong = hour.wrong_fences(&run);
        let measured = Cost::so_far(&run.world).since(&cost, begin.elapsed());
        Ok(Table { fleet: *self, deaths: hour.deaths, flaps: hour.flaps, wrong, measured })
    }
}

impl Fleet {
    /// How fast it is while nothing happens but loss: seconds of the processor until it came to rest, and what was
    /// measured then, for at least so many seconds of the processor.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn bench(&self, seconds: f64) -> Result<(f64, Measured), Broken> {
        let begin = Instant::now();
        let mut run = Run::settled(self.plan())?;
        run.world.inflict(&Deed::Background(LOSS));
        let settled = Cost::so_far(&run.world);
        loop {
            run.go_on(Duration::from_secs(1)).map_err(Broken::Violation)?;
            let measured = Cost::so_far(&run.world).since(&settled, begin.elapsed());
            // Where Linux does not tell the processor's time, the simulated time ends it.
            if measured.cpu >= seconds || measured.simulated >= 3600.0 {
                return Ok((settled.cpu, measured));
            }
        }
    }
}

/// All networks up: nothing to do. Anything else: say so. For clusters in which no more than the verdict is measured.
fn matrix_of(networks: &[String], first: u8) -> Matrix {
    let networks: Vec<_> = networks.iter().take(usize::from(first)).collect();
    let up: String = networks.iter().map(|name| format!("{name} = \"up\"\n")).collect();
    let text = format!(
        "networks = {networks:?}\n\
         [[row]]\nname = \"all well\"\n{up}settle = \"0s\"\nactions = [\"none\"]\nreason = \"every network answers\"\n\
         [[row]]\nname = \"the rest\"\nsettle = \"0s\"\nactions = [\"notify\"]\nreason = \"some network does not\"\n"
    );
    #[allow(clippy::expect_used, reason = "a test loads it for each number of networks")]
    let loaded = Matrix::parse("fleet.toml", &text).expect("a matrix of two rows loads");
    loaded.matrix
}

/// What happens in the hour.
struct Hour {
    rng: ChaCha8Rng,
    /// Who dies, in this order.
    doomed: Vec<u16>,
    deaths: Vec<Death>,
    next_death: Duration,
    next_flap: Duration,
    heal: Vec<(Duration, Deed)>,
    flaps: u32,
    ends: Duration,
}

impl Hour {
    fn new(fleet: &Fleet, run: &mut Run) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(fleet.seed ^ 0xf1ee7);
        let mut doomed: Vec<u16> = (1..=fleet.nodes).collect();
        doomed.shuffle(&mut rng);
        let deaths = fleet.span.as_secs() / DEATHS.as_secs() + 1;
        doomed.truncate(
            usize::try_from(deaths).unwrap_or(1).min(usize::from(fleet.nodes / 2).max(1)),
        );
        for number in &doomed {
            for n in 1..=2 {
                run.world.place_vm(&format!("vm-{number}-{n}"), *number);
            }
        }
        let now = run.world.now();
        Self {
            rng,
            doomed,
            deaths: Vec::new(),
            next_death: now + DEATHS / 5,
            next_flap: now + FLAPS,
            heal: Vec::new(),
            flaps: 0,
            ends: now + fleet.span,
        }
    }

    /// A moment has passed.
    fn pass(&mut self, run: &mut Run) {
        let now = run.world.now();
        let (due, left) =
            std::mem::take(&mut self.heal).into_iter().partition(|(at, _)| *at <= now);
        self.heal = left;
        let due: Vec<(Duration, Deed)> = due;
        due.iter().for_each(|(_, deed)| run.world.inflict(deed));
        // Late in the hour nobody dies any more whose recovery would not be seen.
        if self.next_death <= now && now + DEATHS / 2 < self.ends {
            self.next_death = now + DEATHS.mul_f64(self.rng.random_range(0.8..1.2));
            self.die(run);
        }
        if self.next_flap <= now {
            self.next_flap = now + FLAPS.mul_f64(self.rng.random_range(0.5..1.5));
            self.flap(run);
        }
        self.look(run);
    }

    fn die(&mut self, run: &mut Run) {
        let Some(node) = self.doomed.pop() else { return };
        let now = run.world.now();
        let (how, deed) = match self.deaths.len() % 3 {
            0 => ("power", Deed::PowerOff(node, false)),
            1 => ("feed", Deed::PowerOff(node, true)),
            _ => ("kernel", Deed::Hang(node)),
        };
        let vms =
            run.world.node(node).map_or(Vec::new(), |node| node.guests.iter().copied().collect());
        run.world.inflict(&deed);
        let repaired = now + REPAIR;
        self.heal.push((repaired, Deed::PowerOn(node)));
        let (verdict, fenced, back) = (None, None, None);
        self.deaths.push(Death { node, how, at: now, repaired, verdict, fenced, back, vms });
    }

    fn flap(&mut self, run: &mut Run) {
        let node = Place::Node(self.rng.random_range(1..=run.world.plan().nodes));
        let network = Network(self.rng.random_range(0..run.world.plan().networks()));
        let span = Duration::from_millis(self.rng.random_range(500..4000));
        run.world.inflict(&Deed::Cut(node, network, None));
        self.heal.push((run.world.now() + span, Deed::Heal(node, network)));
        self.flaps += 1;
    }

    /// What became of the deaths.
    fn look(&mut self, run: &Run) {
        let now = run.world.now();
        let Some(registry) = run.world.registry() else { return };
        for death in self.deaths.iter_mut().filter(|death| death.back.is_none()) {
            let mut of_node = registry.incidents().values().filter(|incident| {
                let intended = run.world.ghost.intended.get(&incident.id);
                incident.node == node_id(death.node) && intended.is_some_and(|at| *at >= death.at)
            });
            let Some(incident) = of_node.next() else { continue };
            death.verdict = run.world.ghost.intended.get(&incident.id).copied();
            let evidence = incident.fence().and_then(|fence| fence.evidence.as_ref());
            let proven = run.world.ghost.proven.get(&incident.id).copied();
            death.fenced = proven.zip(evidence.map(|evidence| evidence.class()));
            let runs = |vm: &Uuid| !run.world.runs_on(*vm).is_empty();
            if death.fenced.is_some() && death.vms.iter().all(runs) {
                death.back = Some(now);
            }
        }
    }

    /// Intents against nodes that were not dead.
    fn wrong_fences(&self, run: &Run) -> usize {
        let Some(registry) = run.world.registry() else { return 0 };
        let fences = registry.incidents().values().filter(|incident| incident.fence().is_some());
        let wrong = fences.filter(|incident| {
            let at = run.world.ghost.intended.get(&incident.id).copied().unwrap_or_default();
            let mut dead = self.deaths.iter().filter(|death| node_id(death.node) == incident.node);
            !dead.any(|death| death.at <= at && at <= death.repaired)
        });
        wrong.count()
    }
}
