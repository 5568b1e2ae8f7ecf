//! Guards: questions asked before a fence begins. Each no is a [`Refusal`] with a name that the documents explain.
//!
//! Guards protect availability. No safety rule rests on them: with all of them off nothing may run twice.

use std::fmt;
use std::time::Duration;

use fencing::NodeId;

use crate::core::Waits;
use crate::registry::{Node, Registry};

/// Minutes in which the budget of a failure domain is counted.
const BUDGET_MINUTES: u64 = 15;
/// Fences within the time of a quarantine that make one.
const QUARANTINE_FENCES: usize = 2;

/// What the guards look at.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The replicated state.
    pub registry: &'a Registry,
    /// The node that is to be fenced.
    pub node: NodeId,
    /// Protected nodes that are suspected or unreachable on some network now, this one included.
    pub suspected: &'a [NodeId],
    /// Start-up grace that is left.
    pub grace_left: Option<Duration>,
    /// What is left of a new leader's wait, which holds where more than one node is suspected.
    pub new_leader_left: Option<Duration>,
    /// Times for which a node is left alone, and within which a second fence is a quarantine.
    pub waits: &'a Waits,
    /// Whether the node's domain is under a storm stop.
    pub storm_stop: bool,
    /// Controllers of the cluster.
    pub controllers: usize,
    /// Why observations or Nova are not fresh.
    pub stale: Option<&'a str>,
    /// Why the VMs of a node that is degraded, not dead, would not fit elsewhere in its cell.
    pub no_room: Option<&'a str>,
}

/// A guard's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The controllers have just started.
    Grace(Duration),
    /// A cluster of one controller never fences: nobody could contradict it.
    Quorum,
    /// All nodes are disarmed.
    Disarmed(String),
    /// The node is in maintenance, or disarmed.
    Maintenance(String),
    /// It only decides.
    Noop,
    /// Enough fences are under way.
    InFlight(usize),
    /// The domain has had its fences.
    Budget(String),
    /// Too many suspected at once.
    Storm(String),
    /// Everything is suspected: we are broken, not the nodes.
    AllSuspected,
    /// The node was fenced too often.
    Quarantine,
    /// The node was fenced a moment ago.
    LeftAlone,
    /// Something that the decision rests on is not fresh.
    Stale(String),
    /// The node still answers somewhere, and its VMs would not fit elsewhere.
    NoRoom(String),
    /// The node is not protected: it never served.
    NotProtected,
}

impl Refusal {
    /// Its name in the documents, the API and the metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Grace(_) => "grace",
            Refusal::Quorum => "quorum",
            Refusal::Disarmed(_) => "disarmed",
            Refusal::Maintenance(_) => "maintenance",
            Refusal::Noop => "noop",
            Refusal::InFlight(_) => "in_flight",
            Refusal::Budget(_) => "budget",
            Refusal::Storm(_) => "storm",
            Refusal::AllSuspected => "all_suspected",
            Refusal::Quarantine => "quarantine",
            Refusal::LeftAlone => "left_alone",
            Refusal::Stale(_) => "stale",
            Refusal::NoRoom(_) => "no_room",
            Refusal::NotProtected => "not_protected",
        }
    }
}

impl Refusal {
    /// What an operator can do about it.
    pub fn remedy(&self, node: &str) -> String {
        match self {
            Refusal::Grace(_) | Refusal::LeftAlone => "nothing: it ends by itself".to_owned(),
            Refusal::Quorum => "run three or five controllers".to_owned(),
            Refusal::Disarmed(_) => "when the work is over: hactl arm".to_owned(),
            Refusal::Maintenance(_) => {
                format!("when the work is over: hactl maintenance {node} off, hactl arm {node}")
            }
            Refusal::Noop => "hactl noop off".to_owned(),
            Refusal::InFlight(_) => "it goes on when a fence has ended: hactl incidents".to_owned(),
            Refusal::Budget(_) => format!("wait, or: hactl fence {node} passes over it"),
            Refusal::Storm(_) => "look at the switch or the power of that domain".to_owned(),
            Refusal::AllSuspected => "look at the controllers' own networks".to_owned(),
            Refusal::Quarantine => format!("repair it; hactl fence {node} works by hand"),
            Refusal::Stale(_) => "make Nova answer the controllers again".to_owned(),
            Refusal::NoRoom(_) => format!("make room, or: hactl fence {node} passes over it"),
            Refusal::NotProtected => {
                format!("start ha-sentinel on {node}: its boot must be armed or admitted")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Grace(_) => f.write_str("start-up grace: the controllers have just started"),
            Refusal::Quorum => f.write_str(
                "one controller alone shows verdicts and never fences: run three or five",
            ),
            Refusal::Disarmed(why) => write!(f, "all nodes are disarmed ({why}): hactl arm"),
            Refusal::Maintenance(why) => {
                write!(
                    f,
                    "in maintenance or disarmed ({why}): hactl maintenance NODE off, hactl arm NODE"
                )
            }
            Refusal::Noop => f.write_str("noop is on: hactl noop off"),
            Refusal::InFlight(most) => write!(f, "{most} fence(s) under way, no more at once"),
            Refusal::Budget(domain) => write!(
                f,
                "failure domain {domain} has had its fences for {BUDGET_MINUTES} minutes: \
                 hactl fence NODE passes over it"
            ),
            Refusal::Storm(domain) => write!(
                f,
                "storm in failure domain {domain}: too many nodes suspected at once, \
                 look at its switch or power first"
            ),
            Refusal::AllSuspected => {
                f.write_str("every protected node is suspected: the fault is ours or the network's")
            }
            Refusal::Quarantine => f.write_str(
                "fenced twice within six hours: repair it, then hactl fence NODE by hand",
            ),
            Refusal::LeftAlone => f.write_str("fenced a moment ago: left alone for three minutes"),
            Refusal::Stale(what) => write!(f, "not fresh: {what}"),
            Refusal::NoRoom(why) => {
                write!(f, "degraded, not dead, and fenced it would lose VMs: {why}")
            }
            Refusal::NotProtected => {
                f.write_str("not protected: its boot was neither armed nor admitted")
            }
        }
    }
}

/// What an operator's own order must pass: a human has looked, so only what nobody may pass over remains.
pub fn refuse_order(asked: &Asked<'_>) -> Option<Refusal> {
    [no_quorum, hands_off, maintenance, noop, in_flight].iter().find_map(|guard| guard(asked))
}

/// What a verdict must pass.
pub fn refuse_verdict(asked: &Asked<'_>) -> Option<Refusal> {
    let guards = [
        no_quorum,
        noop,
        hands_off,
        maintenance,
        not_protected,
        stale,
        grace,
        all_suspected,
        storm,
        no_room,
        left_alone,
        quarantine,
        in_flight,
        budget,
    ];
    guards.iter().find_map(|guard| guard(asked))
}

/// Names of the guards that a verdict must pass, in the order in which they are asked.
pub fn names() -> &'static str {
    "quorum, noop, disarmed, maintenance, not_protected, stale, grace, all_suspected, storm, no_room, left_alone, \
     quarantine, in_flight, budget"
}

/// Names of the guards that an operator's own order must pass.
pub fn names_for_orders() -> &'static str {
    "of the guards quorum, disarmed, maintenance, noop and in_flight were asked, and none refuses"
}

fn no_quorum(asked: &Asked<'_>) -> Option<Refusal> {
    (asked.controllers < 2).then_some(Refusal::Quorum)
}

fn noop(asked: &Asked<'_>) -> Option<Refusal> {
    asked.registry.is_noop().then_some(Refusal::Noop)
}

fn hands_off(asked: &Asked<'_>) -> Option<Refusal> {
    asked.registry.disarmed().map(|why| Refusal::Disarmed(why.to_owned()))
}

fn maintenance(asked: &Asked<'_>) -> Option<Refusal> {
    let node = asked.registry.node(asked.node)?;
    match &node.maintenance {
        Some(why) => Some(Refusal::Maintenance(why.clone())),
        None => node.disarmed.then(|| Refusal::Maintenance("disarmed".to_owned())),
    }
}

fn not_protected(asked: &Asked<'_>) -> Option<Refusal> {
    let serving = asked.registry.node(asked.node).and_then(Node::serving_boot);
    serving.is_none().then_some(Refusal::NotProtected)
}

fn stale(asked: &Asked<'_>) -> Option<Refusal> {
    asked.stale.map(|what| Refusal::Stale(what.to_owned()))
}

fn no_room(asked: &Asked<'_>) -> Option<Refusal> {
    asked.no_room.map(|why| Refusal::NoRoom(why.to_owned()))
}

fn grace(asked: &Asked<'_>) -> Option<Refusal> {
    let several = asked.suspected.len() > 1;
    asked.grace_left.or(asked.new_leader_left.filter(|_| several)).map(Refusal::Grace)
}

fn all_suspected(asked: &Asked<'_>) -> Option<Refusal> {
    let protected = asked.registry.protected();
    (protected > 1 && asked.suspected.len() >= protected).then_some(Refusal::AllSuspected)
}

fn storm(asked: &Asked<'_>) -> Option<Refusal> {
    let domain = domain_of(asked)?;
    (asked.storm_stop || is_storm(asked.registry, domain, asked.suspected))
        .then(|| Refusal::Storm(domain.to_owned()))
}

fn left_alone(asked: &Asked<'_>) -> Option<Refusal> {
    let recent = asked.registry.fences_within(asked.node, minutes(asked.waits.left_alone));
    (recent > 0).then_some(Refusal::LeftAlone)
}

fn quarantine(asked: &Asked<'_>) -> Option<Refusal> {
    is_quarantined(asked.registry, asked.node, asked.waits).then_some(Refusal::Quarantine)
}

fn in_flight(asked: &Asked<'_>) -> Option<Refusal> {
    let most = asked.registry.most_in_flight();
    let full = asked.registry.fences_in_flight() >= most;
    (full && !mutants::is_on(mutants::Mutant::M32)).then_some(Refusal::InFlight(most))
}

fn budget(asked: &Asked<'_>) -> Option<Refusal> {
    let domain = domain_of(asked)?;
    // Whoever was fenced counts, also if it is in maintenance now.
    let here = asked.registry.nodes().iter().filter(|(_, node)| node.record.domain == domain);
    let fenced: usize = here.map(|(id, _)| asked.registry.fences_within(*id, BUDGET_MINUTES)).sum();
    let most = (in_domain(asked.registry, domain).len() / 10).max(1);
    (fenced >= most).then(|| Refusal::Budget(domain.to_owned()))
}

/// Whether a node was fenced so often that only a human may let it back, or fence it again.
pub fn is_quarantined(registry: &Registry, node: NodeId, waits: &Waits) -> bool {
    registry.fences_within(node, minutes(waits.quarantine_within)) >= QUARANTINE_FENCES
}

/// A time in the registry's own minutes, rounded up.
pub fn minutes(time: Duration) -> u64 {
    time.as_secs().div_ceil(60)
}

/// S12: at least 3 nodes and 30 % of a domain suspected at once; 2 and 50 % where it has 3 or 4; never where it has 2.
pub fn is_storm(registry: &Registry, domain: &str, suspected: &[NodeId]) -> bool {
    let members = in_domain(registry, domain);
    let here = suspected.iter().filter(|node| members.contains(node)).count();
    let (least, tenths) = match members.len() {
        0..=2 => return false,
        _ if mutants::is_on(mutants::Mutant::M33) => return false,
        3..=4 => (2, 5),
        _ => (3, 3),
    };
    here >= least && here * 10 >= members.len() * tenths
}

fn domain_of<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    asked.registry.node(asked.node).map(|node| node.record.domain.as_str())
}

/// Protected members of a failure domain.
fn in_domain(registry: &Registry, domain: &str) -> Vec<NodeId> {
    let protected = |node: &Node| {
        let serves = node.serving_boot().is_some() || node.incident.is_some();
        serves && node.maintenance.is_none()
    };
    let here = |node: &Node| node.record.domain == domain && protected(node);
    let nodes = registry.nodes().iter();
    nodes.filter(|(_, node)| here(node)).map(|(id, _)| *id).collect()
}

#[cfg(test)]
mod tests {
    use fencing::lease::Profile;
    use fencing::sign::KeyPair;
    use fencing::watchdog::Class;
    use fencing::{BootId, ControllerId};
    use uuid::Uuid;

    use super::*;
    use crate::registry::{Command, Enrolment, Entry, Verdict};

    fn node(n: u8) -> NodeId {
        NodeId(Uuid::from_u128(n.into()))
    }

    fn commit(registry: &mut Registry, command: Command) {
        let index = registry.index() + 1;
        let entry = Entry { at_ms: 0, by: ControllerId(1), command };
        registry.apply(1, index, &entry).expect("fits");
    }

    /// A cluster of `n` armed nodes in one failure domain.
    fn cluster(n: u8) -> Registry {
        let mut registry = Registry::default();
        for n in 1..=n {
            let record = Enrolment {
                name: format!("node-{n}"),
                host: format!("compute-{n}"),
                domain: "rack-1".into(),
                cell: String::new(),
                key: KeyPair::from_seed([n; 32]).public(),
                sentinel: Vec::new(),
                gossip: Vec::new(),
                bmc: vec![fencing::bmc::LevelKind::Power(1)],
                via: Vec::new(),
            };
            let node = node(n);
            commit(&mut registry, Command::Enrol { node, record: Box::new(record) });
            let (boot, times) = (BootId(node.0), Profile::Fast.times());
            commit(
                &mut registry,
                Command::Armed { node, boot, times, class: Class::Hardware, n: 0 },
            );
        }
        registry
    }

    fn fence_and_cancel(registry: &mut Registry, n: u8) {
        let verdict = Verdict {
            row: String::new(),
            reason: String::new(),
            actions: Vec::new(),
            cell: String::new(),
            observations: Vec::new(),
            guards: Vec::new(),
        };
        let (node, boot) = (node(n), BootId(node(n).0));
        commit(
            registry,
            Command::Intent { node, boot, floor: 0, verdict, evacuate: true, drill: None },
        );
        let epoch = fencing::Epoch { term: 1, index: registry.index() };
        commit(registry, Command::Cancel { epoch, why: String::new() });
    }

    fn pass(registry: &mut Registry, n: u64) {
        (0..n).for_each(|_| commit(registry, Command::Minute));
    }

    fn refusal(registry: &Registry, suspected: &[NodeId]) -> Option<&'static str> {
        let asked = Asked {
            registry,
            node: node(1),
            suspected,
            grace_left: None,
            new_leader_left: None,
            waits: &Waits::default(),
            storm_stop: false,
            controllers: 3,
            stale: None,
            no_room: None,
        };
        refuse_verdict(&asked).map(|refusal| refusal.name())
    }

    fn storm_of(members: u8, suspected: u8) -> bool {
        let suspected: Vec<NodeId> = (1..=suspected).map(node).collect();
        is_storm(&cluster(members), "rack-1", &suspected)
    }

    #[test]
    fn a_storm_is_three_nodes_and_thirty_percent() {
        assert!(storm_of(10, 3) && !storm_of(11, 3) && storm_of(11, 4));
        assert!(storm_of(5, 3) && !storm_of(5, 2));
    }

    #[test]
    fn in_a_small_domain_it_is_two_and_half_and_in_one_of_two_never() {
        assert!(storm_of(3, 2) && storm_of(4, 2) && !storm_of(4, 1));
        assert!(!storm_of(2, 2));
    }

    #[test]
    fn one_dead_node_of_six_is_fenced() {
        assert_eq!(refusal(&cluster(6), &[node(1)]), None);
    }

    #[test]
    fn everything_suspected_means_that_we_are_broken() {
        assert_eq!(refusal(&cluster(2), &[node(1), node(2)]), Some("all_suspected"));
    }

    #[test]
    fn a_node_is_left_alone_for_three_minutes_and_its_domain_for_fifteen() {
        let mut registry = cluster(6);
        fence_and_cancel(&mut registry, 1);
        pass(&mut registry, 3);
        assert_eq!(refusal(&registry, &[node(1)]), Some("left_alone"));
        pass(&mut registry, 1);
        assert_eq!(refusal(&registry, &[node(1)]), Some("budget"));
        pass(&mut registry, 12);
        assert_eq!(refusal(&registry, &[node(1)]), None);
    }

    #[test]
    fn a_fence_counts_for_its_domain_also_when_its_node_is_in_maintenance() {
        let mut registry = cluster(6);
        fence_and_cancel(&mut registry, 2);
        let reason = Some("repair".to_owned());
        commit(
            &mut registry,
            Command::Maintenance { node: node(2), reason, minutes: None, migrate: None },
        );
        pass(&mut registry, 4);
        assert_eq!(refusal(&registry, &[node(1)]), Some("budget"));
    }

    #[test]
    fn two_fences_within_six_hours_are_a_quarantine() {
        let mut registry = cluster(6);
        fence_and_cancel(&mut registry, 1);
        pass(&mut registry, 20);
        fence_and_cancel(&mut registry, 1);
        pass(&mut registry, 20);
        assert_eq!(refusal(&registry, &[node(1)]), Some("quarantine"));
        pass(&mut registry, 6 * 60);
        assert_eq!(refusal(&registry, &[node(1)]), None);
    }

    #[test]
    fn an_operators_word_stops_it() {
        let mut registry = cluster(6);
        commit(&mut registry, Command::Noop { on: true });
        assert_eq!(refusal(&registry, &[node(1)]), Some("noop"));
        commit(&mut registry, Command::Noop { on: false });
        commit(&mut registry, Command::DisarmAll { reason: Some("work".into()), minutes: None });
        assert_eq!(refusal(&registry, &[node(1)]), Some("disarmed"));
        commit(&mut registry, Command::DisarmAll { reason: None, minutes: None });
        let reason = Some("new fan".into());
        commit(
            &mut registry,
            Command::Maintenance { node: node(1), reason, minutes: None, migrate: None },
        );
        assert_eq!(refusal(&registry, &[node(1)]), Some("maintenance"));
    }
}
