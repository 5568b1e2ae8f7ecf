//! Its incidents: one that is blocked, one that is over, and one whose node is back.

use api::{Incident, Phase, Vm};
use uuid::Uuid;

use super::TEN;

fn phases(all: &[(&str, u64, u64)]) -> Vec<Phase> {
    let phase = |(state, at_ms, index): &(&str, u64, u64)| Phase {
        state: (*state).to_owned(),
        at_ms: *at_ms,
        index: *index,
    };
    all.iter().map(phase).collect()
}

pub(super) fn blocked() -> Incident {
    Incident {
        id: 12,
        node: "node-2".to_owned(),
        boot: Uuid::from_u128(0x202),
        state: "fencing".to_owned(),
        open: true,
        hold: None,
        guards: Vec::new(),
        host: String::new(),
        note: String::new(),
        blocked: Some(
            "its bmc 10.0.9.2 does not answer and it was not armed, so nothing proves that it is off; \
             make sure of it and say so: hactl fenced confirm node-2"
                .to_owned(),
        ),
        row: "gone".to_owned(),
        reason: "nobody reaches it".to_owned(),
        actions: vec!["fence".to_owned(), "evacuate".to_owned()],
        reachability: "---".to_owned(),
        observations: vec![
            "management: controllers 1, 2; witnesses node-1, node-6".to_owned(),
            "storage: controllers 1, 2; witnesses node-1, node-6".to_owned(),
            "tenant: controllers 1, 2; witnesses node-1, node-6".to_owned(),
        ],
        evidence: None,
        drill: None,
        steps: Vec::new(),
        phases: phases(&[("fencing", TEN + 1_000, 1040)]),
        vms: vec![],
    }
}

fn vm(number: u128, name: &str, state: &str) -> Vm {
    Vm {
        id: Uuid::from_u128(number),
        name: name.to_owned(),
        state: state.to_owned(),
        destination: None,
        request_id: None,
        why: None,
        took_ms: None,
        attempts: 1,
        migration: None,
        policy: String::new(),
        tried: Vec::new(),
    }
}

pub(super) fn recovered() -> Incident {
    let moved = |number, name: &str, to: &str, took| Vm {
        destination: Some(to.to_owned()),
        request_id: Some(format!("req-{number}")),
        migration: u64::try_from(number).ok(),
        took_ms: Some(took),
        ..vm(number, name, "moved")
    };
    Incident {
        id: 11,
        node: "node-3".to_owned(),
        boot: Uuid::from_u128(0x203),
        state: "recovered".to_owned(),
        open: true,
        hold: None,
        guards: vec![
            "none refuses of quorum, noop, disarmed, maintenance, not_protected, stale, grace, all_suspected, storm, \
             no_room, left_alone, quarantine, in_flight, budget"
                .to_owned(),
            "refused before by in_flight: 1 fence(s) under way, no more at once".to_owned(),
        ],
        host: "compute-3".to_owned(),
        note: String::new(),
        blocked: None,
        evidence: Some("E1: bmc reads off twice, identity equal".to_owned()),
        drill: None,
        steps: Vec::new(),
        phases: phases(&[
            ("fencing", TEN - 3_600_000, 905),
            ("fenced", TEN - 3_595_812, 907),
            ("forced_down", TEN - 3_595_640, 908),
            ("evacuating", TEN - 3_595_511, 909),
            ("recovered", TEN - 3_588_120, 921),
        ]),
        vms: vec![
            moved(0x901, "db-1", "node-1", 4_211),
            moved(0x902, "web\u{1b}[2J-1", "node-4", 6_004),
            Vm {
                why: Some(
                    "no host has room for it (2 were asked): make room, then `openstack server evacuate` it".to_owned(),
                ),
                attempts: 3,
                migration: Some(2310),
                policy: "evacuate (rule \"databases\"), priority 900, order 10".to_owned(),
                tried: vec!["compute-1".to_owned(), "compute-4".to_owned()],
                ..vm(0x903, "db-2", "left behind")
            },
        ],
        ..blocked()
    }
}

pub(super) fn returned() -> Incident {
    let mut incident = recovered();
    incident.id = 10;
    incident.node = "node-1".to_owned();
    incident.state = "returned".to_owned();
    incident.open = false;
    incident.vms.pop();
    incident.phases.push(Phase {
        state: "released".to_owned(),
        at_ms: TEN - 3_000_000,
        index: 950,
    });
    incident.phases.push(Phase {
        state: "returned".to_owned(),
        at_ms: TEN - 2_990_000,
        index: 960,
    });
    incident
}
