//! Steps as sentences.

use super::state::{Action, DESTINATIONS, Place, State};

fn place(place: Place) -> &'static str {
    match place {
        Place::Source => "node-1",
        Place::First => "node-2",
        Place::Second => "node-3",
    }
}

fn dest(number: u8) -> &'static str {
    place(DESTINATIONS[usize::from(number)])
}

pub(super) fn sentence(before: &State, action: Action, after: &State) -> String {
    let told = match action {
        Action::SourceOff => "node-1 is off".to_owned(),
        Action::Enter(stage) => format!("committed: the incident is {stage:?}"),
        Action::SourceBoots => "node-1 boots, its gate closed".to_owned(),
        Action::Clears => "forced_down is cleared".to_owned(),
        Action::Elected(commits, sends) => {
            let inherits = if commits { ", inherits what the old one wrote" } else { "" };
            let late = if sends { ", whose POST leaves late" } else { "" };
            format!("another controller leads{inherits}{late}")
        }
        Action::OrdersLapse => "all orders on their way are too old to arrive".to_owned(),
        Action::Dies(d) => format!("{} dies", dest(d)),
        Action::Looks(v) => format!("vm-{}: the leader reads the server", v + 1),
        Action::Attempt(v, to) => format!("vm-{}: committed: Attempt to {}", v + 1, place(to)),
        Action::Posts(v) => format!("vm-{}: the POST leaves", v + 1),
        Action::TimesOut(v) => format!("vm-{}: no answer in time", v + 1),
        Action::Taken(v, slot, told) => {
            let to = before.vms[usize::from(v)].posts[usize::from(slot)].map_or("?", place);
            let answer = if told { "answered" } else { "the answer is lost, or an error" };
            format!("vm-{}: Nova gets the POST to {to}; {answer}", v + 1)
        }
        Action::Lost(v, _, told) => {
            let known = if told { "its sender knows that it never left" } else { "nobody knows" };
            format!("vm-{}: a POST is lost; {known}", v + 1)
        }
        Action::Follows(v) => format!("vm-{}: the leader looks for its traces", v + 1),
        Action::GivesUp(v) => format!("vm-{}: its record does not move", v + 1),
        Action::Asks(v, d) => {
            format!("vm-{}: the agent of {} says whether it runs", v + 1, dest(d))
        }
        Action::Decided(v) => {
            let decision = before.vms[usize::from(v)].decision;
            format!("vm-{}: committed: {decision:?}", v + 1)
        }
        Action::Schedules(v, r, true) => format!("vm-{}: record {} finds its host", v + 1, r + 1),
        Action::Schedules(v, r, false) => format!("vm-{}: record {}: no host", v + 1, r + 1),
        Action::Spawns(v, r, well) => {
            let end = if well { "starts the guest, or finds one there" } else { "fails before" };
            format!("vm-{}: record {}: the destination {end}", v + 1, r + 1)
        }
        Action::Ends(v, r, true) => format!("vm-{}: record {} is done", v + 1, r + 1),
        Action::Ends(v, r, false) => {
            format!("vm-{}: record {} is failed, the guest goes on running", v + 1, r + 1)
        }
        Action::UserStarts(v) => format!("vm-{}: its user starts it on node-1", v + 1),
    };
    let guests = after.vms.iter().enumerate().find(|(_, vm)| vm.guests.count_ones() > 1);
    let double = guests.map_or(String::new(), |(v, _)| format!("vm-{} RUNS TWICE", v + 1));
    format!("{told:<64} {double}").trim_end().to_owned()
}
