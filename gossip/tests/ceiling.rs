//! Whole groups under a ceiling, on a simulated network.
#![allow(clippy::print_stdout, clippy::unwrap_used, dead_code, missing_docs)]

mod network;

use std::time::Duration;

use gossip::ceiling::Ceiling;
use gossip::group::Effect;
use network::{Network, id};

const SECOND: Duration = Duration::from_secs(1);
const NODES: usize = 30;

/// First byte of a packet that holds broadcasts alone.
const SPREAD: u8 = 3;

fn settled(ceiling: Option<u32>, seed: u64) -> Network {
    let ceiling = ceiling.map(|bytes| Ceiling::new(bytes).unwrap());
    let mut network = Network::under(ceiling, NODES, seed);
    while network.strangers() > 0 && network.now < 1120 * SECOND {
        network.run(SECOND);
    }
    network.run(20 * SECOND);
    assert_eq!(network.strangers(), 0, "all know each other, seed {seed}");
    network.ledger = Some(Vec::new());
    network
}

/// All but the controllers start anew at one moment, as after a power cut.
fn storm(network: &mut Network) {
    for node in 3..NODES {
        network.kill(node);
        network.start(node, 2);
    }
}

/// Lets a storm begin and come to rest. After what time all knew each other.
fn recover(network: &mut Network) -> Duration {
    let since = network.now;
    storm(network);
    while network.strangers() > 0 && network.now - since < 120 * SECOND {
        network.run(SECOND);
    }
    let took = network.now - since;
    network.run(60 * SECOND);
    took
}

/// Bytes that a node sent in its worst second, of the packets that are wanted.
fn worst_second(network: &Network, wanted: impl Fn(u8) -> bool) -> usize {
    let ledger = network.ledger.as_ref().unwrap();
    let worst = (0..NODES).map(|node| {
        let sent: Vec<_> = ledger
            .iter()
            .filter(|(_, by, kind, _)| *by == node && wanted(*kind))
            .map(|(at, _, _, bytes)| (*at, *bytes))
            .collect();
        let (mut first, mut sum, mut worst) = (0, 0, 0);
        for (at, bytes) in &sent {
            sum += bytes;
            while sent[first].0 + SECOND <= *at {
                sum -= sent[first].1;
                first += 1;
            }
            worst = worst.max(sum);
        }
        worst
    });
    worst.max().unwrap()
}

fn put_off(network: &Network) -> u64 {
    network.nodes.iter().filter_map(|node| Some(node.group.as_ref()?.counters().put_off)).sum()
}

/// Tells an event of the length of a fence event. After what time all had it, if they had.
fn event(network: &mut Network) -> Option<Duration> {
    let (since, life) = (network.now, 120 * SECOND);
    network.with(0, |g, now, out| g.broadcast(now, 77, (3, 1), &[7; 300], life, out)).unwrap();
    network.run(10 * SECOND);
    let heard = |node: usize| {
        let mut found = network.nodes[node].found.iter().filter(|(at, _)| *at >= since);
        let at = found.find(|(_, found)| matches!(found, Effect::Heard { key: 77, .. }))?.0;
        Some(at - since)
    };
    (1..NODES).map(heard).collect::<Option<Vec<_>>>()?.into_iter().max()
}

#[test]
fn a_storm_of_joins_stays_under_the_ceiling_in_every_second_and_all_find_each_other() {
    for seed in 1..=5 {
        for ceiling in [Ceiling::LEAST, 20_000] {
            let mut network = settled(Some(ceiling), seed);
            let since = network.now;
            let took = recover(&mut network);
            let worst = worst_second(&network, |_| true);
            println!(
                "seed {seed}, ceiling {ceiling}: worst second {worst}, all know all after {took:?}, put off {}",
                put_off(&network)
            );
            assert!(worst <= ceiling as usize, "{worst} of {ceiling}");
            assert!(took < 60 * SECOND, "{took:?}");
            assert!(put_off(&network) > 0, "nothing had to wait: this shows nothing");
            assert_eq!(network.strangers(), 0);
            assert_eq!(network.downs(since), [], "and nobody is called dead");
        }
    }
}

#[test]
fn without_a_ceiling_the_same_storm_is_above_it() {
    for seed in 1..=5 {
        let mut network = settled(None, seed);
        let took = recover(&mut network);
        let worst = worst_second(&network, |_| true);
        println!("seed {seed}, no ceiling: worst second {worst}, all know all after {took:?}");
        assert!(worst > 20_000, "the test above could not fail");
        assert_eq!(put_off(&network), 0);
    }
}

/// Who has only just started knows few to pass it on to: that, and not the event, waits for the ceiling.
#[test]
fn a_fence_event_in_the_storm_waits_for_no_ceiling() {
    for seed in 1..=10 {
        let mut free = settled(None, seed);
        storm(&mut free);
        free.run(SECOND);
        println!("seed {seed}: {:?} without a ceiling", event(&mut free).unwrap());
        for (ceiling, most) in [(20_000, SECOND / 5), (Ceiling::LEAST, 2 * SECOND)] {
            let mut network = settled(Some(ceiling), seed);
            storm(&mut network);
            network.run(SECOND);
            let took = event(&mut network).unwrap();
            let besides = worst_second(&network, |kind| kind != SPREAD);
            println!("seed {seed}, ceiling {ceiling}: {took:?}, worst second {besides} besides");
            assert!(took <= most, "{took:?}");
        }
    }
}

#[test]
fn who_knows_all_passes_a_fence_event_on_at_once_however_much_waits() {
    for seed in 1..=10 {
        let mut network = settled(Some(Ceiling::LEAST), seed);
        storm(&mut network);
        while network.strangers() > 0 {
            network.run(SECOND / 20);
        }
        let before = put_off(&network);
        let took = event(&mut network).unwrap();
        println!("seed {seed}: {took:?}");
        assert!(took < SECOND / 40, "{took:?}");
        assert!(put_off(&network) > before, "nothing else waited: this shows nothing");
    }
}

#[test]
fn at_rest_nothing_waits_under_the_lowest_ceiling_and_a_death_is_found_by_all() {
    let mut network = settled(Some(Ceiling::LEAST), 3);
    let (since, before) = (network.now, put_off(&network));
    network.run(60 * SECOND);
    assert_eq!((put_off(&network), network.downs(since)), (before, Vec::new()));
    network.kill(7);
    network.run(30 * SECOND);
    let downs = network.downs(since);
    assert!(downs.iter().all(|(_, dead)| *dead == id(7)), "{downs:?}");
    assert_eq!(downs.len(), NODES - 1);
    let worst = worst_second(&network, |_| true);
    println!("worst second {worst}, put off {}", put_off(&network) - before);
    assert!(worst <= Ceiling::LEAST as usize);
}
