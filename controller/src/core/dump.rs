//! Crash dumps. The kernel that a crashed node boots to write one may say so, with packets of `fence_kdump`. Nobody signs
//! them, so they prove nothing: they hold back the power-off, which would destroy the dump, and nothing else, and that for
//! a bounded time. The lease runs out meanwhile, and whatever is evidence still is.

use std::net::IpAddr;
use std::time::Duration;

use fencing::e1::PowerOff;
use fencing::{Epoch, NodeId};

use crate::core::Controller;
use crate::effect::Effect;
use crate::registry::{Incident, Node};

/// Senders repeat themselves every ten seconds unless they are told otherwise.
const STILL_DUMPS: Duration = Duration::from_secs(25);

impl Controller {
    /// A packet that says that whoever has this address writes a crash dump. One that two nodes share names nobody.
    pub(super) fn dump_heard(&mut self, from: IpAddr) {
        let at = |node: &Node| {
            let mut addresses = node.record.gossip.iter().chain(&node.record.sentinel);
            addresses.any(|address| address.ip() == from)
        };
        let mut known = self.registry.nodes().iter().filter(|(_, node)| at(node));
        if let (Some((node, _)), None) = (known.next(), known.next()) {
            self.dumps.insert(*node, self.now);
        }
    }

    /// Whether the power-off of this fence waits for a crash dump: to begin, or to be written. Only where a row of the
    /// matrix wants the fence; a person who orders one means it, and a node that is drilled has not crashed.
    pub(super) fn lets_it_dump(
        &mut self,
        incident: &Incident,
        epoch: Epoch,
        out: &mut Vec<Effect>,
    ) -> bool {
        let (begins, ends) = (self.settings.waits.dump_begins, self.settings.waits.dump_ends);
        let by_row = self.matrix.rows().iter().any(|row| row.name() == incident.verdict.row);
        let Some(known) = self.intent_known.get(&epoch.index).copied().filter(|_| by_row) else {
            return false;
        };
        let (now, name) = (self.now, self.name(incident.node));
        let since = now.saturating_sub(known);
        let heard = self.dump_of(incident.node);
        let Some(work) = self.work(incident.id) else { return false };
        let begun = work.power.as_ref().is_some_and(PowerOff::has_begun);
        let waits = match heard {
            Some(_) => since < ends,
            None => since < begins && !work.dumps,
        };
        work.waits_for_dump = waits && !begun;
        if !work.waits_for_dump {
            return false;
        }
        work.level_since = now;
        work.dumps |= heard.is_some();
        let seconds = |wait: Duration| format!("{:.0} s", wait.as_secs_f64());
        let text = match heard {
            Some(_) => format!("writes a crash dump, for which it has {}", seconds(ends)),
            None => format!("may begin a crash dump within {}", seconds(begins)),
        };
        self.tell_once(incident.id, "fence", format!("{name} {text}: no power-off before"), out);
        true
    }

    /// When the node's crash kernel spoke last, if that is not too long ago.
    fn dump_of(&self, node: NodeId) -> Option<Duration> {
        let heard = self.dumps.get(&node).copied();
        heard.filter(|at| self.now.saturating_sub(*at) <= STILL_DUMPS)
    }
}
