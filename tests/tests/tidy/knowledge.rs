//! Who may know whom: the arrows of docs/architecture.md, and libraries that one place hides.

use crate::{refuse, root, texts};

/// Each crate, and the crates of this workspace that it may depend on.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("action-matrix", &[]),
    ("api", &[]),
    ("fencing", &["mutants"]),
    ("gossip", &["mutants"]),
    ("model", &["fencing"]),
    ("mutants", &[]),
    ("record", &[]),
    ("node-agent", &["fencing", "gossip", "mutants", "record"]),
    ("controller", &["action-matrix", "api", "fencing", "gossip", "mutants", "record"]),
    (
        "sim",
        &[
            "action-matrix",
            "api",
            "controller",
            "fencing",
            "gossip",
            "mutants",
            "node-agent",
            "record",
        ],
    ),
    ("hactl", &["action-matrix", "api", "controller", "fencing", "gossip", "node-agent", "sim"]),
    // Its tests may use everything: those are dev-dependencies, which have no direction.
    ("tests", &[]),
    ("xtask", &[]),
];

/// A library, and the only crate that may depend on it: it can be replaced there alone.
const HIDDEN: [(&str, &str); 3] =
    [("foca", "gossip"), ("raft", "controller"), ("stateright", "model")];

/// Words of a library, and the directories that may name them.
const WORDS: [(&str, &[&str]); 6] = [
    // HTTP calls: to Nova, to a BMC by Redfish, to our own API.
    ("reqwest::", &["controller/src/nova", "fencing/src/bmc/redfish", "hactl/src/", "tests/"]),
    // Also alone, as the peer beside which our groups are measured.
    ("foca::", &["gossip/src/", "gossip/tests/pausing/"]),
    ("eraftpb", &["controller/src/raft/"]),
    ("RawNode", &["controller/src/raft/"]),
    ("raft::prelude", &["controller/src/raft/"]),
    ("protobuf::", &["controller/src/raft/"]),
];

fn manifest(member: &str) -> toml::Table {
    let path = root().join(member).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dependencies(member: &str) -> Vec<String> {
    let manifest = manifest(member);
    ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

#[test]
fn every_member_stands_in_the_table() {
    let manifest = manifest("");
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let missing: Vec<String> = members
        .iter()
        .filter_map(|member| member.as_str())
        .filter(|member| !MAY_USE.iter().any(|(name, _)| name == member))
        .map(|member| format!("{member}: say in MAY_USE what it may depend on"))
        .collect();
    refuse(&missing);
}

#[test]
fn crates_know_only_what_the_architecture_lets_them_know() {
    let mut complaints = Vec::new();
    for (member, allowed) in MAY_USE {
        for dependency in dependencies(member) {
            let ours = MAY_USE.iter().any(|(name, _)| *name == dependency);
            if ours && !allowed.contains(&dependency.as_str()) {
                complaints.push(format!("{member} may not depend on {dependency}"));
            }
        }
    }
    refuse(&complaints);
}

#[test]
fn one_crate_alone_knows_a_hidden_library() {
    let mut complaints = Vec::new();
    for (member, _) in MAY_USE {
        for (library, owner) in HIDDEN {
            if member != owner && dependencies(member).iter().any(|name| name == library) {
                complaints.push(format!("{member} depends on {library}; only {owner} may"));
            }
        }
    }
    for text in texts("").iter().filter(|text| text.path.ends_with(".rs")) {
        for (word, homes) in WORDS {
            let at_home = homes.iter().any(|home| text.path.starts_with(home));
            let here = text.path.starts_with("tests/tests/tidy/");
            if text.content.contains(word) && !at_home && !here {
                complaints.push(format!("{}: names {word}", text.path));
            }
        }
    }
    refuse(&complaints);
}

#[test]
fn every_member_takes_the_workspace_lints() {
    let complaints: Vec<String> = MAY_USE
        .iter()
        .filter(|(member, _)| {
            let lints =
                manifest(member).get("lints").and_then(|lints| lints.get("workspace").cloned());
            lints != Some(toml::Value::Boolean(true))
        })
        .map(|(member, _)| format!("{member}/Cargo.toml: [lints] workspace = true is missing"))
        .collect();
    refuse(&complaints);
}

#[test]
fn only_the_simulator_can_switch_a_break_on() {
    let complaints: Vec<String> = MAY_USE
        .iter()
        .filter(|(member, _)| !["sim", "mutants"].contains(member))
        .filter(|(member, _)| {
            let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
            manifest.contains("switchable") || manifest.contains("sim/mutants")
        })
        .map(|(member, _)| format!("{member}/Cargo.toml: asks for breaks"))
        .collect();
    refuse(&complaints);
}
