//! The leader dies with two orders on their way: one that Nova never sees, one that Nova has taken on.

use crate::between::{Fate, Where};
use crate::report::Told;
use crate::stage::{Is, LATER, SOON, Stage, Wanted};

const SERVERS: [Wanted; 2] = [
    Wanted { name: "unsent", flavor: "1", is: Is::Active },
    Wanted { name: "unheard", flavor: "1", is: Is::Active },
];

/// Enough for a start, and a new term if need be.
const COMES_BACK: std::time::Duration = std::time::Duration::from_secs(8);

/// Killed between commit and POST, and between POST and commit.
pub(crate) async fn play(told: Told) {
    let mut stage = Stage::set(&SERVERS).await;
    let (unsent, unheard) = (stage.id("unsent"), stage.id("unheard"));
    let mut before = stage.between.catch(Where::Before, move |seen| seen.evacuates(unsent));
    let mut after = stage.between.catch(Where::After, move |seen| seen.evacuates(unheard));
    stage.dies();
    before.come("the order that Nova never sees", SOON).await;
    after.come("the answer that the leader never hears", SOON).await;
    let leader = stage.leader();
    stage.kill_controller(leader);
    before.end(Fate::IsLost);
    after.end(Fate::IsLost);
    let seconds = stage.until("recovered", LATER).await;

    // Both orders are of unknown outcome for the new leader.
    let sent = stage.between.sent(|seen| seen.evacuates(unsent));
    assert_eq!(sent, 2, "once by the old leader, once more after a census");
    let seen = stage.moved_once("unsent", "ACTIVE").await;
    let text = format!("recovered after {seconds:.1} s; ordered anew after a census; {seen}");
    told.saw("leader killed between commit and POST", text);
    let sent = stage.between.sent(|seen| seen.evacuates(unheard));
    assert_eq!(sent, 1, "what Nova took on is not ordered again");
    let seen = stage.moved_once("unheard", "ACTIVE").await;
    told.saw("leader killed between POST and commit", format!("found by its record; {seen}"));
    // Who comes back reads the same in its log, and does not send again what was its own.
    stage.start_controller(leader);
    tokio::time::sleep(COMES_BACK).await;
    stage.until("recovered", SOON).await;
    assert_eq!(stage.between.sent(|seen| seen.evacuates(unheard)), 1, "nor by who comes back");
}
