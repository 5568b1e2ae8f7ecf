//! L1.

use std::collections::VecDeque;
use std::time::Duration;

use super::{calm_for, has_majority};
use crate::fact::Fact;
use crate::oracle::Oracle;
use crate::world::World;

/// L1: with a majority of the controllers, there is no span of ten election timeouts without one leader; and once there
/// is one, the role does not go round.
#[derive(Debug, Default)]
pub(in crate::oracle) struct OneLeader {
    without: Option<Duration>,
    /// Who led last.
    led: Option<u8>,
    /// When the role went to another.
    changes: VecDeque<Duration>,
    judged: u64,
}

/// Ten times the longest election timeout.
const WITHIN: Duration = Duration::from_secs(10);
/// Within this time the role goes to another [`MOST_CHANGES`] times at most: no fault takes it away any more.
const STAYS: Duration = Duration::from_secs(60);
const MOST_CHANGES: usize = 3;

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
        if let [leader] = leading[..] {
            self.without = None;
            return self.leads(leader, world.now());
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

impl OneLeader {
    fn leads(&mut self, leader: u8, now: Duration) -> Result<(), String> {
        if self.led.replace(leader).is_none_or(|before| before == leader) {
            return Ok(());
        }
        self.changes.push_back(now);
        self.changes.retain(|at| now.saturating_sub(*at) <= STAYS);
        if self.changes.len() <= MOST_CHANGES {
            return Ok(());
        }
        Err(format!("another leads for the {}th time in {} s", self.changes.len(), STAYS.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_goes_round_is_noticed_and_one_that_changes_now_and_then_is_not() {
        let mut oracle = OneLeader::default();
        let mut lead = |leader, second| oracle.leads(leader, Duration::from_secs(second));
        for (leader, second) in [(1, 0), (2, 1), (2, 30), (3, 40), (1, 50), (2, 70), (3, 110)] {
            assert_eq!(lead(leader, second), Ok(()), "{leader} at {second}");
        }
        assert_eq!(lead(1, 111), Ok(()));
        assert!(lead(2, 112).is_err());
    }
}
