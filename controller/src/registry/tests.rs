use std::collections::BTreeMap;

use fencing::bmc::Identity;
use fencing::evidence::Evidence;
use fencing::lease::Profile;
use fencing::sign::KeyPair;
use fencing::watchdog::Class;
use fencing::{BootId, ControllerId, Epoch, IncidentId, NodeId};
use uuid::Uuid;

use super::*;
use crate::policy::Treatment;

fn node(n: u128) -> NodeId {
    NodeId(Uuid::from_u128(n))
}

fn boot(n: u128) -> BootId {
    BootId(Uuid::from_u128(n))
}

fn verdict() -> Verdict {
    Verdict {
        row: "all down".into(),
        reason: String::new(),
        actions: Vec::new(),
        cell: "---".into(),
        observations: Vec::new(),
        guards: Vec::new(),
    }
}

fn maintenance(n: u128, reason: Option<String>) -> Command {
    Command::Maintenance { node: node(n), reason, minutes: None, migrate: None }
}

fn disarm_all(reason: Option<&str>, minutes: Option<u64>) -> Command {
    Command::DisarmAll { reason: reason.map(str::to_owned), minutes }
}

/// A registry with two enrolled nodes; node 1 is armed with boot 10.
struct Log(Registry);

impl Log {
    fn new() -> Self {
        let mut log = Log(Registry::default());
        for n in 1..=2 {
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
            let command = Command::Enrol { node: node(n.into()), record: Box::new(record) };
            log.commit(command).expect("enrolled");
        }
        log.arm(1, 10).expect("armed");
        log
    }

    fn commit(&mut self, command: Command) -> Result<(), Rejected> {
        let index = self.0.index() + 1;
        self.0.apply(1, index, &Entry { at_ms: index, by: ControllerId(1), command })
    }

    fn arm(&mut self, n: u128, b: u128) -> Result<(), Rejected> {
        let (times, class) = (Profile::Fast.times(), Class::Hardware);
        self.commit(Command::Armed { node: node(n), boot: boot(b), times, class, n: 0 })
    }

    fn intend(&mut self, n: u128, b: u128) -> Result<Epoch, Rejected> {
        let (node, boot, evacuate) = (node(n), boot(b), true);
        self.commit(Command::Intent {
            node,
            boot,
            floor: 0,
            verdict: verdict(),
            evacuate,
            drill: None,
        })?;
        Ok(Epoch { term: 1, index: self.0.index() })
    }

    fn fence(&mut self, epoch: Epoch) -> Result<(), Rejected> {
        let apart = fencing::e1::READS_APART;
        let evidence = Evidence::Bmc { level: 1, identity: Identity([1; 16]), apart };
        self.commit(Command::Fenced { epoch, evidence })
    }

    /// Node 1 fenced, forced down, with one VM planned.
    fn evacuating() -> (Self, IncidentId, Uuid) {
        let mut log = Self::new();
        let epoch = log.intend(1, 10).expect("intent");
        log.fence(epoch).expect("fenced");
        let (incident, vm) = (IncidentId(1), Uuid::from_u128(77));
        let service = Uuid::nil();
        log.commit(Command::ForcedDown {
            incident,
            service,
            disabled_by_us: true,
            forced_by_us: true,
        })
        .expect("down");
        let before = Before {
            name: "db-1".into(),
            vm_state: "active".into(),
            task_state: None,
            memory_mib: 512,
            zone: String::new(),
            apart: Vec::new(),
            treatment: Treatment::default(),
        };
        let vms = BTreeMap::from([(vm, before)]);
        log.commit(Command::Planned { incident, vms, last_record: 0 }).expect("planned");
        (log, incident, vm)
    }

    fn attempt(&mut self, incident: IncidentId, vm: Uuid, to: &str) -> Result<(), Rejected> {
        self.commit(Command::Attempt { incident, vm, destination: Some(to.into()) })
    }
}

#[test]
fn a_node_has_one_open_incident_and_its_fence_one_epoch() {
    let mut log = Log::new();
    let epoch = log.intend(1, 10).expect("the first");
    assert!(log.intend(1, 10).is_err());
    assert!(log.fence(Epoch { term: 1, index: epoch.index + 1 }).is_err());
    log.fence(epoch).expect("this epoch");
    assert!(log.fence(epoch).is_err());
}

#[test]
fn there_is_no_proof_before_the_evidence_and_none_while_it_is_contradicted() {
    let mut log = Log::new();
    let identity = Identity([1; 16]);
    log.commit(Command::BmcEnrolled { node: node(1), level: 1, identity }).expect("enrolled");
    let epoch = log.intend(1, 10).expect("intent");
    assert_eq!(log.0.fenced(IncidentId(1)), None);
    log.fence(epoch).expect("fenced");
    assert!(log.0.fenced(IncidentId(1)).is_some());
    let why = "it speaks".to_owned();
    log.commit(Command::Frozen { incident: IncidentId(1), why }).expect("frozen");
    assert_eq!(log.0.fenced(IncidentId(1)), None);
    assert!(log.0.node(node(1)).is_some_and(|node| node.believed(1).is_none()));
    let word = Evidence::Operator { person: "ann".into(), reason: "cable out".into() };
    log.commit(Command::Fenced { epoch, evidence: word }).expect("a human looked");
    assert!(log.0.fenced(IncidentId(1)).is_some());
}

#[test]
fn a_node_that_is_out_is_neither_armed_nor_admitted_and_its_fenced_boot_never_again() {
    let mut log = Log::new();
    let epoch = log.intend(1, 10).expect("intent");
    assert!(log.arm(1, 11).is_err());
    log.fence(epoch).expect("fenced");
    assert!(log.arm(1, 11).is_err());
    assert!(log.commit(Command::Admitted { node: node(1), boot: boot(11) }).is_err());
    assert!(log.0.was_fenced(node(1), boot(10)));
}

#[test]
fn no_fence_begins_in_maintenance_or_while_disarmed() {
    let mut log = Log::new();
    let reason = Some("new fan".to_owned());
    log.commit(maintenance(1, reason)).expect("on");
    assert!(log.intend(1, 10).is_err());
    log.commit(maintenance(1, None)).expect("off");
    log.commit(disarm_all(Some("switch work"), None)).expect("disarmed");
    assert!(log.intend(1, 10).is_err());
    assert!(log.arm(1, 10).is_err());
}

#[test]
fn a_disarm_never_ends_a_fence_that_has_begun() {
    let mut log = Log::new();
    let epoch = log.intend(1, 10).expect("intent");
    log.commit(Command::Disarmed { node: node(1), minutes: None }).expect("noted");
    log.fence(epoch).expect("the fence goes on");
}

#[test]
fn the_cap_on_fences_in_flight_is_checked_when_applied() {
    let mut log = Log::new();
    log.arm(2, 20).expect("armed");
    log.intend(1, 10).expect("the first of up to 20 nodes");
    assert_eq!(log.intend(2, 20), Err(Rejected("too many fences in flight")));
}

#[test]
fn a_vm_has_one_live_attempt() {
    let (mut log, incident, vm) = Log::evacuating();
    log.attempt(incident, vm, "compute-2").expect("the first");
    assert!(log.attempt(incident, vm, "compute-3").is_err());
    let request_id = "req-1".to_owned();
    log.commit(Command::Sent { incident, vm, request_id }).expect("sent");
    assert!(log.attempt(incident, vm, "compute-3").is_err());
}

#[test]
fn after_an_unknown_outcome_the_next_attempt_names_the_same_destination() {
    let (mut log, incident, vm) = Log::evacuating();
    log.attempt(incident, vm, "compute-2").expect("the first");
    let (why, same) = ("no trace".to_owned(), Some("compute-2".to_owned()));
    log.commit(Command::Void { incident, vm, why, same, past: 0, no_room: None }).expect("void");
    assert!(log.attempt(incident, vm, "compute-3").is_err());
    log.attempt(incident, vm, "compute-2").expect("where a late one would fail");
}

#[test]
fn nothing_is_recovered_before_every_vm_is_settled() {
    let (mut log, incident, vm) = Log::evacuating();
    assert!(log.commit(Command::Recovered { incident }).is_err());
    log.commit(Command::Parked { incident, vm, why: "no room".into(), record: None })
        .expect("parked");
    log.commit(Command::Recovered { incident }).expect("all settled");
    log.commit(Command::Released { incident, by: "rule".into() }).expect("released");
    log.arm(1, 11).expect("a released node may be armed, with its new boot");
    assert!(log.arm(1, 10).is_err(), "not with the fenced one");
    log.commit(Command::Returned { incident }).expect("returned");
    assert!(log.0.incident_of(node(1)).is_none());
}

#[test]
fn a_rejected_entry_changes_nothing_but_the_index() {
    let mut log = Log::new();
    log.intend(1, 10).expect("intent");
    let before = Registry { index: 0, ..log.0.clone() };
    assert!(log.intend(1, 10).is_err());
    assert_eq!(Registry { index: 0, ..log.0.clone() }, before);
}

#[test]
fn a_snapshot_holds_the_whole_state() {
    let (log, ..) = Log::evacuating();
    let restored = Registry::from_bytes(&log.0.to_bytes()).expect("its own bytes");
    assert_eq!(restored.hash(), log.0.hash());
}

fn pass(log: &mut Log, minutes: u64) {
    (0..minutes).for_each(|_| log.commit(Command::Minute).expect("a minute"));
    log.0.over().into_iter().for_each(|end| log.commit(end).expect("it is over"));
}

#[test]
fn a_disarm_for_a_time_ends_by_itself_and_one_without_does_not() {
    let mut log = Log::new();
    log.commit(disarm_all(Some("switch work"), Some(2))).expect("disarmed");
    assert!(log.commit(Command::DisarmOver).is_err(), "not before its time");
    pass(&mut log, 2);
    assert_eq!((log.0.disarmed(), log.0.disarmed_for()), (Some("switch work"), Some(1)));
    pass(&mut log, 1);
    assert_eq!((log.0.disarmed(), log.0.anything_ends_by_itself()), (None, false));
    log.commit(disarm_all(Some("for good"), None)).expect("disarmed");
    pass(&mut log, 100);
    assert!(log.0.disarmed().is_some());
}

#[test]
fn what_one_node_was_ordered_outlives_the_end_of_all() {
    let mut log = Log::new();
    log.commit(disarm_all(Some("switch work"), Some(1))).expect("disarmed");
    log.commit(maintenance(1, Some("new fan".into()))).expect("on");
    log.commit(Command::Disarmed { node: node(2), minutes: Some(3) }).expect("disarmed");
    pass(&mut log, 2);
    assert!(log.0.disarmed().is_none());
    assert!(log.0.node(node(1)).is_some_and(|node| node.maintenance.is_some()));
    assert!(log.0.node(node(2)).is_some_and(|node| node.disarmed));
    pass(&mut log, 2);
    assert!(log.0.node(node(2)).is_some_and(|node| !node.disarmed));
    assert!(log.0.node(node(1)).is_some_and(|node| node.maintenance.is_some()), "without a time");
}

#[test]
fn a_maintenance_that_migrates_opens_an_incident_that_ends_with_it() {
    let mut log = Log::new();
    let reason = Some("new fan".to_owned());
    let migrate = Some(Box::new(verdict()));
    log.commit(Command::Maintenance { node: node(1), reason, minutes: Some(5), migrate })
        .expect("on");
    let incident = log.0.incident_of(node(1)).expect("it is open");
    assert_eq!(
        (incident.state, &incident.course),
        (State::Disabling, &Course::Soft(Kind::PlannedWork))
    );
    assert!(log.intend(1, 10).is_err(), "no fence in maintenance");
}

#[test]
fn the_limit_counts_attempts_of_the_last_minutes() {
    let (mut log, incident, vm) = Log::evacuating();
    log.attempt(incident, vm, "compute-2").expect("the first");
    assert_eq!(log.0.begun_within(60), 1);
    (0..61).for_each(|_| log.commit(Command::Minute).expect("minutes"));
    assert_eq!(log.0.begun_within(60), 0);
}

#[test]
fn a_destination_without_room_is_remembered() {
    let (mut log, incident, vm) = Log::evacuating();
    log.attempt(incident, vm, "compute-2").expect("the first");
    let (why, no_room) = ("no room".to_owned(), Some("compute-2".to_owned()));
    log.commit(Command::Void { incident, vm, why, same: None, past: 7, no_room }).expect("void");
    let known = log.0.incidents()[&incident].vms[&vm].clone();
    assert_eq!((known.no_room, known.past, known.same), (vec!["compute-2".to_owned()], 7, None));
    log.attempt(incident, vm, "compute-3")
        .expect("Nova refused without effect: another may be named");
}

fn drill(watchdog: bool) -> Option<Drill> {
    Some(Drill { watchdog, ordered_ms: 0 })
}

#[test]
fn a_drill_begins_only_while_no_incident_is_open_and_of_a_watchdog_only_with_an_armed_boot() {
    let mut registry = Log::new();
    let order = |n: u128, b: u128, watchdog| Command::Intent {
        node: node(n),
        boot: boot(b),
        floor: 0,
        verdict: verdict(),
        evacuate: true,
        drill: drill(watchdog),
    };
    assert!(registry.commit(order(2, 20, true)).is_err(), "node 2 is not armed");
    registry.intend(2, 20).expect("a fence");
    assert!(registry.commit(order(1, 10, false)).is_err(), "an incident is open");
    let epoch = Epoch {
        term: 1,
        index: registry.0.incident_of(node(2)).expect("open").fence().expect("a fence").epoch.index,
    };
    registry.commit(Command::Cancel { epoch, why: String::new() }).expect("cancelled");
    registry.commit(order(1, 10, true)).expect("nothing is in the way");
    assert!(registry.0.is_out(node(1)));
    assert!(registry.0.lease().now().is_watchdog_drill(node(1)));
}

#[test]
fn a_test_of_a_watchdog_speaks_for_the_same_kind_and_timeout_alone() {
    let mut registry = Log::new();
    let arming = registry.0.node(node(1)).expect("known").armed.expect("armed");
    let test = WatchdogTest {
        boot: boot(10),
        at_ms: 0,
        took: arming.times.watchdog,
        class: arming.class,
        timeout: arming.times.watchdog,
        fires: Fires::InTime,
    };
    let fires = |registry: &Log, arming| registry.0.node(node(1)).expect("known").fires(&arming);
    assert_eq!(fires(&registry, arming), None);
    registry.commit(Command::WatchdogTested { node: node(1), test }).expect("known");
    assert_eq!(fires(&registry, arming), Some(Fires::InTime));
    assert_eq!(fires(&registry, Arming { class: Class::Ipmi, ..arming }), None);
    let times = Profile::Calm.times();
    assert_eq!(fires(&registry, Arming { times, ..arming }), None);
}

#[test]
fn a_bmc_is_not_enrolled_while_a_fence_of_its_node_is_open() {
    let mut registry = Log::new();
    let enrol = |identity| Command::BmcEnrolled { node: node(1), level: 1, identity };
    let known = |registry: &Log| registry.0.node(node(1)).expect("known").believed(1);
    let (first, other) = (Identity([1; 16]), Identity([2; 16]));
    registry.commit(enrol(first)).expect("no fence");
    let epoch = registry.intend(1, 10).expect("armed");
    assert!(registry.commit(enrol(other)).is_err(), "read before the intent, committed after it");
    registry.fence(epoch).expect("evidence");
    assert!(registry.commit(enrol(other)).is_err());
    assert_eq!(known(&registry), Some(first));
}

/// Node 1 fenced; then whatever is to be said of its service.
fn returned_after(says: impl FnOnce(&mut Log, IncidentId)) -> (Log, String) {
    let mut log = Log::new();
    let epoch = log.intend(1, 10).expect("intent");
    log.fence(epoch).expect("fenced");
    let incident = IncidentId(1);
    says(&mut log, incident);
    log.commit(Command::Planned { incident, vms: BTreeMap::new(), last_record: 0 })
        .expect("planned");
    log.commit(Command::Recovered { incident }).expect("recovered");
    log.commit(Command::Released { incident, by: "rule".into() }).expect("released");
    log.commit(Command::Returned { incident }).expect("returned");
    let note = log.0.incidents()[&incident].note.clone();
    (log, note)
}

fn found_forced_down(incident: IncidentId, forced_by_us: bool) -> Command {
    Command::ForcedDown { incident, service: Uuid::nil(), disabled_by_us: false, forced_by_us }
}

#[test]
fn what_we_are_about_to_force_down_is_ours_whatever_is_read_later() {
    let (log, note) = returned_after(|log, incident| {
        log.commit(Command::ForcingDown { incident }).expect("it is fenced");
        log.commit(found_forced_down(incident, false)).expect("read back");
        assert!(log.0.node(node(1)).expect("known").forced_by_us);
        assert!(log.commit(Command::ForcingDown { incident }).is_err(), "it is over");
    });
    assert_eq!(note, "released by rule");
    assert!(!log.0.node(node(1)).expect("known").forced_by_us, "the next fence begins anew");
}

#[test]
fn what_somebody_else_had_forced_down_is_told_of_the_incident_that_is_over() {
    let (log, note) = returned_after(|log, incident| {
        log.commit(found_forced_down(incident, false)).expect("read");
        assert!(!log.0.node(node(1)).expect("known").forced_by_us);
    });
    assert!(
        note.starts_with("released by rule; its nova-compute was forced down before"),
        "{note}"
    );
    assert!(
        note.ends_with("`openstack compute service set --up compute-1 nova-compute`"),
        "{note}"
    );
    assert!(!log.0.node(node(1)).expect("known").forced_by_us);
}
