//! What a core says at the level of an error.

use controller::effect::Level;

use super::Oracle;
use crate::fact::Fact;
use crate::place::Place;
use crate::world::World;

/// No controller finds that its own state contradicts itself or the others', and none says that it is broken: a run in
/// which one does has failed, unless it is about just that (`may halt`).
#[derive(Debug, Default)]
pub(super) struct NoContradiction {
    judged: u64,
}

impl Oracle for NoContradiction {
    fn name(&self) -> &'static str {
        "no_contradiction"
    }

    fn promise(&self) -> &'static str {
        "no controller contradicts itself or the others"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most facts are none of its business")]
    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        let (controller, says) = match fact {
            Fact::Halted { controller, why } => (controller, format!("halts: {why}")),
            Fact::Told { controller, line } => {
                self.judged += 1;
                if line.level != Level::Broken {
                    return Ok(());
                }
                (controller, format!("says that it is broken: {}", line.text))
            }
            _ => return Ok(()),
        };
        if world.ghost.may_halt {
            return Ok(());
        }
        Err(format!("{} {says}", Place::Controller(*controller)))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
