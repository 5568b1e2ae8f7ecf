//! Both sides, the ratio, and the goals.

use super::event::Spread;
use super::ours::OursIdle;
use super::processes::Cost;
use super::tap::Sent;
use super::{Idle, Kill, Side, serf};

/// Pause that a verdict of ours tolerates by rule, in seconds: T_obs and S, for the profiles balanced and fast.
const TOLERATES: [f64; 2] = [3.0, 2.0];
/// Goals for the verdict, as a share of Serf's first `failed`, for the same profiles; they are for 100 members.
const RATIOS: [f64; 2] = [0.4, 0.27];
const GOALS_FROM: u32 = 100;
/// Members of a cluster with three networks need three agents of Serf.
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
    peer: Option<&Side<Idle>>,
) -> Vec<String> {
    let mut goals = Goals { members, missed: Vec::new() };
    println!("\nseconds since SIGKILL, {members} members  median  worst   tolerates a pause of");
    let rows = [("balanced", balanced.kills.as_slice()), ("fast", fast)];
    for ((profile, kills), tolerated) in rows.into_iter().zip(TOLERATES) {
        row(&format!("{profile}: suspected at the leader"), kills, |kill| kill.suspected, None);
        row(&format!("{profile}: down on a network"), kills, |kill| kill.first, Some(tolerated));
        row(&format!("{profile}: down on all"), kills, |kill| kill.last, Some(tolerated));
    }
    if let Some(peer) = peer {
        let tolerated = serf::tolerates(members);
        row("serf: suspected by an agent", &peer.kills, |kill| kill.suspected, None);
        row("serf: failed, first agent", &peer.kills, |kill| kill.first, Some(tolerated));
        row("serf: failed, last agent", &peer.kills, |kill| kill.last, Some(tolerated));
        for ((profile, kills), goal) in rows.into_iter().zip(RATIOS) {
            for (what, pick) in [("median", median as fn(&[f64]) -> f64), ("worst", worst)] {
                let ours = pick(&times(kills, |kill| kill.last));
                let theirs = median(&times(&peer.kills, |kill| kill.first));
                let name = format!("{profile}, {what} verdict on all / serf's median first failed");
                let goal = (members >= GOALS_FROM).then_some(goal);
                goals.ratio(&name, ours / theirs.max(f64::MIN_POSITIVE), goal);
            }
        }
    }
    if peer.is_none() {
        println!("SKIPPED serf: {} is not there; nothing is compared", serf::PROGRAM);
    }
    events(balanced.event.as_ref(), peer.and_then(|peer| peer.event.as_ref()), &mut goals);
    costs(&balanced.idle, peer, &mut goals);
    goals.missed
}

fn events(ours: Option<&Spread>, theirs: Option<&Spread>, goals: &mut Goals) {
    let Some(ours) = ours else {
        return println!("SKIPPED events: packets are counted by root alone");
    };
    println!("\nevent, ours:  {ours}");
    goals.cost(
        "members that an event missed",
        (ours.members - ours.reached.min(ours.members)) as f64,
        0.0,
    );
    if let Some(theirs) = theirs {
        println!("event, serf:  {theirs}");
        let ratio = |ours: f64, theirs: f64| ours / theirs.max(f64::MIN_POSITIVE);
        let most = |spread: &Spread| spread.most.unwrap_or(f64::NAN);
        goals.ratio("event at 99 %: time / serf's", ratio(most(ours), most(theirs)), Some(1.0));
        goals.ratio("event: packets / serf's", ratio(ours.packets, theirs.packets), Some(0.5));
    }
}

fn costs(ours: &OursIdle, peer: Option<&Side<Idle>>, goals: &mut Goals) {
    println!(
        "\nat rest, each          CPU %   RSS MiB   PSS MiB   packets/s  payload B/s    IP B/s"
    );
    line("agent, 3 networks", &ours.agent.cost, ours.agent.sent.as_ref());
    line("sentinel", &ours.sentinel.cost, ours.sentinel.sent.as_ref());
    let both = ours.agent.sent.zip(ours.sentinel.sent).map(|(mut sum, more)| {
        sum.add(&more);
        sum
    });
    line("node: both", &ours.node(), both.as_ref());
    line("controller", &ours.controller.cost, ours.controller.sent.as_ref());
    if let Some(peer) = peer {
        let (cost, sent) = (peer.idle.cost, peer.idle.sent);
        line("serf, 1 network", &cost, sent.as_ref());
        let times =
            Cost { cpu: cost.cpu * NETWORKS, rss: cost.rss * NETWORKS, pss: cost.pss * NETWORKS };
        let sent = sent.map(|sent| sent.over(1.0 / NETWORKS));
        line("serf x 3", &times, sent.as_ref());
        let node = ours.node();
        println!(
            "node / (serf x 3)    {:>7.2}   {:>7.2}   {:>7.2}",
            node.cpu / times.cpu,
            node.rss / times.rss,
            node.pss / times.pss
        );
    }
    println!();
    goals.cost("agent's RSS, MiB", ours.agent.cost.rss, AGENT_RSS);
    goals.cost("sentinel's RSS, MiB", ours.sentinel.cost.rss, SENTINEL_RSS);
    goals.cost("node's CPU, % of a core", ours.node().cpu, CPU);
    match (ours.agent.sent, both) {
        (Some(gossip), Some(both)) => {
            goals.cost("gossip sent, payload B/s", gossip.payload, GOSSIP);
            goals.cost("all that a node sends, payload B/s", both.payload, SENT);
        }
        _ => println!("SKIPPED bytes: packets are counted by root alone"),
    }
}

fn line(name: &str, cost: &Cost, sent: Option<&Sent>) {
    print!("{name:<20} {:>7.3}   {:>7.1}   {:>7.1}", cost.cpu, cost.rss, cost.pss);
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
    fn ratio(&mut self, name: &str, ratio: f64, goal: Option<f64>) {
        match goal {
            Some(goal) => self.judge(name, ratio, goal),
            None => println!("{name:<60} {ratio:>7.2}"),
        }
    }

    fn cost(&mut self, name: &str, value: f64, most: f64) {
        self.judge(name, value, most);
    }

    fn judge(&mut self, name: &str, value: f64, most: f64) {
        // What could not be measured is not met.
        let met = value <= most;
        let word = if met { "met" } else { "MISSED" };
        println!("{name:<60} {value:>7.2}  goal {most}: {word}");
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
