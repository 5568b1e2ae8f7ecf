//! From a path, a query and a body to a [`Request`], refusing what Nova's schemas refuse.

use axum::http::{Method, Uri};
use controller::nova::call::MigrationKind;
use serde_json::{Map, Value};
use sim::standin::nova::{Fault, Flavor, Request, ServiceUpdate};
use uuid::Uuid;

use super::bad_request;

pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// Segments after `/v2.1`.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a Query,
    pub(super) body: &'a [u8],
    /// Minor number of the microversion.
    pub(super) version: u16,
}

pub(super) enum Route {
    Nova(Request),
    /// Nova's old proxy of Glance, to find an image to boot.
    Images,
}

/// A decoded query string.
pub(super) struct Query {
    pub(super) path: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(super) fn of(uri: &Uri) -> Query {
        let pairs = uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(key, value)| (key.to_string(), decode(value))).collect();
        Query { path: uri.path().to_string(), pairs }
    }

    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// All but `marker`, as they came.
    pub(super) fn rest(&self) -> impl Iterator<Item = &(String, String)> {
        self.pairs.iter().filter(|(key, _)| key != "marker")
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = String::from_utf8_lossy(&digits).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn request(asked: &Asked<'_>) -> Result<Route, Fault> {
    let text = |key: &str| asked.query.value(key).map(str::to_string);
    let request = match (asked.method.as_str(), asked.path) {
        ("GET", ["os-services"]) => Request::Services(text("host")),
        ("PUT", ["os-services", id]) => {
            let missing =
                || Fault { status: 404, message: format!("Service {id} could not be found.") };
            let id = id.parse().map_err(|_| missing())?;
            Request::Update(id, service_update(&object(asked.body)?)?)
        }
        ("GET", ["servers", "detail"]) => Request::Servers(text("host")),
        ("POST", ["servers"]) => boot(&object(asked.body)?)?,
        ("GET", ["servers", id]) => Request::Server(server(id)?),
        ("DELETE", ["servers", id]) => Request::Delete(server(id)?),
        ("POST", ["servers", id, "action"]) => {
            action(server(id)?, &object(asked.body)?, asked.version)?
        }
        ("GET", ["servers", id, "os-instance-actions"]) => Request::Actions(server(id)?),
        ("GET", ["os-migrations"]) => Request::Migrations {
            source: text("source_compute"),
            server: text("instance_uuid").and_then(|id| id.parse().ok()),
            kind: match asked.query.value("migration_type") {
                Some("evacuation") => Some(MigrationKind::Evacuation),
                Some("live-migration") => Some(MigrationKind::LiveMigration),
                _ => None,
            },
            status: text("status"),
        },
        ("GET", ["os-hypervisors", "detail"]) => Request::Hypervisors,
        ("GET", ["os-aggregates"]) => Request::Aggregates,
        ("GET", ["os-server-groups"]) => Request::Groups,
        ("GET", ["images"]) => return Ok(Route::Images),
        _ => {
            let message = "The resource could not be found.".to_string();
            return Err(Fault { status: 404, message });
        }
    };
    Ok(Route::Nova(request))
}

fn server(id: &str) -> Result<Uuid, Fault> {
    let missing = || Fault { status: 404, message: format!("Instance {id} could not be found.") };
    id.parse().map_err(|_| missing())
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(bad_request("Malformed request body")),
    }
}

fn only(object: &Map<String, Value>, known: &[&str], field: &str) -> Result<(), Fault> {
    let Some(other) = object.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    Err(bad_request(format!(
        "Invalid input for field/attribute {field}. Additional properties are not allowed ('{other}' \
         was unexpected)"
    )))
}

fn service_update(body: &Map<String, Value>) -> Result<ServiceUpdate, Fault> {
    if let Some(other) = body
        .keys()
        .find(|key| !["forced_down", "status", "disabled_reason"].contains(&key.as_str()))
    {
        let message = format!("Additional properties are not allowed ('{other}' was unexpected)");
        return Err(bad_request(message));
    }
    let wrong = |field: &str| bad_request(format!("Invalid input for field/attribute {field}."));
    let forced_down = match body.get("forced_down") {
        None => None,
        Some(value) => Some(value.as_bool().ok_or_else(|| wrong("forced_down"))?),
    };
    let enabled = match body.get("status").map(Value::as_str) {
        None => None,
        Some(Some("enabled")) => Some(true),
        Some(Some("disabled")) => Some(false),
        Some(_) => return Err(wrong("status")),
    };
    let disabled_reason = match body.get("disabled_reason") {
        None => None,
        Some(value) => Some(value.as_str().ok_or_else(|| wrong("disabled_reason"))?.to_string()),
    };
    Ok(ServiceUpdate { forced_down, enabled, disabled_reason })
}

fn action(server: Uuid, body: &Map<String, Value>, version: u16) -> Result<Request, Fault> {
    let (Some((name, detail)), 1) = (body.iter().next(), body.len()) else {
        return Err(bad_request("Malformed request body"));
    };
    let none = Map::new();
    let detail = detail.as_object().unwrap_or(&none);
    match name.as_str() {
        "evacuate" => {
            only(detail, &["host", "adminPass"], "evacuate")?;
            let destination = match detail.get("host") {
                None => None,
                Some(Value::String(host)) if !host.is_empty() => Some(host.clone()),
                Some(_) => return Err(bad_request("Invalid input for field/attribute host.")),
            };
            Ok(Request::Evacuate { server, destination, leave_off: version >= 95 })
        }
        "os-migrateLive" => {
            only(detail, &["host", "block_migration"], "os-migrateLive")?;
            Ok(Request::LiveMigrate(server))
        }
        "os-stop" => Ok(Request::Stop(server)),
        "reboot" => {
            only(detail, &["type"], "reboot")?;
            match detail.get("type").and_then(Value::as_str) {
                Some("HARD") => Ok(Request::Reboot(server)),
                _ => Err(bad_request("Invalid input for field/attribute type.")),
            }
        }
        other => Err(bad_request(format!("There is no such action: {other}"))),
    }
}

fn boot(body: &Map<String, Value>) -> Result<Request, Fault> {
    let server = body.get("server").ok_or_else(|| bad_request("Malformed request body"))?;
    let name =
        server["name"].as_str().ok_or_else(|| bad_request("Invalid input for field name."))?;
    let flavor = match server["flavorRef"].as_str() {
        Some("1") => Flavor::Tiny,
        Some("2") => Flavor::Big,
        _ => return Err(bad_request("Flavor could not be found.")),
    };
    let host = server["host"].as_str().map(str::to_string);
    Ok(Request::Boot { name: name.to_string(), flavor, host })
}
