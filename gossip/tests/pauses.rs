//! The experiment by which Lifeguard was measured, with foca alone and with our groups, under the same pauses.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::wildcard_enum_match_arm, missing_docs)]

mod pausing;

use std::time::Duration;

use pausing::{ours, pauses, plain};

#[test]
fn blocked_members_call_no_healthy_one_dead_where_with_foca_alone_they_do() {
    let span = Duration::from_secs(60);
    let pauses = pauses(32, (8, 8, 1), (true, true));
    let (plain, ours) = (plain(pauses, 4.0, span), ours(pauses, 4.0, span));
    println!("foca alone {:?}, our group {:?}", plain.wrong, ours.wrong);
    assert!(plain.wrong[0] > 0, "without a wrong word this shows nothing");
    assert_eq!(ours.wrong, [0, 0]);
}
