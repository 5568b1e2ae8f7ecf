//! What users and operators do in Nova, behind Holdfast's back.

use controller::nova::Labels;
use uuid::Uuid;

use super::World;
use crate::place::Place;
use crate::standin::nova::{Request, ServiceUpdate};

impl World {
    /// A user deletes a VM.
    pub fn delete_vm(&mut self, vm: Uuid) {
        self.request(&Request::Delete(vm));
    }

    /// An operator evacuates a VM, and leaves it to Nova where to.
    pub(crate) fn evacuate_by_hand(&mut self, server: Uuid) {
        self.request(&Request::Evacuate { server, destination: None, leave_off: false });
    }

    /// Says what a VM is, and in which anti-affinity groups.
    pub fn label_vm(&mut self, vm: Uuid, labels: Labels, groups: &[String]) {
        self.cloud.label(vm, labels);
        for name in groups {
            self.cloud.join_group(name, vm);
        }
    }

    /// A VM is in another state now, as if its user or a fault had put it there.
    pub fn set_vm_state(&mut self, vm: Uuid, vm_state: &str, task_state: Option<&str>) {
        /// What Nova calls running.
        const RUNNING: u8 = 1;
        self.cloud.set_state(vm, vm_state, task_state, RUNNING);
    }

    /// An operator disables or enables a node's nova-compute, or forces it down.
    pub fn update_compute(
        &mut self,
        number: u16,
        enabled: Option<bool>,
        forced_down: Option<bool>,
    ) {
        let host = Place::Node(number).to_string();
        let service = self.cloud.services(self.now).into_iter().find(|row| row.host == host);
        let Some(service) = service else { return };
        let reason = (enabled == Some(false)).then(|| "operator: kernel upgrade".to_owned());
        let update = ServiceUpdate { enabled, disabled_reason: reason, forced_down };
        self.request(&Request::Update(service.id, update));
        match forced_down {
            Some(true) if !service.forced_down => {
                self.ghost.forced_by_hand.insert(number, self.now);
            }
            Some(false) => {
                self.ghost.forced_up.insert(number);
                self.ghost.forced_by_hand.remove(&number);
            }
            Some(true) | None => {}
        }
    }

    /// Users' requests pass by the faults that are meant for ours.
    fn request(&mut self, request: &Request) {
        let (now, faults) = (self.now, std::mem::take(&mut self.cloud.faults));
        self.cloud.serve(now, request);
        self.cloud.faults = faults;
        self.follow_cloud();
    }
}
