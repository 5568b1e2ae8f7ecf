//! `cargo xtask bench-masakari`: twenty servers on a host that hangs, and the seconds until the first and the last are
//! ACTIVE elsewhere: with Masakari, which is told of the failure at once; with Holdfast, which finds out by itself and
//! switches the machine off by a BMC that takes four seconds; and with a bare client that orders at once what Nova can
//! do at best, without any proof. The same real Nova, with its own defaults.
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

mod bare;
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
mod watch;
#[allow(dead_code, reason = "the contract test uses more of it")]
#[path = "../nova_contract/world.rs"]
mod world;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use api::Incident;
use between::Seen;
use controller::nova::client::Client;
use masakari::Masakari;
use stage::{SOURCE, Stage};
use uuid::Uuid;
use watch::{Times, watch};
use world::World;

const SERVERS: usize = 20;
const HOSTS: u8 = 4;
/// What a BMC takes to switch a machine off, as a good one does.
const BMC_TAKES: &str = "4s";
/// Of Masakari's time, for the first server and for the last.
const GOAL: f64 = 1.0 / 20.0;
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    let plays = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let bare = if plays("bare") { Some(bare().await) } else { None };
    let holdfast = if plays("holdfast") { Some(holdfast().await) } else { None };
    let masakari = if plays("masakari") { Some(masakari().await) } else { None };
    println!(
        "{SERVERS} servers, {} live hosts; seconds from the loss of theirs until ACTIVE elsewhere; Holdfast with profile \
         fast and the matrix that it comes with; load {}",
        HOSTS - 1,
        load()
    );
    println!("{:<12} {:>8} {:>8}", "", "first", "last");
    for (name, times) in [
        ("Masakari", masakari),
        ("Holdfast", holdfast.map(|(times, _)| times)),
        ("bare client", bare),
    ] {
        if let Some(times) = times {
            println!("{name:<12} {:>8.1} {:>8.1}", times.first, times.last);
        }
    }
    if let (Some(bare), Some((holdfast, off))) = (bare, holdfast) {
        println!(
            "since the node was proven off, Holdfast: {:.1} and {:.1}, {:.2} and {:.2} of the bare client's",
            holdfast.first - off,
            holdfast.last - off,
            (holdfast.first - off) / bare.first,
            (holdfast.last - off) / bare.last
        );
    }
    let (Some(masakari), Some((holdfast, off))) = (masakari, holdfast) else {
        return ExitCode::SUCCESS;
    };
    let (first, last) = (holdfast.first / masakari.first, holdfast.last / masakari.last);
    let ratios = |name: &str, first: f64, last: f64| {
        let of = |ratio: f64| format!("1/{:.1}", 1.0 / ratio);
        println!("{name:<12} {:>8} {:>8}", of(first), of(last));
    };
    ratios("ratio", first, last);
    if let Some(bare) = bare {
        // Detection and proof, and then nothing but Nova.
        let (first, last) = (off + bare.first, off + bare.last);
        println!("{:<12} {first:>8.1} {last:>8.1}", "floor");
        ratios("ratio", first / masakari.first, last / masakari.last);
    }
    let met = first <= GOAL && last <= GOAL;
    println!("goal 1/{:.0}: {}", 1.0 / GOAL, if met { "met" } else { "MISSED" });
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Force-down and orders in the moment of the loss, two on their way to each host: Nova's own time.
async fn bare() -> Times {
    let world = World::real().await;
    let nova = Arc::new(Client::new(world.settings.clone()).unwrap());
    nova.start().await.unwrap();
    stage::tidy(&world, &nova, HOSTS).await;
    let servers = world.raw.boot_many(SERVERS, SOURCE).await;
    let service = stage::service(&nova, SOURCE).await.id;
    world.kill(SOURCE);
    let died = Instant::now();
    let times = bare::evacuate(&world, &nova, service, &servers, died).await;
    println!("  {}", times);
    stage::tidy(&world, &nova, HOSTS).await;
    times
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
    let times = watch(&world, &servers, died).await;
    println!("  {times}");
    drop(masakari);
    stage::tidy(&world, &nova, HOSTS).await;
    times
}

/// Nobody tells Holdfast anything. Its times, and when the node was proven off.
async fn holdfast() -> (Times, f64) {
    let mut stage = Stage::with(&[], HOSTS, BMC_TAKES).await;
    let servers = stage.world.raw.boot_many(SERVERS, SOURCE).await;
    let before = stage.between.seen().len();
    let died_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    stage.hangs();
    let times = watch(&stage.world, &servers, stage.died).await;
    println!("  {times}");
    let off = tell(&stage.incident().unwrap(), died_ms);
    println!("  asked of Nova meanwhile: {}", asked(&stage.between.seen()[before..]));
    stage::tidy(&stage.world, &stage.nova, HOSTS).await;
    (times, off)
}

/// Where the time went, by the incident. Seconds until the node was proven off.
fn tell(incident: &Incident, died_ms: u128) -> f64 {
    let mut off = 0.0;
    for phase in &incident.phases {
        let after = (u128::from(phase.at_ms).saturating_sub(died_ms)) as f64 / 1000.0;
        println!("  {after:>6.1} s  {}", phase.state);
        if phase.state == "fenced" {
            off = after;
        }
    }
    let mut took: Vec<f64> =
        incident.vms.iter().filter_map(|vm| Some(vm.took_ms? as f64 / 1000.0)).collect();
    took.sort_by(f64::total_cmp);
    let took: Vec<String> = took.iter().map(|took| format!("{took:.1}")).collect();
    println!("  each from its order to its end, s: {}", took.join(" "));
    off
}

/// The machine's load averages.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
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
