//! Rule 7: in which order a device is opened, reported, armed and closed.

use super::super::Warning;
use super::*;

const OPEN: WatchdogState = WatchdogState::Open {
    timeout: Duration::from_secs(8),
    class: fencing::watchdog::Class::Hardware,
    counts_for_e2: true,
};

#[test]
fn the_device_is_opened_after_the_first_lease_and_reported_only_when_it_is_open() {
    // M62, M58
    let mut bench = Bench::new();
    bench.run(10.5);
    assert!(!bench.did(&Effect::OpenWatchdog));
    assert_eq!(bench.last_renewal().3, WatchdogState::Closed);
    bench.acking = BTreeSet::from([1, 3]);
    bench.run(11.0);
    assert!(bench.did(&Effect::OpenWatchdog));
    bench.run(12.0);
    assert_eq!(bench.last_renewal().3, OPEN);
}

#[test]
fn a_device_whose_opening_outlasted_the_lease_ends_the_node() {
    // The opening was a feed.
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.stall_in_open = seconds(20.0);
    bench.run(1.0);
    assert!(matches!(bench.resets()[..], [(_, ResetReason::LateFeed)]));
}

#[test]
fn without_a_device_nothing_is_opened_fed_or_reset() {
    let mut bench = Bench::of(Setup { has_watchdog: false, ..setup(Start::Fresh) });
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.commit(&[controllers(&[1, 2, 3]), Change::Admitted { node: ME, boot: BOOT }]);
    bench.run(10.5);
    assert_eq!(bench.last_renewal().3, WatchdogState::Absent);
    bench.acking.clear();
    bench.run(200.0);
    assert!(bench.feeds().is_empty() && bench.resets().is_empty());
    assert!(bench.core.status(bench.now).gate_open);
}

#[test]
fn a_device_that_cannot_be_opened_is_reported_absent() {
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.opens_with = None;
    bench.run(100.0);
    assert_eq!(bench.last_renewal().3, WatchdogState::Absent);
    assert!(bench.did(&Effect::Warn(Warning::NoWatchdog("busy".to_owned()))));
    assert!(bench.resets().is_empty());
}

#[test]
fn a_class_that_does_not_count_is_closed_again_and_never_reported_open() {
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.opens_with = Some((seconds(8.0), false));
    bench.run(50.0);
    bench.acking.clear();
    bench.run(150.0);
    assert!(bench.did(&Effect::MagicClose) && bench.resets().is_empty());
    let open = |message: &&&Message| {
        matches!(message, Message::Renew { watchdog: WatchdogState::Open { .. }, .. })
    };
    assert_eq!(bench.sent().iter().filter(open).count(), 0);
}

#[test]
fn the_magic_close_follows_the_adopted_disarm_and_nothing_else() {
    // M11
    let mut bench = Bench::armed(3);
    bench.commit(&[
        Change::Disarmed { node: peer(2).0 },
        Change::Admitted { node: peer(3).0, boot: BOOT },
    ]);
    bench.run(20.0);
    assert!(!bench.did(&Effect::MagicClose));
    bench.commit(&[Change::Disarmed { node: ME }]);
    assert!(bench.did(&Effect::MagicClose));
    bench.run(22.0);
    assert_eq!(bench.last_renewal().3, WatchdogState::Closed);
    bench.acking.clear();
    bench.run(200.0);
    assert!(bench.resets().is_empty(), "a disarmed node is not reset for a lost lease");
}

#[test]
fn a_disarmed_node_opens_its_device_again_when_somebody_wants_it_armed() {
    let mut bench = Bench::armed(3);
    bench.commit(&[Change::AllDisarmed]);
    bench.run(20.0);
    let opened = |bench: &Bench| bench.times_of(|effect| *effect == Effect::OpenWatchdog).len();
    assert_eq!((opened(&bench), bench.did(&Effect::MagicClose)), (1, true));
    bench.commit(&[Change::AllArmWanted]);
    bench.run(22.0);
    assert_eq!((opened(&bench), bench.last_renewal().3), (2, OPEN));
}

#[test]
fn a_node_in_maintenance_leaves_its_device_closed_when_all_others_are_armed() {
    let mut bench = Bench::armed(3);
    bench.commit(&[Change::Maintained { node: ME }]);
    bench.run(20.0);
    let opened = |bench: &Bench| bench.times_of(|effect| *effect == Effect::OpenWatchdog).len();
    assert_eq!((opened(&bench), bench.did(&Effect::MagicClose)), (1, true));
    bench.commit(&[Change::AllDisarmed, Change::AllArmWanted]);
    bench.run(22.0);
    assert_eq!((opened(&bench), bench.last_renewal().3), (1, WatchdogState::Closed));
    bench.commit(&[Change::ArmWanted { node: ME }]);
    bench.run(24.0);
    assert_eq!((opened(&bench), bench.last_renewal().3), (2, OPEN));
}

#[test]
fn a_restarted_sentinel_opens_the_device_only_under_a_lease_of_its_own() {
    // M62: closing by a kill and opening again are feeds that no lease stands behind.
    let saved = Bench::armed(2).core.saved();
    let mut bench = Bench::of(setup(Start::Resumed(Box::new(saved))));
    bench.now = seconds(6.0);
    bench.vouching = BTreeSet::from([2, 3]);
    bench.run(20.0);
    assert!(!bench.did(&Effect::OpenWatchdog) && bench.feeds().is_empty());
    bench.acking = BTreeSet::from([1, 2]);
    bench.run(21.0);
    assert!(bench.did(&Effect::OpenWatchdog));
}

#[test]
fn an_armed_node_whose_device_did_not_open_again_resets_itself_when_nobody_stands_for_it() {
    let saved = Bench::armed(2).core.saved();
    let mut bench = Bench::of(setup(Start::Resumed(Box::new(saved))));
    bench.now = seconds(6.0);
    bench.opens_with = None;
    bench.acking = BTreeSet::from([1, 2]);
    bench.run(30.5);
    bench.acking.clear();
    bench.run(60.0);
    assert_eq!(bench.resets(), [(50.0, ResetReason::WatchdogSilent)]);
}

#[test]
fn the_times_of_the_entry_that_armed_the_boot_hold() {
    // M09: this node was started as `fast`, and armed with a shorter L.
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.run(1.0);
    let armed = Change::Armed {
        node: ME,
        boot: BOOT,
        times: times(14.0, 10.0),
        addresses: addresses(1, 2),
    };
    bench.commit(&[controllers(&[1, 2, 3]), super::armed(peer(2).0, peer(2).1), armed]);
    bench.run(30.5);
    bench.acking.clear();
    bench.run(80.0);
    let last = *bench.feeds().last().unwrap();
    assert!((42.5..44.0).contains(&last), "{last}");
}

#[test]
fn an_entry_with_a_shorter_watchdog_time_than_the_devices_is_told_once() {
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.opens_with = Some((seconds(9.0), true));
    bench.run(1.0);
    bench.arm(1);
    bench.commit(&[armed(peer(9).0, peer(9).1)]);
    bench.run(10.0);
    let told =
        |effect: &Effect| matches!(effect, Effect::Warn(Warning::ArmedWithOtherTimeout { .. }));
    assert_eq!(bench.times_of(told).len(), 1);
}

#[test]
fn a_node_that_would_start_guests_by_itself_is_not_armed_and_says_why() {
    let hazards = Hazards::AUTOSTART;
    let mut bench = Bench::of(Setup { hazards, ..setup(Start::Fresh) });
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.run(10.0);
    assert!(!bench.did(&Effect::OpenWatchdog));
    assert_eq!(bench.last_renewal().3, WatchdogState::Refused { hazards });
}
