//! S21.

use std::collections::BTreeMap;

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::world::World;

/// S21: a controller whose disk did not take a write ends: it says and does nothing more in that life.
#[derive(Debug, Default)]
pub(super) struct FailStatic {
    /// In which of its lives a controller's disk failed.
    failed: BTreeMap<u8, u32>,
    judged: u64,
}

impl Oracle for FailStatic {
    fn name(&self) -> &'static str {
        "fail_static"
    }

    fn promise(&self) -> &'static str {
        "a controller that cannot keep its word stops"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if let Fact::WriteFailed { controller, starts } = fact {
            self.failed.insert(*controller, *starts);
            self.judged += 1;
            return Ok(());
        }
        for (controller, starts) in &self.failed {
            let seat = world.seat(*controller);
            if seat.is_some_and(|seat| seat.starts == *starts && seat.core.is_some()) {
                let who = Place::Controller(*controller);
                return Err(format!("{who} goes on after its disk did not take a write"));
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
