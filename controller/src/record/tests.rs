use std::collections::BTreeMap;
use std::net::SocketAddr;

use action_matrix::Matrix;
use fencing::ControllerId;
use fencing::lease::Profile;
use fencing::sign::KeyPair;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use ::record::{Reader, Title, Writer};

use super::*;
use crate::core::{Controller, Peer, Settings, Waits};
use crate::effect::Ticket;
use crate::raft::Restored;

const SECRET: [u8; 32] = *b"a private key that no one shall ";

fn settings() -> Settings {
    let matrix = Matrix::parse("default", action_matrix::DEFAULT).unwrap().matrix;
    let address = |port: u16| vec![SocketAddr::from(([127, 0, 0, 1], port)); 3];
    let peer = |id: u16| Peer {
        gossip: address(7000 + id),
        lease: address(7100 + id),
        key: KeyPair::from_seed(SECRET).public(),
        url: format!("http://controller-{id}"),
    };
    // Alone it leads, so that its journal has lines.
    Settings {
        ceiling: gossip::ceiling::Ceiling::new(20_000).ok(),
        cluster: Uuid::from_u128(1),
        me: ControllerId(1),
        controllers: BTreeMap::from([(ControllerId(1), peer(1))]),
        key: KeyPair::from_seed(SECRET),
        networks: matrix.networks().to_vec(),
        boot: Uuid::from_u128(2),
        starts: 3,
        times: Profile::Fast.times(),
        matrix,
        waits: Waits::default(),
        confirm_by_census: true,
        watchdog_test: true,
        nova: true,
        snapshot_every: 1000,
        recovery: crate::core::Recovery::default(),
        seed: 99,
    }
}

/// A record of a controller that elects itself and takes an order; its lines.
fn recorded(end: bool) -> (Vec<u8>, Vec<String>) {
    let (settings, mut lines) = (settings(), Vec::new());
    let mut restored = Restored::default();
    let mut to = Writer::new(Vec::new()).unwrap();
    to.put(&Title::of(PROGRAM)).unwrap();
    to.put(&Head::new(Duration::ZERO, 5, &settings, &restored)).unwrap();
    let mut out = Vec::new();
    let mut core = Controller::new(Duration::ZERO, settings, restored.clone(), &mut out);
    for step in 0..100 {
        let now = Duration::from_millis(50 * step);
        let request = api::Request::Noop { on: true };
        let event = match step {
            60 => Event::Order { ticket: Ticket(1), request },
            _ => Event::Timeout,
        };
        to.put(&Frame::Event { now, wall_ms: 5, event: Cow::Borrowed(&event) }).unwrap();
        out.clear();
        core.handle(now, 5, event, &mut out);
        for effect in &out {
            if let Effect::Persist(write) = effect {
                restored.absorb(write).unwrap();
            }
            if let Some(frame) = Frame::of_effect(effect) {
                to.put(&frame).unwrap();
                if let Effect::Journal(line) = effect {
                    lines.push(line.text.clone());
                }
            }
        }
    }
    if end {
        to.put(&Frame::End { why: "enough".to_owned() }).unwrap();
    }
    (to.into_inner(), lines)
}

fn ended(bytes: &[u8]) -> (Replayed, Vec<String>) {
    let mut told = Vec::new();
    let replayed = replay(bytes, |decision| told.push(decision.text.clone()));
    (replayed.unwrap_or_else(|error| panic!("{error}")), told)
}

#[test]
fn a_replay_decides_as_was_decided() {
    let (bytes, lines) = recorded(true);
    assert!(lines.iter().any(|line| line.starts_with("Noop on")), "{lines:?}");
    let (replayed, told) = ended(&bytes);
    assert_eq!((replayed.events, replayed.difference), (100, None));
    assert_eq!(told, lines);
    assert_eq!(replayed.end, End::Wanted("enough".to_owned()));
    assert!(replayed.core.registry().is_noop());
    assert_eq!((replayed.head.starts(), replayed.head.controller()), (3, ControllerId(1)));
}

#[test]
fn the_private_key_is_not_in_it() {
    let (bytes, _) = recorded(true);
    assert!(!bytes.windows(8).any(|window| window == &SECRET[..8]));
    let debug = format!("{:?}", Head::new(Duration::ZERO, 0, &settings(), &Restored::default()));
    assert!(!debug.contains("KeyPair"), "{debug}");
}

#[test]
fn another_line_than_was_said_is_a_difference() {
    let (bytes, lines) = recorded(true);
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    let mut to = Writer::new(Vec::new()).unwrap();
    let mut left_out = 0;
    to.put(&postcard::from_bytes::<Title>(&reader.payload().unwrap().unwrap()).unwrap()).unwrap();
    to.put(&postcard::from_bytes::<Head>(&reader.payload().unwrap().unwrap()).unwrap()).unwrap();
    while let Some(payload) = reader.payload().unwrap() {
        let frame: Frame<'_> = postcard::from_bytes(&payload).unwrap();
        if matches!(&frame, Frame::Line { text, .. } if text.starts_with("Noop on")) {
            left_out += 1;
            continue;
        }
        to.put(&frame).unwrap();
    }
    assert_eq!(left_out, 1);
    let (replayed, told) = ended(&to.into_inner());
    let difference = replayed.difference.expect("a difference");
    assert_eq!(difference.recorded, None);
    assert!(difference.to_string().contains("recorded  nothing"), "{difference}");
    assert!(difference.replayed.unwrap().text.starts_with("Noop on"));
    assert!(told.len() < lines.len());
}

#[test]
fn a_record_that_is_cut_anywhere_is_replayed_up_to_there() {
    let (bytes, lines) = recorded(true);
    let whole = ended(&bytes).0.events;
    let mut last = 0;
    for cut in (0..bytes.len()).step_by(7) {
        let Ok(replayed) = replay(&bytes[..cut], |_| {}) else { continue };
        assert_eq!(replayed.difference, None, "cut at {cut}");
        assert!(!matches!(replayed.end, End::Wanted(_)));
        assert!(replayed.events >= last && replayed.decisions <= lines.len() as u64);
        last = replayed.events;
    }
    assert_eq!(last, whole);
    let (bytes, _) = recorded(false);
    assert_eq!(ended(&bytes).0.end, End::Open);
}

#[test]
fn a_record_with_a_changed_byte_is_never_replayed_past_it() {
    let (bytes, _) = recorded(true);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..300 {
        let place = random.random_range(0..bytes.len());
        let mut changed = bytes.clone();
        changed[place] ^= 1 << random.random_range(0..8);
        match replay(changed.as_slice(), |_| {}) {
            Ok(replayed) => match replayed.end {
                End::Broken(broken) => assert!(broken.at <= place as u64),
                End::Wanted(_) | End::Open => panic!("byte {place} is not noticed"),
            },
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn garbage_ends_and_takes_no_memory() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let (bytes, _) = recorded(true);
    for round in 0..2000 {
        // Half of them behind a beginning that is right.
        let mut garbage = if round % 2 == 0 { bytes[..8].to_vec() } else { Vec::new() };
        garbage.extend((0..random.random_range(0..200)).map(|_| random.random::<u8>()));
        assert!(replay(garbage.as_slice(), |_| {}).is_err());
    }
    // A length that no file has: nothing of that size is asked for.
    let mut long = bytes[..8].to_vec();
    long.extend((100_u32 << 20).to_le_bytes());
    long.extend([0; 40]);
    let mut reader = Reader::new(long.as_slice()).unwrap();
    assert_eq!(reader.payload().unwrap_err().why, "it ends in the middle of a frame");
    let mut longer = bytes[..8].to_vec();
    longer.extend([0xff; 60]);
    let mut reader = Reader::new(longer.as_slice()).unwrap();
    assert!(reader.payload().unwrap_err().why.contains("cannot be"));
}

#[test]
fn another_version_is_refused_with_what_to_do() {
    let other = Title { version: "9.9.9".to_owned(), ..Title::of(PROGRAM) };
    let mut to = Writer::new(Vec::new()).unwrap();
    to.put(&other).unwrap();
    let error = replay(to.into_inner().as_slice(), |_| {}).err().unwrap().to_string();
    assert!(error.contains("replay it with 9.9.9"), "{error}");
    let mut format = recorded(true).0;
    format[7] = 9;
    let error = replay(format.as_slice(), |_| {}).err().unwrap().to_string();
    assert!(error.contains("its format is 9"), "{error}");
    let error = replay(b"journal".as_slice(), |_| {}).err().unwrap().to_string();
    assert!(error.contains("no record"), "{error}");
}

#[test]
fn a_beginning_that_no_controller_had_is_refused() {
    let mut wrong = settings();
    wrong.me = ControllerId(7);
    let head = Head::new(Duration::ZERO, 0, &wrong, &Restored::default());
    let mut to = Writer::new(Vec::new()).unwrap();
    to.put(&Title::of(PROGRAM)).unwrap();
    to.put(&head).unwrap();
    let error = replay(to.into_inner().as_slice(), |_| {}).err().unwrap().to_string();
    assert!(error.contains("with itself among them"), "{error}");
}
