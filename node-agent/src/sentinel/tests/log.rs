//! Rules 1, 2 and 5, and the gate: what is adopted, and what hangs on it.

use super::*;

fn entries(after: u64, changes: &[Change]) -> LogPart {
    let upto = after + u64::try_from(changes.len()).unwrap();
    LogPart::Entries { after, upto, changes: (after + 1..).zip(changes.iter().cloned()).collect() }
}

fn n(bench: &Bench) -> u64 {
    bench.core.status(bench.now).n
}

#[test]
fn n_is_reported_only_when_it_is_stored() {
    // M56
    let mut bench = Bench::new();
    bench.stores = false;
    bench.run(0.5);
    bench.commit(&[controllers(&[1, 2, 3])]);
    bench.run(3.5);
    assert_eq!((n(&bench), bench.last_renewal().1), (1, 0));
    bench.event(Event::Stored { n: 1 });
    bench.run(4.5);
    assert_eq!(bench.last_renewal().1, 1);
    bench.event(Event::Stored { n: 99 });
    bench.run(5.5);
    assert_eq!(bench.last_renewal().1, 1, "more than is adopted cannot be stored");
}

#[test]
fn who_lacks_more_than_fits_asks_its_teller_alone_and_soon() {
    let mut bench = Bench::new();
    bench.run(0.5);
    let asked = |bench: &Bench| -> Vec<(f64, u64)> {
        let alone = |effect: &Effect| match effect {
            Effect::Send { to, message: Message::Renew { n, .. } } if to.len() == 1 => {
                // Where controller 1 listens, wherever its datagram came from.
                assert_eq!(to[0], (0, addresses(1, 1)[0]));
                Some(*n)
            }
            _ => None,
        };
        let sent = bench.done.iter().filter_map(|(at, effect)| Some((*at, alone(effect)?)));
        sent.map(|(at, n)| (at.as_secs_f64(), n)).collect()
    };
    bench.part(1, 3, entries(0, &[controllers(&[1, 2, 3])]));
    // Another that tells the same at the same time is not asked too.
    bench.part(3, 3, entries(0, &[controllers(&[1, 2, 3])]));
    bench.run(0.7);
    assert_eq!(asked(&bench), [(0.6, 1)]);
    bench.part(1, 3, entries(1, &[armed(peer(2).0, peer(2).1)]));
    bench.run(0.9);
    assert_eq!(asked(&bench), [(0.6, 1), (0.8, 2)]);
    // Told all: nobody is asked but all, every p.
    bench.part(1, 3, entries(2, &[armed(peer(3).0, peer(3).1)]));
    bench.run(5.0);
    assert_eq!(asked(&bench).len(), 2);
    // A piece of a snapshot is a part too.
    bench.part(1, 90, piece(80, 0, &[]));
    bench.run(5.2);
    assert_eq!(asked(&bench)[2..], [(5.1, 3)]);
}

#[test]
fn each_node_asks_its_favourite_controller_where_that_one_answers() {
    let mut bench = Bench::new();
    bench.run(0.5);
    let answer = |bench: &mut Bench, from: &[u64], after, change: Change| {
        // All of them answer one renewal with the same part; it fits but once.
        from.iter()
            .for_each(|id| bench.part(*id, 9, entries(after, std::slice::from_ref(&change))));
    };
    answer(&mut bench, &[1, 2, 3], 0, controllers(&[1, 2, 3]));
    bench.run(0.7);
    answer(&mut bench, &[3, 1], 1, armed(peer(2).0, peer(2).1));
    bench.run(0.9);
    let asked = bench.done.iter().filter_map(|(_, effect)| match effect {
        Effect::Send { to, message: Message::Renew { .. } } if to.len() == 1 => Some(to[0].1),
        _ => None,
    });
    // Node 1 of three controllers has the second.
    assert_eq!(asked.collect::<Vec<_>>(), [addresses(2, 1)[0], addresses(3, 1)[0]]);
}

#[test]
fn only_what_follows_own_n_is_adopted() {
    let mut bench = Bench::armed(1);
    let before = n(&bench);
    let intent = Change::Intent { node: peer(2).0, boot: peer(2).1 };
    bench.part(1, 50, entries(before + 1, std::slice::from_ref(&intent)));
    bench.part(1, 50, entries(before - 1, std::slice::from_ref(&intent)));
    bench.part(1, 50, LogPart::Entries { after: before, upto: before, changes: Vec::new() });
    let beyond = vec![(before + 9, intent.clone())];
    bench.part(1, 50, LogPart::Entries { after: before, upto: before + 1, changes: beyond });
    let backwards = vec![(before + 2, intent.clone()), (before + 1, intent.clone())];
    bench.part(1, 50, LogPart::Entries { after: before, upto: before + 2, changes: backwards });
    assert_eq!((n(&bench), bench.core.counters().misfits), (before, 5));
    assert!(bench.core.adopted().open_boot(peer(2).0).is_none());
    bench.part(1, 50, entries(before, &[intent]));
    assert_eq!(n(&bench), before + 1);
}

#[test]
fn entries_that_change_nothing_here_move_n_all_the_same() {
    let mut bench = Bench::armed(1);
    let before = n(&bench);
    bench.part(1, 50, LogPart::Entries { after: before, upto: before + 7, changes: Vec::new() });
    assert_eq!(n(&bench), before + 7);
}

#[test]
fn the_log_is_taken_from_pinned_controllers_alone() {
    let mut bench = Bench::armed(1);
    let before = n(&bench);
    let log = entries(before, &[Change::Intent { node: ME, boot: BOOT }]);
    for signer in [Signer::Node(peer(2).0), Signer::Controller(ControllerId(4))] {
        bench.message(signer, Message::NoAck { seq: 0, committed: 50, log: log.clone() });
        let ack = Message::Ack { node: ME, boot: BOOT, seq: 0, committed: 50, log: log.clone() };
        bench.message(signer, ack);
    }
    assert_eq!(n(&bench), before);
}

fn piece(at: u64, piece: u16, changes: &[Change]) -> LogPart {
    LogPart::Snapshot { at, piece, pieces: 2, changes: changes.to_vec() }
}

#[test]
fn a_snapshot_is_adopted_whole_and_never_from_pieces_of_two() {
    let mut bench = Bench::armed(1);
    let before = bench.core.adopted().clone();
    let (first, second) =
        ([controllers(&[1, 2, 3])], [armed(ME, BOOT), armed(peer(7).0, peer(7).1)]);
    bench.part(1, 90, piece(80, 0, &first));
    bench.part(1, 90, piece(90, 1, &second));
    bench.part(2, 90, piece(90, 1, &second));
    bench.part(1, 90, piece(90, 2, &second));
    assert_eq!(bench.core.adopted(), &before);
    bench.part(2, 90, piece(90, 0, &first));
    assert_eq!(n(&bench), 90);
    assert_eq!(bench.core.adopted().voters(), BTreeSet::from([(ME, BOOT), peer(7)]));
    // An older one, however whole, changes nothing.
    bench.part(3, 90, piece(89, 0, &first));
    bench.part(3, 90, piece(89, 1, &[]));
    assert_eq!((n(&bench), bench.core.adopted().voters().len()), (90, 2));
}

#[test]
fn each_renewal_asks_for_the_first_piece_that_is_missing() {
    let mut bench = Bench::armed(1);
    let now = 300.0;
    let asked = |bench: &Bench| -> Vec<u16> {
        let wanted = |effect: &Effect| match effect {
            Effect::Send { to, message: Message::Renew { piece, .. } } if to.len() == 1 => {
                Some(*piece)
            }
            _ => None,
        };
        bench.done.iter().filter_map(|(_, effect)| wanted(effect)).collect()
    };
    let of = |piece| LogPart::Snapshot { at: 80, piece, pieces: 7, changes: Vec::new() };
    for (tenths, got) in [0, 1, 4, 2, 3].into_iter().enumerate() {
        bench.run(now + tenths as f64 / 5.0);
        bench.part(2, 90, of(got));
    }
    bench.run(now + 0.95);
    assert_eq!(asked(&bench), [1, 2, 2, 3, 5]);
}

#[test]
fn a_snapshot_of_the_largest_cluster_with_all_of_it_in_maintenance_and_out_is_taken() {
    let mut bench = Bench::armed(1);
    let pieces = (5_500_u16 * 4).div_ceil(6);
    for piece in 0..pieces {
        let changes = if piece == 0 { vec![controllers(&[1, 2, 3])] } else { Vec::new() };
        bench.part(1, 90, LogPart::Snapshot { at: 80, piece, pieces, changes });
    }
    assert_eq!(n(&bench), 80);
}

#[test]
fn an_intent_for_this_boot_resets_the_node_at_once_and_closes_the_gate() {
    let mut bench = Bench::armed(3);
    bench.commit_from(3, &[Change::Intent { node: ME, boot: BOOT }]);
    assert_eq!(bench.resets(), [(5.0, ResetReason::OwnIntent)]);
    assert!(bench.did(&Effect::GateClosed));
    let after: Vec<&Effect> = bench.done.iter().map(|(_, effect)| effect).collect();
    assert!(matches!(after.last(), Some(Effect::Reset(_))));
}

#[test]
fn an_intent_for_an_earlier_boot_resets_nobody_and_keeps_the_gate_closed() {
    let mut bench = Bench::new();
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.commit(&[controllers(&[1, 2, 3]), Change::Intent { node: ME, boot: peer(9).1 }]);
    bench.run(10.0);
    assert!(bench.resets().is_empty());
    assert!(!bench.core.status(bench.now).gate_open);
}

#[test]
fn the_gate_opens_when_a_majority_says_that_the_entry_is_committed() {
    // M65
    let mut bench = Bench::new();
    bench.run(0.5);
    bench.commit(&[controllers(&[1, 2, 3]), Change::Admitted { node: ME, boot: BOOT }]);
    bench.part(2, 1, LogPart::Nothing);
    assert!(
        !bench.did(&Effect::GateOpen { boot: BOOT }),
        "controller 2 knows an older prefix only"
    );
    bench.part(1, 9, LogPart::Nothing);
    assert!(!bench.did(&Effect::GateOpen { boot: BOOT }), "controller 1 twice is one");
    bench.part(3, 2, LogPart::Nothing);
    assert!(bench.did(&Effect::GateOpen { boot: BOOT }));
}

#[test]
fn the_gate_does_not_open_for_another_boot_or_without_a_controller_set() {
    let mut bench = Bench::new();
    bench.run(0.5);
    bench.commit(&[Change::Admitted { node: ME, boot: BOOT }]);
    (1..=3).for_each(|id| bench.part(id, 9, LogPart::Nothing));
    assert!(!bench.core.status(bench.now).gate_open);
    let mut bench = Bench::new();
    bench.commit(&[controllers(&[1, 2, 3]), armed(ME, peer(9).1)]);
    (1..=3).for_each(|id| bench.part(id, 9, LogPart::Nothing));
    assert!(!bench.core.status(bench.now).gate_open);
}

#[test]
fn an_open_gate_stays_open_over_a_disarm_and_a_restart() {
    let mut bench = Bench::armed(2);
    (1..=3).for_each(|id| bench.part(id, 9, LogPart::Nothing));
    bench.commit(&[Change::Disarmed { node: ME }]);
    bench.run(10.0);
    assert!(bench.core.status(bench.now).gate_open);
    let mut again = Bench::of(setup(Start::Resumed(Box::new(bench.core.saved()))));
    again.run(0.5);
    assert!(again.did(&Effect::GateOpen { boot: BOOT }));
    assert_eq!(again.last_renewal().1, bench.core.status(bench.now).n, "n never falls");
}

#[test]
fn what_another_boot_saved_is_worth_nothing() {
    let saved = Saved { boot: peer(9).1, ..Bench::armed(2).core.saved() };
    let mut bench = Bench::of(setup(Start::Resumed(Box::new(saved))));
    bench.run(0.5);
    assert_eq!(bench.last_renewal().1, 0);
    assert!(bench.did(&Effect::GateClosed));
}

#[test]
fn a_drill_of_the_watchdog_ends_the_feeds_and_leaves_the_reset_to_the_device() {
    let mut bench = Bench::armed(3);
    bench.acking.clear();
    bench.commit_from(3, &[Change::Drill { node: ME, boot: BOOT }]);
    let began = bench.now;
    let fed = bench.feeds().len();
    bench.run(60.0);
    assert!(bench.did(&Effect::GateClosed));
    assert_eq!(bench.feeds().len(), fed, "nothing is fed, whoever stands for it");
    assert!(bench.resets().is_empty(), "its device is to do that");
    assert!(bench.done.iter().any(|(at, effect)| {
        *at > began + seconds(30.0)
            && matches!(effect, Effect::Send { message: Message::Renew { .. }, .. })
    }));
    // A device that does not fire: the leader gives the drill up long before this.
    bench.run(200.0);
    assert!(matches!(bench.resets()[..], [(at, ResetReason::WatchdogSilent)] if at > 120.0));
}

#[test]
fn a_drill_that_is_given_up_feeds_again() {
    let mut bench = Bench::armed(3);
    bench.commit_from(3, &[Change::Drill { node: ME, boot: BOOT }]);
    bench.run(20.0);
    let fed = bench.feeds().len();
    bench.commit_from(3, &[Change::Cancelled { node: ME }]);
    bench.acking = BTreeSet::from([1, 2, 3]);
    bench.run(40.0);
    assert!(bench.feeds().len() > fed && bench.resets().is_empty());
}
