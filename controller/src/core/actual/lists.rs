//! The lists of domains that agents send, put together. Everything in them comes from the network.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::domains::{DOMAINS_PER_PART, Domain, List, MOST_PARTS, News};
use fencing::{BootId, NodeId};
use uuid::Uuid;

/// A list says what runs for so long: three whole lists, of which one may be lost with each of two networks.
const FRESH: Duration = Duration::from_secs(100);

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is part of what is known now, or completes it.
    Used,
    /// Other parts of its list are missing.
    Kept,
    /// It is older than what is known, has no place, or does not follow what is known.
    Dropped,
}

/// What runs on each node.
#[derive(Debug, Default)]
pub(super) struct Lists {
    of: BTreeMap<NodeId, Held>,
}

#[derive(Debug)]
struct Held {
    boot: BootId,
    /// Parts of a list that is not complete.
    parts: BTreeMap<u16, Vec<Domain>>,
    parts_of: u64,
    known: Option<Known>,
}

/// What runs on a node.
#[derive(Clone, Debug)]
pub(super) struct Known {
    number: u64,
    /// When it was last told, whole or by a change.
    pub(super) at: Duration,
    /// When it was last told whole.
    pub(super) whole_at: Duration,
    /// More runs than could be told.
    pub(super) cut: bool,
    /// What runs.
    pub(super) domains: BTreeMap<Uuid, Domain>,
}

impl Lists {
    /// Takes a datagram of a boot that serves.
    pub(super) fn take(&mut self, now: Duration, list: List) -> Taken {
        let List { node, boot, number, news } = list;
        let fresh = || Held { boot, parts: BTreeMap::new(), parts_of: 0, known: None };
        let held = self.of.entry(node).or_insert_with(fresh);
        if held.boot != boot {
            *held = fresh();
        }
        let newest = held.known.as_ref().map_or(0, |known| known.number);
        if number <= newest {
            return Taken::Dropped;
        }
        match news {
            News::Whole { part, parts, cut, domains } => {
                held.take_part(now, number, (part, parts), cut, domains)
            }
            News::Changed { came, gone } => held.take_change(now, number, came, &gone),
        }
    }

    /// What runs on a node, if it was told a while ago at most.
    pub(super) fn fresh(&self, now: Duration, node: NodeId, boot: BootId) -> Option<&Known> {
        let held = self.of.get(&node).filter(|held| held.boot == boot)?;
        held.known.as_ref().filter(|known| now.saturating_sub(known.at) <= FRESH)
    }
}

impl Held {
    fn take_part(
        &mut self,
        now: Duration,
        number: u64,
        (part, parts): (u16, u16),
        cut: bool,
        domains: Vec<Domain>,
    ) -> Taken {
        let fits = part < parts && parts <= MOST_PARTS && domains.len() <= DOMAINS_PER_PART;
        if !fits || number < self.parts_of {
            return Taken::Dropped;
        }
        if number > self.parts_of {
            self.parts.clear();
            self.parts_of = number;
        }
        self.parts.insert(part, domains);
        if self.parts.len() < usize::from(parts) {
            return Taken::Kept;
        }
        let domains = std::mem::take(&mut self.parts).into_values().flatten();
        let domains = domains.map(|domain| (domain.id, domain)).collect();
        self.known = Some(Known { number, at: now, whole_at: now, cut, domains });
        Taken::Used
    }

    /// A change says something only about the list that it follows. Where one is missing, what is known is forgotten.
    fn take_change(
        &mut self,
        now: Duration,
        number: u64,
        came: Vec<Domain>,
        gone: &[Uuid],
    ) -> Taken {
        let follows =
            self.known.as_ref().is_some_and(|known| known.number.wrapping_add(1) == number);
        let few = came.len() <= DOMAINS_PER_PART && gone.len() <= DOMAINS_PER_PART;
        let most = usize::from(MOST_PARTS) * DOMAINS_PER_PART;
        let Some(known) = self.known.as_mut().filter(|known| {
            follows && few && known.domains.len() + came.len() <= most + DOMAINS_PER_PART
        }) else {
            self.known = None;
            return Taken::Dropped;
        };
        known.domains.retain(|id, _| !gone.contains(id));
        known.domains.extend(came.into_iter().map(|domain| (domain.id, domain)));
        (known.number, known.at) = (number, now);
        Taken::Used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(Uuid::from_u128(1));
    const BOOT: BootId = BootId(Uuid::from_u128(2));

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn domain(id: u128) -> Domain {
        Domain::unmeasured(Uuid::from_u128(id))
    }

    fn whole(number: u64, part: u16, parts: u16, ids: &[u128]) -> List {
        let domains = ids.iter().map(|id| domain(*id)).collect();
        let news = News::Whole { part, parts, cut: false, domains };
        List { node: NODE, boot: BOOT, number, news }
    }

    fn changed(number: u64, came: &[u128], gone: &[u128]) -> List {
        let came = came.iter().map(|id| domain(*id)).collect();
        let gone = gone.iter().map(|id| Uuid::from_u128(*id)).collect();
        List { node: NODE, boot: BOOT, number, news: News::Changed { came, gone } }
    }

    fn runs(lists: &Lists, now: u64) -> Option<Vec<u128>> {
        let known = lists.fresh(at(now), NODE, BOOT)?;
        Some(known.domains.keys().map(Uuid::as_u128).collect())
    }

    #[test]
    fn parts_count_when_all_are_there_in_whatever_order() {
        let mut lists = Lists::default();
        assert_eq!(lists.take(at(1), whole(5, 1, 2, &[2])), Taken::Kept);
        assert_eq!(runs(&lists, 1), None);
        assert_eq!(lists.take(at(2), whole(5, 0, 2, &[1])), Taken::Used);
        assert_eq!(runs(&lists, 2), Some(vec![1, 2]));
        assert_eq!(lists.take(at(3), whole(4, 0, 1, &[])), Taken::Dropped);
        assert_eq!(runs(&lists, 102), Some(vec![1, 2]));
        assert_eq!(runs(&lists, 103), None);
    }

    #[test]
    fn parts_of_two_lists_make_none() {
        let mut lists = Lists::default();
        lists.take(at(1), whole(5, 0, 2, &[1]));
        assert_eq!(lists.take(at(2), whole(6, 1, 2, &[2])), Taken::Kept);
        assert_eq!(runs(&lists, 2), None);
    }

    #[test]
    fn a_change_counts_only_after_what_it_follows() {
        let mut lists = Lists::default();
        assert_eq!(lists.take(at(1), changed(1, &[1], &[])), Taken::Dropped);
        lists.take(at(2), whole(2, 0, 1, &[1]));
        assert_eq!(lists.take(at(3), changed(3, &[2], &[1])), Taken::Used);
        assert_eq!(runs(&lists, 3), Some(vec![2]));
        assert_eq!(lists.take(at(4), changed(5, &[3], &[])), Taken::Dropped);
        assert_eq!(runs(&lists, 4), None);
    }

    #[test]
    fn what_no_agent_sends_is_dropped() {
        let mut lists = Lists::default();
        let many: Vec<u128> = (0..=DOMAINS_PER_PART as u128).collect();
        for list in [
            whole(1, 0, 0, &[]),
            whole(1, 2, 2, &[]),
            whole(1, 0, MOST_PARTS + 1, &[]),
            whole(1, 0, 1, &many),
        ] {
            assert_eq!(lists.take(at(1), list), Taken::Dropped);
        }
    }

    #[test]
    fn another_boot_begins_anew() {
        let mut lists = Lists::default();
        lists.take(at(1), whole(9, 0, 1, &[1]));
        let other = BootId(Uuid::from_u128(3));
        let list = List { boot: other, ..whole(1, 0, 1, &[2]) };
        assert_eq!(lists.take(at(2), list), Taken::Used);
        assert_eq!(runs(&lists, 2), None);
        assert!(lists.fresh(at(2), NODE, other).is_some());
    }
}
