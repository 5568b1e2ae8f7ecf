//! An operator works by hand on the same host: forces it down, begins to evacuate it; then its machine dies.

use std::time::Duration;

use controller::nova::{Call, Written};
use serde_json::json;

use crate::between::Seen;
use crate::report::Told;
use crate::stage::{Is, LATER, SOURCE, Stage, Wanted, part};

const SERVERS: [Wanted; 2] = [
    Wanted { name: "theirs", flavor: "1", is: Is::Active },
    Wanted { name: "ours", flavor: "1", is: Is::Active },
];
/// Longer than from a failure to the first evacuation.
const QUIET: Duration = Duration::from_secs(15);

/// An operator's own force-down, and an evacuation of theirs that is still queued when we come to it.
pub(crate) async fn play(told: Told) {
    let mut stage = Stage::set(&SERVERS).await;
    let service = stage.service(SOURCE).await.id;
    let forced = stage.write(Call::ForceDown { service, disable: None }).await;
    assert!(matches!(forced, Written::Done { .. }), "{forced:?}");
    tokio::time::sleep(QUIET).await;
    let incident = stage.incident();
    assert!(incident.is_none(), "{incident:?}");
    let row = stage.service(SOURCE).await;
    assert!(row.forced_down && row.enabled, "{row:?}");
    assert_eq!(stage.between.sent(|seen| seen.method != "GET"), 0, "nothing was written");
    told.saw(
        "operator's own force-down",
        format!("no incident, nothing written within {} s", QUIET.as_secs()),
    );

    // While the scheduler hangs the operator's order is queued.
    part("stop", "scheduler");
    let theirs = stage.id("theirs");
    stage.world.raw.order(theirs, json!({"evacuate": {}})).await;
    stage.dies();
    stage.until("evacuating", LATER).await;
    tokio::time::sleep(QUIET).await;
    let early = stage.between.sent(|seen| seen.evacuates(theirs));
    part("cont", "scheduler");
    assert_eq!(early, 0, "Nova would have taken a second order on, and run two guests");
    let seconds = stage.until("recovered", LATER).await;
    assert_eq!(stage.between.sent(|seen| seen.evacuates(theirs)), 0);
    let (state, why) = stage.told("theirs");
    assert!(state == "left behind" && why.contains("somebody moved it"), "{state}: {why}");
    let (server, records) = (stage.server("theirs").await, stage.records("theirs").await);
    assert!(server.status == "ACTIVE" && server.host.as_deref() != Some(SOURCE), "{server:?}");
    assert_eq!(records.len(), 1, "{records:?}");
    let ours = stage.moved_once("ours", "ACTIVE").await;
    let text = format!("recovered after {seconds:.1} s; {why}; the other: {ours}");
    told.saw("second evacuate refused by us", text);

    stage.power("on");
    stage.until("released", LATER).await;
    stage.world.start(SOURCE);
    let seconds = stage.until("returned", LATER).await;
    let row = stage.service(SOURCE).await;
    assert!(row.forced_down && row.enabled, "{row:?}");
    assert_eq!(stage.between.sent(Seen::forces_up), 0, "it is the operator's to clear");
    let text = format!("the node is back after {seconds:.0} s, and forced down as before");
    told.saw("operator's force-down outlives a return", text);
}
