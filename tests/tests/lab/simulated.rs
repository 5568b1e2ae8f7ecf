//! The same story in the simulator and by real processes: the leader must say the same kinds of lines in the same order.
//!
//! Times, ids and the choice of destinations are left out, and what depends on them alone: which network was suspected
//! first, how often a BMC that takes its time was read, which VM came when, and what was proposed again. The lines about
//! the way to evidence that run beside each other (`fence`) are compared as a set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use controller::effect::Network;
use controller::record::Decision;
use fencing::lease::Profile;
use sim::fault::Deed;
use sim::place::Place;
use sim::run::Run;
use sim::world::Plan;

use crate::records;
use crate::run::Closing;

/// As many as a lab has, if it is not told otherwise.
const NODES: u16 = 6;
const VMS_OF_A_NODE: u16 = 2;
const SEED: u64 = 1;
/// A verdict that comes this much later than in the simulator, in seconds, was made on a machine that was short of CPU:
/// then networks went down one after the other, and the row was another one.
const SHORT_OF_CPU: f64 = 3.0;

/// What was said of a node.
#[derive(Debug, Default, PartialEq)]
struct Kinds {
    /// In their order, each once.
    ordered: Vec<String>,
    /// What each VM went through.
    vms: Vec<Vec<String>>,
    beside: BTreeSet<String>,
    /// Seconds from the fault to the verdict.
    verdict: Option<f64>,
}

impl Kinds {
    /// Without what a row is called and which networks it is about; what it does stays.
    fn without_rows(mut self) -> Self {
        for kind in &mut self.ordered {
            if let Some((_, actions)) =
                kind.strip_prefix("verdict ").and_then(|k| k.split_once(": "))
            {
                *kind = format!("verdict: {actions}");
            } else if let Some((what, _)) = kind.split_once(" row=") {
                *kind = what.to_owned();
            }
        }
        self
    }
}

/// Fails with both stories if they are not the same. All records of the lab are replayed on the way.
pub(crate) fn told_the_same(closing: &Closing, fail: &str) {
    let records = records::replayed(closing);
    assert_eq!(records.len(), 3, "{closing}");
    // Of a node the leader alone speaks, whoever that is by then; one machine has one clock.
    let mut lines: Vec<Decision> = records.into_iter().flatten().collect();
    lines.sort_by_key(|line| line.wall_ms);
    let since = lines.iter().filter(|line| line.wall_ms >= closing.fault_ms());
    let node = closing.node();
    let line = |line: &'_ Decision| {
        let after = Duration::from_millis(line.wall_ms - closing.fault_ms());
        (after, line.subject.clone(), line.text.clone())
    };
    let mut real = kinds(node, since.map(line));
    let mut simulated = simulate(node, fail);
    eprintln!("--fail {fail}: {real:#?}");
    let late = real.verdict.take().unwrap_or(0.0) - simulated.verdict.take().unwrap_or(0.0);
    if late > SHORT_OF_CPU {
        eprintln!("the verdict was {late:.1} s late: rows are not compared");
        (real, simulated) = (real.without_rows(), simulated.without_rows());
    }
    assert!(
        real == simulated,
        "--fail {fail}, seed {SEED}\nthe lab: {real:#?}\nthe simulator: {simulated:#?}\n{closing}"
    );
}

fn simulate(node: &str, fail: &str) -> Kinds {
    let Some(Place::Node(number)) = Place::named(node) else { panic!("{node} is no node") };
    let mut plan = Plan::new(SEED, NODES);
    // As the lab's configuration has them.
    let second = Duration::from_secs(1);
    (plan.profile, plan.domains) = (Profile::Fast, 2);
    plan.waits.hold = second / 2;
    plan.waits.grace = 3 * second;
    plan.waits.new_leader = 5 * second;
    plan.waits.unknown = 20 * second;
    plan.waits.effect = 10 * second;
    let mut run = Run::settled(plan).expect("it settles");
    for number in 1..=NODES {
        for vm in 0..VMS_OF_A_NODE {
            run.world.place_vm(&format!("vm-{number}-{vm}"), number);
        }
    }
    let cut = |network| Deed::Cut(Place::Node(number), Network(network), None);
    let (deed, last) = match fail {
        "power" => (Deed::PowerOff(number, false), "Recovered"),
        "bmc-and-power" => (Deed::PowerOff(number, true), "Recovered"),
        "storage" => (cut(1), "Recovered"),
        "tenant" => (cut(2), "Recovered"),
        "management" => (cut(0), "Opened"),
        "agent" => (Deed::KillAgent(number), "nothing"),
        _ => panic!("no story of {fail}"),
    };
    run.world.inflict(&deed);
    let told = |run: &Run| {
        let lines = run.world.story.lines().iter();
        let lines = lines.filter_map(|line| {
            let (subject, text) = line.text.split_once(' ')?;
            Some((line.at, subject.to_owned(), text.to_owned()))
        });
        kinds(node, lines)
    };
    // As long as the lab goes on: a little longer than to its end.
    for _ in 0..150 {
        run.go_on(second).unwrap_or_else(|broken| panic!("{broken}"));
        if told(&run).ordered.iter().any(|kind| kind.starts_with(last)) {
            run.go_on(2 * second).unwrap_or_else(|broken| panic!("{broken}"));
            break;
        }
    }
    told(&run)
}

fn kinds(node: &str, lines: impl Iterator<Item = (Duration, String, String)>) -> Kinds {
    let mut kinds = Kinds::default();
    let mut vms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (at, subject, text) in lines {
        let subject = subject.as_str();
        let text = text.trim().trim_end_matches("  PAGE");
        let who = text.split(' ').take_while(|word| word.starts_with("node-"));
        let of_node = who.map(|name| name.trim_end_matches(',')).any(|name| name == node);
        // What the simulator tells of machines and sentinels stands in no controller's journal.
        if !of_node || ["sentinel", "hardware", "answer"].contains(&subject) {
            continue;
        }
        let what = text.split(' ').skip_while(|word| word.starts_with("node-"));
        let what: Vec<&str> = what.collect();
        let first = what.first().copied().unwrap_or_default();
        let after = |key: &str| {
            let all = text.split_once(key).map(|(_, rest)| rest).unwrap_or_default();
            all.split("  ").next().unwrap_or_default()
        };
        let kind = match subject {
            "observe" if first == "suspect" => "suspected".to_owned(),
            // The verdict has the letters, once they hold still.
            "observe" => continue,
            "verdict" => {
                kinds.verdict.get_or_insert(at.as_secs_f64());
                format!("verdict {first} row {}", after("row ").split('.').next().unwrap())
            }
            "registry" => match first {
                "Attempt" | "Sent" | "Moved" | "Void" | "Parked" => {
                    let vm = after("vm=").split([' ', ':']).next().unwrap_or_default();
                    let steps = vms.entry(vm.to_owned()).or_default();
                    // Proposed again, as the commit took its time: it changes nothing.
                    let again =
                        text.contains(" rejected: ") && steps.iter().any(|step| step == first);
                    if !again {
                        steps.push(first.to_owned());
                    }
                    continue;
                }
                "FenceIntent" | "Opened" => format!("{first} row={}", after("row=")),
                "Fenced" => format!("Fenced {}", what.get(2).copied().unwrap_or_default()),
                "Planned" => format!("Planned vms={}", after("vms=")),
                other => other.to_owned(),
            },
            "bmc" if text.ends_with("reads on") => continue,
            "bmc" => format!("bmc {}", what.join(" ").split(':').next().unwrap()),
            "fence" => {
                let plain = what.iter().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
                kinds.beside.insert(plain.copied().collect::<Vec<_>>().join(" "));
                continue;
            }
            other => format!("{other} {}", what.join(" ")),
        };
        if !kinds.ordered.contains(&kind) {
            kinds.ordered.push(kind);
        }
    }
    kinds.vms = vms.into_values().collect();
    kinds.vms.sort();
    kinds
}
