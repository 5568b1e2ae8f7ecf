//! Reboots of VMs that nobody runs.

use std::collections::BTreeMap;
use std::time::Duration;

use controller::nova::Call;
use uuid::Uuid;

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::world::World;

/// No reboot of a VM that runs anywhere: it would end a guest that is well, or start a second one.
#[derive(Debug, Default)]
pub(super) struct RebootOnlyMissing {
    judged: u64,
    started: BTreeMap<Uuid, Duration>,
}

/// A census is at most 15 s old when the reboot is committed, and a POST leaves within 60 s or not at all: whoever starts
/// it in between is not seen.
const UNSEEN: Duration = Duration::from_secs(80);

impl Oracle for RebootOnlyMissing {
    fn name(&self) -> &'static str {
        "reboot_only_missing"
    }

    fn promise(&self) -> &'static str {
        "a VM that runs anywhere is not rebooted"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if let Fact::GuestStarted { vm, .. } = fact {
            self.started.insert(*vm, world.now());
        }
        let Fact::Called { call: Call::Reboot { server }, .. } = fact else { return Ok(()) };
        self.judged += 1;
        let on = world.runs_on(*server);
        let started = self.started.get(server).copied().unwrap_or_default();
        let unseen = world.now().saturating_sub(started) < UNSEEN;
        match on.iter().find(|on| !world.ghost.lied_about.contains(on)) {
            Some(on) if !unseen => {
                let name = world.vms.get(server).cloned().unwrap_or_default();
                Err(format!("{name} is rebooted while it runs on {}", Place::Node(*on)))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
