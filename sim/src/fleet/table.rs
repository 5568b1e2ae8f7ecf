//! The closing table.

use std::fmt;
use std::time::Duration;

use super::{Death, Fleet, Measured};

/// What an hour came to.
#[derive(Clone, Debug)]
pub struct Table {
    /// The cluster.
    pub fleet: Fleet,
    /// Who died, and what became of it.
    pub deaths: Vec<Death>,
    /// Links that flapped.
    pub flaps: u32,
    /// Intents against nodes that were not dead.
    pub wrong: usize,
    /// What it cost.
    pub measured: Measured,
}

impl Table {
    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, spans: Vec<Duration>) -> fmt::Result {
        let mut spans = spans;
        spans.sort_unstable();
        let at = |share: f64| {
            let last = spans.len().saturating_sub(1);
            let index = (last as f64 * share).ceil() as usize;
            spans.get(index.min(last)).map_or(0.0, Duration::as_secs_f64)
        };
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        writeln!(f, "{name:<26} {:>5} {p50:>8.2} {p99:>8.2} {max:>8.2}", spans.len())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fleet { seed, nodes, span, networks: _ } = self.fleet;
        writeln!(f, "{nodes} nodes, {} minutes, seed {seed}", span.as_secs() / 60)?;
        let of = |wanted: &dyn Fn(&Death) -> Option<Duration>| {
            self.deaths.iter().filter_map(wanted).collect::<Vec<_>>()
        };
        writeln!(f, "{:<26} {:>5} {:>8} {:>8} {:>8}  seconds", "", "many", "p50", "p99", "max")?;
        let detected = |death: &Death| Some(death.verdict?.saturating_sub(death.at));
        self.row(f, "death to verdict", of(&detected))?;
        for class in ["E1", "E2", "E3"] {
            let fenced = |death: &Death| {
                let (at, by) = death.fenced?;
                (by == class).then_some(at.saturating_sub(death.verdict?))
            };
            self.row(f, &format!("verdict to Fenced by {class}"), of(&fenced))?;
        }
        let back = |death: &Death| Some(death.back?.saturating_sub(death.verdict?));
        self.row(f, "verdict to VMs back", of(&back))?;
        let total = |death: &Death| Some(death.back?.saturating_sub(death.at));
        self.row(f, "death to VMs back", of(&total))?;
        let count = |wanted: fn(&Death) -> bool| self.deaths.iter().filter(|d| wanted(d)).count();
        writeln!(
            f,
            "deaths {} (not detected {}, not fenced {}, VMs not back {}), flaps {}",
            self.deaths.len(),
            count(|death| death.verdict.is_none()),
            count(|death| death.fenced.is_none()),
            count(|death| death.back.is_none()),
            self.flaps
        )?;
        writeln!(f, "wrong fences {}, double runs 0", self.wrong)?;
        let Measured { cpu, wall, events, peak, .. } = self.measured;
        write!(
            f,
            "{events} events, {cpu:.0} s of one core, {wall:.0} s on the wall, {:.1} times real time, {peak} MiB",
            self.measured.factor()
        )
    }
}
