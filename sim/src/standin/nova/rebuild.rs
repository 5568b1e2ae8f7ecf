//! What a destination does with an evacuation, and with boots and stops.

use std::time::Duration;

use controller::nova::call::MigrationStatus;
use uuid::Uuid;

use super::server::{NO_STATE, RUNNING, SHUTDOWN};
use super::{Cloud, Message, Order, Power, Rebuild, Spawning, Step};

impl Cloud {
    /// Claims the server and orders its guest. Nothing here asks whether the server still needs it.
    pub(super) fn claim(&mut self, now: Duration, host: &str, rebuild: Rebuild) {
        let Rebuild { server: id, migration, request_id, .. } = rebuild.clone();
        let key = (host.to_string(), id);
        if let Some(before) = self.spawning.get_mut(&key) {
            before.behind.push(rebuild);
            return;
        }
        let doubled = self.guests.contains(&key);
        // The late check of the group: the scheduler saw none of those that are on their way.
        let meets = self.kept_apart(id).any(|other| {
            let there = (host.to_string(), other);
            self.spawning.contains_key(&there) || self.guests.contains(&there)
        });
        let refused = self.faults.fail_claim.contains(&id) || meets;
        let Some(server) = self.servers.get_mut(&id) else {
            self.set_status(migration, MigrationStatus::Error);
            return;
        };
        if refused {
            server.task_state = None;
            server.act_failed(&request_id);
            self.set_status(migration, MigrationStatus::Failed);
            return;
        }
        if doubled {
            // The guest of the first order runs on; only Nova's opinion of it is spoiled.
            server.fail(&format!("Instance {id} already exists."));
            server.act_failed(&request_id);
            self.set_status(migration, MigrationStatus::Failed);
            return;
        }
        server.task_state = Some("rebuild_spawning".to_string());
        if let Some(record) = self.migrations.get_mut(&migration) {
            record.status = MigrationStatus::PreMigrating;
            record.destination = Some(host.to_string());
        }
        self.begin(now, host, id, Some(rebuild));
    }

    pub(super) fn build(&mut self, now: Duration, host: &str, id: Uuid) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        server.host = Some(host.to_string());
        server.task_state = Some("spawning".to_string());
        self.begin(now, host, id, None);
    }

    fn begin(&mut self, now: Duration, host: &str, id: Uuid, rebuild: Option<Rebuild>) {
        let host = host.to_string();
        self.spawning.insert((host.clone(), id), Spawning { rebuild, behind: Vec::new() });
        let message = Message::Spawn { server: id };
        self.after(now, self.settings.latency.spawn, Step::Message { host, message });
    }

    pub(super) fn spawn(&mut self, host: &str, id: Uuid) {
        if self.spawning.contains_key(&(host.to_string(), id)) {
            self.orders.push_back(Order::Start { host: host.to_string(), server: id });
        }
    }

    /// The hypervisor has answered; the compute writes it down, if it still can.
    pub(super) fn spawned(&mut self, now: Duration, host: &str, id: Uuid, good: bool) {
        let Some(ended) = self.spawning.remove(&(host.to_string(), id)) else { return };
        match ended.rebuild {
            Some(rebuild) => self.rebuilt(now, host, rebuild, good),
            None => self.built(id, good),
        }
        for next in ended.behind {
            self.claim(now, host, next);
        }
    }

    fn built(&mut self, id: Uuid, good: bool) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if good {
            server.vm_state = "active".to_string();
            server.task_state = None;
            server.power_state = RUNNING;
        } else {
            server.fail("Build of instance aborted.");
        }
    }

    fn rebuilt(&mut self, now: Duration, host: &str, rebuild: Rebuild, good: bool) {
        let Rebuild { server: id, migration, power, request_id } = rebuild;
        let fails = !good || self.faults.fail_after_spawn.contains(&id);
        let elsewhere = self.spawning.keys().any(|(_, server)| *server == id);
        let left = self.migrations.get(&migration).map(|record| record.source.clone());
        let Some(server) = self.servers.get_mut(&id) else { return };
        // Nova fails here when another rebuild has changed the server meanwhile. Three ways of the same: it has been
        // moved by a later order, it is being moved by one, or the spawn itself failed.
        let moved = server.host != left;
        if moved {
            server.vm_state = "error".to_string();
            server.task_state = Some("rebuilding".to_string());
            server.power_state = NO_STATE;
            server.act_failed(&request_id);
            self.set_status(migration, MigrationStatus::Failed);
            return;
        }
        if fails || elsewhere {
            server.spoiled = elsewhere;
            server.fail("Failed to finish the evacuation.");
            server.act_failed(&request_id);
            self.set_status(migration, MigrationStatus::Failed);
            return;
        }
        if server.spoiled {
            // The other rebuild of this server has failed meanwhile, and its guest runs too.
            server.spoiled = false;
            server.host = Some(host.to_string());
            self.set_status(migration, MigrationStatus::Done);
            return;
        }
        let off = server.was_stopped || (power == Power::Off && server.vm_state != "error");
        server.host = Some(host.to_string());
        server.vm_state = "active".to_string();
        server.task_state = None;
        server.power_state = RUNNING;
        server.fault = None;
        server.was_stopped = false;
        self.set_status(migration, MigrationStatus::Done);
        if off {
            if let Some(server) = self.servers.get_mut(&id) {
                server.task_state = Some("powering-off".to_string());
            }
            self.send(now, host, Message::Stop { server: id });
        }
    }

    pub(super) fn send_stop(&mut self, now: Duration, id: Uuid) {
        let host = self.servers.get(&id).and_then(|server| server.host.clone());
        if let Some(host) = host {
            self.send(now, &host, Message::Stop { server: id });
        }
    }

    pub(super) fn shut_down(&mut self, host: &str, id: Uuid) {
        if self.guests.remove(&(host.to_string(), id)) {
            self.orders.push_back(Order::Stop { host: host.to_string(), server: id });
        }
        let Some(server) = self.servers.get_mut(&id) else { return };
        if server.host.as_deref() == Some(host)
            && server.task_state.as_deref() == Some("powering-off")
        {
            server.vm_state = "stopped".to_string();
            server.task_state = None;
            server.power_state = SHUTDOWN;
        }
    }
}
