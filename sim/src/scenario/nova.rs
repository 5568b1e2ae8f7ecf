//! Commands about Nova, and about what users and operators do there.

use std::time::Duration;

use super::deeds::{Doer, Read, VmDeed, node, usage};
use super::parse::duration;
use crate::fault::Deed;
use crate::world::Plan;

const NOVA: &str = "nova down|slow=5s|loses=N|fails=N|late=N:90s|loses-messages|ok, \
                    nova fails-claim|fails-after-spawn|refuses|dies-at-start VM, or \
                    nova disable|enable|force-down|force-up NODE";
const GLANCE: &str = "glance down|refuses|ok";
const USER: &str =
    "user deletes|migrates|evacuates VM, user starts VM on NODE, or user sets VM STATE [TASK]";

/// Reads a command that begins with `nova`, `glance`, `user` or `guest`.
pub(super) fn doer(plan: &Plan, first: &str, words: &[&str]) -> Read<Doer> {
    let of_vm = |name: &str, deed| Ok(Doer::Vm(name.to_owned(), deed));
    match (first, words) {
        ("user", words) => return user(plan, words),
        ("glance", words) => return glance(words),
        ("guest", [vm, "dies"]) => return of_vm(vm, VmDeed::Dies),
        ("guest", _) => return Err(usage("guest VM dies")),
        _ => {}
    }
    match words {
        ["fails-claim", vm] => of_vm(vm, VmDeed::FailsClaim),
        ["fails-after-spawn", vm] => of_vm(vm, VmDeed::FailsAfterSpawn),
        ["refuses", vm] => of_vm(vm, VmDeed::Refused),
        ["dies-at-start", vm] => of_vm(vm, VmDeed::DiesAtStart),
        ["disable", name] => compute(plan, name, Some(false), None),
        ["enable", name] => compute(plan, name, Some(true), None),
        ["force-down", name] => compute(plan, name, None, Some(true)),
        ["force-up", name] => compute(plan, name, None, Some(false)),
        [word] => faults(word).map(Doer::Deeds),
        _ => Err(usage(NOVA)),
    }
}

fn glance(words: &[&str]) -> Read<Doer> {
    let status = match words {
        ["down"] => Some(503),
        ["refuses"] => Some(403),
        ["ok"] => None,
        _ => return Err(usage(GLANCE)),
    };
    Ok(Doer::Deeds(vec![Deed::Glance(status)]))
}

fn compute(plan: &Plan, name: &str, on: Option<bool>, down: Option<bool>) -> Read<Doer> {
    Ok(Doer::Deeds(vec![Deed::Compute(node(name, plan.nodes)?, on, down)]))
}

fn faults(word: &str) -> Read<Vec<Deed>> {
    let usage = || usage(NOVA);
    Ok(match word.split_once('=') {
        None if word == "down" => vec![Deed::NovaDown(true)],
        None if word == "loses-messages" => vec![Deed::NovaLosesMessages],
        None if word == "ok" => vec![Deed::NovaMends],
        Some(("slow", by)) => vec![Deed::NovaSlow(duration(by)?)],
        Some(("loses", n)) => vec![Deed::NovaLoses(n.parse().map_err(|_| usage())?)],
        Some(("fails", n)) => vec![Deed::NovaFails(n.parse().map_err(|_| usage())?)],
        Some(("late", late)) => {
            let (n, by) = late.split_once(':').ok_or_else(usage)?;
            let by: Duration = duration(by)?;
            vec![Deed::NovaLate(n.parse().map_err(|_| usage())?, by)]
        }
        Some(_) | None => return Err(usage()),
    })
}

fn user(plan: &Plan, words: &[&str]) -> Read<Doer> {
    let of_vm = |name: &str, deed| Ok(Doer::Vm(name.to_owned(), deed));
    match words {
        ["deletes", vm] => of_vm(vm, VmDeed::Deleted),
        ["migrates", vm] => of_vm(vm, VmDeed::Migrated),
        ["evacuates", vm] => of_vm(vm, VmDeed::Evacuated),
        ["starts", vm, "on", on] => of_vm(vm, VmDeed::StartedOn(node(on, plan.nodes)?)),
        ["sets", vm, state] => of_vm(vm, VmDeed::Set { state: (*state).to_owned(), task: None }),
        ["sets", vm, state, task] => {
            let (state, task) = ((*state).to_owned(), Some((*task).to_owned()));
            of_vm(vm, VmDeed::Set { state, task })
        }
        _ => Err(usage(USER)),
    }
}
