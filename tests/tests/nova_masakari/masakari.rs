//! Masakari: its two programs, and what an operator and a monitor tell it.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde_json::{Value, json};

/// Runs; dropping it ends it.
pub(crate) struct Masakari {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Masakari {
    /// Starts it from nothing, and makes these hosts a segment.
    pub(crate) async fn start(token: &str, hosts: u8) -> Masakari {
        let url = script("up");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let masakari = Masakari { http, url, token: token.to_owned() };
        let segment = json!({"segment":
            {"name": "all", "recovery_method": "auto", "service_type": "COMPUTE"}});
        let made = masakari.post("segments", &segment).await;
        let id = made["segment"]["uuid"].as_str().expect("a segment").to_owned();
        for number in 1..=hosts {
            let host = json!({"host": {"name": format!("compute-{number}"), "type": "COMPUTE",
                "control_attributes": "SSH"}});
            masakari.post(&format!("segments/{id}/hosts"), &host).await;
        }
        masakari
    }

    /// What its monitor says of a host that is gone.
    pub(crate) async fn host_failed(&self, host: &str) {
        let now = SystemTime::now();
        let notification = json!({"notification": {
            "type": "COMPUTE_HOST",
            "hostname": host,
            "generated_time": timestamp(now),
            "payload": {"event": "STOPPED", "cluster_status": "OFFLINE", "host_status": "NORMAL"},
        }});
        self.post("notifications", &notification).await;
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}/{path}", self.url));
        let request = request.header("X-Auth-Token", &self.token).json(body);
        let answer =
            request.header("OpenStack-API-Version", "instance-ha 1.0").send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

impl Drop for Masakari {
    fn drop(&mut self) {
        script("down");
    }
}

/// Runs `tests/support/nova/masakari.sh`; answers the last line that it prints.
fn script(deed: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/nova/masakari.sh");
    let output = Command::new("bash").arg(script).arg(deed).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "masakari.sh {deed}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().lines().last().unwrap_or_default().to_owned()
}

/// `2026-01-31T12:00:00.000000`, in UTC.
fn timestamp(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(at).to_string();
    format!("{}.000000", text.trim_end_matches('Z'))
}
