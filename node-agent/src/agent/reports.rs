//! The list of domains that this node sends unasked: all of it now and then, and what changes in between.

use std::collections::BTreeSet;
use std::time::Duration;

use fencing::domains::{DOMAINS_PER_PART, Domain, MOST_PARTS, News};
use uuid::Uuid;

/// The domains are listed this often.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// All of them are sent this often, over another network each time.
const WHOLE_EVERY: Duration = Duration::from_secs(30);
/// More changes at once are sent as a whole list.
const MOST_CHANGES: usize = DOMAINS_PER_PART / 2;

/// When to list, and what to send of it.
#[derive(Debug)]
pub(super) struct Reports {
    /// `None`: this node sends no list.
    next_look: Option<Duration>,
    looking: bool,
    next_whole: Duration,
    /// What was sent last; `None`: nothing that still holds.
    sent: Option<BTreeSet<Uuid>>,
    number: u64,
}

impl Reports {
    /// Begins at `first`, or never. `starts` orders the lists of one agent after another.
    pub(super) fn new(first: Option<Duration>, starts: u64) -> Self {
        Self {
            next_look: first,
            looking: false,
            next_whole: Duration::ZERO,
            sent: None,
            number: starts.wrapping_shl(32),
        }
    }

    /// Whether the domains are to be listed now. A list that has not come yet is waited for.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let Some(next) = self.next_look.filter(|next| *next <= now) else { return false };
        self.next_look = Some((next + LOOK_EVERY).max(now + LOOK_EVERY / 2));
        !std::mem::replace(&mut self.looking, true)
    }

    pub(super) fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        self.next_look.map(|at| (at, "list of domains"))
    }

    /// What to send of what was listed, under which number: nothing where nothing has changed, or nothing is known.
    pub(super) fn listed(
        &mut self,
        now: Duration,
        domains: Option<Vec<Domain>>,
    ) -> Option<(u64, Vec<News>)> {
        if !std::mem::take(&mut self.looking) {
            return None;
        }
        let Some(domains) = domains else {
            // What was sent last may not hold any more: the next list is a whole one.
            self.sent = None;
            return None;
        };
        let ids: BTreeSet<Uuid> = domains.iter().map(|domain| domain.id).collect();
        let before = self.sent.replace(ids.clone()).filter(|_| now < self.next_whole);
        if before.as_ref() == Some(&ids) {
            return None;
        }
        let changed = before.and_then(|before| changes(&before, &ids, &domains));
        let news = changed.map_or_else(|| self.whole(now, &domains), |changed| vec![changed]);
        self.number = self.number.wrapping_add(1);
        Some((self.number, news))
    }

    fn whole(&mut self, now: Duration, domains: &[Domain]) -> Vec<News> {
        self.next_whole = now + WHOLE_EVERY;
        let most = usize::from(MOST_PARTS) * DOMAINS_PER_PART;
        let cut = domains.len() > most;
        let mut pieces: Vec<_> =
            domains.chunks(DOMAINS_PER_PART).take(usize::from(MOST_PARTS)).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let parts = u16::try_from(pieces.len()).unwrap_or(MOST_PARTS);
        let piece = |(part, domains): (u16, &[Domain])| News::Whole {
            part,
            parts,
            cut,
            domains: domains.to_vec(),
        };
        (0..parts).zip(pieces).map(piece).collect()
    }
}

/// `None`: too many for one datagram, or more domains than a whole list holds.
fn changes(before: &BTreeSet<Uuid>, ids: &BTreeSet<Uuid>, domains: &[Domain]) -> Option<News> {
    let came: Vec<Domain> =
        domains.iter().filter(|domain| !before.contains(&domain.id)).copied().collect();
    let gone: Vec<Uuid> = before.difference(ids).copied().collect();
    let cut = ids.len() > usize::from(MOST_PARTS) * DOMAINS_PER_PART;
    let fits = came.len() <= MOST_CHANGES && gone.len() <= MOST_CHANGES && !cut;
    fits.then_some(News::Changed { came, gone })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(ids: impl IntoIterator<Item = u128>) -> Option<Vec<Domain>> {
        Some(ids.into_iter().map(|id| Domain::unmeasured(Uuid::from_u128(id))).collect())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What is sent of these domains, looked at now.
    fn sent(
        reports: &mut Reports,
        now: u64,
        domains: Option<Vec<Domain>>,
    ) -> Option<(u64, Vec<News>)> {
        assert!(reports.is_due(at(now)), "{now}");
        reports.listed(at(now), domains)
    }

    #[test]
    fn all_is_sent_now_and_then_and_only_changes_between() {
        let mut reports = Reports::new(Some(at(0)), 2);
        let (first, news) = sent(&mut reports, 0, domains(1..=2)).expect("the first list");
        assert_eq!(first, (2 << 32) + 1);
        assert!(matches!(&news[..], [News::Whole { part: 0, parts: 1, cut: false, .. }]));
        assert_eq!(sent(&mut reports, 10, domains(1..=2)), None);
        let (second, news) = sent(&mut reports, 20, domains(2..=3)).expect("a change");
        let came = domains(3..=3).expect("one");
        let changed = News::Changed { came, gone: vec![Uuid::from_u128(1)] };
        assert_eq!((second, news), (first + 1, vec![changed]));
        let (_, news) = sent(&mut reports, 30, domains(2..=3)).expect("time for a whole list");
        assert!(matches!(&news[..], [News::Whole { .. }]));
    }

    #[test]
    fn a_list_that_could_not_be_had_is_not_an_empty_one_and_the_next_is_whole() {
        let mut reports = Reports::new(Some(at(0)), 1);
        sent(&mut reports, 0, domains(1..=1)).expect("the first list");
        assert_eq!(sent(&mut reports, 10, None), None);
        let (_, news) = sent(&mut reports, 20, domains(1..=1)).expect("whole again");
        assert!(matches!(&news[..], [News::Whole { .. }]));
    }

    #[test]
    fn a_list_that_does_not_come_is_waited_for() {
        let mut reports = Reports::new(Some(at(0)), 1);
        assert!(reports.is_due(at(0)));
        assert!(!reports.is_due(at(10)));
        assert!(reports.listed(at(11), domains(1..=1)).is_some());
        // One that nobody waits for is not sent.
        assert_eq!(reports.listed(at(12), domains(1..=5)), None);
    }

    #[test]
    fn a_list_that_does_not_fit_says_that_it_is_cut() {
        let mut reports = Reports::new(Some(at(0)), 1);
        let most = u128::from(MOST_PARTS) * DOMAINS_PER_PART as u128;
        let (_, news) = sent(&mut reports, 0, domains(1..=most)).expect("all of it");
        let cuts = |news: &[News]| {
            let cut = |news: &&News| matches!(news, News::Whole { cut: true, .. });
            (news.len(), news.iter().filter(cut).count())
        };
        assert_eq!(cuts(&news), (32, 0));
        let (_, news) = sent(&mut reports, 10, domains(1..=most + 1)).expect("too many");
        assert_eq!(cuts(&news), (32, 32));
        let mut none = Reports::new(Some(at(0)), 1);
        let (_, news) = sent(&mut none, 0, domains([])).expect("an empty one");
        assert!(matches!(&news[..], [News::Whole { parts: 1, domains, .. }] if domains.is_empty()));
    }

    #[test]
    fn a_node_that_shall_not_sends_nothing() {
        let mut reports = Reports::new(None, 1);
        assert!(!reports.is_due(at(1000)));
        assert_eq!(reports.poll_timeout(), None);
    }
}
