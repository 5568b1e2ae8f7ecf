//! The computes: their service records, their processes and their queues.

use std::collections::VecDeque;
use std::time::Duration;

use controller::nova::call::{MigrationKind, MigrationStatus, ServiceRecord};
use uuid::Uuid;

use super::{Cloud, Message, Order, Step};

#[derive(Clone, Debug)]
pub(super) struct Compute {
    pub(super) service: Uuid,
    pub(super) host: String,
    pub(super) forced_down: bool,
    pub(super) enabled: bool,
    pub(super) disabled_reason: Option<String>,
    /// The process runs and reaches the control plane.
    pub(super) running: bool,
    /// Last report, while it does not run.
    reported: Option<Duration>,
    /// Evacuations and live migrations stay in it.
    pub(super) cell: String,
    queue: VecDeque<Message>,
}

impl Cloud {
    /// Adds a compute that runs, is enabled and has never been away. Answers its service id.
    pub fn add_compute(&mut self, now: Duration, host: &str) -> Uuid {
        let service = self.fresh_id();
        let compute = Compute {
            service,
            host: host.to_string(),
            forced_down: false,
            enabled: true,
            disabled_reason: None,
            running: true,
            reported: Some(now),
            cell: String::new(),
            queue: VecDeque::new(),
        };
        self.computes.insert(host.to_string(), compute);
        service
    }

    /// Puts a compute into a cell.
    pub fn set_cell(&mut self, host: &str, cell: String) {
        if let Some(compute) = self.computes.get_mut(host) {
            compute.cell = cell;
        }
    }

    /// Disables a compute until somebody needs it.
    pub fn keep_in_reserve(&mut self, host: &str) {
        if let Some(compute) = self.computes.get_mut(host) {
            compute.enabled = false;
            compute.disabled_reason = Some("reserved".to_string());
        }
    }

    /// nova-compute has started: it cleans up after evacuations, also while forced down, then takes what waits in
    /// its queue, be it as old as it may.
    pub fn compute_started(&mut self, now: Duration, host: &str) {
        if !self.computes.contains_key(host) {
            self.add_compute(now, host);
        }
        self.clean_up_evacuated(host);
        self.spawning.retain(|(on, _), _| on != host);
        if let Some(compute) = self.computes.get_mut(host) {
            compute.queue.retain(|message| match message {
                Message::Rebuild(_)
                | Message::Build { .. }
                | Message::Stop { .. }
                | Message::Reboot { .. } => true,
                Message::Spawn { .. } | Message::Spawned { .. } => false,
            });
        }
        self.compute_resumed(now, host);
    }

    /// nova-compute reaches the control plane again without having been restarted: it cleans nothing up.
    pub fn compute_resumed(&mut self, now: Duration, host: &str) {
        let Some(compute) = self.computes.get_mut(host) else { return };
        compute.running = true;
        compute.reported = Some(now);
        let waiting = std::mem::take(&mut compute.queue);
        let delay = self.settings.latency.cast;
        for message in waiting {
            self.after(now, delay, Step::Message { host: host.to_string(), message });
        }
    }

    /// nova-compute has ended, hangs, or is cut off from the control plane. Its guests are not touched.
    pub fn compute_stopped(&mut self, now: Duration, host: &str) {
        let Some(compute) = self.computes.get_mut(host) else { return };
        if compute.running {
            compute.running = false;
            compute.reported = Some(now);
        }
    }

    /// A report reached the database though the process is not known to run.
    pub fn heartbeat(&mut self, now: Duration, host: &str) {
        if let Some(compute) = self.computes.get_mut(host) {
            compute.reported = Some(now);
        }
    }

    /// The machine lost power: its nova-compute and all its guests are gone, its queue waits.
    pub fn machine_lost(&mut self, now: Duration, host: &str) {
        self.compute_stopped(now, host);
        self.guests.retain(|(on, _)| on != host);
        self.spawning.retain(|(on, _), _| on != host);
    }

    /// The hypervisor runs this guest.
    pub fn guest_started(&mut self, now: Duration, host: &str, server: Uuid) {
        self.guests.insert((host.to_string(), server));
        self.after_spawn(now, host, server, true);
    }

    /// The hypervisor could not start this guest.
    pub fn guest_failed(&mut self, now: Duration, host: &str, server: Uuid) {
        self.guests.remove(&(host.to_string(), server));
        self.after_spawn(now, host, server, false);
    }

    /// The guest ended on its own, or was ended by somebody else than Nova.
    pub fn guest_stopped(&mut self, host: &str, server: Uuid) {
        self.guests.remove(&(host.to_string(), server));
    }

    fn after_spawn(&mut self, now: Duration, host: &str, server: Uuid, good: bool) {
        if self.spawning.contains_key(&(host.to_string(), server)) {
            let delay = self.settings.latency.finish;
            let message = Message::Spawned { server, good };
            self.after(now, delay, Step::Message { host: host.to_string(), message });
        }
    }

    pub(super) fn is_up(&self, now: Duration, compute: &Compute) -> bool {
        let reports = compute.running
            || compute
                .reported
                .is_some_and(|at| now.saturating_sub(at) <= self.settings.service_down_time);
        reports && !compute.forced_down
    }

    pub(super) fn host_is_up(&self, now: Duration, host: &str) -> bool {
        self.computes.get(host).is_some_and(|compute| self.is_up(now, compute))
    }

    pub(super) fn service_record(&self, now: Duration, compute: &Compute) -> ServiceRecord {
        ServiceRecord {
            id: compute.service,
            host: compute.host.clone(),
            up: self.is_up(now, compute),
            enabled: compute.enabled,
            disabled_reason: compute.disabled_reason.clone(),
            forced_down: compute.forced_down,
        }
    }

    /// Delivers a message, or leaves it in the queue of a compute that is away.
    pub(super) fn send(&mut self, now: Duration, host: &str, message: Message) {
        if self.faults.lose_messages {
            return;
        }
        let Some(compute) = self.computes.get_mut(host) else { return };
        if compute.running {
            let delay = self.settings.latency.cast;
            self.after(now, delay, Step::Message { host: host.to_string(), message });
        } else {
            compute.queue.push_back(message);
        }
    }

    pub(super) fn take_message(&mut self, now: Duration, host: &str, message: Message) {
        let Some(compute) = self.computes.get_mut(host) else { return };
        if !compute.running {
            compute.queue.push_back(message);
            return;
        }
        match message {
            Message::Rebuild(rebuild) => self.claim(now, host, rebuild),
            Message::Build { server } => self.build(now, host, server),
            Message::Stop { server } => self.shut_down(host, server),
            Message::Reboot { server } => self.carry_out_reboot(host, server),
            Message::Spawn { server } => self.spawn(host, server),
            Message::Spawned { server, good } => self.spawned(now, host, server, good),
        }
    }

    /// At its start nova-compute destroys its copies of servers that were evacuated from it. One record of a server
    /// becomes `completed`; more of the same server stay.
    fn clean_up_evacuated(&mut self, host: &str) {
        let mut seen = std::collections::BTreeSet::new();
        for migration in self.migrations.values_mut().rev() {
            let open = matches!(
                migration.status,
                MigrationStatus::Accepted | MigrationStatus::PreMigrating | MigrationStatus::Done
            );
            let ours = migration.source == host && migration.kind == MigrationKind::Evacuation;
            if !ours || !open || !seen.insert(migration.server) {
                continue;
            }
            migration.status = MigrationStatus::Completed;
            let guest = (host.to_string(), migration.server);
            if self.guests.remove(&guest) {
                let (host, server) = guest;
                self.orders.push_back(Order::Stop { host, server });
            }
        }
    }
}
