//! Orders to end a stray copy: each quotes a census that this boot answered a moment ago, and is obeyed once.

use std::collections::VecDeque;
use std::time::Duration;

use fencing::stray::Order;
use uuid::Uuid;

/// An order that quotes an older census comes too late: the copy may be the right one by now.
const FRESH_FOR: Duration = Duration::from_secs(25);
/// Answers that are remembered: the leader asks one census at a time.
const MOST_ANSWERS: usize = 16;

/// Censuses that were answered lately.
#[derive(Debug, Default)]
pub(super) struct Strays {
    answers: VecDeque<Answer>,
}

#[derive(Debug)]
struct Answer {
    at: Duration,
    nonce: u64,
    domains: Vec<Uuid>,
}

impl Strays {
    /// A census is being answered. A domain that is not there any more is no longer the one that an older answer meant.
    pub(super) fn answered(&mut self, now: Duration, nonce: u64, domains: &[Uuid]) {
        for answer in &mut self.answers {
            answer.domains.retain(|domain| domains.contains(domain));
        }
        // The same census comes over several networks.
        if self.answers.iter().any(|answer| answer.nonce == nonce) {
            return;
        }
        if self.answers.len() >= MOST_ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back(Answer { at: now, nonce, domains: domains.to_vec() });
    }

    /// Whether an order is obeyed: once, and only while the census that it quotes is fresh and held the domain.
    pub(super) fn obeys(&mut self, now: Duration, order: &Order) -> bool {
        let fresh = |answer: &&Answer| now.saturating_sub(answer.at) <= FRESH_FOR;
        let quoted = self.answers.iter().filter(fresh).find(|answer| answer.nonce == order.census);
        if !quoted.is_some_and(|answer| answer.domains.contains(&order.domain)) {
            return false;
        }
        // From here on no order about it is obeyed that quotes what was answered before.
        for answer in &mut self.answers {
            answer.domains.retain(|domain| *domain != order.domain);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use fencing::{BootId, NodeId};

    use super::*;

    const VM: Uuid = Uuid::from_u128(7);

    fn order(census: u64) -> Order {
        let (node, boot) = (NodeId(Uuid::nil()), BootId(Uuid::nil()));
        Order { cluster: Uuid::nil(), node, boot, domain: VM, index: 1, census }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_order_is_obeyed_once() {
        let mut strays = Strays::default();
        strays.answered(at(1), 5, &[VM]);
        strays.answered(at(1), 5, &[VM]);
        strays.answered(at(2), 6, &[VM]);
        assert!(strays.obeys(at(3), &order(6)));
        assert!(!strays.obeys(at(3), &order(6)) && !strays.obeys(at(3), &order(5)));
        strays.answered(at(4), 7, &[VM]);
        assert!(strays.obeys(at(5), &order(7)), "it is still there, by a later census");
    }

    #[test]
    fn an_order_that_quotes_no_answer_of_a_moment_ago_is_not_obeyed() {
        let mut strays = Strays::default();
        strays.answered(at(1), 5, &[VM]);
        assert!(!strays.obeys(at(2), &order(6)), "never answered");
        assert!(!strays.obeys(at(27), &order(5)), "too old");
        strays.answered(at(30), 8, &[]);
        assert!(!strays.obeys(at(31), &order(8)), "it did not run");
    }

    #[test]
    fn a_domain_that_was_gone_meanwhile_is_another_one() {
        let mut strays = Strays::default();
        strays.answered(at(1), 5, &[VM]);
        strays.answered(at(2), 6, &[]);
        strays.answered(at(3), 7, &[VM]);
        assert!(!strays.obeys(at(4), &order(5)));
    }

    #[test]
    fn only_so_many_answers_are_remembered() {
        let mut strays = Strays::default();
        (0..40).for_each(|nonce| strays.answered(at(1), nonce, &[VM]));
        assert_eq!(strays.answers.len(), MOST_ANSWERS);
        assert!(!strays.obeys(at(2), &order(1)));
    }
}
