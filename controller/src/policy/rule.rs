//! One rule: what it looks at, and what it says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Finest, Subject, Wish};

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name, which `hactl` shows.
    pub name: String,
    /// What it looks at.
    pub condition: Match,
    /// What it says.
    pub setting: Setting,
}

/// What a rule says; what is `None` is left to a coarser rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What is done.
    pub wish: Option<Wish>,
    /// 1 to 1000.
    pub priority: Option<u16>,
    /// 0 to 1000.
    pub order: Option<u16>,
}

/// What a rule looks at: all that is not empty must hold, of a list one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// Availability zones.
    pub zone: Vec<String>,
    /// Names of aggregates that the VM's host is in.
    pub aggregate: Vec<String>,
    /// Ids of projects.
    pub project: Vec<String>,
    /// Names of flavors.
    pub flavor: Vec<String>,
    /// Ids of images.
    pub image: Vec<String>,
    /// Tags of the server.
    pub tag: Vec<String>,
    /// Metadata of the server; `*` is any value.
    pub metadata: BTreeMap<String, String>,
}

impl Match {
    /// Whether the rule holds for a server.
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        let labels = subject.labels;
        let one = |list: &[String], value: &str| list.is_empty() || list.iter().any(|l| l == value);
        let aggregate = self.aggregate.is_empty()
            || subject.own_aggregates().any(|own| self.aggregate.contains(&own.name));
        let tag = self.tag.is_empty() || self.tag.iter().any(|tag| labels.tags.contains(tag));
        let metadata = self.metadata.iter().all(|(key, wanted)| {
            labels.metadata.get(key).is_some_and(|value| wanted == "*" || wanted == value)
        });
        one(&self.zone, &labels.zone)
            && one(&self.project, &labels.project)
            && one(&self.flavor, &labels.flavor)
            && one(&self.image, &labels.image)
            && aggregate
            && tag
            && metadata
    }

    /// Whether it looks at nothing, so that it would hold for every server.
    pub fn is_empty(&self) -> bool {
        self.looks_at().is_empty()
    }

    pub(super) fn looks_at(&self) -> Vec<Finest> {
        let all = [
            (self.zone.is_empty(), Finest::Zone),
            (self.aggregate.is_empty(), Finest::Aggregate),
            (self.project.is_empty(), Finest::Project),
            (self.flavor.is_empty(), Finest::Flavor),
            (self.image.is_empty(), Finest::Image),
            (self.tag.is_empty(), Finest::Tag),
            (self.metadata.is_empty(), Finest::Metadata),
        ];
        all.into_iter().filter(|(empty, _)| !empty).map(|(_, finest)| finest).collect()
    }
}
