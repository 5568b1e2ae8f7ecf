//! Commands that do something to the world.

use std::time::Duration;

use controller::effect::Network;

use super::parse::duration;
use crate::bmc::Behaviour;
use crate::fault::{Deed, Sabotage};
use crate::place::Place;
use crate::seat::{Point, Trap};
use crate::wire::Way;
use crate::world::Plan;

/// Deeds, or deeds to the leader, whoever that is by then.
#[derive(Clone, Debug)]
pub(super) enum Doer {
    Deeds(Vec<Deed>),
    Leader(LeaderDeed),
}

/// What happens to the leader.
#[derive(Clone, Copy, Debug)]
pub(super) enum LeaderDeed {
    Stop,
    Stall,
    Trap(Trap),
    Partition,
    Split,
}

/// A controller that stalls somewhere in its effects goes on after this time.
const LONG: Duration = Duration::from_secs(300);

type Read<T> = Result<T, String>;

/// Reads a deed; `None` when there is no such command.
pub(super) fn doer(plan: &Plan, first: &str, words: &[&str]) -> Read<Option<Doer>> {
    let deeds = match first {
        "cut" => links(plan, words)?.map_or(
            Err(usage("cut NODE NETWORK[, NETWORK] [in|out]")),
            |links| {
                Ok(links
                    .into_iter()
                    .map(|(place, network, way)| Deed::Cut(place, network, way))
                    .collect())
            },
        ),
        "heal" => links(plan, words)?.map_or(Err(usage("heal NODE NETWORK[, NETWORK]")), |links| {
            Ok(links.into_iter().map(|(place, network, _)| Deed::Heal(place, network)).collect())
        }),
        "apart" => apart(plan, words, true),
        "together" => apart(plan, words, false),
        "lossy" => lossy(plan, words),
        "delay" => delay(plan, words),
        "network" => dark(plan, words),
        "power" => power(plan, words),
        "bmc" => bmc(plan, words),
        "stall" | "resume" | "kill" | "start" => program(plan, first, words),
        "nova" => nova(words),
        "sabotage" => sabotage(words),
        "step-clock" => step_clock(plan, words),
        "controller" => return controller(plan, words).map(Some),
        _ => return Ok(None),
    };
    deeds.map(|deeds| Some(Doer::Deeds(deeds)))
}

fn usage(text: &str) -> String {
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

fn place(plan: &Plan, name: &str) -> Read<Place> {
    match Place::named(name) {
        Some(Place::Controller(number)) if number <= plan.controllers => {
            Ok(Place::Controller(number))
        }
        _ => node(name, plan.nodes).map(Place::Node),
    }
}

fn network(plan: &Plan, name: &str) -> Read<Network> {
    let networks = plan.matrix.networks();
    let place = networks.iter().position(|known| known == name);
    let place = place
        .ok_or_else(|| format!("`{name}` is no network; there are {}", networks.join(", ")))?;
    Ok(Network(u8::try_from(place).unwrap_or(u8::MAX)))
}

type Link = (Place, Network, Option<Way>);

fn links(plan: &Plan, words: &[&str]) -> Read<Option<Vec<Link>>> {
    let Some((name, rest)) = words.split_first() else { return Ok(None) };
    let (rest, way) = match rest.split_last() {
        Some((&"in", rest)) => (rest, Some(Way::In)),
        Some((&"out", rest)) => (rest, Some(Way::Out)),
        _ => (rest, None),
    };
    if rest.is_empty() {
        return Ok(None);
    }
    let place = place(plan, name)?;
    let names = rest.iter().flat_map(|word| word.split(',')).filter(|name| !name.is_empty());
    names.map(|name| Ok((place, network(plan, name)?, way))).collect::<Read<_>>().map(Some)
}

fn lossy(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    let usage = || usage("lossy NODE NETWORK PERCENT, or lossy everywhere PERCENT");
    let percent = |text: &str| text.trim_end_matches('%').parse::<u32>().map_err(|_| usage());
    if let ["everywhere", all] = words {
        return Ok(vec![Deed::Background(percent(all)?.min(100) * 10)]);
    }
    let [name, on, text] = words else { return Err(usage()) };
    let percent = percent(text)?;
    Ok(vec![Deed::Lossy(place(plan, name)?, network(plan, on)?, percent.min(100) * 10)])
}

fn delay(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    let usage = || usage("delay NODE NETWORK[,NETWORK] in|out DURATION");
    let [name, on, way, by] = words else { return Err(usage()) };
    let (place, by) = (place(plan, name)?, duration(by)?);
    let way = match *way {
        "in" => Way::In,
        "out" => Way::Out,
        _ => return Err(usage()),
    };
    let networks = on.split(',');
    networks.map(|on| Ok(Deed::Delay(place, network(plan, on)?, way, by))).collect()
}

fn apart(plan: &Plan, words: &[&str], apart: bool) -> Read<Vec<Deed>> {
    let usage = || usage("apart|together NODE[,NODE] NODE[,NODE] NETWORK[,NETWORK]");
    let [some, others, networks] = words else { return Err(usage()) };
    let places =
        |list: &str| list.split(',').map(|name| place(plan, name)).collect::<Read<Vec<_>>>();
    let (some, others) = (places(some)?, places(others)?);
    let networks = networks.split(',').map(|name| network(plan, name)).collect::<Read<Vec<_>>>()?;
    let mut deeds = Vec::new();
    for one in &some {
        for other in others.iter().filter(|other| *other != one) {
            let deed = |network: &Network| Deed::Apart(*one, *other, *network, apart);
            deeds.extend(networks.iter().map(deed));
        }
    }
    Ok(deeds)
}

fn dark(plan: &Plan, words: &[&str]) -> Read<Vec<Deed>> {
    match words {
        [name, "off"] => Ok(vec![Deed::Dark(network(plan, name)?, true)]),
        [name, "on"] => Ok(vec![Deed::Dark(network(plan, name)?, false)]),
        _ => Err(usage("network NETWORK off|on")),
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
    let usage = || usage("bmc NODE silent|stuck|lies|slow=3s|foreign|refuses|vague|ok");
    let [name, word] = words else { return Err(usage()) };
    let behaviour = match *word {
        "silent" => Behaviour::Silent,
        "stuck" => Behaviour::Stuck,
        "lies" => Behaviour::Lies,
        "foreign" => Behaviour::Foreign,
        "refuses" => Behaviour::Refuses,
        "vague" => Behaviour::Vague,
        "ok" => Behaviour::Obeys,
        word => match word.split_once('=') {
            Some(("slow", by)) => Behaviour::Slow(duration(by)?),
            _ => return Err(usage()),
        },
    };
    Ok(vec![Deed::Bmc(node(name, plan.nodes)?, behaviour)])
}

fn program(plan: &Plan, verb: &str, words: &[&str]) -> Read<Vec<Deed>> {
    if let ([point @ ("at-feed" | "after-feed"), target, span], "stall") = (words, verb) {
        let usage = || usage("stall at-feed|after-feed sentinel@NODE DURATION");
        let name = target.strip_prefix("sentinel@").ok_or_else(usage)?;
        let (number, span) = (node(name, plan.nodes)?, duration(span)?);
        return Ok(vec![match *point {
            "at-feed" => Deed::StallAtFeed(number, span),
            _ => Deed::StallAfterFeed(number, span),
        }]);
    }
    let [target] = words else {
        return Err(usage("stall|resume|kill|start NODE|sentinel@NODE|agent@NODE"));
    };
    let (program, name) = target.split_once('@').unwrap_or(("node", target));
    let number = node(name, plan.nodes)?;
    let deed = match (verb, program) {
        ("stall", "node") => Deed::Hang(number),
        ("resume", "node") => Deed::Unhang(number),
        ("stall", "sentinel") => Deed::StallSentinel(number, None),
        ("resume", "sentinel") => Deed::ResumeSentinel(number),
        ("kill", "sentinel") => Deed::KillSentinel(number),
        ("start", "sentinel") => Deed::StartSentinel(number),
        ("stall", "agent") => Deed::StallAgent(number, None),
        ("resume", "agent") => Deed::ResumeAgent(number),
        ("kill", "agent") => Deed::KillAgent(number),
        ("start", "agent") => Deed::StartAgent(number),
        _ => {
            return Err(usage(
                "stall|resume NODE, or stall|resume|kill|start sentinel@NODE|agent@NODE",
            ));
        }
    };
    Ok(vec![deed])
}

fn nova(words: &[&str]) -> Read<Vec<Deed>> {
    let usage = || usage("nova down|slow=5s|loses=N|fails=N|ok");
    let [word] = words else { return Err(usage()) };
    Ok(match word.split_once('=') {
        None if *word == "down" => vec![Deed::NovaDown(true)],
        None if *word == "ok" => {
            vec![Deed::NovaDown(false), Deed::NovaSlow(Duration::ZERO)]
        }
        Some(("slow", by)) => vec![Deed::NovaSlow(duration(by)?)],
        Some(("loses", n)) => vec![Deed::NovaLoses(n.parse().map_err(|_| usage())?)],
        Some(("fails", n)) => vec![Deed::NovaFails(n.parse().map_err(|_| usage())?)],
        Some(_) | None => return Err(usage()),
    })
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

fn controller(plan: &Plan, words: &[&str]) -> Read<Doer> {
    let usage = || {
        usage(
            "controller N|leader|all stop|start|stall|resume|partition|heal|split|join|disk-fails [at=[after-]off|read|force-down|evacuate]",
        )
    };
    let (who, verb, at) = match words {
        [who, verb] => (*who, *verb, None),
        [who, verb, at] => (*who, *verb, Some(trap(at)?)),
        _ => return Err(usage()),
    };
    if who == "leader" {
        return Ok(Doer::Leader(match (verb, at) {
            ("stop", None) => LeaderDeed::Stop,
            ("stop", Some(trap)) => LeaderDeed::Trap(trap),
            ("stall", None) => LeaderDeed::Stall,
            ("stall", Some(trap)) => LeaderDeed::Trap(Trap { stall: Some(LONG), ..trap }),
            ("partition", None) => LeaderDeed::Partition,
            ("split", None) => LeaderDeed::Split,
            _ => return Err(usage()),
        }));
    }
    let numbers: Vec<u8> = if who == "all" {
        (1..=plan.controllers).collect()
    } else {
        let number = who.parse().ok().filter(|number| (1..=plan.controllers).contains(number));
        vec![number.ok_or_else(|| {
            format!("`{who}`: controllers are 1 to {}, leader or all", plan.controllers)
        })?]
    };
    let mut deeds = Vec::new();
    for number in numbers {
        match (verb, at) {
            ("stop", None) => deeds.push(Deed::StopController(number)),
            ("stop", Some(trap)) => deeds.push(Deed::Trap(number, trap)),
            ("start", None) => deeds.push(Deed::StartController(number)),
            ("stall", None) => deeds.push(Deed::StallController(number, None)),
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
        "at=POINT is one of off, after-off, read, after-read, force-down, after-force-down, evacuate, after-evacuate, \
         persist, after-persist"
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
    Ok(Trap { point, after, stall: None })
}
