//! `cargo xtask bench-masakari`: twenty servers on a host that dies, and the seconds until the first and the last are
//! ACTIVE elsewhere: with Masakari, which is told of the failure at once, and with Holdfast, which finds out by itself
//! and switches the machine off by a BMC that takes four seconds. The same real Nova, with its own defaults.
//!
//! A program without the usual harness: it prints a table, and fails where the goal is missed.

// A panic is how it fails, and clippy does not know the functions of an integration test for tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic
)]

#[allow(dead_code, reason = "the scenarios use more of it")]
#[path = "../nova_scenarios/between.rs"]
mod between;
#[allow(dead_code, reason = "the lab's own test uses more of it")]
#[path = "../lab/bmc.rs"]
mod bmc;
mod masakari;
#[allow(dead_code, reason = "the contract test uses more of it")]
#[path = "../nova_contract/raw.rs"]
mod raw;
#[allow(dead_code, reason = "the lab's own test uses more of it")]
#[path = "../lab/run.rs"]
mod run;
#[allow(dead_code, reason = "the scenarios use more of it")]
#[path = "../nova_scenarios/stage.rs"]
mod stage;
#[allow(dead_code, reason = "the contract test uses more of it")]
#[path = "../nova_contract/world.rs"]
mod world;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::Incident;
use between::Seen;
use controller::nova::client::Client;
use masakari::Masakari;
use raw::Raw;
use stage::{SOURCE, Stage};
use uuid::Uuid;
use world::World;

const SERVERS: usize = 20;
const HOSTS: u8 = 4;
/// What a BMC takes to switch a machine off, as a good one does.
const BMC_TAKES: &str = "4s";
/// Of Masakari's time, for the first server and for the last.
const GOAL: f64 = 1.0 / 20.0;
const LONGEST: Duration = Duration::from_secs(900);
/// Each look keeps nova-api busy for a good part of a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Seconds from the loss of the host.
#[derive(Clone, Copy, Debug)]
struct Times {
    first: f64,
    last: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    let only = only.as_deref();
    let holdfast = if only != Some("masakari") { Some(holdfast().await) } else { None };
    let masakari = if only != Some("holdfast") { Some(masakari().await) } else { None };
    println!(
        "{SERVERS} servers, {} live hosts; seconds from the loss of theirs until ACTIVE elsewhere",
        HOSTS - 1
    );
    println!("{:<10} {:>8} {:>8}", "", "first", "last");
    for (name, times) in [("Masakari", masakari), ("Holdfast", holdfast)] {
        if let Some(times) = times {
            println!("{name:<10} {:>8.1} {:>8.1}", times.first, times.last);
        }
    }
    let (Some(masakari), Some(holdfast)) = (masakari, holdfast) else { return ExitCode::SUCCESS };
    let (first, last) = (holdfast.first / masakari.first, holdfast.last / masakari.last);
    println!(
        "{:<10} {:>8} {:>8}",
        "ratio",
        format!("1/{:.1}", 1.0 / first),
        format!("1/{:.1}", 1.0 / last)
    );
    let met = first <= GOAL && last <= GOAL;
    println!("goal 1/{:.0}: {}", 1.0 / GOAL, if met { "met" } else { "MISSED" });
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Masakari is told in the moment in which the host dies.
async fn masakari() -> Times {
    let world = World::real().await;
    let nova = Client::new(world.settings.clone()).unwrap();
    nova.start().await.unwrap();
    stage::tidy(&world, &nova, HOSTS).await;
    let masakari = Masakari::start(world.raw.token(), HOSTS).await;
    let servers = world.raw.boot_many(SERVERS, SOURCE).await;
    world.kill(SOURCE);
    let died = Instant::now();
    masakari.host_failed(SOURCE).await;
    let times = watch(&world.raw, &servers, died).await;
    drop(masakari);
    stage::tidy(&world, &nova, HOSTS).await;
    times
}

/// Nobody tells Holdfast anything.
async fn holdfast() -> Times {
    let mut stage = Stage::with(&[], HOSTS, BMC_TAKES).await;
    let servers = stage.world.raw.boot_many(SERVERS, SOURCE).await;
    stage.dies();
    let died_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let times = watch(&stage.world.raw, &servers, stage.died).await;
    tell(&stage.incident().unwrap(), died_ms);
    println!("  asked of Nova meanwhile: {}", asked(&stage.between.seen()));
    stage::tidy(&stage.world, &stage.nova, HOSTS).await;
    times
}

/// Where the time went, by the incident.
fn tell(incident: &Incident, died_ms: u128) {
    for phase in &incident.phases {
        let after = (u128::from(phase.at_ms).saturating_sub(died_ms)) as f64 / 1000.0;
        println!("  {after:>6.1} s  {}", phase.state);
    }
    let mut took: Vec<f64> =
        incident.vms.iter().filter_map(|vm| Some(vm.took_ms? as f64 / 1000.0)).collect();
    took.sort_by(f64::total_cmp);
    let took: Vec<String> = took.iter().map(|took| format!("{took:.1}")).collect();
    println!("  each from its order to its end, s: {}", took.join(" "));
}

/// Requests by method and kind of path, most frequent first.
fn asked(seen: &[Seen]) -> String {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for request in seen {
        let path = request.path.split('?').next().unwrap_or_default();
        let words = path
            .split('/')
            .filter(|word| !word.is_empty())
            .map(|word| if Uuid::parse_str(word).is_ok() { "ID" } else { word });
        let path: Vec<&str> = words.collect();
        *kinds.entry(format!("{} {}", request.method, path.join("/"))).or_default() += 1;
    }
    let mut kinds: Vec<(String, usize)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, times)| Reverse(*times));
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, times)| format!("{times} x {kind}")).collect();
    kinds.join(", ")
}

/// Looks until every server is ACTIVE elsewhere.
async fn watch(raw: &Raw, servers: &[Uuid], died: Instant) -> Times {
    let mut moved: Vec<(Uuid, f64)> = Vec::new();
    loop {
        for row in raw.rows().await {
            let is_new = servers.contains(&row.id) && moved.iter().all(|(id, _)| *id != row.id);
            if is_new && row.status == "ACTIVE" && row.host != SOURCE {
                moved.push((row.id, died.elapsed().as_secs_f64()));
            }
        }
        if moved.len() == servers.len() {
            let (first, last) = (moved[0].1, moved[moved.len() - 1].1);
            println!(
                "  {} servers moved, the first after {first:.1} s, the last after {last:.1} s",
                moved.len()
            );
            return Times { first, last };
        }
        assert!(died.elapsed() < LONGEST, "{} of {} moved", moved.len(), servers.len());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
