//! What a leader has in hand. Nothing of it survives a change of leader, and nothing may rest on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use action_matrix::Cell;
use fencing::e1::PowerOff;
use fencing::e2::Waiting;
use fencing::event::Order;
use fencing::evidence::Evidence;
use fencing::{IncidentId, NodeId};
use uuid::Uuid;

use super::actual::{Actual, Question};
use super::check::Checked;
use super::cloud::{CloudView, List};
use super::drill::Drilling;
use super::enroll::Enrolling;
use super::foreign::Foreign;
use super::images::Images;
use super::pace::Bucket;
use super::reserve::Reserving;
use super::survey::Survey;
use crate::effect::Ticket;
use crate::guard::Refusal;
use crate::nova;
use crate::registry::Command;

/// A proposal that has not shown up after this time is made again.
pub(super) const PROPOSE_AGAIN: Duration = Duration::from_secs(1);

/// A leadership.
#[derive(Debug)]
pub(super) struct Leading {
    /// Its term.
    pub(super) term: u64,
    /// When it began.
    pub(super) since: Duration,
    /// When this leader last went on after a pause in which it could not see what happened.
    pub(super) slept: Option<Duration>,
    /// Whether an entry of its own term is committed.
    pub(super) begun: bool,
    /// Work on open incidents.
    pub(super) works: BTreeMap<IncidentId, Work>,
    /// Calls that are out.
    pub(super) calls: BTreeMap<Ticket, Asked>,
    /// Reachability of nodes that are not all well, held still.
    pub(super) settling: BTreeMap<NodeId, Settling>,
    /// Where a look found every node at rest, if nothing has stirred since.
    pub(super) rest: Option<Rest>,
    /// Storm stops by failure domain: until when.
    pub(super) storms: BTreeMap<String, Duration>,
    /// The census.
    pub(super) survey: Survey,
    /// Proposals made and not yet seen.
    pub(super) proposed: Vec<(Command, Duration)>,
    /// When the next minute is over.
    pub(super) next_minute: Duration,
    /// Since when every network of a node has been up.
    pub(super) healthy: BTreeMap<NodeId, Duration>,
    /// Operators' orders by the index of their entry: who is to be answered, and what.
    pub(super) orders: BTreeMap<u64, (Ticket, String)>,
    /// No identity is asked of a node's BMC before.
    pub(super) bmc_not_before: BTreeMap<(NodeId, u8), Duration>,
    /// A drill that was ordered and has not begun.
    pub(super) drilling: Option<Drilling>,
    /// What the periodic reads of BMCs said.
    pub(super) checked: BTreeMap<(NodeId, u8), Checked>,
    /// What was read of the cloud as a whole.
    pub(super) cloud: CloudView,
    /// Images that carry InstanceHA's label.
    pub(super) images: Images,
    /// Starts of moves that are left for this minute.
    pub(super) bucket: Bucket,
    /// Reserved hosts in use.
    pub(super) reserving: BTreeMap<String, Reserving>,
    /// What Nova said instead of an answer that can be used.
    pub(super) nova_trouble: Option<String>,
    /// When Nova last answered.
    pub(super) nova_heard: Option<Duration>,
    /// What runs where, and what does not agree with Nova.
    pub(super) actual: Actual,
    /// When this controller's own link was last found worse than others'.
    pub(super) unsound_since: Option<Duration>,
}

/// Whose answer a ticket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A power off or read.
    Bmc(IncidentId, u8),
    /// A level that said on, asked once more since another one proves the node off.
    BmcAgain(IncidentId, u8),
    /// The identity of a node's BMC, for its enrolment.
    BmcIdentity(NodeId, u8),
    /// The periodic read of a node's BMC.
    BmcCheck(NodeId, u8),
    /// An operator's order to enroll a BMC.
    BmcEnroll(Enrolling),
    /// Whether a node that is to be drilled is empty.
    Drill,
    /// A step about the node as a whole.
    Nova(IncidentId),
    /// A step about one VM.
    Vm(IncidentId, Uuid, VmStep),
    /// A list of the whole cloud.
    Cloud(List),
    /// The images that carry InstanceHA's label; of Glance.
    Images,
    /// A reserved host.
    Reserved(String),
    /// A server, for an operator who asks what the policy says of it.
    Explain(Ticket),
    /// What should run where.
    Actual(Question),
}

/// Steps about one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VmStep {
    /// Reading it before an attempt.
    Look,
    /// The POST.
    Post,
    /// Reading it after its record ended.
    Confirm,
    /// Shutting it off, where it came to and was off before.
    Stop,
}

/// A node whose reachability is not all well.
#[derive(Clone, Debug)]
pub(super) struct Settling {
    /// What it is.
    pub(super) cell: Cell,
    /// Since when it is so.
    pub(super) since: Duration,
    /// Why nothing was done about it, told once.
    pub(super) refused: Option<Refusal>,
    /// The row that was acted upon, so that it is not acted upon again.
    pub(super) acted: Option<usize>,
}

/// What a look at all nodes rests on. While it is the same the next look would find what the last one did: everything
/// enrolled, nobody newly well or not, every cell acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// Index of the registry.
    pub(super) index: u64,
    /// Turns of all networks' reaches.
    pub(super) turns: u64,
    /// Whether some node is down on some network.
    pub(super) down: bool,
}

/// A VM that Nova says has come to where it should be, and that nobody has seen there yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirming {
    /// Since when.
    pub(super) since: Duration,
    /// Since when that node's agent is asked: what it answered before was too early.
    pub(super) asked_since: Duration,
}

/// Work on one incident.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Whether this leader may act on the intent: it made it, or found the node in trouble itself.
    pub(super) confirmed: bool,
    /// E1 or E5 on its way, by one level.
    pub(super) power: Option<PowerOff>,
    /// Since when that level is used.
    pub(super) level_since: Duration,
    /// Whether its power-off has waited for a crash dump that had begun.
    pub(super) dumps: bool,
    /// Whether its power-off waits for one to begin or to end.
    pub(super) waits_for_dump: bool,
    /// Levels that have had their time without evidence.
    pub(super) spent: BTreeSet<u8>,
    /// Levels that said last that the node is not off.
    pub(super) said_on: BTreeSet<u8>,
    /// Evidence that waits for those to be asked once more.
    pub(super) held: Option<Evidence>,
    /// Whether the BMC is being asked.
    pub(super) bmc_out: bool,
    /// What was done and answered, and when (wall clock in ms), for people.
    pub(super) steps: Vec<(String, u64)>,
    /// E2 on its way.
    pub(super) waiting: Option<Waiting>,
    /// When a VERIFY was proposed.
    pub(super) verify_at: Option<Duration>,
    /// When the first VERIFY was proposed: who has not answered one for long is not being waited for.
    pub(super) verify_since: Option<Duration>,
    /// The fence event.
    pub(super) order: Option<Order>,
    /// When its co-signature was asked for.
    pub(super) cosign_at: Option<Duration>,
    /// Whether it is being spread.
    pub(super) spread: bool,
    /// Why there is no evidence, once a human was paged.
    pub(super) blocked: Option<String>,
    /// When a human is paged if there is still no evidence.
    pub(super) page_at: Option<Duration>,
    /// The call about the node that is out.
    pub(super) call: Option<Ticket>,
    /// No call about the node before this.
    pub(super) not_before: Duration,
    /// Whether this leader has ordered forced_down.
    pub(super) forced: bool,
    /// Nova's service record, read in this leadership.
    pub(super) service: Option<nova::ServiceRecord>,
    /// All services, and when they were read.
    pub(super) services: Option<(Duration, Vec<nova::ServiceRecord>)>,
    /// Migration records of the node, newest first, and when they were read.
    pub(super) records: Option<(Duration, Vec<nova::MigrationRecord>)>,
    /// Since when all nodes are asked whether they run one of its VMs.
    pub(super) copies_asked: Option<Duration>,
    /// VMs with a call out.
    pub(super) vm_calls: BTreeSet<Uuid>,
    /// Attempts (by index) that this leader itself may send, or has sent.
    pub(super) mine: BTreeMap<Uuid, u64>,
    /// Since when an attempt's outcome is unknown.
    pub(super) unknown_since: BTreeMap<Uuid, Duration>,
    /// VMs whose record ended well: since when we wait to see them where they should be.
    pub(super) confirming: BTreeMap<Uuid, Confirming>,
    /// Nova's migration record of each VM's last attempt.
    pub(super) record_of: BTreeMap<Uuid, u64>,
    /// Since when each order of restarts may be on.
    pub(super) order_since: BTreeMap<u16, Duration>,
    /// Since when Nova is busy with a VM whose record ended well.
    pub(super) busy: BTreeMap<Uuid, Duration>,
    /// Since when a VM that came up is being shut off again.
    pub(super) stopping: BTreeMap<Uuid, Duration>,
    /// Orders that are none of a VM's attempts.
    pub(super) foreign: BTreeMap<Uuid, Foreign>,
    /// No new attempt of this VM before.
    pub(super) vm_not_before: BTreeMap<Uuid, Duration>,
    /// Since when no node could take its VMs.
    pub(super) nowhere_since: Option<Duration>,
    /// When the services were read by which that was last counted without a look at a VM.
    pub(super) nowhere_by: Option<Duration>,
    /// When this leader first saw the node waiting to come back.
    pub(super) return_since: Option<Duration>,
    /// What the release waits for.
    pub(super) release: String,
    /// Sentences told once.
    pub(super) told: BTreeSet<String>,
}

impl Leading {
    /// A leadership that has just begun.
    pub(super) fn new(now: Duration, term: u64) -> Self {
        Self {
            term,
            since: now,
            slept: None,
            begun: false,
            works: BTreeMap::new(),
            calls: BTreeMap::new(),
            settling: BTreeMap::new(),
            rest: None,
            storms: BTreeMap::new(),
            survey: Survey::default(),
            proposed: Vec::new(),
            next_minute: now + Duration::from_secs(60),
            healthy: BTreeMap::new(),
            orders: BTreeMap::new(),
            bmc_not_before: BTreeMap::new(),
            drilling: None,
            checked: BTreeMap::new(),
            cloud: CloudView::default(),
            images: Images::default(),
            bucket: Bucket::default(),
            reserving: BTreeMap::new(),
            nova_trouble: None,
            nova_heard: None,
            actual: Actual::default(),
            unsound_since: None,
        }
    }

    /// Whether this command was not proposed a moment ago already; notes that it is now.
    pub(super) fn may_propose(&mut self, now: Duration, command: &Command) -> bool {
        self.proposed.retain(|(_, at)| now.saturating_sub(*at) < PROPOSE_AGAIN);
        if self.proposed.iter().any(|(known, _)| is_same(known, command)) {
            return false;
        }
        self.proposed.push((command.clone(), now));
        true
    }
}

/// Whether two proposals are about the same thing: the observations of a verdict, and what a node has reported, change
/// while a proposal is on its way.
fn is_same(a: &Command, b: &Command) -> bool {
    match (subject(a), subject(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a == b,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn subject(command: &Command) -> Option<(&'static str, NodeId)> {
    if let Command::Intent { node, .. } = command {
        Some(("intent", *node))
    } else if let Command::Opened { node, .. } = command {
        Some(("opened", *node))
    } else if let Command::Armed { node, .. } = command {
        Some(("armed", *node))
    } else if let Command::WatchdogTested { node, .. } = command {
        Some(("watchdog", *node))
    } else {
        None
    }
}
