//! The peers that we are measured beside. They differ in where their program comes from, in the words on its command line,
//! and in those of its log.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;

use super::tap::GOSSIP;
use super::{memberlist, serf};
use crate::steps::Steps;

/// Name of the event that is sent.
pub(super) const EVENT: &str = "holdfast-bench";

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Peer {
    /// Debian's `serf`.
    Serf,
    /// HashiCorp's library, on which Serf stands.
    MemberlistGo,
    /// The same, with half as long to refute a suspicion. Serf's program has no option for it.
    #[value(name = "memberlist-go-alpha-2")]
    MemberlistGoAlpha2,
    /// The crate of that name.
    MemberlistRs,
}

/// What a line of a member's log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// It knows this member now.
    Joined(&'a str),
    /// A probe of its own was not answered.
    Suspects(&'a str),
    /// It calls this member dead; Serf calls it failed.
    Dead(&'a str),
    /// It has the event.
    Event,
}

impl Peer {
    /// As the option and the report call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Peer::Serf => "serf",
            Peer::MemberlistGo => "memberlist-go",
            Peer::MemberlistGoAlpha2 => "memberlist-go-alpha-2",
            Peer::MemberlistRs => "memberlist-rs",
        }
    }

    /// Its program, installed or built if it is missing; `None` where it cannot be had, and then a step says why.
    pub(super) fn program(self, steps: &mut Steps) -> Option<PathBuf> {
        match self {
            Peer::Serf => serf::program(steps),
            Peer::MemberlistGo | Peer::MemberlistGoAlpha2 => memberlist::of_hashicorp(steps),
            Peer::MemberlistRs => memberlist::of_the_crate(steps),
        }
    }

    /// The address of a member.
    pub(super) fn address(self, number: u32) -> Result<Ipv4Addr> {
        let (second, third) = self.block();
        Ok(Ipv4Addr::new(127, second, third, u8::try_from(number)?))
    }

    /// Whether it is that of one of its members.
    pub(super) fn owns(self, address: Ipv4Addr) -> bool {
        let [first, second, third, _] = address.octets();
        first == 127 && (second, third) == self.block()
    }

    /// Second and third byte of its members' addresses.
    fn block(self) -> (u8, u8) {
        match self {
            Peer::Serf => (29, 0),
            Peer::MemberlistGo => (30, 0),
            Peer::MemberlistRs => (31, 0),
            Peer::MemberlistGoAlpha2 => (32, 0),
        }
    }

    /// The command line of a member; all but the first join that one.
    pub(super) fn words(self, number: u32) -> Result<Vec<String>> {
        let gossip =
            |number| -> Result<String> { Ok(format!("{}:{GOSSIP}", self.address(number)?)) };
        let (own, first) = (gossip(number)?, gossip(1)?);
        let mut words = match self {
            Peer::Serf => serf::words(number, &own)?,
            Peer::MemberlistGo | Peer::MemberlistRs => vec![member(number), own],
            Peer::MemberlistGoAlpha2 => vec!["-alpha=2".to_owned(), member(number), own],
        };
        if number > 1 {
            words.push(match self {
                Peer::Serf => format!("-join={first}"),
                Peer::MemberlistGo | Peer::MemberlistGoAlpha2 | Peer::MemberlistRs => first,
            });
        }
        Ok(words)
    }

    /// What this line says, if it is one that is looked for.
    pub(super) fn read(self, line: &str) -> Option<Said<'_>> {
        let after = |mark: &str| {
            let (_, rest) = line.split_once(mark)?;
            rest.split_whitespace().next()
        };
        let (joined, dead, suspects) = match self {
            Peer::Serf => (
                after("EventMemberJoin: "),
                after("EventMemberFailed: "),
                after("memberlist: Suspect "),
            ),
            Peer::MemberlistGo | Peer::MemberlistGoAlpha2 => {
                (after(" joined "), after(" dead "), after("memberlist: Suspect "))
            }
            Peer::MemberlistRs => {
                let suspects = line.contains("suspecting has failed").then(|| after("remote="));
                (after(" joined "), after(" dead "), suspects.flatten())
            }
        };
        joined
            .map(Said::Joined)
            .or(dead.map(Said::Dead))
            .or(suspects.map(Said::Suspects))
            .or_else(|| line.contains(EVENT).then_some(Said::Event))
    }

    /// How long a member may stand still, in seconds: alpha log10 N probe intervals, within which it may refute a suspicion.
    pub(super) fn tolerates(self, members: u32) -> f64 {
        let (alpha, interval) = match self {
            Peer::Serf | Peer::MemberlistGo => (4.0, 1.0),
            Peer::MemberlistGoAlpha2 => (2.0, 1.0),
            // Its `Options::lan` probes twice as often.
            Peer::MemberlistRs => (4.0, 0.5),
        };
        alpha * interval * f64::from(members.max(1)).log10().max(1.0)
    }
}

/// The name of a member.
pub(super) fn member(number: u32) -> String {
    format!("peer-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_log_is_read_in_its_own_words() {
        let serf = |line| Peer::Serf.read(line);
        let joined = "2026/11/23 05:00:00 [INFO] serf: EventMemberJoin: peer-1 127.29.0.1";
        assert_eq!(serf(joined), Some(Said::Joined("peer-1")));
        let failed = "2026/11/23 05:00:00 [INFO] serf: EventMemberFailed: peer-12 127.29.0.12";
        assert_eq!(serf(failed), Some(Said::Dead("peer-12")));
        let suspect =
            "2026/11/23 05:00:00 [INFO] memberlist: Suspect peer-3 has failed, no acks received";
        assert_eq!(serf(suspect), Some(Said::Suspects("peer-3")));
        assert_eq!(
            serf("[INFO] agent: Received event: user-event: holdfast-bench"),
            Some(Said::Event)
        );
        assert_eq!(serf("2026/11/23 05:00:00 [INFO] agent: Serf agent starting"), None);

        let go = |line| Peer::MemberlistGo.read(line);
        assert_eq!(go("1795410000.123 joined peer-2"), Some(Said::Joined("peer-2")));
        assert_eq!(go("1795410000.123 dead peer-2"), Some(Said::Dead("peer-2")));
        assert_eq!(go(suspect), Some(Said::Suspects("peer-3")));
        assert_eq!(go("1795410000.123 event holdfast-bench"), Some(Said::Event));
        let marks = "2026/11/23 05:00:00 [INFO] memberlist: Marking peer-3 as failed, suspect timeout reached";
        assert_eq!(go(marks), None);

        let rs = |line| Peer::MemberlistRs.read(line);
        assert_eq!(rs("1795410000.123 dead peer-2"), Some(Said::Dead("peer-2")));
        let suspect = "2026-11-23T05:00:00Z  INFO memberlist_core::state: memberlist.state: suspecting has failed, \
                       no acks received local=peer-1 remote=peer-3";
        assert_eq!(rs(suspect), Some(Said::Suspects("peer-3")));
    }

    #[test]
    fn the_tolerated_pause_grows_with_the_members_beyond_ten() {
        let tolerated = |peer: Peer| [5, 10, 100].map(|members| peer.tolerates(members));
        assert_eq!(tolerated(Peer::Serf), [4.0, 4.0, 8.0]);
        assert_eq!(tolerated(Peer::MemberlistGo), [4.0, 4.0, 8.0]);
        assert_eq!(tolerated(Peer::MemberlistRs), [2.0, 2.0, 4.0]);
    }
}
