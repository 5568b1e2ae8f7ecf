//! The IPMI client against OpenIPMI's `ipmi_sim`, the stand-in BMC against ipmitool, and both
//! against each other over a bad network: so that no side is judged by its own author alone.
//!
//! Needs `ipmi_sim` and `ipmitool`; a machine without them fails, or skips aloud with
//! HOLDFAST_SKIP_REAL=1.

#[path = "../support/ipmi/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use fencing::bmc::ipmi_over_udp as ask;
use fencing::bmc::{Ask, CipherSuite, Failure, Identity, Power, Refusal, Reply, Secret, Step};
use sim::standin::bmc::{Behaviour, Chassis};

use self::support::ipmi_sim::{GUID, IpmiSim};
use self::support::ipmitool::{Ipmitool, Said};
use self::support::relay::{Faults, Relay};
use self::support::stand_in::StandIn;
use self::support::target;

const S17: &[CipherSuite] = &[CipherSuite::S17];
const S3: &[CipherSuite] = &[CipherSuite::S3];
const DEADLINE: Duration = Duration::from_secs(20);
const OFF_OK: Reply = Reply::OffSent { identity: Some(GUID), refused: None };

fn read(power: Power, guid: Identity) -> Reply {
    Reply::Read { power, identity: Some(guid) }
}

#[tokio::test]
async fn ipmi_sim_that_obeys_is_off_and_says_so_with_its_guid() {
    let Some(bmc) = IpmiSim::start() else { return };
    let target = target(bmc.addr, S3);
    assert_eq!(ask(&target, Ask::Read, None, DEADLINE).await, read(Power::On, GUID));
    assert_eq!(ask(&target, Ask::Off, Some(GUID), DEADLINE).await, OFF_OK);
    assert_eq!(ask(&target, Ask::Read, None, DEADLINE).await, read(Power::Off, GUID));
    assert!(!bmc.powered());
    assert!(bmc.sets().iter().all(|set| set == "power 0"), "only off: {:?}", bmc.sets());
}

#[tokio::test]
async fn ipmi_sim_that_is_off_already_takes_another_off() {
    let Some(bmc) = IpmiSim::start() else { return };
    for _ in 0..2 {
        assert_eq!(ask(&target(bmc.addr, S3), Ask::Off, None, DEADLINE).await, OFF_OK);
    }
    assert!(!bmc.powered());
}

#[tokio::test]
async fn ipmi_sim_that_says_ok_and_stays_on_reads_on() {
    let Some(bmc) = IpmiSim::start() else { return };
    bmc.fault("stuck");
    let target = target(bmc.addr, S3);
    assert_eq!(ask(&target, Ask::Off, Some(GUID), DEADLINE).await, OFF_OK);
    assert_eq!(ask(&target, Ask::Read, None, DEADLINE).await, read(Power::On, GUID));
}

#[tokio::test]
async fn ipmi_sim_that_is_frozen_is_no_answer_within_the_deadline() {
    let Some(bmc) = IpmiSim::start() else { return };
    bmc.freeze();
    let start = Instant::now();
    let reply = ask(&target(bmc.addr, S3), Ask::Off, None, Duration::from_secs(3)).await;
    assert_eq!(reply, Reply::Failed(Failure::NoAnswer));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(bmc.powered());
}

#[tokio::test]
async fn ipmi_sim_tells_a_wrong_password_and_an_unknown_user() {
    let Some(bmc) = IpmiSim::start() else { return };
    let mut wrong = target(bmc.addr, S3);
    wrong.password = Secret::new("Secret".into());
    let reply = ask(&wrong, Ask::Off, None, DEADLINE).await;
    assert_eq!(reply, Reply::Failed(Failure::WrongPassword));

    let mut unknown = target(bmc.addr, S3);
    unknown.user = "nobody".into();
    let reply = ask(&unknown, Ask::Off, None, DEADLINE).await;
    assert_eq!(reply, Reply::Failed(Failure::UnknownUser));
    assert!(bmc.powered());
}

#[tokio::test]
async fn ipmi_sim_that_refuses_is_reported_and_reads_on() {
    let Some(bmc) = IpmiSim::start() else { return };
    bmc.fault("refuses");
    let target = target(bmc.addr, S3);
    let refused = Reply::OffSent { identity: Some(GUID), refused: Some(Refusal::Completion(0xff)) };
    assert_eq!(ask(&target, Ask::Off, Some(GUID), DEADLINE).await, refused);
    assert_eq!(ask(&target, Ask::Read, None, DEADLINE).await, read(Power::On, GUID));
}

#[tokio::test]
async fn ipmi_sim_knows_no_suite_17_and_suite_3_is_only_taken_by_opt_in() {
    let Some(bmc) = IpmiSim::start() else { return };
    let reply = ask(&target(bmc.addr, S17), Ask::Read, None, DEADLINE).await;
    assert_eq!(reply, Reply::Failed(Failure::CipherRefused));
    let both = target(bmc.addr, &[CipherSuite::S17, CipherSuite::S3]);
    assert_eq!(ask(&both, Ask::Read, None, DEADLINE).await, read(Power::On, GUID));
}

#[tokio::test]
async fn ipmi_sim_of_another_node_is_never_switched_off() {
    let Some(bmc) = IpmiSim::start() else { return };
    let expected = Identity([7; 16]);
    let reply = ask(&target(bmc.addr, S3), Ask::Off, Some(expected), DEADLINE).await;
    assert_eq!(reply, Reply::Failed(Failure::WrongIdentity { expected, read: Some(GUID) }));
    assert!(bmc.powered() && bmc.sets().is_empty());
}

#[tokio::test]
async fn ipmi_sim_has_room_for_more_sessions_than_slots() {
    let Some(bmc) = IpmiSim::start() else { return };
    for _ in 0..70 {
        let reply = ask(&target(bmc.addr, S3), Ask::Read, None, DEADLINE).await;
        assert_eq!(reply, read(Power::On, GUID));
    }
}

#[tokio::test]
async fn ipmitool_finds_the_stand_in_right_in_suites_3_and_17() {
    let Some(ipmitool) = Ipmitool::find() else { return };
    for suite in [3, 17] {
        let bmc = StandIn::start(suite).await;
        let says = async |command: &[&str]| ipmitool.run(bmc.addr, suite, command).await;
        let ok = |output: &str| Said { success: true, output: output.into() };
        let status = ["chassis", "power", "status"];
        assert_eq!(says(&status).await, ok("Chassis Power is on"));
        assert_eq!(says(&["chassis", "power", "off"]).await, ok("Chassis Power Control: Down/Off"));
        assert!(!bmc.node.power());
        assert_eq!(says(&status).await, ok("Chassis Power is off"));
        assert_eq!(says(&["chassis", "power", "on"]).await, ok("Chassis Power Control: Up/On"));
        assert!(bmc.node.power());
        assert!(!says(&["chassis", "power", "cycle"]).await.success);
        assert!(says(&["mc", "info"]).await.success);
        let guid = says(&["mc", "guid"]).await;
        assert!(guid.success && guid.output.contains("GUID"), "{guid:?}");
        assert_eq!(bmc.server().sessions(), 0, "ipmitool closes, the stand-in forgets");
    }
}

#[tokio::test]
async fn ipmitool_is_refused_by_the_stand_in_where_it_should_be() {
    let Some(ipmitool) = Ipmitool::find() else { return };
    let bmc = StandIn::start(1).await;
    let user = ["-L", "USER", "chassis", "power", "off"];
    let said = ipmitool.run(bmc.addr, 17, &user).await;
    assert!(!said.success && said.output.contains("nsufficient privilege"), "{said:?}");
    for suite in [0, 1, 2] {
        let said = ipmitool.run(bmc.addr, suite, &["chassis", "power", "off"]).await;
        assert!(!said.success, "suite {suite}: {said:?}");
    }
    bmc.server().behave(Behaviour::Refuses(0xd5));
    let said = ipmitool.run(bmc.addr, 17, &["chassis", "power", "off"]).await;
    assert!(!said.success && said.output.contains("not supported in present state"), "{said:?}");
    assert!(bmc.node.power());
}

#[tokio::test]
async fn the_stand_in_is_switched_off_over_suite_17() {
    let bmc = StandIn::start(1).await;
    let target = target(bmc.addr, S17);
    assert_eq!(ask(&target, Ask::Read, None, DEADLINE).await, read(Power::On, bmc.guid));
    let off = ask(&target, Ask::Off, Some(bmc.guid), DEADLINE).await;
    assert_eq!(off, Reply::OffSent { identity: Some(bmc.guid), refused: None });
    assert_eq!(ask(&target, Ask::Read, None, DEADLINE).await, read(Power::Off, bmc.guid));
    assert_eq!((bmc.node.power(), bmc.server().controls()), (false, 1));
}

#[tokio::test]
async fn a_slow_stand_in_reads_on_until_it_is_off() {
    let bmc = StandIn::start(1).await;
    bmc.server().behave(Behaviour::Slow(Duration::from_millis(700)));
    let target = target(bmc.addr, S17);
    let off = ask(&target, Ask::Off, None, DEADLINE).await;
    assert_eq!(off, Reply::OffSent { identity: Some(bmc.guid), refused: None });
    let start = Instant::now();
    while ask(&target, Ask::Read, None, DEADLINE).await != read(Power::Off, bmc.guid) {
        assert!(start.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(start.elapsed() > Duration::from_millis(400), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_full_session_table_is_told() {
    let bmc = StandIn::start(1).await;
    bmc.server().behave(Behaviour::SlotsFull);
    let reply = ask(&target(bmc.addr, S17), Ask::Off, None, DEADLINE).await;
    assert_eq!(reply, Reply::Failed(Failure::SlotsFull));
}

#[tokio::test]
async fn with_one_of_five_datagrams_lost_the_stand_in_is_off() {
    let mut runs = tokio::task::JoinSet::new();
    for seed in 1..=6 {
        runs.spawn(async move {
            let bmc = StandIn::start(seed).await;
            let faults = Faults { loss: 20, ..Faults::default() };
            let relay = Relay::start(bmc.addr, faults, u64::from(seed)).await;
            let target = target(relay.addr, S17);
            let off = ask(&target, Ask::Off, Some(bmc.guid), Duration::from_secs(40)).await;
            let sent = Reply::OffSent { identity: Some(bmc.guid), refused: None };
            assert_eq!(off, sent, "seed {seed}");
            assert!(!bmc.node.power(), "seed {seed}");
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn answers_that_come_after_the_question_was_resent_do_no_harm() {
    let bmc = StandIn::start(1).await;
    let faults = Faults { late: Duration::from_millis(450), ..Faults::default() };
    let relay = Relay::start(bmc.addr, faults, 1).await;
    let target = target(relay.addr, S17);
    let reads = ask(&target, Ask::Read, None, Duration::from_secs(40));
    let off = ask(&target, Ask::Off, Some(bmc.guid), Duration::from_secs(40));
    let (reads, off) = tokio::join!(reads, off);
    assert!(matches!(reads, Reply::Read { .. }), "on or off, as they race: {reads:?}");
    assert_eq!(off, Reply::OffSent { identity: Some(bmc.guid), refused: None });
    assert!(!bmc.node.power());
}

#[tokio::test]
async fn answers_of_an_earlier_session_are_never_taken_for_new_ones() {
    let bmc = StandIn::start(1).await;
    let relay = Relay::start(bmc.addr, Faults { replay: true, ..Faults::default() }, 1).await;
    let target = target(relay.addr, S17);
    for on in [true, false, true, false] {
        bmc.node.clone().set_power(on);
        let power = if on { Power::On } else { Power::Off };
        assert_eq!(ask(&target, Ask::Read, None, DEADLINE).await, read(power, bmc.guid));
    }
    bmc.server().behave(Behaviour::Silent);
    bmc.node.clone().set_power(true);
    let reply = ask(&target, Ask::Read, None, Duration::from_secs(3)).await;
    let silent =
        [Reply::Failed(Failure::NoAnswer), Reply::Failed(Failure::WentSilent(Step::OpenSession))];
    assert!(silent.contains(&reply), "replayed answers say nothing: {reply:?}");
}

#[tokio::test]
async fn fifty_stand_ins_are_switched_off_at_once() {
    let mut bmcs = Vec::new();
    for number in 1..=50 {
        bmcs.push(StandIn::start(number).await);
    }
    let start = Instant::now();
    let mut asks = tokio::task::JoinSet::new();
    for bmc in &bmcs {
        let (target, guid) = (target(bmc.addr, S17), bmc.guid);
        asks.spawn(async move {
            let off = ask(&target, Ask::Off, Some(guid), DEADLINE).await;
            assert_eq!(off, Reply::OffSent { identity: Some(guid), refused: None });
            let reply = ask(&target, Ask::Read, None, DEADLINE).await;
            assert_eq!(reply, read(Power::Off, guid));
        });
    }
    asks.join_all().await;
    assert!(bmcs.iter().all(|bmc| !bmc.node.power()));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
