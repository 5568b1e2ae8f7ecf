//! Many nodes lost at once, with the times of a real Nova: all of their VMs are moved, and none twice.
//! `cargo xtask bench-recovery` loses forty nodes.

use controller::core::Pace;
use sim::fleet::{Loss, real_latency};

fn lose(lost: u16, left: u16, vms: u16, pace: Pace) -> String {
    let pace = Pace { hold_after: usize::MAX, ..pace };
    let loss = Loss { seed: 7, lost, left, vms, pace, latency: real_latency() };
    let recovered = loss.run(|_| {}).expect("no property is broken");
    recovered.to_string()
}

fn figure(table: &str, name: &str) -> f64 {
    let line = table.lines().find(|line| line.starts_with(name)).expect("it is in the table");
    let rest = line[name.len()..].split_whitespace().next();
    rest.and_then(|word| word.parse().ok()).expect("a number")
}

#[test]
fn all_vms_of_four_nodes_are_moved_and_spread() {
    let table = lose(4, 8, 10, Pace::default());
    assert_eq!(figure(&table, "VMs moved"), 40.0, "{table}");
    assert_eq!(figure(&table, "VMs left behind"), 0.0, "{table}");
    assert_eq!(figure(&table, "VMs of a host, most and fewest"), 5.0, "{table}");
}
