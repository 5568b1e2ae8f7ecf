//! What a scenario says about recoveries: what its VMs are, how many move at once, which hosts are reserved, and the
//! policy.

use std::collections::BTreeSet;

use controller::core::{Missing, Stray};
use controller::nova::{AggregateRecord, Labels};
use controller::policy::Policy;

use super::deeds;
use super::parse::duration;
use crate::place::Place;
use crate::standin::nova::Flavor;
use crate::world::Plan;

const VM: &str =
    "vm NAME on NODE [big] [tag=T] [project=P] [zone=Z] [image=I] [group=G] [KEY:VALUE]";
const IMAGE: &str = "image ID tag=T";
const AGGREGATE: &str = "aggregate NAME NODE,NODE [zone=Z] [KEY:VALUE]";

/// A VM, as a line of a scenario says.
#[derive(Clone, Debug)]
pub(super) struct NewVm {
    pub(super) name: String,
    pub(super) node: u16,
    pub(super) flavor: Flavor,
    pub(super) labels: Labels,
    /// Anti-affinity groups by name.
    pub(super) groups: Vec<String>,
}

/// Reads the words after `vm`.
pub(super) fn vm(plan: &Plan, words: &[&str]) -> Result<NewVm, String> {
    let usage = || deeds::usage(VM);
    let [name, "on", node, rest @ ..] = words else { return Err(usage()) };
    let mut vm = NewVm {
        name: (*name).to_owned(),
        node: deeds::node(node, plan.nodes)?,
        flavor: Flavor::Tiny,
        labels: Labels::default(),
        groups: Vec::new(),
    };
    for word in rest {
        match (word.split_once('='), word.split_once(':')) {
            (None, None) if *word == "big" => vm.flavor = Flavor::Big,
            (Some(("tag", tag)), _) => drop(vm.labels.tags.insert(tag.to_owned())),
            (Some(("project", project)), _) => vm.labels.project = project.to_owned(),
            (Some(("zone", zone)), _) => vm.labels.zone = zone.to_owned(),
            (Some(("image", image)), _) => vm.labels.image = image.to_owned(),
            (Some(("group", group)), _) => vm.groups.push(group.to_owned()),
            (None, Some((key, value))) => {
                vm.labels.metadata.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(usage()),
        }
    }
    Ok(vm)
}

/// Reads the words after `image`: its id and its tag.
pub(super) fn image(words: &[&str]) -> Result<(String, String), String> {
    let read = match words {
        [id, tag] => tag.strip_prefix("tag=").map(|tag| ((*id).to_owned(), tag.to_owned())),
        _ => None,
    };
    read.ok_or_else(|| deeds::usage(IMAGE))
}

/// Reads the words after `aggregate`.
pub(super) fn aggregate(plan: &Plan, words: &[&str]) -> Result<AggregateRecord, String> {
    let usage = || deeds::usage(AGGREGATE);
    let [name, nodes, rest @ ..] = words else { return Err(usage()) };
    let host = |name: &str| deeds::node(name, plan.nodes).map(|n| Place::Node(n).to_string());
    let hosts: BTreeSet<String> = nodes.split(',').map(host).collect::<Result<_, _>>()?;
    let mut aggregate = AggregateRecord {
        name: (*name).to_owned(),
        zone: None,
        hosts,
        metadata: std::collections::BTreeMap::new(),
    };
    for word in rest {
        match (word.split_once('='), word.split_once(':')) {
            (Some(("zone", zone)), _) => aggregate.zone = Some(zone.to_owned()),
            (None, Some((key, value))) => {
                aggregate.metadata.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(usage()),
        }
    }
    Ok(aggregate)
}

/// A key of the cluster's line that is about recoveries; `None` when it is another.
pub(super) fn key(plan: &mut Plan, key: &str, value: &str) -> Option<Result<(), String>> {
    let pace = &mut plan.recovery.pace;
    let place = match key {
        "in_flight" => &mut pace.cloud,
        "in_flight_per_source" => &mut pace.source,
        "live_migrations_per_source" => &mut pace.migrated,
        "in_flight_per_destination" => &mut pace.destination,
        "starts_per_minute" => &mut pace.per_minute,
        "hold_after" => &mut pace.hold_after,
        "gap_per_destination" => return Some(duration(value).map(|gap| pace.gap = gap)),
        "cells" => return Some(small(value).map(|cells| plan.cells = cells)),
        "reserved" => {
            plan.recovery.reserved = value.split(',').map(str::to_owned).collect();
            return Some(Ok(()));
        }
        "missing" | "stray" | "holds" | "give_up" | "keep" => {
            return Some(actual(plan, key, value));
        }
        _ => return None,
    };
    Some(small(value).map(|number| *place = number.into()))
}

/// Agents list their domains, and what does not agree with Nova is told, or mended.
fn actual(plan: &mut Plan, key: &str, value: &str) -> Result<(), String> {
    let actual = &mut plan.recovery.actual;
    actual.compare = true;
    match key {
        "holds" => actual.holds = duration(value)?,
        "keep" => actual.keep = duration(value)?,
        "give_up" => actual.give_up = small(value)?.into(),
        "stray" => {
            actual.stray = match value {
                "report" => Stray::Report,
                "destroy" => Stray::Destroy,
                _ => return Err("stray=report or stray=destroy".to_owned()),
            };
        }
        _ => {
            actual.missing = match value {
                "report" => Missing::Report,
                "reboot" => Missing::Reboot,
                _ => return Err("missing=report or missing=reboot".to_owned()),
            };
        }
    }
    Ok(())
}

fn small(value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| format!("`{value}` is no small number"))
}

/// Takes the lines that began with `policy`.
pub(super) fn policy(plan: &mut Plan, text: &str) -> Result<(), String> {
    plan.recovery.policy =
        Policy::parse("policy", text).map_err(|problems| problems.to_string())?;
    Ok(())
}
