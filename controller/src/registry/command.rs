//! What the controllers agree on: the payloads of the Raft log. An entry comes before its effect.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use action_matrix::Action;
use fencing::bmc::{Identity, LevelKind};
use fencing::evidence::Evidence;
use fencing::lease::LeaseTimes;
use fencing::sign::PublicKey;
use fencing::watchdog::Class;
use fencing::{BootId, ControllerId, Epoch, IncidentId, NodeId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::incident::Drill;
use super::node::{Fires, WatchdogTest};
use crate::policy::Treatment;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The proposer's wall clock in ms. For display: no decision reads it.
    pub at_ms: u64,
    /// The proposer.
    pub by: ControllerId,
    /// What is agreed.
    pub command: Command,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is what its type and the sentence of its entry say")]
pub enum Command {
    /// A node of the inventory is known from here on, or has changed.
    Enrol { node: NodeId, record: Box<Enrolment> },
    /// Where the controllers listen for renewals, one address per network.
    Controllers { set: BTreeMap<ControllerId, Vec<SocketAddr>> },
    /// The identity that a level of a node's BMCs gave at enrolment.
    BmcEnrolled { node: NodeId, level: u8, identity: Identity },
    /// This boot's watchdog is open: E2 may be used against it, its gate opens.
    Armed { node: NodeId, boot: BootId, times: LeaseTimes, class: Class, n: u64 },
    /// An unarmed boot may open its gate.
    Admitted { node: NodeId, boot: BootId },
    /// No E2 against the node, no self-fence of it; for so many of the registry's minutes, or until it is ordered.
    Disarmed { node: NodeId, minutes: Option<u64> },
    /// An operator ended the disarm of a node: its sentinel may open its device again.
    ArmWanted { node: NodeId },
    /// Maintenance of a node: its reason, or its end.
    Maintenance {
        node: NodeId,
        reason: Option<String>,
        /// It ends by itself after so many of the registry's minutes.
        minutes: Option<u64>,
        /// Its VMs are live-migrated first: what the incident says that does so.
        migrate: Option<Box<Verdict>>,
    },
    /// Hands off all nodes: the reason, or the end; for so many of the registry's minutes, or until it is ordered.
    DisarmAll { reason: Option<String>, minutes: Option<u64> },
    /// The time for which all nodes were disarmed is over.
    DisarmOver,
    /// Decide and journal, touch nothing.
    Noop { on: bool },
    /// A new matrix.
    Matrix { text: String, by: String },
    /// A minute has passed, as the leader counts; committed only while a fence is recent or something ends by itself. The
    /// registry's own clock: the wall clock decides nothing.
    Minute,
    /// An incident whose row does not fence.
    Opened { node: NodeId, boot: BootId, verdict: Verdict, kind: Kind },
    /// The promise to fence. Its (term, index) is the epoch of everything that follows.
    Intent {
        node: NodeId,
        boot: BootId,
        floor: u64,
        verdict: Verdict,
        evacuate: bool,
        drill: Option<Drill>,
    },
    /// Rule 11 (c): pins the promisers' boots.
    Verify { epoch: Epoch },
    /// The intent is over without a fence.
    Cancel { epoch: Epoch, why: String },
    /// The node is off.
    Fenced { epoch: Epoch, evidence: Evidence },
    /// Evidence was contradicted: recovery halts until an operator says the node is off.
    Frozen { incident: IncidentId, why: String },
    /// Nova's service is forced down, read back.
    ForcedDown {
        incident: IncidentId,
        service: Uuid,
        disabled_by_us: bool,
        /// Whether that was our doing: what an operator forced down stays so.
        forced_by_us: bool,
    },
    /// Nova's service is disabled (migrate and disable rows).
    Disabled { incident: IncidentId, service: Uuid, disabled_by_us: bool },
    /// The VMs of the node, as they were before anything was done.
    Planned { incident: IncidentId, vms: BTreeMap<Uuid, Before>, last_record: u64 },
    /// One POST for one VM may now be sent.
    Attempt { incident: IncidentId, vm: Uuid, destination: Option<String> },
    /// Nova queued it.
    Sent { incident: IncidentId, vm: Uuid, request_id: String },
    /// It never left, was refused without effect, or a census proved that it had none: the attempt does not count.
    Void {
        incident: IncidentId,
        vm: Uuid,
        why: String,
        /// The next attempt must name this destination, for the first one may still arrive there.
        same: Option<String>,
        /// Migration records up to this one say nothing about the next attempt.
        past: u64,
        /// The destination that had no room for it: another is named before it is asked again.
        no_room: Option<String>,
    },
    /// The VM runs there.
    Moved { incident: IncidentId, vm: Uuid, destination: String, record: Option<u64> },
    /// Left behind, with the reason and the remedy.
    Parked { incident: IncidentId, vm: Uuid, why: String, record: Option<u64> },
    /// Every VM is moved or parked.
    Recovered { incident: IncidentId },
    /// The node may come back.
    Released { incident: IncidentId, by: String },
    /// Its service is in use again.
    Returned { incident: IncidentId },
    /// An incident that does not fence is over.
    Closed { incident: IncidentId, why: String },
    /// An operator lifted the limit on evacuations for this incident.
    Approved { incident: IncidentId, by: String },
    /// A reserved host is needed: it may be enabled.
    Reserve { incident: IncidentId, host: String, service: Uuid },
    /// A reserved host is empty and no recovery needs it: it may be disabled again.
    GiveBack { host: String },
    /// It is disabled again, read back.
    GivenBack { host: String },
    /// What a level of a node's BMCs says is no evidence until it is enrolled again.
    BmcDistrusted { node: NodeId, level: u8, why: String },
    /// A drill has shown whether a node's watchdog fires.
    WatchdogTested { node: NodeId, test: WatchdogTest },
    /// Nova says that the VM runs there, and it does not.
    Missed { node: NodeId, boot: BootId, vm: Uuid, name: String },
    /// One POST of a hard reboot of a missing VM may now be sent.
    Reboot { vm: Uuid },
    /// A missing VM is missing no more.
    Accounted { vm: Uuid, how: String },
    /// One order to end the stray copy on that node may now be signed: Nova has the VM on the owner, where it runs.
    EndStray { node: NodeId, boot: BootId, vm: Uuid, owner: NodeId, name: String },
    /// Records of missing VMs that are over are forgotten.
    Reaped { vms: Vec<Uuid> },
    /// Nova's service, which was read and is not forced down, may now be: whatever is read from here on is our doing.
    /// Committed where no reason comes along with the write that would tell.
    ForcingDown { incident: IncidentId },
}

/// A node as the inventory describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Name, for people.
    pub name: String,
    /// Nova's service host.
    pub host: String,
    /// Failure domain.
    pub domain: String,
    /// Nova's cell; empty in a cloud with one.
    pub cell: String,
    /// Its sentinel's public key.
    pub key: PublicKey,
    /// Where its sentinel listens, one address per network.
    pub sentinel: Vec<SocketAddr>,
    /// Where its agent gossips, one address per network.
    pub gossip: Vec<SocketAddr>,
    /// What each level of its fencing proves, the first level first; empty where the inventory names none.
    pub bmc: Vec<LevelKind>,
    /// Nodes by way of which each level is asked; none, or no entry, where the controllers reach it.
    pub via: Vec<Vec<NodeId>>,
}

/// A row that applied, with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the row, or of the order by hand.
    pub row: String,
    /// Its reason.
    pub reason: String,
    /// Its actions, in order.
    pub actions: Vec<Action>,
    /// Compact reachability.
    pub cell: String,
    /// Who saw what, a line each.
    pub observations: Vec<String>,
    /// Which guards were asked, and which had refused before.
    pub guards: Vec<String>,
}

/// What an incident that does not fence does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Tells people.
    Notify,
    /// Disables Nova's service.
    Disable,
    /// Disables the service and live-migrates the VMs.
    Migrate,
    /// The same for work that an operator has planned: it ends with the maintenance.
    PlannedWork,
}

/// A VM before anything was done to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Name, for people.
    pub name: String,
    /// Nova's vm_state.
    pub vm_state: String,
    /// Nova's task_state.
    pub task_state: Option<String>,
    /// Memory of its flavor in MiB.
    pub memory_mib: u64,
    /// Nova's availability zone of it.
    pub zone: String,
    /// Server groups whose members are kept apart.
    pub apart: Vec<Uuid>,
    /// What the policy says of it.
    pub treatment: Treatment,
}

fn for_minutes(minutes: Option<u64>) -> String {
    minutes.map(|minutes| format!(" for {minutes} min")).unwrap_or_default()
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Enrol { record, .. } => write!(f, "Enrol {}", record.name),
            Command::Controllers { set } => write!(f, "Controllers {}", set.len()),
            Command::BmcEnrolled { identity, level, .. } => {
                write!(f, "BmcEnrolled{} {identity}", of_level(*level))
            }
            Command::Armed { boot, times, .. } => {
                write!(f, "Armed boot={boot} wL={:.1}s", times.wait_after_intent().as_secs_f64())
            }
            Command::Admitted { boot, .. } => write!(f, "Admitted boot={boot}"),
            Command::Disarmed { minutes, .. } => {
                write!(f, "Disarmed{}", for_minutes(*minutes))
            }
            Command::ArmWanted { .. } => f.write_str("ArmWanted"),
            Command::Maintenance { reason: Some(reason), minutes, migrate, .. } => {
                let moves = if migrate.is_some() { ", its VMs are migrated" } else { "" };
                write!(f, "Maintenance on{}: {reason}{moves}", for_minutes(*minutes))
            }
            Command::Maintenance { reason: None, .. } => f.write_str("Maintenance off"),
            Command::DisarmAll { reason: Some(reason), minutes } => {
                write!(f, "DisarmAll{}: {reason}", for_minutes(*minutes))
            }
            Command::DisarmAll { reason: None, .. } => f.write_str("DisarmAll ended"),
            Command::DisarmOver => f.write_str("DisarmOver"),
            Command::Noop { on } => write!(f, "Noop {}", if *on { "on" } else { "off" }),
            Command::Matrix { by, .. } => write!(f, "Matrix by {by}"),
            Command::Minute => f.write_str("Minute"),
            Command::Opened { verdict, kind, .. } => {
                write!(f, "Opened {kind:?} {} row={}", verdict.cell, verdict.row)
            }
            Command::Intent { boot, floor, verdict, drill, .. } => {
                let drill = if drill.is_some() { "Drill: " } else { "" };
                write!(
                    f,
                    "{drill}FenceIntent boot={boot} floor={floor} {} row={}",
                    verdict.cell, verdict.row
                )
            }
            Command::Verify { epoch } => write!(f, "VERIFY epoch={epoch}"),
            Command::Cancel { epoch, why } => write!(f, "Cancel epoch={epoch}: {why}"),
            Command::Fenced { epoch, evidence } => write!(f, "Fenced epoch={epoch} {evidence}"),
            Command::Frozen { incident, why } => write!(f, "Frozen incident={incident}: {why}"),
            Command::ForcedDown { incident, forced_by_us, .. } => {
                let whose = if *forced_by_us { "" } else { " by somebody else" };
                write!(f, "ForcedDown{whose} incident={incident}")
            }
            Command::ForcingDown { incident } => write!(f, "ForcingDown incident={incident}"),
            Command::Disabled { incident, .. } => write!(f, "Disabled incident={incident}"),
            Command::Planned { incident, vms, .. } => {
                write!(f, "Planned incident={incident} vms={}", vms.len())
            }
            Command::Attempt { incident, vm, destination } => {
                let to = destination.as_deref().unwrap_or("the scheduler's choice");
                write!(f, "Attempt incident={incident} vm={vm} to {to}")
            }
            Command::Sent { incident, vm, .. } => write!(f, "Sent incident={incident} vm={vm}"),
            Command::Void { incident, vm, why, .. } => {
                write!(f, "Void incident={incident} vm={vm}: {why}")
            }
            Command::Moved { incident, vm, destination, .. } => {
                write!(f, "Moved incident={incident} vm={vm} on {destination}")
            }
            Command::Parked { incident, vm, why, .. } => {
                write!(f, "Parked incident={incident} vm={vm}: {why}")
            }
            Command::Recovered { incident } => write!(f, "Recovered incident={incident}"),
            Command::Released { incident, by } => write!(f, "Released incident={incident} by {by}"),
            Command::Returned { incident } => write!(f, "Returned incident={incident}"),
            Command::Closed { incident, why } => write!(f, "Closed incident={incident}: {why}"),
            Command::Approved { incident, by } => write!(f, "Approved incident={incident} by {by}"),
            Command::Reserve { incident, host, .. } => {
                write!(f, "Reserve incident={incident} enables {host}")
            }
            Command::GiveBack { host } => write!(f, "GiveBack {host}"),
            Command::GivenBack { host } => write!(f, "GivenBack {host}"),
            Command::Missed { vm, .. } => write!(f, "Missed vm={vm}"),
            Command::Reboot { vm } => write!(f, "Reboot vm={vm}"),
            Command::Accounted { vm, how } => write!(f, "Accounted vm={vm}: {how}"),
            Command::EndStray { vm, .. } => write!(f, "EndStray vm={vm}"),
            Command::Reaped { vms } => write!(f, "Reaped {}", vms.len()),
            Command::BmcDistrusted { why, level, .. } => {
                write!(f, "BmcDistrusted{}: {why}", of_level(*level))
            }
            Command::WatchdogTested { test, .. } => {
                let (what, took) = (test.class, test.took.as_secs_f64());
                match test.fires {
                    Fires::InTime => write!(f, "WatchdogTested {what} fired after {took:.1}s"),
                    Fires::Not => write!(f, "WatchdogTested {what} silent for {took:.1}s"),
                }
            }
        }
    }
}

/// The first level goes without saying.
fn of_level(level: u8) -> String {
    if level > 1 { format!(" level {level}") } else { String::new() }
}
