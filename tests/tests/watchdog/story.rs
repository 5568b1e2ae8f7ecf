//! What is done to the guests, in this order, and what must come of it.

use std::time::Instant;

use fencing::lease::LeaseTimes;

use super::cluster::{CONTROLLERS, Plan, name};
use super::guest::Hardware;
use super::parts::Parts;
use super::stage::{CUT, PATIENCE, Stage};
use super::table::{Row, Table};

/// Guests, by what happens to them.
const CUT_AND_FENCED: u8 = 1;
const DISARMED: u8 = 2;
const CUT_FROM_PEERS: u8 = 3;
const KILLED: u8 = 4;
const STOPPED: u8 = 5;
const CRASHED: u8 = 6;
const TERMINATED: u8 = 7;
const ORDERED: u8 = 8;
/// It must be there to the end.
const SPARED: u8 = 9;
const NODES: u8 = 9;

/// The play.
pub(crate) struct Story {
    stage: Stage,
    disarmed_at: Option<Instant>,
    fenced_at: Option<Instant>,
}

impl Story {
    /// Starts the controllers, then the guests.
    pub(crate) fn begin(parts: &Parts, times: LeaseTimes) -> Self {
        let plan = Plan::plain(NODES);
        let stage = Stage::begin(parts, times, plan, "kills", |_| Hardware::default());
        Self { stage, disarmed_at: None, fenced_at: None }
    }

    /// The registry has armed each boot: its device is open, with the time that it was told.
    pub(crate) fn all_are_armed(&mut self) {
        self.stage.armed(usize::from(NODES));
        for guest in self.stage.guests.values() {
            assert!(guest.said().contains("i6300ESB timer"), "{}", guest.said());
        }
        self.never_waits_for_memory_or_its_turn();
        self.stage.tell(format_args!("{NODES} guests are armed"));
    }

    /// What the unit's settings are for, as the guest's kernel sees it.
    fn never_waits_for_memory_or_its_turn(&self) {
        self.stage
            .guest(SPARED)
            .say("chrt -p $(pidof ha-sentinel); grep VmLck /proc/$(pidof ha-sentinel)/status");
        let said = self.stage.wait("how the sentinel is scheduled", |stage| {
            let said = stage.guest(SPARED).said();
            said.lines().any(|line| line.starts_with("VmLck:")).then_some(said)
        });
        assert!(said.contains("SCHED_RR"), "{said}");
        let locked =
            said.lines().find_map(|line| line.strip_prefix("VmLck:")?.split_whitespace().next());
        let locked: u64 = locked.and_then(|kilobytes| kilobytes.parse().ok()).unwrap_or(0);
        assert!(locked > 1000, "{locked} kB of its memory are locked: {said}");
    }

    /// Its network is cut while the controllers live: it must be off before they may call it dead by E2.
    pub(crate) fn fenced_by_its_lease_alone(&mut self) {
        self.stage.guest(CUT_AND_FENCED).cut();
        let fault = Instant::now();
        self.stage
            .tell(format_args!("{} is cut off, and ordered to be fenced", name(CUT_AND_FENCED)));
        let done = self.stage.cluster.fence(CUT_AND_FENCED);
        assert!(done.is_ok(), "{done:?}");
        self.stage.reset(CUT_AND_FENCED, &format!("{CUT}, controllers live"), fault);
    }

    /// Nobody stands for a node that is disarmed, and its sentinel is gone: nothing may come of it.
    pub(crate) fn disarmed_before_it_ends(&mut self) {
        let done = self.stage.cluster.disarm(DISARMED);
        assert!(done.is_ok(), "{done:?}");
        self.stage.wait("a magic close", |stage| {
            stage.guest(DISARMED).said().contains("watchdog closed").then_some(())
        });
        self.stage.guest(DISARMED).say("kill -TERM $(pidof ha-sentinel)");
        self.disarmed_at = Some(Instant::now());
        self.stage.tell(format_args!("{} is disarmed, and its sentinel ended", name(DISARMED)));
    }

    /// E2 of the node that was cut off: wL after the intent, and not before the reset.
    pub(crate) fn wait_for_the_evidence(&mut self) {
        let evidence = self.stage.wait("E2", |stage| {
            let state = stage.cluster.state()?;
            let fenced = state["fenced"].as_array()?;
            let of =
                fenced.iter().find(|fenced| fenced["node"] == name(CUT_AND_FENCED).as_str())?;
            of["evidence"].as_str().map(str::to_owned)
        });
        let now = Instant::now();
        self.fenced_at = Some(now);
        self.stage.tell(format_args!("{} is fenced: {evidence}", name(CUT_AND_FENCED)));
        let reset = self.stage.guest(CUT_AND_FENCED).end().expect("it was reset");
        let stood = self.stage.stood(CUT_AND_FENCED).expect("it had a lease");
        let slack = now.duration_since(reset.at).as_secs_f64();
        let waited = now.duration_since(stood.base);
        let wrong = (!evidence.starts_with("E2")).then(|| format!("evidence is {evidence}"));
        let early = waited < self.stage.times.wait_after_intent();
        let early = early.then(|| "the leader did not wait for wL".to_owned());
        self.stage.table.0.push(Row {
            kind: "E2 of that node, by the controllers".to_owned(),
            last: stood.by.to_owned(),
            after: Some(reset.at.duration_since(stood.base).as_secs_f64()),
            bound: Some(waited.as_secs_f64()),
            notes: format!(
                "bound is when E2 was committed (wL {:.1} s); {slack:.1} s after the reset",
                self.stage.times.wait_after_intent().as_secs_f64()
            ),
            wrong: wrong.or(early),
        });
    }

    /// All controllers are killed: peers keep everybody alive for three lease times, and a node that is cut off meanwhile
    /// resets itself.
    pub(crate) fn all_controllers_gone(&mut self) {
        self.stage.cluster.kill_all();
        let fault = Instant::now();
        self.stage.tell(format_args!("all controllers are killed"));
        let half = self.stage.times.lease * 3 / 2;
        self.stage.pass_until(fault + half);
        self.stage.guest(CUT_FROM_PEERS).cut();
        self.stage.tell(format_args!("{} is cut off from its peers", name(CUT_FROM_PEERS)));
        self.stage.reset(CUT_FROM_PEERS, &format!("{CUT}, all controllers dead"), Instant::now());
        self.stage.pass_until(fault + self.stage.times.lease * 3);
        let survivors = [KILLED, STOPPED, CRASHED, TERMINATED, ORDERED, SPARED];
        let gone: Vec<String> =
            survivors.into_iter().filter(|number| !self.stage.lives(*number)).map(name).collect();
        let stood = self.stage.stood(SPARED).expect("it was vouched for");
        let wrong = (!gone.is_empty()).then(|| format!("gone: {}", gone.join(", ")));
        let not_by_peers = (stood.by != "vouch").then(|| "no vouches were seen".to_owned());
        self.stage.table.0.push(Row {
            kind: format!("all controllers dead, {} nodes vouch", survivors.len()),
            last: stood.by.to_owned(),
            after: None,
            bound: None,
            notes: format!(
                "no reset for {:.0} s = {:.1} L",
                fault.elapsed().as_secs_f64(),
                fault.elapsed().as_secs_f64() / self.stage.times.lease.as_secs_f64()
            ),
            wrong: wrong.or(not_by_peers),
        });
    }

    /// The controllers start again with what they knew, and give leases.
    pub(crate) fn controllers_are_back(&mut self) {
        CONTROLLERS.into_iter().for_each(|id| self.stage.cluster.start(id));
        let started = Instant::now();
        self.stage.wait("leases of all that live", |stage| {
            let leased = |number: &u8| {
                let stood = stage.stood(*number)?;
                (stood.by == "lease" && stood.base > started).then_some(())
            };
            let all = [KILLED, STOPPED, CRASHED, TERMINATED, ORDERED, SPARED];
            all.iter().map(leased).collect::<Option<Vec<()>>>().map(|_| ())
        });
        self.stage.tell(format_args!("the controllers are back, all have a lease again"));
    }

    /// At the same time, so that it takes no longer than one.
    pub(crate) fn killed_in_many_ways(&mut self) {
        let kinds = [
            (KILLED, "sentinel killed (SIGKILL)", "kill -KILL $(pidof ha-sentinel)"),
            (STOPPED, "sentinel stopped (SIGSTOP)", "kill -STOP $(pidof ha-sentinel)"),
            (CRASHED, "kernel crashed and hangs", "echo c >/proc/sysrq-trigger"),
            (TERMINATED, "SIGTERM while armed", "kill -TERM $(pidof ha-sentinel)"),
        ];
        let mut faults = Vec::new();
        for (number, kind, line) in kinds {
            self.stage.guest(number).say(line);
            faults.push((number, kind, Instant::now()));
        }
        self.stage.tell(format_args!("sentinels are killed, stopped and ended, a kernel crashes"));
        for (number, kind, fault) in faults {
            self.stage.reset(number, kind, fault);
        }
        self.ordered();
    }

    /// The last node learns of its own intent, over the network that works.
    fn ordered(&mut self) {
        let done = self.stage.cluster.fence(ORDERED);
        let fault = Instant::now();
        match done {
            Ok(_) => self.stage.reset(ORDERED, "own intent read in the log", fault),
            Err(failure) => self.stage.tell(format_args!("not fenced by hand: {failure}")),
        }
    }

    /// Those that had to live do; then all ends.
    pub(crate) fn end(mut self) -> Table {
        let since = self.disarmed_at.expect("it was disarmed");
        self.stage.pass_until(since + self.stage.times.watchdog * 3);
        let lives = self.stage.guest(DISARMED).end().is_none()
            && self.stage.guest(DISARMED).answers(PATIENCE);
        self.stage.table.0.push(Row {
            kind: "SIGTERM after a committed disarm".to_owned(),
            last: "-".to_owned(),
            after: None,
            bound: None,
            notes: format!("no reset for {:.0} s", since.elapsed().as_secs_f64()),
            wrong: (!lives).then(|| "it does not live".to_owned()),
        });
        self.held_by_another();
        let lives = self.stage.lives(SPARED);
        self.stage.table.0.push(Row {
            kind: "nothing was done to it".to_owned(),
            last: "lease".to_owned(),
            after: None,
            bound: None,
            notes: format!("no reset for {:.0} s", self.stage.began.elapsed().as_secs_f64()),
            wrong: (!lives).then(|| "it does not live".to_owned()),
        });
        self.stage.end()
    }

    /// Another program has the device of the node that was disarmed, and it is to be armed again: the sentinel says so,
    /// and the node stays unarmed.
    fn held_by_another(&mut self) {
        self.stage.guest(DISARMED).say("(while echo; do sleep 1; done) >/dev/watchdog0 &");
        self.stage.guest(DISARMED).say("sentinel");
        let done = self.stage.cluster.arm(DISARMED);
        assert!(done.is_ok(), "{done:?}");
        self.stage.wait("a sentinel that finds its device in use", |stage| {
            stage.guest(DISARMED).said().contains("/dev/watchdog0 is in use").then_some(())
        });
        let armed = self.stage.wait("the state", |stage| {
            let state = stage.cluster.state()?;
            let nodes = state["nodes"].as_array()?;
            nodes.iter().find(|node| node["name"] == name(DISARMED).as_str())?["armed"].as_bool()
        });
        self.stage.table.0.push(Row {
            kind: "another program holds the device".to_owned(),
            last: "-".to_owned(),
            after: None,
            bound: None,
            notes: "the sentinel says so, and is not armed".to_owned(),
            wrong: armed.then(|| "it is armed".to_owned()),
        });
    }
}
