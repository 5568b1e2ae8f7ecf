//! E2: nobody stood for the node for long enough. Rules 9 to 11 of the fencing protocol, at the leader.
//!
//! ```text
//!  intent committed, held by a blocking set (T0) --wL--.
//!  q voters promised, in every registry version (tau) --wC--'--> VERIFY --q of them, same boots--> evidence
//! ```
//!
//! Why it is safe: after T0 no majority of controllers acks the node, so its last lease began before T0; after tau no v
//! voters can vouch for it, since v + q > o in every version it may still go by. After the longer wait both are over,
//! its watchdog included. VERIFY shows that the promisers have not been reset to an older log meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mutants::{Mutant, is_on};

use crate::evidence::Evidence;
use crate::lease::{LeaseTimes, promises_needed};
use crate::{BootId, NodeId};

/// A voter: a node in one boot.
pub type Voter = (NodeId, BootId);

/// The wait for one node in one epoch, on one leader's clock. Volatile: a new leader builds it anew.
#[derive(Clone, Debug)]
pub struct Waiting {
    node: NodeId,
    boot: BootId,
    intent: u64,
    times: LeaseTimes,
    t0: Option<Duration>,
    promised: BTreeMap<Voter, Duration>,
    verify: Option<Verify>,
    heard: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Verify {
    index: u64,
    promisers: BTreeSet<Voter>,
    reported: BTreeSet<Voter>,
}

/// Where the wait stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no E2 for this node: the reason.
    Impossible(Impossible),
    /// T0 is not known yet.
    NoBlockingSet,
    /// Not enough voters have promised, in the version that has fewest.
    Promises {
        /// Promised so far.
        have: usize,
        /// Needed.
        need: usize,
    },
    /// Everything is promised; time must pass until then.
    Until(Duration),
    /// Commit VERIFY now.
    Verify,
    /// VERIFY is committed; its promisers have not all been heard again.
    Verifying {
        /// Heard again so far.
        have: usize,
        /// Needed.
        need: usize,
    },
    /// Commit `Fenced` with this evidence, in this term.
    Proven(Evidence),
}

/// Why E2 cannot be had. The incident stays blocked unless another evidence comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// No other voter in some version.
    #[error("no other armed node could have vouched or promised")]
    NoOtherVoter,
    /// The registry no longer knows the versions back to the floor.
    #[error("the registry's history does not reach back to what the node knew")]
    HistoryMissing,
    /// The node spoke after the whole wait: its watchdog did not fire.
    #[error(
        "the node was heard after its lease and watchdog time were over: its watchdog did not fire"
    )]
    HeardAfterTheWait,
}

impl Waiting {
    /// Begins for the boot that was armed with `times` and that the intent at index `intent` names.
    pub fn new(node: NodeId, boot: BootId, intent: u64, times: LeaseTimes) -> Self {
        let (promised, verify, heard) = (BTreeMap::new(), None, None);
        Self { node, boot, intent, times, t0: None, promised, verify, heard }
    }

    /// The intent is known to be held by controllers that block every set; the first call counts.
    pub fn blocked_at(&mut self, now: Duration) {
        self.t0.get_or_insert(now);
    }

    /// A voter reported an adopted log length of `n`.
    pub fn reported(&mut self, now: Duration, voter: Voter, n: u64) {
        let victim = voter.0 == self.node && !is_on(Mutant::M60);
        if victim || n < self.intent {
            return;
        }
        self.promised.entry(voter).or_insert(now);
        if let Some(verify) = self.verify.as_mut().filter(|verify| n >= verify.index) {
            let same =
                |known: &&Voter| **known == voter || is_on(Mutant::M49) && known.0 == voter.0;
            verify.reported.extend(verify.promisers.iter().find(same));
        }
    }

    /// An authenticated packet of the old boot arrived.
    pub fn node_heard(&mut self, now: Duration) {
        self.heard = Some(now);
    }

    /// VERIFY was committed at this index. Only those whose own promise is older than wC count from here on: one who
    /// promised later may have vouched until then. A second VERIFY replaces the first.
    pub fn verify_committed(&mut self, now: Duration, index: u64) {
        let wait = self.wait_after_promise();
        let old = self.promised.iter().filter(|(_, at)| **at + wait <= now);
        let promisers = old.map(|(voter, _)| *voter).collect();
        self.verify = Some(Verify { index, promisers, reported: BTreeSet::new() });
    }

    /// Index of the VERIFY that is being answered.
    pub fn verifying(&self) -> Option<u64> {
        self.verify.as_ref().map(|verify| verify.index)
    }

    /// Judges. `versions` are the voters of every registry version from the intent's floor to the commit index in which
    /// the node is armed, or `None` where the registry's history does not reach back.
    pub fn standing(&self, now: Duration, versions: Option<&[BTreeSet<Voter>]>) -> Standing {
        let Some(versions) = versions else {
            return Standing::Impossible(Impossible::HistoryMissing);
        };
        let Some(t0) = self.t0 else { return Standing::NoBlockingSet };
        let others: Vec<BTreeSet<Voter>> =
            versions.iter().map(|v| self.without_victim(v)).collect();
        if others.is_empty() || others.iter().any(BTreeSet::is_empty) {
            return Standing::Impossible(Impossible::NoOtherVoter);
        }
        let tau = match self.promised_since(&others) {
            Ok(tau) => tau,
            Err(standing) => return standing,
        };
        let until = (t0 + self.times.wait_after_intent()).max(tau + self.wait_after_promise());
        if self.heard.is_some_and(|heard| heard > until) {
            return Standing::Impossible(Impossible::HeardAfterTheWait);
        }
        if now < until {
            return Standing::Until(until);
        }
        self.verified(&others, until.saturating_sub(t0))
    }

    fn without_victim(&self, version: &BTreeSet<Voter>) -> BTreeSet<Voter> {
        let kept = |node| node != self.node || is_on(Mutant::M60);
        version.iter().copied().filter(|(node, _)| kept(*node)).collect()
    }

    fn wait_after_promise(&self) -> Duration {
        if is_on(Mutant::M47) { Duration::ZERO } else { self.times.wait_after_promise() }
    }

    /// tau: when the last version had its q-th promise.
    fn promised_since(&self, others: &[BTreeSet<Voter>]) -> Result<Duration, Standing> {
        let mut tau = Duration::ZERO;
        for version in others.iter().filter(|_| !is_on(Mutant::M46)) {
            let need = promises_needed(version.len());
            let mut times: Vec<Duration> =
                version.iter().filter_map(|voter| self.promised.get(voter).copied()).collect();
            times.sort_unstable();
            match times.get(need - 1) {
                Some(at) => tau = tau.max(*at),
                None => return Err(Standing::Promises { have: times.len(), need }),
            }
        }
        Ok(tau)
    }

    fn verified(&self, others: &[BTreeSet<Voter>], waited: Duration) -> Standing {
        let Some(verify) = &self.verify else { return Standing::Verify };
        for version in others.iter().filter(|_| !is_on(Mutant::M46) && !is_on(Mutant::M48)) {
            let need = promises_needed(version.len());
            let have = version.intersection(&verify.reported).count();
            if have < need {
                return Standing::Verifying { have, need };
            }
        }
        let promised_by = verify.reported.iter().copied().collect();
        Standing::Proven(Evidence::Lease { waited, promised_by, verify: verify.index })
    }

    /// The boot that is waited for.
    pub fn boot(&self) -> BootId {
        self.boot
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::lease::Profile;

    const INTENT: u64 = 10;

    fn voter(n: u128) -> Voter {
        (NodeId(Uuid::from_u128(n)), BootId(Uuid::from_u128(100 + n)))
    }

    fn voters(of: &[u128]) -> BTreeSet<Voter> {
        of.iter().map(|n| voter(*n)).collect()
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Victim 1 among six armed nodes: three of the five others must promise.
    fn waiting() -> (Waiting, Vec<BTreeSet<Voter>>) {
        let (node, boot) = voter(1);
        let waiting = Waiting::new(node, boot, INTENT, Profile::Fast.times());
        (waiting, vec![voters(&[1, 2, 3, 4, 5, 6])])
    }

    fn promise(waiting: &mut Waiting, at: u64, who: &[u128], n: u64) {
        who.iter().for_each(|node| waiting.reported(s(at), voter(*node), n));
    }

    #[test]
    fn the_whole_way_ends_in_evidence() {
        let (mut w, v) = waiting();
        assert_eq!(w.standing(s(0), Some(&v)), Standing::NoBlockingSet);
        w.blocked_at(s(1));
        promise(&mut w, 2, &[2, 3], INTENT);
        assert_eq!(w.standing(s(2), Some(&v)), Standing::Promises { have: 2, need: 3 });
        promise(&mut w, 3, &[4], INTENT);
        assert!(matches!(w.standing(s(3), Some(&v)), Standing::Until(_)));
        assert_eq!(w.standing(s(63), Some(&v)), Standing::Verify);
        w.verify_committed(s(63), 12);
        promise(&mut w, 64, &[2, 3], 12);
        assert_eq!(w.standing(s(64), Some(&v)), Standing::Verifying { have: 2, need: 3 });
        promise(&mut w, 65, &[4], 12);
        assert!(matches!(w.standing(s(65), Some(&v)), Standing::Proven(_)));
    }

    #[test]
    fn the_wait_is_not_a_second_shorter_than_the_sum() {
        let (mut w, v) = waiting();
        w.blocked_at(s(0));
        promise(&mut w, 0, &[2, 3, 4], INTENT);
        let sum = Profile::Fast.times().wait_after_intent();
        assert!(matches!(w.standing(sum - Duration::from_nanos(1), Some(&v)), Standing::Until(_)));
        assert_eq!(w.standing(sum, Some(&v)), Standing::Verify);
    }

    #[test]
    fn a_late_promise_has_its_own_wait() {
        let (mut w, v) = waiting();
        w.blocked_at(s(0));
        promise(&mut w, 50, &[2, 3, 4], INTENT);
        let sum = Profile::Fast.times().wait_after_promise();
        assert_eq!(w.standing(s(62), Some(&v)), Standing::Until(s(50) + sum));
    }

    #[test]
    fn the_victim_is_no_promiser() {
        let (mut w, v) = waiting();
        w.blocked_at(s(0));
        promise(&mut w, 0, &[1, 2, 3], INTENT);
        assert_eq!(w.standing(s(99), Some(&v)), Standing::Promises { have: 2, need: 3 });
    }

    #[test]
    fn every_version_needs_its_own_promises() {
        let (mut w, mut v) = waiting();
        v.push(voters(&[1, 7, 8, 9]));
        w.blocked_at(s(0));
        promise(&mut w, 0, &[2, 3, 4], INTENT);
        assert_eq!(w.standing(s(99), Some(&v)), Standing::Promises { have: 0, need: 2 });
    }

    #[test]
    fn verify_from_another_boot_or_from_a_newcomer_does_not_count() {
        let (mut w, v) = waiting();
        w.blocked_at(s(0));
        promise(&mut w, 0, &[2, 3, 4], INTENT);
        w.verify_committed(s(69), 12);
        promise(&mut w, 70, &[2, 3], 12);
        let rebooted = (voter(4).0, BootId(Uuid::from_u128(999)));
        w.reported(s(70), rebooted, 12);
        w.reported(s(70), voter(5), 12);
        assert_eq!(w.standing(s(71), Some(&v)), Standing::Verifying { have: 2, need: 3 });
    }

    #[test]
    fn a_late_promiser_cannot_take_the_place_of_one_that_rebooted() {
        let (mut w, v) = waiting();
        w.blocked_at(s(0));
        promise(&mut w, 0, &[2, 3, 4], INTENT);
        promise(&mut w, 60, &[5], INTENT);
        w.verify_committed(s(62), 12);
        promise(&mut w, 63, &[2, 3, 5], 12);
        assert_eq!(w.standing(s(64), Some(&v)), Standing::Verifying { have: 2, need: 3 });
        w.verify_committed(s(60) + Profile::Fast.times().wait_after_promise(), 14);
        promise(&mut w, 120, &[2, 3, 5], 14);
        assert!(matches!(w.standing(s(121), Some(&v)), Standing::Proven(_)));
    }

    #[test]
    fn a_report_short_of_the_intent_is_no_promise() {
        let (mut w, v) = waiting();
        w.blocked_at(s(0));
        promise(&mut w, 0, &[2, 3, 4], INTENT - 1);
        assert_eq!(w.standing(s(99), Some(&v)), Standing::Promises { have: 0, need: 3 });
    }

    #[test]
    fn a_node_that_speaks_after_the_wait_is_not_off() {
        let (mut w, v) = waiting();
        w.blocked_at(s(0));
        promise(&mut w, 0, &[2, 3, 4], INTENT);
        w.node_heard(s(63));
        let heard = Standing::Impossible(Impossible::HeardAfterTheWait);
        assert_eq!(w.standing(s(70), Some(&v)), heard);
    }

    #[test]
    fn a_cluster_of_one_has_no_e2_and_lost_history_neither() {
        let (mut w, _) = waiting();
        w.blocked_at(s(0));
        let alone = [voters(&[1])];
        let nobody = Standing::Impossible(Impossible::NoOtherVoter);
        assert_eq!(w.standing(s(99), Some(&alone)), nobody);
        let lost = Standing::Impossible(Impossible::HistoryMissing);
        assert_eq!(w.standing(s(99), None), lost);
    }
}
