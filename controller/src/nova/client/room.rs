//! Nova's JSON of hypervisors, aggregates and server groups, and of what a server is. A missing label is an empty one:
//! an older Nova, or a credential with fewer rights, does not stop an evacuation.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::answer::{Link, Page, marker, parse};
use super::transport::clip;
use crate::nova::call::ReadFailure;
use crate::nova::{AggregateRecord, GroupRecord, HypervisorRecord, Labels};

/// Entries of a map or set of labels that are kept; Nova's own quotas are 128 metadata items and 50 tags.
const MOST_LABELS: usize = 256;

#[derive(Deserialize)]
struct HypervisorList {
    hypervisors: Vec<HypervisorRow>,
    #[serde(default)]
    hypervisors_links: Vec<Link>,
}

#[derive(Deserialize)]
struct HypervisorRow {
    service: ServiceOf,
    #[serde(default)]
    vcpus: Option<u64>,
    #[serde(default)]
    vcpus_used: Option<u64>,
    #[serde(default)]
    memory_mb: Option<u64>,
    #[serde(default)]
    memory_mb_used: Option<u64>,
}

#[derive(Deserialize)]
struct ServiceOf {
    host: String,
}

/// A page of hypervisors. One without figures (a driver that has none) is left out: nothing is known of its room.
pub(super) fn hypervisors(body: &[u8]) -> Result<Page<HypervisorRecord>, ReadFailure> {
    let list: HypervisorList = parse(body)?;
    let marker = marker(&list.hypervisors_links)?;
    let record = |row: HypervisorRow| {
        Some(HypervisorRecord {
            host: row.service.host,
            vcpus: row.vcpus?,
            vcpus_used: row.vcpus_used?,
            memory_mib: row.memory_mb?,
            memory_used_mib: row.memory_mb_used?,
        })
    };
    Ok(Page { rows: list.hypervisors.into_iter().filter_map(record).collect(), marker })
}

#[derive(Deserialize)]
struct AggregateList {
    aggregates: Vec<AggregateRow>,
}

#[derive(Deserialize)]
struct AggregateRow {
    name: String,
    availability_zone: Option<String>,
    #[serde(default)]
    hosts: BTreeSet<String>,
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
}

pub(super) fn aggregates(body: &[u8]) -> Result<Vec<AggregateRecord>, ReadFailure> {
    let list: AggregateList = parse(body)?;
    let record = |row: AggregateRow| AggregateRecord {
        name: clip(&row.name),
        zone: row.availability_zone.as_deref().map(clip),
        hosts: row.hosts,
        metadata: texts(row.metadata),
    };
    Ok(list.aggregates.into_iter().map(record).collect())
}

#[derive(Deserialize)]
struct GroupList {
    server_groups: Vec<GroupRow>,
}

#[derive(Deserialize)]
struct GroupRow {
    id: Uuid,
    policy: String,
    #[serde(default)]
    members: BTreeSet<Uuid>,
}

pub(super) fn groups(body: &[u8]) -> Result<Vec<GroupRecord>, ReadFailure> {
    let list: GroupList = parse(body)?;
    let record =
        |row: GroupRow| GroupRecord { id: row.id, policy: row.policy, members: row.members };
    Ok(list.server_groups.into_iter().map(record).collect())
}

/// The part of a server's row that says what it is.
#[derive(Deserialize)]
pub(super) struct LabelRow {
    tenant_id: Option<String>,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    zone: Option<String>,
    flavor: Option<FlavorRow>,
    image: Option<Value>,
    metadata: Option<BTreeMap<String, Value>>,
    tags: Option<Vec<String>>,
    locked: Option<bool>,
}

#[derive(Deserialize)]
struct FlavorRow {
    original_name: Option<String>,
    vcpus: Option<u64>,
    ram: Option<u64>,
    extra_specs: Option<BTreeMap<String, Value>>,
}

impl LabelRow {
    pub(super) fn labels(self) -> Labels {
        let mut labels = Labels {
            project: self.tenant_id.as_deref().map(clip).unwrap_or_default(),
            zone: self.zone.as_deref().map(clip).unwrap_or_default(),
            // `""` where it boots from a volume, an object elsewhere.
            image: self
                .image
                .as_ref()
                .and_then(|image| image["id"].as_str())
                .map(clip)
                .unwrap_or_default(),
            metadata: self.metadata.map(texts).unwrap_or_default(),
            tags: self
                .tags
                .unwrap_or_default()
                .iter()
                .take(MOST_LABELS)
                .map(|tag| clip(tag))
                .collect(),
            locked: self.locked.unwrap_or(false),
            ..Labels::default()
        };
        if let Some(flavor) = self.flavor {
            labels.flavor = flavor.original_name.as_deref().map(clip).unwrap_or_default();
            labels.vcpus = flavor.vcpus.unwrap_or(0);
            labels.memory_mib = flavor.ram.unwrap_or(0);
            labels.extra_specs = flavor.extra_specs.map(texts).unwrap_or_default();
        }
        labels
    }
}

fn texts(map: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |value: Value| match value.as_str() {
        Some(text) => clip(text),
        None => clip(&value.to_string()),
    };
    map.into_iter().take(MOST_LABELS).map(|(key, value)| (clip(&key), text(value))).collect()
}
