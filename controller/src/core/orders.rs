//! What operators order.

use api::{Done, Failure, Request, Scope};
use fencing::NodeId;
use fencing::evidence::Evidence;

use super::leading::{Asked, Leading};
use crate::core::Controller;
use crate::effect::{Effect, Ticket};
use crate::guard;
use crate::registry::{Command, Node, Rejected, State, Verdict};
use action_matrix::{Action, Matrix};

type Ordered = Result<(Command, String), Failure>;

impl Controller {
    /// Takes an order: refused at once with the remedy, or proposed and answered when it is committed.
    pub(super) fn ordered(&mut self, ticket: Ticket, request: Request, out: &mut Vec<Effect>) {
        if !self.leads() {
            out.push(Effect::Answer { ticket, result: Err(self.not_leader()) });
            return;
        }
        out.push(Effect::journal("order", describe(&request)));
        if mutants::is_on(mutants::Mutant::M35)
            && let (Request::Disarm { .. }, Some(leading)) = (&request, &mut self.leading)
        {
            let domains = self.registry.nodes().values().map(|node| node.record.domain.clone());
            leading.storms = domains.map(|domain| (domain, std::time::Duration::MAX)).collect();
            let said = "all nodes are disarmed".to_owned();
            out.push(Effect::Answer { ticket, result: Ok(Done { index: 0, said }) });
            return;
        }
        if let Request::BmcEnroll { node, level, .. } = &request {
            self.enroll_by_hand(ticket, node, *level, out);
            return;
        }
        if let Request::Drill { node, watchdog, person } = request {
            self.drill_by_hand(ticket, &node, watchdog, person, out);
            return;
        }
        if let Request::ExplainPolicy { server } = &request {
            self.explain(ticket, server, out);
            return;
        }
        match self.command_of(request) {
            Ok((command, said)) => self.propose_order(ticket, command, said, out),
            Err(failure) => out.push(Effect::Answer { ticket, result: Err(failure) }),
        }
    }

    /// Who leads, as far as is known here.
    pub fn not_leader(&self) -> Failure {
        let leader = self.raft.leader().map(|id| id.0);
        let me = self.settings.me.0;
        let other = leader.filter(|id| *id != me);
        let url = other
            .and_then(|id| self.settings.controllers.get(&fencing::ControllerId(id)))
            .map(|peer| peer.url.clone());
        Failure::NotLeader { leader: other, url }
    }

    pub(super) fn propose_order(
        &mut self,
        ticket: Ticket,
        command: Command,
        said: String,
        out: &mut Vec<Effect>,
    ) {
        let index = self.raft.last_index().0 + 1;
        if let Some(leading) = &mut self.leading {
            leading.orders.insert(index, (ticket, said));
        }
        if !self.propose(command, out) {
            if let Some(leading) = &mut self.leading {
                leading.orders.remove(&index);
            }
            out.push(Effect::Answer { ticket, result: Err(self.not_leader()) });
        }
    }

    /// The entry of an order was applied, or did not fit any more.
    pub(super) fn finish_order(
        &mut self,
        index: u64,
        outcome: Result<(), Rejected>,
        out: &mut Vec<Effect>,
    ) {
        let order = self.leading.as_mut().and_then(|leading| leading.orders.remove(&index));
        let Some((ticket, said)) = order else { return };
        let result = match outcome {
            Ok(()) => Ok(Done { index, said }),
            Err(rejected) => Err(Failure::Refused { why: rejected.to_string() }),
        };
        out.push(Effect::Answer { ticket, result });
    }

    /// Leadership is lost: nobody here knows what becomes of orders under way. Called after `leading` was taken, so it
    /// is given them.
    pub(super) fn void_orders(leading: Leading, out: &mut Vec<Effect>) {
        let enrolling = leading.calls.into_values().filter_map(|asked| match asked {
            Asked::BmcEnroll(enrolling) => Some(enrolling.ticket),
            Asked::Explain(ticket) => Some(ticket),
            Asked::Bmc(..)
            | Asked::BmcAgain(..)
            | Asked::BmcIdentity(..)
            | Asked::BmcCheck(..)
            | Asked::Drill
            | Asked::Nova(_)
            | Asked::Cloud(_)
            | Asked::Reserved(_)
            | Asked::Actual(_)
            | Asked::Images
            | Asked::Vm(..) => None,
        });
        let proposed = leading.orders.into_values().map(|(ticket, _)| ticket);
        let drilling = leading.drilling.into_iter().map(|drilling| drilling.ticket);
        for ticket in proposed.chain(enrolling).chain(drilling) {
            let look =
                "leadership changed: look with `hactl status` before ordering it again".to_owned();
            out.push(Effect::Answer { ticket, result: Err(Failure::Unknown { look }) });
        }
    }

    fn command_of(&mut self, request: Request) -> Ordered {
        match request {
            Request::Noop { on } => {
                let said = if on { "decides and touches nothing" } else { "acts again" };
                Ok((Command::Noop { on }, said.to_owned()))
            }
            Request::Fence { node, reason, person } => self.fence_by_hand(&node, &reason, &person),
            Request::Confirm { node, typed, reason, person } => {
                self.confirm_by_hand(&node, &typed, reason, person)
            }
            Request::Release { node, force, person, .. } => {
                self.release_by_hand(&node, force, person)
            }
            Request::Maintenance { node, on, reason, person, minutes, migrate } => {
                let work = Planned { on, reason, person, minutes, migrate };
                self.maintenance_by_hand(&node, work)
            }
            Request::Disarm { scope: Scope::All, reason, person, minutes } => {
                let reason = Some(format!("{reason} ({person})"));
                let said = format!("all nodes are disarmed{}", until(minutes));
                Ok((Command::DisarmAll { reason, minutes }, said))
            }
            Request::Disarm { scope: Scope::Node(node), minutes, .. } => {
                let (id, _) = self.known(&node)?;
                let said = format!("{node} is disarmed{}", until(minutes));
                Ok((Command::Disarmed { node: id, minutes }, said))
            }
            Request::Arm { scope: Scope::All, .. } => Ok((
                Command::DisarmAll { reason: None, minutes: None },
                "nodes are armed again as they report".to_owned(),
            )),
            Request::Arm { scope: Scope::Node(node), .. } => {
                let (id, _) = self.known(&node)?;
                Ok((
                    Command::ArmWanted { node: id },
                    format!("{node} is armed as soon as it reports"),
                ))
            }
            Request::Matrix { text, file, person } => self.matrix_by_hand(text, &file, person),
            Request::Approve { incident, person } => self.approve_by_hand(incident, person),
            Request::BmcEnroll { .. } => Err(refused("a BMC is read first".to_owned())),
            Request::ExplainPolicy { .. } => Err(refused("a server is read first".to_owned())),
            Request::Drill { .. } => Err(refused("Nova is asked first".to_owned())),
        }
    }

    pub(super) fn known(&self, name: &str) -> Result<(NodeId, &Node), Failure> {
        self.registry.node_named(name).ok_or_else(|| Failure::Refused {
            why: format!("there is no node {name:?}: `hactl nodes` lists them"),
        })
    }

    fn fence_by_hand(&mut self, name: &str, reason: &str, person: &str) -> Ordered {
        let (node, known) = self.known(name)?;
        let serving = known.serving_boot();
        let boot = serving
            .or_else(|| self.sentinels.of(node).map(|heard| heard.boot))
            .ok_or_else(|| refused(format!("{name} was never heard: there is no boot to fence")))?;
        if let Some(refusal) = self.order_refusal(node) {
            return Err(refused(format!("{}: {refusal}", refusal.name())));
        }
        let verdict = Verdict {
            row: format!("ordered by {person}"),
            reason: reason.to_owned(),
            actions: vec![Action::Fence, Action::Evacuate],
            cell: self.compact(node),
            observations: Vec::new(),
            guards: vec![format!("ordered by a person: {}", guard::names_for_orders())],
        };
        let floor = self.floor(node, boot);
        let said = format!("{name}: fence intent committed; follow it with `hactl incidents`");
        let drill = None;
        Ok((Command::Intent { node, boot, floor, verdict, evacuate: true, drill }, said))
    }

    fn confirm_by_hand(
        &mut self,
        name: &str,
        typed: &str,
        reason: String,
        person: String,
    ) -> Ordered {
        let (node, _) = self.known(name)?;
        if typed != name {
            return Err(refused(format!(
                "the name typed is {typed:?}, the node is {name:?}: nothing is confirmed"
            )));
        }
        let incident = self
            .registry
            .incident_of(node)
            .filter(|incident| incident.state == State::Fencing || incident.frozen.is_some());
        let epoch =
            incident.and_then(|incident| incident.fence()).map(|fence| fence.epoch).ok_or_else(
                || refused(format!("{name} waits for no evidence: `hactl fence {name}` first")),
            )?;
        let evidence = Evidence::Operator { person, reason };
        Ok((Command::Fenced { epoch, evidence }, format!("{name} counts as off (E7)")))
    }

    fn release_by_hand(&mut self, name: &str, force: bool, person: String) -> Ordered {
        let (node, _) = self.known(name)?;
        let incident = self
            .registry
            .incident_of(node)
            .filter(|incident| incident.state == State::Recovered)
            .cloned()
            .ok_or_else(|| {
                refused(format!("{name} has no recovered incident: `hactl fenced list`"))
            })?;
        self.may_release(&incident).map_err(|waits| {
            refused(format!("{name} cannot be released safely yet; it waits for {waits}"))
        })?;
        let healthy = self.healthy_for(node) >= self.settings.waits.healthy;
        if !healthy && !force {
            return Err(refused(format!(
                "not all networks of {name} are up: --force passes over it"
            )));
        }
        let said = format!("{name} is released");
        Ok((Command::Released { incident: incident.id, by: person }, said))
    }

    fn maintenance_by_hand(&mut self, name: &str, work: Planned) -> Ordered {
        let (node, known) = self.known(name)?;
        let Planned { on, reason, person, minutes, migrate } = work;
        let moves = migrate && on;
        if moves && known.incident.is_some() {
            return Err(refused(format!(
                "{name} has an open incident, which goes on: see `hactl incidents`; without --migrate it works"
            )));
        }
        if moves && (self.registry.is_noop() || !self.settings.nova) {
            return Err(refused(format!("nothing is migrated off {name}: noop is on, or no Nova")));
        }
        let cell = self.compact(node);
        let verdict = || Verdict {
            row: format!("maintenance by {person}"),
            reason: reason.clone(),
            actions: vec![Action::Disable, Action::Migrate],
            cell,
            observations: Vec::new(),
            guards: Vec::new(),
        };
        let migrate = moves.then(|| Box::new(verdict()));
        let moves = if moves { "; its VMs are migrated: hactl incidents" } else { "" };
        let switch = if on { "on" } else { "off" };
        let said = format!("{name}: maintenance {switch}{}{moves}", until(minutes));
        let reason = on.then(|| format!("{reason} ({person})"));
        let minutes = minutes.filter(|_| on);
        Ok((Command::Maintenance { node, reason, minutes, migrate }, said))
    }

    fn approve_by_hand(&self, incident: u64, by: String) -> Ordered {
        let incident = fencing::IncidentId(incident);
        let known = self.registry.incidents().get(&incident).filter(|known| known.is_open());
        let known = known.ok_or_else(|| {
            refused(format!("no incident {incident} is open: `hactl incidents --open` lists them"))
        })?;
        let said = format!(
            "incident {incident}: the limit on evacuations is lifted for the VMs of {}",
            self.name(known.node)
        );
        Ok((Command::Approved { incident, by }, said))
    }

    fn matrix_by_hand(&self, text: String, file: &str, person: String) -> Ordered {
        let loaded =
            Matrix::parse(file, &text).map_err(|problems| refused(problems.render(false)))?;
        if loaded.matrix.networks() != self.settings.networks {
            return Err(refused(format!(
                "the matrix speaks of the networks {}, the controllers are configured with {}",
                loaded.matrix.networks().join(", "),
                self.settings.networks.join(", ")
            )));
        }
        let warnings: String =
            loaded.warnings.iter().map(|warning| warning.render(false)).collect();
        let said =
            format!("the matrix is in force, with {} warnings\n{warnings}", loaded.warnings.len());
        Ok((Command::Matrix { text, by: person }, said.trim_end().to_owned()))
    }
}

/// A work that an operator plans, or its end.
struct Planned {
    on: bool,
    reason: String,
    person: String,
    minutes: Option<u64>,
    migrate: bool,
}

/// How long something is ordered for.
fn until(minutes: Option<u64>) -> String {
    minutes.map_or_else(String::new, |minutes| {
        let time = std::time::Duration::from_secs(minutes.saturating_mul(60));
        format!(" for {}", humantime::format_duration(time))
    })
}

pub(super) fn refused(why: String) -> Failure {
    Failure::Refused { why }
}

/// An order as a line of the audit.
fn describe(request: &Request) -> String {
    match request {
        Request::Noop { on } => format!("noop {}", if *on { "on" } else { "off" }),
        Request::Fence { node, reason, person } => format!("fence {node} by {person}: {reason}"),
        Request::Confirm { node, reason, person, .. } => {
            format!("confirm {node} is off by {person}: {reason}")
        }
        Request::Release { node, reason, person, .. } => {
            format!("release {node} by {person}: {reason}")
        }
        Request::Maintenance { node, on, reason, person, minutes, migrate } => {
            let moves = if *migrate { ", its VMs are migrated" } else { "" };
            let on = if *on { "on" } else { "off" };
            format!("maintenance {node} {on}{}{moves} by {person}: {reason}", until(*minutes))
        }
        Request::Disarm { scope, reason, person, minutes } => {
            format!("disarm {}{} by {person}: {reason}", scope_name(scope), until(*minutes))
        }
        Request::Arm { scope, person } => format!("arm {} by {person}", scope_name(scope)),
        Request::Matrix { file, person, .. } => format!("matrix {file} by {person}"),
        Request::ExplainPolicy { server } => format!("explain the policy for {server}"),
        Request::Approve { incident, person } => {
            format!("approve incident {incident} by {person}")
        }
        Request::Drill { node, watchdog, person } => {
            let what = if *watchdog { "watchdog" } else { "BMC" };
            format!("drill the {what} of {node} by {person}")
        }
        Request::BmcEnroll { node, level: 1, person } => {
            format!("enroll the BMC of {node} by {person}")
        }
        Request::BmcEnroll { node, level, person } => {
            format!("enroll level {level} of the BMCs of {node} by {person}")
        }
    }
}

fn scope_name(scope: &Scope) -> &str {
    match scope {
        Scope::All => "all nodes",
        Scope::Node(node) => node,
    }
}
