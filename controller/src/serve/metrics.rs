//! Metrics as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::{Actual, NodePhase, State};

/// The text of one scrape. Numbers about nodes are of use from the leader; `holdfast_leader` says who that is.
pub(super) fn text(leads: bool, state: &State) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, values: &[(&str, u64)]| {
        let _ = writeln!(out, "# HELP holdfast_{name} {help}\n# TYPE holdfast_{name} gauge");
        for (labels, value) in values {
            let _ = writeln!(out, "holdfast_{name}{labels} {value}");
        }
    };
    let one = |value: u64| [("", value)];
    gauge("leader", "Whether this controller leads.", &one(u64::from(leads)));
    gauge("leader_known", "Whether it knows a leader.", &one(u64::from(state.leader.is_some())));
    gauge("raft_term", "Raft term.", &one(state.term));
    gauge("raft_commit", "Raft commit index.", &one(state.committed));
    gauge("noop", "Whether it only decides and journals.", &one(u64::from(state.noop)));
    gauge("disarmed", "Whether all nodes are disarmed.", &one(u64::from(state.disarmed.is_some())));
    let phase =
        |phase: NodePhase| state.nodes.iter().filter(|node| node.phase == phase).count() as u64;
    gauge(
        "nodes",
        "Enrolled nodes by phase.",
        &[
            ("{phase=\"never_seen\"}", phase(NodePhase::NeverSeen)),
            ("{phase=\"protected\"}", phase(NodePhase::Protected)),
            ("{phase=\"incident\"}", phase(NodePhase::Incident)),
            ("{phase=\"out\"}", phase(NodePhase::Out)),
            ("{phase=\"returning\"}", phase(NodePhase::Returning)),
            ("{phase=\"exempt\"}", phase(NodePhase::Exempt)),
        ],
    );
    let armed = state.nodes.iter().filter(|node| node.armed).count() as u64;
    gauge("nodes_armed", "Nodes against which a lost lease can become evidence.", &one(armed));
    let open = state.incidents.iter().filter(|incident| incident.open);
    gauge(
        "incidents_open",
        "Incidents that need work or wait for their node.",
        &one(open.clone().count() as u64),
    );
    let blocked = open.filter(|incident| incident.blocked.is_some()).count() as u64;
    gauge("incidents_blocked", "Fences without evidence: a person is needed.", &one(blocked));
    let stale = state.stale.len() as u64;
    gauge("stale", "Things that are not fresh, such as Nova's answers.", &one(stale));
    checks(&mut out, state);
    count(&mut out, &state.actual);
    out
}

/// Nodes by check and by what it says there.
fn checks(out: &mut String, state: &State) {
    let mut nodes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for check in state.nodes.iter().flat_map(|node| &node.checks) {
        for word in ["ok", "warning", "critical", "unknown"] {
            *nodes.entry((&check.name, word)).or_default() += u64::from(check.state == word);
        }
    }
    let help = "Nodes by health check, and by what it says there.";
    let _ = writeln!(out, "# HELP holdfast_checks {help}\n# TYPE holdfast_checks gauge");
    for ((check, word), number) in nodes {
        let _ = writeln!(out, "holdfast_checks{{check=\"{check}\",state=\"{word}\"}} {number}");
    }
}

/// What this controller has counted since it began.
fn count(out: &mut String, actual: &Actual) {
    let mut counter = |name: &str, help: &str, values: &[(&str, u64)]| {
        let _ = writeln!(out, "# HELP holdfast_{name} {help}\n# TYPE holdfast_{name} counter");
        for (labels, value) in values {
            let _ = writeln!(out, "holdfast_{name}{labels} {value}");
        }
    };
    counter(
        "domain_lists_total",
        "Agents' lists of domains, in datagrams: as received, and as used by the leader.",
        &[("{as=\"received\"}", actual.lists_received), ("{as=\"used\"}", actual.lists_used)],
    );
    counter(
        "vms_amiss_total",
        "VMs that do not run as Nova says, confirmed by Nova.",
        &[("{problem=\"missing\"}", actual.missing), ("{problem=\"stray\"}", actual.stray)],
    );
    counter(
        "actions_total",
        "What was done about them, by reason.",
        &[("{action=\"reboot\",reason=\"missing\"}", actual.reboots)],
    );
    counter(
        "reboots_total",
        "Reboots of missing VMs by what Nova answered.",
        &[
            ("{answer=\"taken\"}", actual.reboots_taken),
            ("{answer=\"refused\"}", actual.reboots_refused),
            ("{answer=\"unknown\"}", actual.reboots_unknown),
        ],
    );
}
