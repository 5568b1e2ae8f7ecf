//! Rule 5: doubly signed fence events.

use fencing::IncidentId;
use fencing::event::{FenceEvent, Order};

use super::super::OrderRefusal;
use super::*;

fn order(bench: &Bench) -> Order {
    Order {
        cluster: CLUSTER,
        incident: IncidentId(1),
        node: ME,
        boot: BOOT,
        epoch: Epoch { term: 2, index: 1 },
        challenge: bench.last_renewal().2,
    }
}

fn signed(order: Order, by: &[u64]) -> Event {
    let signatures = by.iter().map(|&id| (ControllerId(id), order.sign(&key(id)))).collect();
    Event::FenceEvent(FenceEvent { order, signatures })
}

#[test]
fn two_controllers_word_resets_this_boot_after_the_epoch_is_stored() {
    let mut bench = Bench::armed(2);
    let order = order(&bench);
    bench.event(signed(order, &[1, 3]));
    let epoch = Epoch { term: 2, index: 1 };
    let last: Vec<&Effect> = bench.done.iter().rev().take(2).map(|(_, effect)| effect).collect();
    assert_eq!(
        last,
        [&Effect::Reset(ResetReason::FenceEvent { epoch }), &Effect::StoreEpoch(epoch)]
    );
}

#[test]
fn an_order_that_is_not_exactly_right_has_no_effect_and_is_counted() {
    let mut bench = Bench::armed(2);
    let right = order(&bench);
    let stored = Epoch { term: 1, index: 5 };
    let wrong = [
        (signed(Order { cluster: Uuid::nil(), ..right.clone() }, &[1, 2]), OrderRefusal::Cluster),
        (signed(Order { node: peer(2).0, ..right.clone() }, &[1, 2]), OrderRefusal::Node),
        // M42, M43
        (signed(Order { boot: peer(2).1, ..right.clone() }, &[1, 2]), OrderRefusal::Boot),
        (signed(Order { epoch: stored, ..right.clone() }, &[1, 2]), OrderRefusal::Epoch),
        (signed(Order { challenge: 7, ..right.clone() }, &[1, 2]), OrderRefusal::Challenge),
        (signed(right.clone(), &[1]), OrderRefusal::Signatures),
        (signed(right.clone(), &[2, 2]), OrderRefusal::Signatures),
        (signed(right.clone(), &[1, 9]), OrderRefusal::Signatures),
    ];
    let mut want = BTreeMap::new();
    for (event, refusal) in wrong {
        bench.event(event);
        *want.entry(refusal).or_insert(0) += 1;
        assert_eq!(refused(&bench), want);
    }
    assert!(bench.resets().is_empty());
    assert!(!bench.done.iter().any(|(_, effect)| matches!(effect, Effect::StoreEpoch(_))));
}

#[test]
fn a_challenge_lives_as_long_as_a_lease() {
    for (age, obeyed) in [(19.9, true), (20.0, false)] {
        let mut bench = Bench::armed(0);
        let order = order(&bench);
        bench.now = seconds(5.0 + age);
        bench.event(signed(order, &[1, 2]));
        assert_eq!(!bench.resets().is_empty(), obeyed, "{age}");
    }
}

#[test]
fn an_order_also_ends_a_node_that_is_not_armed() {
    let mut bench = Bench::of(Setup { has_watchdog: false, ..setup(Start::Fresh) });
    bench.run(0.5);
    let order = order(&bench);
    bench.event(signed(order, &[2, 3]));
    assert_eq!(bench.resets().len(), 1);
}
