//! Nova's JSON and headers, with the fields of a real one (those that never matter to us have fixed values).

use std::net::SocketAddr;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use controller::nova::call::{
    ActionRecord, MigrationKind, MigrationRecord, MigrationStatus, ServerRecord, ServiceRecord,
};
use controller::nova::{AggregateRecord, GroupRecord, HypervisorRecord};
use serde_json::{Value, json};
use sim::standin::nova::{Done, Fault};
use uuid::Uuid;

use super::route::Query;

/// Newest microversion: that of Nova 34.0.0.
const NEWEST: u16 = 104;
pub(super) const PROJECT: &str = "38f1422fd6424580a63348487465450c";
const USER: &str = "1c4083f51bb84cb98dac443bb4c7a044";
const IMAGE: Uuid = Uuid::from_u128(0x10e6_b7af_214b_4aed_8890_4303_c712_dfe5);

pub(super) fn plain(status: u16, text: &str) -> Response {
    let mut reply = Response::new(Body::from(text.to_string()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    reply
}

pub(super) fn with_body(status: u16, body: &Value) -> Response {
    with_header(plain(status, &body.to_string()), "Content-Type", "application/json")
}

pub(super) fn with_header(mut reply: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let Ok(name) = name {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}

/// The middleware's 401: it stands before Nova and echoes no version.
pub(super) fn unauthorized() -> Response {
    let body = json!({"error": {"code": 401, "title": "Unauthorized",
        "message": "The request you have made requires authentication."}});
    with_header(with_body(401, &body), "WWW-Authenticate", "Keystone uri=\"stand-in\"")
}

pub(super) fn versions() -> Response {
    with_body(200, &json!({"versions": [version()]}))
}

pub(super) fn version_document() -> Response {
    with_header(with_body(200, &json!({"version": version()})), ECHO, "compute 2.1")
}

fn version() -> Value {
    json!({"id": "v2.1", "status": "CURRENT", "version": format!("2.{NEWEST}"),
        "min_version": "2.1", "updated": "2013-07-23T11:33:21Z", "links": []})
}

const ECHO: &str = "OpenStack-API-Version";

/// Minor number of the version that was asked for; the 406 if there is none such.
pub(super) fn asked_version(headers: &HeaderMap) -> Result<u16, Box<Response>> {
    let Some(text) = headers.get(ECHO).and_then(|value| value.to_str().ok()) else { return Ok(1) };
    let minor = text.strip_prefix("compute 2.").and_then(|minor| minor.parse().ok());
    match minor {
        Some(minor @ 1..=NEWEST) => Ok(minor),
        Some(_) | None => {
            let asked = text.strip_prefix("compute ").unwrap_or(text);
            let message = format!(
                "Version {asked} is not supported by the API. Minimum is 2.1 and maximum is \
                 2.{NEWEST}."
            );
            let body = json!({"computeFault": {"code": 406, "message": message}});
            Err(Box::new(with_header(with_body(406, &body), ECHO, text)))
        }
    }
}

pub(super) fn images(version: u16) -> Response {
    let body = json!({"images": [{"id": IMAGE, "name": "tiny", "links": []}]});
    with_header(with_body(200, &body), ECHO, &format!("compute 2.{version}"))
}

/// Glance's list of images.
pub(super) fn image_list<'a>(tag: &str, ids: impl Iterator<Item = &'a String>) -> Response {
    let rows: Vec<_> = ids.map(|id| json!({"id": id, "tags": [tag]})).collect();
    with_body(200, &json!({"images": rows, "first": "/v2/images", "schema": "/v2/schemas/images"}))
}

/// The reply to a request, with the headers that Nova puts on all its answers.
pub(super) fn reply(
    version: u16,
    request_id: &str,
    result: Result<Done, Fault>,
    query: &Query,
    page: usize,
    address: SocketAddr,
) -> Response {
    let base = format!("http://{address}{}", query.path);
    let reply = match result {
        Ok(done) => success(done, query, page, &base),
        Err(fault) => failure(&fault),
    };
    let echo = format!("compute 2.{version}");
    let reply = with_header(reply, ECHO, &echo);
    let reply = with_header(reply, "X-OpenStack-Nova-API-Version", &format!("2.{version}"));
    let reply = with_header(reply, "Vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version");
    let reply = with_header(reply, "X-Compute-Request-Id", request_id);
    with_header(reply, "X-OpenStack-Request-Id", request_id)
}

fn success(done: Done, query: &Query, page: usize, base: &str) -> Response {
    match done {
        Done::Services(rows) => {
            let rows: Vec<_> = rows.iter().map(service).collect();
            with_body(200, &json!({"services": rows}))
        }
        Done::Service(row) => with_body(200, &json!({"service": service(&row)})),
        Done::Servers(rows) => {
            let rows = rows.iter().map(|row| (row.id, server(row))).collect();
            with_body(200, &paged("servers", rows, query, page, base))
        }
        Done::Server(row) => with_body(200, &json!({"server": server(&row)})),
        Done::Migrations(rows) => {
            let rows = rows.iter().map(|(row, kind)| (row.uuid, migration(row, *kind))).collect();
            with_body(200, &paged("migrations", rows, query, page, base))
        }
        Done::Actions(rows) => {
            let rows: Vec<_> = rows.iter().map(action).collect();
            with_body(200, &json!({"instanceActions": rows}))
        }
        Done::Hypervisors(rows) => {
            let rows: Vec<_> = rows.iter().map(hypervisor).collect();
            with_body(200, &json!({"hypervisors": rows}))
        }
        Done::Aggregates(rows) => {
            let row = |(place, row): (usize, &AggregateRecord)| {
                json!({"id": place + 1, "uuid": Uuid::from_u128(place as u128 + 1),
                    "name": row.name, "availability_zone": row.zone, "hosts": row.hosts,
                    "metadata": row.metadata})
            };
            let rows: Vec<_> = rows.iter().enumerate().map(row).collect();
            with_body(200, &json!({"aggregates": rows}))
        }
        Done::Groups(rows) => {
            let row = |row: &GroupRecord| {
                json!({"id": row.id, "name": "group", "policy": row.policy, "rules": {},
                    "members": row.members, "project_id": PROJECT, "user_id": USER})
            };
            let rows: Vec<_> = rows.iter().map(row).collect();
            with_body(200, &json!({"server_groups": rows}))
        }
        Done::Images(ids) => image_list(query.value("tag").unwrap_or_default(), ids.iter()),
        Done::Accepted { queued } => with_header(
            plain(if queued { 200 } else { 202 }, ""),
            "Content-Type",
            "application/json",
        ),
        Done::Booted(id) => with_body(
            202,
            &json!({"server": {"id": id, "links": [], "OS-DCF:diskConfig": "MANUAL",
                "security_groups": [{"name": "default"}], "adminPass": "stand-in"}}),
        ),
        Done::Deleted => plain(204, ""),
    }
}

fn failure(fault: &Fault) -> Response {
    let key = match fault.status {
        400 => "badRequest",
        403 => "forbidden",
        404 => "itemNotFound",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    with_body(fault.status, &json!({key: {"code": fault.status, "message": fault.message}}))
}

/// A page of `rows`, with a link to the next if there is one.
fn paged(name: &str, rows: Vec<(Uuid, Value)>, query: &Query, page: usize, base: &str) -> Value {
    let limit = query.value("limit").and_then(|text| text.parse().ok()).unwrap_or(page).min(page);
    let marker: Option<Uuid> = query.value("marker").and_then(|text| text.parse().ok());
    let first = marker
        .and_then(|marker| rows.iter().position(|(id, _)| *id == marker))
        .map_or(0, |position| position + 1);
    let left = rows.len().saturating_sub(first);
    let taken: Vec<_> = rows.into_iter().skip(first).take(limit).collect();
    let last = taken.last().map(|(id, _)| *id).filter(|_| left > limit);
    let values: Vec<_> = taken.into_iter().map(|(_, value)| value).collect();
    let mut body = json!({name: values});
    if let Some(last) = last {
        let mut href = format!("{base}?");
        for (key, value) in query.rest() {
            href.push_str(&format!("{key}={value}&"));
        }
        href.push_str(&format!("marker={last}"));
        body[format!("{name}_links")] = json!([{"rel": "next", "href": href}]);
    }
    body
}

fn now() -> String {
    let text = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("{}.000000", text.trim_end_matches('Z'))
}

fn service(row: &ServiceRecord) -> Value {
    json!({"binary": "nova-compute", "host": row.host, "id": row.id, "zone": "nova",
        "status": if row.enabled { "enabled" } else { "disabled" },
        "state": if row.up { "up" } else { "down" }, "updated_at": now(),
        "disabled_reason": row.disabled_reason, "forced_down": row.forced_down})
}

fn hypervisor(row: &HypervisorRecord) -> Value {
    json!({"id": Uuid::nil(),
        "hypervisor_hostname": row.host, "state": "up", "status": "enabled",
        "service": {"id": Uuid::nil(), "host": row.host, "disabled_reason": null},
        "vcpus": row.vcpus, "vcpus_used": row.vcpus_used,
        "memory_mb": row.memory_mib, "memory_mb_used": row.memory_used_mib})
}

fn server(row: &ServerRecord) -> Value {
    let labels = &row.labels;
    let or = |text: &str, other: &str| {
        if text.is_empty() { other.to_string() } else { text.to_string() }
    };
    let mut body = json!({
        "id": row.id, "name": row.name, "status": row.status,
        "tenant_id": or(&labels.project, PROJECT),
        "user_id": USER, "metadata": labels.metadata, "tags": labels.tags,
        "hostId": "", "links": [], "addresses": {},
        "created": "2026-11-21T22:05:53Z", "updated": "2026-11-21T22:05:56Z",
        "flavor": {"vcpus": labels.vcpus, "ram": labels.memory_mib, "disk": 1, "ephemeral": 0,
            "swap": 0, "original_name": labels.flavor, "extra_specs": labels.extra_specs},
        "image": {"id": or(&labels.image, &IMAGE.to_string()), "links": []},
        "OS-EXT-AZ:availability_zone": or(&labels.zone, "nova"), "OS-EXT-SRV-ATTR:host": row.host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": row.host,
        "OS-EXT-SRV-ATTR:instance_name": format!("instance-{}", row.id.simple()),
        "OS-EXT-STS:task_state": row.task_state, "OS-EXT-STS:vm_state": row.vm_state,
        "OS-EXT-STS:power_state": row.power_state,
        "os-extended-volumes:volumes_attached": [], "locked": labels.locked, "locked_reason": null,
        "host_status": "UP"});
    if let Some(message) = &row.fault {
        body["fault"] = json!({"code": 500, "created": "2026-11-21T22:06:03Z", "message": message});
    }
    body
}

fn migration(row: &MigrationRecord, kind: MigrationKind) -> Value {
    json!({"id": row.id, "uuid": row.uuid, "source_compute": row.source,
        "dest_compute": row.destination, "source_node": row.source, "dest_node": row.destination,
        "dest_host": null, "instance_uuid": row.server, "status": word(&row.status),
        "migration_type": kind.to_string(), "user_id": USER, "project_id": PROJECT,
        "created_at": now(), "updated_at": now()})
}

fn word(status: &MigrationStatus) -> &str {
    match status {
        MigrationStatus::Accepted => "accepted",
        MigrationStatus::Preparing => "preparing",
        MigrationStatus::PreMigrating => "pre-migrating",
        MigrationStatus::Running => "running",
        MigrationStatus::Done => "done",
        MigrationStatus::Completed => "completed",
        MigrationStatus::Error => "error",
        MigrationStatus::Failed => "failed",
        MigrationStatus::Cancelled => "cancelled",
        MigrationStatus::Other(text) => text,
    }
}

fn action(row: &ActionRecord) -> Value {
    json!({"action": row.action, "request_id": row.request_id, "message": row.message,
        "user_id": USER, "project_id": PROJECT, "start_time": now(), "updated_at": now()})
}
