//! The client against a scripted server, fault by fault. Bodies are cut down from what a real Nova answered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::{Client, SetupError};
use crate::nova::call::{
    Call, MigrationKind, MigrationStatus, ReadFailure, Refusal, Refused, Reply, Written,
};

mod fake;
mod images;
mod reads;
mod setup;
mod writes;

const SERVER: Uuid = uuid!("526806aa-5bf5-4de7-8427-febfbbf682f6");
const SERVICE: Uuid = uuid!("0686ed5d-1d68-4cf5-ae3d-74127ccc1e9c");
const SECOND: Duration = Duration::from_secs(1);

fn evacuate() -> Call {
    Call::Evacuate { server: SERVER, destination: None }
}

fn service(host: &str) -> Value {
    json!({"binary": "nova-compute", "host": host, "id": SERVICE, "zone": "nova",
        "status": "disabled", "state": "down", "updated_at": "2026-11-21T22:02:25.268203",
        "disabled_reason": "holdfast", "forced_down": true})
}

fn server(id: Uuid, host: &str) -> Value {
    json!({"id": id, "name": "vm-1", "status": "ACTIVE", "image": "", "metadata": {},
        "OS-EXT-SRV-ATTR:host": host, "OS-EXT-STS:task_state": null,
        "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1, "locked": false})
}

/// A body as Nova's middleware answers.
fn unauthorized() -> String {
    json!({"error": {"code": 401, "title": "Unauthorized",
        "message": "The request you have made requires authentication."}})
    .to_string()
}

const FROM_KEYSTONE: &str = "WWW-Authenticate: Keystone uri=\"http://keystone/v3\"\r\n";
