//! Members that stop and go on, again and again: what foca alone and our groups say of the others, and in the simulator
//! what is judged.

use anyhow::{Context as _, Result, ensure};

use crate::place;

/// Members, as in the experiment by which Lifeguard was measured.
const MEMBERS: &str = "128";
/// C members, stopped for D seconds and running for I in between.
const SETTINGS: [&str; 8] =
    ["4,2,1", "16,2,1", "4,8,1", "16,8,1", "32,8,1", "16,8,16", "4,16,1", "16,16,4"];

/// What is to be measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// C,D,I of one setting: C members stop for D seconds and run for I; may be given again
    #[arg(long, value_name = "C,D,I")]
    setting: Vec<String>,
    /// Everything follows from it
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Leave foca alone out, and the groups without a cluster around them
    #[arg(long)]
    verdicts: bool,
    /// Use the simulator that the tests were built with
    #[arg(long)]
    built: bool,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    if !args.built {
        let status = place::cargo(&["build", "-p", "sim"]).status()?;
        ensure!(status.success(), "the simulator does not build");
    }
    if !args.verdicts {
        println!(
            "published, sums over many settings: SWIM called healthy members dead 339,002 times, 1,326 of them at"
        );
        println!(
            "healthy members; Lifeguard (alpha 5, beta 6) 5,193 and 25; alpha 2: 57 % of the latency, 14 % of the false positives\n"
        );
        let words = ["run", "--quiet", "--package", "gossip", "--example", "pauses"];
        ensure!(place::cargo(&words).status()?.success(), "the groups could not be measured");
    }
    let program = place::target().join("debug").join("sim");
    let program = program.to_str().context("the target directory has a strange name")?;
    println!(
        "C of N members stop for D, run for I, each with a phase of its own; times in seconds, median / p99"
    );
    println!(
        "paused, healthy: how often gossip called such a member dead, and the leader judged it down\n"
    );
    println!(
        "| N | C | D | I | span | pauses | gossip: paused | gossip: healthy | a first one says dead | nine of ten do | verdicts: paused | verdicts: healthy | verdict | seed |"
    );
    println!(
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let given: Vec<&str> = args.setting.iter().map(String::as_str).collect();
    let settings = if given.is_empty() { SETTINGS.to_vec() } else { given };
    let seed = args.seed.to_string();
    let mut wrong = Vec::new();
    for setting in settings {
        let words = ["--nodes", MEMBERS, "--pauses", setting, "--seed", &seed];
        let output = place::program(program, &words).output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        print!("{told}");
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            wrong.push(format!("{setting}: {}", errors.lines().last().unwrap_or_default()));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}
