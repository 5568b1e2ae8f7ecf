//! Stories of a small cluster.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests may, and print their seeds")]

use super::message::{Body, Committed};
use super::rig::Rig;
use super::{Index, Message, Output, PeerId, Raft, Restored, Settings, Term};

fn settled(peers: u64, seed: u64) -> (Rig, PeerId) {
    let mut rig = Rig::new(peers, seed);
    let took = rig.run_until(3000, |rig| rig.leader().is_some());
    assert!(took.is_some(), "seed {seed}: no leader within 3 s");
    rig.run(200);
    let leader = rig.leader().unwrap();
    (rig, leader)
}

fn others(rig: &Rig, not: PeerId) -> Vec<PeerId> {
    rig.peers().into_iter().filter(|id| *id != not).collect()
}

fn all_applied(rig: &Rig, index: u64) -> bool {
    rig.machines.values().all(|machine| machine.raft.is_none() || machine.state.0 >= index)
}

#[test]
fn a_killed_leader_is_replaced_within_a_second_and_a_half() {
    let mut took: Vec<u64> = (0..200)
        .map(|seed| {
            let (mut rig, leader) = settled(5, seed);
            rig.run(seed % 100);
            rig.kill(leader);
            let new = |rig: &Rig| rig.leader().is_some();
            rig.run_until(1500, new).unwrap_or_else(|| panic!("seed {seed}: {}", rig.trace))
        })
        .collect();
    took.sort_unstable();
    println!(
        "leader killed -> new leader: p50 {} p95 {} max {} ms",
        took[100], took[190], took[199]
    );
}

#[test]
fn a_single_controller_leads_and_commits_alone() {
    let (mut rig, leader) = settled(1, 1);
    assert!(rig.propose(leader, b"one"));
    assert_eq!(rig.history.values().next_back().unwrap().1, b"one");
    assert!(rig.read(leader, 7));
    assert_eq!(rig.machine(leader).ready.last().unwrap().0, 7);
}

#[test]
fn a_minority_commits_nothing_and_its_leader_steps_down() {
    let (mut rig, leader) = settled(5, 2);
    rig.isolate(leader);
    let before = rig.history.len();
    assert!(rig.propose(leader, b"never"));
    let down = rig.run_until(2000, |rig| !rig.machines[&leader].raft.as_ref().unwrap().is_leader());
    println!("isolated leader stepped down after {} ms", down.unwrap());
    assert!(down.unwrap() <= 1100);
    rig.run(3000);
    assert!(rig.history.values().all(|(_, command)| command != b"never"));
    assert!(rig.history.len() > before, "the others went on: {}", rig.trace);
    assert!(!rig.propose(leader, b"refused"));
}

#[test]
fn a_healed_old_leader_does_not_disturb_the_new_one() {
    let (mut rig, old) = settled(3, 3);
    rig.isolate(old);
    rig.run(5000);
    let new = rig.leader().unwrap();
    let term = rig.raft(new).term();
    rig.heal();
    rig.run(3000);
    assert_eq!((rig.leader().unwrap(), rig.raft(new).term()), (new, term));
    assert_eq!(rig.raft(old).leader(), Some(new));
}

#[test]
fn leadership_is_handed_over_on_demand() {
    let (mut rig, leader) = settled(3, 4);
    let to = others(&rig, leader)[0];
    rig.call(leader, |raft, out| raft.transfer(to, out));
    let took = rig.run_until(500, |rig| rig.leader() == Some(to)).unwrap();
    println!("transfer took {took} ms");
    assert!(took < 100);
}

#[test]
fn a_laggard_is_brought_up_by_a_snapshot_even_if_the_first_one_is_lost() {
    for seed in 0..20 {
        let (mut rig, leader) = settled(3, seed);
        let laggard = others(&rig, leader)[1];
        rig.kill(laggard);
        rig.call(leader, |raft, out| {
            for number in 0..300_u32 {
                raft.propose(number.to_be_bytes().to_vec(), out).unwrap();
            }
        });
        rig.run(500);
        let (index, _, hash) = rig.machine(leader).state;
        for id in others(&rig, laggard) {
            let state = hash.to_be_bytes().to_vec();
            rig.call(id, |raft, out| raft.compact(Index(index), state, out));
        }
        assert_eq!(rig.machine(leader).disk.compacted().0, index);
        rig.start(laggard);
        rig.run(30);
        rig.loss = 80;
        rig.run(1500);
        rig.loss = 0;
        rig.run(6000);
        assert!(all_applied(&rig, index), "seed {seed}: {}", rig.trace);
        assert!(rig.machines[&laggard].halted.is_none(), "{:?}", rig.machines[&laggard].halted);
        assert!(rig.installs >= 1, "seed {seed}: {}", rig.trace);
        let leader = rig.leader().unwrap();
        assert_eq!(rig.machines[&laggard].state, rig.machines[&leader].state);
    }
}

#[test]
fn a_restart_from_disk_gives_the_same_state() {
    let (mut rig, leader) = settled(3, 6);
    rig.snapshot_every = 10;
    for id in rig.peers() {
        rig.kill(id);
        rig.start(id);
    }
    assert!(rig.run_until(3000, |rig| rig.leader().is_some()).is_some());
    rig.run(300);
    let leader = rig.leader().unwrap_or(leader);
    for number in 0..55_u8 {
        rig.propose(leader, &[number]);
    }
    rig.run(500);
    let state = rig.machine(leader).state;
    assert!(rig.machine(leader).disk.compacted().0 >= 50);
    let settings = Settings { me: leader, peers: rig.peers(), seed: 6, snapshot_every: 10 };
    let mut out = Vec::new();
    Raft::new(settings, rig.machine(leader).disk.clone()).tick(&mut out);
    let installed = out.iter().find_map(|output| {
        if let Output::Install { index, .. } = output { Some(index.0) } else { None }
    });
    let applied = out.iter().filter(|output| matches!(output, Output::Apply { .. })).count() as u64;
    assert_eq!(installed.unwrap() + applied, state.0);
    rig.kill(leader);
    rig.start(leader);
    rig.run(100);
    assert!(rig.machine(leader).state.0 >= state.0, "nothing committed is forgotten");
}

#[test]
fn a_read_needs_a_majority_and_waits_for_the_leaders_first_commit() {
    let (mut rig, leader) = settled(3, 7);
    assert!(rig.read(leader, 1));
    assert!(rig.machine(leader).ready.is_empty(), "not before anyone has answered");
    rig.run(50);
    assert_eq!(rig.machine(leader).ready.len(), 1);
    rig.isolate(leader);
    assert!(rig.read(leader, 2));
    rig.run(3000);
    rig.heal();
    rig.run(3000);
    assert_eq!(rig.machine(leader).ready.len(), 1, "an old leader's read is never answered");
    let follower = others(&rig, rig.leader().unwrap())[0];
    assert!(!rig.read(follower, 3));

    // A leader that cannot commit yet takes the question and answers it later.
    let mut rig = Rig::new(3, 8);
    rig.run_until(3000, |rig| rig.leader().is_some()).unwrap();
    let leader = rig.leader().unwrap();
    assert!(rig.read(leader, 4));
    rig.run(100);
    assert_eq!(rig.machine(leader).ready.iter().map(|read| read.0).collect::<Vec<_>>(), [4]);
}

#[test]
fn the_tail_shows_what_is_held_but_not_committed() {
    let (mut rig, leader) = settled(3, 9);
    let follower = others(&rig, leader)[0];
    let third = others(&rig, leader)[1];
    rig.kill(third);
    rig.cut.insert((follower, leader));
    assert!(rig.propose(leader, b"intent"));
    rig.run(20);
    for id in [leader, follower] {
        let tail: Vec<_> =
            rig.raft(id).tail(Index(0)).map(|(_, _, command)| command.to_vec()).collect();
        assert_eq!(tail, [b"intent".to_vec()], "{id}");
    }
    let disk = rig.machine(follower).disk.clone();
    assert!(disk.entries_after(disk.commit()).any(|(_, _, command)| command == b"intent"));
}

#[test]
fn a_leader_knows_what_each_controller_holds() {
    let (mut rig, leader) = settled(3, 10);
    assert!(rig.propose(leader, b"x"));
    rig.run(100);
    let last = rig.raft(leader).last_index();
    assert_eq!(rig.raft(leader).matched(), [1, 2, 3].map(|id| (PeerId(id), last)));
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_by_byte() {
    let trace = |seed| {
        let (mut rig, _) = settled(5, seed);
        rig.loss = 10;
        rig.doubled = 10;
        rig.delay = 60;
        for round in 0..20_u8 {
            if let Some(leader) = rig.leader() {
                rig.propose(leader, &[round]);
            }
            rig.run(100);
        }
        rig.trace
    };
    for seed in 0..10 {
        assert!(trace(seed) == trace(seed), "seed {seed} does not replay");
    }
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_losing_candidates_votes_are_not_kept() {
    // Of five, a candidate has two votes when it times out; a late third vote of that term must
    // not make it leader of the next.
    let (mut rig, leader) = settled(5, 11);
    let others = others(&rig, leader);
    rig.kill(leader);
    let candidate = others[0];
    let before = rig.raft(candidate).term().0;
    for id in &others[1..] {
        rig.kill(*id);
    }
    let say = |rig: &mut Rig, from: PeerId, body: Body, term: u64| {
        let message = Message { term, heard: 0, body };
        rig.call(candidate, |raft, out| raft.step(from, message, out));
    };
    let none = Committed { index: 0, term: 0 };
    let pre = || Body::PreVoteReply { granted: true, committed: none };
    let vote = || Body::VoteReply { granted: true, committed: none };
    let campaign = |rig: &mut Rig, term: u64| {
        let asks = format!("pre-vote? term={term} ");
        assert!(rig.run_until(5000, |rig| rig.trace.contains(&asks)).is_some(), "{asks}");
        say(rig, others[1], pre(), term);
        say(rig, others[2], pre(), term);
        assert_eq!(rig.raft(candidate).term().0, term);
    };
    campaign(&mut rig, before + 1);
    say(&mut rig, others[1], vote(), before + 1);
    campaign(&mut rig, before + 2);
    say(&mut rig, others[2], vote(), before + 1);
    say(&mut rig, others[3], vote(), before + 1);
    assert!(!rig.raft(candidate).is_leader(), "late votes of a lost election");
    say(&mut rig, others[1], vote(), before + 2);
    assert!(!rig.raft(candidate).is_leader());
    say(&mut rig, others[3], vote(), before + 2);
    assert!(rig.raft(candidate).is_leader());
}

#[test]
fn a_rolled_back_disk_is_found_out_by_the_others() {
    let (mut rig, leader) = settled(3, 12);
    let victim = others(&rig, leader)[0];
    let image = rig.machine(victim).disk.clone();
    // Same term: the leader holds its word for entries that are gone.
    assert!(rig.propose(leader, b"x"));
    rig.run(200);
    rig.kill(victim);
    rig.machine(victim).disk = image.clone();
    rig.start(victim);
    rig.run(1000);
    let reason = rig.machine(victim).halted.clone().expect("halts");
    assert!(reason.contains("entries are gone"), "{reason}");

    // A later term: everybody has heard it in a term that its disk no longer knows.
    let (mut rig, leader) = settled(3, 12);
    let victim = others(&rig, leader)[0];
    rig.kill(leader);
    rig.run(3000);
    rig.kill(victim);
    rig.machine(victim).disk = image;
    rig.start(victim);
    rig.run(1000);
    let reason = rig.machine(victim).halted.clone().expect("halts");
    assert!(reason.contains("older than its word"), "{reason}");
}

#[test]
fn a_vote_outlives_a_crash() {
    let ask = |disk: &Restored, from: PeerId| {
        let settings = Settings {
            me: PeerId(1),
            peers: [1, 2, 3].map(PeerId).to_vec(),
            seed: 0,
            snapshot_every: 1000,
        };
        let committed = Committed { index: 0, term: 0 };
        let body = Body::Vote { last: 0, last_term: 0, committed, forced: false };
        let mut out = Vec::new();
        let mut raft = Raft::new(settings, disk.clone());
        raft.step(from, Message { term: 5, heard: 0, body }, &mut out);
        let persist = out.iter().position(|output| matches!(output, Output::Persist(_)));
        let yes = out.iter().position(|output| output.to_string().contains("vote yes"));
        let mut disk = disk.clone();
        for output in &out {
            if let Output::Persist(write) = output {
                disk.absorb(write).unwrap();
            }
        }
        assert!(yes.is_none() || persist.is_none() || persist < yes, "durable, then sent");
        (disk, yes.is_some())
    };
    let (disk, yes) = ask(&Restored::default(), PeerId(2));
    assert!(yes);
    assert!(ask(&disk, PeerId(2)).1, "the same vote may be said twice");
    assert!(!ask(&disk, PeerId(3)).1, "but not to another");
    let mut forgot = disk.clone();
    forgot.forget_vote();
    assert!(ask(&forgot, PeerId(3)).1, "the question above can be answered with yes");
}

#[test]
#[should_panic(expected = "on 0 disks only")]
fn an_apply_without_a_majority_of_disks_is_seen() {
    Rig::new(3, 14).applied(PeerId(1), Index(1), Term(1), b"alone");
}
