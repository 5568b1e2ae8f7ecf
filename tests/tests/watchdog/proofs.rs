//! What proves a node off, where the node is a machine: a BMC that holds the guest's power, the crash kernel of a guest, and
//! a lease after the drill without which it proves nothing. No evidence may come before its node has ended.

use std::time::{Duration, Instant};

use fencing::lease::LeaseTimes;
use serde_json::Value;

use super::cluster::{Plan, id, name};
use super::guest::{Hardware, Power};
use super::nova::Nova;
use super::parts::Parts;
use super::stage::{CUT, Stage};
use super::table::{Row, Table};

/// Guests, by what happens to them.
const OBEYED: u8 = 1;
const HANGING: u8 = 2;
const STUCK: u8 = 3;
const DRILLED: u8 = 4;
const CRASHED: u8 = 5;
const NODES: u8 = 5;
/// For so long a node whose BMC is stuck must not be called off.
const WATCHED: Duration = Duration::from_secs(15);
/// The two reads of E1 are as far apart.
const READS_APART: Duration = Duration::from_secs(3);
/// The clock of an entry may be so much behind ours: it is read before the entry is proposed.
const COARSE: Duration = Duration::from_millis(100);

/// The play.
pub(crate) struct Proofs {
    stage: Stage,
    nova: Nova,
}

impl Proofs {
    /// Starts Nova, the controllers, and then the guests.
    pub(crate) fn begin(parts: &Parts, times: LeaseTimes) -> Self {
        let nova = Nova::start(NODES);
        let mut plan = Plan::plain(NODES);
        plan.bmcs = vec![OBEYED, HANGING, STUCK];
        plan.no_watchdog = vec![CRASHED];
        plan.nova = Some(nova.auth_url());
        let kit = |number| Hardware {
            power: match number {
                OBEYED | HANGING => Power::Bmc,
                STUCK => Power::StuckBmc,
                _ => Power::Ours,
            },
            reboots: number == DRILLED,
            agent: number == DRILLED,
            crash_kernel: number == CRASHED,
        };
        Self { stage: Stage::begin(parts, times, plan, "proofs", kit), nova }
    }

    /// All that have a watchdog are armed, and all BMCs are enrolled.
    pub(crate) fn all_are_ready(&mut self) {
        self.stage.armed(usize::from(NODES) - 1);
        self.stage.wait("the one without a watchdog is admitted", |stage| {
            (stage.node(CRASHED)?["phase"] == "protected").then_some(())
        });
        for number in [OBEYED, HANGING, STUCK] {
            self.stage.wait("an enrolled BMC", |stage| stage.cluster.enroll(number).ok());
        }
        self.stage.tell(format_args!("{} guests are armed, 3 BMCs enrolled", NODES - 1));
    }

    /// `hactl drill --watchdog` of an empty node: its watchdog fires, and that goes on record.
    pub(crate) fn drilled(&mut self, parts: &Parts) {
        // Not of a node with an open incident, and all had one while they were new: a row of this matrix tells of everything.
        self.stage.wait("a doubt about a watchdog that never fired", |stage| {
            is_untested(&stage.node(DRILLED)?).then_some(())
        });
        self.nova.disable(DRILLED);
        let node = name(DRILLED);
        let words = ["drill", &node, "--watchdog", "--yes", "--person", "test", "--wait", "5min"];
        let hactl = self.stage.cluster.hactl(&parts.hactl, &words);
        let fault = Instant::now();
        self.stage.reset(DRILLED, "drill, ordered with hactl", fault);
        let output = hactl.wait_with_output().expect("hactl ends");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        println!("{}", said.trim_end());
        let test =
            self.stage.node(DRILLED).map_or(Value::Null, |node| node["watchdog_test"].clone());
        let took = test["took_s"].as_f64().unwrap_or(0.0);
        let after = is_untested(&self.stage.wait("the node", |stage| stage.node(DRILLED)));
        let wrong = [
            (!output.status.success()).then_some("hactl does not say that it works"),
            (test["fired"] != true).then_some("nothing is on record"),
            after.then_some("it still counts as untested"),
        ];
        self.stage.table.0.push(Row {
            kind: "record of the drill".to_owned(),
            last: "-".to_owned(),
            after: Some(took),
            bound: Some(self.stage.bound(self.stage.times.lease).as_secs_f64()),
            notes: "from the intent to the last renewal of the old boot".to_owned(),
            wrong: wrong.into_iter().flatten().next().map(str::to_owned),
        });
        self.stage.wait("it is let back and armed", |stage| {
            let armed = stage.node(DRILLED)?["armed"] == true;
            (armed && stage.incident(DRILLED)?["open"] == false).then_some(())
        });
        self.stage.tell(format_args!("{node} is back, and armed"));
    }

    /// The BMC ends the machine: two reads say off, and by then it is off.
    pub(crate) fn switched_off(&mut self) {
        self.stage.guest(OBEYED).tick();
        self.stage.guest(OBEYED).cut();
        self.fence(OBEYED);
        self.proven_off(OBEYED, "E1: the BMC obeys");
    }

    /// The whole machine hangs. Its BMC takes the off, and reads on until it has to kill it.
    pub(crate) fn switched_off_while_it_hangs(&mut self) {
        self.stage.guest(HANGING).tick();
        self.stage.guest(HANGING).hang();
        self.fence(HANGING);
        self.proven_off(HANGING, "E1: the machine hangs, off comes 7 s late");
    }

    /// The BMC takes every off and does nothing. As long as the machine speaks, nobody may call it off.
    pub(crate) fn ok_but_on(&mut self) {
        self.stage.guest(STUCK).tick();
        self.stage.guest(STUCK).cut();
        self.fence(STUCK);
        // Longer than a read, an off that is sent again, and another read.
        self.stage.pass_until(Instant::now() + WATCHED);
        let believed = self.stage.incident(STUCK).is_none_or(|of| !of["evidence"].is_null());
        assert!(!believed, "called off while it spoke");
        assert!(self.stage.guest(STUCK).life().gone.is_none(), "it was to live on");
        self.stage.guest(STUCK).pull_the_plug();
        self.proven_off(STUCK, "E1: the BMC says ok, the node stays on");
    }

    /// A kernel that crashes into its crash kernel, which runs our beacon. Nothing else could prove this node off. The fence
    /// is ordered when the beacon speaks: who knows how long emulation takes to boot a kernel.
    pub(crate) fn crashed(&mut self) {
        self.stage.wait("a crash kernel is loaded", |stage| {
            stage.guest(CRASHED).said().contains("GUEST crash kernel is loaded").then_some(())
        });
        let heard = self.stage.cluster.wire.ledger().crashed(id(CRASHED));
        assert!(heard.is_none(), "a beacon of a kernel that runs");
        self.stage.guest(CRASHED).say("echo c >/proc/sysrq-trigger");
        let fault = Instant::now();
        self.stage.tell(format_args!("the kernel of {} crashes", name(CRASHED)));
        self.stage.wait("a beacon", |stage| stage.cluster.wire.ledger().crashed(id(CRASHED)));
        let ordered = Instant::now();
        self.fence(CRASHED);
        let evidence = self.evidence(CRASHED);
        let ledger = self.stage.cluster.wire.ledger();
        let (spoke, renewed) = (ledger.crashed(id(CRASHED)), ledger.heard(id(CRASHED)));
        drop(ledger);
        let since = |at: Option<Instant>| at.map(|at| at.duration_since(fault).as_secs_f64());
        let took = ordered.elapsed().as_secs_f64();
        let wrong = [
            (!evidence.starts_with("E4")).then(|| format!("evidence is {evidence}")),
            spoke.is_none().then(|| "no beacon was seen".to_owned()),
            (renewed > spoke).then(|| "the crashed boot spoke after its beacon".to_owned()),
        ];
        self.stage.tell(format_args!("{} is fenced: {evidence}", name(CRASHED)));
        self.stage.table.0.push(Row {
            kind: "E4: beacon of its crash kernel".to_owned(),
            last: "-".to_owned(),
            after: None,
            bound: None,
            notes: format!(
                "first beacon {:.1} s after the crash, E4 {took:.1} s after the order",
                since(spoke).unwrap_or_default()
            ),
            wrong: wrong.into_iter().flatten().next(),
        });
    }

    /// What the drill was for: the lease of that node alone proves it off.
    pub(crate) fn fenced_by_its_lease(&mut self) {
        self.stage.guest(DRILLED).forget_end();
        self.stage.guest(DRILLED).cut();
        let fault = Instant::now();
        self.fence(DRILLED);
        self.stage.reset(DRILLED, &format!("{CUT}, its drill is on record"), fault);
        let (reset, stood) = (self.stage.guest(DRILLED).end(), self.stage.stood(DRILLED));
        let evidence = self.evidence(DRILLED);
        let now = Instant::now();
        self.stage.tell(format_args!("{} is fenced: {evidence}", name(DRILLED)));
        let since = |at: Option<Instant>| at.map(|at| now.duration_since(at).as_secs_f64());
        self.stage.table.0.push(Row {
            kind: "E2 of that node, by the controllers".to_owned(),
            last: "lease".to_owned(),
            after: None,
            bound: None,
            notes: format!(
                "{:.1} s after its last lease, {:.1} s after its reset",
                since(stood.map(|stood| stood.base)).unwrap_or_default(),
                since(reset.map(|reset| reset.at)).unwrap_or_default()
            ),
            wrong: (!evidence.starts_with("E2")).then(|| format!("evidence is {evidence}")),
        });
    }

    /// All ends.
    pub(crate) fn end(self) -> Table {
        self.stage.end()
    }

    /// Orders a fence as soon as no other one is under way.
    fn fence(&self, number: u8) {
        self.stage.wait("a fence is ordered", |stage| stage.cluster.fence(number).ok());
        self.stage.tell(format_args!("{} is ordered to be fenced", name(number)));
    }

    fn evidence(&self, number: u8) -> String {
        self.stage.wait("evidence", |stage| {
            let incident = stage.incident(number)?;
            incident["evidence"].as_str().map(str::to_owned)
        })
    }

    /// The leader has E1: the process of the machine was gone before the first of the two reads, and it was silent.
    fn proven_off(&mut self, number: u8, kind: &str) {
        let evidence = self.evidence(number);
        let incident = self.stage.incident(number).unwrap_or(Value::Null);
        self.stage.tell(format_args!("{} is fenced: {evidence}", name(number)));
        let at = |state: &str| {
            let phases = incident["phases"].as_array()?;
            phases.iter().find(|phase| phase["state"] == state)?["at_ms"].as_u64()
        };
        let (ordered, fenced) = (at("fencing").unwrap_or(0), at("fenced").unwrap_or(0));
        let life = self.stage.guest(number).life();
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
        let gone = life.gone.unwrap_or(u64::MAX);
        let slack = Duration::from_millis(fenced.saturating_sub(gone)) + COARSE;
        let steps = incident["steps"].as_array().map_or(0, Vec::len);
        let wrong = [
            (!evidence.starts_with("E1")).then(|| format!("evidence is {evidence}")),
            life.gone.is_none().then(|| "its process runs".to_owned()),
            (slack < READS_APART).then(|| "a read said off while its process ran".to_owned()),
            (life.heard > gone.min(fenced)).then(|| "it spoke afterwards".to_owned()),
        ];
        self.stage.table.0.push(Row {
            kind: kind.to_owned(),
            last: "-".to_owned(),
            after: None,
            bound: None,
            notes: format!(
                "ordered; last word {:.1} s, gone {:.1} s, E1 {:.1} s later; {steps} steps",
                seconds(life.heard.saturating_sub(ordered)),
                seconds(gone.saturating_sub(ordered)),
                seconds(fenced.saturating_sub(ordered)),
            ),
            wrong: wrong.into_iter().flatten().next(),
        });
    }
}

/// Whether `hactl check` would say that this node's watchdog was never seen to fire.
fn is_untested(node: &Value) -> bool {
    let doubts = node["doubts"].as_array().map_or(&[][..], Vec::as_slice);
    doubts.iter().any(|doubt| doubt["what"].to_string().contains("never seen to fire"))
}
