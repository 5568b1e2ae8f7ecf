//! L1.

use std::time::Duration;

use super::{calm_for, has_majority};
use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::world::World;

/// L1: with a majority of the controllers, there is no span of ten election timeouts without one leader.
#[derive(Debug, Default)]
pub(in crate::oracle) struct OneLeader {
    without: Option<Duration>,
    judged: u64,
}

/// Ten times the longest election timeout.
const WITHIN: Duration = Duration::from_secs(10);

impl Oracle for OneLeader {
    fn name(&self) -> &'static str {
        "one_leader"
    }

    fn promise(&self) -> &'static str {
        "soon there is one leader, and it stays"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        if *fact != Fact::Second || calm_for(world).is_none() || !has_majority(world) {
            return Ok(());
        }
        self.judged += 1;
        let leading: Vec<u8> =
            world.seats.iter().filter(|s| s.runs() && s.leads()).map(|s| s.number).collect();
        if leading.len() == 1 {
            self.without = None;
            return Ok(());
        }
        let since = *self.without.get_or_insert(world.now());
        if world.now().saturating_sub(since) <= WITHIN {
            return Ok(());
        }
        Err(format!("for {} s {leading:?} have led", WITHIN.as_secs()))
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}
