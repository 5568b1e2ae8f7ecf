//! The other way round: what was done to a world, written as a scenario. What the language has no words for becomes a
//! comment.

use std::fmt::Write as _;
use std::time::Duration;

use api::{Request, Scope};
use controller::core::{Pace, Waits};
use controller::effect::Network;
use fencing::lease::Profile;

use crate::bmc::Behaviour;
use crate::explore::{Act, Step};
use crate::fault::Deed;
use crate::place::Place;
use crate::seat::{DiskFault, Point, Trap};
use crate::wire::Way;
use crate::world::{Finds, Plan};

/// The cluster, its VMs as an exploration places them, and the steps.
pub fn written(plan: &Plan, steps: &[Step]) -> String {
    let mut text = cluster(plan);
    for n in 0..plan.nodes * 2 {
        let _ = writeln!(text, "vm vm-{} on node-{}", n + 1, n % plan.nodes + 1);
    }
    let mut lines: Vec<(Duration, String)> = Vec::new();
    for step in steps {
        for act in &step.acts {
            let (line, back) = match act {
                Act::Deed(deed) => line(plan, deed),
                Act::Order(request) => (order(request), None),
            };
            let unsaid = || format!("# no words for: {act:?}");
            lines.push((step.at, line.unwrap_or_else(unsaid)));
            lines.extend(back.map(|(after, line)| (step.at + after, line)));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut now = None;
    for (at, line) in lines {
        let passed = at.saturating_sub(now.unwrap_or(at)).as_millis();
        if passed > 0 {
            let _ = writeln!(text, "run {passed}ms");
        }
        now = Some(at);
        let _ = writeln!(text, "{line}");
    }
    text
}

fn cluster(plan: &Plan) -> String {
    let profile = if plan.profile == Profile::Fast { "fast" } else { "balanced" };
    let mut text = format!(
        "cluster controllers={} nodes={} domains={} profile={profile} seed={}",
        plan.controllers, plan.nodes, plan.domains, plan.seed
    );
    for (key, nodes) in
        [("without_bmc", &plan.without_bmc), ("without_watchdog", &plan.without_watchdog)]
    {
        let names: Vec<String> = nodes.iter().map(|n| Place::Node(*n).to_string()).collect();
        if !names.is_empty() {
            let _ = write!(text, " {key}={}", names.join(","));
        }
    }
    let (pace, usual) = (plan.recovery.pace, Pace::default());
    let places = [
        ("in_flight", pace.cloud, usual.cloud),
        ("in_flight_per_destination", pace.destination, usual.destination),
        ("hold_after", pace.hold_after, usual.hold_after),
        ("cells", plan.cells.into(), 1),
    ];
    for (key, value, _) in places.into_iter().filter(|(_, value, usual)| value != usual) {
        let _ = write!(text, " {key}={value}");
    }
    if !plan.recovery.reserved.is_empty() {
        let _ = write!(text, " reserved={}", plan.recovery.reserved.join(","));
    }
    text.push('\n');
    if !plan.recovery.policy.rules.is_empty() {
        text.push_str("# a policy was drawn, and what its VMs are for\n");
    }
    if plan.waits.left_alone != Waits::default().left_alone {
        text.push_str("# it was dense: its waits are shorter than those of a scenario\n");
    }
    text
}

type Line = (Option<String>, Option<(Duration, String)>);

/// A deed as a command, and what ends it by itself, where the command has no span.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest is not thrown by dice, or has no words"
)]
fn line(plan: &Plan, deed: &Deed) -> Line {
    let name = |network: &Network| plan.matrix.networks().get(network.place()).cloned();
    let node = |number: &u16| Place::Node(*number);
    let said = |line: String| (Some(line), None);
    let held = |what: String, span: &Option<Duration>| {
        let back = span.map(|span| (span, format!("resume {what}")));
        (Some(format!("stall {what}")), back)
    };
    match deed {
        Deed::Cut(place, network, way) => {
            let way = match way {
                Some(Way::In) => " in",
                Some(Way::Out) => " out",
                None => "",
            };
            (name(network).map(|network| format!("cut {place} {network}{way}")), None)
        }
        Deed::Heal(place, network) => {
            (name(network).map(|network| format!("heal {place} {network}")), None)
        }
        Deed::Lossy(place, network, permille) if permille % 10 == 0 => {
            let percent = permille / 10;
            (name(network).map(|network| format!("lossy {place} {network} {percent}%")), None)
        }
        Deed::Twice(place, network, permille) if permille % 10 == 0 => {
            let percent = permille / 10;
            (name(network).map(|network| format!("twice {place} {network} {percent}%")), None)
        }
        Deed::Jitter(place, network, most) => {
            let ms = most.as_millis();
            (name(network).map(|network| format!("jitter {place} {network} {ms}ms")), None)
        }
        Deed::Deaf(to, from, network) => {
            (name(network).map(|network| format!("deaf {to} {network} {from}")), None)
        }
        Deed::Flap(place, network, every) => {
            let ms = every.as_millis();
            (name(network).map(|network| format!("flap {place} {network} {ms}ms")), None)
        }
        Deed::Disk(number, fault) => {
            said(format!("disk controller-{number} {}", fault.map_or("ok", DiskFault::word)))
        }
        Deed::Drift(place, ppm) => said(format!("drift {place} {ppm:+}ppm")),
        Deed::Compute(number, Some(on), None) => {
            said(format!("nova {} {}", if *on { "enable" } else { "disable" }, node(number)))
        }
        Deed::Background(permille) if permille % 10 == 0 => {
            said(format!("lossy everywhere {}%", permille / 10))
        }
        Deed::Dark(network, dark) => {
            let switch = if *dark { "off" } else { "on" };
            (name(network).map(|network| format!("network {network} {switch}")), None)
        }
        Deed::Split(one, other, apart) => {
            let verb = if *apart { "split" } else { "join" };
            said(format!("{verb} controller-{one} controller-{other}"))
        }
        Deed::PowerOff(number, feed) => {
            said(format!("power {} {}", node(number), if *feed { "feed-off" } else { "off" }))
        }
        Deed::PowerOn(number) => said(format!("power {} on", node(number))),
        Deed::Bmc(number, 2, behaviour) => {
            said(format!("bmc {}/2 {}", node(number), word(*behaviour)))
        }
        Deed::Bmc(number, _, behaviour) => {
            said(format!("bmc {} {}", node(number), word(*behaviour)))
        }
        Deed::Hang(number) => said(format!("stall {}", node(number))),
        Deed::Unhang(number) => said(format!("resume {}", node(number))),
        Deed::StallSentinel(number, span) => held(format!("sentinel@{}", node(number)), span),
        Deed::StallAgent(number, span) => held(format!("agent@{}", node(number)), span),
        Deed::KillSentinel(number) => said(format!("kill sentinel@{}", node(number))),
        Deed::StartSentinel(number) => said(format!("start sentinel@{}", node(number))),
        Deed::KillAgent(number) => said(format!("kill agent@{}", node(number))),
        Deed::StartAgent(number) => said(format!("start agent@{}", node(number))),
        Deed::StopController(number) => said(format!("controller {number} stop")),
        Deed::StartController(number) => said(format!("controller {number} start")),
        Deed::StallController(number, span) => {
            let back = span.map(|span| (span, format!("controller {number} resume")));
            (Some(format!("controller {number} stall")), back)
        }
        Deed::Trap(number, Trap { point, after, stall: None, .. }) => {
            let point = match point {
                Point::Off => "off",
                Point::Read => "read",
                Point::ForceDown => "force-down",
                Point::Evacuate => "evacuate",
                _ => return (None, None),
            };
            let after = if *after { "after-" } else { "" };
            said(format!("controller {number} stop at={after}{point}"))
        }
        Deed::StepClock(place, ms) => {
            let sign = if *ms < 0 { '-' } else { '+' };
            said(format!("step-clock {place} {sign}{}ms", ms.unsigned_abs()))
        }
        Deed::NovaDown(true) => said("nova down".to_owned()),
        Deed::NovaSlow(by) => said(format!("nova slow={}ms", by.as_millis())),
        Deed::NovaLoses(n) => said(format!("nova loses={n}")),
        Deed::NovaFails(n) => said(format!("nova fails={n}")),
        Deed::NovaLate(n, by) => said(format!("nova late={n}:{}ms", by.as_millis())),
        Deed::Check(number, check, finds) => {
            said(format!("check {} {check} {}", node(number), found(*finds)))
        }
        Deed::ChecksLost(number, lost) => {
            said(format!("check {} {}", node(number), if *lost { "lost" } else { "heard" }))
        }
        Deed::ChecksReplayed(number) => said(format!("check {} replayed", node(number))),
        Deed::NovaMends => said("nova ok".to_owned()),
        _ => (None, None),
    }
}

fn word(behaviour: Behaviour) -> String {
    match behaviour {
        Behaviour::Obeys => "ok".to_owned(),
        Behaviour::Silent => "silent".to_owned(),
        Behaviour::Stuck => "stuck".to_owned(),
        Behaviour::Lies => "lies".to_owned(),
        Behaviour::Slow(by) => format!("slow={}ms", by.as_millis()),
        Behaviour::Foreign => "foreign".to_owned(),
        Behaviour::Replaced => "replaced".to_owned(),
        Behaviour::Refuses => "refuses".to_owned(),
        Behaviour::SaysOn => "says-on".to_owned(),
        Behaviour::Vague => "vague".to_owned(),
    }
}

fn order(request: &Request) -> Option<String> {
    let time = |minutes: Option<u64>| minutes.map(|m| format!(" for={m}min")).unwrap_or_default();
    let switch = |on: &bool| if *on { "on" } else { "off" };
    let of = |scope: &Scope| match scope {
        Scope::All => String::new(),
        Scope::Node(node) => format!(" {node}"),
    };
    Some(match request {
        Request::Fence { node, .. } => format!("hactl fence {node}"),
        Request::Confirm { node, typed, .. } => format!("hactl fenced confirm {node} {typed}"),
        Request::Release { node, force, .. } => {
            format!("hactl fenced release {node}{}", if *force { " --force" } else { "" })
        }
        Request::Maintenance { node, on, minutes, migrate, .. } => {
            let migrate = if *migrate { " migrate" } else { "" };
            format!("hactl maintenance {node} {}{migrate}{}", switch(on), time(*minutes))
        }
        Request::Disarm { scope, minutes, .. } => {
            format!("hactl disarm{}{}", of(scope), time(*minutes))
        }
        Request::Arm { scope, .. } => format!("hactl arm{}", of(scope)),
        Request::Noop { on } => format!("hactl noop {}", switch(on)),
        Request::Drill { node, watchdog, .. } => {
            format!("hactl drill {node}{}", if *watchdog { " --watchdog" } else { "" })
        }
        Request::BmcEnroll { node, .. } => format!("hactl bmc enroll {node}"),
        Request::Approve { incident, .. } => format!("hactl incidents approve {incident}"),
        Request::ExplainPolicy { server } => format!("hactl policy explain {server}"),
        Request::Matrix { .. } => return None,
    })
}

/// The word for what a check finds.
fn found(finds: Finds) -> String {
    match finds {
        Finds::Always(state) => state.to_string(),
        Finds::Turns(times) => format!("flaps={times}"),
        Finds::Nothing => "hangs".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Kind;
    use crate::scenario::Scenario;

    #[test]
    fn what_is_written_can_be_read() {
        let plan = Plan { without_bmc: vec![2], ..Plan::new(7, 3) };
        let cut = Deed::Cut(Place::Node(1), Network(1), Some(Way::Out));
        let stall = Deed::StallSentinel(2, Some(Duration::from_millis(1500)));
        let noop = Act::Order(Request::Noop { on: true });
        let step = |at, act| Step {
            at: Duration::from_secs(at),
            throw: 0,
            kind: Kind::CutOne,
            acts: vec![act],
        };
        let steps = [step(10, Act::Deed(cut)), step(12, Act::Deed(stall)), step(13, noop)];
        let text = written(&plan, &steps);
        let expected = "cut node-1 storage out\nrun 2000ms\nstall sentinel@node-2\nrun 1000ms\n\
                        hactl noop on\nrun 500ms\nresume sentinel@node-2\n";
        assert!(text.ends_with(expected), "{text}");
        assert!(Scenario::parse(&text).is_ok(), "{:?}", Scenario::parse(&text).err());
    }
}
