//! How fast the simulator is, for clusters of several sizes, beside its goals. It is the program
//! that the tests run: a build for release, with link-time optimisation, was hardly faster.

use anyhow::{Context as _, Result, ensure};

use crate::place;

/// Nodes, times real time asked of one core, and the most memory in MiB.
const GOALS: [(&str, f64, f64); 4] =
    [("9", 300.0, 512.0), ("60", 300.0, 1024.0), ("200", 30.0, 2048.0), ("1000", 3.0, 4096.0)];
/// Seconds of the processor for which each is measured, this many times: the middle one counts, for machines that are
/// shared are not equally fast from minute to minute.
const SECONDS: &str = "3";
const ROUNDS: usize = 5;

pub(crate) fn command() -> Result<()> {
    let status = place::cargo(&["build", "-p", "sim"]).status()?;
    ensure!(status.success(), "the simulator does not build");
    let program = place::target().join("debug").join("sim");
    let program = program.to_str().context("the target directory has a strange name")?;
    println!("3 networks, 3 controllers, one core; 0.5 % of all datagrams are lost");
    println!(
        "the middle of {ROUNDS} rounds of {SECONDS} s of the processor, and the slowest and the fastest"
    );
    println!(
        "{:>6} {:>10} {:>8} {:>10} {:>10} {:>12} {:>8} {:>8}",
        "nodes", "times", "goal", "slowest", "fastest", "events/s", "MiB", "most"
    );
    let mut missed = Vec::new();
    for (nodes, goal, most) in GOALS {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(round(program, nodes)?);
        }
        rounds.sort_by(|one, other| one.factor.total_cmp(&other.factor));
        let (Some(slowest), Some(fastest)) = (rounds.first(), rounds.last()) else { continue };
        let Some(Round { factor, rate, .. }) = rounds.get(ROUNDS / 2) else { continue };
        let peak = rounds.iter().map(|round| round.peak).fold(0.0, f64::max);
        let (slowest, fastest) = (slowest.factor, fastest.factor);
        println!(
            "{nodes:>6} {factor:>10.1} {goal:>8.0} {slowest:>10.1} {fastest:>10.1} {rate:>12.0} {peak:>8.0} {most:>8.0}"
        );
        if *factor < goal || peak > most {
            missed.push(nodes);
        }
    }
    ensure!(missed.is_empty(), "goals missed for {} nodes", missed.join(", "));
    Ok(())
}

/// What one round measured.
struct Round {
    /// Times real time.
    factor: f64,
    /// Events in a second of the processor.
    rate: f64,
    /// Memory at its highest, in MiB.
    peak: f64,
}

fn round(program: &str, nodes: &str) -> Result<Round> {
    let output = place::program(program, &["--nodes", nodes, "--bench", SECONDS]).output()?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{nodes} nodes: {told}{errors}");
    let value = |name| value(&told, name).with_context(|| format!("no {name} in {told:?}"));
    let rate = value("events")? / value("cpu")?.max(0.01);
    Ok(Round { factor: value("factor")?, rate, peak: value("peak-mib")? })
}

/// The number that follows a name.
fn value(told: &str, name: &str) -> Option<f64> {
    let mut words = told.split_whitespace().skip_while(|word| *word != name);
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_behind_its_name() {
        let told = "nodes 9 factor 412.50 events 17 peak-mib 31";
        assert_eq!(value(told, "factor"), Some(412.5));
        assert_eq!(value(told, "peak-mib"), Some(31.0));
        assert_eq!(value(told, "cpu"), None);
    }
}
