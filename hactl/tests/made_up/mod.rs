//! A made-up state of a cluster in trouble: one of everything that an operator may meet.
#![allow(dead_code, missing_docs)] // Each test program uses a part of it.

mod incidents;

use api::{
    Boot, Controller, Degraded, Detection, Doubt, FencedNode, Matrix, NetworkReach, Node,
    NodePhase, Observation, Refusal, State, Sweep, Weight,
};
use incidents::{blocked, recovered, returned};
use uuid::Uuid;

/// 2026-11-21 10:00:00 UTC.
const TEN: u64 = 1_795_255_200_000;
const NETWORKS: [&str; 3] = ["management", "storage", "tenant"];

/// Three controllers, one of them lost; six nodes; three incidents.
pub(crate) fn in_trouble() -> State {
    State {
        cluster: Uuid::from_u128(0x01),
        controller: 1,
        leader: Some(1),
        term: 7,
        committed: 1043,
        controllers: vec![
            controller(1, "leader", Some(1043)),
            controller(2, "follower", Some(1043)),
            controller(3, "unknown", Some(988)),
        ],
        noop: false,
        disarmed: None,
        disarmed_for_min: None,
        reserved: Vec::new(),
        holds: vec![],
        stale: vec![
            "Nova last answered 42 s ago; check nova-api and the clouds.yaml of the controllers"
                .to_owned(),
        ],
        sweeps: sweeps(),
        nodes: vec![node_1(), node_2(), node_3(), node_4(), node_5(), node_6()],
        incidents: vec![blocked(), recovered(), returned()],
        fenced: vec![
            FencedNode {
                node: "node-2".to_owned(),
                boot: Uuid::from_u128(0x202),
                since_ms: TEN + 1_000,
                evidence: None,
                incident: 12,
                count: 2,
                release: "evidence that it is off".to_owned(),
            },
            FencedNode {
                node: "node-3".to_owned(),
                boot: Uuid::from_u128(0x203),
                since_ms: TEN - 3_600_000,
                evidence: Some("E1: bmc reads off twice, identity equal".to_owned()),
                incident: 11,
                count: 1,
                release: "a new boot of the node".to_owned(),
            },
        ],
        matrix: Matrix {
            text: include_str!("matrix.toml").to_owned(),
            index: 900,
            by: "alice".to_owned(),
        },
        actual: api::Actual::default(),
        sent: Vec::new(),
    }
}

/// Five VMs: one that is well, one that is missing, a copy that should not run, one that was missing, and one that only an
/// agent knows; and a node that is not heard.
pub(crate) fn vms() -> api::Vms {
    let node = |name: &str, listed_s| api::ListOfNode {
        node: name.to_owned(),
        listed_s,
        cut: false,
        nova_s: Some(12.0),
    };
    let vm = |id: u128, name: &str, host: &str, on: &[&str]| api::RunningVm {
        id: Uuid::from_u128(id),
        name: Some(name.to_owned()),
        project: Some("web-shop".to_owned()),
        host: Some(host.to_owned()),
        status: Some("ACTIVE".to_owned()),
        runs_on: on.iter().map(|name| (*name).to_owned()).collect(),
        cpu_s: (!on.is_empty()).then_some(5_400.0),
        memory_mib: (!on.is_empty()).then_some(4_096),
        disk_mib: None,
        seen_s: (!on.is_empty()).then_some(7.5),
        problem: None,
        crash: None,
    };
    let crash = api::Crash {
        found_ms: TEN,
        reboots: 1,
        rebooted_ms: Some(TEN + 9_000),
        over_ms: None,
        how: None,
    };
    let missing = Some("missing on node-1".to_owned());
    let stray = Some("stray copy on node-3".to_owned());
    let (over_ms, how) = (Some(TEN + 30_000), Some("runs on node-1".to_owned()));
    api::Vms {
        collected: true,
        nodes: vec![node("node-1", Some(7.5)), node("node-2", None), node("node-3", Some(2.0))],
        vms: vec![
            vm(1, "web-1", "node-1", &["node-1"]),
            api::RunningVm {
                problem: missing,
                crash: Some(crash.clone()),
                ..vm(2, "db-1", "node-1", &[])
            },
            api::RunningVm {
                crash: Some(api::Crash { over_ms, how, ..crash }),
                ..vm(3, "db-2", "node-1", &["node-1"])
            },
            api::RunningVm { problem: stray, ..vm(4, "mail", "node-2", &["node-3"]) },
            api::RunningVm {
                name: None,
                project: None,
                host: None,
                status: None,
                ..vm(5, "", "", &["node-3"])
            },
        ],
    }
}

/// The same cluster when nothing is wrong.
pub(crate) fn all_well() -> State {
    let mut state = in_trouble();
    state.controllers[2] = controller(3, "follower", Some(1043));
    state.stale.clear();
    state.nodes = vec![node_1()];
    state.incidents.clear();
    state.fenced.clear();
    state.matrix.index = 0;
    state
}

/// Controller 3 has lost its link to the storage network, and tells nothing of tenant any more.
fn sweeps() -> Vec<Sweep> {
    let sweep = |network: &str, controller, missed, voice, age_s| {
        let network = network.to_owned();
        Sweep { network, controller, asked: 6, missed, voice, age_s }
    };
    vec![
        sweep("management", 1, 1, true, 0.2),
        sweep("management", 2, 1, true, 0.6),
        sweep("management", 3, 1, true, 0.9),
        sweep("storage", 1, 1, true, 0.2),
        sweep("storage", 2, 1, true, 0.6),
        sweep("storage", 3, 6, false, 0.9),
        sweep("tenant", 1, 1, true, 0.2),
        sweep("tenant", 2, 1, true, 0.6),
        sweep("tenant", 3, 1, false, 64.0),
    ]
}

fn controller(id: u64, role: &str, matched: Option<u64>) -> Controller {
    let url = format!("https://controller-{id}.example:8700");
    Controller { id, role: role.to_owned(), matched, url }
}

fn reach(
    network: &str,
    reach: &str,
    for_s: f64,
    reason: &str,
    seen: &[(&str, bool, f64)],
) -> NetworkReach {
    let observers = seen.iter().map(|(observer, sound, unanswered_s)| Observation {
        observer: (*observer).to_owned(),
        sound: *sound,
        unanswered_s: *unanswered_s,
    });
    NetworkReach {
        network: network.to_owned(),
        reach: reach.to_owned(),
        for_s,
        degraded: None,
        flapping: None,
        detection: Detection { reason: reason.to_owned(), observers: observers.collect() },
    }
}

fn node_1() -> Node {
    Node {
        name: "node-1".to_owned(),
        id: Uuid::from_u128(0x101),
        domain: "rack-1".to_owned(),
        host: "node-1.example".to_owned(),
        boot: Some(Boot {
            id: Uuid::from_u128(0x0201_0000_0000_0000_0000_0000_0000_0000),
            uptime_s: 864_321.0,
        }),
        phase: NodePhase::Protected,
        networks: NETWORKS
            .map(|name| reach(name, "up", 86_400.0, "it answers every controller", &[]))
            .to_vec(),
        compact: "mst".to_owned(),
        armed: true,
        watchdog: "hardware, 20s".to_owned(),
        renewed_s: Some(0.42),
        watchdog_test: None,
        maintenance: None,
        exempt_for_min: None,
        bmc: "10.0.9.1, identity enrolled".to_owned(),
        fences: 0,
        refusals: vec![],
        doubts: vec![],
        checks: vec![check("disk", "ok", "/var/lib/nova/instances can be written")],
        sent: Some(sent(12.0, 1.0, 0)),
    }
}

fn check(name: &str, state: &str, message: &str) -> api::Check {
    api::Check {
        name: name.to_owned(),
        state: state.to_owned(),
        before: "unknown".to_owned(),
        code: 0,
        message: message.to_owned(),
        for_s: 7_200.0,
        heard_s: 3.0,
    }
}

/// An idle node whose programs send `times` as much as most.
fn sent(age_s: f64, times: f64, put_off: u64) -> api::Sent {
    let rate = |packets: f64, bytes: f64| api::Rate {
        packets_per_s: packets * times,
        bytes_per_s: (bytes * times).round(),
    };
    let on = |network: &str| api::SentOn {
        network: network.to_owned(),
        gossip: rate(2.0, 131.0),
        all: rate(8.0, 812.0),
        put_off: if network == "storage" { put_off } else { 0 },
    };
    api::Sent { age_s, over_s: 30, networks: NETWORKS.map(on).to_vec() }
}

fn doubt(weight: Weight, what: &str, remedy: &str) -> Doubt {
    Doubt { weight, what: what.to_owned(), remedy: remedy.to_owned() }
}

fn refusal(guard: &str, why: &str) -> Refusal {
    Refusal { guard: guard.to_owned(), why: why.to_owned() }
}

/// Gone on all networks, and its fence is blocked.
fn node_2() -> Node {
    let seen = [
        ("controller-1", true, 64.2),
        ("controller-2", true, 64.0),
        ("node-1", true, 63.9),
        ("node-4", false, 3.1),
        ("node-6", true, 64.1),
    ];
    let down = "2 of 2 sound controllers and 2 of 2 witnesses cannot reach it";
    Node {
        name: "node-2".to_owned(),
        phase: NodePhase::Incident,
        networks: NETWORKS.map(|name| reach(name, "down", 61.2, down, &seen)).to_vec(),
        compact: "---".to_owned(),
        armed: false,
        watchdog: "none".to_owned(),
        renewed_s: Some(64.3),
        bmc: "10.0.9.2 does not answer: timed out after 5 s".to_owned(),
        fences: 2,
        refusals: vec![],
        sent: None,
        ..node_1()
    }
}

/// Out, its VMs are elsewhere.
fn node_3() -> Node {
    let off = "3 of 3 sound controllers cannot reach it";
    Node {
        name: "node-3".to_owned(),
        domain: "rack-2".to_owned(),
        boot: None,
        phase: NodePhase::Out,
        networks: NETWORKS.map(|name| reach(name, "down", 3_600.0, off, &[])).to_vec(),
        compact: "---".to_owned(),
        armed: false,
        watchdog: "unknown".to_owned(),
        renewed_s: None,
        fences: 1,
        refusals: vec![refusal("not_protected", "it is out already")],
        sent: None,
        ..node_1()
    }
}

/// Suspected on storage, degraded on tenant.
fn node_4() -> Node {
    let seen = [("controller-1", true, 1.9), ("controller-2", true, 0.0), ("node-1", true, 1.7)];
    Node {
        name: "node-4".to_owned(),
        domain: "rack-2".to_owned(),
        networks: vec![
            reach("management", "up", 86_400.0, "it answers every controller", &[]),
            reach(
                "storage",
                "suspect",
                1.9,
                "1 of 2 sound controllers and 1 of 1 witnesses cannot reach it",
                &seen,
            ),
            NetworkReach {
                degraded: Some(Degraded { unanswered: 14, of: 20, for_s: 43.0 }),
                ..reach("tenant", "up", 412.0, "it answers every controller", &[])
            },
        ],
        refusals: vec![refusal(
            "budget",
            "rack-2 had its 1 fence of the last 15 min; wait 9 min, or hactl fence node-4",
        )],
        doubts: vec![
            doubt(
                Weight::NotRecovered,
                "no fence would begin (budget): rack-2 had its 1 fence of the last 15 min",
                "wait, or: hactl fence node-4 passes over it",
            ),
            doubt(
                Weight::AtRisk,
                "its BMC is no help (no answer at all): only its lease proves that it is off, 61 s later",
                "check it by hand; if the board was replaced: hactl bmc enroll node-4",
            ),
        ],
        sent: Some(sent(29.0, 1.5, 7)),
        ..node_1()
    }
}

/// In maintenance.
fn node_5() -> Node {
    Node {
        name: "node-5".to_owned(),
        domain: "rack-2".to_owned(),
        phase: NodePhase::Exempt,
        watchdog_test: None,
        maintenance: Some("new firmware, until 18:00 (bob)".to_owned()),
        exempt_for_min: None,
        refusals: vec![refusal(
            "maintenance",
            "it is in maintenance: hactl maintenance node-5 off",
        )],
        doubts: vec![
            doubt(
                Weight::NotRecovered,
                "no fence would begin (maintenance): new firmware, until 18:00 (bob)",
                "when the work is over: hactl maintenance node-5 off",
            ),
            doubt(
                Weight::AtRisk,
                "its lease is no evidence (it has no watchdog): if its BMC dies with it, a person must confirm \
                 with hactl fenced confirm node-5",
                "load the driver of its hardware watchdog",
            ),
        ],
        ..node_1()
    }
}

/// Enrolled, and never heard.
fn node_6() -> Node {
    Node {
        name: "node-6".to_owned(),
        domain: "rack-3".to_owned(),
        boot: None,
        phase: NodePhase::NeverSeen,
        networks: NETWORKS
            .map(|name| reach(name, "unknown", 90_000.0, "never heard", &[]))
            .to_vec(),
        compact: "???".to_owned(),
        armed: false,
        watchdog: "unknown".to_owned(),
        renewed_s: None,
        bmc: "none enrolled".to_owned(),
        refusals: vec![refusal(
            "not_protected",
            "its boot was neither armed nor admitted; start its sentinel and agent",
        )],
        doubts: vec![doubt(
            Weight::NotRecovered,
            "nothing could prove that it is off: BMC: it has not answered yet; lease: its sentinel was never heard",
            "check its address, user, password and cipher suite; or, for one is enough: start ha-sentinel on node-6",
        )],
        sent: None,
        ..node_1()
    }
}
