//! S20, as far as a run can show it.

use std::collections::BTreeMap;
use std::time::Duration;

use action_matrix::Action;
use controller::effect::Network;
use controller::registry::Incident;

use super::Oracle;
use super::openings::Openings;
use crate::fact::Fact;
use crate::place::Place;
use crate::scenario::DISK_FENCES;
use crate::world::World;

/// S20: a verdict does what a second reading of the default matrix says for its cell; an unknown network never leads to
/// a fence; and no cell calls a network down that fewer than two controllers have been on for a while.
#[derive(Debug, Default)]
pub(super) struct MatrixTotal {
    openings: Openings,
    /// Since when nobody can judge a network.
    dark: BTreeMap<Network, Duration>,
    judged: u64,
}

/// Controllers sweep twice a second, and another's sweep counts for three seconds.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

impl Oracle for MatrixTotal {
    fn name(&self) -> &'static str {
        "matrix_total"
    }

    fn promise(&self) -> &'static str {
        "what is unknown fences nobody, and each cell has the action that is written for it"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if *fact == Fact::Second {
            self.look(world);
            return Ok(());
        }
        for incident in self.openings.take(world, fact) {
            self.judged += 1;
            self.judge_verdict(world, &incident)?;
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl MatrixTotal {
    fn look(&mut self, world: &World) {
        let needed = world.seats.len().min(2);
        for network in (0..world.plan().networks()).map(Network) {
            let there = world.seats.iter().filter(|seat| {
                seat.core.is_some() && world.wire.is_linked(Place::Controller(seat.number), network)
            });
            if there.count() < needed {
                self.dark.entry(network).or_insert(world.now());
            } else {
                self.dark.remove(&network);
            }
        }
    }

    fn judge_verdict(&self, world: &World, incident: &Incident) -> Result<(), String> {
        let (cell, actions) = (&incident.verdict.cell, &incident.verdict.actions);
        let id = incident.id;
        if cell.contains('?') && actions.contains(&Action::Fence) {
            return Err(format!("incident {id} fences in cell {cell}, which is not known"));
        }
        for (network, since) in &self.dark {
            let dark = world.now().saturating_sub(*since);
            let down = cell.chars().nth(network.place()) == Some('-');
            if down && dark >= LONG_ENOUGH {
                let name = world.plan().matrix.networks().get(network.place());
                return Err(format!(
                    "incident {id} calls {} down in cell {cell}, which nobody can judge for {:.0} s",
                    name.map_or("a network", String::as_str),
                    dark.as_secs_f64()
                ));
            }
        }
        let by_default = world.registry().is_some_and(|registry| registry.matrices().is_empty())
            && world.plan().matrix.networks() == ["management", "storage", "tenant"];
        if !by_default {
            return Ok(());
        }
        let fences = world.plan().matrix.file_name() == DISK_FENCES;
        match demanded(cell, fences) {
            Some(demanded) if demanded == actions.as_slice() => Ok(()),
            demanded => {
                Err(format!("incident {id} does {actions:?} in cell {cell}, not {demanded:?}"))
            }
        }
    }
}

/// The default matrix, read a second time; `disk_fences`: with a first row that fences.
fn demanded(cell: &str, disk_fences: bool) -> Option<&'static [Action]> {
    let (networks, checks) = cell.split_once(' ').unwrap_or((cell, ""));
    let failed = match checks {
        "" => false,
        "disk=failed" => true,
        _ => return None,
    };
    let [management, storage, tenant] =
        <[char; 3]>::try_from(networks.chars().collect::<Vec<_>>()).ok()?;
    if [management, storage, tenant].contains(&'?') {
        return Some(&[Action::Notify]);
    }
    Some(match (management == '-', storage == '-', tenant == '-') {
        (_, true, _) | (true, false, true) => &[Action::Fence, Action::Evacuate],
        (true, false, false) => &[Action::Notify],
        (false, false, true) => &[Action::Disable, Action::Migrate],
        (false, false, false) if failed && disk_fences => &[Action::Fence, Action::Evacuate],
        (false, false, false) if failed => &[Action::Notify],
        (false, false, false) => &[Action::None],
    })
}
