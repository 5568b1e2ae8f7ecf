//! The Redfish driver against sushy-tools' emulator and against a stand-in of ours that lies, lags,
//! breaks off and sends us elsewhere. Everything speaks TLS.
//!
//! Needs sushy-tools, which `cargo xtask setup` installs; a machine without it fails, or skips aloud
//! with HOLDFAST_SKIP_REAL=1.

#[path = "../support/fence/mod.rs"]
mod fence;
#[path = "../support/redfish/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use fencing::bmc::redfish::{LogIn, RedfishFailure, RedfishTarget, Stage, Trust, ask};
use fencing::bmc::{Ask, Device, Failure, Identity, Power, Refusal, Reply, Secret};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sim::standin::bmc::Chassis as _;

use self::fence::{enrol, fence};
use self::support::server::{Behaviour, Redfish};
use self::support::sushy::Sushy;
use self::support::{GOOD, OTHER, target};

const DEADLINE: Duration = Duration::from_secs(10);

async fn read(target: &RedfishTarget) -> Reply {
    ask(target, Ask::Read, None, DEADLINE).await
}

fn is(power: Power, identity: Identity) -> Reply {
    Reply::Read { power, identity: Some(identity) }
}

fn failed(reply: Reply) -> RedfishFailure {
    match reply {
        Reply::Failed(Failure::Redfish(failure)) => failure,
        reply @ (Reply::Failed(_) | Reply::Read { .. } | Reply::OffSent { .. }) => {
            panic!("no failure of Redfish: {reply}")
        }
    }
}

#[tokio::test]
async fn a_system_of_sushy_tools_is_off_by_two_reads_and_its_neighbours_stay_on() {
    let Some(sushy) = Sushy::start(3) else { return };
    let system =
        |number| RedfishTarget { system: Some(Sushy::system(number)), ..target(sushy.addr) };
    for number in 1..=3 {
        assert_eq!(read(&system(number)).await, is(Power::On, Sushy::uuid(number)));
    }
    let level = Device::Redfish(system(2)).into();
    let enrolled = enrol(&level).await;
    assert_eq!(enrolled, Some(Sushy::uuid(2)));
    // Its systems take 1 to 11 s to switch off.
    let outcome = fence(&level, Sushy::uuid(2), Duration::from_secs(60), || false).await;
    assert!(outcome.evidence.is_some(), "{outcome:?}");
    assert_eq!(read(&system(2)).await, is(Power::Off, Sushy::uuid(2)));
    for number in [1, 3] {
        assert_eq!(read(&system(number)).await, is(Power::On, Sushy::uuid(number)));
    }
}

#[tokio::test]
async fn sushy_tools_tells_a_wrong_password_a_wrong_system_and_several_systems() {
    let Some(sushy) = Sushy::start(2) else { return };
    let system = RedfishTarget { system: Some(Sushy::system(1)), ..target(sushy.addr) };
    let wrong = RedfishTarget { password: Secret::new("guess".into()), ..system.clone() };
    assert_eq!(failed(read(&wrong).await), RedfishFailure::LoginRefused(Stage::System));
    assert!(matches!(failed(read(&target(sushy.addr)).await), RedfishFailure::WhichSystem(_)));
    let none = RedfishTarget { system: Some(Sushy::system(9)), ..target(sushy.addr) };
    assert!(matches!(failed(read(&none).await), RedfishFailure::NoSuchSystem(_)));
    let expected = Identity([7; 16]);
    let reply = ask(&system, Ask::Off, Some(expected), DEADLINE).await;
    let other = Failure::WrongIdentity { expected, read: Some(Sushy::uuid(1)) };
    assert_eq!(reply, Reply::Failed(other));
    assert_eq!(read(&system).await, is(Power::On, Sushy::uuid(1)));
}

#[tokio::test]
async fn both_ways_to_log_in_switch_off_and_no_session_is_left() {
    for log_in in [LogIn::Basic, LogIn::Session] {
        let bmc = Redfish::start(1).await;
        let target = RedfishTarget { log_in, ..target(bmc.addr) };
        assert_eq!(read(&target).await, is(Power::On, bmc.uuid));
        let off = ask(&target, Ask::Off, Some(bmc.uuid), DEADLINE).await;
        assert_eq!(off, Reply::OffSent { identity: Some(bmc.uuid), refused: None });
        assert!(!bmc.node.power());
        assert_eq!(read(&target).await, is(Power::Off, bmc.uuid));
        let service = bmc.service();
        assert_eq!((service.sessions.len(), service.resets), (0, 1), "{:?}", service.asked);
    }
}

#[tokio::test]
async fn another_machine_is_never_switched_off() {
    let bmc = Redfish::start(1).await;
    let expected = Identity([2; 16]);
    let reply = ask(&target(bmc.addr), Ask::Off, Some(expected), DEADLINE).await;
    let wrong = Failure::WrongIdentity { expected, read: Some(bmc.uuid) };
    assert_eq!(reply, Reply::Failed(wrong));
    let serial = RedfishTarget { serial: Some("S2".into()), ..target(bmc.addr) };
    let reply = ask(&serial, Ask::Off, Some(bmc.uuid), DEADLINE).await;
    assert!(matches!(failed(reply), RedfishFailure::WrongSerial { .. }));
    assert_eq!((bmc.service().resets, bmc.node.power()), (0, true));
}

#[tokio::test]
async fn without_a_uuid_the_serial_number_is_the_identity() {
    let (one, two) = (Redfish::start(1).await, Redfish::start(2).await);
    let mut seen = Vec::new();
    for bmc in [&one, &two] {
        bmc.service().without_uuid = true;
        seen.push(enrol(&Device::Redfish(target(bmc.addr)).into()).await.expect("a serial number"));
    }
    assert_ne!(seen[0], seen[1]);
    let reply = ask(&target(one.addr), Ask::Off, Some(seen[1]), DEADLINE).await;
    assert!(matches!(reply, Reply::Failed(Failure::WrongIdentity { .. })), "{reply}");
    assert!(one.node.power());
}

#[tokio::test]
async fn only_the_certificate_that_is_vouched_for_sees_a_password() {
    let bmc = Redfish::with(1, OTHER).await;
    assert!(matches!(failed(read(&target(bmc.addr)).await), RedfishFailure::Untrusted(_)));
    let of = |pair: support::Pair| {
        let der = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("one");
        Trust::Pinned(Trust::fingerprint(&der))
    };
    let pinned = |pair| RedfishTarget { trust: of(pair), name: None, ..target(bmc.addr) };
    assert!(matches!(failed(read(&pinned(GOOD)).await), RedfishFailure::Untrusted(_)));
    assert!(bmc.service().asked.is_empty());
    assert_eq!(read(&pinned(OTHER)).await, is(Power::On, bmc.uuid));
    // Signed, but for another name.
    let named = Redfish::start(1).await;
    let elsewhere = RedfishTarget { name: Some("other.test".into()), ..target(named.addr) };
    assert!(matches!(failed(read(&elsewhere).await), RedfishFailure::Untrusted(_)));
    let by_address = RedfishTarget { name: None, ..target(named.addr) };
    assert_eq!(read(&by_address).await, is(Power::On, named.uuid));
}

#[tokio::test]
async fn a_silent_service_is_given_up_at_the_deadline() {
    for behaviour in [Behaviour::Silent, Behaviour::Mute, Behaviour::Lags(Duration::from_secs(9))] {
        let bmc = Redfish::start(1).await;
        bmc.behave(behaviour);
        let start = Instant::now();
        let target = RedfishTarget { log_in: LogIn::Session, ..target(bmc.addr) };
        let reply = ask(&target, Ask::Off, Some(bmc.uuid), Duration::from_secs(2)).await;
        let silent = failed(reply);
        let expected =
            matches!(silent, RedfishFailure::Unreachable(_) | RedfishFailure::Lost { .. });
        assert!(expected, "{behaviour:?}: {silent}");
        assert!(start.elapsed() < Duration::from_secs(4), "{behaviour:?}: {:?}", start.elapsed());
        assert!(bmc.node.power());
    }
    let nobody = target(([127, 0, 0, 1], 1).into());
    assert!(matches!(failed(read(&nobody).await), RedfishFailure::Unreachable(_)));
}

#[tokio::test]
async fn what_is_not_an_answer_is_refused() {
    let bmc = Redfish::start(1).await;
    bmc.behave(Behaviour::Redirects);
    let redirected = RedfishFailure::Redirected { stage: Stage::Root, status: 302 };
    assert_eq!(failed(read(&target(bmc.addr)).await), redirected);
    bmc.behave(Behaviour::Endless);
    assert_eq!(failed(read(&target(bmc.addr)).await), RedfishFailure::TooLong(Stage::Root));
    bmc.behave(Behaviour::Cut);
    assert!(matches!(failed(read(&target(bmc.addr)).await), RedfishFailure::Lost { .. }));
    for (behaviour, want) in [
        (Behaviour::Soft, RedfishFailure::NoForceOff),
        (
            Behaviour::Foreign,
            RedfishFailure::ForeignTarget(
                "/redfish/v1/Systems/2/Actions/ComputerSystem.Reset".into(),
            ),
        ),
    ] {
        bmc.behave(behaviour);
        let reply = ask(&target(bmc.addr), Ask::Off, Some(bmc.uuid), DEADLINE).await;
        assert_eq!(failed(reply), want);
    }
    assert_eq!((bmc.service().resets, bmc.node.power()), (0, true));
}

#[tokio::test]
async fn a_full_table_of_sessions_is_told() {
    let bmc = Redfish::start(1).await;
    bmc.behave(Behaviour::SlotsFull);
    let session = RedfishTarget { log_in: LogIn::Session, ..target(bmc.addr) };
    assert_eq!(failed(read(&session).await), RedfishFailure::SlotsFull);
}

#[tokio::test]
async fn an_off_that_is_refused_because_it_is_off_already_is_left_to_the_reads() {
    let bmc = Redfish::start(1).await;
    bmc.node.clone().set_power(false);
    bmc.behave(Behaviour::Refuses(409));
    let refused = Some(Refusal::Http(409));
    let off = ask(&target(bmc.addr), Ask::Off, Some(bmc.uuid), DEADLINE).await;
    assert_eq!(off, Reply::OffSent { identity: Some(bmc.uuid), refused });
    let level = Device::Redfish(target(bmc.addr)).into();
    let outcome = fence(&level, bmc.uuid, Duration::from_secs(20), || false).await;
    assert!(outcome.evidence.is_some(), "{outcome:?}");
}

#[tokio::test]
async fn powering_off_is_not_off() {
    let bmc = Redfish::start(1).await;
    bmc.behave(Behaviour::Slow(Duration::from_secs(4)));
    let level = Device::Redfish(target(bmc.addr)).into();
    let outcome = fence(&level, bmc.uuid, Duration::from_secs(30), || false).await;
    let at = outcome.evidence.expect("it is off after 4 s");
    assert!(at > Duration::from_secs(7), "{outcome:?}");
    assert!(!bmc.node.power());
}
