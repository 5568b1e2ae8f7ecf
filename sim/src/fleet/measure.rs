//! What a run costs: time of the processor, memory, events.

use std::fs;
use std::time::Duration;

use crate::world::World;

/// Ticks of the processor's clock in a second, as Linux counts them for programs.
const TICKS: f64 = 100.0;

/// What was spent up to some moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds of the processor, of this process; 0 where Linux does not tell.
    pub cpu: f64,
    /// True time of the world.
    pub simulated: Duration,
    /// Its events.
    pub events: u64,
}

/// What was spent between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Seconds of the processor.
    pub cpu: f64,
    /// Seconds on the wall, preparations included.
    pub wall: f64,
    /// Simulated seconds.
    pub simulated: f64,
    /// Events.
    pub events: u64,
    /// Most memory that the process ever held, in MiB.
    pub peak: u64,
}

impl Cost {
    /// What was spent so far.
    pub fn so_far(world: &World) -> Self {
        Self { cpu: cpu().unwrap_or_default(), simulated: world.now(), events: world.events() }
    }

    /// What was spent since `earlier`.
    pub fn since(&self, earlier: &Self, wall: Duration) -> Measured {
        Measured {
            cpu: self.cpu - earlier.cpu,
            wall: wall.as_secs_f64(),
            simulated: self.simulated.saturating_sub(earlier.simulated).as_secs_f64(),
            events: self.events - earlier.events,
            peak: peak().unwrap_or_default(),
        }
    }
}

impl Measured {
    /// Times real time, on one core that does nothing else.
    pub fn factor(&self) -> f64 {
        if self.cpu > 0.0 { self.simulated / self.cpu } else { 0.0 }
    }
}

fn cpu() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold spaces; user and system time are the 12th and 13th fields after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / TICKS)
}

fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}
