//! All sides, the ratios, and the goals.

use super::event::Spread;
use super::ours::OursIdle;
use super::peer::Peer;
use super::processes::Cost;
use super::tap::Sent;
use super::{Idle, Kill, Side};

/// Pause that a verdict of ours tolerates by rule, in seconds: T_obs and S, for the profiles balanced and fast.
const TOLERATES: [f64; 2] = [3.0, 2.0];
/// Goals for the verdict, as a share of Serf's first `failed`, for the same profiles.
const RATIOS: [f64; 2] = [0.4, 0.27];
/// Those goals, and the one for the processor, are for a cloud of so many nodes.
const GOALS_FROM: u32 = 100;
/// The peer that goals are set beside.
const GOAL: Peer = Peer::Serf;
/// Members of a cluster with three networks need three processes of a peer.
const NETWORKS: f64 = 3.0;

/// MiB of an agent and of a sentinel, per cent of a core of both together, and bytes a second: gossip, and with renewals.
const AGENT_RSS: f64 = 9.0;
const SENTINEL_RSS: f64 = 4.0;
const CPU: f64 = 0.16;
const GOSSIP: f64 = 410.0;
const SENT: f64 = 2500.0;

/// Prints one size. Answers the goals that were missed.
pub(super) fn print(
    members: u32,
    balanced: &Side<OursIdle>,
    fast: &[Kill],
    peers: &[(Peer, Side<Idle>)],
) -> Vec<String> {
    let mut goals = Goals { members, missed: Vec::new() };
    println!("\nseconds since SIGKILL, {members} members  median  worst   tolerates a pause of");
    let rows = [("balanced", balanced.kills.as_slice()), ("fast", fast)];
    for ((profile, kills), tolerated) in rows.into_iter().zip(TOLERATES) {
        row(&format!("{profile}: suspected at the leader"), kills, |kill| kill.suspected, None);
        row(&format!("{profile}: down on a network"), kills, |kill| kill.first, Some(tolerated));
        row(&format!("{profile}: down on all"), kills, |kill| kill.last, Some(tolerated));
    }
    for (peer, side) in peers {
        let (name, tolerated) = (peer.name(), Some(peer.tolerates(members)));
        row(&format!("{name}: suspected by a member"), &side.kills, |kill| kill.suspected, None);
        row(&format!("{name}: dead, first member"), &side.kills, |kill| kill.first, tolerated);
        row(&format!("{name}: dead, last member"), &side.kills, |kill| kill.last, tolerated);
    }
    println!();
    for (peer, side) in peers {
        for ((profile, kills), goal) in rows.into_iter().zip(RATIOS) {
            for (what, pick) in [("median", median as fn(&[f64]) -> f64), ("worst", worst)] {
                let ours = pick(&times(kills, |kill| kill.last));
                let theirs = median(&times(&side.kills, |kill| kill.first));
                let name = format!(
                    "{profile}, {what} verdict on all / {}'s median first dead",
                    peer.name()
                );
                let goal = (*peer == GOAL && members >= GOALS_FROM).then_some(goal);
                goals.ratio(&name, ours, theirs, goal);
            }
        }
    }
    if !peers.iter().any(|(peer, _)| *peer == GOAL) {
        println!("SKIPPED goals beside {}: it was not measured", GOAL.name());
    }
    events(balanced.event.as_ref(), peers, &mut goals);
    costs(&balanced.idle, peers, &mut goals);
    goals.missed
}

fn events(ours: Option<&Spread>, peers: &[(Peer, Side<Idle>)], goals: &mut Goals) {
    let Some(ours) = ours else {
        return println!("SKIPPED events: packets are counted by root alone");
    };
    println!("\nevent, ours:  {ours}");
    goals.cost(
        "members that an event missed",
        (ours.members - ours.reached.min(ours.members)) as f64,
        0.0,
    );
    for (peer, side) in peers {
        let Some(theirs) = &side.event else { continue };
        println!("event, {}:  {theirs}", peer.name());
        let most = |spread: &Spread| spread.most.unwrap_or(f64::NAN);
        let goal = |goal| (*peer == GOAL).then_some(goal);
        let name = format!("event at 99 %: seconds / {}'s", peer.name());
        goals.ratio(&name, most(ours), most(theirs), goal(1.0));
        let name = format!("event: packets a member / {}'s", peer.name());
        goals.ratio(&name, ours.packets, theirs.packets, goal(0.5));
    }
}

fn costs(ours: &OursIdle, peers: &[(Peer, Side<Idle>)], goals: &mut Goals) {
    println!(
        "\nat rest, each                        CPU %   RSS MiB   PSS MiB   packets/s  payload B/s    IP B/s"
    );
    line("agent, 3 networks", &ours.agent.cost, ours.agent.sent.as_ref());
    line("sentinel", &ours.sentinel.cost, ours.sentinel.sent.as_ref());
    let both = ours.agent.sent.zip(ours.sentinel.sent).map(|(mut sum, more)| {
        sum.add(&more);
        sum
    });
    line("node: both", &ours.node(), both.as_ref());
    line("controller", &ours.controller.cost, ours.controller.sent.as_ref());
    for (peer, side) in peers {
        let (cost, sent) = (side.idle.cost, side.idle.sent);
        line(&format!("{}, 1 network", peer.name()), &cost, sent.as_ref());
        let times =
            Cost { cpu: cost.cpu * NETWORKS, rss: cost.rss * NETWORKS, pss: cost.pss * NETWORKS };
        let sent = sent.map(|sent| sent.over(1.0 / NETWORKS));
        let name = format!("{} x 3", peer.name());
        line(&name, &times, sent.as_ref());
        ratios(&format!("node / ({name})"), (&ours.node(), both.as_ref()), (&times, sent.as_ref()));
    }
    println!();
    goals.cost("agent's RSS, MiB", ours.agent.cost.rss, AGENT_RSS);
    goals.cost("sentinel's RSS, MiB", ours.sentinel.cost.rss, SENTINEL_RSS);
    if goals.members >= GOALS_FROM {
        goals.cost("node's CPU, % of a core", ours.node().cpu, CPU);
    } else {
        println!("SKIPPED goal {CPU} for a node's CPU: it is for {GOALS_FROM} members");
    }
    match (ours.agent.sent, both) {
        (Some(gossip), Some(both)) => {
            goals.cost("gossip sent, payload B/s", gossip.payload, GOSSIP);
            goals.cost("all that a node sends, payload B/s", both.payload, SENT);
        }
        _ => println!("SKIPPED bytes: packets are counted by root alone"),
    }
}

/// What ours costs, as shares of what theirs does.
fn ratios(name: &str, ours: (&Cost, Option<&Sent>), theirs: (&Cost, Option<&Sent>)) {
    let ((cost, sent), (their_cost, their_sent)) = (ours, theirs);
    let (cpu, rss) = (cost.cpu / their_cost.cpu, cost.rss / their_cost.rss);
    let pss = cost.pss / their_cost.pss;
    print!("{name:<34} {cpu:>7.2}   {rss:>7.2}   {pss:>7.2}");
    match sent.zip(their_sent) {
        Some((sent, theirs)) => println!(
            "   {:>9.2}   {:>10.2}  {:>8.2}",
            sent.packets / theirs.packets,
            sent.payload / theirs.payload,
            sent.bytes / theirs.bytes
        ),
        None => println!("           -            -         -"),
    }
}

fn line(name: &str, cost: &Cost, sent: Option<&Sent>) {
    print!("{name:<34} {:>7.3}   {:>7.1}   {:>7.1}", cost.cpu, cost.rss, cost.pss);
    match sent {
        Some(sent) => {
            println!("   {:>9.2}   {:>10.0}  {:>8.0}", sent.packets, sent.payload, sent.bytes)
        }
        None => println!("           -            -         -"),
    }
}

fn row(name: &str, kills: &[Kill], of: fn(&Kill) -> Option<f64>, tolerated: Option<f64>) {
    let times = times(kills, of);
    let tolerated = tolerated.map_or(String::new(), |pause| format!("  {pause:.1} s"));
    println!("{name:<36} {:>8.2} {:>6.2} {tolerated}", median(&times), worst(&times));
}

fn times(kills: &[Kill], of: impl Fn(&Kill) -> Option<f64>) -> Vec<f64> {
    let mut times: Vec<f64> = kills.iter().filter_map(of).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn median(times: &[f64]) -> f64 {
    let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
    let half = times.len() / 2;
    if times.len() % 2 == 1 {
        at(half)
    } else {
        f64::midpoint(at(half.saturating_sub(1)), at(half))
    }
}

fn worst(times: &[f64]) -> f64 {
    times.last().copied().unwrap_or(f64::NAN)
}

/// Goals, printed as they are looked at.
struct Goals {
    members: u32,
    missed: Vec<String>,
}

impl Goals {
    /// Prints both, and what ours is of theirs.
    fn ratio(&mut self, name: &str, ours: f64, theirs: f64, goal: Option<f64>) {
        let ratio = ours / theirs.max(f64::MIN_POSITIVE);
        let both = format!("{name}: {ours:.3} / {theirs:.3}");
        match goal {
            Some(goal) => self.judge(&both, ratio, goal),
            None => println!("{both:<84} {ratio:>7.2}"),
        }
    }

    fn cost(&mut self, name: &str, value: f64, most: f64) {
        self.judge(name, value, most);
    }

    fn judge(&mut self, name: &str, value: f64, most: f64) {
        // What could not be measured is not met.
        let met = value <= most;
        let word = if met { "met" } else { "MISSED" };
        println!("{name:<84} {value:>7.2}  goal {most}: {word}");
        if !met {
            self.missed.push(format!("{} members: {name} {value:.2} (goal {most})", self.members));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_misses_its_goal() {
        let mut goals = Goals { members: 30, missed: Vec::new() };
        goals.cost("a", 1.0, 2.0);
        goals.cost("b", 3.0, 2.0);
        goals.cost("c", median(&[]), 2.0);
        assert_eq!(goals.missed.len(), 2, "{:?}", goals.missed);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert_eq!((median(&[1.0]), worst(&[1.0, 2.0])), (1.0, 2.0));
    }
}
