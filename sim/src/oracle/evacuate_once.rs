//! S8.

use controller::nova::call::{Call, MigrationStatus};

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::world::World;

/// S8: no POST evacuate while the VM runs anywhere, or while an earlier evacuation of it is on its way; one that may
/// still arrive at Nova names the same destination.
#[derive(Debug, Default)]
pub(super) struct EvacuateOnce {
    judged: u64,
    posted: std::collections::BTreeMap<uuid::Uuid, u32>,
}

impl Oracle for EvacuateOnce {
    fn name(&self) -> &'static str {
        "evacuate_once"
    }

    fn promise(&self) -> &'static str {
        "no second evacuation while the first may still have an effect"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Called { call: Call::Evacuate { server, destination }, .. } = fact else {
            return Ok(());
        };
        self.judged += 1;
        *self.posted.entry(*server).or_default() += 1;
        let name = world.vms.get(server).cloned().unwrap_or_default();
        let elsewhere: Vec<u16> = world.runs_on(*server);
        if let Some(on) = elsewhere.iter().find(|on| !world.ghost.lied_about.contains(on)) {
            return Err(format!("{name} is evacuated while it runs on {}", Place::Node(*on)));
        }
        // An order that the network still holds is harmless only at the destination of this one.
        let mut held = world.cloud.held_evacuations(*server);
        if let Some(other) = held.find(|held| held.is_none() || *held != destination.as_deref()) {
            return Err(format!(
                "{name} is evacuated to {destination:?}, and an earlier order to {other:?} may still arrive"
            ));
        }
        // Nova has taken this POST already when this is asked: one record is its own.
        let on_the_way = world.cloud.migrations().into_iter().filter(|record| {
            record.server == *server
                && matches!(
                    record.status,
                    MigrationStatus::Accepted | MigrationStatus::PreMigrating
                )
        });
        if on_the_way.count() > 1 {
            return Err(format!("{name} is evacuated while an earlier evacuation is on its way"));
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
