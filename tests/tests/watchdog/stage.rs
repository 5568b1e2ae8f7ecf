//! Where a play happens: controllers, guests, what was said between them, and the table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use fencing::lease::LeaseTimes;
use serde_json::Value;

use super::cluster::{CONTROLLERS, Cluster, Plan, host, id, name};
use super::guest::{Cause, Guest, Hardware};
use super::ledger::Stood;
use super::parts::Parts;
use super::table::{Row, Table};

/// A kind in which nothing but the lease or the vouch ends the node.
pub(crate) const CUT: &str = "network cut";
/// Software emulation on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Guests that boot at the same time: more would only be slower together.
const AT_ONCE: usize = 3;

/// The stage. All that runs on it ends when it is dropped.
pub(crate) struct Stage {
    /// Before the cluster, so that a guest ends before the wire does.
    pub(crate) guests: BTreeMap<u8, Guest>,
    pub(crate) cluster: Cluster,
    pub(crate) times: LeaseTimes,
    pub(crate) table: Table,
    pub(crate) began: Instant,
}

impl Stage {
    /// Starts the controllers, then the guests, each with what `kit` says; returns when all of them have booted.
    pub(crate) fn begin(
        parts: &Parts,
        times: LeaseTimes,
        plan: Plan,
        play: &str,
        kit: impl Fn(u8) -> Hardware,
    ) -> Self {
        let began = Instant::now();
        let dir =
            std::env::temp_dir().join(format!("holdfast-watchdog-{play}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory");
        let nodes = plan.nodes();
        let mut cluster = Cluster::new(&dir, &parts.controller, plan, times);
        CONTROLLERS.into_iter().for_each(|id| cluster.start(id));
        let (guests, table) = (BTreeMap::new(), Table::default());
        let mut stage = Self { guests, cluster, times, table, began };
        stage.tell(format_args!(
            "L {} s, C {} s, W {} s; guests in {}",
            times.lease.as_secs(),
            times.vouch.as_secs(),
            times.watchdog.as_secs(),
            dir.display()
        ));
        let common = parts.archive(&dir);
        for number in 1..=nodes {
            let mut archive = common.clone();
            for (path, text) in stage.cluster.node_files(number) {
                archive.private(path, &text);
            }
            let hardware = kit(number);
            parts.extras(&hardware, &mut archive, &dir, &stage.cluster.node_files(number));
            std::fs::write(dir.join(format!("{}.cpio", name(number))), archive.finish())
                .expect("written");
            let plug = stage.cluster.wire.plug(host(number));
            let guest = Guest::start(&dir, &name(number), &parts.kernel, plug, &hardware);
            stage.guests.insert(number, guest);
            stage.wait("fewer guests boot", |stage| {
                let booting = |guest: &&Guest| !guest.said().contains("GUEST ready");
                (stage.guests.values().filter(booting).count() < AT_ONCE).then_some(())
            });
        }
        stage.wait("all guests boot", |stage| {
            stage.guests.values().all(|guest| guest.said().contains("GUEST ready")).then_some(())
        });
        stage
    }

    /// Waits until the registry has armed so many boots: their devices are open, with the time that they were told.
    pub(crate) fn armed(&self, count: usize) {
        self.wait("all armed", |stage| {
            let state = stage.cluster.state()?;
            let armed = state["nodes"].as_array()?.iter().filter(|node| node["armed"] == true);
            (armed.count() == count).then_some(())
        });
    }

    /// A node as the leader sees it.
    pub(crate) fn node(&self, number: u8) -> Option<Value> {
        let state = self.cluster.state()?;
        let nodes = state["nodes"].as_array()?;
        nodes.iter().find(|node| node["name"] == name(number).as_str()).cloned()
    }

    /// The newest incident of a node, as the leader sees it.
    pub(crate) fn incident(&self, number: u8) -> Option<Value> {
        let state = self.cluster.state()?;
        let incidents = state["incidents"].as_array()?.iter();
        let of = incidents.filter(|incident| incident["node"] == name(number).as_str());
        of.max_by_key(|incident| incident["id"].as_u64()).cloned()
    }

    /// Waits for a guest's reset and measures it.
    pub(crate) fn reset(&mut self, number: u8, kind: &str, fault: Instant) {
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
    pub(crate) fn bound(&self, term: Duration) -> Duration {
        let zero = Duration::ZERO;
        LeaseTimes { lease: term, quiet: zero, margin: zero, ..self.times }.wait_after_intent()
    }

    /// The last that kept it alive.
    pub(crate) fn stood(&self, number: u8) -> Option<Stood> {
        let others = self.guests.len().saturating_sub(1);
        self.cluster.wire.ledger().stood(id(number), others, &self.times)
    }

    /// Whether its sentinel was heard a moment ago, and it was never reset.
    pub(crate) fn lives(&self, number: u8) -> bool {
        let heard = self.cluster.wire.ledger().heard(id(number));
        let lately = heard.is_some_and(|heard| heard.elapsed() < self.times.renew_every * 5);
        lately && self.guest(number).end().is_none()
    }

    pub(crate) fn guest(&self, number: u8) -> &Guest {
        &self.guests[&number]
    }

    /// Looks until something is there, for as long as a busy machine may take.
    pub(crate) fn wait<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
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

    pub(crate) fn pass_until(&self, at: Instant) {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
    }

    pub(crate) fn tell(&self, what: fmt::Arguments<'_>) {
        println!("{:6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// Ends all; the files stay where something was missed.
    pub(crate) fn end(mut self) -> Table {
        let table = std::mem::take(&mut self.table);
        let dir = self.cluster.dir.clone();
        drop(self);
        if table.missed().is_empty() {
            let _ = std::fs::remove_dir_all(dir);
        } else {
            println!("files are kept in {}", dir.display());
        }
        table
    }
}
