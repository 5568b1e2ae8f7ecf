//! How fast the simulator is, for clusters of several sizes, beside its goals.

use anyhow::{Context as _, Result, ensure};

use crate::place;

/// Nodes, times real time asked of one core, and the most memory in MiB.
const GOALS: [(&str, f64, f64); 4] =
    [("9", 300.0, 512.0), ("60", 300.0, 1024.0), ("200", 30.0, 2048.0), ("1000", 3.0, 4096.0)];
/// Seconds of the processor for which each is measured.
const SECONDS: &str = "5";

pub(crate) fn command() -> Result<()> {
    let status = place::cargo(&["build", "-p", "sim"]).status()?;
    ensure!(status.success(), "the simulator does not build");
    let program = place::target().join("debug").join("sim");
    let program = program.to_str().context("the target directory has a strange name")?;
    println!("3 networks, 3 controllers, one core; 0.5 % of all datagrams are lost");
    println!(
        "{:>6} {:>10} {:>8} {:>12} {:>8} {:>8}",
        "nodes", "times", "goal", "events/s", "MiB", "most"
    );
    let mut missed = Vec::new();
    for (nodes, goal, most) in GOALS {
        let output = place::program(program, &["--nodes", nodes, "--bench", SECONDS]).output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{nodes} nodes: {told}{errors}");
        let value = |name| value(&told, name).with_context(|| format!("no {name} in {told:?}"));
        let (factor, peak) = (value("factor")?, value("peak-mib")?);
        let rate = value("events")? / value("cpu")?.max(0.01);
        println!("{nodes:>6} {factor:>10.1} {goal:>8.0} {rate:>12.0} {peak:>8.0} {most:>8.0}");
        if factor < goal || peak > most {
            missed.push(nodes);
        }
    }
    ensure!(missed.is_empty(), "goals missed for {} nodes", missed.join(", "));
    Ok(())
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
