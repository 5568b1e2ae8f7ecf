//! The client core against the stand-in core, on a wire that loses, doubles and delays, in virtual
//! time. Every run follows from its seed, which a failure prints.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use fencing::bmc::ipmi::{Config, Effect, Event, Pace, Session};
use fencing::bmc::{
    Ask, CipherSuite, Failure, Identity, Power, Privilege, Refusal, Reply, Secret, Step,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Behaviour, BmcServer, Chassis, Login, Settings, Switch};

const GUID: Identity = Identity([0x42; 16]);

/// A BMC, its node, and the way to it.
struct World {
    server: BmcServer,
    node: Switch,
    now: Duration,
    rng: ChaCha8Rng,
    /// Percent of datagrams lost in each direction.
    loss: u32,
    /// Percent of datagrams that arrive twice.
    double: u32,
    /// A datagram takes up to this long, so later ones overtake it.
    delay: Duration,
    sessions: u16,
}

enum Flight {
    ToBmc(SocketAddr, Vec<u8>),
    ToClient(Vec<u8>),
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let settings = Settings::new("fence", "secret", GUID.0, rng.random());
        Self {
            server: BmcServer::new(settings),
            node: Switch::new(true),
            now: Duration::ZERO,
            rng,
            loss: 0,
            double: 0,
            delay: Duration::from_millis(1),
            sessions: 0,
        }
    }

    fn config(&self, ask: Ask) -> Config {
        Config {
            user: "fence".into(),
            password: Secret::new("secret".into()),
            suites: vec![CipherSuite::S17],
            privilege: Privilege::Operator,
            ask,
            expect: None,
            deadline: Duration::from_secs(30),
            pace: Pace::default(),
        }
    }

    fn ask(&mut self, ask: Ask) -> Reply {
        let config = self.config(ask);
        self.ask_as(config)
    }

    fn ask_as(&mut self, config: Config) -> Reply {
        self.sessions += 1;
        let from = SocketAddr::from(([127, 0, 0, 9], 40_000 + self.sessions));
        let mut session = Session::new(config, self.rng.random());
        let mut wire: BTreeMap<(Duration, u64), Flight> = BTreeMap::new();
        let mut effects = Vec::new();
        loop {
            let flight = wire.first_key_value().map(|((at, _), _)| *at);
            let timeout = session.poll_timeout().map(|(due, _)| due);
            let due = flight.into_iter().chain(timeout).min().expect("it ends with a reply");
            self.now = self.now.max(due);
            match wire.pop_first() {
                Some((_, Flight::ToBmc(from, datagram))) if flight == Some(due) => {
                    for answer in self.server.handle(self.now, from, &datagram, &mut self.node) {
                        self.launch(&mut wire, &Flight::ToClient(answer));
                    }
                }
                Some((_, Flight::ToClient(datagram))) if flight == Some(due) => {
                    session.handle(self.now, Event::Datagram(&datagram), &mut effects);
                }
                other => {
                    wire.extend(other);
                    session.handle(self.now, Event::Timeout, &mut effects);
                }
            }
            for effect in effects.drain(..) {
                match effect {
                    Effect::Send(datagram) => {
                        self.launch(&mut wire, &Flight::ToBmc(from, datagram));
                    }
                    Effect::Done(reply) => return reply,
                }
            }
        }
    }

    fn launch(&mut self, wire: &mut BTreeMap<(Duration, u64), Flight>, flight: &Flight) {
        let copies = if self.rng.random_range(0..100) < self.double { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.random_range(0..100) < self.loss {
                continue;
            }
            let at = self.now + self.delay.mul_f64(self.rng.random_range(0.1..1.0));
            let copy = match flight {
                Flight::ToBmc(from, datagram) => Flight::ToBmc(*from, datagram.clone()),
                Flight::ToClient(datagram) => Flight::ToClient(datagram.clone()),
            };
            wire.insert((at, self.rng.next_u64()), copy);
        }
    }
}

fn read(power: Power) -> Reply {
    Reply::Read { power, identity: Some(GUID) }
}

const OFF_OK: Reply = Reply::OffSent { identity: Some(GUID), refused: None };

#[test]
fn off_then_read_says_off_in_both_suites() {
    for suite in [CipherSuite::S17, CipherSuite::S3] {
        let mut world = World::new(1);
        let config = Config { suites: vec![suite], ..world.config(Ask::Off) };
        assert_eq!(world.ask_as(config), OFF_OK);
        assert_eq!(world.ask(Ask::Read), read(Power::Off));
        assert!(!world.node.power());
        assert_eq!(world.server.controls(), 1);
    }
}

#[test]
fn every_session_gives_its_slot_back() {
    let mut world = World::new(2);
    for _ in 0..40 {
        assert_eq!(world.ask(Ask::Read), read(Power::On));
    }
    // The last answer is on its way when the client is done; the slot is free by then.
    assert_eq!(world.server.sessions(), 0);
}

#[test]
fn each_misbehaviour_gives_the_reply_that_tells_it() {
    let silent = Reply::Failed(Failure::NoAnswer);
    let full = Reply::Failed(Failure::SlotsFull);
    let refused = Reply::OffSent { identity: Some(GUID), refused: Some(Refusal::Completion(0xd5)) };
    let cases = [
        (Behaviour::Obeys, OFF_OK, read(Power::Off), false),
        (Behaviour::Slow(Duration::from_secs(5)), OFF_OK, read(Power::On), true),
        (Behaviour::Silent, silent.clone(), silent, true),
        (Behaviour::Stuck, OFF_OK, read(Power::On), true),
        (Behaviour::Lies, OFF_OK, read(Power::Off), true),
        (Behaviour::Refuses(0xd5), refused, read(Power::On), true),
        (Behaviour::SlotsFull, full.clone(), full, true),
    ];
    for (behaviour, off, read, powered) in cases {
        let mut world = World::new(3);
        world.server.behave(behaviour);
        assert_eq!(world.ask(Ask::Off), off, "{behaviour:?}");
        assert_eq!(world.ask(Ask::Read), read, "{behaviour:?}");
        assert_eq!(world.node.power(), powered, "{behaviour:?}");
    }
}

#[test]
fn a_slow_bmc_is_off_when_its_time_has_come_and_asking_again_does_not_put_it_off() {
    let mut world = World::new(4);
    world.server.behave(Behaviour::Slow(Duration::from_secs(5)));
    assert_eq!(world.ask(Ask::Off), OFF_OK);
    world.now += Duration::from_secs(3);
    assert_eq!(world.ask(Ask::Off), OFF_OK);
    assert_eq!(world.ask(Ask::Read), read(Power::On));
    world.now += Duration::from_secs(2);
    assert_eq!(world.ask(Ask::Read), read(Power::Off));
}

#[test]
fn a_wrong_login_is_told_apart() {
    for (login, user) in [
        (Login::Explains, Failure::UnknownUser),
        (Login::Ignores, Failure::WentSilent(Step::Rakp1)),
    ] {
        let mut world = World::new(5);
        world.server.settings.login = login;
        let config = Config { password: Secret::new("Secret".into()), ..world.config(Ask::Off) };
        assert_eq!(world.ask_as(config), Reply::Failed(Failure::WrongPassword));
        let config = Config { user: "nobody".into(), ..world.config(Ask::Off) };
        assert_eq!(world.ask_as(config), Reply::Failed(user));
        assert!(world.node.power());
    }
}

#[test]
fn a_user_below_operator_lacks_the_privilege() {
    let mut world = World::new(6);
    world.server.settings.limit = 2;
    assert_eq!(world.ask(Ask::Off), Reply::Failed(Failure::NoPrivilege));
    world.server.settings.limit = 3;
    let config = Config { privilege: Privilege::Admin, ..world.config(Ask::Off) };
    assert_eq!(world.ask_as(config), Reply::Failed(Failure::NoPrivilege));
    assert_eq!(world.ask(Ask::Off), OFF_OK);
}

#[test]
fn suite_3_is_used_only_by_opt_in() {
    let mut world = World::new(7);
    world.server.settings.suites = vec![CipherSuite::S3];
    assert_eq!(world.ask(Ask::Read), Reply::Failed(Failure::CipherRefused));
    let suites = vec![CipherSuite::S17, CipherSuite::S3];
    let config = Config { suites, ..world.config(Ask::Read) };
    assert_eq!(world.ask_as(config), read(Power::On));
}

#[test]
fn abandoned_sessions_fill_the_table_until_they_expire() {
    let mut world = World::new(8);
    world.loss = 100;
    world.server.settings.slots = 3;
    let from = SocketAddr::from(([127, 0, 0, 8], 1));
    for seed in 1..=3 {
        let mut session = Session::new(world.config(Ask::Read), [seed; 32]);
        let mut effects = Vec::new();
        // The capabilities twice without an answer, then Open Session, then nobody is there.
        for _ in 0..3 {
            let due = session.poll_timeout().map_or(Duration::ZERO, |(due, _)| due);
            session.handle(due, Event::Timeout, &mut effects);
        }
        for effect in effects {
            if let Effect::Send(datagram) = effect {
                world.server.handle(world.now, from, &datagram, &mut world.node);
            }
        }
    }
    world.loss = 0;
    assert_eq!(world.ask(Ask::Read), Reply::Failed(Failure::SlotsFull));
    world.now += Duration::from_secs(11);
    assert_eq!(world.ask(Ask::Read), read(Power::On));
}

/// At 20 % loss each way, with doubles and overtaking, nearly all questions are answered in time.
#[test]
fn on_a_bad_wire_nearly_all_is_answered_and_no_reply_is_false() {
    let (answered, asked) = on_a_wire(20, 10, Duration::from_millis(300));
    assert!(answered * 100 >= asked * 98, "only {answered} of {asked} were answered");
}

/// At half of all datagrams lost and 2 s there and back, many questions fail, but none falsely.
#[test]
fn on_a_hopeless_wire_no_reply_is_false() {
    let (answered, asked) = on_a_wire(50, 30, Duration::from_secs(2));
    assert!(answered > 0 && answered < asked, "{answered} of {asked}: the wire is not hopeless");
}

/// Read, off, read on each of many wires; panics at a false reply. Questions answered, and asked.
fn on_a_wire(loss: u32, double: u32, delay: Duration) -> (u32, u32) {
    let (mut answered, mut asked, mut longest) = (0, 0, Duration::ZERO);
    for seed in 0..300 {
        let mut world = World::new(seed);
        (world.loss, world.double, world.delay) = (loss, double, delay);
        for ask in [Ask::Read, Ask::Off, Ask::Read] {
            let before = world.node.power();
            let start = world.now;
            let reply = world.ask(ask);
            let after = world.node.power();
            asked += 1;
            longest = longest.max(world.now - start);
            match reply {
                Reply::Failed(Failure::Deadline | Failure::WentSilent(_)) => {}
                Reply::Failed(Failure::NoAnswer | Failure::SlotsFull) => {}
                Reply::Failed(failure) => panic!("seed {seed}: {failure}"),
                Reply::OffSent { identity, refused } => {
                    assert_eq!((ask, identity, refused), (Ask::Off, Some(GUID), None), "{seed}");
                    assert!(!after, "seed {seed}");
                    answered += 1;
                }
                Reply::Read { power, identity } => {
                    assert_eq!((ask, identity), (Ask::Read, Some(GUID)), "seed {seed}");
                    assert_eq!(power == Power::On, before && after, "seed {seed}");
                    answered += 1;
                }
            }
        }
    }
    assert!(longest <= Duration::from_secs(30), "{longest:?}");
    (answered, asked)
}

#[test]
fn hostile_datagrams_do_not_disturb_the_stand_in() {
    let mut world = World::new(10);
    for length in 0..400 {
        let mut datagram = vec![0; length % 200];
        world.rng.fill_bytes(&mut datagram);
        // Half of them get past the first header.
        let head = [6, 0, 0xff, 7, 6, [0x10, 0x12, 0x14, 0xc0][length % 4], 0, 0, 0, 0];
        if length % 2 == 0 {
            datagram.splice(..head.len().min(datagram.len()), head);
        }
        let from = SocketAddr::from(([127, 0, 0, 7], 7));
        world.server.handle(world.now, from, &datagram, &mut world.node);
    }
    assert!(world.node.power());
    assert_eq!(world.ask(Ask::Off), OFF_OK);
}
