//! The little of Keystone that clients of Nova and Glance need: tokens and the catalog.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::SystemTime;

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::NovaSettings;
use super::json;

pub(super) struct Keystone {
    settings: NovaSettings,
    address: SocketAddr,
    tokens: BTreeSet<String>,
    given: u64,
}

impl Keystone {
    pub(super) fn new(settings: NovaSettings, address: SocketAddr) -> Keystone {
        Keystone { settings, address, tokens: BTreeSet::new(), given: 0 }
    }

    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn knows(&self, headers: &HeaderMap) -> bool {
        let token = headers.get("X-Auth-Token").and_then(|value| value.to_str().ok());
        token.is_some_and(|token| self.tokens.contains(token))
    }

    pub(super) fn token(&mut self, body: &[u8]) -> Response {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return json::plain(400, "not JSON");
        };
        if !self.accepts(&body["auth"]) {
            return json::unauthorized();
        }
        self.given += 1;
        let token = format!("stand-in-token-{}", self.given);
        self.tokens.insert(token.clone());
        let reply = json::with_body(201, &self.describe(&body["auth"]));
        json::with_header(reply, "X-Subject-Token", &token)
    }

    fn accepts(&self, auth: &Value) -> bool {
        let identity = &auth["identity"];
        let says = |value: &Value, text: &str| value.as_str() == Some(text);
        match identity["methods"][0].as_str() {
            Some("password") => {
                let user = &identity["password"]["user"];
                says(&user["name"], &self.settings.user)
                    && says(&user["password"], &self.settings.password)
            }
            Some("application_credential") => {
                let credential = &identity["application_credential"];
                // Asking for a scope is refused: the credential has its own.
                auth.get("scope").is_none()
                    && says(&credential["id"], &self.settings.credential_id)
                    && says(&credential["secret"], &self.settings.credential_secret)
            }
            _ => false,
        }
    }

    fn describe(&self, auth: &Value) -> Value {
        let now = SystemTime::now();
        let expires = now + self.settings.token_lifetime;
        let region = &self.settings.region;
        let endpoints = |kind: &str, path: &str| {
            let url = format!("http://{}{path}", self.address);
            ["public", "internal", "admin"].map(|interface| {
                json!({"id": format!("{kind}-{interface}"), "interface": interface,
                    "region": region, "region_id": region, "url": url})
            })
        };
        let service = |kind: &str, name: &str, path: &str| json!({"id": kind, "type": kind, "name": name, "endpoints": endpoints(kind, path)});
        json!({"token": {
            "methods": auth["identity"]["methods"],
            "user": {"id": "stand-in-user", "name": self.settings.user,
                "domain": {"id": "default", "name": "Default"}, "password_expires_at": null},
            "issued_at": humantime::format_rfc3339_micros(now).to_string(),
            "expires_at": humantime::format_rfc3339_micros(expires).to_string(),
            "project": {"id": json::PROJECT, "name": "admin",
                "domain": {"id": "default", "name": "Default"}},
            "is_domain": false,
            "roles": [{"id": "admin", "name": "admin"}],
            "catalog": [service("compute", "nova", "/v2.1"), service("image", "glance", "/image")],
        }})
    }
}
