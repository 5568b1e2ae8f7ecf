//! Parts of the control plane fail in the middle of a recovery.

use std::time::Duration;

use crate::between::{Fate, Where};
use crate::report::Told;
use crate::stage::{Is, LATER, SOON, Stage, Wanted, part};
use crate::world;

const SERVERS: [Wanted; 3] = [
    Wanted { name: "a", flavor: "1", is: Is::Active },
    Wanted { name: "b", flavor: "1", is: Is::Active },
    Wanted { name: "c", flavor: "1", is: Is::Active },
];
/// Longer than Nova keeps a token in mind.
const TOKEN_FORGOTTEN: Duration = Duration::from_secs(7);
const AWAY: Duration = Duration::from_secs(8);

/// The token that an order carries is revoked before Nova looks at it.
pub(crate) async fn token(told: Told) {
    let mut stage = Stage::set(&SERVERS).await;
    let a = stage.id("a");
    let mut order = stage.between.catch(Where::Before, move |seen| seen.evacuates(a));
    stage.dies();
    order.come("an order", SOON).await;
    let revoked = stage.revoke_tokens().await;
    tokio::time::sleep(TOKEN_FORGOTTEN).await;
    order.end(Fate::GoesOn);
    let seconds = stage.until("recovered", LATER).await;
    let refused = stage.between.sent(|seen| seen.evacuates(a) && seen.status == Some(401));
    assert_eq!(refused, 1, "Nova refused the order with the revoked token");
    let mut seen = Vec::new();
    for server in SERVERS {
        seen.push(stage.moved_once(server.name, "ACTIVE").await);
    }
    let text = format!(
        "recovered after {seconds:.1} s; {revoked} revoked, one order refused with 401 and sent again; {}",
        seen.join("; ")
    );
    told.saw("token expired", text);
}

/// nova-api dies with an answer on its lips, and is started again.
pub(crate) async fn api(told: Told) {
    let mut stage = Stage::set(&SERVERS).await;
    let a = stage.id("a");
    let mut answer = stage.between.catch(Where::After, move |seen| seen.evacuates(a));
    stage.dies();
    answer.come("the answer to an order", SOON).await;
    part("kill", "nova-api");
    answer.end(Fate::IsLost);
    tokio::time::sleep(AWAY).await;
    world::env_file();
    let seconds = stage.until("recovered", LATER).await;
    let mut seen = Vec::new();
    for server in SERVERS {
        seen.push(stage.moved_once(server.name, "ACTIVE").await);
    }
    told.saw(
        "nova-api restarted",
        format!("recovered after {seconds:.1} s; one answer lost; {}", seen.join("; ")),
    );
}

/// RabbitMQ hangs while Nova has orders in its queues, and goes on.
pub(crate) async fn queue(told: Told) {
    let mut stage = Stage::set(&SERVERS).await;
    let a = stage.id("a");
    let mut order = stage.between.catch(Where::Before, move |seen| seen.evacuates(a));
    stage.dies();
    order.come("an order", SOON).await;
    part("stop", "rabbit");
    order.end(Fate::GoesOn);
    tokio::time::sleep(AWAY).await;
    part("cont", "rabbit");
    let seconds = stage.until("recovered", LATER).await;
    let mut seen = Vec::new();
    for server in SERVERS {
        seen.push(stage.moved_once(server.name, "ACTIVE").await);
    }
    let text = format!("recovered after {seconds:.1} s; {}", seen.join("; "));
    told.saw("RabbitMQ stopped during evacuation", text);
}
