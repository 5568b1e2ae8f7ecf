//! What users of a cloud do and the controller never does: boot and delete servers.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// For a real Nova on a machine that is busy with other things.
const BOOTED_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const ASK_AGAIN: Duration = Duration::from_secs(1);

pub(crate) struct Raw {
    http: reqwest::Client,
    base: String,
    token: String,
    image: String,
}

impl Raw {
    pub(crate) async fn new(auth_url: &str, user: &str, password: &str) -> Raw {
        controller::nova::client::ensure_tls_provider();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let domain = json!({"name": "Default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user":
                {"name": user, "domain": domain, "password": password}}},
            "scope": {"project": {"name": "admin", "domain": domain}}}});
        let reply = http.post(format!("{auth_url}/auth/tokens")).json(&body).send().await.unwrap();
        assert_eq!(reply.status(), 201, "no token to prepare the story with");
        let token = reply.headers()["X-Subject-Token"].to_str().unwrap().to_string();
        let body: Value = reply.json().await.unwrap();
        let catalog = body["token"]["catalog"].as_array().unwrap();
        let compute = catalog.iter().find(|entry| entry["type"] == "compute").unwrap();
        let base = compute["endpoints"][0]["url"].as_str().unwrap().to_string();
        let mut raw = Raw { http, base, token, image: String::new() };
        let images = raw.ask(Method::GET, "images?name=tiny", 1, Value::Null).await;
        raw.image = images["images"][0]["id"].as_str().unwrap().to_string();
        raw
    }

    /// Boots a server and waits until it runs. A scheduler that has not yet heard that a host is enabled again, or that
    /// its old servers are gone, refuses with "No valid host": it is asked again, as a user would.
    pub(crate) async fn boot(&self, name: &str, flavor: &str, host: &str) -> Uuid {
        let server = json!({"name": name, "imageRef": self.image, "flavorRef": flavor,
            "networks": "none", "host": host});
        let began = Instant::now();
        loop {
            let body =
                self.ask(Method::POST, "servers", 74, json!({"server": server.clone()})).await;
            let id: Uuid = body["server"]["id"].as_str().unwrap().parse().unwrap();
            let row = loop {
                let body = self.ask(Method::GET, &format!("servers/{id}"), 74, Value::Null).await;
                let row = body["server"].clone();
                match row["status"].as_str() {
                    Some("ACTIVE") => return id,
                    Some("ERROR") => break row,
                    _ => assert!(began.elapsed() < BOOTED_WITHIN, "not booted: {row}"),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            };
            let why = row["fault"]["message"].as_str().unwrap_or_default();
            let refused = why.starts_with("No valid host");
            assert!(refused && began.elapsed() < BOOTED_WITHIN, "{row}");
            self.delete(id).await;
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    pub(crate) async fn delete(&self, server: Uuid) {
        self.ask(Method::DELETE, &format!("servers/{server}"), 74, Value::Null).await;
    }

    pub(crate) async fn servers(&self) -> Vec<Uuid> {
        let path = "servers/detail?all_tenants=1";
        let body = self.ask(Method::GET, path, 74, Value::Null).await;
        let servers = body["servers"].as_array().unwrap().iter();
        servers.map(|server| server["id"].as_str().unwrap().parse().unwrap()).collect()
    }

    async fn ask(&self, method: Method, path: &str, version: u16, body: Value) -> Value {
        let mut request = self
            .http
            .request(method.clone(), format!("{}/{path}", self.base))
            .header("X-Auth-Token", &self.token)
            .header("OpenStack-API-Version", format!("compute 2.{version}"));
        if !body.is_null() {
            request = request.json(&body);
        }
        let reply = request.send().await.unwrap();
        let status = reply.status();
        let text = reply.text().await.unwrap();
        // A server that is gone already is as good as deleted.
        let fine = status.is_success() || (method == Method::DELETE && status == 404);
        assert!(fine, "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}
