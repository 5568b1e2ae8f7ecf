//! S16.

use std::collections::BTreeMap;

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::world::World;

/// S16: at equal index the registries of all controllers are equal.
#[derive(Debug, Default)]
pub(super) struct RegistryAgrees {
    hashes: BTreeMap<u64, ([u8; 32], u8)>,
    judged: u64,
}

/// Indexes whose hash is remembered.
const REMEMBERED: usize = 4096;

impl Oracle for RegistryAgrees {
    fn name(&self) -> &'static str {
        "registry_agrees"
    }

    fn promise(&self) -> &'static str {
        "all controllers hold the same state at the same index"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let Fact::Applied { controller, index } = fact else { return Ok(()) };
        let core = world.seat(*controller).and_then(|seat| seat.core.as_ref());
        let Some(registry) = core.map(|core| core.registry()) else { return Ok(()) };
        if registry.index() != *index {
            return Ok(());
        }
        self.judged += 1;
        let hash = registry.hash();
        let (known, by) = self.hashes.entry(*index).or_insert((hash, *controller));
        if *known != hash {
            let (one, other) = (Place::Controller(*controller), Place::Controller(*by));
            return Err(format!("{one} and {other} differ at index {index}"));
        }
        if self.hashes.len() > REMEMBERED {
            self.hashes.pop_first();
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
