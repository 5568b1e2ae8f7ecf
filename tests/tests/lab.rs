//! The lab, run as its users run it: real processes on loopback, real signals. What must come of each fault is judged by
//! the lab itself, which has a witness of its own (a shared disk to which every VM writes) and ends non-zero if a VM did
//! not come back or ran twice; these tests look at its closing result.
//!
//! Whatever a controller recorded is replayed afterwards, and must decide as it had; and the simulator is told the same
//! story, and must tell it alike.
//!
//! One lab at a time: several would starve each other, and times are part of what is looked at. Seeds are printed.

// A panic is how a test fails, and clippy does not know the functions of an integration test for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[allow(dead_code, reason = "the test with a real Nova uses more of it")]
#[path = "lab/run.rs"]
mod run;

#[path = "lab/records.rs"]
mod records;
#[path = "lab/simulated.rs"]
mod simulated;

use run::{Closing, lab};

/// From the fault to the first phase that follows detection and S; generous, as other tests may run beside.
const SOON: f64 = 30.0;

fn evacuated(closing: &Closing, evidence: &str) {
    assert!(closing.evidence().starts_with(evidence), "{closing}");
    let phases = ["detection", "verdict", "fence", "force_down", "first_move", "evacuate"];
    let times: Vec<f64> = phases.iter().map(|phase| closing.phase(phase)).collect();
    // Force-down and moves never come before the evidence.
    assert!(times[1..].is_sorted(), "{closing}");
    assert!(closing.vms().iter().all(|vm| vm.evacuations == 1 && vm.moved), "{closing}");
    assert!(!closing.vms().is_empty(), "{closing}");
}

#[test]
fn a_node_that_loses_power_is_fenced_by_its_bmc_and_its_vms_come_back() {
    let closing = lab(&["--fail", "power"]);
    evacuated(&closing, "E1");
    assert!(closing.phase("verdict") < SOON, "{closing}");
    records::hold_no_secret(&closing);
    assert!(records::agents_replayed(&closing) >= 4, "{closing}");
    records::tell_why(&closing);
    simulated::told_the_same(&closing, "power");
}

#[test]
fn a_node_that_loses_its_storage_is_fenced_though_it_answers_elsewhere() {
    let closing = lab(&["--fail", "storage"]);
    evacuated(&closing, "E");
    simulated::told_the_same(&closing, "storage");
}

#[test]
fn a_node_that_loses_its_tenant_network_is_emptied_alive() {
    let closing = lab(&["--fail", "tenant"]);
    assert!(closing.vms().iter().all(|vm| vm.evacuations == 0 && vm.moved), "{closing}");
    assert_eq!(closing.evidence(), "", "{closing}");
    simulated::told_the_same(&closing, "tenant");
}

#[test]
fn a_node_that_loses_management_is_told_of_and_nothing_more() {
    let closing = lab(&["--fail", "management"]);
    assert!(closing.vms().iter().all(|vm| !vm.moved), "{closing}");
    assert_eq!((closing.evidence(), closing.incident()), ("", "notified"), "{closing}");
    simulated::told_the_same(&closing, "management");
}

#[test]
fn every_defect_of_a_node_is_told_before_it_matters() {
    let page = run::page(&["--defects"]);
    for told in ["NOT recovered: node-4", "NOT recovered: node-6", "at risk: node-2"] {
        assert!(page.contains(told), "{told} is missing:\n{page}");
    }
    assert!(page.matches("->").count() >= 5, "a remedy for each defect:\n{page}");
}

#[test]
fn an_agent_that_is_killed_fences_nobody() {
    let closing = lab(&["--fail", "agent"]);
    assert!(closing.vms().iter().all(|vm| !vm.moved), "{closing}");
    assert_eq!((closing.evidence(), closing.incident()), ("", ""), "{closing}");
    assert!(records::agents_replayed(&closing) >= 4, "{closing}");
    simulated::told_the_same(&closing, "agent");
}

#[test]
fn without_power_and_bmc_the_lease_is_waited_out_before_anything_is_evacuated() {
    let closing = lab(&["--fail", "bmc-and-power"]);
    evacuated(&closing, "E2");
    // wL of the profile fast, from the intent on.
    assert!(closing.phase("fence") - closing.phase("verdict") >= 61.5, "{closing}");
    simulated::told_the_same(&closing, "bmc-and-power");
}

/// Nobody has to wait for the old leader, and nothing is done twice, whenever it dies.
fn killed_at(moment: &str) {
    let closing = lab(&["--fail", "power", "--kill-leader-at", moment]);
    assert!(closing.killed().ends_with(&format!("at {moment}")), "{closing}");
    evacuated(&closing, "E");
    // One more than there are controllers: who was killed began a new one.
    assert_eq!(records::replayed(&closing).len(), 4, "{closing}");
}

#[test]
fn a_recovery_ends_though_the_leader_is_killed_at_the_intent() {
    killed_at("intent");
}

#[test]
fn a_recovery_ends_though_the_leader_is_killed_when_the_bmc_was_told() {
    killed_at("off");
}

#[test]
fn a_recovery_ends_though_the_leader_is_killed_with_the_evidence() {
    killed_at("fenced");
}

#[test]
fn a_recovery_ends_though_the_leader_is_killed_after_the_force_down() {
    killed_at("forced-down");
}

#[test]
fn a_recovery_ends_though_the_leader_is_killed_with_an_evacuation_under_way() {
    killed_at("evacuating");
}

#[test]
fn a_lab_that_is_interrupted_leaves_nothing_behind() {
    let left = run::interrupted(&["--fail", "none", "--keep"]);
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_lab_that_is_killed_leaves_no_process_behind() {
    let left = run::killed(&["--fail", "none", "--keep"]);
    assert_eq!(left, Vec::<String>::new());
}
