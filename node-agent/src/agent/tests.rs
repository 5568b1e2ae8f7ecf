//! The core among two controllers' groups and other agents, over a perfect wire of two networks.
#![allow(clippy::wildcard_enum_match_arm)] // A test looks for one variant; new ones do not concern it.

use std::net::SocketAddr;
use std::time::Duration;

use fencing::domains::{self, Domain};
use fencing::event::{FenceEvent, Order};
use fencing::sent::{Sent, Total};
use fencing::sign::KeyPair;
use fencing::{BootId, ControllerId, Epoch, IncidentId, NodeId, census};
use gossip::config::Config;
use gossip::group::{self, Group};
use gossip::identity::Member;
use gossip::witness::{Message, Watch};
use uuid::Uuid;

use super::*;

const CLUSTER: Uuid = Uuid::from_u128(77);
const ME: u8 = 21;

fn address(network: u8, who: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([127, 5, network, who], port))
}

fn node(who: u8) -> NodeId {
    NodeId(Uuid::from_u128(u128::from(who)))
}

fn boot(who: u8) -> BootId {
    BootId(Uuid::from_u128(1000 + u128::from(who)))
}

fn key(controller: u8) -> KeyPair {
    KeyPair::from_seed([controller; 32])
}

/// One agent, a controller's group per network, and what it heard.
struct Bench {
    agent: Agent,
    now: Duration,
    groups: Vec<Group>,
    talks: Vec<(u8, Vec<u8>)>,
    other: Vec<Effect>,
}

impl Bench {
    fn new() -> Self {
        Self::of(false)
    }

    fn of(reports: bool) -> Self {
        let networks = (0..2).map(|network| Network {
            gossip: address(network, ME, 1),
            ping: address(network, ME, 2),
            controllers: vec![address(network, 1, 1), address(network, 2, 1)],
        });
        let setup = Setup {
            ceiling: None,
            cluster: CLUSTER,
            node: node(ME),
            boot: boot(ME),
            starts: 3,
            networks: networks.collect(),
            keys: (1..=2).map(|id| (ControllerId(u64::from(id)), key(id).public())).collect(),
            reports,
            checks: Vec::new(),
            seed: 7,
        };
        let mut effects = Vec::new();
        let agent = Agent::new(Duration::ZERO, setup, &mut effects);
        let mut groups = Vec::new();
        for network in 0..2 {
            let member = Member {
                id: node(1).0,
                generation: 1,
                boot: boot(1).0,
                addr: address(network, 1, 1),
                ping: address(network, 1, 2),
                controller: true,
            };
            let mut group = Group::new(Config::lan(2), member, 9);
            group.join(Duration::ZERO, &[], &mut Vec::new());
            groups.push(group);
        }
        let mut bench =
            Self { agent, now: Duration::ZERO, groups, talks: Vec::new(), other: Vec::new() };
        bench.carry_out(effects);
        bench.run(3.0);
        bench
    }

    fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.agent.handle(self.now, event, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Gossip { network, to, bytes } if to == address(network, 1, 1) => {
                    let mut out = Vec::new();
                    let from = address(network, ME, 1);
                    let packet = group::Event::Packet { from, bytes: &bytes };
                    self.groups[usize::from(network)].handle(self.now, packet, &mut out);
                    self.take(network, out);
                }
                Effect::Gossip { .. } => {}
                effect => self.other.push(effect),
            }
        }
    }

    fn take(&mut self, network: u8, out: Vec<group::Effect>) {
        for effect in out {
            match effect {
                group::Effect::Send { to, bytes } if to == address(network, ME, 1) => {
                    self.event(Event::Gossip { network, from: address(network, 1, 1), bytes });
                }
                group::Effect::Talk { bytes, .. } => self.talks.push((network, bytes)),
                _ => {}
            }
        }
    }

    fn talk(&mut self, network: u8, from: SocketAddr, channel: u8, body: &[u8]) {
        let mut out = Vec::new();
        let bytes = [&[channel], body].concat();
        self.groups[usize::from(network)]
            .talk(address(network, ME, 1), &bytes, &mut out)
            .expect("short");
        for effect in out {
            if let group::Effect::Send { bytes, .. } = effect {
                self.event(Event::Gossip { network, from, bytes });
            }
        }
    }

    fn run(&mut self, until: f64) {
        let until = Duration::from_secs_f64(until);
        while self.now < until {
            self.now += Duration::from_millis(10);
            for network in 0..2 {
                let group = &mut self.groups[usize::from(network)];
                if group.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                    let mut out = Vec::new();
                    group.handle(self.now, group::Event::Timeout, &mut out);
                    self.take(network, out);
                }
            }
            if self.agent.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                self.event(Event::Timeout);
            }
        }
    }

    fn ask_census(&mut self, from: SocketAddr, nonce: u64) {
        let ask = postcard::to_stdvec(&census::Message::Ask { nonce }).expect("plain");
        self.talk(0, from, census::CHANNEL, &ask);
    }

    fn answers(&self) -> Vec<census::Message> {
        let census = self.talks.iter().filter(|(_, bytes)| bytes[0] == census::CHANNEL);
        census.filter_map(|(_, bytes)| postcard::from_bytes(&bytes[1..]).ok()).collect()
    }
}

fn event(who: u8, signers: &[u8]) -> (u128, (u64, u64), Vec<u8>) {
    let order = Order {
        cluster: CLUSTER,
        incident: IncidentId(1),
        node: node(who),
        boot: boot(who),
        epoch: Epoch { term: 2, index: 9 },
        challenge: 1,
    };
    let sign = |id: &u8| (ControllerId(u64::from(*id)), order.sign(&key(*id)));
    let event = FenceEvent { signatures: signers.iter().map(sign).collect(), order };
    (node(who).0.as_u128(), (2, 9), postcard::to_stdvec(&event).expect("plain"))
}

#[test]
fn it_joins_one_group_per_network() {
    let bench = Bench::new();
    for network in 0..2 {
        assert_eq!(bench.agent.members(network).count(), 1, "{network}");
    }
    assert_eq!(bench.agent.members(9).count(), 0);
}

#[test]
fn a_census_is_answered_in_parts_that_quote_its_nonce() {
    let mut bench = Bench::new();
    let to = address(0, 1, 1);
    bench.ask_census(to, 55);
    assert_eq!(bench.other, [Effect::ListDomains { nonce: 55, network: 0, to }]);
    let domains: Vec<Uuid> = (0..81).map(Uuid::from_u128).collect();
    bench.event(Event::Domains { nonce: 55, network: 0, to, domains: Some(domains) });
    let sizes: Vec<(u64, u16, u16, usize)> = bench
        .answers()
        .into_iter()
        .filter_map(|message| match message {
            census::Message::Answer { nonce, part, parts, domains, .. } => {
                Some((nonce, part, parts, domains.len()))
            }
            census::Message::Ask { .. } => None,
        })
        .collect();
    assert_eq!(sizes, [(55, 0, 3, 40), (55, 1, 3, 40), (55, 2, 3, 1)]);
}

#[test]
fn a_node_without_domains_says_so_and_one_without_a_list_says_nothing() {
    let mut bench = Bench::new();
    let to = address(0, 1, 1);
    bench.ask_census(to, 1);
    bench.event(Event::Domains { nonce: 1, network: 0, to, domains: None });
    assert!(bench.answers().is_empty());
    bench.ask_census(to, 2);
    bench.event(Event::Domains { nonce: 2, network: 0, to, domains: Some(Vec::new()) });
    assert!(matches!(bench.answers()[..], [census::Message::Answer { nonce: 2, parts: 1, .. }]));
    // A list that nobody asked for, or that was used, is not sent.
    bench.event(Event::Domains { nonce: 2, network: 0, to, domains: Some(Vec::new()) });
    assert_eq!(bench.answers().len(), 1);
}

#[test]
fn only_controllers_may_ask() {
    let mut bench = Bench::new();
    bench.ask_census(address(0, 30, 1), 5);
    let watch = Watch {
        ask: 1,
        asked_by: node(30).0,
        suspect: node(22).0,
        boot: boot(22).0,
        addr: address(0, 22, 2),
        lasts_ms: 5000,
    };
    bench.talk(0, address(0, 30, 1), WITNESS_CHANNEL, &Message::Watch(watch).to_bytes());
    bench.run(5.0);
    assert_eq!(bench.other, []);
    bench.talk(0, address(0, 1, 1), WITNESS_CHANNEL, &Message::Watch(watch).to_bytes());
    bench.run(6.0);
    let ping = |effect: &Effect| matches!(effect, Effect::Ping { network: 0, to, .. } if *to == watch.addr);
    assert!(bench.other.iter().filter(|effect| ping(effect)).count() >= 5);
    let report = |(network, bytes): &(u8, Vec<u8>)| {
        *network == 0
            && bytes[0] == WITNESS_CHANNEL
            && matches!(Message::parse(&bytes[1..]), Some(Message::Report(_)))
    };
    assert!(bench.talks.iter().any(report));
}

#[test]
fn too_many_censuses_at_once_are_not_answered() {
    let mut bench = Bench::new();
    (0..20).for_each(|nonce| bench.ask_census(address(0, 1, 1), nonce));
    assert_eq!((bench.other.len(), bench.agent.unanswered_censuses()), (8, 12));
}

#[test]
fn a_failed_probe_is_told_to_the_controllers_on_its_network() {
    let mut bench = Bench::new();
    // A third member joins on network 0 and is never heard again.
    let member = Member {
        id: node(22).0,
        generation: 1,
        boot: boot(22).0,
        addr: address(0, 22, 1),
        ping: address(0, 22, 2),
        controller: false,
    };
    let mut third = Group::new(Config::lan(2), member, 5);
    let mut out = Vec::new();
    third.join(bench.now, &[address(0, ME, 1)], &mut out);
    for effect in out {
        if let group::Effect::Send { bytes, .. } = effect {
            bench.event(Event::Gossip { network: 0, from: address(0, 22, 1), bytes });
        }
    }
    bench.run(12.0);
    let hint = |(network, bytes): &(u8, Vec<u8>)| match Message::parse(&bytes[1..]) {
        Some(Message::Hint(hint)) => Some((*network, hint.suspect)),
        _ => None,
    };
    let hints: Vec<(u8, Uuid)> = bench.talks.iter().filter_map(hint).collect();
    assert!(hints.contains(&(0, node(22).0)), "{hints:?} (seeds 5, 7, 9)");
    assert!(hints.iter().all(|(network, _)| *network == 0));
}

#[test]
fn a_fence_event_for_this_boot_goes_to_the_sentinel_and_a_forged_one_nowhere() {
    let mut bench = Bench::new();
    let spread = |bench: &mut Bench, (key, epoch, bytes): (u128, (u64, u64), Vec<u8>)| {
        let mut out = Vec::new();
        let life = Duration::from_secs(60);
        bench.groups[1].cancel(key);
        let _ = bench.groups[1].broadcast(bench.now, key, epoch, &bytes, life, &mut out);
        bench.take(1, out);
    };
    spread(&mut bench, event(ME, &[1]));
    bench.run(5.0);
    spread(&mut bench, event(22, &[1, 2]));
    bench.run(7.0);
    assert_eq!(bench.other, []);
    let mut bench = Bench::new();
    spread(&mut bench, event(ME, &[1, 2]));
    bench.run(5.0);
    assert!(
        matches!(&bench.other[..], [Effect::PassToSentinel(event), ..] if event.order.boot == boot(ME))
    );
}

#[test]
fn pings_are_answered_where_they_came_from() {
    let mut bench = Bench::new();
    let from = address(1, 2, 9);
    bench.event(Event::Ping { network: 1, from, nonce: 4 });
    assert_eq!(bench.other, [Effect::Pong { network: 1, to: from, nonce: 4 }]);
}

#[test]
fn noise_changes_nothing() {
    let mut bench = Bench::new();
    for length in 0..200 {
        for byte in [0, 1, 2, 127, 255] {
            bench.event(Event::Gossip {
                network: 0,
                from: address(0, 1, 1),
                bytes: vec![byte; length],
            });
            bench.talk(0, address(0, 1, 1), byte, &vec![byte; length]);
        }
    }
    bench.event(Event::Gossip { network: 7, from: address(0, 1, 1), bytes: vec![1] });
    assert_eq!(bench.other, []);
}

#[test]
fn after_leaving_nothing_is_sent_any_more() {
    let mut bench = Bench::new();
    bench.event(Event::Leave);
    assert!(bench.agent.poll_timeout().is_none());
}

#[test]
fn the_list_of_domains_goes_to_the_controllers_unasked_and_only_when_it_was_had() {
    let mut bench = Bench::of(true);
    bench.run(13.0);
    assert_eq!(bench.other, [Effect::ListUse]);
    let lists = |bench: &Bench| {
        let talks = bench.talks.iter().filter(|(_, bytes)| bytes[0] == domains::CHANNEL);
        talks
            .filter_map(|(on, bytes)| Some((*on, postcard::from_bytes(&bytes[1..]).ok()?)))
            .collect::<Vec<(u8, domains::List)>>()
    };
    bench.event(Event::Use { domains: None });
    assert_eq!(lists(&bench), []);
    bench.run(23.0);
    let runs = Domain::unmeasured(Uuid::from_u128(5));
    bench.event(Event::Use { domains: Some(vec![runs]) });
    // Nobody has asked for this one.
    bench.event(Event::Use { domains: Some(Vec::new()) });
    let number = (3 << 32) + 1;
    let news = domains::News::Whole { part: 0, parts: 1, cut: false, domains: vec![runs] };
    let list = domains::List { node: node(ME), boot: boot(ME), number, news };
    assert_eq!(lists(&bench), [(1, list)]);
}

#[test]
fn what_was_sent_stands_behind_the_next_whole_list_and_is_no_packet_of_its_own() {
    let mut bench = Bench::of(true);
    let total = |packets, bytes| Total { packets, bytes };
    let listed = |bench: &mut Bench, times: u64| {
        bench.other.clear();
        while bench.other != [Effect::ListUse] {
            let next = bench.now.as_secs_f64() + 0.005;
            bench.run(next);
        }
        let own = vec![(total(60 * times, 3900 * times), total(30 * times, 2400 * times)); 2];
        let sentinel = vec![total(180 * times, 21_000 * times); 2];
        let sentinel = Some((Duration::from_secs(10 * times), sentinel));
        let before = bench.talks.len();
        bench.event(Event::Sent { own, sentinel });
        assert_eq!(bench.talks.len(), before);
        bench.event(Event::Use { domains: Some(Vec::new()) });
        let talks: Vec<_> = bench.talks.drain(before..).map(|(_, bytes)| bytes).collect();
        talks
            .iter()
            .map(|bytes| {
                let (_, behind) =
                    postcard::take_from_bytes::<domains::List>(&bytes[1..]).expect("a list");
                Sent::behind(behind)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&mut bench, 1), [None], "since when?");
    assert!(listed(&mut bench, 2).is_empty() && listed(&mut bench, 3).is_empty());
    let told = listed(&mut bench, 4);
    let [Some(sent)] = &told[..] else { panic!("{told:?}") };
    let on = sent.networks[1];
    assert_eq!((sent.over_s, sent.networks.len(), on.put_off), (30, 2, 0));
    assert!(on.gossip.tenths.abs_diff(60) <= 1 && on.gossip.bytes.abs_diff(390) <= 2, "{on:?}");
    assert!(on.all.tenths.abs_diff(60 + 30 + 180) <= 2, "{on:?}");
    assert!(on.all.bytes.abs_diff(390 + 240 + 2100) <= 5, "{on:?}");
}
