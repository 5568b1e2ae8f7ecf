//! Which VMs of a lost node are moved, in which order, and how they are left: the operator's rules, and the labels that
//! other products have left on servers.
//!
//! ```text
//!  rules + labels, what a server is (Subject)  ->  Decision: each setting, with the rule that decided it
//! ```
//!
//! Pure: no clock, no Nova. A finer rule overrides a coarser one, each setting by itself: the availability zone is the
//! coarsest, then aggregate, project, flavor, image, tag, and metadata is the finest. What is decided is committed with
//! the plan of a recovery, so all controllers know by which rule a VM was moved or left.

mod labels;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use labels::{EVACUABLE, ImageLabel, LabelUse, Labelled};
pub use rule::{Match, Rule, Setting};

use crate::nova::{AggregateRecord, Labels};

/// Priority of a VM of which no rule says one; 1 to 1000, the higher is moved first.
pub const PRIORITY: u16 = 500;
/// Priority of a VM that is labelled and of which no rule says one.
pub const LABELLED_PRIORITY: u16 = 750;
/// Restart order of a VM of which no rule says one.
pub const ORDER: u16 = 100;
/// Name by which the settings that hold without any rule are told.
pub const DEFAULT: &str = "default";

/// What is done with a VM of a lost node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wish {
    /// It is moved and runs, or is shut off, as before.
    #[default]
    Evacuate,
    /// It is moved and left shut off.
    Stop,
    /// It is not touched.
    Leave,
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wish::Evacuate => "evacuate",
            Wish::Stop => "stop",
            Wish::Leave => "leave",
        })
    }
}

/// How one VM is treated, as it is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treatment {
    /// What is done with it.
    pub wish: Wish,
    /// The rule that decided that.
    pub rule: String,
    /// 1 to 1000; the higher is moved first.
    pub priority: u16,
    /// Its group in the order of restarts; the lower goes first, the next waits until all of it are settled.
    pub order: u16,
    /// Seconds after the last VM of this group before the next group begins.
    pub wait_s: u32,
}

impl Default for Treatment {
    fn default() -> Self {
        let (rule, priority, order) = (DEFAULT.to_owned(), PRIORITY, ORDER);
        Self { wish: Wish::Evacuate, rule, priority, order, wait_s: 0 }
    }
}

/// The operator's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What holds where no rule says anything.
    pub default: Setting,
    /// The rules, as they stand in the file.
    pub rules: Vec<Rule>,
    /// Seconds after the last VM of an order before the next order begins.
    pub waits: BTreeMap<u16, u32>,
    /// Masakari's label.
    pub masakari: LabelUse,
    /// InstanceHA's label.
    pub instanceha: LabelUse,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The server.
    pub server: Uuid,
    /// What it is.
    pub labels: &'a Labels,
    /// The host that it is on.
    pub host: &'a str,
    /// All aggregates of the cloud.
    pub aggregates: &'a [AggregateRecord],
    /// Whether its image has InstanceHA's label.
    pub image: ImageLabel,
}

impl<'a> Subject<'a> {
    /// Aggregates that its host is in.
    pub fn own_aggregates(&self) -> impl Iterator<Item = &'a AggregateRecord> + use<'a> {
        let host = self.host;
        self.aggregates.iter().filter(move |aggregate| aggregate.hosts.contains(host))
    }
}

/// A decision, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub treatment: Treatment,
    /// Each setting with its value and the rule that said it, in the order action, priority, order.
    pub because: Vec<Because>,
    /// Rules that match and say nothing that a finer one did not override.
    pub overridden: Vec<String>,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// `action`, `priority`, `order`.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// The rule, a label, or [`DEFAULT`].
    pub rule: String,
}

impl Policy {
    /// How a server is treated, and why.
    pub fn decide(&self, subject: &Subject<'_>) -> Decision {
        // Coarse first: whatever comes later overrides.
        let mut found: Vec<(Rank, &str, &Setting)> = self
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.condition.holds(subject))
            .map(|(place, rule)| (Rank::of(rule, place), rule.name.as_str(), &rule.setting))
            .collect();
        let labelled = self.labelled(subject);
        found.extend(labelled.iter().map(|said| (said.rank, said.name.as_str(), &said.setting)));
        found.sort_by_key(|(rank, ..)| *rank);
        let mut treatment = Treatment::default();
        let (mut action, mut priority, mut order) = (DEFAULT, DEFAULT, DEFAULT);
        let all = std::iter::once((DEFAULT, &self.default));
        for (name, setting) in all.chain(found.iter().map(|(_, name, setting)| (*name, *setting))) {
            if let Some(wish) = setting.wish {
                (treatment.wish, action) = (wish, name);
            }
            if let Some(value) = setting.priority {
                (treatment.priority, priority) = (value, name);
            }
            if let Some(value) = setting.order {
                (treatment.order, order) = (value, name);
            }
        }
        treatment.rule = action.to_owned();
        treatment.wait_s = self.waits.get(&treatment.order).copied().unwrap_or(0);
        let because = vec![
            Because::new("action", treatment.wish, action),
            Because::new("priority", treatment.priority, priority),
            Because::new("order", treatment.order, order),
        ];
        let deciding = [action, priority, order];
        let overridden = found.iter().map(|(_, name, _)| *name);
        let overridden = overridden.filter(|name| !deciding.contains(name)).map(str::to_owned);
        Decision { overridden: overridden.collect(), treatment, because }
    }

    fn labelled(&self, subject: &Subject<'_>) -> Vec<Labelled> {
        let masakari = labels::masakari(self.masakari, subject);
        let instanceha = labels::instanceha(self.instanceha, subject);
        masakari.into_iter().chain(instanceha).collect()
    }
}

impl Because {
    fn new(setting: &'static str, value: impl fmt::Display, rule: &str) -> Self {
        Self { setting, value: value.to_string(), rule: rule.to_owned() }
    }
}

/// How fine a rule is: by what it looks at, then by how many things it looks at; of equals the later in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    finest: Finest,
    conditions: usize,
    place: usize,
}

/// What a rule looks at, coarse to fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finest {
    Nothing,
    Zone,
    Aggregate,
    Project,
    Flavor,
    Image,
    Label,
    Tag,
    Metadata,
}

impl Rank {
    fn of(rule: &Rule, place: usize) -> Self {
        let looks = rule.condition.looks_at();
        let finest = looks.iter().max().copied().unwrap_or(Finest::Nothing);
        Self { finest, conditions: looks.len(), place }
    }

    fn of_label(finest: Finest) -> Self {
        Self { finest, conditions: 0, place: 0 }
    }
}
