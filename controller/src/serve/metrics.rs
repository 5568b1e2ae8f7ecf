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
    let known = state.nodes.iter().filter(|node| node.sent.is_some()).count() as u64;
    gauge("nodes_sent_known", "Nodes of which it is known what they send.", &one(known));
    checks(&mut out, state);
    count(&mut out, &state.actual);
    sent(&mut out, state);
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

/// What this controller has sent, and what the nodes send as they told it.
fn sent(out: &mut String, state: &State) {
    let mut family = |name: &str, kind: &str, help: &str, values: &[(String, f64)]| {
        let _ = writeln!(out, "# HELP holdfast_{name} {help}\n# TYPE holdfast_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(out, "holdfast_{name}{{{labels}}} {value}");
        }
    };
    let (mut packets, mut bytes, mut put_off) = (Vec::new(), Vec::new(), Vec::new());
    for api::SentHere { network, gossip, lease, put_off: waited } in &state.sent {
        for (port, total) in [("gossip", gossip), ("lease", lease)] {
            let labels = format!("network=\"{network}\",port=\"{port}\"");
            packets.push((labels.clone(), total.packets as f64));
            bytes.push((labels, total.bytes as f64));
        }
        put_off.push((format!("network=\"{network}\""), *waited as f64));
    }
    family("sent_packets_total", "counter", "Datagrams that this controller has sent.", &packets);
    family("sent_bytes_total", "counter", "Their bytes, without headers of IP and UDP.", &bytes);
    let help = "How often this controller's gossip had to wait for its ceiling.";
    family("gossip_put_off_total", "counter", help, &put_off);

    let (mut packets, mut bytes, mut put_off) = (Vec::new(), Vec::new(), Vec::new());
    for by_nodes in api::sent_by_nodes(state) {
        let network = format!("network=\"{}\"", by_nodes.network);
        for (what, among) in [("gossip", by_nodes.gossip), ("all", by_nodes.all)] {
            for (of, rate) in [("median", among.median), ("worst", among.worst)] {
                let labels = format!("{network},what=\"{what}\",of=\"{of}\"");
                packets.push((labels.clone(), rate.packets_per_s));
                bytes.push((labels, rate.bytes_per_s));
            }
        }
        put_off.push((network, by_nodes.put_off_nodes as f64));
    }
    let help = "Datagrams that a node sends in a second: of half of the nodes, and of the worst.";
    family("nodes_sent_packets_per_second", "gauge", help, &packets);
    let help = "The same in bytes, without headers of IP and UDP.";
    family("nodes_sent_bytes_per_second", "gauge", help, &bytes);
    let help = "Nodes whose gossip had to wait for its ceiling within half a minute.";
    family("nodes_put_off", "gauge", help, &put_off);
}
