//! How each [`Call`] looks on the wire.

use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::transport::{PAGE_LIMIT, READ_LIMIT, WRITE_LIMIT};
use crate::nova::call::Call;

/// Rows of a page; Nova's own maximum by default, and Glance's.
pub(super) const PAGE_ROWS: &str = "1000";

pub(super) struct Request {
    pub(super) method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) limit: Duration,
}

impl Request {
    /// The request of `call`; lists begin with their first page.
    pub(super) fn of(call: &Call) -> Request {
        match call {
            Call::Service { host } => services(Some(host)),
            Call::Services => services(None),
            Call::ForceDown { service, disable: None } => {
                put(service, json!({"forced_down": true}))
            }
            Call::ForceDown { service, disable: Some(reason) } => put(
                service,
                json!({"forced_down": true, "status": "disabled", "disabled_reason": reason}),
            ),
            Call::Disable { service, reason } => {
                put(service, json!({"status": "disabled", "disabled_reason": reason}))
            }
            Call::ClearForcedDown { service } => put(service, json!({"forced_down": false})),
            Call::Enable { service } => put(service, json!({"status": "enabled"})),
            Call::ServersOn { host } => Request {
                query: vec![
                    ("all_tenants", "1".to_string()),
                    ("host", host.clone()),
                    ("limit", PAGE_ROWS.to_string()),
                ],
                limit: PAGE_LIMIT,
                ..read(["servers", "detail"])
            },
            Call::Server { server } => read(["servers", &server.to_string()]),
            Call::Evacuate { server, destination: None } => action(server, json!({"evacuate": {}})),
            Call::Evacuate { server, destination: Some(host) } => {
                action(server, json!({"evacuate": {"host": host}}))
            }
            Call::LiveMigrate { server } => {
                action(server, json!({"os-migrateLive": {"host": null, "block_migration": "auto"}}))
            }
            Call::Stop { server } => action(server, json!({"os-stop": null})),
            Call::Reboot { server } => action(server, json!({"reboot": {"type": "HARD"}})),
            Call::MigrationsFrom { host, kind } => Request {
                query: vec![
                    ("migration_type", kind.to_string()),
                    ("source_compute", host.clone()),
                    ("limit", PAGE_ROWS.to_string()),
                ],
                limit: PAGE_LIMIT,
                ..read(["os-migrations"])
            },
            Call::Actions { server } => {
                read(["servers", &server.to_string(), "os-instance-actions"])
            }
            Call::Hypervisors => Request {
                query: vec![("limit", PAGE_ROWS.to_string())],
                limit: PAGE_LIMIT,
                ..read(["os-hypervisors", "detail"])
            },
            Call::Aggregates => read(["os-aggregates"]),
            Call::Groups => Request {
                query: vec![("all_projects", "true".to_string()), ("limit", PAGE_ROWS.to_string())],
                limit: PAGE_LIMIT,
                ..read(["os-server-groups"])
            },
            // Below Glance's endpoint; its filters differ from page to page.
            Call::Images { .. } => read(["images"]),
        }
    }

    /// The same list after `marker`.
    pub(super) fn page_after(&self, marker: &str) -> Request {
        let mut query = self.query.clone();
        query.retain(|(key, _)| *key != "marker");
        query.push(("marker", marker.to_string()));
        Request {
            method: self.method.clone(),
            path: self.path.clone(),
            query,
            body: None,
            limit: self.limit,
        }
    }

    /// The same list from its row of this number.
    pub(super) fn page_from(&self, offset: usize) -> Request {
        let mut query = self.query.clone();
        if offset > 0 {
            query.push(("offset", offset.to_string()));
        }
        let (method, path) = (self.method.clone(), self.path.clone());
        Request { method, path, query, body: None, limit: self.limit }
    }

    /// The address below `endpoint` (which ends in `/v2.1`); `None` if that cannot carry a path.
    pub(super) fn url(&self, endpoint: &Url) -> Option<Url> {
        let mut url = endpoint.clone();
        url.path_segments_mut().ok()?.extend(&self.path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Some(url)
    }
}

fn services(host: Option<&str>) -> Request {
    let mut query = vec![("binary", "nova-compute".to_string())];
    query.extend(host.map(|host| ("host", host.to_string())));
    Request { query, ..read(["os-services"]) }
}

fn read<const N: usize>(path: [&str; N]) -> Request {
    Request {
        method: Method::GET,
        path: path.map(str::to_string).to_vec(),
        query: Vec::new(),
        body: None,
        limit: READ_LIMIT,
    }
}

fn put(service: &uuid::Uuid, body: Value) -> Request {
    Request {
        method: Method::PUT,
        body: Some(body),
        limit: WRITE_LIMIT,
        ..read(["os-services", &service.to_string()])
    }
}

fn action(server: &uuid::Uuid, body: Value) -> Request {
    Request {
        method: Method::POST,
        body: Some(body),
        limit: WRITE_LIMIT,
        ..read(["servers", &server.to_string(), "action"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nova::call::MigrationKind;
    use uuid::Uuid;

    fn url(call: &Call) -> String {
        let endpoint = Url::parse("http://nova:8774/v2.1").unwrap();
        Request::of(call).url(&endpoint).unwrap().to_string()
    }

    #[test]
    fn force_down_and_disable_are_one_put() {
        let call = Call::ForceDown { service: Uuid::nil(), disable: Some("holdfast op=1".into()) };
        let request = Request::of(&call);
        assert_eq!(request.method, Method::PUT);
        let body = request.body.unwrap();
        assert_eq!(
            body,
            json!({"forced_down": true, "status": "disabled", "disabled_reason": "holdfast op=1"})
        );
    }

    #[test]
    fn host_names_are_escaped_and_markers_replaced() {
        let call = Call::Service { host: "a&host=b c".into() };
        assert_eq!(
            url(&call),
            "http://nova:8774/v2.1/os-services?binary=nova-compute&host=a%26host%3Db+c"
        );
        let kind = MigrationKind::Evacuation;
        let call = Call::MigrationsFrom { host: "h".into(), kind };
        let second = Request::of(&call).page_after("one").page_after("two");
        let endpoint = Url::parse("http://nova/v2.1").unwrap();
        assert_eq!(
            second.url(&endpoint).unwrap().as_str(),
            "http://nova/v2.1/os-migrations?migration_type=evacuation&source_compute=h\
             &limit=1000&marker=two"
        );
    }
}
