//! A fence under way: the BMC, the clock of the lease, the fence event and a new boot, all at once; the first evidence
//! wins.

use std::time::Duration;

use action_matrix::Reach;
use fencing::e2::{Standing, Waiting};
use fencing::evidence::Evidence;
use fencing::{Epoch, IncidentId};
use mutants::{Mutant, is_on};

use super::leading::{Asked, Work};
use crate::core::Controller;
use crate::detect::Sight;
use crate::effect::{Effect, Ticket};
use crate::registry::{Arming, Command, Fires, Incident};

/// A human is paged when there is no evidence after this time and none in sight.
const PAGE_AFTER: Duration = Duration::from_secs(30);
/// A leader that inherits a fence looks for the node's trouble itself for this long; then the verdict that it inherited
/// stands, unless the node is well.
const LOOKS_FOR: Duration = Duration::from_secs(10);
/// So long after it slept, a leader's observers have told it anew who is silent.
const LOOKS_AGAIN: Duration = Duration::from_secs(3);
/// VERIFY is committed again when its promisers have not answered for this long.
const VERIFY_AGAIN: Duration = Duration::from_secs(15);

impl Controller {
    /// Looks after one fence.
    pub(super) fn advance_fence(&mut self, id: IncidentId, out: &mut Vec<Effect>) {
        let Some(incident) = self.incident(id) else { return };
        let Some(epoch) = incident.fence().map(|fence| fence.epoch) else { return };
        self.begin_fence(&incident, epoch, out);
        // What the plan of its recovery rests on is read while evidence is sought, so that nothing waits for it then.
        if self.settings.nova && incident.fence().is_some_and(|fence| fence.evacuate) {
            self.cloud_is_known();
        }
        if incident.is_watchdog_drill() {
            self.watch_drill(&incident, epoch, out);
            self.see_new_boot(&incident, epoch, out);
            self.page_if_blocked(&incident, out);
            return;
        }
        if self.may_strike(&incident, epoch, out) {
            if !self.lets_it_dump(&incident, epoch, out) {
                self.ask_bmc(&incident);
            }
            self.spread_event(&incident, epoch, out);
        }
        self.advance_lease(&incident, epoch, out);
        self.see_crash(&incident, epoch, out);
        self.see_new_boot(&incident, epoch, out);
        self.page_if_blocked(&incident, out);
        self.cancel_if_well(&incident, epoch, out);
    }

    /// Whether this leader may switch the node off. An intent of an earlier term may have lain in the log of a controller
    /// that hung, and be committed only when that one leads again, long after the node is well: so whoever inherits one
    /// sees the node in trouble first. The promise holds meanwhile, and the lease runs out.
    fn may_strike(&mut self, incident: &Incident, epoch: Epoch, out: &mut Vec<Effect>) -> bool {
        let (now, node) = (self.now, incident.node);
        let down = |sight: &Sight| {
            sight.is_silent(node) || matches!(sight.reach(node), Some((Reach::Down, _)))
        };
        let troubled = self.sights.iter().any(down) || self.checks_said_so(incident, epoch, out);
        let well = !self.healthy_for(node).is_zero();
        let by_row = self.matrix.rows().iter().any(|row| row.name() == incident.verdict.row);
        let Some(leading) = &mut self.leading else { return false };
        // Whoever slept, and still leads since the others slept too, knows nothing new before it has looked again.
        if leading.slept.is_some_and(|at| now.saturating_sub(at) < LOOKS_AGAIN) {
            return false;
        }
        let own = leading.term == epoch.term && leading.slept.is_none();
        let waited = now.saturating_sub(leading.since) >= LOOKS_FOR && !well;
        let work = leading.works.entry(incident.id).or_default();
        work.confirmed |= own || troubled || waited || !by_row;
        work.confirmed
    }

    /// Whether an inherited verdict rests on checks, and their agent says so again.
    fn checks_said_so(&mut self, incident: &Incident, epoch: Epoch, out: &mut Vec<Effect>) -> bool {
        let inherited = self.leading.as_ref().is_some_and(|leading| {
            let work = leading.works.get(&incident.id);
            leading.term != epoch.term && !work.is_some_and(|work| work.confirmed)
        });
        if !inherited || !self.fails_a_fencing_check(incident.node) {
            return false;
        }
        let row = self.matrix.rows().iter().find(|row| row.name() == incident.verdict.row);
        let rests_on = row.map(|row| self.rests_on(row)).unwrap_or_default();
        !rests_on.is_empty() && self.checks_stand(incident.node, &rests_on, out)
    }

    /// A fence that cannot be proven, or that this leader inherited and sees no reason for, of a node that is well again,
    /// is given up: without an end its lease would never be acked again, and a healthy node would be reset for nothing.
    fn cancel_if_well(&mut self, incident: &Incident, epoch: Epoch, out: &mut Vec<Effect>) {
        let well = self.healthy_for(incident.node) >= self.settings.waits.healthy
            && !self.fails_a_fencing_check(incident.node);
        let same_boot = self.sentinels.of(incident.node).is_some_and(|h| h.boot == incident.boot);
        let Some(work) = self.work(incident.id) else { return };
        let (blocked, confirmed) = (work.blocked.is_some(), work.confirmed);
        if well && (same_boot && blocked || !confirmed) {
            let why = if confirmed {
                "it is well again and could not be proven off"
            } else {
                "it is well, and this leader did not see what an earlier one saw"
            };
            self.propose_once(Command::Cancel { epoch, why: why.to_owned() }, out);
        }
    }

    fn begin_fence(&mut self, incident: &Incident, epoch: Epoch, out: &mut Vec<Effect>) {
        let now = self.now;
        let known = self.registry.node(incident.node);
        let arming = known.and_then(|node| node.armed).filter(|a| a.boot == incident.boot);
        let counts = |arming: &Arming| match known.and_then(|node| node.fires(arming)) {
            Some(Fires::InTime) => true,
            Some(Fires::Not) => false,
            None => !self.settings.watchdog_test,
        };
        let times = arming.filter(counts).map(|arming| arming.times);
        let times = times.filter(|_| !is_on(Mutant::M09));
        let own = is_on(Mutant::M09) && arming.is_some() || is_on(Mutant::M23);
        let times = times.or(own.then_some(self.settings.times));
        let watching = Self::is_watching(incident);
        let page_after = match arming.filter(|_| watching) {
            Some(arming) => arming.times.wait_after_intent() + PAGE_AFTER,
            None => PAGE_AFTER + self.settings.waits.dump_begins,
        };
        let t0 = self.intent_known.get(&epoch.index).copied();
        let Some(work) = self.work(incident.id) else { return };
        work.page_at.get_or_insert(now + page_after);
        // A drill of the watchdog waits for the new boot and for nothing else.
        if watching {
            return;
        }
        self.choose_level(incident, out);
        let Some(work) = self.work(incident.id) else { return };
        if let Some(times) = times {
            let (node, boot) = (incident.node, incident.boot);
            let waiting =
                work.waiting.get_or_insert_with(|| Waiting::new(node, boot, epoch.index, times));
            // A set of controllers that never changes: whoever committed the intent blocks every other majority.
            if let Some(t0) = t0 {
                waiting.blocked_at(t0);
            }
        }
    }

    fn advance_lease(&mut self, incident: &Incident, epoch: Epoch, out: &mut Vec<Effect>) {
        let now = self.now;
        let floor = incident.fence().map_or(0, |fence| fence.floor);
        let latest = self.sentinels.of(incident.node).filter(|_| is_on(Mutant::M59));
        let floor = latest.map_or(floor, |heard| heard.n);
        let reports: Vec<_> = self
            .sentinels
            .all()
            .iter()
            .map(|(node, heard)| ((*node, heard.boot), heard.n))
            .collect();
        let begun = self.leads();
        let Some(work) = self.work(incident.id) else { return };
        let Some(waiting) = &mut work.waiting else { return };
        for (voter, n) in reports {
            waiting.reported(now, voter, n);
        }
        let versions = self.registry.lease().versions(floor, incident.node, incident.boot);
        let Some(work) = self.work(incident.id) else { return };
        let Some(waiting) = &work.waiting else { return };
        let verify_due = work.verify_at.is_none_or(|at| now.saturating_sub(at) >= VERIFY_AGAIN);
        match waiting.standing(now, versions.as_deref()) {
            Standing::Verify | Standing::Verifying { .. } if verify_due && begun => {
                work.verify_at = Some(now);
                work.verify_since.get_or_insert(now);
                self.propose(Command::Verify { epoch }, out);
            }
            Standing::Proven(evidence) if begun => {
                self.propose_once(Command::Fenced { epoch, evidence }, out);
            }
            Standing::Until(until) => {
                let known = self.intent_known.get(&epoch.index).copied().unwrap_or(now);
                let text = format!(
                    "{} counts as off by its lease {:.1}s after the intent at the earliest",
                    self.name(incident.node),
                    until.saturating_sub(known).as_secs_f64()
                );
                self.tell_once(incident.id, "fence", text, out);
            }
            Standing::Verify
            | Standing::Verifying { .. }
            | Standing::Proven(_)
            | Standing::Impossible(_)
            | Standing::NoBlockingSet
            | Standing::Promises { .. } => {}
        }
    }

    /// VERIFY is committed: from here on its promisers are listened to.
    pub(super) fn verify_committed(&mut self, epoch: Epoch, index: u64) {
        let now = self.now;
        let of_epoch = |i: &&Incident| i.fence().is_some_and(|fence| fence.epoch == epoch);
        let id = self.registry.open_incidents().find(of_epoch).map(|incident| incident.id);
        let waiting = id.and_then(|id| self.work(id)).and_then(|work| work.waiting.as_mut());
        if let Some(waiting) = waiting {
            waiting.verify_committed(now, index);
        }
    }

    /// E4: the crash kernel of that very boot spoke, now or before the intent, and the boot itself did not after it.
    fn see_crash(&mut self, incident: &Incident, epoch: Epoch, out: &mut Vec<Effect>) {
        let heard = self.sentinels.of(incident.node).filter(|heard| heard.boot == incident.boot);
        if heard.is_some_and(|heard| heard.crashed.is_some()) {
            let evidence = Evidence::CrashKernel { boot: incident.boot };
            self.propose_once(Command::Fenced { epoch, evidence }, out);
        }
    }

    /// E3: another boot of the same node speaks, started after the intent, and no domain runs there.
    fn see_new_boot(&mut self, incident: &Incident, epoch: Epoch, out: &mut Vec<Effect>) {
        let Some(heard) = self.sentinels.of(incident.node) else { return };
        let Some(known) = self.intent_known.get(&epoch.index) else { return };
        let since_intent = self.now.saturating_sub(*known);
        let boot = heard.boot;
        let booted_after = heard.uptime + self.now.saturating_sub(heard.at) < since_intent;
        if boot == incident.boot || !booted_after {
            return;
        }
        let since = *known;
        if self.census_of(incident.node, boot, since).is_some_and(|domains| domains.is_empty()) {
            let evidence = Evidence::NewBoot { boot };
            self.propose_once(Command::Fenced { epoch, evidence }, out);
        }
    }

    fn page_if_blocked(&mut self, incident: &Incident, out: &mut Vec<Effect>) {
        let now = self.now;
        let floor = incident.fence().map_or(0, |fence| fence.floor);
        let versions = self.registry.lease().versions(floor, incident.node, incident.boot);
        let Some(node) = self.registry.node(incident.node) else { return };
        let (name, has_bmc) = (node.record.name.clone(), !node.bmcs.is_empty());
        let believed: Vec<u8> =
            node.believed_levels().into_iter().map(|(level, _)| level).collect();
        let (distrusted, watching) = (believed.is_empty() && has_bmc, Self::is_watching(incident));
        let unarmed = match node.armed.filter(|a| a.boot == incident.boot) {
            None => "it was not armed",
            Some(arming) if node.fires(&arming) == Some(Fires::Not) => {
                "its watchdog did not fire in a drill"
            }
            Some(_) => "its watchdog was never seen to fire",
        };
        let Some(work) = self.work(incident.id) else { return };
        let due = work.page_at.is_some_and(|at| at <= now);
        let present = work.power.as_ref().map(fencing::e1::PowerOff::level);
        let untried =
            believed.iter().any(|level| !work.spent.contains(level) && Some(*level) != present);
        let by_bmc = match &work.power {
            Some(_) if work.waits_for_dump => {
                Some("its power-off waits for a crash dump".to_owned())
            }
            Some(_) if untried => None,
            Some(power) if !work.spent.is_empty() => Some(
                power.trouble().map_or("no level gives evidence".to_owned(), ToString::to_string),
            ),
            Some(power) if !power.failed() => return_if_hopeful(power.trouble().is_none()),
            Some(power) => Some(power.trouble().map(ToString::to_string).unwrap_or_default()),
            None if watching => Some("a drill of the watchdog leaves its BMC alone".to_owned()),
            None if distrusted => Some("its BMC is not believed".to_owned()),
            None if has_bmc => None,
            None => Some("no BMC is enrolled".to_owned()),
        };
        let verifying = work.verify_since.is_some_and(|at| now.saturating_sub(at) < VERIFY_AGAIN);
        let by_lease = match &work.waiting {
            None if watching => Some("it waits for a new boot of the node".to_owned()),
            None => Some(unarmed.to_owned()),
            Some(waiting) => match waiting.standing(now, versions.as_deref()) {
                Standing::Impossible(why) => Some(why.to_string()),
                Standing::Promises { have, need } => {
                    Some(format!("only {have} of {need} peers have promised"))
                }
                // They are being asked: their next renewals tell.
                Standing::Verifying { .. } if verifying => None,
                Standing::Verifying { have, need } => {
                    Some(format!("only {have} of {need} peers answered VERIFY"))
                }
                Standing::NoBlockingSet
                | Standing::Until(_)
                | Standing::Verify
                | Standing::Proven(_) => None,
            },
        };
        let (Some(by_bmc), Some(by_lease), true) = (by_bmc, by_lease, due) else {
            if work.blocked.is_some() && !due {
                work.blocked = None;
            }
            return;
        };
        let why = format!("E1: {by_bmc}; E2: {by_lease}");
        if work.blocked.is_none() && !mutants::is_on(mutants::Mutant::M41) {
            out.push(Effect::page(
                "fence",
                format!(
                    "{name} FenceBlocked, nothing is evacuated. {why}. \
                     If the node is off: hactl fenced confirm {name}"
                ),
            ));
        }
        work.blocked = Some(why);
    }

    /// The work on an incident, begun if need be; `None` when this controller does not lead.
    pub(super) fn work(&mut self, id: IncidentId) -> Option<&mut Work> {
        self.leading.as_mut().map(|leading| leading.works.entry(id).or_default())
    }

    /// A ticket whose answer belongs there.
    pub(super) fn ask_as(&mut self, asked: Asked) -> Ticket {
        let ticket = self.ticket();
        if let Some(leading) = &mut self.leading {
            leading.calls.insert(ticket, asked);
        }
        ticket
    }

    /// Writes a line once per leadership and incident.
    pub(super) fn tell_once(
        &mut self,
        id: IncidentId,
        subject: &'static str,
        text: String,
        out: &mut Vec<Effect>,
    ) {
        if self.work(id).is_some_and(|work| work.told.insert(text.clone())) {
            out.push(Effect::journal(subject, text));
        }
    }
}

/// A BMC that has not failed yet is no reason to page, unless it is in trouble already.
fn return_if_hopeful(hopeful: bool) -> Option<String> {
    (!hopeful).then(|| "it has not read off yet".to_owned())
}
