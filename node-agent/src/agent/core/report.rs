//! What goes to the controllers unasked: the list of domains, and behind it what this node has sent.

use std::time::Duration;

use fencing::domains::{self, Domain, List, News};
use fencing::sent::Total;

use super::{Agent, Effect};
use crate::agent::lane::Lane;
use crate::agent::sent::Sample;

impl Agent {
    /// Takes what was counted where it left.
    pub(super) fn note_sent(
        &mut self,
        at: Duration,
        own: Vec<(Total, Total)>,
        sentinel: Option<(Duration, Vec<Total>)>,
    ) {
        let put_off = self.lanes.iter().map(Lane::put_off).collect();
        self.outlay.note(Sample { at, own, sentinel, put_off });
    }

    /// Tells all controllers, over one network: another one each time, so that one which is down hides nothing for long.
    /// What was sent is told with a whole list alone, so that it costs no packet, and few bytes.
    pub(super) fn report(
        &mut self,
        now: Duration,
        domains: Option<Vec<Domain>>,
        effects: &mut Vec<Effect>,
    ) {
        let Some((number, news)) = self.reports.listed(now, domains) else { return };
        let (node, boot) = (self.node, self.boot);
        let lanes = u64::try_from(self.lanes.len()).unwrap_or(1).max(1);
        let place = usize::try_from(number % lanes).unwrap_or(0);
        let Some(lane) = self.lanes.get(place) else { return };
        for news in news {
            // The last part of a list is the one with room.
            let ends = matches!(news, News::Whole { part, parts, .. } if part + 1 == parts);
            let sent = if ends { self.outlay.tell() } else { None };
            if let Ok(mut bytes) = postcard::to_stdvec(&List { node, boot, number, news }) {
                sent.iter().for_each(|sent| sent.put_behind(&mut bytes));
                lane.tell_controllers(domains::CHANNEL, &bytes, effects);
            }
        }
    }
}
