//! Whole groups on a simulated network with loss, deaths, partitions and liars.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod network;

use std::time::Duration;

use gossip::group::{Effect, Event, Group, State};
use gossip::packet::MAX_PLAIN;
use network::{Network, address, id, member};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn settled(nodes: usize, seed: u64) -> Network {
    println!("seed {seed}");
    let mut network = Network::new(nodes, seed);
    network.run(20 * SECOND);
    assert_eq!(network.strangers(), 0, "everybody knows everybody after twenty seconds");
    network
}

/// Processor time of this thread: wall time says little on a shared machine.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_ascii_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[test]
fn at_five_percent_loss_nobody_is_called_dead_for_two_minutes() {
    let mut network = settled(60, 11);
    network.loss = 0.05;
    let (since, sent, started) = (network.now, network.sent, cpu_time());
    network.run(120 * SECOND);
    let micros = (cpu_time() - started).as_secs_f64() * 1e6 / (60.0 * 120.0);
    let rate = (network.sent - sent) as f64 / (60.0 * 120.0);
    let largest = network.largest;
    println!("{micros:.1} us a member-second (this build), {rate:.2} packets/s, largest {largest}");
    assert_eq!(network.downs(since), []);
    assert_eq!(network.strangers(), 0);
}

#[test]
fn who_refutes_a_suspicion_is_never_told_that_it_is_dead() {
    let mut network = settled(40, 25);
    network.loss = 0.12;
    let since = network.now;
    network.run(60 * SECOND);
    let counters = network.nodes.iter().filter_map(|node| Some(node.group.as_ref()?.counters()));
    let (stale, renewals) = counters.fold((0, 0), |(stale, renewals), counters| {
        (stale + counters.stale_suspicions, renewals + counters.renewals)
    });
    println!("{stale} suspicions refuted in time");
    assert!(stale > 0, "without a refuted suspicion this shows nothing");
    assert_eq!((renewals, network.downs(since)), (0, Vec::new()));
}

#[test]
fn a_killed_member_is_hinted_at_within_seconds_and_then_called_dead_by_all() {
    let mut network = settled(40, 12);
    let since = network.now;
    network.kill(7);
    network.run(30 * SECOND);
    let hint = |node: &usize| {
        let mut found = network.nodes[*node].found.iter().filter(|(at, _)| *at >= since);
        let is_hint =
            |e: &Effect| matches!(e, Effect::ProbeFailed { member } if member.id == id(7));
        found.find(|(_, effect)| is_hint(effect)).map(|(at, _)| *at - since)
    };
    let first = (0..40).filter_map(|node| hint(&node)).min().unwrap();
    println!("first hint after {first:?}");
    assert!(first < 6 * SECOND);
    let downs = network.downs(since);
    assert!(downs.iter().all(|(_, dead)| *dead == id(7)), "{downs:?}");
    assert_eq!(downs.len(), 39);
}

#[test]
fn a_restart_is_recognised_by_its_boot_also_when_the_counter_was_lost() {
    let mut network = settled(30, 13);
    network.kill(5);
    network.run(3 * SECOND);
    network.start(5, 2);
    network.run(10 * SECOND);
    assert_eq!(network.knowing(5, member(5, 2).boot), 29);
    assert!((0..30).filter(|n| *n != 5).all(|node| {
        let to_boot =
            |e: &Effect| matches!(e, Effect::Renamed { to, .. } if to.boot == member(5, 2).boot);
        network.found(node, Duration::ZERO).any(to_boot)
    }));
    network.kill(5);
    network.run(20 * SECOND);
    network.start(5, 0);
    network.run(40 * SECOND);
    assert_eq!(network.knowing(5, member(5, 0).boot), 29);
    let renewals = network.nodes[5].group.as_ref().unwrap().counters().renewals;
    println!("{renewals} renewals with a lost counter");
    assert!(renewals <= 10);
}

#[test]
fn a_partition_is_noticed_and_heals_without_seeds() {
    let mut network = settled(40, 14);
    // The seeds are all on one side: the other side must find back by what it remembers.
    network.carries = Box::new(|from, to, _| (from < 30) == (to < 30));
    network.run(60 * SECOND);
    // Not all: who is last found dead by his own side needs a little longer.
    assert!(network.strangers() > 550, "{} of 600", network.strangers());
    let healed = network.now;
    network.carries = Box::new(|_, _, _| true);
    while network.strangers() > 0 && network.now - healed < 120 * SECOND {
        network.run(SECOND / 2);
    }
    println!("healed after {:?}", network.now - healed);
    assert!(network.now - healed < 60 * SECOND);
    network.run(30 * SECOND);
    assert_eq!(network.strangers(), 0);
    let boots = (0..40).all(|node| network.knowing(node, member(node, 1).boot) == 39);
    assert!(boots, "a heal changes generations, never boots");
}

fn heard(network: &Network, node: usize, since: Duration) -> usize {
    network
        .found(node, since)
        .filter(|found| matches!(found, Effect::Heard { key: 77, .. }))
        .count()
}

/// Packets with nothing but broadcasts, since the ledger was begun.
fn broadcasts(network: &Network) -> usize {
    network.ledger.iter().flatten().filter(|(_, _, kind, _)| *kind == 3).count()
}

#[test]
fn a_broadcast_reaches_all_at_once_and_a_missed_one_comes_with_the_exchange() {
    let mut network = settled(40, 15);
    network.loss = 0.1;
    network.carries = Box::new(|_, to, kind| to != 9 || kind != 3);
    let since = network.now;
    let life = 120 * SECOND;
    network.with(0, |g, now, out| g.broadcast(now, 77, (3, 1), b"fence", life, out)).unwrap();
    network.run(SECOND);
    let missing: Vec<_> = (1..40).filter(|node| heard(&network, *node, since) != 1).collect();
    assert_eq!(missing, [9]);
    network.run(70 * SECOND);
    assert_eq!(heard(&network, 9, since), 1, "the exchange repairs it");
    network.with(0, |group, _, _| group.cancel(77));
    let older = network.with(3, |g, now, out| g.broadcast(now, 77, (2, 9), b"old", life, out));
    assert!(older.is_err());
    let since = network.now;
    network.run(200 * SECOND);
    assert!((0..40).all(|node| heard(&network, node, since) == 0), "nothing is heard twice");
    let quiet = network.sent;
    network.carries = Box::new(|_, _, kind| {
        assert_ne!(kind, 3, "after its life nobody repeats it");
        true
    });
    network.run(20 * SECOND);
    assert!(network.sent > quiet);
}

#[test]
fn a_broadcast_reaches_everybody_in_steps_and_costs_three_packets_a_member() {
    for (members, seed) in [(10, 30), (30, 31), (100, 32)] {
        let mut network = settled(members, seed);
        // That it is about one of them costs nothing: whoever is told directly tells nobody.
        for about in [77, id(4).as_u128()] {
            let since = network.now;
            network.ledger = Some(Vec::new());
            let life = 60 * SECOND;
            let told = |g: &mut Group, now, out: &mut Vec<Effect>| {
                g.broadcast(now, about, (3, 1), b"fence", life, out)
            };
            network.with(0, told).unwrap();
            let mut took = Duration::ZERO;
            let heard = |network: &Network, node| {
                network
                    .found(node, since)
                    .any(|found| matches!(found, Effect::Heard { key, .. } if *key == about))
            };
            while (1..members).any(|node| !heard(&network, node)) && took < SECOND {
                network.run(Duration::from_millis(1));
                took = network.now - since;
            }
            network.run(3 * SECOND - took);
            let packets = broadcasts(&network) as f64 / members as f64;
            println!("{members} members: all after {took:?}, {packets:.2} packets a member in 3 s");
            assert!(took < Duration::from_millis(20), "{took:?}");
            let by_the_origin = 10.0 / members as f64;
            assert!(packets < 3.0 + by_the_origin, "{packets}");
            network.with(0, |group, _, _| group.cancel(about));
        }
    }
}

#[test]
fn a_fifth_of_all_packets_lost_keeps_a_broadcast_from_nobody_for_long() {
    for seed in 40..50 {
        let mut network = settled(100, seed);
        network.loss = 0.2;
        let since = network.now;
        let life = 60 * SECOND;
        network.with(0, |g, now, out| g.broadcast(now, 77, (3, 1), b"fence", life, out)).unwrap();
        network.run(SECOND);
        let missing = (1..100).filter(|node| heard(&network, *node, since) == 0).count();
        assert_eq!(missing, 0, "seed {seed}");
    }
}

#[test]
fn a_member_called_dead_hears_what_is_said_about_it() {
    let mut network = settled(20, 16);
    // Deaf to all but broadcasts, so that the others call it dead.
    network.carries = Box::new(|from, to, kind| (from != 4 && to != 4) || kind == 3);
    network.run(20 * SECOND);
    let since = network.now;
    let key = id(4).as_u128();
    network.with(1, |g, now, out| g.broadcast(now, key, (1, 1), b"x", SECOND * 60, out)).unwrap();
    network.run(SECOND);
    assert!(network.found(4, since).any(|found| matches!(found, Effect::Heard { .. })));
}

#[test]
fn a_forged_broadcast_is_neither_heard_nor_passed_on_nor_in_the_way_of_a_true_one() {
    let mut network = settled(20, 17);
    for node in 1..20 {
        network
            .with(node, |group, _, _| group.set_check(Box::new(|_, _, b| b.starts_with(b"true"))));
    }
    let since = network.now;
    let most = (u64::MAX, u64::MAX);
    network.with(0, |g, now, out| g.broadcast(now, 77, most, b"forged", SECOND * 60, out)).unwrap();
    network.run(5 * SECOND);
    network.with(1, |g, now, out| g.broadcast(now, 77, (1, 1), b"true", SECOND * 60, out)).unwrap();
    network.run(5 * SECOND);
    assert!((2..20).all(|node| heard(&network, node, since) == 1));
}

#[test]
fn a_half_deaf_member_gives_hints_and_everybody_stays_known() {
    let mut network = settled(40, 18);
    let since = network.now;
    network.deaf.insert(6, 0.6);
    network.run(120 * SECOND);
    let hints = (0..40)
        .flat_map(|node| network.found(node, since))
        .filter(|found| matches!(found, Effect::ProbeFailed { .. }))
        .count();
    let downs = network.downs(since);
    let healthy = downs.iter().filter(|(_, dead)| *dead != id(6)).count();
    println!("{hints} hints, {} deaths declared, {healthy} of healthy members", downs.len());
    assert!(hints > 0);
    network.deaf.clear();
    network.run(60 * SECOND);
    assert_eq!(network.strangers(), 0, "a hint costs nothing: all are back without help");
}

#[test]
fn a_member_that_stood_still_blames_nobody() {
    let mut network = settled(30, 19);
    for round in 0..5 {
        network.nodes[8].paused_until = network.now + (3 + round) * SECOND / 2;
        network.run(8 * SECOND);
    }
    let blamed = network.found(8, Duration::ZERO).any(|f| matches!(f, Effect::ProbeFailed { .. }));
    assert!(!blamed);
    assert!(network.nodes[8].group.as_ref().unwrap().counters().stalls >= 5);
    assert_eq!(network.downs(Duration::ZERO), []);
}

/// Lets two groups run from `now` for a time, without delay or loss. Answers what the first found.
fn pair(groups: &mut [Group; 2], now: Duration, time: Duration, held: Vec<Effect>) -> Vec<Effect> {
    let mut found = Vec::new();
    let mut out = held;
    for step in 0..time.as_millis() / 10 {
        let now = now + Duration::from_millis(10) * step as u32;
        for group in groups.iter_mut() {
            if group.poll_timeout().is_some_and(|(at, _)| at <= now) {
                group.handle(now, Event::Timeout, &mut out);
            }
        }
        while let Some(effect) = out.pop() {
            let Effect::Send { to, bytes } = effect else {
                found.push(effect);
                continue;
            };
            let to = usize::from(to == address(1));
            let packet = Event::Packet { from: address(1 - to), bytes: &bytes };
            groups[to].handle(now, packet, &mut out);
        }
    }
    found
}

#[test]
fn an_answer_that_waited_while_we_stood_still_is_in_time() {
    let mut groups = [0, 1].map(|n| Group::new(gossip::config::Config::lan(2), member(n, 1), 26));
    let mut now = Duration::from_secs(1000);
    let mut out = Vec::new();
    for (group, seed) in groups.iter_mut().zip([1, 0]) {
        group.join(now, &[address(seed)], &mut out);
    }
    pair(&mut groups, now, 20 * SECOND, out);
    now += 20 * SECOND;
    // The first group pings, and is stopped before it reads the answer.
    let mut ping = Vec::new();
    while !ping
        .iter()
        .any(|e| matches!(e, Effect::Send { bytes, .. } if [1, 5].contains(&bytes[0])))
    {
        now = groups[0].poll_timeout().unwrap().0;
        ping.clear();
        groups[0].handle(now, Event::Timeout, &mut ping);
    }
    let mut answer = Vec::new();
    for effect in ping {
        let Effect::Send { bytes, .. } = effect else { continue };
        groups[1].handle(now, Event::Packet { from: address(0), bytes: &bytes }, &mut answer);
    }
    assert!(!answer.is_empty());
    now += 5 * SECOND;
    groups[0].handle(now, Event::Timeout, &mut answer);
    let found = pair(&mut groups, now, 10 * SECOND, answer);
    assert_eq!(found, []);
    assert_eq!(groups[0].counters().stalls, 1);
}

#[test]
fn who_leaves_is_known_to_have_gone_and_says_nothing_more() {
    let mut network = settled(30, 20);
    let since = network.now;
    network.with(2, |group, now, out| group.leave(now, out));
    network.run(3 * SECOND);
    assert_eq!(network.downs(since).len(), 29);
    let hinted =
        (0..30).any(|n| network.found(n, since).any(|f| matches!(f, Effect::ProbeFailed { .. })));
    assert!(!hinted, "a leave is no suspicion");
    network.carries = Box::new(|from, _, _| {
        assert_ne!(from, 2);
        true
    });
    network.run(10 * SECOND);
}

#[test]
fn a_lost_first_packet_isolates_nobody() {
    println!("seed 21");
    let mut network = Network::new(3, 21);
    network.kill(2);
    network.carries = Box::new(|_, _, _| false);
    network.start(2, 2);
    network.run(3 * SECOND);
    network.carries = Box::new(|_, _, _| true);
    network.run(15 * SECOND);
    assert_eq!(network.strangers(), 0);
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    let trace = |seed| {
        let mut network = settled(20, seed);
        network.loss = 0.2;
        network.kill(3);
        network.run(20 * SECOND);
        network.start(3, 2);
        network.run(20 * SECOND);
        network.trace()
    };
    assert_eq!(trace(22), trace(22));
    assert_ne!(trace(22), trace(23));
}

#[test]
fn a_payload_reaches_the_member_it_is_for_and_one_too_long_is_refused() {
    let mut network = settled(3, 24);
    let since = network.now;
    network.with(0, |group, _, out| group.talk(address(1), b"hello", out)).unwrap();
    assert!(network.with(0, |group, _, out| group.talk(address(1), &[0; 1001], out)).is_err());
    network.run(SECOND);
    let talk = Effect::Talk { from: address(0), bytes: b"hello".to_vec() };
    assert!(network.found(1, since).any(|found| *found == talk));
}

/// Real packets of a group under loss, for the mutations below.
fn packets() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let now = Duration::from_secs(1000);
    let mut groups: Vec<_> = (0..3)
        .map(|n| Group::new(gossip::config::Config::lan(3), member(n, 1), n as u64))
        .collect();
    let mut packets = Vec::new();
    for group in &mut groups {
        group.join(now, &[address(0)], &mut out);
    }
    groups[1].broadcast(now, 5, (1, 1), b"x", SECOND * 60, &mut out).unwrap();
    for round in 0..300 {
        let now = now + round * SECOND / 20;
        for effect in std::mem::take(&mut out) {
            let Effect::Send { to, bytes } = effect else { continue };
            let Some(to) = (0..3).find(|n| address(*n) == to) else { continue };
            // One of three is deaf for a while: indirect probes, suspicions and renewals occur.
            if to != 2 || round % 100 < 20 {
                let packet = Event::Packet { from: address(0), bytes: &bytes };
                groups[to].handle(now, packet, &mut out);
            }
            packets.push(bytes);
        }
        for group in &mut groups {
            group.handle(now, Event::Timeout, &mut out);
        }
    }
    packets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn noise_and_changed_packets_never_panic_and_never_lie_about_ourselves(
        noise in proptest::collection::vec(any::<u8>(), 0..MAX_PLAIN + 10),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 200),
    ) {
        let mut out = Vec::new();
        let mut now = Duration::from_secs(1000);
        let mut group = Group::new(gossip::config::Config::lan(3), member(2, 1), 1);
        group.join(now, &[address(0)], &mut out);
        thread_local!(static PACKETS: Vec<Vec<u8>> = packets());
        let packets = PACKETS.with(Clone::clone);
        for kind in 0..8 {
            let mut noise = noise.clone();
            noise.insert(0, kind);
            group.handle(now, Event::Packet { from: address(1), bytes: &noise }, &mut out);
        }
        for (which, place, byte, cut) in changes {
            now += SECOND / 20;
            let mut packet = which.get(&packets).clone();
            let place = place.index(packet.len());
            if cut { packet.truncate(place) } else { packet[place] ^= byte }
            group.handle(now, Event::Packet { from: address(1), bytes: &packet }, &mut out);
            group.handle(now, Event::Timeout, &mut out);
        }
        prop_assert_eq!((group.me().id, group.me().boot), (member(2, 1).id, member(2, 1).boot));
        for effect in &out {
            if let Effect::Send { bytes, .. } = effect {
                prop_assert!(bytes.len() <= MAX_PLAIN);
            }
        }
        prop_assert!(group.members().all(|(known, state)| known.id != id(2) && state <= State::Down));
    }
}
