//! Cores decide and do nothing else: no clock, no chance of their own, no I/O, no order that
//! differs from run to run. Clippy cannot ban a whole module path; this can.

use crate::{Text, refuse, texts};

/// Modules whose code is core, as files or directories. One that does not exist yet is no error, so
/// that a core can be named here before it is written.
const CORES: &[&str] = &[
    "action-matrix/src",
    "api/src",
    "controller/src/capacity",
    "controller/src/controller",
    "controller/src/core",
    "controller/src/detect",
    "controller/src/guard",
    "controller/src/incident",
    "controller/src/nova/call",
    "controller/src/nova/room",
    "controller/src/policy",
    "controller/src/raft/core",
    "controller/src/raft/message",
    "controller/src/recovery",
    "controller/src/registry",
    "controller/src/verdict",
    "fencing/src/bmc/agent/metadata",
    "fencing/src/bmc/agent/protocol",
    "fencing/src/bmc/agent/target",
    "fencing/src/bmc/ipmi",
    "fencing/src/bmc/redfish/exchange",
    "fencing/src/bmc/redfish/resource",
    "fencing/src/census",
    "fencing/src/checks",
    "fencing/src/domains",
    "fencing/src/e1",
    "fencing/src/e2",
    "fencing/src/event",
    "fencing/src/evidence",
    "fencing/src/lease",
    "gossip/src",
    "node-agent/src/agent/core",
    "node-agent/src/agent/reports",
    "node-agent/src/checks/core",
    "node-agent/src/checks/plan",
    "node-agent/src/checks/watch",
    "node-agent/src/gate",
    "node-agent/src/sentinel/adoption",
    "node-agent/src/sentinel/core",
    "node-agent/src/sentinel/counters",
    "node-agent/src/sentinel/event",
    "node-agent/src/sentinel/lease",
    "node-agent/src/sentinel/peers",
    "sim/src",
];

/// Files and directories below those paths that are shells all the same, with the reason.
const SHELLS: [(&str, &str); 8] = [
    ("gossip/src/udp", "the socket of a group"),
    ("sim/src/ci.rs", "measures many explorations, and prints"),
    ("sim/src/explore/many.rs", "runs explorations on threads, a world in each"),
    ("sim/src/fleet", "measures a large cluster: time and memory of this process"),
    ("sim/src/hunt", "reads stories, measures, and prints"),
    ("sim/src/main.rs", "reads scenario files and prints"),
    ("sim/src/replay.rs", "opens records and prints"),
    ("sim/src/standin", "BMC and Nova as real servers, for the lab and for tests with processes"),
];

/// What a core may not name, and what to do instead.
const BANNED: [(&str, &str); 17] = [
    ("std::fs", "files are the shell's"),
    ("UdpSocket", "sockets are the shell's"),
    ("TcpStream", "sockets are the shell's"),
    ("TcpListener", "sockets are the shell's"),
    ("tokio::", "waiting is the shell's"),
    ("async fn", "a core never waits"),
    ("Instant::now", "time is an argument"),
    ("SystemTime", "time is an argument, and wall clocks decide nothing"),
    ("thread::", "a core has one thread, its caller's"),
    ("env::var", "the configuration is an argument"),
    ("HashMap", "its order differs from run to run: BTreeMap"),
    ("HashSet", "its order differs from run to run: BTreeSet"),
    ("getrandom", "the seed is an argument"),
    ("rand::rng", "the seed is an argument"),
    ("thread_rng", "the seed is an argument"),
    ("new_v4", "the seed is an argument"),
    ("println!", "what is to be said is an effect"),
];

fn is_shell(text: &Text) -> bool {
    SHELLS.iter().any(|(path, _)| text.path.starts_with(path))
}

/// Lines of code with their numbers: without comments, and without the tests at the end.
fn code(content: &str) -> impl Iterator<Item = (usize, &str)> {
    content
        .lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

fn is_test_file(text: &Text) -> bool {
    text.path.ends_with("tests.rs") || text.path.contains("/tests/")
}

#[test]
fn cores_name_no_clock_no_chance_and_no_input_or_output() {
    let mut complaints = Vec::new();
    let cores = CORES.iter().flat_map(|path| [texts(path), texts(&format!("{path}.rs"))]).flatten();
    for text in cores.filter(|text| text.path.ends_with(".rs")) {
        if is_shell(&text) || is_test_file(&text) {
            continue;
        }
        for (number, line) in code(&text.content) {
            for (word, instead) in BANNED {
                if line.contains(word) {
                    complaints.push(format!("{}:{number}: names {word}: {instead}", text.path));
                }
            }
        }
    }
    refuse(&complaints);
}
