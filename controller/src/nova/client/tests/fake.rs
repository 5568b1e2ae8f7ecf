//! A server that plays Keystone, Nova's version document, and a script for everything else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::nova::client::{Client, Credential, Interface, Secret, Settings};

/// What the server does with the next request that is neither for a token nor for the version document.
#[derive(Clone)]
pub(super) enum Act {
    /// Answers with the version header, as Nova does.
    Nova(u16, Value),
    /// Answers without it.
    Bare(u16, &'static str, String),
    /// Reads the request and resets the connection.
    Reset,
    /// Reads the request and says nothing.
    Hang,
    /// Promises a longer body than it sends.
    Cut,
}

pub(super) struct Fake {
    pub(super) client: Client,
    pub(super) settings: Settings,
    seen: Arc<Mutex<Vec<String>>>,
    knobs: Arc<Mutex<Knobs>>,
}

struct Knobs {
    acts: Vec<Act>,
    token_status: u16,
    newest: &'static str,
    tokens: u32,
    lifetime: u64,
    glance: bool,
}

impl Fake {
    pub(super) async fn with(acts: Vec<Act>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (token_status, newest, tokens, lifetime) = (201, "2.104", 0, 3600);
        let knobs = Knobs { acts, token_status, newest, tokens, lifetime, glance: true };
        let knobs = Arc::new(Mutex::new(knobs));
        let settings = Settings {
            auth_url: address.clone(),
            credential: Credential::Application { id: "ha".into(), secret: Secret::new("hunter2") },
            region: Some("RegionOne".into()),
            interface: Interface::Internal,
            ca_file: None,
        };
        let (log, shared) = (seen.clone(), knobs.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, address.clone(), log.clone(), shared.clone()));
            }
        });
        Fake { client: Client::new(settings.clone()).unwrap(), settings, seen, knobs }
    }

    pub(super) fn tokens_say(&self, status: u16) {
        self.knobs.lock().unwrap().token_status = status;
    }

    pub(super) fn newest(&self, version: &'static str) {
        self.knobs.lock().unwrap().newest = version;
    }

    pub(super) fn token_lifetime(&self, seconds: u64) {
        self.knobs.lock().unwrap().lifetime = seconds;
    }

    pub(super) fn has_no_glance(&self) {
        self.knobs.lock().unwrap().glance = false;
    }

    pub(super) fn tokens_given(&self) -> u32 {
        self.knobs.lock().unwrap().tokens
    }

    /// Heads of the scripted requests, in order.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
    knobs: Arc<Mutex<Knobs>>,
) {
    let head = read_request(&mut stream).await;
    if head.starts_with("POST /v3/auth/tokens") {
        let reply = token(&address, &mut knobs.lock().unwrap());
        let _ = stream.write_all(reply.as_bytes()).await;
        return;
    }
    if head.starts_with("GET /v2.1/ ") {
        let newest = knobs.lock().unwrap().newest;
        let body = json!({"version": {"id": "v2.1", "version": newest, "min_version": "2.1"}});
        let _ = stream.write_all(reply(200, "", &body.to_string()).as_bytes()).await;
        return;
    }
    seen.lock().unwrap().push(head.clone());
    let act = {
        let mut knobs = knobs.lock().unwrap();
        if knobs.acts.is_empty() { Act::Reset } else { knobs.acts.remove(0) }
    };
    let version = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("openstack-api-version: ").map(str::to_string)
    });
    let echo = format!(
        "OpenStack-API-Version: {}\r\nX-Openstack-Request-Id: req-1\r\n",
        version.unwrap_or_default()
    );
    match act {
        Act::Nova(status, body) => {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let _ = stream.write_all(reply(status, &echo, &body).as_bytes()).await;
        }
        Act::Bare(status, headers, body) => {
            let _ = stream.write_all(reply(status, headers, &body).as_bytes()).await;
        }
        Act::Reset => {
            let _ = stream.set_zero_linger();
        }
        Act::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
        Act::Cut => {
            let text = format!("HTTP/1.1 200 OK\r\n{echo}Content-Length: 100\r\n\r\n{{");
            let _ = stream.write_all(text.as_bytes()).await;
        }
    }
}

fn reply(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn token(address: &str, knobs: &mut Knobs) -> String {
    if knobs.token_status != 201 {
        let body = json!({"error": {"code": knobs.token_status, "title": "x",
            "message": "The request you have made requires authentication."}});
        return reply(knobs.token_status, "", &body.to_string());
    }
    knobs.tokens += 1;
    let issued = humantime::parse_rfc3339("2026-11-21T20:35:10Z").unwrap();
    let expires = humantime::format_rfc3339_micros(issued + Duration::from_secs(knobs.lifetime));
    let endpoint = json!({"interface": "internal", "region": "RegionOne",
        "region_id": "RegionOne", "url": format!("{address}/v2.1")});
    let mut catalog = vec![json!({"type": "compute", "name": "nova", "endpoints": [endpoint]})];
    if knobs.glance {
        let endpoint = json!({"interface": "internal", "region": "RegionOne",
            "region_id": "RegionOne", "url": format!("{address}/image")});
        catalog.push(json!({"type": "image", "name": "glance", "endpoints": [endpoint]}));
    }
    let body = json!({"token": {"issued_at": "2026-11-21T20:35:10.000000Z",
        "expires_at": expires.to_string(), "catalog": catalog}});
    let header = format!("X-Subject-Token: token-{}\r\n", knobs.tokens);
    reply(201, &header, &body.to_string())
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).await.unwrap_or(0);
        bytes.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_string)
            });
            let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        if n == 0 {
            return String::new();
        }
    }
}
