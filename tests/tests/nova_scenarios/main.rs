//! `cargo xtask test-nova`: what a real Nova can do to a recovery, scenario by scenario, with real controllers, sentinels
//! and agents, and IPMI. Each act is one death of a machine on which several scenarios are asserted, each on its own.
//!
//! ```text
//!  controllers --> between (sees, holds, loses requests) --> nova-api --> RabbitMQ --> conductor, scheduler, computes
//! ```
//! A program without the usual harness: it prints each scenario with its seconds and what was seen, and the totals, and
//! fails when one was not seen to its end. Names of acts as arguments choose.

// A panic is how a scenario fails, and clippy does not know the functions of an integration test for tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic
)]

mod actual;
mod between;
#[path = "../lab/bmc.rs"]
mod bmc;
mod hand;
mod images;
mod leader;
mod outage;
#[allow(dead_code, reason = "the contract test uses more of it")]
#[path = "../nova_contract/raw.rs"]
mod raw;
mod report;
mod rights;
#[allow(dead_code, reason = "the lab's own test uses more of it")]
#[path = "../lab/run.rs"]
mod run;
#[allow(dead_code, reason = "the comparison with Masakari uses more of it")]
mod stage;
mod states;
#[allow(dead_code, reason = "the contract test uses more of it")]
#[path = "../nova_contract/world.rs"]
mod world;

use std::pin::Pin;
use std::process::ExitCode;
use std::time::Instant;

use report::Told;

type Play = Pin<Box<dyn Future<Output = ()>>>;

/// One death of a machine.
struct Act {
    name: &'static str,
    /// What it must have told when it ends.
    scenarios: &'static [&'static str],
    play: fn(Told) -> Play,
}

const ACTS: [Act; 9] = [
    Act {
        name: "rights",
        scenarios: &["least privilege"],
        play: |told| Box::pin(rights::play(told)),
    },
    Act {
        name: "states",
        scenarios: &[
            "kill and evacuate",
            "server SHUTOFF",
            "server in ERROR",
            "server locked",
            "server PAUSED",
            "server deleted meanwhile",
            "NoValidHost",
            "un-force-down refused while records are done",
            "return to service",
        ],
        play: |told| Box::pin(states::play(told)),
    },
    Act {
        name: "images",
        scenarios: &["label on an image"],
        play: |told| Box::pin(images::play(told)),
    },
    Act {
        name: "actual",
        scenarios: &["VM that nobody runs", "copy that Nova does not know", "owner of a copy lost"],
        play: |told| Box::pin(actual::play(told)),
    },
    Act {
        name: "leader",
        scenarios: &[
            "leader killed between commit and POST",
            "leader killed between POST and commit",
        ],
        play: |told| Box::pin(leader::play(told)),
    },
    Act {
        name: "hand",
        scenarios: &[
            "operator's own force-down",
            "second evacuate refused by us",
            "operator's force-down outlives a return",
        ],
        play: |told| Box::pin(hand::play(told)),
    },
    Act {
        name: "token",
        scenarios: &["token expired"],
        play: |told| Box::pin(outage::token(told)),
    },
    Act {
        name: "api",
        scenarios: &["nova-api restarted"],
        play: |told| Box::pin(outage::api(told)),
    },
    Act {
        name: "queue",
        scenarios: &["RabbitMQ stopped during evacuation"],
        play: |told| Box::pin(outage::queue(told)),
    },
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tokio::task::LocalSet::new().run_until(acts()).await
}

async fn acts() -> ExitCode {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let known = |word: &&String| ACTS.iter().any(|act| act.name == word.as_str());
    if let Some(unknown) = chosen.iter().find(|word| !known(word)) {
        println!("there is no act {unknown}");
        return ExitCode::FAILURE;
    }
    let (began, mut passed, mut missing) = (Instant::now(), 0, Vec::new());
    for act in ACTS.iter().filter(|act| chosen.is_empty() || chosen.iter().any(|c| c == act.name)) {
        println!("{}", act.name);
        let (told, at) = (Told::begin(), Instant::now());
        // A panic ends the act alone, and has been printed.
        let ended = tokio::task::spawn_local((act.play)(told.clone())).await.is_ok();
        let seen = told.names();
        passed += seen.len();
        missing.extend(act.scenarios.iter().filter(|name| !seen.contains(name)));
        if !ended && seen.len() == act.scenarios.len() {
            missing.push(act.name);
        }
        println!("  {:6.1} s  the whole act", at.elapsed().as_secs_f64());
    }
    for name in &missing {
        println!("FAILED  {name}");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{passed} scenarios passed, {} failed, on a real Nova, {seconds:.0} s", missing.len());
    if missing.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
