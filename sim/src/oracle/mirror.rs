//! S14.

use super::Oracle;
use crate::fact::Fact;
use crate::node::Power;
use crate::place::{Place, node_id};
use crate::world::World;

/// S14: what lets a node run on is mirrored by what bars E2. While the committed registry says that a boot is armed, so
/// that E2 may be used against it, its watchdog is open: opened before `Armed`, closed after `Disarmed`.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    judged: u64,
}

impl Oracle for Mirror {
    fn name(&self) -> &'static str {
        "mirror"
    }

    fn promise(&self) -> &'static str {
        "no node may run on while its time is held against it"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if !matches!(fact, Fact::Applied { .. } | Fact::Second) {
            return Ok(());
        }
        let Some(registry) = world.registry() else { return Ok(()) };
        for node in world.nodes.iter().filter(|node| node.power == Power::Running) {
            let known = registry.node(node_id(node.number));
            let armed = known.and_then(|known| known.armed).map(|arming| arming.boot);
            if armed != Some(node.boot()) {
                continue;
            }
            self.judged += 1;
            if node.watchdog.fed().is_none() {
                let name = Place::Node(node.number);
                return Err(format!("{name} is armed by the registry and its watchdog is closed"));
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
