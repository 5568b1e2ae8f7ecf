//! Every driver against every way in which a device may behave: what E1 concludes, beside what is
//! true. And how long it takes with fifty devices at once. `cargo xtask test-bmc` prints both tables.
//!
//! The devices are stand-ins of ours; `tests/tests/ipmi.rs`, `redfish.rs` and `fence_agents.rs` hold
//! the same drivers against programs of others.

#[path = "../support/fence/mod.rs"]
mod fence;
#[path = "../support/ipmi/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod ipmi;
#[path = "../support/redfish/mod.rs"]
mod redfish;

use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fencing::bmc::redfish::{LogIn, RedfishTarget};
use fencing::bmc::{BmcTarget, CipherSuite, Device, Identity, Level, Secret};
use sim::standin::bmc::{Behaviour, Chassis as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::fence::agent::{Agent, PASSWORD};
use self::fence::{Outcome, fence};
use self::ipmi::stand_in::StandIn;
use self::redfish::OTHER;
use self::redfish::server::{Behaviour as Fault, Redfish};

/// How long a fence is tried that cannot succeed: longer than two tries.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one may take that must succeed.
const LONG: Duration = Duration::from_secs(60);
/// A device that takes its time.
const SLOW: Duration = Duration::from_secs(2);
/// Questions to BMCs under way at once, as in the controller.
const AT_ONCE: usize = 64;
/// Identity of a machine that is not there.
const ANOTHER: Identity = Identity([99; 16]);

/// A line of the table.
struct Line {
    driver: &'static str,
    behaviour: &'static str,
    must_be_off: bool,
    outcome: Outcome,
    /// The node's power at the end, in truth.
    on: bool,
}

impl Line {
    fn is_right(&self) -> bool {
        let off = self.outcome.evidence.is_some();
        off == self.must_be_off && !(off && self.on)
    }

    fn show(&self, out: &mut String) {
        let concluded = match self.outcome.evidence {
            Some(at) => format!("off after {:.1} s", at.as_secs_f64()),
            None => "not off".to_owned(),
        };
        let truth = if self.on { "on" } else { "off" };
        let verdict = if self.is_right() { "right" } else { "WRONG" };
        let why: String = self.outcome.trouble.chars().take(76).collect();
        let (driver, behaviour, offs) = (self.driver, self.behaviour, self.outcome.offs);
        let _ = writeln!(
            out,
            "{driver:<8} {behaviour:<36} {offs:>4} {truth:<5} {concluded:<16} {verdict:<6} {why}"
        );
    }
}

type Row = Pin<Box<dyn Future<Output = Line> + Send>>;

fn row(line: impl Future<Output = Line> + Send + 'static) -> Row {
    Box::pin(line)
}

fn by_ipmi(
    behaviour: &'static str,
    must_be_off: bool,
    set: fn(&StandIn, &mut BmcTarget),
    expect: Option<Identity>,
) -> Row {
    row(async move {
        let bmc = StandIn::start(number(behaviour)).await;
        let mut target = ipmi::target(bmc.addr, &[CipherSuite::S17]);
        set(&bmc, &mut target);
        let enrolled = expect.unwrap_or(bmc.guid);
        // A BMC that lies is found out by a node that goes on speaking; the others need no such help.
        let speaks = || behaviour.contains("speaks") && bmc.node.power();
        let patience = if must_be_off { LONG } else { PATIENCE };
        let outcome = fence(&Device::Ipmi(target).into(), enrolled, patience, speaks).await;
        Line { driver: "ipmi", behaviour, must_be_off, outcome, on: bmc.node.power() }
    })
}

fn by_redfish(
    behaviour: &'static str,
    must_be_off: bool,
    set: fn(&Redfish, &mut RedfishTarget),
    expect: Option<Identity>,
) -> Row {
    row(async move {
        let number = number(behaviour);
        let untrusted = behaviour.contains("certificate");
        let bmc = if untrusted {
            Redfish::with(number, OTHER).await
        } else {
            Redfish::start(number).await
        };
        let mut target = redfish::target(bmc.addr);
        set(&bmc, &mut target);
        let enrolled = expect.unwrap_or(bmc.uuid);
        let speaks = || behaviour.contains("speaks") && bmc.node.power();
        let patience = if must_be_off { LONG } else { PATIENCE };
        let outcome = fence(&Device::Redfish(target).into(), enrolled, patience, speaks).await;
        Line { driver: "redfish", behaviour, must_be_off, outcome, on: bmc.node.power() }
    })
}

fn by_agent(
    behaviour: &'static str,
    must_be_off: bool,
    set: fn(&Agent),
    password: &'static str,
    expect: Option<Identity>,
) -> Row {
    row(async move {
        let agent = Agent::new();
        set(&agent);
        let target = agent.target("1", password);
        let enrolled = expect.unwrap_or(target.identity());
        let speaks = || behaviour.contains("speaks") && agent.is_on();
        let patience = if must_be_off { LONG } else { PATIENCE };
        let outcome = fence(&Device::Agent(target).into(), enrolled, patience, speaks).await;
        Line { driver: "agent", behaviour, must_be_off, outcome, on: agent.is_on() }
    })
}

/// A number for a stand-in, from its name: its identity.
fn number(name: &str) -> u8 {
    name.bytes().fold(1_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)).clamp(1, 90)
}

fn of_ipmi() -> Vec<Row> {
    vec![
        by_ipmi("obeys", true, |_, _| {}, None),
        by_ipmi("slow", true, |bmc, _| bmc.server().behave(Behaviour::Slow(SLOW)), None),
        by_ipmi("silent", false, |bmc, _| bmc.server().behave(Behaviour::Silent), None),
        by_ipmi(
            "says ok and stays on",
            false,
            |bmc, _| bmc.server().behave(Behaviour::Stuck),
            None,
        ),
        by_ipmi("refuses", false, |bmc, _| bmc.server().behave(Behaviour::Refuses(0xd5)), None),
        by_ipmi(
            "lies off, and the node speaks",
            false,
            |bmc, _| bmc.server().behave(Behaviour::Lies),
            None,
        ),
        by_ipmi("another machine", false, |_, _| {}, Some(ANOTHER)),
        by_ipmi(
            "wrong password",
            false,
            |_, target| target.password = Secret::new("guess".into()),
            None,
        ),
        by_ipmi(
            "suite 3 is refused",
            false,
            |bmc, target| {
                bmc.server().accept_only(CipherSuite::S17);
                target.suites = vec![CipherSuite::S3];
            },
            None,
        ),
        by_ipmi("all slots taken", false, |bmc, _| bmc.server().behave(Behaviour::SlotsFull), None),
    ]
}

fn of_redfish() -> Vec<Row> {
    vec![
        by_redfish("obeys", true, |_, _| {}, None),
        by_redfish("obeys, by session", true, |_, target| target.log_in = LogIn::Session, None),
        by_redfish(
            "slow, PoweringOff until then",
            true,
            |bmc, _| bmc.behave(Fault::Slow(SLOW)),
            None,
        ),
        by_redfish("silent", false, |bmc, _| bmc.behave(Fault::Silent), None),
        by_redfish("silent after TLS", false, |bmc, _| bmc.behave(Fault::Mute), None),
        by_redfish("says ok and stays on", false, |bmc, _| bmc.behave(Fault::Stuck), None),
        by_redfish("refuses", false, |bmc, _| bmc.behave(Fault::Refuses(500)), None),
        by_redfish("lies off, and the node speaks", false, |bmc, _| bmc.behave(Fault::Lies), None),
        by_redfish("PoweringOff for ever", false, |bmc, _| bmc.behave(Fault::Vague), None),
        by_redfish("another machine", false, |_, _| {}, Some(ANOTHER)),
        by_redfish(
            "wrong password",
            false,
            |_, target| target.password = Secret::new("guess".into()),
            None,
        ),
        by_redfish("another certificate", false, |_, _| {}, None),
        by_redfish("redirects", false, |bmc, _| bmc.behave(Fault::Redirects), None),
        by_redfish("answers without end", false, |bmc, _| bmc.behave(Fault::Endless), None),
        by_redfish("breaks off", false, |bmc, _| bmc.behave(Fault::Cut), None),
        by_redfish("offers soft resets only", false, |bmc, _| bmc.behave(Fault::Soft), None),
        by_redfish(
            "its reset is another system's",
            false,
            |bmc, _| bmc.behave(Fault::Foreign),
            None,
        ),
        by_redfish(
            "all slots taken",
            false,
            |bmc, target| {
                bmc.behave(Fault::SlotsFull);
                target.log_in = LogIn::Session;
            },
            None,
        ),
    ]
}

fn of_agents() -> Vec<Row> {
    vec![
        by_agent("obeys", true, |_| {}, PASSWORD, None),
        by_agent("slow", true, |agent| agent.put("slow", "2"), PASSWORD, None),
        by_agent("hangs", false, |agent| agent.put("hangs", ""), PASSWORD, None),
        by_agent("says ok and stays on", false, |agent| agent.put("stuck", ""), PASSWORD, None),
        by_agent(
            "lies off, and the node speaks",
            false,
            |agent| agent.put("lies", ""),
            PASSWORD,
            None,
        ),
        by_agent("neither ON nor OFF", false, |agent| agent.put("vague", ""), PASSWORD, None),
        by_agent("other parameters than enrolled", false, |_| {}, PASSWORD, Some(ANOTHER)),
        by_agent("wrong password", false, |_| {}, "guess", None),
        by_agent(
            "exit code 2 for a wrong call",
            false,
            |agent| agent.put("usage", ""),
            PASSWORD,
            None,
        ),
        by_agent("writes without end", false, |agent| agent.put("floods", ""), PASSWORD, None),
        by_agent(
            "off already, and sends nothing",
            false,
            |agent| {
                agent.put("already", "");
                agent.put("power", "OFF\n");
            },
            PASSWORD,
            None,
        ),
    ]
}

fn say(text: &str) {
    // Not println: the test harness would swallow it.
    std::io::stderr().write_all(text.as_bytes()).expect("stderr");
}

#[tokio::test]
async fn no_driver_concludes_off_wrongly_however_its_device_behaves() {
    let mut rows = JoinSet::new();
    for (place, row) in of_ipmi().into_iter().chain(of_redfish()).chain(of_agents()).enumerate() {
        rows.spawn(async move { (place, row.await) });
    }
    let mut lines = rows.join_all().await;
    lines.sort_by_key(|(place, _)| *place);
    let mut table = String::from(
        "\ndriver   behaviour                            offs truth E1 concludes     is     last trouble\n",
    );
    lines.iter().for_each(|(_, line)| line.show(&mut table));
    let wrong = lines.iter().filter(|(_, line)| !line.is_right()).count();
    let _ = writeln!(table, "{} rows, {wrong} wrong\n", lines.len());
    say(&table);
    assert_eq!(wrong, 0, "{table}");
}

#[tokio::test]
async fn fifty_devices_at_once_give_evidence_in_time() {
    let mut report = String::from(
        "\n50 devices at once, 64 questions at most; seconds from the first off to E1\n",
    );
    for (name, takes) in [("at once", Duration::ZERO), ("4 s", Duration::from_secs(4))] {
        let (mut levels, mut alive) = (Vec::new(), Vec::new());
        for number in 1..=50 {
            let bmc = StandIn::start(number).await;
            bmc.server().behave(Behaviour::Slow(takes));
            let target = ipmi::target(bmc.addr, &[CipherSuite::S17]);
            levels.push((Device::Ipmi(target).into(), bmc.guid));
            alive.push(bmc);
        }
        times("ipmi", name, levels, &mut report).await;
        let (mut levels, mut alive) = (Vec::new(), Vec::new());
        for number in 1..=50 {
            let bmc = Redfish::start(number).await;
            bmc.behave(Fault::Slow(takes));
            levels.push((Device::Redfish(redfish::target(bmc.addr)).into(), bmc.uuid));
            alive.push(bmc);
        }
        times("redfish", name, levels, &mut report).await;
    }
    say(&report);
}

async fn times(driver: &str, takes: &str, levels: Vec<(Level, Identity)>, report: &mut String) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut fences = JoinSet::new();
    for (level, enrolled) in levels {
        let places = Arc::clone(&places);
        fences.spawn(async move {
            let _place = places.acquire().await;
            fence(&level, enrolled, LONG, || false).await
        });
    }
    let outcomes = fences.join_all().await;
    let mut times: Vec<f64> =
        outcomes.iter().filter_map(|outcome| outcome.evidence).map(|at| at.as_secs_f64()).collect();
    assert_eq!(times.len(), 50, "{driver}, off {takes}: {:?}", outcomes.first());
    times.sort_by(f64::total_cmp);
    let (p50, p99) = (times[24], times[49]);
    let _ =
        writeln!(report, "{driver:<8} off {takes:<8} p50 {p50:>6.2}  p99 (the slowest) {p99:>6.2}");
}
