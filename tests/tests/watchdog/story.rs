//! What is done to the guests, in this order, and what must come of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fencing::lease::LeaseTimes;

use super::cluster::{CONTROLLERS, Cluster, host, id, name};
use super::guest::{Cause, Guest};
use super::ledger::Stood;
use super::parts::Parts;
use super::table::{Row, Table};
use super::wire::LEASE;

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

/// A kind in which nothing but the lease or the vouch ends the node.
const CUT: &str = "network cut";
/// Software emulation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Guests that boot at the same time: more would only be slower together.
const AT_ONCE: usize = 3;

/// The play.
pub(crate) struct Story {
    cluster: Cluster,
    guests: BTreeMap<u8, Guest>,
    times: LeaseTimes,
    table: Table,
    began: Instant,
    disarmed_at: Option<Instant>,
    fenced_at: Option<Instant>,
}

impl Story {
    /// Starts the controllers, then the guests.
    pub(crate) fn begin(parts: &Parts, times: LeaseTimes) -> Self {
        let began = Instant::now();
        let dir = std::env::temp_dir().join(format!("holdfast-watchdog-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory");
        let mut cluster = Cluster::new(&dir, &parts.controller, NODES, times);
        CONTROLLERS.into_iter().for_each(|id| cluster.start(id));
        let mut story = Self {
            cluster,
            guests: BTreeMap::new(),
            times,
            table: Table::default(),
            began,
            disarmed_at: None,
            fenced_at: None,
        };
        story.tell(format_args!(
            "L {} s, C {} s, W {} s; guests in {}",
            times.lease.as_secs(),
            times.vouch.as_secs(),
            times.watchdog.as_secs(),
            dir.display()
        ));
        let common = parts.archive(&dir);
        for number in 1..=NODES {
            let mut archive = common.clone();
            for (path, text) in story.cluster.node_files(number, NODES) {
                archive.private(path, &text);
            }
            let file: PathBuf = dir.join(format!("{}.cpio", name(number)));
            std::fs::write(file, archive.finish()).expect("written");
            let address = story.cluster.wire.own(host(number), LEASE);
            let guest = Guest::start(&dir, &name(number), &parts.kernel, address);
            story.guests.insert(number, guest);
            story.wait("fewer guests boot", |story| {
                let booting = |guest: &&Guest| !guest.said().contains("GUEST ready");
                (story.guests.values().filter(booting).count() < AT_ONCE).then_some(())
            });
        }
        story
    }

    /// The registry has armed each boot: its device is open, with the time that it was told.
    pub(crate) fn all_are_armed(&mut self) {
        self.wait("all armed", |story| {
            let state = story.cluster.state()?;
            let armed = state["nodes"].as_array()?.iter().filter(|node| node["armed"] == true);
            (armed.count() == usize::from(NODES)).then_some(())
        });
        for guest in self.guests.values() {
            assert!(guest.said().contains("i6300ESB timer"), "{}", guest.said());
        }
        self.never_waits_for_memory_or_its_turn();
        self.tell(format_args!("{NODES} guests are armed"));
    }

    /// What the unit's settings are for, as the guest's kernel sees it.
    fn never_waits_for_memory_or_its_turn(&self) {
        self.guest(SPARED)
            .say("chrt -p $(pidof ha-sentinel); grep VmLck /proc/$(pidof ha-sentinel)/status");
        let said = self.wait("how the sentinel is scheduled", |story| {
            let said = story.guest(SPARED).said();
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
        self.guest(CUT_AND_FENCED).cut();
        let fault = Instant::now();
        self.tell(format_args!("{} is cut off, and ordered to be fenced", name(CUT_AND_FENCED)));
        let done = self.cluster.fence(CUT_AND_FENCED);
        assert!(done.is_ok(), "{done:?}");
        self.reset(CUT_AND_FENCED, &format!("{CUT}, controllers live"), fault);
    }

    /// Nobody stands for a node that is disarmed, and its sentinel is gone: nothing may come of it.
    pub(crate) fn disarmed_before_it_ends(&mut self) {
        let done = self.cluster.disarm(DISARMED);
        assert!(done.is_ok(), "{done:?}");
        self.wait("a magic close", |story| {
            story.guest(DISARMED).said().contains("watchdog closed").then_some(())
        });
        self.guest(DISARMED).say("kill -TERM $(pidof ha-sentinel)");
        self.disarmed_at = Some(Instant::now());
        self.tell(format_args!("{} is disarmed, and its sentinel ended", name(DISARMED)));
    }

    /// E2 of the node that was cut off: wL after the intent, and not before the reset.
    pub(crate) fn wait_for_the_evidence(&mut self) {
        let evidence = self.wait("E2", |story| {
            let state = story.cluster.state()?;
            let fenced = state["fenced"].as_array()?;
            let of =
                fenced.iter().find(|fenced| fenced["node"] == name(CUT_AND_FENCED).as_str())?;
            of["evidence"].as_str().map(str::to_owned)
        });
        let now = Instant::now();
        self.fenced_at = Some(now);
        self.tell(format_args!("{} is fenced: {evidence}", name(CUT_AND_FENCED)));
        let reset = self.guest(CUT_AND_FENCED).end().expect("it was reset");
        let stood = self.stood(CUT_AND_FENCED).expect("it had a lease");
        let slack = now.duration_since(reset.at).as_secs_f64();
        let waited = now.duration_since(stood.base);
        let wrong = (!evidence.starts_with("E2")).then(|| format!("evidence is {evidence}"));
        let early = waited < self.times.wait_after_intent();
        let early = early.then(|| "the leader did not wait for wL".to_owned());
        self.table.0.push(Row {
            kind: "E2 of that node, by the controllers".to_owned(),
            last: stood.by.to_owned(),
            after: Some(reset.at.duration_since(stood.base).as_secs_f64()),
            bound: Some(waited.as_secs_f64()),
            notes: format!(
                "bound is when E2 was committed (wL {:.1} s); {slack:.1} s after the reset",
                self.times.wait_after_intent().as_secs_f64()
            ),
            wrong: wrong.or(early),
        });
    }

    /// All controllers are killed: peers keep everybody alive for three lease times, and a node that is cut off meanwhile
    /// resets itself.
    pub(crate) fn all_controllers_gone(&mut self) {
        self.cluster.kill_all();
        let fault = Instant::now();
        self.tell(format_args!("all controllers are killed"));
        let half = self.times.lease * 3 / 2;
        self.pass_until(fault + half);
        self.guest(CUT_FROM_PEERS).cut();
        self.tell(format_args!("{} is cut off from its peers", name(CUT_FROM_PEERS)));
        self.reset(CUT_FROM_PEERS, &format!("{CUT}, all controllers dead"), Instant::now());
        self.pass_until(fault + self.times.lease * 3);
        let survivors = [KILLED, STOPPED, CRASHED, TERMINATED, ORDERED, SPARED];
        let gone: Vec<String> =
            survivors.into_iter().filter(|number| !self.lives(*number)).map(name).collect();
        let stood = self.stood(SPARED).expect("it was vouched for");
        let wrong = (!gone.is_empty()).then(|| format!("gone: {}", gone.join(", ")));
        let not_by_peers = (stood.by != "vouch").then(|| "no vouches were seen".to_owned());
        self.table.0.push(Row {
            kind: format!("all controllers dead, {} nodes vouch", survivors.len()),
            last: stood.by.to_owned(),
            after: None,
            bound: None,
            notes: format!(
                "no reset for {:.0} s = {:.1} L",
                fault.elapsed().as_secs_f64(),
                fault.elapsed().as_secs_f64() / self.times.lease.as_secs_f64()
            ),
            wrong: wrong.or(not_by_peers),
        });
    }

    /// The controllers start again with what they knew, and give leases.
    pub(crate) fn controllers_are_back(&mut self) {
        CONTROLLERS.into_iter().for_each(|id| self.cluster.start(id));
        let started = Instant::now();
        self.wait("leases of all that live", |story| {
            let leased = |number: &u8| {
                let stood = story.stood(*number)?;
                (stood.by == "lease" && stood.base > started).then_some(())
            };
            let all = [KILLED, STOPPED, CRASHED, TERMINATED, ORDERED, SPARED];
            all.iter().map(leased).collect::<Option<Vec<()>>>().map(|_| ())
        });
        self.tell(format_args!("the controllers are back, all have a lease again"));
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
            self.guest(number).say(line);
            faults.push((number, kind, Instant::now()));
        }
        self.tell(format_args!("sentinels are killed, stopped and ended, a kernel crashes"));
        for (number, kind, fault) in faults {
            self.reset(number, kind, fault);
        }
        self.ordered();
    }

    /// The last node learns of its own intent, over the network that works.
    fn ordered(&mut self) {
        let done = self.cluster.fence(ORDERED);
        let fault = Instant::now();
        match done {
            Ok(_) => self.reset(ORDERED, "own intent read in the log", fault),
            Err(failure) => self.tell(format_args!("not fenced by hand: {failure}")),
        }
    }

    /// Those that had to live do; then all ends.
    pub(crate) fn end(mut self) -> Table {
        let since = self.disarmed_at.expect("it was disarmed");
        self.pass_until(since + self.times.watchdog * 3);
        let lives = self.guest(DISARMED).end().is_none() && self.guest(DISARMED).answers(PATIENCE);
        self.table.0.push(Row {
            kind: "SIGTERM after a committed disarm".to_owned(),
            last: "-".to_owned(),
            after: None,
            bound: None,
            notes: format!("no reset for {:.0} s", since.elapsed().as_secs_f64()),
            wrong: (!lives).then(|| "it does not live".to_owned()),
        });
        self.held_by_another();
        let lives = self.lives(SPARED);
        self.table.0.push(Row {
            kind: "nothing was done to it".to_owned(),
            last: "lease".to_owned(),
            after: None,
            bound: None,
            notes: format!("no reset for {:.0} s", self.began.elapsed().as_secs_f64()),
            wrong: (!lives).then(|| "it does not live".to_owned()),
        });
        let table = std::mem::take(&mut self.table);
        let dir = self.cluster.dir.clone();
        self.guests.clear();
        drop(self);
        if table.missed().is_empty() {
            let _ = std::fs::remove_dir_all(dir);
        } else {
            println!("files are kept in {}", dir.display());
        }
        table
    }

    /// Another program has the device of the node that was disarmed, and it is to be armed again: the sentinel says so,
    /// and the node stays unarmed.
    fn held_by_another(&mut self) {
        self.guest(DISARMED).say("(while echo; do sleep 1; done) >/dev/watchdog0 &");
        self.guest(DISARMED).say("sentinel");
        let done = self.cluster.arm(DISARMED);
        assert!(done.is_ok(), "{done:?}");
        self.wait("a sentinel that finds its device in use", |story| {
            story.guest(DISARMED).said().contains("/dev/watchdog0 is in use").then_some(())
        });
        let armed = self.wait("the state", |story| {
            let state = story.cluster.state()?;
            let nodes = state["nodes"].as_array()?;
            nodes.iter().find(|node| node["name"] == name(DISARMED).as_str())?["armed"].as_bool()
        });
        self.table.0.push(Row {
            kind: "another program holds the device".to_owned(),
            last: "-".to_owned(),
            after: None,
            bound: None,
            notes: "the sentinel says so, and is not armed".to_owned(),
            wrong: armed.then(|| "it is armed".to_owned()),
        });
    }

    /// Waits for a guest's reset and measures it.
    fn reset(&mut self, number: u8, kind: &str, fault: Instant) {
        let cut = kind.starts_with(CUT);
        let age = self.stood(number).map(|stood| fault.saturating_duration_since(stood.base));
        let most = self.bound(self.times.lease) * 2;
        let until = Instant::now() + most;
        while self.guest(number).end().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        let (end, stood) = (self.guest(number).end(), self.stood(number));
        let bound = self.bound(stood.map_or(self.times.lease, |stood| stood.term));
        let after = end.zip(stood).map(|(end, stood)| end.at.duration_since(stood.base));
        let by = match end.map(|end| end.cause) {
            Some(Cause::Watchdog) => "by the watchdog",
            Some(Cause::Sentinel) => "by the sentinel",
            None => "never",
        };
        let since = end.map_or(Duration::ZERO, |end| end.at.saturating_duration_since(fault));
        // A guest that dies before its time was starved by this machine, and shows nothing.
        let term = stood.map_or(Duration::ZERO, |stood| stood.term);
        let before_fault = end.is_some_and(|end| end.at < fault);
        let before_term = cut && after.is_some_and(|after| after < term);
        let early = before_fault || before_term;
        let (by_whom, aged) = (stood.map_or("-", |stood| stood.by), age.unwrap_or_default());
        self.tell(format_args!(
            "{}: reset {by}, {:.1} s after the fault",
            name(number),
            since.as_secs_f64()
        ));
        self.table.0.push(Row {
            kind: kind.to_owned(),
            last: format!("{by_whom} {:.1} s", aged.as_secs_f64()),
            after: after.map(|after| after.as_secs_f64()),
            bound: Some(bound.as_secs_f64()),
            notes: format!("{by}, {:.1} s after the fault", since.as_secs_f64()),
            wrong: early.then(|| "too early: was this machine too busy to feed it?".to_owned()),
        });
    }

    /// L + 3W(1+eps), or C + 3W(1+eps), on a clock that errs: the sums of E2 without what comes after the reset.
    fn bound(&self, term: Duration) -> Duration {
        let zero = Duration::ZERO;
        LeaseTimes { lease: term, quiet: zero, margin: zero, ..self.times }.wait_after_intent()
    }

    fn stood(&self, number: u8) -> Option<Stood> {
        let others = usize::from(NODES) - 1;
        self.cluster.wire.ledger().stood(id(number), others, &self.times)
    }

    /// Whether its sentinel was heard a moment ago, and it was never reset.
    fn lives(&self, number: u8) -> bool {
        let heard = self.cluster.wire.ledger().heard(id(number));
        let lately = heard.is_some_and(|heard| heard.elapsed() < self.times.renew_every * 5);
        lately && self.guest(number).end().is_none()
    }

    fn guest(&self, number: u8) -> &Guest {
        &self.guests[&number]
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE.max(self.times.wait_after_intent() * 2);
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            if Instant::now() > until {
                let guests =
                    self.guests.iter().map(|(number, guest)| (name(*number), guest.said()));
                for (name, said) in guests {
                    println!("--- {name}\n{said}");
                }
                panic!("never: {what}\n{}", self.cluster.last_words());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn pass_until(&self, at: Instant) {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
    }

    fn tell(&self, what: fmt::Arguments<'_>) {
        println!("{:6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }
}
