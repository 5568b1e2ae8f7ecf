//! One machine dies with a server in every state; then it comes back.

use controller::nova::{Call, Refusal, Written};

use crate::between::{Fate, Where};
use crate::report::Told;
use crate::stage::{Is, LATER, SOON, SOURCE, Stage, Wanted, wait};

const fn tiny(name: &'static str, is: Is) -> Wanted {
    Wanted { name, flavor: "1", is }
}

const SERVERS: [Wanted; 8] = [
    tiny("web-1", Is::Active),
    tiny("web-2", Is::Active),
    tiny("off", Is::Off),
    tiny("broken", Is::Error),
    tiny("paused", Is::Paused),
    tiny("locked", Is::Locked),
    tiny("gone", Is::Active),
    Wanted { name: "big", flavor: "2", is: Is::Active },
];

/// States of servers, no room, and the way back.
pub(crate) async fn play(told: Told) {
    let mut stage = Stage::set(&SERVERS).await;
    let mut others = Vec::new();
    for host in ["compute-1", "compute-3"] {
        others.push(stage.world.raw.boot("filler", "2", host).await);
    }
    let gone = stage.id("gone").to_string();
    let look = move |seen: &crate::between::Seen| seen.method == "GET" && seen.path.contains(&gone);
    let mut look = stage.between.catch(Where::Before, look);
    stage.dies();
    look.come("a look at the server that is deleted meanwhile", SOON).await;
    stage.world.raw.delete(stage.id("gone")).await;
    look.end(Fate::GoesOn);
    let seconds = stage.until("recovered", SOON).await;

    let seen =
        [stage.moved_once("web-1", "ACTIVE").await, stage.moved_once("web-2", "ACTIVE").await];
    told.saw("kill and evacuate", format!("recovered after {seconds:.1} s; {}", seen.join("; ")));
    told.saw("server SHUTOFF", stage.moved_once("off", "SHUTOFF").await);
    told.saw("server in ERROR", stage.moved_once("broken", "ACTIVE").await);
    let seen = stage.moved_once("locked", "ACTIVE").await;
    let row = stage.world.raw.server(stage.id("locked")).await;
    assert_eq!(row["locked"], true, "{row}");
    told.saw("server locked", format!("{seen}, still locked"));
    told.saw("server PAUSED", left(&stage, "paused", "PAUSED", "server set --state error").await);
    let (state, why) = stage.told("gone");
    assert!(state == "left behind" && why.contains("deleted"), "{state}: {why}");
    assert_eq!(stage.between.sent(|seen| seen.evacuates(stage.id("gone"))), 0);
    told.saw("server deleted meanwhile", why);
    no_room(&stage, &told).await;

    way_back(&stage, &told).await;
    for id in others {
        stage.world.raw.delete(id).await;
    }
}

/// Left where it was, untouched by us, with a reason that has the remedy.
async fn left(stage: &Stage, name: &str, status: &str, remedy: &str) -> String {
    let (state, why) = stage.told(name);
    assert!(state == "left behind" && why.contains(remedy), "{state}: {why}");
    let server = stage.server(name).await;
    assert_eq!((server.status.as_str(), server.host.as_deref()), (status, Some(SOURCE)));
    assert_eq!(stage.between.sent(|seen| seen.evacuates(stage.id(name))), 0);
    why
}

/// Every host was asked, and each of our orders has a record of its own that ended with `error`.
async fn no_room(stage: &Stage, told: &Told) {
    let (state, why) = stage.told("big");
    assert!(state == "left behind" && why.contains("no host has room"), "{state}: {why}");
    let records = stage.records("big").await;
    let errors = records.iter().filter(|r| r.status == controller::nova::MigrationStatus::Error);
    let posts = stage.between.accepted(|seen| seen.evacuates(stage.id("big")));
    assert_eq!(errors.count(), records.len(), "{records:?}");
    assert_eq!(records.len(), posts, "{records:?}");
    assert!(posts >= 2, "both hosts were asked");
    told.saw("NoValidHost", format!("{posts} orders, each ended with error; {why}"));
}

async fn way_back(stage: &Stage, told: &Told) {
    let service = stage.service(SOURCE).await;
    assert!(service.forced_down && !service.up && !service.enabled, "{service:?}");
    let cleared = stage.write(Call::ClearForcedDown { service: service.id }).await;
    let Written::Refused(refused) = cleared else { panic!("{cleared:?}") };
    assert_eq!(refused.meaning, Refusal::DoneEvacuationsLeft);
    stage.power("on");
    stage.until("released", LATER).await;
    let gate = stage.lab.dir.join("node-2/run/gate");
    wait("the gate of the new boot", SOON, async || gate.exists()).await;
    // As long as its records are `done` we do not even ask.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(stage.between.sent(crate::between::Seen::forces_up), 0);
    told.saw(
        "un-force-down refused while records are done",
        format!("Nova: {}; we had not asked", refused.message),
    );
    stage.world.start(SOURCE);
    let seconds = stage.until("returned", LATER).await;
    let service = stage.service(SOURCE).await;
    assert!(!service.forced_down && service.enabled, "{service:?}");
    told.saw(
        "return to service",
        format!("after {seconds:.0} s: compute started while forced down, then cleared, enabled"),
    );
}
