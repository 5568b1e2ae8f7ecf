//! What this node has sent since its last list of domains, for the controllers to show.

use std::time::Duration;

use fencing::sent::{OnNetwork, Rate, Sent, Total};

/// What was counted by a time, each network in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at: Duration,
    /// The agent's own: its gossip ports, and its ping ports.
    pub(super) own: Vec<(Total, Total)>,
    /// The sentinel's, by its own clock, which need not be the same; `None` where there is no sentinel.
    pub(super) sentinel: Option<(Duration, Vec<Total>)>,
    /// How often gossip had to wait for its ceiling.
    pub(super) put_off: Vec<u64>,
}

/// The samples between which something is told.
#[derive(Debug, Default)]
pub(super) struct Outlay {
    told: Option<Sample>,
    last: Option<Sample>,
}

impl Outlay {
    /// Takes what was counted by now.
    pub(super) fn note(&mut self, sample: Sample) {
        self.last = Some(sample);
    }

    /// What was sent since this was asked last. `None` the first time, and where another program counts now than then.
    pub(super) fn tell(&mut self) -> Option<Sent> {
        let last = self.last.take()?;
        let told = self.told.replace(last.clone());
        last.since(&told?)
    }
}

impl Sample {
    fn since(&self, before: &Self) -> Option<Sent> {
        let within = self.at.checked_sub(before.at).filter(|within| !within.is_zero())?;
        let sentinel = self.sentinel_since(before)?;
        let mut networks = Vec::with_capacity(self.own.len());
        for (place, (gossip, pings)) in self.own.iter().enumerate() {
            let (gossip_then, pings_then) = before.own.get(place)?;
            let gossip = Rate::of(gossip.since(*gossip_then)?, within);
            let pings = Rate::of(pings.since(*pings_then)?, within);
            let by_sentinel = sentinel.get(place).copied().unwrap_or_default();
            let put_off = self.put_off.get(place)?.checked_sub(*before.put_off.get(place)?)?;
            networks.push(OnNetwork {
                gossip,
                all: gossip.plus(pings).plus(by_sentinel),
                put_off: u32::try_from(put_off).unwrap_or(u32::MAX),
            });
        }
        Some(Sent { over_s: u16::try_from(within.as_secs()).unwrap_or(u16::MAX), networks })
    }

    /// Nothing of each network where there is no sentinel, as before.
    fn sentinel_since(&self, before: &Self) -> Option<Vec<Rate>> {
        match (&self.sentinel, &before.sentinel) {
            (None, None) => Some(Vec::new()),
            (Some((at, sent)), Some((then, before))) => {
                let within = at.checked_sub(*then).filter(|within| !within.is_zero())?;
                let rate =
                    |(sent, before): (&Total, &Total)| Some(Rate::of(sent.since(*before)?, within));
                sent.iter().zip(before).map(rate).collect()
            }
            (Some(_), None) | (None, Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(packets: u64, bytes: u64) -> Total {
        Total { packets, bytes }
    }

    /// After so many seconds of an idle node with one network; its sentinel writes down what it counted a while before.
    fn sample(seconds: u64) -> Sample {
        let by = |seconds: u64, packets: u64, bytes: u64| total(seconds * packets, seconds * bytes);
        let sentinel = seconds.saturating_sub(seconds % 5);
        Sample {
            at: Duration::from_secs(seconds),
            own: vec![(by(seconds, 2, 130), by(seconds, 1, 81))],
            sentinel: Some((Duration::from_secs(sentinel), vec![by(sentinel, 6, 700)])),
            put_off: vec![seconds / 10],
        }
    }

    #[test]
    fn what_the_two_programs_sent_is_told_as_one_whenever_the_sentinel_counted() {
        let mut outlay = Outlay::default();
        assert_eq!(outlay.tell(), None);
        outlay.note(sample(12));
        assert_eq!(outlay.tell(), None, "since when?");
        outlay.note(sample(22));
        outlay.note(sample(41));
        let (gossip, all) =
            (Rate { tenths: 20, bytes: 130 }, Rate { tenths: 90, bytes: 130 + 81 + 700 });
        let networks = vec![OnNetwork { gossip, all, put_off: 3 }];
        assert_eq!(outlay.tell(), Some(Sent { over_s: 29, networks }));
        assert_eq!(outlay.tell(), None, "nothing was counted since");
    }

    #[test]
    fn nothing_is_told_over_the_restart_of_a_program() {
        let mut outlay = Outlay::default();
        outlay.note(sample(100));
        outlay.tell();
        let restarted = Sample { own: sample(3).own, ..sample(130) };
        outlay.note(restarted);
        assert_eq!(outlay.tell(), None);
        outlay.note(Sample { sentinel: None, ..sample(160) });
        assert_eq!(outlay.tell(), None);
        outlay.note(Sample { sentinel: None, ..sample(190) });
        assert_eq!(outlay.tell().map(|sent| sent.networks[0].all.bytes), Some(211));
    }
}
