//! How long a recovery takes in the lab: the same failure several times, median and worst of each phase.
//!
//! The BMCs take 4 s to switch off, as many real ones do, and the profile is `fast`. Nothing is left out: a run that does
//! not end as it must fails the task.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::place;

/// From the loss of a node until Nova is asked to evacuate, the project's goal in seconds.
const GOAL: f64 = 10.0;
const FAILS: [&str; 2] = ["power", "storage"];
/// What is measured: its name in the closing result, and for people.
const PHASES: [(&str, &str); 6] = [
    ("detection", "first suspicion"),
    ("verdict", "verdict, intent committed"),
    ("fence", "evidence committed"),
    ("force_down", "force-down committed"),
    ("first_move", "first evacuate call"),
    ("evacuate", "all VMs run again"),
];

pub(crate) fn command(runs: u32, nodes: u32) -> Result<()> {
    let status = place::cargo(&["build", "--release", "-p", "hactl"]).status()?;
    ensure!(status.success(), "hactl does not build");
    for fail in FAILS {
        let mut closings = Vec::new();
        for run in 1..=runs {
            println!("--fail {fail}, run {run} of {runs}");
            closings.push(lab(fail, nodes)?);
        }
        println!(
            "\n--fail {fail}: seconds since the fault, {runs} runs, {nodes} nodes, BMCs take 4 s"
        );
        println!("{:<28} {:>8} {:>8}", "", "median", "worst");
        for (key, name) in PHASES {
            let (median, worst) = middle_and_worst(&closings, key)?;
            let goal = match key {
                "first_move" if worst <= GOAL => format!("   goal {GOAL:.0} s: met"),
                "first_move" => format!("   goal {GOAL:.0} s: MISSED"),
                _ => String::new(),
            };
            println!("{name:<28} {median:>8.2} {worst:>8.2}{goal}");
        }
        println!();
    }
    Ok(())
}

fn lab(fail: &str, nodes: u32) -> Result<Value> {
    let program = place::target().join("release").join("hactl");
    let program = program.to_str().context("the target directory has a strange name")?;
    let nodes = nodes.to_string();
    let words = ["lab", "--json", "--bmc-takes", "4s", "--nodes", &nodes, "--fail", fail];
    let output = place::program(program, &words).stderr(Stdio::piped()).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the lab did not end as it must:\n{told}");
    serde_json::from_slice(&output.stdout).context("the lab's closing result is no JSON")
}

fn middle_and_worst(closings: &[Value], key: &str) -> Result<(f64, f64)> {
    let times = closings.iter().map(|closing| closing["since_fault"][key].as_f64());
    let times: Option<Vec<f64>> = times.collect();
    let mut times = times.with_context(|| format!("a run has no {key}"))?;
    times.sort_by(f64::total_cmp);
    let worst = times.last().copied().context("no runs")?;
    let at = |index: usize| times.get(index).copied().unwrap_or(worst);
    let half = times.len() / 2;
    let median =
        if times.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half - 1), at(half)) };
    Ok((median, worst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let closing = |at: f64| serde_json::json!({"since_fault": {"fence": at}});
        let closings: Vec<Value> = [4.0, 1.0, 3.0, 2.0].into_iter().map(closing).collect();
        assert_eq!(middle_and_worst(&closings, "fence").unwrap(), (2.5, 4.0));
        assert!(middle_and_worst(&closings, "verdict").is_err());
    }
}
