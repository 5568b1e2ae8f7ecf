//! The whole way with a real Nova: real controllers, sentinels and agents, IPMI, and a Nova whose computes run the fake
//! driver. A node dies, its servers end ACTIVE on others, each evacuated once; it comes back in the order that Nova needs.
//!
//! The lab's own stand-in is known to answer as this Nova does by `nova_contract.rs`, and drives the same way in `lab.rs`.

// A panic is how a test fails, and clippy does not know the functions of an integration test for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "lab/bmc.rs"]
mod bmc;
#[allow(dead_code, reason = "the contract test uses more of it")]
#[path = "nova_contract/raw.rs"]
mod raw;
#[allow(dead_code, reason = "the lab's own test uses more of it")]
#[path = "lab/run.rs"]
mod run;
#[allow(dead_code, reason = "the contract test uses more of it")]
#[path = "nova_contract/world.rs"]
mod world;

use std::time::{Duration, Instant};

use controller::nova::client::Client;
use controller::nova::{Call, MigrationKind, Reply, ServerRecord, ServiceRecord};
use run::Running;
use uuid::Uuid;
use world::World;

const SERVERS: usize = 6;
/// Nova takes a second or so for each; the machine may be busy.
const RECOVERED_WITHIN: Duration = Duration::from_secs(120);
const RETURNED_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test]
async fn the_servers_of_a_dead_node_come_back_and_so_does_the_node() {
    if std::env::var_os("HOLDFAST_SKIP_REAL").is_some_and(|value| value == "1") {
        println!("SKIPPED real-nova-recovery: HOLDFAST_SKIP_REAL=1");
        return;
    }
    let env = world::env_file();
    let world = World::real().await;
    for server in world.raw.servers().await {
        world.raw.delete(server).await;
    }
    let nova = Client::new(world.settings.clone()).unwrap();
    nova.start().await.unwrap();
    let mut servers = Vec::new();
    for n in 0..SERVERS {
        servers.push(world.raw.boot(&format!("vm-{n}"), "1", "compute-2").await);
    }
    wait("the servers to boot", RECOVERED_WITHIN, async || {
        all(&nova, &servers)
            .await
            .iter()
            .all(|server| active_on(server, |host| host == "compute-2"))
    })
    .await;
    let env = env.to_str().unwrap();
    let lab = run::running(&[
        "--nodes",
        "3",
        "--fail",
        "none",
        "--keep",
        "--bmc-takes",
        "1s",
        "--nova-env",
        env,
    ]);

    world.kill("compute-2");
    bmc::power(&lab.dir, "node-2", "off");
    let died = Instant::now();
    wait("the recovery", RECOVERED_WITHIN, async || state(&lab) == "recovered").await;
    println!("recovered {:.1} s after the power was cut", died.elapsed().as_secs_f64());
    for server in all(&nova, &servers).await {
        assert!(active_on(&server, |host| host != "compute-2"), "{server:?}");
    }
    let records = migrations(&nova).await;
    for server in &servers {
        assert_eq!(records.iter().filter(|record| *record == server).count(), 1, "{server}");
    }
    let service = service(&nova).await;
    assert!(service.forced_down && !service.up && !service.enabled, "{service:?}");

    bmc::power(&lab.dir, "node-2", "on");
    wait("the gate of the node's new boot", RETURNED_WITHIN, async || {
        lab.dir.join("node-2/run/gate").exists()
    })
    .await;
    let before = state(&lab);
    assert_eq!(before, "released", "nova-compute starts while it is still forced down");
    world.start("compute-2");
    wait("the node's return", RETURNED_WITHIN, async || state(&lab) == "returned").await;
    println!("returned {:.1} s after the power was cut", died.elapsed().as_secs_f64());
    let service = self::service(&nova).await;
    assert!(!service.forced_down && service.enabled, "{service:?}");
    for server in servers {
        world.raw.delete(server).await;
    }
}

/// State of the newest incident of node-2.
fn state(lab: &Running) -> String {
    let incidents = lab.hactl(&["incidents"]);
    let newest = incidents.as_array().and_then(|all| all.first().cloned());
    newest.and_then(|incident| incident["state"].as_str().map(str::to_owned)).unwrap_or_default()
}

async fn all(nova: &Client, servers: &[Uuid]) -> Vec<ServerRecord> {
    let mut found = Vec::new();
    for server in servers {
        let reply = nova.call(Call::Server { server: *server }, Duration::from_secs(30)).await;
        let Reply::Server(Some(server)) = reply else { panic!("{reply:?}") };
        found.push(server);
    }
    found
}

fn active_on(server: &ServerRecord, host: impl Fn(&str) -> bool) -> bool {
    server.status == "ACTIVE" && server.host.as_deref().is_some_and(host)
}

/// Servers of compute-2's evacuation records, one for each.
async fn migrations(nova: &Client) -> Vec<Uuid> {
    let (host, kind) = ("compute-2".to_owned(), MigrationKind::Evacuation);
    let reply = nova.call(Call::MigrationsFrom { host, kind }, Duration::from_secs(30)).await;
    let Reply::Migrations(records) = reply else { panic!("{reply:?}") };
    records.into_iter().map(|record| record.server).collect()
}

async fn service(nova: &Client) -> ServiceRecord {
    let host = "compute-2".to_owned();
    let reply = nova.call(Call::Service { host }, Duration::from_secs(30)).await;
    let Reply::Service(Some(service)) = reply else { panic!("{reply:?}") };
    service
}

async fn wait(what: &str, within: Duration, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < within, "waited {within:?} for {what}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
