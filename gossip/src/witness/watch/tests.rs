//! A witness among twenty members.

use super::*;

const SUSPECT: Uuid = Uuid::from_u128(100);
const BOOT: Uuid = Uuid::from_u128(200);
const LEADER: Uuid = Uuid::from_u128(300);

fn peer(id: u128) -> Peer {
    Peer { id: Uuid::from_u128(id), ping: ([10, 0, 0, id as u8], 7002).into() }
}

fn watch(ask: u64) -> Watch {
    let addr = peer(100).ping;
    Watch { ask, asked_by: LEADER, suspect: SUSPECT, boot: BOOT, addr, lasts_ms: 60_000 }
}

/// Runs a witness among members 1 to 20 against a world that answers for those that `answers`
/// names, after 1 ms. Collects reports with their time in milliseconds.
struct World {
    witness: Witness,
    now: Duration,
    reports: Vec<(u128, Report)>,
    pings: u32,
}

impl World {
    fn new() -> Self {
        let witness = Witness::new(Uuid::from_u128(1), 1);
        Self { witness, now: Duration::from_secs(9), reports: Vec::new(), pings: 0 }
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        self.witness.handle(self.now, event, (1..=20).chain([100]).map(peer), &mut out);
        for effect in &out {
            if let Effect::Report(report) = effect {
                self.reports.push((self.now.as_millis() - 9000, *report));
            }
        }
        out
    }

    fn run(&mut self, millis: u64, answers: impl Fn(u128) -> bool) {
        let end = self.now + Duration::from_millis(millis);
        while let Some((at, _)) = self.witness.poll_timeout().filter(|(at, _)| *at < end) {
            self.now = self.now.max(at);
            for effect in self.event(Event::Timeout) {
                let Effect::Ping { to, nonce } = effect else { continue };
                self.pings += 1;
                let SocketAddr::V4(to) = to else { continue };
                let id = u128::from(to.ip().octets()[3]);
                assert_ne!(id, 1, "a witness never pings itself");
                if answers(id) {
                    let id = Uuid::from_u128(id);
                    self.event(Event::Pong { nonce, id, boot: BOOT });
                }
            }
        }
        self.now = end;
    }
}

#[test]
fn a_silent_suspect_is_reported_every_quarter_second_and_at_once_when_t_obs_is_over() {
    let mut world = World::new();
    world.event(Event::Watch(watch(1)));
    world.run(2000, |id| id != 100);
    let over: Vec<_> = world.reports.iter().filter(|(_, r)| r.unanswered_ms >= 1500).collect();
    assert_eq!(over[0].0, 1500);
    assert!(world.reports.len() >= 6 && world.reports.windows(2).all(|w| w[1].0 - w[0].0 <= 300));
    for (_, report) in &world.reports {
        assert_eq!((report.answers, report.control_asked, report.control_silent), (0, 7, 0));
    }
    assert_eq!(world.pings, 20 * 8);
}

#[test]
fn the_first_answer_is_reported_at_once() {
    let mut world = World::new();
    world.event(Event::Watch(watch(1)));
    world.run(2000, |id| id != 100);
    world.reports.clear();
    world.run(100, |_| true);
    assert!(world.reports.iter().any(|(at, r)| *at == 2000 && r.answers == 1));
}

#[test]
fn an_observer_in_the_dark_has_no_voice_before_it_calls_anybody_unreachable() {
    let mut world = World::new();
    world.event(Event::Watch(watch(1)));
    world.run(1000, |_| true);
    world.run(9000, |_| false);
    let bad: Vec<_> = world.reports.iter().filter(|(_, r)| r.unanswered_ms >= 1400).collect();
    assert!(bad.len() > 20);
    assert!(bad.iter().all(|(_, r)| r.control_silent >= 6 && !r.is_sound()), "{bad:?}");
}

#[test]
fn a_new_ask_of_the_same_controller_goes_on_with_what_was_seen() {
    let mut world = World::new();
    world.event(Event::Watch(watch(1)));
    world.run(1000, |id| id != 100);
    world.event(Event::Watch(watch(2)));
    world.reports.clear();
    world.run(600, |id| id != 100);
    assert!(world.reports.iter().all(|(_, r)| r.ask == 2));
    assert!(world.reports.iter().any(|(_, r)| r.unanswered_ms >= 1500));
}

#[test]
fn a_watch_ends_when_told_and_when_its_ask_ends() {
    let mut world = World::new();
    world.event(Event::Watch(watch(1)));
    world.event(Event::Unwatch { ask: 2 });
    assert!(world.witness.poll_timeout().is_some());
    world.event(Event::Unwatch { ask: 1 });
    assert_eq!(world.witness.poll_timeout(), None);
    world.event(Event::Watch(Watch { lasts_ms: u32::MAX, ..watch(3) }));
    world.run(59_900, |_| true);
    assert!(world.witness.poll_timeout().is_some());
    world.run(300, |_| true);
    assert_eq!((world.witness.poll_timeout(), world.witness.control.len()), (None, 0));
}

#[test]
fn a_late_or_foreign_answer_is_never_taken_for_a_new_one() {
    let mut world = World::new();
    world.event(Event::Watch(watch(1)));
    let old = world.event(Event::Timeout);
    let Effect::Ping { nonce, .. } = old[0] else { panic!("{old:?}") };
    world.event(Event::Pong { nonce, id: Uuid::from_u128(5), boot: BOOT });
    world.event(Event::Pong { nonce: nonce ^ 1, id: SUSPECT, boot: BOOT });
    assert!(world.reports.is_empty());
    world.run(1000, |id| id != 100);
    world.event(Event::Pong { nonce, id: SUSPECT, boot: BOOT });
    let (_, report) = world.reports.pop().unwrap();
    assert_eq!((report.unanswered_ms, report.answers), (1000, 1), "it proves the time it was sent");
    world.run(1000, |id| id != 100);
    world.reports.clear();
    world.event(Event::Pong { nonce, id: SUSPECT, boot: BOOT });
    assert!(world.reports.is_empty());
}

#[test]
fn time_in_which_the_witness_stood_still_is_nobodys_silence() {
    let mut world = World::new();
    world.event(Event::Watch(watch(1)));
    world.run(1000, |_| true);
    world.now += Duration::from_secs(20);
    world.reports.clear();
    world.run(300, |_| true);
    assert!(world.reports.iter().all(|(_, r)| r.unanswered_ms < 500 && r.control_silent == 0));
}

#[test]
fn another_boot_is_seen_and_asks_beyond_the_cap_are_refused() {
    let mut world = World::new();
    world.event(Event::Watch(Watch { boot: Uuid::from_u128(9), ..watch(1) }));
    world.run(300, |_| true);
    let (_, report) = world.reports.pop().unwrap();
    assert_eq!((report.boot, report.boot_seen), (Uuid::from_u128(9), Some(BOOT)));
    for suspect in 0..100 {
        let suspect = Uuid::from_u128(1000 + suspect);
        world.event(Event::Watch(Watch { suspect, ..watch(2) }));
    }
    assert_eq!(world.witness.suspects().count(), MAX_WATCHES);
    assert_eq!(world.witness.refused(), 100 - 63);
}

#[test]
fn the_end_of_t_obs_is_told_when_it_comes_also_where_rounds_are_late() {
    let mut world = World::new();
    world.event(Event::Watch(watch(1)));
    while let Some((at, _)) = world.witness.poll_timeout().filter(|(at, _)| *at < ms(11_000)) {
        // Each timer fires 3 ms late, and each round begins 3 ms later than the one before it should have.
        world.now = at + ms(3);
        world.event(Event::Timeout);
    }
    let over = world.reports.iter().find(|(_, report)| report.unanswered_ms >= 1500);
    assert_eq!(over.map(|(at, _)| *at), Some(1503));
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
