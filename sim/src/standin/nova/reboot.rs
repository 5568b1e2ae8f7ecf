//! A hard reboot: accepted at once, carried out by the compute that the server is on, whatever ran there.

use std::time::Duration;

use uuid::Uuid;

use super::server::RUNNING;
use super::{Cloud, Done, Fault, Message, Order};

/// `task_state` from the request until the guest runs.
const REBOOTING: &str = "rebooting_hard";

impl Cloud {
    /// 202 also for a server of a dead host; then its task hangs.
    pub(super) fn reboot(
        &mut self,
        now: Duration,
        id: Uuid,
        request_id: &str,
    ) -> Result<Done, Fault> {
        let server = self.servers.get_mut(&id).ok_or_else(|| Fault::no_server(id))?;
        let said = |what: String| {
            Err(Fault::new(409, format!("Cannot 'reboot' instance {id} while it is in {what}")))
        };
        if let Some(task) = server.task_state.as_ref().filter(|task| !task.starts_with("reboot")) {
            return said(format!("task_state {task}"));
        }
        let known = ["active", "stopped", "paused", "suspended", "error"];
        let host = server.host.clone().filter(|_| known.contains(&server.vm_state.as_str()));
        let Some(host) = host else {
            return said(format!("vm_state {}", server.vm_state));
        };
        server.task_state = Some(REBOOTING.to_string());
        server.act("reboot", request_id);
        self.send(now, &host, Message::Reboot { server: id });
        Ok(Done::Accepted { queued: false })
    }

    /// The compute looks at the server's task first: an order that waited in its queue until the server was elsewhere
    /// does nothing.
    pub(super) fn carry_out_reboot(&mut self, host: &str, id: Uuid) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let ours =
            server.host.as_deref() == Some(host) && server.task_state.as_deref() == Some(REBOOTING);
        if !ours {
            return;
        }
        server.vm_state = "active".to_string();
        server.task_state = None;
        server.power_state = RUNNING;
        let host = host.to_string();
        self.guests.remove(&(host.clone(), id));
        self.orders.push_back(Order::Stop { host: host.clone(), server: id });
        self.orders.push_back(Order::Start { host, server: id });
    }
}
