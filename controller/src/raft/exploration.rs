//! Random histories with everything on: loss, delay, doubling, cuts, crashes at any write,
//! transfers, snapshots; then all faults off, and it must settle.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests may, and print their seeds")]

use super::PeerId;
use super::rig::{Breach, Crash, Rig};

fn fault(rig: &mut Rig) {
    let peers = rig.peers();
    let pick = |rig: &mut Rig| peers[rig.dice.below(peers.len() as u64) as usize];
    let one = pick(rig);
    match rig.dice.below(12) {
        0 | 1 => rig.machine(one).crash = Some(Crash::BeforePersist),
        2 | 3 => rig.machine(one).crash = Some(Crash::AfterPersist),
        4 => rig.kill(one),
        5 => {
            let two = pick(rig);
            rig.cut.insert((one, two));
        }
        6 => rig.isolate(one),
        7 => rig.heal(),
        8 => {
            let two = pick(rig);
            rig.call(one, |raft, out| raft.transfer(two, out));
        }
        9 => {
            if let Some(leader) = rig.leader() {
                rig.machine(leader).crash = Some(Crash::AfterPersist);
            }
        }
        _ => {
            let dead: Vec<PeerId> =
                peers.iter().copied().filter(|id| rig.machines[id].raft.is_none()).collect();
            for id in dead {
                rig.start(id);
            }
        }
    }
}

fn explore(peers: u64, seed: u64, breach: Breach) -> Rig {
    let mut rig = Rig::new(peers, seed);
    rig.breach = breach;
    // Swarm: each seed draws which faults are on.
    rig.loss = [0, 5, 20][rig.dice.below(3) as usize];
    rig.doubled = [0, 10][rig.dice.below(2) as usize];
    rig.delay = [4, 60, 300][rig.dice.below(3) as usize];
    rig.snapshot_every = [5, 20, 1000][rig.dice.below(3) as usize];
    let mut ticket = 0_u64;
    for round in 0..60_u64 {
        if rig.dice.percent(35) {
            fault(&mut rig);
        }
        for id in rig.peers() {
            ticket += 1;
            if rig.dice.percent(60) {
                rig.propose(id, &[&seed.to_be_bytes()[..], &round.to_be_bytes()].concat());
            }
            if rig.dice.percent(20) {
                rig.read(id, ticket);
            }
        }
        let ms = 20 + rig.dice.below(200);
        rig.run(ms);
        rig.check_log_matching();
    }
    settle(&mut rig, seed);
    rig
}

fn settle(rig: &mut Rig, seed: u64) {
    rig.heal();
    (rig.loss, rig.doubled, rig.delay) = (0, 0, 4);
    for id in rig.peers() {
        rig.machine(id).crash = None;
        if rig.machine(id).raft.is_none() {
            rig.start(id);
        }
    }
    rig.run(10_000);
    let leader = rig.leader().unwrap_or_else(|| panic!("seed {seed}: no leader"));
    assert!(rig.propose(leader, b"settled"), "seed {seed}");
    rig.run(3000);
    rig.check_log_matching();
    let state = rig.machine(leader).state;
    for (id, machine) in &rig.machines {
        assert!(machine.halted.is_none(), "seed {seed}: {id} {:?}", machine.halted);
        assert_eq!(machine.state, state, "seed {seed}: {id} differs");
    }
}

#[test]
fn no_history_breaks_a_raft_property_and_each_settles() {
    let (mut entries, mut terms, mut installs, mut restarts) = (0, 0, 0, 0);
    let mut reads = 0;
    for seed in 0..240 {
        let peers = if seed % 3 == 0 { 5 } else { 3 };
        let rig = explore(peers, 1000 + seed, Breach::None);
        entries += rig.history.len();
        terms += rig.leaders.len();
        installs += rig.installs;
        restarts += rig.trace.matches(" starts\n").count();
        reads += rig.machines.values().map(|machine| machine.ready.len()).sum::<usize>();
    }
    println!(
        "240 histories from seed 1000: {entries} entries, {terms} leaders, {installs} installs, \
         {restarts} starts, {reads} reads"
    );
    // A property that was never exercised proves nothing.
    assert!(entries > 1500 && terms > 300 && installs > 100 && restarts > 1000 && reads > 100);
}

/// The oracles are alive: a disk that forgets, or a shell that sends what is not durable, is found
/// out in some history, by an oracle or by a controller that halts.
#[test]
fn what_a_shell_must_not_do_is_found_out() {
    for breach in [Breach::LosesLastEntry, Breach::SendsBeforePersist] {
        let found = (0..60).find(|seed| {
            let run = || explore(if seed % 2 == 0 { 5 } else { 3 }, 5000 + seed, breach);
            std::panic::catch_unwind(run).is_err()
        });
        println!("{breach:?}: found with seed 5000 + {found:?}");
        assert!(found.is_some(), "{breach:?}");
    }
}
