//! Rows of Nova's database: servers and migration records.

use controller::nova::Labels;
use controller::nova::call::{
    ActionRecord, MigrationKind, MigrationRecord, MigrationStatus, ServerRecord,
};
use uuid::Uuid;

use super::{Flavor, memory};

/// Nova's `power_state`.
pub(super) const NO_STATE: u8 = 0;
pub(super) const RUNNING: u8 = 1;
pub(super) const SHUTDOWN: u8 = 4;

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) flavor: Flavor,
    pub(super) host: Option<String>,
    /// Where a boot was asked to go.
    pub(super) wanted: Option<String>,
    pub(super) vm_state: String,
    pub(super) task_state: Option<String>,
    pub(super) power_state: u8,
    pub(super) fault: Option<String>,
    /// Newest last.
    pub(super) actions: Vec<ActionRecord>,
    /// What it was when the evacuation that is under way began.
    pub(super) was_stopped: bool,
    /// Two rebuilds of it met, and one has failed of that.
    pub(super) spoiled: bool,
    /// What it is, but for its size, which is the flavor's.
    pub(super) labels: Labels,
}

impl Server {
    pub(super) fn record(&self) -> ServerRecord {
        ServerRecord {
            id: self.id,
            name: self.name.clone(),
            host: self.host.clone(),
            vm_state: self.vm_state.clone(),
            task_state: self.task_state.clone(),
            status: self.status().to_string(),
            power_state: self.power_state,
            fault: self.fault.clone().filter(|_| self.vm_state == "error"),
            labels: Box::new(Labels {
                flavor: self.flavor.name().to_string(),
                vcpus: self.flavor.vcpus().into(),
                memory_mib: memory(self.flavor.vcpus()),
                ..self.labels.clone()
            }),
        }
    }

    fn status(&self) -> &'static str {
        let task = self.task_state.as_deref().unwrap_or("");
        match self.vm_state.as_str() {
            "active" | "stopped" | "error" if task.starts_with("rebuil") => "REBUILD",
            "error" => "ERROR",
            "active" if task == "migrating" => "MIGRATING",
            "active" => "ACTIVE",
            "stopped" => "SHUTOFF",
            "building" => "BUILD",
            "paused" => "PAUSED",
            "suspended" => "SUSPENDED",
            "rescued" => "RESCUE",
            "resized" => "VERIFY_RESIZE",
            "shelved_offloaded" => "SHELVED_OFFLOADED",
            _ => "UNKNOWN",
        }
    }

    pub(super) fn act(&mut self, action: &str, request_id: &str) {
        self.actions.push(ActionRecord {
            action: action.to_string(),
            request_id: request_id.to_string(),
            message: None,
        });
    }

    /// Marks the action of `request_id` as failed.
    pub(super) fn act_failed(&mut self, request_id: &str) {
        for action in self.actions.iter_mut().filter(|action| action.request_id == request_id) {
            action.message = Some("Error".to_string());
        }
    }

    pub(super) fn fail(&mut self, fault: &str) {
        self.vm_state = "error".to_string();
        self.task_state = None;
        self.fault = Some(fault.to_string());
    }
}

#[derive(Clone, Debug)]
pub(super) struct Migration {
    pub(super) id: u64,
    pub(super) uuid: Uuid,
    pub(super) kind: MigrationKind,
    pub(super) server: Uuid,
    pub(super) source: String,
    pub(super) destination: Option<String>,
    pub(super) status: MigrationStatus,
}

impl Migration {
    pub(super) fn record(&self) -> MigrationRecord {
        MigrationRecord {
            id: self.id,
            uuid: self.uuid,
            server: self.server,
            source: self.source.clone(),
            destination: self.destination.clone(),
            status: self.status.clone(),
        }
    }
}
