use super::*;
use std::collections::BTreeSet;

struct World {
    sweep: Sweep,
    now: Duration,
    out: Vec<(u64, Effect)>,
}

impl World {
    fn new(members: u16) -> Self {
        Self::on(Stagger::default(), members)
    }

    fn on(stagger: Stagger, members: u16) -> Self {
        let mut sweep = Sweep::new(stagger, 7);
        for id in 1..=members {
            sweep.add(Duration::ZERO, Uuid::from_u128(id.into()), at(id));
        }
        Self { sweep, now: Duration::ZERO, out: Vec::new() }
    }

    /// `answers(member, time)`: whether a ping sent then is answered.
    fn run(&mut self, millis: u64, answers: impl Fn(u16, u64) -> bool) {
        let end = self.now + Duration::from_millis(millis);
        while let Some((time, _)) = self.sweep.poll_timeout().filter(|(time, _)| *time < end) {
            self.now = self.now.max(time);
            let mut out = Vec::new();
            self.sweep.handle(self.now, Event::Timeout, &mut out);
            let millis = self.now.as_millis() as u64;
            for effect in out.clone() {
                if let Effect::Ping { to, nonce } = effect
                    && answers(to.port(), millis)
                {
                    let id = Uuid::from_u128(to.port().into());
                    let pong = Event::Pong { nonce, id, boot: id };
                    self.sweep.handle(self.now, pong, &mut out);
                }
            }
            self.out.extend(out.into_iter().map(|effect| (millis, effect)));
        }
        self.now = end;
    }

    fn finished(&self) -> Vec<(u32, u32)> {
        let finished = self.out.iter().filter_map(|(_, effect)| match effect {
            Effect::Finished { asked, missed } => Some((*asked, *missed)),
            Effect::Ping { .. } | Effect::Missed { .. } | Effect::Answered { .. } => None,
        });
        finished.collect()
    }
}

fn at(id: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], id))
}

#[test]
fn every_member_is_asked_each_second_in_its_own_place_and_all_are_spread() {
    let mut world = World::new(100);
    world.run(2500, |_, _| true);
    assert_eq!(world.finished(), [(100, 0), (100, 0)]);
    let mut orders = [Vec::new(), Vec::new(), Vec::new()];
    for (millis, effect) in &world.out {
        if let Effect::Ping { to, .. } = effect {
            orders[(millis / 1000) as usize].push((to.port(), *millis));
        }
    }
    assert_eq!(orders[0].iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().len(), 100);
    let in_a_second: Vec<_> = orders[0].iter().map(|(id, at)| (*id, at + 1000)).collect();
    assert_eq!(in_a_second, orders[1]);
    assert!(!orders[0].is_sorted(), "by lot");
    assert!(orders[0][99].1 - orders[0][0].1 > 600);
}

#[test]
fn a_death_is_found_within_1300_ms_whenever_it_comes() {
    let latest = (1..=100).map(|id| {
        let mut world = World::new(100);
        let died = 3000 + u64::from(id) * 17;
        world.run(6000, |asked, at| asked != id || at < died);
        let missed = Effect::Missed { member: Uuid::from_u128(id.into()) };
        let (found, _) = *world.out.iter().find(|(_, effect)| *effect == missed).unwrap();
        found - died
    });
    let latest = latest.max().unwrap();
    assert!((1200..=1300).contains(&latest), "{latest} ms");
}

#[test]
fn on_three_networks_a_death_is_found_within_650_ms_even_after_a_stall() {
    let latest = (1..=50).map(|id| {
        let died = 8000 + u64::from(id) * 37;
        let missed = Effect::Missed { member: Uuid::from_u128(id.into()) };
        let found = (0..3).map(|place| {
            let mut world = World::on(Stagger::of(9, place, 3), 50);
            world.run(2100, |_, _| true);
            // All stood still together.
            world.now += Duration::from_millis(1234);
            world.run(9000, |asked, at| asked != id || at < died);
            let (found, _) = *world.out.iter().find(|(_, effect)| *effect == missed).unwrap();
            found - died
        });
        found.min().unwrap()
    });
    let latest = latest.max().unwrap();
    assert!((600..=650).contains(&latest), "{latest} ms");
}

#[test]
fn a_member_is_missed_after_three_tries_and_not_after_two() {
    let mut world = World::new(10);
    world.run(1001, |id, _| id != 3);
    assert_eq!(world.finished(), [(10, 1)]);
    let to_three: Vec<_> = world
        .out
        .iter()
        .filter(|(_, e)| matches!(e, Effect::Ping { to, .. } if *to == at(3)))
        .map(|(millis, _)| *millis)
        .collect();
    assert_eq!((to_three.len(), to_three[2] - to_three[0]), (3, 200));
    let first = to_three[0];
    let mut world = World::new(10);
    world.run(1001, |id, millis| id != 3 || millis >= first + 200);
    assert_eq!(world.finished(), [(10, 0)]);
    let unanswered = |(_, effect): &(u64, Effect)| match effect {
        Effect::Answered { member, unanswered, .. } => {
            (*member == Uuid::from_u128(3)).then_some(*unanswered)
        }
        Effect::Ping { .. } | Effect::Missed { .. } | Effect::Finished { .. } => None,
    };
    assert_eq!(world.out.iter().filter_map(unanswered).collect::<Vec<_>>(), [2]);
}

#[test]
fn nobody_is_woken_for_members_that_have_answered() {
    let mut sweep = Sweep::new(Stagger::default(), 7);
    (1..=10).for_each(|id| sweep.add(Duration::ZERO, Uuid::from_u128(id.into()), at(id)));
    let (mut wakes, mut now) = (0, Duration::ZERO);
    while let Some((time, _)) = sweep.poll_timeout().filter(|(t, _)| t.as_millis() < 10_500) {
        (wakes, now) = (wakes + 1, now.max(time));
        let mut out = Vec::new();
        sweep.handle(now, Event::Timeout, &mut out);
        for effect in out.clone() {
            let Effect::Ping { to, nonce } = effect else { continue };
            let id = Uuid::from_u128(to.port().into());
            sweep.handle(now, Event::Pong { nonce, id, boot: id }, &mut out);
        }
    }
    // One for each first try, and the end of a sweep, which begins the next.
    assert!(wakes <= 11 * 11, "{wakes}");
}

#[test]
fn the_long_gone_count_neither_way_and_are_still_pinged() {
    let mut world = World::new(10);
    world.run(70_500, |id, _| id != 3);
    let finished = world.finished();
    assert_eq!((finished[0], finished[55], finished[68]), ((10, 1), (10, 1), (9, 0)));
    assert!(finished.iter().all(|(asked, missed)| asked - missed == 9), "{finished:?}");
    world.run(3000, |_, _| true);
    assert_eq!(world.finished().last(), Some(&(10, 0)));
}

#[test]
fn a_controller_that_stood_still_misses_nobody() {
    let mut world = World::new(10);
    world.run(1200, |_, _| true);
    world.now += Duration::from_secs(30);
    world.out.clear();
    // It waits for its turn: 31.2 s is none, 32 s is.
    world.run(2900, |_, _| true);
    assert!(!world.out.iter().any(|(_, effect)| matches!(effect, Effect::Missed { .. })));
    assert_eq!(world.finished(), [(10, 0), (10, 0)]);
}

#[test]
fn an_answer_counts_only_with_its_nonce_and_its_id() {
    let mut world = World::new(1);
    let mut out = Vec::new();
    world.sweep.handle(Duration::ZERO, Event::Timeout, &mut out);
    world.sweep.handle(Duration::ZERO, Event::Timeout, &mut out);
    let [Effect::Ping { nonce, .. }] = out[..] else { panic!("{out:?}") };
    let id = Uuid::from_u128(1);
    for (nonce, id) in [(nonce ^ 1, id), (nonce, Uuid::from_u128(2)), (nonce, id), (nonce, id)] {
        world.sweep.handle(Duration::ZERO, Event::Pong { nonce, id, boot: id }, &mut out);
    }
    assert_eq!(out[1..], [Effect::Answered { member: id, boot: id, unanswered: 0 }]);
    world.sweep.remove(id);
    world.run(3000, |_, _| false);
    assert!(!world.out.iter().any(|(_, effect)| matches!(effect, Effect::Missed { .. })));
}
