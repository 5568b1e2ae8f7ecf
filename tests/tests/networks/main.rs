//! Ten hosts with three networks each, as real as one machine has them: a namespace for each host, a bridge for each
//! network, and the real programs. What is wrong with a network must be judged so, and nothing else.
//!
//! Everything is inside namespaces that this test makes for itself and that end with it. Nobody is fenced: the
//! controllers are in `noop`. What they judged is in `verdicts.txt`, which `cargo xtask bless` alone rewrites.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

mod bad_links;
mod cables;
mod cluster;
mod journal;
#[allow(dead_code, reason = "the lab's own test uses more of it")]
#[path = "../lab/run.rs"]
mod run;
mod slow;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use cables::{Cables, Way};
use cluster::Cluster;
use expect_test::expect_file;

/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "HOLDFAST_INSIDE_NAMESPACES";

/// What stands before the result in the inner process's output.
const RESULT: &str = "verdicts: ";

#[test]
fn what_is_wrong_with_a_network_is_judged_and_nothing_else() {
    if std::env::var_os(INSIDE).is_some() {
        let dir = std::env::temp_dir().join(format!("holdfast-networks-{}", std::process::id()));
        let told = play(&dir);
        let _ = std::fs::remove_dir_all(&dir);
        let told = told.unwrap_or_else(|error| panic!("{error:#}"));
        println!("{RESULT}{}", serde_json::to_string(&told).expect("a text"));
        return;
    }
    if let Err(why) = cables::can_be_laid() {
        println!("SKIPPED network namespaces: {why}");
        return;
    }
    let program = run::program();
    let this = std::env::current_exe().expect("this test has a file");
    let output = cables::in_namespaces(&this)
        .args(["--exact", "what_is_wrong_with_a_network_is_judged_and_nothing_else", "--nocapture"])
        .env(INSIDE, "1")
        .env("HOLDFAST_HACTL", program)
        .stdin(Stdio::null())
        .output()
        .expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    eprintln!("{errors}");
    let told = text.lines().find_map(|line| line.split_once(RESULT));
    let told: String = serde_json::from_str(told.expect("a result").1).expect("a text");
    expect_file!["verdicts.txt"].assert_eq(&told);
}

/// What is done to the networks.
type Fault = fn(&Cables) -> Result<()>;

/// The same in the words of the golden file.
const CASES: [(&str, Fault); 9] = [
    ("nothing at all", |_| Ok(())),
    ("node-1 hears nothing on storage", |c| c.lose("n1", "storage", Way::In, 100)),
    ("node-2 is not heard on tenant", |c| c.lose("n2", "tenant", Way::Out, 100)),
    ("node-3 is half deaf on management", |c| c.lose("n3", "management", Way::In, 50)),
    ("a fifth of what node-4 sends and gets is lost, everywhere", |c| {
        for network in cables::NETWORKS {
            c.lose("n4", network, Way::In, 20)?;
            c.lose("n4", network, Way::Out, 20)?;
        }
        Ok(())
    }),
    ("the cable of node-5 on management is pulled", |c| c.pull("n5", "management")),
    ("all three cables of node-6 are pulled", |c| {
        cables::NETWORKS.iter().try_for_each(|network| c.pull("n6", network))
    }),
    ("controller-1 hears nothing on management", |c| c.lose("c1", "management", Way::In, 100)),
    ("the switch of storage is off", |c| c.switch_off("storage")),
];

/// For so long a fault lasts at least: nearly twice the time of a verdict, and far less than a lease.
const LASTS: Duration = Duration::from_secs(8);

fn play(dir: &std::path::Path) -> Result<String> {
    let programs = PathBuf::from(run::program());
    let programs = programs.parent().context("a directory of programs")?.to_owned();
    let cables = Cables::lay()?;
    let mut cluster = Cluster::start(&programs, dir)?;
    let mut told = String::new();
    for (what, fault) in CASES {
        eprintln!("{what}");
        cluster.forget();
        fault(&cables).with_context(|| what.to_owned())?;
        let is = cluster.watch(LASTS).with_context(|| what.to_owned())?;
        cables.heal()?;
        let healed = cluster.wait_until_well().with_context(|| format!("after: {what}"))?;
        eprintln!("    {is}; well {:.1} s after it was mended", healed.as_secs_f64());
        writeln!(told, "{what}\n    {is}")?;
    }
    told += &bad_links::play(&cables, &cluster)?;
    Ok(told)
}

/// The hosts: three controllers and seven nodes.
fn hosts() -> impl Iterator<Item = (String, u8)> {
    let controllers = (1..=3).map(|number| (format!("c{number}"), number));
    controllers.chain((1..=NODES).map(|number| (format!("n{number}"), 10 + number)))
}

/// Nodes besides the controllers.
const NODES: u8 = 7;

/// Runs a program that must end well.
fn must(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{program} does not start"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} {}: {}", words.join(" "), errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
