//! One story, told to the stand-in and to a real Nova: what our client concludes must be the same, line by line. So
//! whatever a test with the stand-in shows would have happened with the real one too.
//!
//! The real one is brought up by `tests/support/nova/up.sh` (`cargo xtask setup` once before). `HOLDFAST_SKIP_REAL=1`
//! leaves it out, and says so.

// A panic is how a test fails, and clippy does not know the functions of an integration test for tests.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

#[allow(dead_code, reason = "the scenarios use more of it")]
#[path = "nova_contract/raw.rs"]
mod raw;
#[path = "nova_contract/story.rs"]
mod story;
#[allow(dead_code, reason = "the scenarios use more of it")]
#[path = "nova_contract/world.rs"]
mod world;

use story::tell;
use world::World;

/// What must be concluded, on both.
const EXPECTED: &str = "\
wrong password: Credential
microversion at least 2.69: true
images labelled by nobody: 0
service of nohost: none
on compute-1: a b c d
evacuate a: refused 400 SourceStillUp
evacuate a server that never was: refused 404 ServerGone
read a server that never was: none
compute-1 is killed
evacuate a: refused 400 SourceStillUp
force down and disable: done, down forced disabled ours
read back: down forced disabled ours
evacuate a to compute-1: refused 400 SameHost
evacuate a to nohost: refused 404 HostUnknown
evacuate a: done
evacuate b: done
evacuate c to compute-3: done
action of a: evacuate with the request id of the reply
evacuate d to compute-2: done
evacuate d to compute-2 again: done
records of a b c: done done done
a b c: ACTIVE ACTIVE ACTIVE, all elsewhere, power 1 1 1
c is on compute-3
compute-1: down forced disabled ours
clear forced_down: refused 400 DoneEvacuationsLeft
compute-1 starts again
compute-1: down forced disabled ours
records of a b c: completed completed completed
clear forced_down: done
compute-1: up disabled ours
enable: done, up enabled
live-migrate e: done
record of e: completed
e: ACTIVE elsewhere
stop e: done
e: SHUTOFF power 4
compute-2 is killed
force down and disable: done, down forced disabled ours
evacuate big-2: done
record of big-2: error
big-2: ERROR on compute-2, No valid host was found
evacuate big-2: done
record of big-2: done
big-2: ACTIVE on compute-3
";

#[tokio::test]
async fn the_stand_in_tells_the_story_as_it_was_observed() {
    let mut world = World::standin().await;
    let told = tell(&mut world).await;
    assert_eq!(told, EXPECTED);
}

#[tokio::test]
async fn a_real_nova_tells_the_same_story() {
    if std::env::var_os("HOLDFAST_SKIP_REAL").is_some_and(|value| value == "1") {
        println!("SKIPPED real-nova: HOLDFAST_SKIP_REAL=1");
        return;
    }
    let mut world = World::real().await;
    let told = tell(&mut world).await;
    assert_eq!(told, EXPECTED);
}
