//! S17.

use std::collections::BTreeSet;

use fencing::{BootId, NodeId};

use super::Oracle;
use crate::fact::Fact;
use crate::place::{Place, node_id};
use crate::world::World;

/// S17: a gate opens only for a boot that a committed entry armed or admitted, and never for one that was fenced, or that
/// has been out for as long as a lease lasts: what a majority says is not older.
#[derive(Debug, Default)]
pub(super) struct BootGate {
    named: BTreeSet<(NodeId, BootId)>,
    /// Index of the registry that was looked at last.
    seen: u64,
    judged: u64,
}

impl Oracle for BootGate {
    fn name(&self) -> &'static str {
        "boot_gate"
    }

    fn promise(&self) -> &'static str {
        "no guest starts on a node that is out, or that nobody has let in"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Applied { .. } => {
                let Some(registry) = world.registry() else { return Ok(()) };
                // The other controllers apply what the first one has shown here already.
                if std::mem::replace(&mut self.seen, registry.index()) == registry.index() {
                    return Ok(());
                }
                let nodes = registry.nodes().iter();
                let named = nodes.filter_map(|(id, node)| Some((*id, node.serving_boot()?)));
                self.named.extend(named);
                Ok(())
            }
            Fact::GateOpened { node } => {
                self.judged += 1;
                let Some(machine) = world.node(*node) else { return Ok(()) };
                let boot = (node_id(*node), machine.boot());
                let name = Place::Node(*node);
                if world.ghost.fenced_boots.contains(&boot) {
                    return Err(format!("{name} opens its gate for a boot that was fenced"));
                }
                let out = world.registry().and_then(|registry| registry.incident_of(boot.0));
                let since =
                    out.filter(|incident| incident.state.is_out() && incident.boot == boot.1);
                let since = since.and_then(|incident| world.ghost.intended.get(&incident.id));
                let lease = world.plan().profile.times().lease;
                if since.is_some_and(|since| *since + lease < world.now()) {
                    return Err(format!("{name} opens its gate and has long been out"));
                }
                if !self.named.contains(&boot) {
                    return Err(format!(
                        "{name} opens its gate and no committed entry names its boot"
                    ));
                }
                Ok(())
            }
            Fact::GuestStarted { .. }
            | Fact::Intended { .. }
            | Fact::Proven { .. }
            | Fact::Acked { .. }
            | Fact::Renewed { .. }
            | Fact::Asked { .. }
            | Fact::Vouched { .. }
            | Fact::OffArrived { .. }
            | Fact::Called { .. }
            | Fact::BmcAsked { .. }
            | Fact::Adopted { .. }
            | Fact::Obeyed { .. }
            | Fact::Ended { .. }
            | Fact::Ordered { .. }
            | Fact::Answered { .. }
            | Fact::Told { .. }
            | Fact::WriteFailed { .. }
            | Fact::Reset { .. }
            | Fact::Halted { .. }
            | Fact::Second => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
