//! Rules 3, 4 and 6: base_v.

use super::*;

fn asks(bench: &Bench) -> Vec<(f64, BTreeSet<SocketAddr>)> {
    let mut asks = Vec::new();
    for (at, effect) in &bench.done {
        if let Effect::Send { to, message: Message::Ask { .. } } = effect {
            asks.push((at.as_secs_f64(), to.iter().map(|(_, address)| *address).collect()));
        }
    }
    asks
}

#[test]
fn losing_all_controllers_resets_no_node_that_half_of_its_peers_stand_for() {
    let mut bench = Bench::armed(5);
    bench.vouching = BTreeSet::from([2, 4, 6]);
    bench.acking.clear();
    bench.run(1000.0);
    assert!(bench.resets().is_empty());
    assert!(bench.feeds().last().unwrap() > &999.0);
}

#[test]
fn one_vouch_fewer_than_half_does_not_keep_a_node_alive() {
    // M54, and M51: two of two answers are all answers, but not half of five registered voters.
    let mut bench = Bench::armed(5);
    bench.vouching = BTreeSet::from([2, 4]);
    bench.acking.clear();
    bench.run(100.0);
    assert!(bench.feeds().last().unwrap() < &25.0);
    assert_eq!(bench.resets().len(), 1);
}

#[test]
fn a_vouch_counts_from_the_sending_of_the_ask() {
    // M50: all answers come 6 s late, so the last one that counts is older than C when it would be 6 s younger.
    let mut bench = Bench::armed(3);
    bench.vouching = BTreeSet::from([2, 3, 4]);
    bench.acking.clear();
    bench.run(60.0);
    bench.latency = seconds(6.0);
    bench.run(90.0);
    bench.vouching.clear();
    let last_ask = asks(&bench).last().unwrap().0;
    bench.run(150.0);
    let last_feed = *bench.feeds().last().unwrap();
    assert!(last_feed < last_ask + 12.0, "{last_feed} {last_ask}");
    assert!(last_feed > last_ask + 10.5, "{last_feed} {last_ask}");
}

#[test]
fn a_voter_counts_in_its_registered_boot_alone_and_only_once() {
    let mut bench = Bench::armed(4);
    bench.acking.clear();
    bench.run(16.0);
    let seq = bench.sent().iter().rev().find_map(|message| match message {
        Message::Ask { seq, .. } => Some(*seq),
        _ => None,
    });
    let seq = seq.expect("it asks");
    let (signer, message) = vouch(2, seq);
    bench.message(signer, message.clone());
    bench.message(signer, message);
    let (voter, _) = peer(3);
    let other_boot = Message::Vouch { voter, voter_boot: BOOT, node: ME, boot: BOOT, seq };
    bench.message(Signer::Node(voter), other_boot);
    let own = Message::Vouch { voter: ME, voter_boot: BOOT, node: ME, boot: BOOT, seq };
    bench.message(Signer::Node(ME), own);
    let stranger = vouch(50, seq);
    bench.message(stranger.0, stranger.1);
    bench.run(26.0);
    assert!(!bench.core.status(bench.now).standing);
    assert_eq!(bench.core.counters().vouches, 2);
}

#[test]
fn nobody_answers_for_another() {
    // M57
    let mut bench = Bench::armed(1);
    bench.acking.clear();
    bench.run(16.0);
    for seq in 15_000_000..15_200_000 {
        let (_, message) = vouch(2, seq);
        bench.core.handle(
            bench.now,
            Event::Message {
                signer: Signer::Node(peer(3).0),
                network: 0,
                from: addresses(3, 2)[0],
                message,
            },
            &mut Vec::new(),
        );
    }
    assert_eq!(bench.core.counters().vouches, 0);
    assert!(bench.core.counters().dropped >= 200_000);
}

#[test]
fn a_node_without_a_lease_of_its_own_stands_for_others_all_the_same() {
    // M61
    let mut bench = Bench::new();
    bench.run(50.0);
    let (signer, message) = ask(2, 9);
    bench.message(signer, message);
    let (voter, voter_boot, (node, boot)) = (ME, BOOT, peer(2));
    assert_eq!(
        bench.sent().last(),
        Some(&&Message::Vouch { voter, voter_boot, node, boot, seq: 9 })
    );
}

#[test]
fn a_node_under_an_intent_that_is_known_gets_no_vouch_in_any_boot() {
    // M55
    let mut bench = Bench::armed(3);
    bench.commit(&[Change::Intent { node: peer(2).0, boot: peer(2).1 }]);
    for boot in [peer(2).1, peer(40).1] {
        let node = peer(2).0;
        bench.message(Signer::Node(node), Message::Ask { node, boot, seq: 9 });
        assert_eq!(bench.sent().last(), Some(&&Message::NoVouch { voter: ME, seq: 9 }));
    }
    bench.commit(&[Change::Cancelled { node: peer(2).0 }]);
    let (signer, message) = ask(2, 10);
    bench.message(signer, message);
    assert!(matches!(bench.sent().last(), Some(Message::Vouch { seq: 10, .. })));
}

#[test]
fn an_ask_that_another_node_signed_is_not_answered() {
    let mut bench = Bench::armed(3);
    let (_, message) = ask(2, 9);
    bench.message(Signer::Node(peer(3).0), message.clone());
    bench.message(Signer::Controller(ControllerId(1)), message);
    assert!(!matches!(bench.sent().last(), Some(Message::Vouch { .. })));
    assert_eq!(bench.core.counters().dropped, 2);
}

#[test]
fn a_peers_fenced_is_no_vouch_and_nothing_more() {
    let mut bench = Bench::armed(3);
    for number in 2..5 {
        let voter = peer(number).0;
        bench.message(Signer::Node(voter), Message::NoVouch { voter, seq: 1 });
    }
    bench.run(100.0);
    assert!(bench.resets().is_empty());
    assert_eq!(bench.core.counters().no_vouches, 3);
}

#[test]
fn it_asks_from_half_of_the_lease_on_a_quarter_of_c_apart_first_some_then_the_rest() {
    let mut bench = Bench::armed(10);
    bench.run(30.5);
    assert!(asks(&bench).is_empty());
    bench.acking.clear();
    bench.run(46.9);
    // The last renewal that was acked left at 30: L/2 later the first wave of v + a fifth of v = 6 goes out on both
    // networks, C/16 later the other 4; the next round is C/4 after the first.
    let asks = asks(&bench);
    let sizes: Vec<(f64, usize)> = asks.iter().map(|(at, to)| (*at, to.len())).collect();
    assert_eq!(sizes, [(40.0, 12), (40.75, 8), (43.0, 12), (43.75, 8), (46.0, 12), (46.75, 8)]);
    assert!(asks[0].1.is_disjoint(&asks[1].1));
    assert_ne!(asks[0].1, asks[2].1, "the voters of the first wave are drawn anew (seed 42)");
}

#[test]
fn the_rest_is_not_asked_where_enough_have_vouched() {
    let mut bench = Bench::armed(10);
    bench.vouching = (2..12).collect();
    bench.run(30.5);
    bench.acking.clear();
    bench.run(60.0);
    assert!(asks(&bench).iter().all(|(_, to)| to.len() == 12));
}

#[test]
fn a_node_that_is_armed_alone_is_always_fed() {
    let mut bench = Bench::armed(0);
    bench.acking.clear();
    bench.run(500.0);
    assert!(bench.resets().is_empty());
    assert!(bench.feeds().last().unwrap() > &499.0);
}

#[test]
fn a_node_that_is_not_armed_neither_asks_nor_lives_on_vouches() {
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.vouching = BTreeSet::from([2, 3]);
    bench.commit(&[
        controllers(&[1, 2, 3]),
        armed(peer(2).0, peer(2).1),
        armed(peer(3).0, peer(3).1),
    ]);
    bench.run(30.5);
    bench.acking.clear();
    bench.run(100.0);
    assert!(asks(&bench).is_empty());
    assert!(bench.feeds().last().unwrap() < &51.0);
}

#[test]
fn a_node_that_lost_n_neither_vouches_nor_asks_until_it_is_rebooted() {
    let mut bench = Bench::of(setup(Start::Lost));
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.vouching = BTreeSet::from([2, 3]);
    bench.run(1.0);
    bench.arm(2);
    bench.run(5.0);
    let (signer, message) = ask(2, 9);
    bench.message(signer, message.clone());
    bench.acking.clear();
    bench.run(100.0);
    assert!(asks(&bench).is_empty());
    assert!(bench.sent().iter().all(|message| matches!(message, Message::Renew { .. })));
    assert_eq!(bench.resets().len(), 1);
    // A restart within the same boot does not make it forget that.
    let mut again = Bench::of(setup(Start::Resumed(Box::new(bench.core.saved()))));
    again.run(1.0);
    again.message(signer, message);
    assert!(again.sent().iter().all(|message| matches!(message, Message::Renew { .. })));
}

#[test]
fn a_node_that_lost_n_does_not_even_trust_that_it_is_alone() {
    let mut bench = Bench::of(setup(Start::Lost));
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.run(1.0);
    bench.arm(0);
    bench.run(5.0);
    bench.acking.clear();
    bench.run(100.0);
    assert_eq!(bench.resets().len(), 1);
}
