//! Nova's JSON, read strictly into the records that the core decides on. A row that lacks what we asked for makes the
//! whole answer useless: half a list is worse than none.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::room::LabelRow;
use super::transport::clip;
use crate::nova::call::{
    ActionRecord, MigrationKind, MigrationRecord, MigrationStatus, ReadFailure, ServerRecord,
    ServiceRecord,
};

/// A page of a list: the rows of the host that was asked for, and where the next page begins.
pub(super) struct Page<T> {
    pub(super) rows: Vec<T>,
    pub(super) marker: Option<String>,
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReadFailure> {
    serde_json::from_slice(body).map_err(|error| ReadFailure::NotNova(clip(&error.to_string())))
}

#[derive(Deserialize)]
struct ServiceList {
    services: Vec<ServiceRow>,
}

#[derive(Deserialize)]
struct ServiceReply {
    service: ServiceRow,
}

/// `id` and the rest are missing in the stub of a down cell (2.69).
#[derive(Deserialize)]
struct ServiceRow {
    id: Option<Uuid>,
    binary: String,
    host: String,
    status: String,
    state: Option<String>,
    disabled_reason: Option<String>,
    forced_down: Option<bool>,
}

impl ServiceRow {
    /// `None` for a stub.
    fn record(self) -> Result<Option<ServiceRecord>, ReadFailure> {
        if self.status == "UNKNOWN" {
            return Ok(None);
        }
        let lacks = |what: &str| ReadFailure::NotNova(format!("a service without `{what}`"));
        let state = self.state.ok_or_else(|| lacks("state"))?;
        let up = match state.as_str() {
            "up" => true,
            "down" => false,
            other => return Err(ReadFailure::NotNova(format!("service state {}", clip(other)))),
        };
        let enabled = match self.status.as_str() {
            "enabled" => true,
            "disabled" => false,
            other => return Err(ReadFailure::NotNova(format!("service status {}", clip(other)))),
        };
        Ok(Some(ServiceRecord {
            id: self.id.ok_or_else(|| lacks("id"))?,
            host: self.host,
            up,
            enabled,
            disabled_reason: self.disabled_reason,
            forced_down: self.forced_down.ok_or_else(|| lacks("forced_down"))?,
        }))
    }
}

/// All services that are known; stubs of down cells are left out, for nothing is known of them.
pub(super) fn services(body: &[u8]) -> Result<Vec<ServiceRecord>, ReadFailure> {
    let list: ServiceList = parse(body)?;
    let computes = list.services.into_iter().filter(|row| row.binary == "nova-compute");
    computes.map(ServiceRow::record).filter_map(Result::transpose).collect()
}

/// The service of `host`. A stub is a failure: the cell's database is away, which says nothing about the host.
pub(super) fn service(body: &[u8], host: &str) -> Result<Option<ServiceRecord>, ReadFailure> {
    let list: ServiceList = parse(body)?;
    let mut rows =
        list.services.into_iter().filter(|row| row.binary == "nova-compute" && row.host == host);
    let Some(row) = rows.next() else { return Ok(None) };
    if rows.next().is_some() {
        return Err(ReadFailure::NotNova(format!("two nova-compute services on {host}")));
    }
    let cell = || ReadFailure::Unavailable(format!("the cell of {host} does not answer"));
    row.record()?.ok_or_else(cell).map(Some)
}

/// What a PUT on os-services answers.
pub(super) fn written_service(body: &[u8]) -> Result<ServiceRecord, ReadFailure> {
    let reply: ServiceReply = parse(body)?;
    reply.service.record()?.ok_or_else(|| ReadFailure::NotNova("a stub after a write".to_string()))
}

#[derive(Deserialize)]
struct ServerList {
    servers: Vec<ServerRow>,
    #[serde(default)]
    servers_links: Vec<Link>,
}

#[derive(Deserialize)]
struct ServerReply {
    server: ServerRow,
}

#[derive(Deserialize)]
struct ServerRow {
    id: Uuid,
    #[serde(default)]
    name: String,
    status: String,
    #[serde(rename = "OS-EXT-SRV-ATTR:host", default, deserialize_with = "present")]
    host: Option<Option<String>>,
    #[serde(rename = "OS-EXT-STS:vm_state")]
    vm_state: Option<String>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    task_state: Option<String>,
    #[serde(rename = "OS-EXT-STS:power_state")]
    power_state: Option<u8>,
    fault: Option<Fault>,
    #[serde(flatten)]
    labels: LabelRow,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
}

/// Tells `null` (no host) from an absent attribute (no right to see it).
fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

impl ServerRow {
    fn record(self) -> Result<ServerRecord, ReadFailure> {
        let id = self.id;
        let Some(host) = self.host else {
            if self.status == "UNKNOWN" {
                return Err(ReadFailure::Unavailable(format!("the cell of {id} does not answer")));
            }
            return Err(ReadFailure::NoRight(
                "servers come without OS-EXT-SRV-ATTR:host: the right \
                 os_compute_api:os-extended-server-attributes is missing"
                    .to_string(),
            ));
        };
        let lacks = |what: &str| ReadFailure::NotNova(format!("server {id} without `{what}`"));
        Ok(ServerRecord {
            id,
            name: clip(&self.name),
            host,
            vm_state: self.vm_state.ok_or_else(|| lacks("OS-EXT-STS:vm_state"))?,
            task_state: self.task_state,
            status: self.status,
            power_state: self.power_state.ok_or_else(|| lacks("OS-EXT-STS:power_state"))?,
            fault: self.fault.map(|fault| clip(&fault.message)),
            labels: Box::new(self.labels.labels()),
        })
    }
}

/// A page of the servers of `host`. Rows of other hosts are dropped: without the right to filter, Nova ignores the
/// filter and answers with all of them.
pub(super) fn servers(body: &[u8], host: &str) -> Result<Page<ServerRecord>, ReadFailure> {
    let list: ServerList = parse(body)?;
    let marker = marker(&list.servers_links)?;
    let rows = list.servers.into_iter().map(ServerRow::record).collect::<Result<Vec<_>, _>>()?;
    let rows = rows.into_iter().filter(|row| row.host.as_deref() == Some(host)).collect();
    Ok(Page { rows, marker })
}

pub(super) fn server(body: &[u8], id: Uuid) -> Result<ServerRecord, ReadFailure> {
    let reply: ServerReply = parse(body)?;
    if reply.server.id != id {
        return Err(ReadFailure::NotNova("another server than asked for".to_string()));
    }
    reply.server.record()
}

#[derive(Deserialize)]
struct MigrationList {
    migrations: Vec<MigrationRow>,
    #[serde(default)]
    migrations_links: Vec<Link>,
}

#[derive(Deserialize)]
struct MigrationRow {
    id: u64,
    uuid: Uuid,
    instance_uuid: Uuid,
    source_compute: Option<String>,
    dest_compute: Option<String>,
    status: String,
    migration_type: String,
}

/// A page of the records of one kind that left `host`.
pub(super) fn migrations(
    body: &[u8],
    host: &str,
    kind: MigrationKind,
) -> Result<Page<MigrationRecord>, ReadFailure> {
    let list: MigrationList = parse(body)?;
    let marker = marker(&list.migrations_links)?;
    let kind = kind.to_string();
    let mut rows = Vec::new();
    for row in list.migrations {
        let Some(source) = row.source_compute else {
            return Err(ReadFailure::NoRight(
                "migration records come without hosts: the right \
                 os_compute_api:os-migrations:index:host is missing"
                    .to_string(),
            ));
        };
        if source == host && row.migration_type == kind {
            rows.push(MigrationRecord {
                id: row.id,
                uuid: row.uuid,
                server: row.instance_uuid,
                source,
                destination: row.dest_compute,
                status: status(&row.status),
            });
        }
    }
    Ok(Page { rows, marker })
}

fn status(text: &str) -> MigrationStatus {
    match text {
        "accepted" => MigrationStatus::Accepted,
        "preparing" => MigrationStatus::Preparing,
        "pre-migrating" => MigrationStatus::PreMigrating,
        "running" => MigrationStatus::Running,
        "done" => MigrationStatus::Done,
        "completed" => MigrationStatus::Completed,
        "error" => MigrationStatus::Error,
        "failed" => MigrationStatus::Failed,
        "cancelled" => MigrationStatus::Cancelled,
        other => MigrationStatus::Other(clip(other)),
    }
}

#[derive(Deserialize)]
struct ActionList {
    #[serde(rename = "instanceActions")]
    actions: Vec<ActionRow>,
}

#[derive(Deserialize)]
struct ActionRow {
    action: String,
    request_id: String,
    message: Option<String>,
}

pub(super) fn actions(body: &[u8]) -> Result<Vec<ActionRecord>, ReadFailure> {
    let list: ActionList = parse(body)?;
    let record = |row: ActionRow| ActionRecord {
        action: clip(&row.action),
        request_id: clip(&row.request_id),
        message: row.message.as_deref().map(clip),
    };
    Ok(list.actions.into_iter().map(record).collect())
}

#[derive(Deserialize)]
pub(super) struct Link {
    rel: String,
    href: String,
}

/// The marker of the `next` link. Only that is taken from the link; the address we make ourselves.
pub(super) fn marker(links: &[Link]) -> Result<Option<String>, ReadFailure> {
    let Some(next) = links.iter().find(|link| link.rel == "next") else { return Ok(None) };
    let wrong = || ReadFailure::NotNova("a `next` link without a usable marker".to_string());
    let (_, query) = next.href.split_once('?').ok_or_else(wrong)?;
    let marker = query.split('&').find_map(|pair| pair.strip_prefix("marker="));
    // Markers of servers, migrations and hypervisors are UUIDs.
    let marker: Uuid = marker.and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    Ok(Some(marker.to_string()))
}
