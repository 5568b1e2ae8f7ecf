use std::net::SocketAddr;

use fencing::{BootId, NodeId};
use uuid::Uuid;

use record::{End, Title, Writer};

use super::*;
use crate::agent::{Agent, Network, Setup};

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn setup() -> Setup {
    let network = |port| Network {
        gossip: address(port),
        ping: address(port + 1),
        controllers: vec![address(port + 2), address(port + 3)],
    };
    Setup {
        ceiling: gossip::ceiling::Ceiling::new(20_000).ok(),
        cluster: Uuid::from_u128(1),
        node: NodeId(Uuid::from_u128(2)),
        boot: BootId(Uuid::from_u128(3)),
        starts: 4,
        networks: vec![network(7000), network(7100)],
        keys: Vec::new(),
        reports: true,
        checks: Vec::new(),
        seed: 99,
    }
}

fn events() -> Vec<(Duration, Event)> {
    let domains = Some(vec![Uuid::from_u128(9)]);
    let mut events: Vec<_> =
        (1..200).map(|step| (Duration::from_millis(50 * step), Event::Timeout)).collect();
    let at = |ms| Duration::from_millis(ms);
    events.push((at(10_000), Event::Ping { network: 1, from: address(9), nonce: 5 }));
    events.push((at(10_001), Event::Gossip { network: 0, from: address(9), bytes: vec![1, 2] }));
    events.push((at(10_002), Event::Domains { nonce: 1, network: 0, to: address(9), domains }));
    events.push((at(10_003), Event::Leave));
    events
}

/// A record of an agent that finds nobody; `bent` changes an event as it is written.
fn recorded(bent: impl Fn(Event) -> Event) -> Vec<u8> {
    let names = ["management".to_owned(), "storage".to_owned()];
    let mut to = Writer::new(Vec::new()).unwrap();
    to.put(&Title::of(PROGRAM)).unwrap();
    to.put(&Head::new(Duration::ZERO, "node-1", &names, &setup())).unwrap();
    let mut effects = Vec::new();
    let mut core = Agent::new(Duration::ZERO, setup(), &mut effects);
    let did = |to: &mut Writer<Vec<u8>>, effects: &mut Vec<Effect>| {
        if let Some(frame) = Frame::of_effects(effects) {
            to.put(&frame).unwrap();
        }
        effects.clear();
    };
    did(&mut to, &mut effects);
    for (now, event) in events() {
        to.put(&Frame::Event { now, event: Cow::Owned(bent(event.clone())) }).unwrap();
        core.handle(now, event, &mut effects);
        did(&mut to, &mut effects);
    }
    to.put(&Frame::End { why: "enough".to_owned() }).unwrap();
    to.into_inner()
}

fn replayed(bytes: &[u8]) -> (Replayed, Vec<String>) {
    let (title, reader) = Title::read(bytes).expect("a record");
    let mut told = Vec::new();
    let replayed = replay(title, reader, |decision| told.push(decision.text.clone()));
    (replayed.unwrap_or_else(|error| panic!("{error}")), told)
}

#[test]
fn a_replay_does_what_was_done() {
    let (replayed, told) = replayed(&recorded(|event| event));
    assert_eq!(replayed.difference, None, "{replayed}");
    assert_eq!(replayed.end, End::Wanted("enough".to_owned()));
    assert_eq!(replayed.events, 203);
    assert!(replayed.effects > 10, "{replayed}");
    assert!(told.contains(&"leave".to_owned()), "{told:?}");
    assert!(replayed.to_string().contains("all the same"), "{replayed}");
}

#[test]
fn another_event_than_was_handed_in_is_a_difference() {
    let bytes = recorded(|event| match event {
        Event::Ping { network, from, nonce } => Event::Ping { network, from, nonce: nonce + 1 },
        Event::Gossip { .. }
        | Event::Pong { .. }
        | Event::Domains { .. }
        | Event::Use { .. }
        | Event::Checked { .. }
        | Event::Pushed { .. }
        | Event::Sent { .. }
        | Event::Leave
        | Event::Timeout => event,
    });
    let difference = replayed(&bytes).0.difference.expect("a difference");
    assert_eq!((difference.event, difference.did), (200, true));
    assert!(difference.to_string().contains("ping on 1"), "{difference}");
}

#[test]
fn a_record_that_is_cut_anywhere_is_replayed_up_to_there() {
    let bytes = recorded(|event| event);
    let mut last = 0;
    for cut in (0..bytes.len()).step_by(11) {
        let Ok((title, reader)) = Title::read(&bytes[..cut]) else { continue };
        let Ok(replayed) = replay(title, reader, |_| {}) else { continue };
        assert_eq!(replayed.difference, None, "cut at {cut}");
        assert!(replayed.events >= last && !matches!(replayed.end, End::Wanted(_)));
        last = replayed.events;
    }
    assert!(last > 150, "{last}");
}
