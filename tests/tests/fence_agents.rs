//! The driver for fence agents: `fence_ipmilan` of the fence-agents project against OpenIPMI's
//! `ipmi_sim`, and a script of ours that does what agents should not.
//!
//! Needs `ipmi_sim`, `ipmitool` and `fence_ipmilan`, which `cargo xtask setup` installs; a machine
//! without them fails, or skips aloud with HOLDFAST_SKIP_REAL=1.

#[path = "../support/fence/mod.rs"]
mod fence;
#[path = "../support/ipmi/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod ipmi;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use fencing::bmc::agent::{Action, AgentFailure, AgentTarget, ask};
use fencing::bmc::{Ask, Device, Failure, Level, Power, Reply, Secret};

use self::fence::agent::{Agent, PASSWORD};
use self::fence::{enrol, fence, fence_within};
use self::ipmi::ipmi_sim::IpmiSim;

/// Far more than is needed: Python starts slowly on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

fn failed(reply: Reply) -> AgentFailure {
    match reply {
        Reply::Failed(Failure::Agent(failure)) => failure,
        reply @ (Reply::Failed(_) | Reply::Read { .. } | Reply::OffSent { .. }) => {
            panic!("no failure of an agent: {reply}")
        }
    }
}

/// `fence_ipmilan` for the BMC at that address.
fn fence_ipmilan(bmc: &IpmiSim, more: &[(&str, &str)], password: &str) -> Option<AgentTarget> {
    let program =
        ["/usr/sbin/fence_ipmilan"].map(Path::new).into_iter().find(|path| path.is_file());
    let program = program.map(Path::to_path_buf).or_else(|| ipmi::program("fence_ipmilan"))?;
    let (ip, port) = (bmc.addr.ip().to_string(), bmc.addr.port().to_string());
    let of_bmc = [("ip", ip.as_str()), ("ipport", &port), ("username", ipmi::USER)];
    let of_ipmi = [("lanplus", "1"), ("cipher", "3"), ("privlvl", "operator")];
    let all = of_bmc.iter().chain(&of_ipmi).chain(more);
    let parameters: BTreeMap<String, String> =
        all.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let password = Some(("password".into(), Secret::new(password.into())));
    Some(AgentTarget::new(program, parameters, password).expect("a usable agent"))
}

#[tokio::test]
async fn fence_ipmilan_switches_ipmi_sim_off_and_two_reads_say_so() {
    let Some(bmc) = IpmiSim::start() else { return };
    let Some(agent) = fence_ipmilan(&bmc, &[], ipmi::PASSWORD) else { return };
    let identity = agent.identity();
    let on = Reply::Read { power: Power::On, identity: Some(identity) };
    assert_eq!(ask(&agent, Ask::Read, None, DEADLINE).await, on);
    let level = Level::from(Device::Agent(agent));
    let long = Duration::from_secs(180);
    let outcome = fence_within(DEADLINE, &level, identity, long, || false).await;
    assert!(outcome.evidence.is_some(), "{outcome:?}");
    assert!(!bmc.powered());
    assert!(bmc.sets().iter().all(|set| set == "power 0"), "only off: {:?}", bmc.sets());
}

#[tokio::test]
async fn fence_ipmilan_that_finds_it_off_sends_nothing_and_that_is_no_off() {
    let Some(bmc) = IpmiSim::start() else { return };
    let Some(agent) = fence_ipmilan(&bmc, &[], ipmi::PASSWORD) else { return };
    let off = ask(&agent, Ask::Off, Some(agent.identity()), DEADLINE).await;
    assert!(matches!(off, Reply::OffSent { .. }), "{off}");
    let again = ask(&agent, Ask::Off, Some(agent.identity()), DEADLINE).await;
    assert_eq!(failed(again), AgentFailure::SentNothing);
    assert_eq!(bmc.sets(), ["power 0"]);
}

#[tokio::test]
async fn fence_ipmilan_with_a_wrong_password_or_a_parameter_that_it_does_not_know_fails() {
    let Some(bmc) = IpmiSim::start() else { return };
    let Some(wrong) = fence_ipmilan(&bmc, &[], "Guess-7") else { return };
    let said = failed(ask(&wrong, Ask::Read, None, DEADLINE).await);
    assert!(matches!(said, AgentFailure::Failed { .. }), "{said}");
    assert!(!said.to_string().contains("Guess-7"), "{said}");
    let Some(typo) = fence_ipmilan(&bmc, &[("plag", "3")], ipmi::PASSWORD) else { return };
    let said = failed(ask(&typo, Ask::Off, None, DEADLINE).await);
    assert_eq!(said, AgentFailure::UnknownParameter("plag".into()));
    assert!(bmc.powered() && bmc.sets().is_empty());
}

#[tokio::test]
async fn fence_ipmilan_of_a_bmc_that_says_ok_and_stays_on_reads_on() {
    let Some(bmc) = IpmiSim::start() else { return };
    let Some(agent) = fence_ipmilan(&bmc, &[], ipmi::PASSWORD) else { return };
    bmc.fault("stuck");
    let off = ask(&agent, Ask::Off, Some(agent.identity()), DEADLINE).await;
    assert!(matches!(off, Reply::OffSent { refused: Some(_), .. }), "{off}");
    let on = Reply::Read { power: Power::On, identity: Some(agent.identity()) };
    assert_eq!(ask(&agent, Ask::Read, None, DEADLINE).await, on);
}

#[tokio::test]
async fn an_agent_gets_its_parameters_on_stdin_and_nothing_else_from_us() {
    let agent = Agent::new();
    let target = agent.target("1", PASSWORD);
    let read = ask(&target, Ask::Read, None, DEADLINE).await;
    assert_eq!(read, Reply::Read { power: Power::On, identity: Some(target.identity()) });
    assert!(agent.read("seen").lines().all(|line| line == "arguments: 0 []"));
    let environment = agent.read("environment");
    let known = ["PATH=", "LC_ALL=C", "PWD=", "SHLVL=", "_=", "OLDPWD="];
    let ours = |line: &str| known.iter().any(|start| line.starts_with(start));
    assert!(environment.lines().all(ours), "{environment}");
}

#[tokio::test]
async fn nothing_is_run_but_metadata_where_the_agent_is_not_the_enrolled_one() {
    let agent = Agent::new();
    let enrolled = agent.target("1", PASSWORD).identity();
    let other = agent.target("2", PASSWORD);
    let reply = ask(&other, Ask::Off, Some(enrolled), DEADLINE).await;
    let read = Some(other.identity());
    assert_eq!(reply, Reply::Failed(Failure::WrongIdentity { expected: enrolled, read }));
    assert_eq!((agent.read("actions"), agent.is_on()), (String::new(), true));
}

#[tokio::test]
async fn an_agent_that_hangs_is_killed_with_its_children() {
    let agent = Agent::new();
    agent.put("hangs", "");
    let start = Instant::now();
    let reply = ask(&agent.target("1", PASSWORD), Ask::Off, None, Duration::from_secs(6)).await;
    assert_eq!(failed(reply), AgentFailure::OutOfTime(Action::Off));
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    let child = agent.read("child");
    let status = format!("/proc/{}/status", child.trim());
    let alive = || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        !status.is_empty() && !status.contains("Z (zombie)")
    };
    assert!(!child.is_empty());
    while alive() {
        assert!(start.elapsed() < Duration::from_secs(15), "process {child} lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whoever asks may be stopped, or gone, when the time is over: then nobody else kills the agent.
#[test]
fn an_agent_ends_in_time_although_its_controller_hangs() {
    let agent = Agent::new();
    agent.put("hangs", "");
    let target = agent.target("1", PASSWORD);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut asks = Box::pin(ask(&target, Ask::Off, None, Duration::from_secs(6)));
    runtime.block_on(async {
        while agent.read("child").is_empty() {
            let turn = tokio::time::timeout(Duration::from_millis(50), &mut asks).await;
            assert!(turn.is_err(), "it hangs");
        }
    });
    // From here on nothing of ours runs.
    let status = format!("/proc/{}/status", agent.read("child").trim());
    let start = Instant::now();
    let alive = || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        !status.is_empty() && !status.contains("Z (zombie)")
    };
    assert!(alive());
    while alive() {
        assert!(start.elapsed() < Duration::from_secs(12), "it lives on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn an_agent_that_writes_without_end_is_stopped() {
    let agent = Agent::new();
    agent.put("floods", "");
    let start = Instant::now();
    let said = failed(ask(&agent.target("1", PASSWORD), Ask::Read, None, DEADLINE).await);
    let stopped = [AgentFailure::TooMuch(Action::Status), AgentFailure::OutOfTime(Action::Status)];
    assert!(stopped.contains(&said), "{said}");
    assert!(start.elapsed() < DEADLINE + Duration::from_secs(2));
}

#[tokio::test]
async fn exit_code_2_without_the_words_is_not_off() {
    let agent = Agent::new();
    agent.put("usage", "");
    let target = agent.target("1", PASSWORD);
    let level = Level::from(Device::Agent(target.clone()));
    let said = failed(ask(&target, Ask::Read, None, DEADLINE).await);
    assert!(said.to_string().contains("usage"), "{said}");
    let outcome = fence(&level, target.identity(), Duration::from_secs(8), || false).await;
    assert!(outcome.evidence.is_none(), "{outcome:?}");
    assert!(agent.is_on());
}

#[tokio::test]
async fn an_agent_that_cuts_no_power_is_never_asked_to() {
    let agent = Agent::new();
    let fabric = agent.read("metadata").replace("automatic=\"0\"", "automatic=\"1\"");
    agent.put("metadata", &fabric);
    let said = failed(ask(&agent.target("1", PASSWORD), Ask::Off, None, DEADLINE).await);
    assert_eq!(said, AgentFailure::CutsNoPower);
    agent.put("metadata", "fence_x version 1\n");
    let said = failed(ask(&agent.target("1", PASSWORD), Ask::Off, None, DEADLINE).await);
    assert!(matches!(said, AgentFailure::NoMetadata(_)), "{said}");
    assert!(agent.is_on() && agent.offs() == 0);
}

#[tokio::test]
async fn both_feeds_must_be_off_and_one_that_stays_on_is_a_node_that_is_on() {
    let (a, b) = (Agent::new(), Agent::new());
    let feeds = [&a, &b].map(|agent| Device::Agent(agent.target("1", PASSWORD)));
    let level = Level::new(feeds.to_vec()).expect("two feeds");
    let enrolled = enrol(&level).await.expect("two identities");
    b.put("stuck", "");
    let outcome = fence(&level, enrolled, Duration::from_secs(10), || false).await;
    assert!(outcome.evidence.is_none() && !a.is_on() && b.is_on(), "{outcome:?}");
    std::fs::remove_file(b.path("stuck")).expect("the fault is there");
    let outcome = fence(&level, enrolled, Duration::from_secs(30), || false).await;
    assert!(outcome.evidence.is_some() && !b.is_on(), "{outcome:?}");
    // Somebody exchanges one of the feeds: nothing is switched.
    let exchanged = Device::Agent(b.target("2", PASSWORD));
    let level = Level::new(vec![Device::Agent(a.target("1", PASSWORD)), exchanged]).expect("two");
    let offs = b.offs();
    let reply = level.ask(Ask::Off, Some(enrolled), DEADLINE).await;
    assert!(matches!(reply, Reply::Failed(Failure::WrongIdentity { .. })), "{reply}");
    assert_eq!(b.offs(), offs);
}
