//! E1 over real devices: the steps of `fencing::e1` driven by real time and real sockets.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod agent;

use std::time::{Duration, Instant};

use fencing::bmc::proxy::Ways;
use fencing::bmc::{Ask, Identity, Level, Reply};
use fencing::e1::PowerOff;
use tokio::time::sleep;

/// One question ends within this time, as the controller's core has it.
pub(crate) const ANSWERS: Duration = Duration::from_secs(10);
/// How often it is looked what is to be done.
const TURN: Duration = Duration::from_millis(20);

/// What came of a fence.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the first question to the evidence, if it came.
    pub(crate) evidence: Option<Duration>,
    /// Why there is none, in E1's words; empty where nothing was wrong.
    pub(crate) trouble: String,
    /// Offs that were asked for.
    pub(crate) offs: u32,
}

/// Fences by E1 until there is evidence or `patience` is over. `speaks` says, a few times a second,
/// whether the node itself was heard.
pub(crate) async fn fence(
    level: &Level,
    enrolled: Identity,
    patience: Duration,
    speaks: impl Fn() -> bool,
) -> Outcome {
    fence_within(ANSWERS, level, enrolled, patience, speaks).await
}

/// As [`fence`], with a time for each question: programs of others start slowly on a busy machine.
pub(crate) async fn fence_within(
    answers: Duration,
    level: &Level,
    enrolled: Identity,
    patience: Duration,
    speaks: impl Fn() -> bool,
) -> Outcome {
    fence_by(answers, level, enrolled, patience, speaks, None).await
}

/// As [`fence_within`], by way of proxies.
pub(crate) async fn fence_by(
    answers: Duration,
    level: &Level,
    enrolled: Identity,
    patience: Duration,
    speaks: impl Fn() -> bool,
    ways: Option<&Ways>,
) -> Outcome {
    let start = Instant::now();
    let mut power = PowerOff::new(Duration::ZERO, enrolled);
    let mut offs = 0;
    let mut evidence = None;
    while evidence.is_none() && start.elapsed() < patience {
        if speaks() {
            power.node_heard(start.elapsed());
        }
        let Some(ask) = power.next(start.elapsed()) else {
            sleep(TURN).await;
            continue;
        };
        offs += u32::from(ask == Ask::Off);
        let left = patience.saturating_sub(start.elapsed()).max(Duration::from_secs(1));
        let reply = level.ask_by(ask, Some(enrolled), left.min(answers), ways).await;
        if speaks() {
            power.node_heard(start.elapsed());
        }
        evidence = power.answered(start.elapsed(), &reply).map(|_| start.elapsed());
    }
    let trouble = power.trouble().map(ToString::to_string).unwrap_or_default();
    Outcome { evidence, trouble, offs }
}

/// Who a level is, by a read, as at its enrolment.
pub(crate) async fn enrol(level: &Level) -> Option<Identity> {
    match level.ask(Ask::Read, None, ANSWERS).await {
        Reply::Read { identity, .. } => identity,
        Reply::OffSent { .. } | Reply::Failed(_) => None,
    }
}
