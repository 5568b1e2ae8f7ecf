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
    glance: String,
    token: String,
    image: String,
}

/// A server in a list.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) status: String,
    pub(crate) host: String,
}

impl Row {
    pub(crate) fn active_on(&self, host: &str) -> bool {
        self.status == "ACTIVE" && self.host == host
    }
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
        let images = catalog.iter().find(|entry| entry["type"] == "image").unwrap();
        let glance = format!("{}/v2", images["endpoints"][0]["url"].as_str().unwrap());
        let mut raw = Raw { http, base, glance, token, image: String::new() };
        let images = raw.ask(Method::GET, "images?name=tiny", 1, Value::Null).await;
        raw.image = images["images"][0]["id"].as_str().unwrap().to_string();
        raw
    }

    /// Boots a server and waits until it runs. A scheduler that has not yet heard that a host is enabled again, or that
    /// its old servers are gone, refuses with "No valid host": it is asked again, as a user would.
    pub(crate) async fn boot(&self, name: &str, flavor: &str, host: &str) -> Uuid {
        self.boot_from(&self.image, name, flavor, host).await
    }

    /// The same from this image.
    pub(crate) async fn boot_from(
        &self,
        image: &str,
        name: &str,
        flavor: &str,
        host: &str,
    ) -> Uuid {
        let server = json!({"name": name, "imageRef": image, "flavorRef": flavor,
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

    /// Boots as many servers at once, and waits until all run.
    pub(crate) async fn boot_many(&self, count: usize, host: &str) -> Vec<Uuid> {
        let server = json!({"name": "many", "imageRef": self.image, "flavorRef": "1",
            "networks": "none", "host": host, "min_count": count, "max_count": count});
        let before = self.servers().await;
        self.ask(Method::POST, "servers", 74, json!({"server": server})).await;
        let began = Instant::now();
        loop {
            let rows = self.rows().await;
            let new: Vec<_> = rows.iter().filter(|row| !before.contains(&row.id)).collect();
            if new.len() == count && new.iter().all(|row| row.active_on(host)) {
                return new.iter().map(|row| row.id).collect();
            }
            assert!(began.elapsed() < BOOTED_WITHIN, "not all booted");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// All servers, where they are and what they are.
    pub(crate) async fn rows(&self) -> Vec<Row> {
        let path = "servers/detail?all_tenants=1";
        let body = self.ask(Method::GET, path, 74, Value::Null).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = body["servers"].as_array().unwrap().iter().map(|row| Row {
            id: row["id"].as_str().unwrap().parse().unwrap(),
            status: text(&row["status"]),
            host: text(&row["OS-EXT-SRV-ATTR:host"]),
        });
        rows.collect()
    }

    /// What the story was prepared with.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) async fn delete(&self, server: Uuid) {
        self.ask(Method::DELETE, &format!("servers/{server}"), 74, Value::Null).await;
    }

    /// An action on a server, such as `{"pause": null}`.
    pub(crate) async fn order(&self, server: Uuid, action: Value) {
        self.ask(Method::POST, &format!("servers/{server}/action"), 74, action).await;
    }

    /// A server as Nova shows it.
    pub(crate) async fn server(&self, server: Uuid) -> Value {
        self.ask(Method::GET, &format!("servers/{server}"), 74, Value::Null).await["server"].clone()
    }

    /// Nova's own list of what was done with a server, newest first.
    pub(crate) async fn actions(&self, server: Uuid) -> Vec<String> {
        let path = format!("servers/{server}/os-instance-actions");
        let body = self.ask(Method::GET, &path, 74, Value::Null).await;
        let actions = body["instanceActions"].as_array().unwrap().iter();
        actions.map(|action| action["action"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn servers(&self) -> Vec<Uuid> {
        let path = "servers/detail?all_tenants=1";
        let body = self.ask(Method::GET, path, 74, Value::Null).await;
        let servers = body["servers"].as_array().unwrap().iter();
        servers.map(|server| server["id"].as_str().unwrap().parse().unwrap()).collect()
    }

    /// Makes a private image of the administrator's project.
    pub(crate) async fn make_image(&self, name: &str, tags: &[&str]) -> String {
        let url = format!("{}/images", self.glance);
        let image = json!({"name": name, "tags": tags, "visibility": "private",
            "disk_format": "raw", "container_format": "bare"});
        let made = self.http.post(&url).header("X-Auth-Token", &self.token).json(&image);
        let made = made.send().await.unwrap();
        assert_eq!(made.status(), 201, "{name}");
        let made: Value = made.json().await.unwrap();
        let id = made["id"].as_str().unwrap().to_owned();
        let file = self.http.put(format!("{url}/{id}/file")).header("X-Auth-Token", &self.token);
        let file = file.header("Content-Type", "application/octet-stream").body(vec![0; 1024]);
        let status = file.send().await.unwrap().status();
        assert!(status.is_success(), "{name}: {status}");
        id
    }

    pub(crate) async fn delete_image(&self, image: &str) {
        let url = format!("{}/images/{image}", self.glance);
        let gone = self.http.delete(url).header("X-Auth-Token", &self.token).send().await.unwrap();
        assert!(gone.status().is_success(), "{image}: {}", gone.status());
    }

    /// Glance's address, with `/v2`.
    pub(crate) fn glance(&self) -> &str {
        &self.glance
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
