//! BMCs that a controller does not reach, asked by way of nodes: real agents carry, `ipmi_sim` and our stand-ins answer,
//! and a proxy that lies, dies or is not meant for it never makes a node count as off.

#[path = "../support/fence/mod.rs"]
mod fence;
#[path = "../support/ipmi/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod ipmi;
#[path = "../support/proxy/mod.rs"]
mod proxy;
#[path = "../support/redfish/mod.rs"]
mod redfish;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use fencing::bmc::proxy::{
    CHALLENGE, GOES_ON, Order, Proxied, Proxy, ProxyFailure, Refusal, SignedOrder, Transport,
};
use fencing::bmc::redfish::Trust;
use fencing::bmc::{Ask, CipherSuite, Device, Failure, Level, Power, Reply, ipmi_over_udp};
use fencing::sign::KeyPair;
use fencing::{ControllerId, NodeId};
use sim::standin::bmc::Chassis as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use self::fence::{ANSWERS, fence_by};
use self::ipmi::ipmi_sim::{GUID, IpmiSim};
use self::ipmi::stand_in::StandIn;
use self::proxy::apart::{Apart, FAR};
use self::proxy::liar::{Liar, Lie};
use self::proxy::{Agent, CLUSTER, key, ways};
use self::redfish::server::Redfish;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LONG: Duration = Duration::from_secs(60);
const S17: &[CipherSuite] = &[CipherSuite::S17];

fn behind(device: Device, proxies: &[&Proxy]) -> Level {
    let proxies = proxies.iter().map(|proxy| (*proxy).clone()).collect();
    Device::Proxied(Proxied::new(device, proxies).expect("a BMC")).into()
}

#[test]
fn ipmi_sim_that_only_a_node_reaches_is_proven_off_by_way_of_it() {
    let thread = std::thread::spawn(|| {
        let apart = Apart::new();
        let (listen, is_apart) = apart.as_ref().map_or((HERE, false), |_| (FAR, true));
        if let Some(apart) = &apart {
            apart.go_far();
        } else {
            println!("no network namespaces here: the BMC could be reached without the node too");
        }
        let Some(bmc) = IpmiSim::start() else { return };
        let agent = Agent::start(1, listen, bmc.addr);
        if let Some(apart) = &apart {
            apart.go_near();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let target = ipmi::target(bmc.addr, &[CipherSuite::S3]);
            if is_apart {
                let direct = ipmi_over_udp(&target, Ask::Read, None, Duration::from_secs(3)).await;
                assert_eq!(direct, Reply::Failed(Failure::NoAnswer), "the networks are apart");
            }
            let level = behind(Device::Ipmi(target), &[&agent.proxy]);
            let ways = ways(&[&agent.proxy]);
            let outcome = fence_by(ANSWERS, &level, GUID, LONG, || false, Some(&ways)).await;
            assert!(outcome.evidence.is_some(), "{outcome:?}");
            println!("proven off by way of a node after {:?}", outcome.evidence);
        });
        assert!(!bmc.powered());
        assert!(bmc.sets().iter().all(|set| set == "power 0"), "only off: {:?}", bmc.sets());
    });
    thread.join().expect("no panic");
}

#[tokio::test]
async fn redfish_goes_by_way_of_a_node_with_its_certificate_checked_here() {
    let bmc = Redfish::start(1).await;
    let agent = Agent::start(1, HERE, bmc.addr);
    let ways = ways(&[&agent.proxy]);
    let mut by_name = redfish::target(bmc.addr);
    let mut pinned = redfish::target(bmc.addr);
    pinned.name = None;
    pinned.trust = Trust::Pinned([7; 32]);
    let level = behind(Device::Redfish(pinned), &[&agent.proxy]);
    let reply = level.ask_by(Ask::Off, Some(bmc.uuid), ANSWERS, Some(&ways)).await;
    let Reply::Failed(failure) = &reply else { panic!("{reply}") };
    assert!(failure.to_string().contains("not to be trusted"), "{failure}");
    assert!(bmc.node.power(), "not even the user name was sent");

    by_name.log_in = fencing::bmc::redfish::LogIn::Session;
    let level = behind(Device::Redfish(by_name), &[&agent.proxy]);
    let outcome = fence_by(ANSWERS, &level, bmc.uuid, LONG, || false, Some(&ways)).await;
    assert!(outcome.evidence.is_some() && !bmc.node.power(), "{outcome:?}");
}

#[tokio::test]
async fn a_proxy_that_lies_is_no_evidence_and_the_next_one_proves_it() {
    let mut all = tokio::task::JoinSet::new();
    for lie in [Lie::Silence, Lie::Ends, Lie::Echoes, Lie::Babbles] {
        all.spawn(lied_to(lie));
    }
    all.join_all().await;
}

async fn lied_to(lie: Lie) {
    let bmc = StandIn::start(1).await;
    let liar = Liar::start(lie).await;
    let device = Device::Ipmi(ipmi::target(bmc.addr, S17));
    let alone = behind(device.clone(), &[&liar.proxy]);
    let ways_to_liar = ways(&[&liar.proxy]);
    let patience = Duration::from_secs(4);
    let outcome =
        fence_by(patience, &alone, bmc.guid, patience, || false, Some(&ways_to_liar)).await;
    assert!(outcome.evidence.is_none() && bmc.node.power(), "{lie:?}: {outcome:?}");

    let agent = Agent::start(2, HERE, bmc.addr);
    let both = behind(device, &[&liar.proxy, &agent.proxy]);
    let ways = ways(&[&liar.proxy, &agent.proxy]);
    let outcome = fence_by(ANSWERS, &both, bmc.guid, LONG, || false, Some(&ways)).await;
    assert!(outcome.evidence.is_some() && !bmc.node.power(), "{lie:?}: {outcome:?}");
}

#[tokio::test]
async fn a_tls_stream_by_way_of_a_liar_is_no_evidence() {
    for lie in [Lie::Silence, Lie::Ends, Lie::Echoes, Lie::Babbles] {
        let bmc = Redfish::start(1).await;
        let liar = Liar::start(lie).await;
        let level = behind(Device::Redfish(redfish::target(bmc.addr)), &[&liar.proxy]);
        let ways = ways(&[&liar.proxy]);
        let patience = Duration::from_secs(3);
        let outcome = fence_by(patience, &level, bmc.uuid, patience, || false, Some(&ways)).await;
        assert!(outcome.evidence.is_none() && bmc.node.power(), "{lie:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_dies_in_the_middle_gives_way_to_the_next() {
    let bmc = StandIn::start(1).await;
    let mut dies = Agent::start(1, HERE, bmc.addr);
    let lives = Agent::start(2, HERE, bmc.addr);
    let level = behind(Device::Ipmi(ipmi::target(bmc.addr, S17)), &[&dies.proxy]);
    // The BMC falls silent after the first steps, so that the question hangs where the node dies.
    bmc.server().behave(sim::standin::bmc::Behaviour::Silent);
    let up = ways(&[&dies.proxy, &lives.proxy]);
    let question = tokio::spawn({
        let (level, up) = (level.clone(), up.clone());
        async move { level.ask_by(Ask::Off, None, ANSWERS, Some(&up)).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    dies.kill();
    let reply = timeout(Duration::from_secs(3), question).await.expect("at once").expect("it ends");
    let ended = Failure::ByProxies(vec![("node-1".into(), ProxyFailure::Ended.into())]);
    assert_eq!(reply, Reply::Failed(ended));

    bmc.server().behave(sim::standin::bmc::Behaviour::Obeys);
    let level = behind(Device::Ipmi(ipmi::target(bmc.addr, S17)), &[&dies.proxy, &lives.proxy]);
    let outcome = fence_by(ANSWERS, &level, bmc.guid, LONG, || false, Some(&up)).await;
    assert!(outcome.evidence.is_some() && !bmc.node.power(), "{outcome:?}");
}

#[tokio::test]
async fn without_a_proxy_that_is_up_nothing_is_sent() {
    let bmc = StandIn::start(1).await;
    let agent = Agent::start(1, HERE, bmc.addr);
    let level = behind(Device::Ipmi(ipmi::target(bmc.addr, S17)), &[&agent.proxy]);
    for nobody in [None, Some(&ways(&[]))] {
        let reply = level.ask_by(Ask::Off, None, ANSWERS, nobody).await;
        let none = Failure::Proxy(ProxyFailure::NoneUp("node-1".into()));
        assert_eq!(reply, Reply::Failed(none));
    }
    assert!(bmc.node.power());
    let up = ways(&[&agent.proxy]);
    let reply = level.ask_by(Ask::Read, None, ANSWERS, Some(&up)).await;
    assert_eq!(reply, Reply::Read { power: Power::On, identity: Some(bmc.guid) });
}

/// One connection to an agent, by hand.
struct Raw {
    stream: TcpStream,
    challenge: [u8; CHALLENGE],
}

impl Raw {
    async fn open(agent: &Agent) -> Self {
        let mut stream = TcpStream::connect(agent.proxy.address).await.expect("it listens");
        let mut greeting = [0; 4 + CHALLENGE];
        stream.read_exact(&mut greeting).await.expect("a greeting");
        Self { stream, challenge: greeting[4..].try_into().expect("32 bytes") }
    }

    /// The order that is carried out, unless something is changed in it.
    fn order(&self, agent: &Agent, to: SocketAddr) -> Order {
        Order {
            cluster: CLUSTER,
            proxy: agent.proxy.node,
            controller: ControllerId(1),
            challenge: self.challenge,
            to,
            how: Transport::Udp,
            left_ms: 5_000,
        }
    }

    async fn send(&mut self, order: &SignedOrder) -> u8 {
        let bytes = order.to_bytes();
        let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
        self.stream.write_all(&[&length[..], &bytes].concat()).await.expect("sent");
        self.stream.read_u8().await.expect("an answer")
    }
}

#[tokio::test]
async fn an_agent_refuses_what_is_foreign_forged_replayed_or_late() {
    let (bmc, other) = (StandIn::start(1).await, StandIn::start(2).await);
    let agent = Agent::start(1, HERE, bmc.addr);
    let mut first = Raw::open(&agent).await;
    let good = first.order(&agent, bmc.addr).sign(&key());
    assert_eq!(first.send(&good).await, GOES_ON);

    let mut raw = Raw::open(&agent).await;
    assert_ne!(raw.challenge, first.challenge);
    assert_eq!(raw.send(&good).await, Refusal::NotForMe.code(), "the same order again");

    type Change = fn(&mut Order, SocketAddr);
    let wrong: [(Change, Refusal); 6] = [
        (|order, other| order.to = other, Refusal::Foreign),
        (|order, _| order.to.set_port(22), Refusal::Foreign),
        (|order, _| order.left_ms = 0, Refusal::Late),
        (|order, _| order.cluster = Uuid::nil(), Refusal::NotForMe),
        (|order, _| order.proxy = NodeId(Uuid::nil()), Refusal::NotForMe),
        (|order, _| order.controller = ControllerId(2), Refusal::Unsigned),
    ];
    for (change, refusal) in wrong {
        let mut raw = Raw::open(&agent).await;
        let mut order = raw.order(&agent, bmc.addr);
        change(&mut order, other.addr);
        assert_eq!(raw.send(&order.sign(&key())).await, refusal.code(), "{refusal:?}");
        assert_eq!(raw.stream.read(&mut [0]).await.expect("closed"), 0);
    }
    let mut raw = Raw::open(&agent).await;
    let forged = raw.order(&agent, bmc.addr).sign(&KeyPair::from_seed([2; 32]));
    assert_eq!(raw.send(&forged).await, Refusal::Unsigned.code());
    let mut raw = Raw::open(&agent).await;
    let signed = raw.order(&agent, bmc.addr).sign(&key());
    let changed = Order { left_ms: 20_000, ..signed.order.clone() };
    let changed = SignedOrder { order: changed, ..signed };
    assert_eq!(raw.send(&changed).await, Refusal::Unsigned.code(), "a bit was changed");
}

#[tokio::test]
async fn an_agent_carries_nothing_after_its_time() {
    let bmc = tokio::net::UdpSocket::bind((HERE, 0)).await.expect("a port");
    let addr = bmc.local_addr().expect("bound");
    let agent = Agent::start(1, HERE, addr);
    let mut raw = Raw::open(&agent).await;
    let order = Order { left_ms: 1_000, ..raw.order(&agent, addr) };
    assert_eq!(raw.send(&order.sign(&key())).await, GOES_ON);
    raw.stream.write_all(&[0, 2, 7, 7]).await.expect("sent");
    let mut buffer = [0; 64];
    let got = timeout(Duration::from_secs(2), bmc.recv(&mut buffer)).await;
    assert_eq!(got.expect("in time").expect("carried"), 2);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let late = raw.stream.write_all(&[0, 2, 8, 8]).await;
    let more = timeout(Duration::from_millis(500), bmc.recv(&mut buffer)).await;
    assert!(more.is_err(), "carried after its time ({late:?})");
}

#[tokio::test]
async fn who_says_nothing_is_shown_out_and_nonsense_too() {
    let bmc = StandIn::start(1).await;
    let agent = Agent::start(1, HERE, bmc.addr);
    let mut silent = Raw::open(&agent).await;
    let mut nonsense = Raw::open(&agent).await;
    nonsense.stream.write_all(&[0xff; 4096]).await.expect("sent");
    assert_eq!(nonsense.stream.read_u8().await.expect("refused"), Refusal::Unsigned.code());
    let end = timeout(Duration::from_secs(6), silent.stream.read(&mut [0])).await;
    assert!(matches!(end.expect("closed"), Ok(0) | Err(_)));
}
