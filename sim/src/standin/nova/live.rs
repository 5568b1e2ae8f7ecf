//! Live migration: accepted at once, checked afterwards, done in stages.

use std::time::Duration;

use controller::nova::call::{MigrationKind, MigrationStatus};
use uuid::Uuid;

use super::{Cloud, Done, Fault, Order, Step};

impl Cloud {
    /// Needs an active or paused server without task. Whether the source is up is found out later, in the record.
    pub(super) fn live_migrate(
        &mut self,
        now: Duration,
        id: Uuid,
        request_id: &str,
    ) -> Result<Done, Fault> {
        let server = self.servers.get_mut(&id).ok_or_else(|| Fault::no_server(id))?;
        let said = |what: String| {
            let message = format!("Cannot 'os-migrateLive' instance {id} while it is in {what}");
            Err(Fault::new(409, message))
        };
        if let Some(task) = &server.task_state {
            return said(format!("task_state {task}"));
        }
        let Some(source) = server.host.clone() else {
            return said(format!("vm_state {}", server.vm_state));
        };
        if !matches!(server.vm_state.as_str(), "active" | "paused") {
            return said(format!("vm_state {}", server.vm_state));
        }
        server.task_state = Some("migrating".to_string());
        server.act("live-migration", request_id);
        let migration = self.record(MigrationKind::LiveMigration, id, &source, None);
        self.after(now, self.settings.latency.schedule, Step::Live { server: id, migration });
        Ok(Done::Accepted { queued: false })
    }

    /// accepted -> preparing -> running -> completed, as long as the source lives. A source that dies on the way
    /// leaves the record and the task as they are.
    pub(super) fn go_on_live(&mut self, now: Duration, id: Uuid, migration: u64) {
        let Some(record) = self.migrations.get(&migration) else { return };
        let (source, destination) = (record.source.clone(), record.destination.clone());
        match record.status.clone() {
            MigrationStatus::Accepted => {
                let chosen = if self.host_is_up(now, &source) {
                    self.schedule(now, id, Some(&source))
                } else {
                    None
                };
                let Some(host) = chosen else {
                    self.set_status(migration, MigrationStatus::Error);
                    if let Some(server) = self.servers.get_mut(&id) {
                        server.task_state = None;
                    }
                    return;
                };
                if let Some(record) = self.migrations.get_mut(&migration) {
                    record.destination = Some(host);
                    record.status = MigrationStatus::Preparing;
                }
            }
            MigrationStatus::Preparing if self.runs(&source) => {
                self.set_status(migration, MigrationStatus::Running);
            }
            MigrationStatus::Running if self.runs(&source) => {
                let Some(host) = destination else { return };
                // The guest changes over in one instant; the hypervisors are told in the order that never has none.
                self.guests.insert((host.clone(), id));
                self.guests.remove(&(source.clone(), id));
                self.orders.push_back(Order::Start { host: host.clone(), server: id });
                self.orders.push_back(Order::Stop { host: source, server: id });
                self.set_status(migration, MigrationStatus::Completed);
                if let Some(server) = self.servers.get_mut(&id) {
                    server.host = Some(host);
                    server.task_state = None;
                }
                return;
            }
            MigrationStatus::Preparing
            | MigrationStatus::Running
            | MigrationStatus::PreMigrating
            | MigrationStatus::Done
            | MigrationStatus::Completed
            | MigrationStatus::Error
            | MigrationStatus::Failed
            | MigrationStatus::Cancelled
            | MigrationStatus::Other(_) => return,
        }
        self.after(now, self.settings.latency.live, Step::Live { server: id, migration });
    }

    fn runs(&self, host: &str) -> bool {
        self.computes.get(host).is_some_and(|compute| compute.running)
    }
}
