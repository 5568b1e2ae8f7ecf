//! Rules 2 and 4: base_c.

use super::*;

#[test]
fn a_node_is_fed_while_a_majority_acks() {
    let mut bench = Bench::armed(4);
    bench.acking = BTreeSet::from([2, 3]);
    bench.run(100.0);
    assert!(bench.resets().is_empty());
    let feeds = bench.feeds();
    let apart = feeds.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    assert!(apart <= 1.0 + 1e-9 && feeds.last().unwrap() > &99.0, "{apart} {feeds:?}");
}

#[test]
fn a_short_watchdog_is_fed_every_quarter_of_its_time() {
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.opens_with = Some((seconds(2.0), true));
    bench.run(10.0);
    assert!(bench.feeds().windows(2).all(|pair| pair[1] - pair[0] <= 0.5 + 1e-9));
}

#[test]
fn the_ack_of_one_controller_of_three_is_no_lease() {
    // M04
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([2]);
    bench.run(60.0);
    assert!(bench.feeds().is_empty() && !bench.did(&Effect::OpenWatchdog));
    let mut bench = Bench::armed(0);
    bench.commit(&[armed(peer(2).0, peer(2).1)]);
    bench.acking = BTreeSet::from([2]);
    bench.run(60.0);
    assert!(bench.feeds().last().unwrap() < &25.0);
}

#[test]
fn the_lease_counts_from_the_sending_of_the_renewal() {
    // M02: the acks of the last renewal that was answered, sent at 30, come at 35.
    let mut bench = Bench::armed(2);
    bench.latency = seconds(5.0);
    bench.run(30.5);
    bench.acking.clear();
    bench.run(60.0);
    let last = *bench.feeds().last().unwrap();
    assert!((48.0..50.0).contains(&last), "{last}");
}

#[test]
fn a_node_that_nobody_stands_for_is_no_longer_fed_and_resets_itself_should_the_device_not() {
    let mut bench = Bench::armed(2);
    bench.run(30.5);
    bench.acking.clear();
    bench.run(70.0);
    let last = *bench.feeds().last().unwrap();
    assert!(last < 50.0, "{last}");
    assert_eq!(bench.resets(), [(last + 8.0, ResetReason::WatchdogSilent)]);
    assert!(bench.times_of(|effect| matches!(effect, Effect::Warn(_))).len() >= 3);
}

#[test]
fn nothing_is_fed_by_a_loop_that_was_late_or_asleep() {
    // M03, and a machine that was suspended: BOOTTIME ran on.
    let mut bench = Bench::armed(2);
    bench.run(30.5);
    let feeds = bench.feeds().len();
    bench.now = seconds(60.0);
    bench.event(Event::Timeout);
    assert_eq!(bench.feeds().len(), feeds);
    assert_eq!(bench.resets(), [(60.0, ResetReason::WatchdogSilent)]);
}

#[test]
fn a_stall_between_check_and_feed_ends_in_a_reset_at_once() {
    let mut bench = Bench::armed(2);
    bench.stall_in_feed = seconds(21.0);
    bench.run(6.5);
    let resets = bench.resets();
    assert!(matches!(resets[..], [(_, ResetReason::LateFeed)]), "{resets:?}");
    assert!(bench.core.poll_timeout().is_none());
}

#[test]
fn after_a_reset_nothing_is_done_any_more() {
    let mut bench = Bench::armed(2);
    bench.stall_in_feed = seconds(21.0);
    bench.run(6.5);
    let done = bench.done.len();
    bench.event(Event::Timeout);
    let (signer, message) = ask(2, 1);
    bench.message(signer, message);
    assert_eq!(bench.done.len(), done);
}

#[test]
fn an_ack_for_another_boot_or_an_unknown_renewal_is_none() {
    let mut bench = Bench::new();
    bench.run(0.5);
    let (seq, ..) = bench.last_renewal();
    let ack = |boot, seq| Message::Ack { node: ME, boot, seq, committed: 0, log: LogPart::Nothing };
    for id in 1..=3 {
        let signer = Signer::Controller(ControllerId(id));
        bench.message(signer, ack(peer(5).1, seq));
        bench.message(signer, ack(BOOT, seq + 1));
        bench.message(Signer::Node(ME), ack(BOOT, seq));
        bench.message(Signer::Controller(ControllerId(id + 7)), ack(BOOT, seq));
    }
    assert!(!bench.did(&Effect::OpenWatchdog));
    for id in 1..=2 {
        bench.message(Signer::Controller(ControllerId(id)), ack(BOOT, seq));
    }
    assert!(bench.did(&Effect::OpenWatchdog));
}

#[test]
fn the_controllers_that_count_are_those_of_the_adopted_prefix() {
    // M12: of the first set a majority acks, of the adopted one it does not.
    let mut bench = Bench::armed(2);
    bench.acking = BTreeSet::from([1, 2]);
    bench.run(20.0);
    bench.commit(&[controllers(&[1, 2, 3, 4, 5])]);
    bench.run(80.0);
    assert!(bench.feeds().last().unwrap() < &25.0);
    assert_eq!(bench.resets().len(), 1);
}

#[test]
fn renewals_go_to_all_controllers_over_all_networks_also_to_those_of_the_configuration() {
    let mut bench = Bench::armed(1);
    bench.commit(&[controllers(&[2, 3, 4])]);
    bench.run(8.0);
    let to = bench.done.iter().rev().find_map(|(_, effect)| match effect {
        Effect::Send { to, message: Message::Renew { .. } } => Some(to.clone()),
        _ => None,
    });
    let mut want: Vec<(u8, SocketAddr)> = Vec::new();
    for id in [2, 3, 4, 1] {
        want.extend((0..).zip(addresses(id, 1)));
    }
    assert_eq!(to.unwrap(), want);
}

#[test]
fn a_restarted_sentinel_never_uses_a_sequence_number_again() {
    let mut bench = Bench::armed(1);
    bench.run(30.0);
    let (seq, ..) = bench.last_renewal();
    let mut again = Bench::of(setup(Start::Resumed(Box::new(bench.core.saved()))));
    again.now = seconds(30.1);
    again.event(Event::Timeout);
    assert!(again.last_renewal().0 > seq);
}
