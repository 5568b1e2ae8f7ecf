//! PUT on os-services.

use std::time::Duration;

use controller::nova::call::{MigrationKind, MigrationStatus};
use uuid::Uuid;

use super::{Cloud, Done, Fault, ServiceUpdate};

impl Cloud {
    pub(super) fn update_service(
        &mut self,
        now: Duration,
        id: Uuid,
        update: &ServiceUpdate,
    ) -> Result<Done, Fault> {
        check(update)?;
        let host = self.computes.values().find(|compute| compute.service == id);
        let host = host.map(|compute| compute.host.clone());
        let host =
            host.ok_or_else(|| Fault::new(404, format!("Service {id} could not be found.")))?;
        if update.forced_down == Some(false) && self.has_done_evacuations(&host) {
            return Err(Fault::new(
                400,
                format!(
                    "Unable to force up host {host} because `done` evacuation records remain \
                     associated with the host. Ensure the compute service has been restarted, \
                     allowing these records to move to `completed` before retrying this request."
                ),
            ));
        }
        let Some(compute) = self.computes.get_mut(&host) else {
            return Err(Fault::new(404, format!("Service {id} could not be found.")));
        };
        if let Some(forced_down) = update.forced_down {
            compute.forced_down = forced_down;
        }
        match update.enabled {
            Some(true) => {
                compute.enabled = true;
                compute.disabled_reason = None;
            }
            Some(false) => {
                compute.enabled = false;
                compute.disabled_reason = update.disabled_reason.clone();
            }
            None => {}
        }
        let compute = compute.clone();
        Ok(Done::Service(self.service_record(now, &compute)))
    }

    /// How long the API is busy with this PUT: changing `status` makes it call the nova-compute if its service counts
    /// as up, and a dead one does not answer.
    pub(super) fn update_takes(&self, now: Duration, id: Uuid, update: &ServiceUpdate) -> Duration {
        let Some(compute) = self.computes.values().find(|compute| compute.service == id) else {
            return Duration::ZERO;
        };
        let stays_up = self.is_up(now, compute) && update.forced_down != Some(true);
        let changes = update.enabled.is_some_and(|enabled| enabled != compute.enabled);
        if changes && stays_up && !compute.running {
            self.settings.rpc_response_timeout
        } else {
            Duration::ZERO
        }
    }

    fn has_done_evacuations(&self, host: &str) -> bool {
        self.migrations.values().any(|migration| {
            migration.source == host
                && migration.kind == MigrationKind::Evacuation
                && migration.status == MigrationStatus::Done
                && self.servers.contains_key(&migration.server)
        })
    }
}

fn check(update: &ServiceUpdate) -> Result<(), Fault> {
    if *update == ServiceUpdate::default() {
        let message = "No updates were requested. Fields 'status' or 'forced_down' should be \
                       specified.";
        return Err(Fault::new(400, message));
    }
    let Some(reason) = &update.disabled_reason else { return Ok(()) };
    if update.enabled != Some(false) {
        let message = "Specifying 'disabled_reason' when status is 'enabled' is invalid.";
        return Err(Fault::new(400, message));
    }
    if reason.is_empty() || reason.len() > 255 {
        let message = "Invalid input for field/attribute disabled_reason.";
        return Err(Fault::new(400, message));
    }
    Ok(())
}
