//! Large groups that know each other from the start: what a full exchange would have told them, told once. A cluster of
//! this size is never switched on as a whole; that its members find each other is shown by smaller ones.

use std::time::Duration;

use controller::effect::Network;
use controller::event::Event;
use gossip::config::Config;
use gossip::group::{self, Effect, Group};
use gossip::identity::Member;
use node_agent::agent;

use super::World;
use crate::place::{Place, Port, boot_id, member_id};

/// Answers to this many questions are given within a second; later ones are heard.
const LATER: Duration = Duration::from_secs(2);

impl World {
    /// Tells every agent and every controller of all members, as the first two controllers would.
    pub(super) fn tell_everybody_of_everybody(&mut self) {
        for network in (0..self.plan.networks()).map(Network) {
            let controllers = (1..=self.plan.controllers).map(Place::Controller);
            let places: Vec<Place> =
                controllers.chain((1..=self.plan.nodes).map(Place::Node)).collect();
            let members: Vec<Member> = places.iter().map(|place| member(*place, network)).collect();
            let [first, second, ..] = members.as_slice() else { return };
            let (by_first, by_second) =
                (pieces(&members, *first, *second), pieces(&members, *second, *first));
            for place in places {
                let (teller, told) = if place == Place::Controller(1) {
                    (second.addr, &by_second)
                } else {
                    (first.addr, &by_first)
                };
                for bytes in told.iter().cloned() {
                    match place {
                        Place::Controller(number) => {
                            self.tell_controller(
                                number,
                                Event::Gossip { network, from: teller, bytes },
                            );
                        }
                        Place::Node(number) => {
                            let network = network.0;
                            let event = agent::Event::Gossip { network, from: teller, bytes };
                            self.tell_agent(number, event);
                        }
                    }
                }
            }
        }
    }
}

/// A machine's member at its first start.
fn member(place: Place, network: Network) -> Member {
    let boots = 1;
    Member {
        id: member_id(place),
        generation: Member::generation_of_start(1),
        boot: boot_id(place, boots).0,
        addr: place.address(network, Port::Gossip),
        ping: place.address(network, Port::Lease),
        controller: matches!(place, Place::Controller(_)),
    }
}

/// The datagrams in which `teller` would tell all it knows, if it knew all `members`; none of them asks for an answer.
fn pieces(members: &[Member], teller: Member, helper: Member) -> Vec<Vec<u8>> {
    let group = |member| Group::new(Config::lan(members.len()), member, 1);
    let asks = |member: Member, whom: Member| {
        let mut out = Vec::new();
        group(member).join(Duration::ZERO, &[whom.addr], &mut out);
        datagrams(out)
    };
    let hear = |group: &mut Group, now, from: Member, bytes: &[u8]| {
        let mut out = Vec::new();
        group.handle(now, group::Event::Packet { from: from.addr, bytes }, &mut out);
        datagrams(out)
    };
    let mut knows = group(helper);
    for member in members.iter().filter(|member| member.id != helper.id) {
        for ask in asks(*member, helper) {
            hear(&mut knows, Duration::ZERO, *member, &ask);
        }
    }
    // Asked once more, and later, the helper tells all; only the first of its datagrams asks for the other side's part.
    let mut told = Vec::new();
    for ask in asks(teller, helper) {
        told.extend(hear(&mut knows, LATER, teller, &ask));
    }
    told.reverse();
    let mut tells = group(teller);
    told.iter().flat_map(|bytes| hear(&mut tells, LATER, helper, bytes)).collect()
}

fn datagrams(out: Vec<Effect>) -> Vec<Vec<u8>> {
    out.into_iter()
        .filter_map(
            |effect| if let Effect::Send { bytes, .. } = effect { Some(bytes) } else { None },
        )
        .collect()
}
