//! The API's front: what it checks before it says 200, and the faults that lie between it and the caller.

use std::time::Duration;

use controller::nova::Labels;
use controller::nova::call::{MigrationKind, MigrationStatus};
use uuid::Uuid;

use super::server::{Migration, NO_STATE, RUNNING, Server};
use super::{Cloud, Done, Fault, Flavor, Order, Power, Request, Served, Step};

impl Cloud {
    /// Serves a request, faults included.
    pub fn serve(&mut self, now: Duration, request: &Request) -> Served {
        if let Request::Images { tag } = request {
            return self.serve_images(tag);
        }
        let request_id = self.fresh_request_id();
        let after = self.settings.latency.api + self.faults.slow;
        if self.faults.down {
            let fault = Fault::new(503, "Service Unavailable");
            return Served { result: Some(Err(fault)), after, request_id };
        }
        if !request.writes() {
            let result = Some(self.execute(now, request, &request_id));
            return Served { result, after, request_id };
        }
        if self.faults.late_writes > 0 {
            self.faults.late_writes -= 1;
            let (request, held) = (request.clone(), request_id.clone());
            self.after(now, self.faults.late_by, Step::Late { request, request_id: held });
            return Served { result: None, after, request_id };
        }
        let busy = if let Request::Update(id, update) = request {
            self.update_takes(now, *id, update)
        } else {
            Duration::ZERO
        };
        let mut result = Some(self.execute(now, request, &request_id));
        if self.faults.errors_with_effect > 0 {
            self.faults.errors_with_effect -= 1;
            result = Some(Err(Fault::new(500, "Unexpected API Error.")));
        } else if self.faults.lost_replies > 0 {
            self.faults.lost_replies -= 1;
            result = None;
        }
        Served { result, after: after + busy, request_id }
    }

    /// Glance's part: Nova's faults are none of it.
    fn serve_images(&self, tag: &str) -> Served {
        let result = match self.faults.glance {
            Some(status) => Err(Fault::new(status, "of Glance")),
            None => Ok(self.images_with(tag)),
        };
        let (after, request_id) = (self.settings.latency.api, String::new());
        Served { result: Some(result), after, request_id }
    }

    fn images_with(&self, tag: &str) -> Done {
        let tagged = self.images.iter().filter(|(_, tags)| tags.contains(tag));
        Done::Images(tagged.map(|(id, _)| id.clone()).collect())
    }

    /// Puts a running server on a host without booting it: the state a scenario begins with.
    pub fn place(&mut self, id: Uuid, name: &str, host: &str, flavor: Flavor) {
        let server = Server {
            host: Some(host.to_string()),
            vm_state: "active".to_string(),
            power_state: RUNNING,
            ..blank(id, name, flavor)
        };
        self.servers.insert(id, server);
        self.guests.insert((host.to_string(), id));
    }

    /// Says what a server is; its size stays its flavor's.
    pub fn label(&mut self, id: Uuid, labels: Labels) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.labels = labels;
        }
    }

    /// Sets a server's states as if its user or a fault had: `active`, `stopped`, `paused`, `error`, ...
    pub fn set_state(&mut self, id: Uuid, vm_state: &str, task_state: Option<&str>, power: u8) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.vm_state = vm_state.to_string();
            server.task_state = task_state.map(str::to_string);
            server.power_state = power;
        }
    }

    pub(super) fn execute(
        &mut self,
        now: Duration,
        request: &Request,
        request_id: &str,
    ) -> Result<Done, Fault> {
        match request {
            Request::Services(host) => {
                let mut rows = self.services(now);
                rows.retain(|row| host.as_ref().is_none_or(|host| row.host == *host));
                Ok(Done::Services(rows))
            }
            Request::Update(id, update) => self.update_service(now, *id, update),
            Request::Servers(host) => {
                let mut rows = self.servers();
                rows.retain(|row| host.is_none() || row.host == *host);
                Ok(Done::Servers(rows))
            }
            Request::Server(id) => {
                let server = self.servers.get(id).ok_or_else(|| Fault::no_server(*id))?;
                Ok(Done::Server(server.record()))
            }
            Request::Evacuate { server, destination, leave_off } => {
                let power = if *leave_off { Power::Off } else { Power::Keep };
                self.evacuate(now, *server, destination.as_deref(), power, request_id)
            }
            Request::LiveMigrate(server) => self.live_migrate(now, *server, request_id),
            Request::Stop(server) => self.stop(now, *server, request_id),
            Request::Reboot(server) => self.reboot(now, *server, request_id),
            Request::Migrations { source, server, kind, status } => {
                let rows = self.migrations().into_iter().filter_map(|record| {
                    let of = self.migrations.get(&record.id)?.kind;
                    let fits = source.as_ref().is_none_or(|source| record.source == *source)
                        && server.is_none_or(|server| record.server == server)
                        && kind.is_none_or(|kind| of == kind)
                        && status.as_ref().is_none_or(|status| word(&record.status) == status);
                    fits.then_some((record, of))
                });
                Ok(Done::Migrations(rows.collect()))
            }
            Request::Actions(id) => {
                let server = self.servers.get(id).ok_or_else(|| Fault::no_server(*id))?;
                Ok(Done::Actions(server.actions.iter().rev().cloned().collect()))
            }
            Request::Hypervisors => Ok(Done::Hypervisors(self.hypervisors())),
            Request::Aggregates => Ok(Done::Aggregates(self.aggregates.clone())),
            Request::Groups => Ok(Done::Groups(self.groups.clone())),
            Request::Images { tag } => Ok(self.images_with(tag)),
            Request::Boot { name, flavor, host } => {
                Ok(Done::Booted(self.boot(now, name, *flavor, host.as_deref(), request_id)))
            }
            Request::Delete(id) => self.delete(*id),
        }
    }

    /// The checks are in Nova's order: destination, vm_state, source. It does not look at `task_state`, so a second
    /// evacuation of a server that is being evacuated is taken on too.
    fn evacuate(
        &mut self,
        now: Duration,
        id: Uuid,
        destination: Option<&str>,
        power: Power,
        request_id: &str,
    ) -> Result<Done, Fault> {
        let server = self.servers.get(&id).ok_or_else(|| Fault::no_server(id))?;
        if let Some(name) = destination
            && !self.computes.contains_key(name)
        {
            return Err(Fault::new(404, format!("Compute host {name} not found.")));
        }
        if server.host.as_deref() == destination {
            return Err(Fault::new(400, "The target host can't be the same one."));
        }
        let vm_state = server.vm_state.clone();
        let source = server.host.clone();
        let movable = matches!(vm_state.as_str(), "active" | "stopped" | "error");
        let (true, Some(source)) = (movable, source) else {
            let message =
                format!("Cannot 'evacuate' instance {id} while it is in vm_state {vm_state}");
            return Err(Fault::new(409, message));
        };
        if self.faults.refuse.contains(&id) {
            let message =
                format!("Operation 'evacuate' not supported for vTPM-enabled instance ({id}).");
            return Err(Fault::new(400, message));
        }
        if self.host_is_up(now, &source) {
            return Err(Fault::new(400, format!("Compute service of {source} is still in use.")));
        }
        self.record(MigrationKind::Evacuation, id, &source, destination);
        if let Some(server) = self.servers.get_mut(&id) {
            server.task_state = Some("rebuilding".to_string());
            server.was_stopped = vm_state == "stopped";
            server.act("evacuate", request_id);
        }
        let step = Step::Evacuate {
            server: id,
            destination: destination.map(str::to_string),
            power,
            request_id: request_id.to_string(),
        };
        self.after(now, self.settings.latency.schedule, step);
        Ok(Done::Accepted { queued: true })
    }

    /// Writes a migration record in state `accepted`.
    pub(super) fn record(
        &mut self,
        kind: MigrationKind,
        server: Uuid,
        source: &str,
        destination: Option<&str>,
    ) -> u64 {
        let id = self.migrations.last_key_value().map_or(1, |(id, _)| id + 1);
        let migration = Migration {
            id,
            uuid: self.fresh_id(),
            kind,
            server,
            source: source.to_string(),
            destination: destination.map(str::to_string),
            status: MigrationStatus::Accepted,
        };
        self.migrations.insert(id, migration);
        id
    }

    /// 202 also for a server of a dead host; then its task hangs.
    fn stop(&mut self, now: Duration, id: Uuid, request_id: &str) -> Result<Done, Fault> {
        let server = self.servers.get_mut(&id).ok_or_else(|| Fault::no_server(id))?;
        if let Some(task) = &server.task_state {
            let message = format!("Cannot 'stop' instance {id} while it is in task_state {task}");
            return Err(Fault::new(409, message));
        }
        if !matches!(server.vm_state.as_str(), "active" | "error") {
            let state = &server.vm_state;
            let message = format!("Cannot 'stop' instance {id} while it is in vm_state {state}");
            return Err(Fault::new(409, message));
        }
        server.task_state = Some("powering-off".to_string());
        server.act("stop", request_id);
        self.after(now, self.settings.latency.cast, Step::Stop { server: id });
        Ok(Done::Accepted { queued: false })
    }

    fn boot(
        &mut self,
        now: Duration,
        name: &str,
        flavor: Flavor,
        host: Option<&str>,
        request_id: &str,
    ) -> Uuid {
        let id = self.fresh_id();
        let mut server = blank(id, name, flavor);
        server.wanted = host.map(str::to_string);
        server.task_state = Some("scheduling".to_string());
        server.act("create", request_id);
        self.servers.insert(id, server);
        self.after(now, self.settings.latency.schedule, Step::Boot { server: id });
        id
    }

    /// Deleting hides the server's migration records, and with them what keeps `forced_down` from being cleared.
    fn delete(&mut self, id: Uuid) -> Result<Done, Fault> {
        self.servers.remove(&id).ok_or_else(|| Fault::no_server(id))?;
        self.spawning.retain(|(_, server), _| *server != id);
        let gone: Vec<_> =
            self.guests.iter().filter(|(_, server)| *server == id).cloned().collect();
        for guest in gone {
            // A guest of a dead host is deleted in the database alone.
            if self.computes.get(&guest.0).is_some_and(|compute| compute.running) {
                self.guests.remove(&guest);
                self.orders.push_back(Order::Stop { host: guest.0, server: id });
            }
        }
        Ok(Done::Deleted)
    }
}

fn blank(id: Uuid, name: &str, flavor: Flavor) -> Server {
    Server {
        id,
        name: name.to_string(),
        flavor,
        host: None,
        wanted: None,
        vm_state: "building".to_string(),
        task_state: None,
        power_state: NO_STATE,
        fault: None,
        actions: Vec::new(),
        was_stopped: false,
        spoiled: false,
        labels: Labels::default(),
    }
}

/// Nova's word for a state.
pub(super) fn word(status: &MigrationStatus) -> &str {
    match status {
        MigrationStatus::Accepted => "accepted",
        MigrationStatus::Preparing => "preparing",
        MigrationStatus::PreMigrating => "pre-migrating",
        MigrationStatus::Running => "running",
        MigrationStatus::Done => "done",
        MigrationStatus::Completed => "completed",
        MigrationStatus::Error => "error",
        MigrationStatus::Failed => "failed",
        MigrationStatus::Cancelled => "cancelled",
        MigrationStatus::Other(text) => text,
    }
}
