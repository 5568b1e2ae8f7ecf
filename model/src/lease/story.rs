//! Steps as sentences.

use super::Lease;
use super::actions::Action;
use super::log::Entry;
use super::state::{Late, Life, NEVER, State};

const CONTROLLER: [&str; 4] = ["ctl-a", "ctl-b", "ctl-c", "ctl-d"];
const VOTER: [&str; 3] = ["voter-1", "voter-2", "voter-3"];

impl Lease {
    pub(super) fn sentence(&self, before: &State, action: Action, after: &State) -> String {
        let controller = |c: u8| CONTROLLER[usize::from(c)];
        let voter = |v: u8| VOTER[usize::from(v)];
        let told = match action {
            Action::Tick => "a tick".to_owned(),
            Action::ClockAhead => "the leader's clock gains a tick".to_owned(),
            Action::Acked(c) => format!("{} acks a renewal that left now", controller(c)),
            Action::AckLate(c) => format!("{} acks; the ack is held up", controller(c)),
            Action::Vouched(v) => format!("{} vouches for an ask that left now", voter(v)),
            Action::VouchLate(v) => format!("{} vouches; the vouch is held up", voter(v)),
            Action::Arrives(slot) => arrival(before.late[usize::from(slot)]),
            Action::Checks => "the sentinel finds that somebody stands for its node".to_owned(),
            Action::Feeds => "the sentinel feeds".to_owned(),
            Action::Rereads => "the sentinel reads the clock again".to_owned(),
            Action::TimerFeeds => "a timer feeds".to_owned(),
            Action::Killed => "the sentinel is killed; the kernel feeds once more".to_owned(),
            Action::Opens => "the sentinel opens the device".to_owned(),
            Action::Closes => "the sentinel closes the device with magic".to_owned(),
            Action::NodeAdopts(n) => format!("the node adopts n={n}"),
            Action::NodeReports => format!("the leader hears n={} of the node", before.node.n),
            Action::RenewalLate => "a renewal of the node is held up".to_owned(),
            Action::Arms(..) => "the leader writes Armed".to_owned(),
            Action::Adopts(v) => format!("{} adopts n={}", voter(v), before.committed),
            Action::ReportsEarly(v) => format!("{} will report n={}", voter(v), before.committed),
            Action::Rebooted(v) => format!("{} is rebooted; it knows nothing", voter(v)),
            Action::Reports(v) => {
                let reports = before.voters[usize::from(v)].reports;
                format!("the leader hears n={reports} of {}", voter(v))
            }
            Action::ReportLate(v) => format!("a report of {} is held up", voter(v)),
            Action::Writes(entry) => format!("the leader writes {}", said(entry)),
            Action::Takes(c) => format!("{} takes the leader's log", controller(c)),
            Action::Elected(c, true) => {
                format!("{} leads; it knows since when the intent is committed", controller(c))
            }
            Action::Elected(c, false) => format!("{} leads", controller(c)),
            Action::Begins => "the leader's term begins".to_owned(),
            Action::Restarted(c) => format!("{} is restarted", controller(c)),
        };
        format!("{told:<64} {}", change(before, after))
    }
}

fn arrival(late: Late) -> String {
    match late {
        Late::Nothing => "nothing arrives".to_owned(),
        Late::Ack(c, age) => {
            format!(
                "the late ack of {} arrives, for a renewal {age} ago",
                CONTROLLER[usize::from(c)]
            )
        }
        Late::Vouch(v, age) => {
            format!("the late vouch of {} arrives, for an ask {age} ago", VOTER[usize::from(v)])
        }
        Late::Report(v, boot, n) => {
            format!("a late report of {} boot {boot} arrives: n={n}", VOTER[usize::from(v)])
        }
        Late::Renewal(open, n) => format!("a late renewal arrives: device open {open}, n={n}"),
    }
}

fn said(entry: Entry) -> String {
    match entry {
        Entry::Intent(floor) => format!("FenceIntent floor={floor}"),
        Entry::Drill => "FenceIntent of a drill".to_owned(),
        Entry::Cancelled => "Cancel".to_owned(),
        Entry::Verify => "VERIFY".to_owned(),
        Entry::Fenced => "Fenced by E2".to_owned(),
        Entry::Leaves(v) => format!("Disarmed {}", VOTER[usize::from(v)]),
        Entry::Joins(v, boot) => format!("Armed {} boot {boot}", VOTER[usize::from(v)]),
        Entry::Set(set) => {
            let names = (0..4).filter(|c| set >> c & 1 == 1).map(|c| CONTROLLER[c]);
            format!("Controllers {}", names.collect::<Vec<_>>().join(", "))
        }
        Entry::Armed => "Armed".to_owned(),
        Entry::Disarmed => "Disarmed".to_owned(),
        Entry::ArmWanted => "ArmWanted".to_owned(),
    }
}

/// What is worth knowing of the state after a step.
fn change(before: &State, after: &State) -> String {
    let mut said = Vec::new();
    if before.committed != after.committed {
        said.push(format!("committed: {}", after.committed));
    }
    if before.leader.t0 == NEVER && after.leader.t0 != NEVER {
        said.push("T0".to_owned());
    }
    if before.node.life != after.node.life {
        said.push(match after.node.life {
            Life::Up => "the node is up".to_owned(),
            Life::Dying(left) => format!("the node is reset, quiet in {left}"),
            Life::Off => "the node is off".to_owned(),
        });
    }
    if after.log.at(after.committed).fenced && after.node.life != Life::Off {
        said.push("FENCED WHILE THE NODE RUNS".to_owned());
    }
    said.join("; ")
}
