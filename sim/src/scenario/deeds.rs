//! Commands that do something to the world.

use std::time::Duration;

use controller::effect::Network;
use uuid::Uuid;

use super::parse::duration;
use super::{checks, links, nova};
use crate::bmc::Behaviour;
use crate::fault::{Deed, Sabotage};
use crate::place::Place;
use crate::seat::{DiskFault, Point, Trap};
use crate::world::Plan;

/// Deeds, or deeds to the leader, whoever that is by then.
#[derive(Clone, Debug)]
pub(super) enum Doer {
    Deeds(Vec<Deed>),
    Leader(LeaderDeed),
    /// To the VM of this name.
    Vm(String, VmDeed),
}

/// What happens to a VM, or to what Nova makes of it.
#[derive(Clone, Debug)]
pub(super) enum VmDeed {
    FailsClaim,
    FailsAfterSpawn,
    Refused,
    Deleted,
    Migrated,
    Evacuated,
    Set { state: String, task: Option<String> },
    DiesAtStart,
    Dies,
    StartedOn(u16),
}

impl VmDeed {
    /// The deed to the VM with this id.
    pub(super) fn of(&self, vm: Uuid) -> Deed {
        match self {
            VmDeed::FailsClaim => Deed::NovaFailsClaim(vm),
            VmDeed::FailsAfterSpawn => Deed::NovaFailsAfterSpawn(vm),
            VmDeed::Refused => Deed::NovaRefuses(vm),
            VmDeed::Deleted => Deed::DeleteVm(vm),
            VmDeed::Migrated => Deed::UserMigrates(vm),
            VmDeed::Evacuated => Deed::UserEvacuates(vm),
            VmDeed::Set { state, task } => Deed::SetVm(vm, state.clone(), task.clone()),
            VmDeed::DiesAtStart => Deed::GuestDies(vm),
            VmDeed::Dies => Deed::GuestCrashes(vm),
            VmDeed::StartedOn(node) => Deed::GuestByHand(vm, *node),
        }
    }
}

/// What happens to the leader.
#[derive(Clone, Copy, Debug)]
pub(super) enum LeaderDeed {
    Stop,
    Stall(Option<Duration>),
    Pause(Option<Duration>),
    Trap(Trap),
    Partition,
    Disk(DiskFault),
    Split,
}

/// A controller that stalls somewhere in its effects goes on after this time.
const LONG: Duration = Duration::from_secs(300);

pub(super) type Read<T> = Result<T, String>;

/// Reads a deed; `None` when there is no such command.
pub(super) fn doer(plan: &Plan, first: &str, words: &[&str]) -> Read<Option<Doer>> {
    let deeds = match first {
        "cut" | "heal" | "lossy" | "delay" | "twice" | "jitter" | "deaf" | "flap" | "island"
        | "network" | "split" | "join" | "apart" | "together" => links::deeds(plan, first, words),
        "power" => power(plan, words),
        "bmc" => bmc(plan, words),
        "crash" => crash(plan, words),
        "stall" | "resume" | "kill" | "start" => program(plan, first, words),
        "nova" | "glance" | "user" | "guest" => return nova::doer(plan, first, words).map(Some),
        "check" => checks::deeds(plan, words),
        "watchdog" => watchdog(plan, words),
        "drift" => drift(plan, words),
        "disk" => return disk(plan, words).map(Some),
        "sabotage" => sabotage(words),
        "step-clock" => step_clock(plan, words),
        "controller" => return controller(plan, words).map(Some),
        _ => return Ok(None),
    };
    deeds.map(|deeds| Some(Doer::Deeds(deeds)))
}

pub(super) fn usage(text: &str) -> String {
    format!("write `{text}`")
}

/// A node's number by its name.
pub(super) fn node(name: &str, most: u16) -> Read<u16> {
    match Place::named(name) {
        Some(Place::Node(number)) if number <= most => Ok(number),
        Some(Place::Node(_) | Place::Controller(_)) | None => {
            Err(format!("`{name}` is no node; there are node-1 to node-{most}"))
        }
    }
}

pub(super) fn place(plan: &Plan, name: &str) -> Read<Place> {
    match Place::named(name) {
        Some(Place::Controller(number)) if number <= plan.controllers => {
            Ok(Place::Controller(number))
        }
        _ => node(name, plan.nodes).map(Place::Node),
    }
}

pub(super) fn network(plan: &Plan, name: &str) -> Read<Network> {
    let networks = plan.matrix.networks();
    let place = networks.iter().position(|known| known == name);
    let place = place
        .ok_or_else(|| format!("`{name}` is no network; there are {}", networks.join(", ")))?;
    Ok(Network(u8::try_from(place).unwrap_or(u8::MAX)))
}

fn crash(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    match words {
        [name] => Ok(vec![Deed::Crash(node(name, plan.nodes)?)]),
        [name, "dumps", span] => Ok(vec![Deed::Dump(node(name, plan.nodes)?, duration(span)?)]),
        _ => Err(usage("crash NODE [dumps 40s]")),
    }
}

fn power(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    match words {
        [name, "off"] => Ok(vec![Deed::PowerOff(node(name, plan.nodes)?, false)]),
        [name, "feed-off"] => Ok(vec![Deed::PowerOff(node(name, plan.nodes)?, true)]),
        [name, "on"] => Ok(vec![Deed::PowerOn(node(name, plan.nodes)?)]),
        _ => Err(usage("power NODE off|feed-off|on")),
    }
}

fn bmc(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    let usage = || {
        usage("bmc NODE[/2] silent|stuck|lies|says-on|slow=3s|foreign|replaced|refuses|vague|ok")
    };
    let [name, word] = words else { return Err(usage()) };
    let behaviour = match *word {
        "silent" => Behaviour::Silent,
        "stuck" => Behaviour::Stuck,
        "lies" => Behaviour::Lies,
        "foreign" => Behaviour::Foreign,
        "replaced" => Behaviour::Replaced,
        "refuses" => Behaviour::Refuses,
        "says-on" => Behaviour::SaysOn,
        "vague" => Behaviour::Vague,
        "ok" => Behaviour::Obeys,
        word => match word.split_once('=') {
            Some(("slow", by)) => Behaviour::Slow(duration(by)?),
            _ => return Err(usage()),
        },
    };
    let (name, level) = match name.split_once('/') {
        Some((name, "2")) => (name, 2),
        Some(_) => return Err(usage()),
        None => (*name, 1),
    };
    Ok(vec![Deed::Bmc(node(name, plan.nodes)?, level, behaviour)])
}

fn program(plan: &Plan, verb: &str, words: &[&str]) -> Read<Vec<Deed>> {
    let usage = || {
        usage(
            "stall|resume NODE, or stall|resume|kill|start sentinel@NODE|agent@NODE [at=feed|at=after-feed] [for=3s]",
        )
    };
    let (target, at, span) = match words {
        [target] => (target, "", None),
        [target, at @ ("at=feed" | "at=after-feed"), span] => {
            (target, *at, Some(lasting(span).ok_or_else(usage)?))
        }
        [target, span] => (target, "", Some(lasting(span).ok_or_else(usage)?)),
        _ => return Err(usage()),
    };
    let (program, name) = target.split_once('@').unwrap_or(("node", target));
    let number = node(name, plan.nodes)?;
    let deed = match (verb, program) {
        ("stall", "node") => Deed::Hang(number),
        ("resume", "node") => Deed::Unhang(number),
        ("stall", "sentinel") => match (span, at) {
            (Some(span), "at=feed") => Deed::StallAtFeed(number, span),
            (Some(span), "at=after-feed") => Deed::StallAfterFeed(number, span),
            (span, _) => Deed::StallSentinel(number, span),
        },
        ("resume", "sentinel") => Deed::ResumeSentinel(number),
        ("kill", "sentinel") => Deed::KillSentinel(number),
        ("start", "sentinel") => Deed::StartSentinel(number),
        ("stall", "agent") => Deed::StallAgent(number, span),
        ("resume", "agent") => Deed::ResumeAgent(number),
        ("kill", "agent") => Deed::KillAgent(number),
        ("start", "agent") => Deed::StartAgent(number),
        _ => return Err(usage()),
    };
    Ok(vec![deed])
}

/// `for=3s`.
fn lasting(word: &str) -> Option<Duration> {
    duration(word.strip_prefix("for=")?).ok()
}

fn sabotage(words: &[&str]) -> Read<Vec<Deed>> {
    let sabotage = match words {
        ["no-gate"] => Sabotage::NoGate,
        ["posts-twice"] => Sabotage::PostsTwice,
        ["fast-clocks"] => Sabotage::FastClocks,
        ["forgetful-disks"] => Sabotage::ForgetfulDisks,
        ["late-effects"] => Sabotage::LateEffects,
        _ => {
            return Err(usage(
                "sabotage no-gate|posts-twice|fast-clocks|forgetful-disks|late-effects",
            ));
        }
    };
    Ok(vec![Deed::Sabotage(sabotage)])
}

fn step_clock(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    let usage = || usage("step-clock NODE +90s|-90s");
    let [name, by] = words else { return Err(usage()) };
    let place = place(plan, name)?;
    let (sign, span) = match by.split_at_checked(1) {
        Some(("+", span)) => (1, span),
        Some(("-", span)) => (-1, span),
        Some(_) | None => return Err(usage()),
    };
    let ms = i64::try_from(duration(span)?.as_millis()).unwrap_or(i64::MAX);
    Ok(vec![Deed::StepClock(place, sign * ms)])
}

fn watchdog(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    match words {
        [name, "dead"] => Ok(vec![Deed::DeadWatchdog(node(name, plan.nodes)?)]),
        _ => Err(usage("watchdog NODE dead")),
    }
}

fn drift(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    let usage = || usage("drift NODE|controller-N +900ppm|-900ppm");
    let [name, by] = words else { return Err(usage()) };
    let ppm = by.strip_suffix("ppm").and_then(|ppm| ppm.parse().ok()).ok_or_else(usage)?;
    Ok(vec![Deed::Drift(place(plan, name)?, ppm)])
}

fn disk(plan: &Plan, words: &[&str]) -> Read<Doer> {
    let usage = || {
        usage(
            "disk controller-N|leader full|eio|torn|unsynced|damaged|ok, or disk controller-N copy|restore",
        )
    };
    let [name, word] = words else { return Err(usage()) };
    let fault = match *word {
        "full" => Some(DiskFault::Full),
        "eio" => Some(DiskFault::Once),
        "torn" => Some(DiskFault::Torn),
        "unsynced" => Some(DiskFault::Unsynced),
        "damaged" => Some(DiskFault::Damaged),
        _ => None,
    };
    if let ("leader", Some(fault)) = (*name, fault) {
        return Ok(Doer::Leader(LeaderDeed::Disk(fault)));
    }
    let Place::Controller(number) = place(plan, name)? else { return Err(usage()) };
    let deed = match (*word, fault) {
        (_, Some(_)) | ("ok", None) => Deed::Disk(number, fault),
        ("copy", None) => Deed::DiskImage(number, false),
        ("restore", None) => Deed::DiskImage(number, true),
        _ => return Err(usage()),
    };
    Ok(Doer::Deeds(vec![deed]))
}

fn controller(plan: &Plan, words: &[&str]) -> Read<Doer> {
    let usage = || {
        usage(
            "controller N|leader|all stop|start|stall|pause|resume|partition|heal|split|join|disk-fails \
             [at=[after-]off|read|force-down|evacuate|persist] [for=5s]",
        )
    };
    let [who, verb, rest @ ..] = words else { return Err(usage()) };
    let (mut at, mut span) = (None, None);
    for word in rest {
        match word.split_once('=') {
            Some(("at", _)) => at = Some(trap(word)?),
            Some(("for", text)) => span = Some(duration(text)?),
            _ => return Err(usage()),
        }
    }
    let pause = *verb == "pause";
    let held = |trap: Trap| Trap { stall: Some(span.unwrap_or(LONG)), pause, ..trap };
    if *who == "leader" {
        return Ok(Doer::Leader(match (*verb, at) {
            ("stop", None) => LeaderDeed::Stop,
            ("stop", Some(trap)) => LeaderDeed::Trap(trap),
            ("stall", None) => LeaderDeed::Stall(span),
            ("pause", None) => LeaderDeed::Pause(span),
            ("stall" | "pause", Some(trap)) => LeaderDeed::Trap(held(trap)),
            ("partition", None) => LeaderDeed::Partition,
            ("split", None) => LeaderDeed::Split,
            _ => return Err(usage()),
        }));
    }
    let numbers: Vec<u8> = if *who == "all" {
        (1..=plan.controllers).collect()
    } else {
        let number = who.parse().ok().filter(|number| (1..=plan.controllers).contains(number));
        vec![number.ok_or_else(|| {
            format!("`{who}`: controllers are 1 to {}, leader or all", plan.controllers)
        })?]
    };
    let mut deeds = Vec::new();
    for number in numbers {
        match (*verb, at) {
            ("stop", None) => deeds.push(Deed::StopController(number)),
            ("stop", Some(trap)) => deeds.push(Deed::Trap(number, trap)),
            ("start", None) => deeds.push(Deed::StartController(number)),
            ("stall", None) => deeds.push(Deed::StallController(number, span)),
            ("pause", None) => deeds.push(Deed::PauseController(number, span)),
            ("stall" | "pause", Some(trap)) => deeds.push(Deed::Trap(number, held(trap))),
            ("resume", None) => deeds.push(Deed::ResumeController(number)),
            ("disk-fails", None) => deeds.push(Deed::DiskFails(number)),
            ("partition", None) => deeds.extend(partition(plan, number, true)),
            ("heal", None) => deeds.extend(partition(plan, number, false)),
            ("split", None) => deeds.extend(split(plan, number, true)),
            ("join", None) => deeds.extend(split(plan, number, false)),
            _ => return Err(usage()),
        }
    }
    Ok(Doer::Deeds(deeds))
}

/// Cuts a controller off from everything, or joins it again.
pub(super) fn partition(plan: &Plan, number: u8, apart: bool) -> Vec<Deed> {
    let place = Place::Controller(number);
    let networks = (0..plan.networks()).map(Network);
    let deed =
        |network| if apart { Deed::Cut(place, network, None) } else { Deed::Heal(place, network) };
    networks.map(deed).collect()
}

/// Keeps a controller and the others from speaking to each other, and to nobody else.
pub(super) fn split(plan: &Plan, number: u8, apart: bool) -> Vec<Deed> {
    let others = (1..=plan.controllers).filter(|other| *other != number);
    others.map(|other| Deed::Split(number, other, apart)).collect()
}

fn trap(at: &str) -> Read<Trap> {
    let allowed = || {
        "at=POINT is one of off, after-off, read, after-read, force-down, after-force-down, evacuate, \
         after-evacuate, persist, after-persist"
            .to_owned()
    };
    let point = at.strip_prefix("at=").ok_or_else(allowed)?;
    let (after, point) = match point.strip_prefix("after-") {
        Some(point) => (true, point),
        None => (false, point),
    };
    let point = match point {
        "off" => Point::Off,
        "read" => Point::Read,
        "force-down" => Point::ForceDown,
        "evacuate" => Point::Evacuate,
        "persist" => Point::Persist,
        _ => return Err(allowed()),
    };
    Ok(Trap { point, after, stall: None, pause: false })
}
