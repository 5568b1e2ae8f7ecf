//! What runs is not what Nova says. Guests are files in the directories that the agents list; Nova, its reboot and its
//! records are real.

use std::time::Duration;

use crate::report::Told;
use crate::stage::{Is, LATER, SOON, Stage, Wanted, wait};

/// On the machine that dies at the end.
const SERVERS: [Wanted; 2] = [
    Wanted { name: "copied", flavor: "1", is: Is::Active },
    Wanted { name: "alone", flavor: "1", is: Is::Active },
];
/// Longer than from a list to a second order, if there were one.
const QUIET: Duration = Duration::from_secs(25);

/// A VM that nobody runs, a copy that somebody started past Nova, and a copy whose owner is lost.
pub(crate) async fn play(told: Told) {
    let mut stage = Stage::set(&SERVERS).await;
    for name in ["asleep", "twice"] {
        let id = stage.world.raw.boot(name, "1", "compute-1").await;
        stage.servers.insert(name, id);
        starts(&stage, name, "node-1");
    }
    for name in ["copied", "alone"] {
        starts(&stage, name, "node-2");
    }
    stage.compare("missing = \"reboot\"\nstray = \"destroy\"\nholds = \"5s\"\n").await;
    nobody_runs_it(&stage, &told).await;
    it_runs_twice(&stage, &told).await;
    stage.compare("holds = \"5s\"\n").await;
    its_owner_is_lost(&mut stage, &told).await;
    for name in ["asleep", "twice"] {
        stage.world.raw.delete(stage.id(name)).await;
    }
}

/// After a census of all nodes Nova is asked for one hard reboot, and no more once it runs.
async fn nobody_runs_it(stage: &Stage, told: &Told) {
    let (id, file) = (stage.id("asleep"), stage.domain("asleep", "node-1"));
    std::fs::remove_file(&file).unwrap();
    let began = std::time::Instant::now();
    let ordered = async || stage.between.accepted(|seen| seen.reboots(id)) == 1;
    wait("a reboot", SOON, ordered).await;
    let seconds = began.elapsed().as_secs_f64();
    starts(stage, "asleep", "node-1");
    let accounted = format!("Accounted vm={id}");
    wait("the end of it", SOON, async || stage.journal_says(&accounted)).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(stage.between.sent(|seen| seen.touches(id)), 1, "{}", stage.journals());
    let (server, actions) = (stage.server("asleep").await, stage.world.raw.actions(id).await);
    assert_eq!((server.status.as_str(), server.host.as_deref()), ("ACTIVE", Some("compute-1")));
    assert_eq!(actions, ["reboot", "create"]);
    let text = format!("rebooted once through Nova, {seconds:.0} s after it had gone; ACTIVE");
    told.saw("VM that nobody runs", text);
}

/// It ends where Nova does not have it, and nowhere else; Nova is asked, and told nothing.
async fn it_runs_twice(stage: &Stage, told: &Told) {
    let id = stage.id("twice");
    starts(stage, "twice", "node-3");
    let (right, wrong) = (stage.domain("twice", "node-1"), stage.domain("twice", "node-3"));
    let began = std::time::Instant::now();
    wait("the end of the copy", SOON, async || !wrong.exists()).await;
    let seconds = began.elapsed().as_secs_f64();
    assert!(right.exists(), "the right one was ended");
    assert_eq!(stage.between.sent(|seen| seen.touches(id)), 0);
    assert!(stage.journal_says("twice is ended on node-3, signed by"), "{}", stage.journals());
    let server = stage.server("twice").await;
    assert_eq!((server.status.as_str(), server.host.as_deref()), ("ACTIVE", Some("compute-1")));
    let text = format!("ended on the wrong node after {seconds:.0} s, by two controllers' order");
    told.saw("copy that Nova does not know", text);
}

/// Nova would start a third one beside the copy: it is left to a human, and what else ran there moves.
async fn its_owner_is_lost(stage: &mut Stage, told: &Told) {
    starts(stage, "copied", "node-3");
    wait("word of the copy", SOON, async || stage.journal_says("copied runs on node-3")).await;
    stage.dies();
    let seconds = stage.until("recovered", LATER).await;
    let (state, why) = stage.told("copied");
    assert!(
        state == "left behind" && why.contains("node-3 says that it runs it"),
        "{state}: {why}"
    );
    assert_eq!(stage.between.sent(|seen| seen.touches(stage.id("copied"))), 0);
    assert!(stage.domain("copied", "node-3").exists());
    let other = stage.moved_once("alone", "ACTIVE").await;
    let text = format!("recovered after {seconds:.1} s; {why}; the other: {other}");
    told.saw("owner of a copy lost", text);
}

/// A guest of this server runs on a node from now on.
fn starts(stage: &Stage, name: &str, node: &str) {
    std::fs::write(stage.domain(name, node), b"").unwrap();
}
