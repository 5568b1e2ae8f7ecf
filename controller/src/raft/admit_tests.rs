//! Messages that must not reach the library, and the bugs of its release that they would wake.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests may, and print their seeds")]

use super::log::Record;
use super::message::{Body, Committed};
use super::rig::{Dice, Rig};
use super::{Message, Output, PeerId};

fn leading() -> (Rig, PeerId, PeerId) {
    let mut rig = Rig::new(3, 5);
    rig.run_until(3000, |rig| rig.leader().is_some()).unwrap();
    let leader = rig.leader().unwrap();
    for number in 0..5_u8 {
        rig.propose(leader, &[number]);
    }
    rig.run(300);
    let follower = rig.peers().into_iter().find(|id| *id != leader).unwrap();
    (rig, leader, follower)
}

fn say(rig: &mut Rig, from: PeerId, to: PeerId, body: Body) -> Vec<Output> {
    let term = rig.raft(to).term().0;
    let mut out = Vec::new();
    rig.raft(to).step(from, Message { term, heard: 0, body }, &mut out);
    out
}

#[test]
fn a_late_rejection_never_sets_next_back_to_what_is_acknowledged() {
    // tikv/raft-rs #557, mended only on its master: a rejection overtaken by an acknowledgement
    // reaches a peer in probe.
    let (mut rig, leader, follower) = leading();
    let matched = rig.raft(leader).matched_by(follower).0;
    assert!(matched > 3);
    for (prev, hint) in [(matched, 0), (matched, matched - 1), (matched + 1, 0), (1, 0)] {
        rig.raft(leader).make_probe(follower);
        let commit = 0;
        let body = Body::NotAppended { prev, hint, hint_term: 1, commit };
        say(&mut rig, follower, leader, body);
        let next = rig.raft(leader).next_for(follower).0;
        assert!(next > matched, "prev {prev} hint {hint}: next {next}, match {matched}");
    }
}

#[test]
fn nothing_is_applied_beyond_the_own_commit_or_the_own_log() {
    // tikv/raft-rs #543 and #561 mend a limit for applying what is not persisted, which the
    // release does not have: here applied never passes commit, commit never the own log.
    let (mut rig, leader, follower) = leading();
    let last = rig.raft(follower).last_index().0;
    let prev_term = rig.raft(follower).term_at(last).unwrap();
    let record = Record { term: prev_term, command: b"new".to_vec() };
    let body = Body::Append { prev: last, prev_term, commit: last + 100, entries: vec![record] };
    let out = say(&mut rig, leader, follower, body);
    let applied = out.iter().filter(|output| matches!(output, Output::Apply { .. })).count();
    let persist = out.iter().position(|output| matches!(output, Output::Persist(_)));
    let apply = out.iter().position(|output| matches!(output, Output::Apply { .. }));
    assert_eq!((applied, rig.raft(follower).commit().0), (1, last + 1));
    assert!(persist < apply, "durable before applied: {out:?}");
}

#[test]
fn what_contradicts_the_own_log_halts_instead_of_panicking() {
    let halts = |body: fn(u64, u64) -> Body| {
        let (mut rig, leader, follower) = leading();
        let last = rig.raft(follower).last_index().0;
        let term = rig.raft(follower).term().0;
        let message = Message { term: term + 1, heard: 0, body: body(last, term) };
        let mut out = Vec::new();
        rig.raft(follower).step(leader, message, &mut out);
        assert!(matches!(out.as_slice(), [Output::Halt { .. }]), "{out:?}");
        let mut more = Vec::new();
        rig.raft(follower).tick(&mut more);
        assert!(more.is_empty(), "a halted core is silent");
    };
    halts(|last, _| Body::Heartbeat { commit: last + 1, read: None });
    halts(|last, term| {
        let entries = vec![Record { term: term + 1, command: b"other".to_vec() }];
        Body::Append { prev: last - 2, prev_term: term, commit: 0, entries }
    });
}

#[test]
fn two_leaders_in_one_term_halt() {
    let (mut rig, leader, follower) = leading();
    let out = say(&mut rig, follower, leader, Body::Heartbeat { commit: 0, read: None });
    assert!(matches!(out.as_slice(), [Output::Halt { .. }]), "{out:?}");
}

#[test]
fn strangers_and_own_echoes_are_dropped() {
    let (mut rig, leader, follower) = leading();
    for from in [PeerId(0), PeerId(4), PeerId(u64::MAX), follower] {
        let out = say(&mut rig, from, follower, Body::Heartbeat { commit: 0, read: None });
        assert!(out.is_empty(), "{from}: {out:?}");
    }
    let third = rig.peers().into_iter().find(|id| *id != leader && *id != follower).unwrap();
    assert!(say(&mut rig, third, follower, Body::TimeoutNow).is_empty());
}

#[test]
fn no_message_makes_a_core_panic() {
    let mut dice = Dice(99);
    let small = |dice: &mut Dice| match dice.below(12) {
        0 => u64::MAX,
        1 => (1 << 48) - 1,
        2 => 1 << 48,
        _ => dice.below(9),
    };
    for seed in 0..60 {
        let mut rig = Rig::new(3, seed);
        rig.run_until(3000, |rig| rig.leader().is_some()).unwrap();
        let leader = rig.leader().unwrap();
        rig.propose(leader, b"x");
        rig.run(100);
        for _ in 0..300 {
            let mut n = || small(&mut dice);
            let committed = Committed { index: n(), term: n() };
            let entries = vec![Record { term: n(), command: vec![1] }; (n() % 4) as usize];
            let (a, b, c, d, granted) = (n(), n(), n(), n(), n() % 2 == 0);
            let body = match n() % 11 {
                0 => Body::PreVote { last: a, last_term: b, committed },
                1 => Body::PreVoteReply { granted, committed },
                2 => Body::Vote { last: a, last_term: b, committed, forced: granted },
                3 => Body::VoteReply { granted, committed },
                4 => Body::Append { prev: a, prev_term: b, commit: c, entries },
                5 => Body::Appended { last: a, commit: b },
                6 => Body::NotAppended { prev: a, hint: b, hint_term: c, commit: d },
                7 => Body::Heartbeat { commit: a, read: Some(b) },
                8 => Body::HeartbeatReply { commit: a, read: Some(b) },
                9 => Body::Snapshot(super::log::Saved { index: a, term: b, state: vec![0; 8] }),
                _ => Body::TimeoutNow,
            };
            let message = Message { term: n(), heard: n() % 2, body };
            let mut out = Vec::new();
            let (to, from) = (PeerId(1 + n() % 3), PeerId(n() % 5));
            let raft = rig.raft(to);
            raft.step(from, message, &mut out);
            raft.tick(&mut out);
        }
    }
}

#[test]
fn decoding_takes_only_whole_bounded_messages() {
    let body = Body::Append {
        prev: 5,
        prev_term: 2,
        commit: 5,
        entries: vec![Record { term: 2, command: b"c".to_vec() }],
    };
    let message = Message { term: 2, heard: 1, body };
    let bytes = message.encode();
    assert_eq!(Message::decode(&bytes).unwrap(), message);
    assert_eq!(message.to_string(), "append term=2 prev=5 entries=1 commit=5");
    assert!(Message::decode(&[&bytes[..], &[0]].concat()).is_err());
    for cut in 0..bytes.len() {
        assert!(Message::decode(&bytes[..cut]).is_err());
    }
    let mut dice = Dice(7);
    for _ in 0..20_000 {
        let noise: Vec<u8> = (0..dice.below(40)).map(|_| dice.roll() as u8).collect();
        let _ = Message::decode(&noise);
    }
}
