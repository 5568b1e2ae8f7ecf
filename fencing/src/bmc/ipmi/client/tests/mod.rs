//! The client against a scripted peer. Against a whole stand-in BMC it is tested in `sim`, against
//! OpenIPMI's in `tests`.

mod peer;

use std::time::Duration;

use proptest::prelude::*;

use self::peer::{Peer, Wrong, converse, session};
use super::*;
use crate::bmc::ipmi::command::{
    APPLICATION, CHASSIS, CHASSIS_CONTROL, CHASSIS_STATUS, DEVICE_GUID, SYSTEM_GUID, code,
};
use crate::bmc::ipmi::rakp::Algorithms;
use crate::bmc::{Ask, CipherSuite, Failure, Identity, Power, Refusal, Reply, Secret, Step};

const GUID: Identity = Identity([0xa1; 16]);

#[test]
fn a_read_returns_power_and_identity_in_both_suites() {
    for suite in [CipherSuite::S17, CipherSuite::S3] {
        let mut session = session(Ask::Read, None, &[suite]);
        let reply = converse(&mut session, &mut Peer::default());
        assert_eq!(reply, Reply::Read { power: Power::On, identity: Some(GUID) });
    }
}

#[test]
fn an_off_is_one_hard_power_down() {
    let mut peer = Peer::default();
    let reply = converse(&mut session(Ask::Off, Some(GUID), &[CipherSuite::S17]), &mut peer);
    assert_eq!(reply, Reply::OffSent { identity: Some(GUID), refused: None });
    assert_eq!(peer.controls, [[0x00]]);
    assert!(peer.closed);
}

#[test]
fn no_off_is_sent_to_another_bmc_or_to_one_without_a_name() {
    for read in [Some(Identity([9; 16])), None] {
        let mut peer = Peer { guid: read, ..Peer::default() };
        let reply = converse(&mut session(Ask::Off, Some(GUID), &[CipherSuite::S17]), &mut peer);
        let failure = Failure::WrongIdentity { expected: GUID, read };
        assert_eq!(reply, Reply::Failed(failure));
        assert!(peer.controls.is_empty() && peer.closed);
    }
}

#[test]
fn a_refused_off_is_reported_with_its_code() {
    let mut peer = Peer::default();
    peer.codes.insert((CHASSIS, CHASSIS_CONTROL), vec![code::UNSPECIFIED]);
    let reply = converse(&mut session(Ask::Off, None, &[CipherSuite::S3]), &mut peer);
    assert_eq!(
        reply,
        Reply::OffSent { identity: Some(GUID), refused: Some(Refusal::Completion(0xff)) }
    );
}

#[test]
fn a_refused_or_short_status_is_never_off() {
    let mut peer = Peer::default();
    peer.codes.insert((CHASSIS, CHASSIS_STATUS), vec![code::UNSPECIFIED]);
    let reply = converse(&mut session(Ask::Read, None, &[CipherSuite::S3]), &mut peer);
    assert_eq!(reply, Reply::Failed(Failure::Refused { step: Step::Status, code: 0xff }));

    let mut peer = Peer { status: vec![0, 0], ..Peer::default() };
    let reply = converse(&mut session(Ask::Read, None, &[CipherSuite::S3]), &mut peer);
    assert_eq!(reply, Reply::Failed(Failure::Malformed("short chassis status".into())));
}

#[test]
fn the_device_guid_stands_in_for_a_refused_system_guid() {
    let mut peer = Peer::default();
    peer.codes.insert((APPLICATION, SYSTEM_GUID), vec![code::INVALID_COMMAND]);
    let reply = converse(&mut session(Ask::Read, None, &[CipherSuite::S17]), &mut peer);
    assert_eq!(reply, Reply::Read { power: Power::On, identity: Some(GUID) });
    assert!(peer.asked.contains(&(APPLICATION, DEVICE_GUID)));
}

#[test]
fn a_busy_bmc_is_asked_again_as_a_new_request() {
    let mut peer = Peer::default();
    peer.codes.insert((CHASSIS, CHASSIS_STATUS), vec![code::BUSY, code::BUSY]);
    let reply = converse(&mut session(Ask::Read, None, &[CipherSuite::S17]), &mut peer);
    assert_eq!(reply, Reply::Read { power: Power::On, identity: Some(GUID) });
    let numbers = &peer.status_numbers;
    assert!(numbers.len() == 3 && numbers.is_sorted() && numbers[0] != numbers[2], "{numbers:?}");
}

#[test]
fn a_late_answer_is_never_taken_for_a_new_one() {
    // The peer answers each command with the answer to an earlier one, numbered as that was.
    let mut peer = Peer { stale: true, ..Peer::default() };
    let reply = converse(&mut session(Ask::Read, None, &[CipherSuite::S17]), &mut peer);
    assert_eq!(reply, Reply::Failed(Failure::WentSilent(Step::SetPrivilege)));
}

#[test]
fn an_answer_that_names_another_algorithm_ends_the_session() {
    for named in [[0, 0, 0], [1, 1, 1], [3, 4, 0], [3, 0, 1], [63, 63, 63]] {
        let mut peer = Peer { named: Some(Algorithms(named)), ..Peer::default() };
        let suites = [CipherSuite::S17, CipherSuite::S3];
        let reply = converse(&mut session(Ask::Read, None, &suites), &mut peer);
        assert_eq!(reply, Reply::Failed(Failure::OtherAlgorithm), "{named:?}");
    }
}

#[test]
fn an_answer_that_is_not_ours_counts_as_none() {
    let unproved = Failure::Malformed("RAKP 4 proves nothing".into());
    let cases = [
        (Wrong::Tag, Failure::WentSilent(Step::OpenSession)),
        (Wrong::Console, Failure::WentSilent(Step::OpenSession)),
        (Wrong::Check, unproved),
        (Wrong::Session, Failure::WentSilent(Step::SetPrivilege)),
        (Wrong::Sequence, Failure::WentSilent(Step::SystemGuid)),
    ];
    for (wrong, failure) in cases {
        let mut peer = Peer { wrong: Some(wrong), ..Peer::default() };
        let reply = converse(&mut session(Ask::Off, None, &[CipherSuite::S17]), &mut peer);
        assert_eq!(reply, Reply::Failed(failure), "{wrong:?}");
        assert!(peer.controls.is_empty(), "{wrong:?}");
    }
}

#[test]
fn another_password_is_noticed_before_ours_is_proved() {
    let mut peer = Peer { password: Secret::new("other".into()), ..Peer::default() };
    let reply = converse(&mut session(Ask::Off, None, &[CipherSuite::S17]), &mut peer);
    assert_eq!(reply, Reply::Failed(Failure::WrongPassword));
    assert!(!peer.saw_rakp3);
}

#[test]
fn silence_is_no_answer_and_ends_in_time() {
    let mut session = session(Ask::Off, None, &[CipherSuite::S17]);
    let (mut effects, mut now) = (Vec::new(), Duration::ZERO);
    while let Some((due, _)) = session.poll_timeout() {
        now = now.max(due);
        session.handle(now, Event::Timeout, &mut effects);
    }
    let sent = effects.iter().filter(|effect| matches!(effect, Effect::Send(_))).count();
    assert_eq!(effects.pop(), Some(Effect::Done(Reply::Failed(Failure::NoAnswer))));
    assert_eq!(sent, 12, "2 for the capabilities, then Open Session until 10 s");
    assert_eq!(now, Duration::from_secs(10));
}

#[test]
fn unusable_settings_send_nothing() {
    let mut config = peer::config(Ask::Off, None, &[]);
    let mut effects = Vec::new();
    Session::new(config.clone(), [1; 32]).handle(Duration::ZERO, Event::Timeout, &mut effects);
    config.suites = vec![CipherSuite::S17];
    config.password = Secret::new("x".repeat(21));
    Session::new(config, [1; 32]).handle(Duration::ZERO, Event::Timeout, &mut effects);
    assert_eq!(effects.len(), 2);
    assert!(
        effects
            .iter()
            .all(|effect| matches!(effect, Effect::Done(Reply::Failed(Failure::Unusable(_)))))
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(datagrams in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..120), 0..20,
    )) {
        let mut session = session(Ask::Off, Some(GUID), &[CipherSuite::S17, CipherSuite::S3]);
        let mut effects = Vec::new();
        session.handle(Duration::ZERO, Event::Timeout, &mut effects);
        for datagram in &datagrams {
            session.handle(Duration::from_millis(1), Event::Datagram(datagram), &mut effects);
        }
        prop_assert!(!effects.iter().any(|effect| matches!(effect, Effect::Done(_))));
    }

    /// A byte is changed in, cut from or added to one answer anywhere in a whole conversation. It
    /// ends, and never with a power off that was not asked for or a power that was not said.
    #[test]
    fn a_mutated_answer_never_panics_nor_lies(
        at in 0usize..12, place in 0usize..200, bits in 1u8.., cut in any::<bool>(), off in any::<bool>(),
    ) {
        let ask = if off { Ask::Off } else { Ask::Read };
        let mut session = session(ask, Some(GUID), &[CipherSuite::S17, CipherSuite::S3]);
        let mut peer = Peer { mutate: Some((at, place, bits, cut)), ..Peer::default() };
        let reply = converse(&mut session, &mut peer);
        match reply {
            Reply::OffSent { identity, refused } => {
                prop_assert!(off && identity == Some(GUID) && refused.is_none());
            }
            Reply::Read { power, identity } => {
                prop_assert!(!off && power == Power::On && identity == Some(GUID));
            }
            Reply::Failed(_) => {}
        }
    }
}
