//! Many nodes lost at once: how fast their VMs are moved, against the floor that the windows and Nova's own time set, and
//! what that costs.

use std::fmt;
use std::time::{Duration, Instant};

use api::Request;
use controller::core::Pace;
use controller::registry::{Incident, Progress};
use fencing::IncidentId;

use super::{Broken, Cost, Measured};
use crate::fault::Deed;
use crate::place::Place;
use crate::run::Run;
use crate::standin::nova::Latency;
use crate::world::Plan;

/// A loss.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Everything follows from it.
    pub seed: u64,
    /// Nodes that are lost at once.
    pub lost: u16,
    /// Nodes that are left.
    pub left: u16,
    /// VMs of each lost node.
    pub vms: u16,
    /// How many at once.
    pub pace: Pace,
    /// How long Nova takes.
    pub latency: Latency,
}

/// What came of it. Times are from the first VM that could be moved, but for `fenced`.
#[derive(Clone, Debug)]
pub struct Recovered {
    loss: Loss,
    /// From the loss to the last node's evidence.
    fenced: Duration,
    /// When each VM ran, sorted.
    moved: Vec<Duration>,
    /// Seconds from the attempt of a VM to its end, sorted.
    each: Vec<f64>,
    /// VMs that were not moved.
    left_behind: usize,
    /// Most and fewest VMs that a host got.
    spread: (usize, usize),
    measured: Measured,
}

/// Latencies of a real Nova on a busy machine: accepted in 0.15 s, and six servers moved some 9 s after the first POST.
pub fn real_latency() -> Latency {
    Latency {
        api: Duration::from_millis(150),
        schedule: Duration::from_millis(1000),
        cast: Duration::from_millis(200),
        spawn: Duration::from_millis(6000),
        finish: Duration::from_millis(500),
        live: Duration::from_millis(2000),
    }
}

/// Grain of the clock with which the bench looks.
const GRAIN: Duration = Duration::from_millis(100);
/// It is given up after this time.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

impl Loss {
    /// The nodes lose their power at once; an operator has each fenced, which passes over the guards of caution.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn run(&self, told: impl Fn(&str)) -> Result<Recovered, Broken> {
        let begin = Instant::now();
        let mut plan = Plan::new(self.seed, self.lost + self.left);
        plan.domains = 4;
        plan.warm = true;
        plan.recovery.pace = self.pace;
        let mut run = Run::settled(plan)?;
        run.world.cloud.set_latency(self.latency.clone());
        for node in 1..=self.lost {
            for n in 1..=self.vms {
                run.world.place_vm(&format!("vm-{node}-{n}"), node);
            }
        }
        told("at rest; the nodes are lost");
        let cost = Cost::so_far(&run.world);
        let from = run.world.now();
        (1..=self.lost).for_each(|node| run.world.inflict(&Deed::PowerOff(node, false)));
        let mut watch = Watch::default();
        let mut said = Instant::now();
        while !watch.over(self, &run) && run.world.now() < from + LONGEST {
            if let Some(node) = watch.next_to_fence(self, &run) {
                let (reason, person) = ("bench".to_owned(), "bench".to_owned());
                run.world.order(Request::Fence { node, reason, person });
            }
            run.go_on(GRAIN).map_err(Broken::Violation)?;
            watch.look(&run);
            if said.elapsed() >= Duration::from_secs(5) {
                said = Instant::now();
                told(&format!(
                    "{} moved after {:.0} s",
                    watch.moved.len(),
                    run.world.now().saturating_sub(from).as_secs_f64()
                ));
            }
        }
        let measured = Cost::so_far(&run.world).since(&cost, begin.elapsed());
        Ok(watch.recovered(self, from, &run, measured))
    }
}

#[derive(Default)]
struct Watch {
    first: Option<Duration>,
    fenced: Duration,
    moved: Vec<Duration>,
    seen: std::collections::BTreeSet<(IncidentId, uuid::Uuid)>,
}

impl Watch {
    fn next_to_fence(&self, loss: &Loss, run: &Run) -> Option<String> {
        let registry = run.world.registry()?;
        if registry.fences_in_flight() >= registry.most_in_flight() {
            return None;
        }
        let free = |number: &u16| {
            let node = crate::place::node_id(*number);
            registry.incident_of(node).is_none_or(|incident| incident.fence().is_none())
        };
        let node = (1..=loss.lost).find(free)?;
        Some(Place::Node(node).to_string())
    }

    fn incidents(run: &Run) -> impl Iterator<Item = &Incident> {
        let registry = run.world.registry();
        registry.into_iter().flat_map(|registry| registry.incidents().values())
    }

    fn look(&mut self, run: &Run) {
        let now = run.world.now();
        for incident in Self::incidents(run) {
            for (vm, known) in &incident.vms {
                if matches!(known.progress, Progress::Moved { .. })
                    && self.seen.insert((incident.id, *vm))
                {
                    self.moved.push(now);
                }
                if known.in_flight() {
                    self.first.get_or_insert(now);
                }
            }
        }
        if Self::incidents(run)
            .any(|incident| incident.state == controller::registry::State::Fencing)
        {
            self.fenced = now;
        }
    }

    fn over(&self, loss: &Loss, run: &Run) -> bool {
        let all = usize::from(loss.lost) * usize::from(loss.vms);
        let settled =
            Self::incidents(run).flat_map(|i| i.vms.values()).filter(|vm| vm.is_settled());
        settled.count() >= all
    }

    fn recovered(self, loss: &Loss, from: Duration, run: &Run, measured: Measured) -> Recovered {
        let first = self.first.unwrap_or(from);
        let vms = || Self::incidents(run).flat_map(|incident| incident.vms.values());
        let moved = || vms().filter(|vm| matches!(vm.progress, Progress::Moved { .. }));
        let took =
            |vm: &controller::registry::Vm| vm.ended_ms.saturating_sub(vm.began_ms) as f64 / 1000.0;
        let mut each: Vec<f64> = moved().map(took).collect();
        each.sort_by(f64::total_cmp);
        let mut hosts = std::collections::BTreeMap::<&str, usize>::new();
        moved()
            .filter_map(|vm| vm.destination())
            .for_each(|host| *hosts.entry(host).or_default() += 1);
        let spread = (
            hosts.values().max().copied().unwrap_or(0),
            hosts.values().min().copied().unwrap_or(0),
        );
        Recovered {
            loss: loss.clone(),
            fenced: self.fenced.saturating_sub(from),
            moved: self.moved.iter().map(|at| at.saturating_sub(first)).collect(),
            each,
            left_behind: vms().count() - moved().count(),
            spread,
            measured,
        }
    }
}

impl Recovered {
    /// Seconds that the windows and Nova's own time leave at least: the median VM's time on its way, so many at once,
    /// and so many begun a minute.
    fn floor(&self) -> f64 {
        let all = self.moved.len() as f64;
        let each = self.each.get(self.each.len() / 2).copied().unwrap_or(0.0);
        let pace = self.loss.pace;
        let left = usize::from(self.loss.left);
        let at_once =
            pace.cloud.min(pace.source * usize::from(self.loss.lost)).min(pace.destination * left);
        let by_window = all * each / at_once as f64;
        let by_bucket = (all - pace.cloud as f64).max(0.0) * 60.0 / pace.per_minute as f64 + each;
        by_window.max(by_bucket)
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss { seed, lost, left, vms, pace, .. } = &self.loss;
        writeln!(f, "{lost} nodes x {vms} VMs lost at once, {left} nodes left, seed {seed}")?;
        writeln!(
            f,
            "at once: {} in the cloud, {} off a node, {} to a host; {} begun a minute",
            pace.cloud, pace.source, pace.destination, pace.per_minute
        )?;
        let last = self.moved.last().map_or(0.0, Duration::as_secs_f64);
        let all = self.moved.len() as f64;
        let at = |share: f64| {
            let index = (self.each.len().saturating_sub(1) as f64 * share) as usize;
            self.each.get(index).copied().unwrap_or(0.0)
        };
        writeln!(f, "{:<34} {:>9.1} s", "loss to the last node fenced", self.fenced.as_secs_f64())?;
        writeln!(f, "{:<34} {:>9}", "VMs moved", self.moved.len())?;
        writeln!(f, "{:<34} {:>9}", "VMs left behind", self.left_behind)?;
        writeln!(f, "{:<34} {:>9.1} s", "first attempt to the last VM", last)?;
        writeln!(f, "{:<34} {:>9.1} s", "floor of windows and latency", self.floor())?;
        writeln!(f, "{:<34} {:>9.2}", "evacuations a second", all / last.max(0.001))?;
        writeln!(f, "{:<34} {:>4.1} {:>4.1} s", "a VM, p50 and p99", at(0.5), at(0.99))?;
        writeln!(
            f,
            "{:<34} {:>4} {:>4}",
            "VMs of a host, most and fewest", self.spread.0, self.spread.1
        )?;
        let Measured { cpu, wall, simulated, peak, .. } = self.measured;
        write!(
            f,
            "all {} machines in one process: {cpu:.0} s of one core for {simulated:.0} s ({:.0} % of a core), {peak} MiB, {wall:.0} s on the wall",
            lost + left + 3,
            cpu * 100.0 / simulated.max(0.001)
        )
    }
}
