use std::time::Duration;

use controller::nova::call::{Call, MigrationKind, MigrationStatus, Refusal, Reply, Written};
use uuid::Uuid;

use super::*;

const SERVER: Uuid = Uuid::from_u128(1);
const DEADLINE: Duration = Duration::from_secs(10);

/// Three computes, one server on `one`, and hypervisors that obey at once (or not, while `obedient` is off).
struct World {
    cloud: Cloud,
    now: Duration,
    obedient: bool,
    stopped: Vec<(String, Uuid)>,
}

impl World {
    fn new(settings: Settings) -> World {
        let mut cloud = Cloud::new(settings);
        for host in ["one", "two", "three"] {
            cloud.add_compute(Duration::ZERO, host);
        }
        cloud.place(SERVER, "vm-1", "one", Flavor::Tiny);
        World { cloud, now: Duration::ZERO, obedient: true, stopped: Vec::new() }
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some((at, _)) = self.cloud.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = at.max(self.now);
            self.cloud.poll(self.now);
            while let Some(order) = self.cloud.poll_order() {
                match order {
                    Order::Start { host, server } if self.obedient => {
                        self.cloud.guest_started(self.now, &host, server);
                    }
                    Order::Start { .. } => {}
                    Order::Stop { host, server } => self.stopped.push((host, server)),
                }
            }
        }
        self.now = end;
    }

    fn call(&mut self, call: Call) -> Reply {
        self.cloud.call(self.now, &call, DEADLINE).reply
    }

    fn written(&mut self, call: Call) -> Written {
        let reply = self.call(call);
        let Reply::Written(written) = reply else { panic!("{reply:?}") };
        written
    }

    fn service(&self, host: &str) -> ServiceRecord {
        self.cloud.services(self.now).into_iter().find(|row| row.host == host).unwrap()
    }

    fn lose(&mut self, host: &str) {
        self.cloud.machine_lost(self.now, host);
        let service = self.service(host).id;
        let disable = Some("holdfast".to_string());
        let end = self.written(Call::ForceDown { service, disable });
        assert!(matches!(end, Written::Done { .. }), "{end:?}");
    }

    fn evacuate(&mut self, to: Option<&str>) -> Written {
        let destination = to.map(str::to_string);
        self.written(Call::Evacuate { server: SERVER, destination })
    }

    fn server(&self) -> ServerRecord {
        self.cloud.servers().into_iter().find(|row| row.id == SERVER).unwrap()
    }

    fn statuses(&self) -> Vec<MigrationStatus> {
        self.cloud.migrations().into_iter().map(|row| row.status).collect()
    }
}

fn refusal(end: Written) -> Refusal {
    let Written::Refused(refused) = end else { panic!("{end:?}") };
    refused.meaning
}

fn accepted(end: &Written) -> bool {
    matches!(end, Written::Done { .. })
}

#[test]
fn an_evacuation_is_queued_then_claimed_then_done() {
    let mut world = World::new(Settings::default());
    assert_eq!(refusal(world.evacuate(None)), Refusal::SourceStillUp);
    world.lose("one");
    assert!(accepted(&world.evacuate(None)));
    assert_eq!(world.statuses(), [MigrationStatus::Accepted]);
    assert_eq!(world.server().status, "REBUILD");
    assert_eq!(world.server().host.as_deref(), Some("one"));
    world.obedient = false;
    world.run(5);
    assert_eq!(world.statuses(), [MigrationStatus::PreMigrating]);
    assert_eq!(world.server().host.as_deref(), Some("one"), "the host changes last");
    world.cloud.guest_started(world.now, "three", SERVER);
    world.run(1);
    assert_eq!(world.statuses(), [MigrationStatus::Done]);
    let server = world.server();
    assert_eq!((server.host.as_deref(), server.status.as_str()), (Some("three"), "ACTIVE"));
    assert_eq!(world.cloud.running_on(SERVER), ["three"]);
}

#[test]
fn a_source_that_returns_completes_its_records_and_only_then_may_be_up() {
    let mut world = World::new(Settings::default());
    world.lose("one");
    world.evacuate(Some("two"));
    world.run(5);
    let service = world.service("one").id;
    assert_eq!(
        refusal(world.written(Call::ClearForcedDown { service })),
        Refusal::DoneEvacuationsLeft
    );
    world.cloud.compute_started(world.now, "one");
    assert!(!world.service("one").up, "forced_down outlasts the start");
    assert_eq!(world.statuses(), [MigrationStatus::Completed]);
    assert!(accepted(&world.written(Call::ClearForcedDown { service })));
    let row = world.service("one");
    assert!(row.up && !row.enabled);
    assert!(accepted(&world.written(Call::Enable { service })));
}

#[test]
fn a_source_that_only_hung_cleans_nothing_up() {
    let mut world = World::new(Settings::default());
    let service = world.service("one").id;
    world.cloud.compute_stopped(world.now, "one");
    world.written(Call::ForceDown { service, disable: None });
    world.evacuate(Some("two"));
    world.run(5);
    // Never fenced: its guest has been running all the time.
    assert_eq!(world.cloud.running_on(SERVER), ["one", "two"]);
    world.cloud.compute_resumed(world.now, "one");
    assert_eq!(world.statuses(), [MigrationStatus::Done]);
    world.cloud.compute_started(world.now, "one");
    world.run(1);
    assert_eq!(world.cloud.running_on(SERVER), ["two"]);
    assert_eq!(world.cloud.poll_order(), Some(Order::Stop { host: "one".into(), server: SERVER }));
}

#[test]
fn a_second_evacuation_elsewhere_makes_two_guests() {
    let mut world = World::new(Settings::default());
    world.lose("one");
    assert!(accepted(&world.evacuate(Some("two"))));
    world.obedient = false;
    world.run(2);
    assert!(accepted(&world.evacuate(Some("three"))));
    world.run(2);
    for host in ["two", "three"] {
        world.cloud.guest_started(world.now, host, SERVER);
    }
    world.run(2);
    assert_eq!(world.cloud.running_on(SERVER), ["three", "two"]);
    assert_eq!(world.server().status, "ERROR");
    assert_eq!(world.statuses(), [MigrationStatus::Done, MigrationStatus::Failed]);
}

#[test]
fn a_second_evacuation_to_the_same_host_spoils_the_first() {
    let mut world = World::new(Settings::default());
    world.lose("one");
    world.evacuate(Some("two"));
    world.evacuate(Some("two"));
    world.run(5);
    assert_eq!(world.statuses(), [MigrationStatus::Accepted, MigrationStatus::Failed]);
    let server = world.server();
    assert_eq!((server.status.as_str(), server.host.as_deref()), ("ERROR", Some("two")));
    assert_eq!(world.cloud.running_on(SERVER), ["two"]);
}

#[test]
fn an_order_that_waited_for_a_dead_destination_is_carried_out_when_it_returns() {
    let mut world = World::new(Settings::default());
    world.lose("one");
    world.evacuate(Some("two"));
    world.cloud.compute_stopped(world.now, "two");
    world.run(30);
    assert_eq!(world.statuses(), [MigrationStatus::Accepted], "stuck");
    world.evacuate(Some("three"));
    world.run(5);
    assert_eq!(world.cloud.running_on(SERVER), ["three"]);
    world.cloud.compute_started(world.now, "two");
    world.run(5);
    assert_eq!(world.cloud.running_on(SERVER), ["three", "two"]);
    let server = world.server();
    assert_eq!((server.vm_state.as_str(), server.power_state), ("error", 0));
    assert_eq!(server.task_state.as_deref(), Some("rebuilding"));
}

#[test]
fn a_failure_after_the_spawn_leaves_the_guest() {
    let mut world = World::new(Settings::default());
    world.cloud.faults.fail_after_spawn.insert(SERVER);
    world.lose("one");
    world.evacuate(Some("two"));
    world.run(5);
    assert_eq!(world.statuses(), [MigrationStatus::Failed]);
    let server = world.server();
    assert_eq!((server.status.as_str(), server.host.as_deref()), ("ERROR", Some("one")));
    assert_eq!(world.cloud.running_on(SERVER), ["two"]);
    world.cloud.faults.fail_after_spawn.clear();
    assert!(accepted(&world.evacuate(Some("three"))));
    world.run(5);
    assert_eq!(world.cloud.running_on(SERVER), ["three", "two"]);
}

#[test]
fn without_room_the_server_is_in_error_and_forgets_that_it_was_off() {
    let mut world = World::new(Settings::default());
    world.cloud.set_state(SERVER, "stopped", None, 4);
    world.lose("one");
    for host in ["two", "three"] {
        let service = world.service(host).id;
        world.written(Call::Disable { service, reason: "holdfast test".into() });
    }
    assert!(accepted(&world.evacuate(None)), "200 means queued");
    world.run(5);
    assert_eq!(world.statuses(), [MigrationStatus::Error]);
    let server = world.server();
    assert_eq!((server.status.as_str(), server.power_state), ("ERROR", 4));
    assert!(server.fault.unwrap().starts_with("No valid host"));
    let service = world.service("two").id;
    world.written(Call::Enable { service });
    world.evacuate(None);
    world.run(5);
    assert_eq!(world.server().status, "ACTIVE");
}

#[test]
fn a_stopped_server_is_started_and_stopped_again() {
    let mut world = World::new(Settings::default());
    world.cloud.set_state(SERVER, "stopped", None, 4);
    world.lose("one");
    world.evacuate(Some("two"));
    world.run(5);
    let server = world.server();
    assert_eq!((server.status.as_str(), server.power_state), ("SHUTOFF", 4));
    assert_eq!(world.stopped, [("two".to_string(), SERVER)]);
}

#[test]
fn disabling_a_dead_host_blocks_and_forcing_it_down_does_not() {
    let mut world = World::new(Settings::default());
    world.cloud.machine_lost(world.now, "one");
    let service = world.service("one").id;
    let minute = Duration::from_secs(300);
    let disable = Call::Disable { service, reason: "holdfast".into() };
    assert!(world.cloud.call(world.now, &disable, minute).after > Duration::from_secs(59));
    world.written(Call::Enable { service });
    let both = Call::ForceDown { service, disable: Some("holdfast".into()) };
    assert!(world.cloud.call(world.now, &both, minute).after < Duration::from_secs(1));
}

#[test]
fn lost_late_and_false_answers_are_unknown_and_have_their_effect() {
    let mut world = World::new(Settings::default());
    world.obedient = false;
    world.lose("one");
    world.cloud.faults.lost_replies = 1;
    assert!(matches!(world.evacuate(None), Written::Unknown(_)));
    assert_eq!(world.statuses().len(), 1);
    world.cloud.faults.errors_with_effect = 1;
    assert!(matches!(world.evacuate(None), Written::Unknown(_)));
    assert_eq!(world.statuses().len(), 2);
    world.cloud.faults.late_writes = 1;
    world.cloud.faults.late_by = Duration::from_secs(120);
    assert!(matches!(world.evacuate(None), Written::Unknown(_)));
    assert_eq!(world.statuses().len(), 2);
    world.run(121);
    assert_eq!(world.statuses().len(), 3);
    world.cloud.faults.down = true;
    assert!(matches!(world.evacuate(None), Written::Unknown(_)));
    assert_eq!(world.statuses().len(), 3);
}

#[test]
fn states_that_nova_does_not_evacuate_are_refused() {
    let mut world = World::new(Settings::default());
    world.lose("one");
    for state in ["paused", "suspended", "rescued", "resized"] {
        world.cloud.set_state(SERVER, state, None, 1);
        assert_eq!(refusal(world.evacuate(None)), Refusal::WrongState);
    }
    world.cloud.set_state(SERVER, "active", Some("migrating"), 1);
    assert_eq!(refusal(world.evacuate(Some("one"))), Refusal::SameHost);
    assert_eq!(refusal(world.evacuate(Some("nohost"))), Refusal::HostUnknown);
    assert!(accepted(&world.evacuate(None)), "a task does not stop it");
    let gone = Call::Evacuate { server: Uuid::from_u128(9), destination: None };
    assert_eq!(refusal(world.written(gone)), Refusal::ServerGone);
}

#[test]
fn a_live_migration_needs_its_source() {
    let mut world = World::new(Settings::default());
    assert!(accepted(&world.written(Call::LiveMigrate { server: SERVER })));
    assert_eq!(refusal(world.written(Call::LiveMigrate { server: SERVER })), Refusal::WrongState);
    world.run(10);
    assert_eq!(world.statuses(), [MigrationStatus::Completed]);
    assert_eq!(world.cloud.running_on(SERVER).len(), 1);
    let host = world.server().host.unwrap();
    assert_ne!(host, "one");
    world.lose(&host);
    assert!(accepted(&world.written(Call::LiveMigrate { server: SERVER })), "202, and yet");
    world.run(10);
    let kind = MigrationKind::LiveMigration;
    let Reply::Migrations(rows) = world.call(Call::MigrationsFrom { host, kind }) else { panic!() };
    assert_eq!(rows[0].status, MigrationStatus::Error);
}

#[test]
fn a_burst_spreads_or_herds() {
    for (herding, busiest) in [(false, 10), (true, 20)] {
        let mut world = World::new(Settings { herding, ..Settings::default() });
        for n in 2..=20 {
            world.cloud.place(Uuid::from_u128(n), "vm", "one", Flavor::Tiny);
        }
        world.lose("one");
        for n in 1..=20 {
            let server = Uuid::from_u128(n);
            assert!(accepted(&world.written(Call::Evacuate { server, destination: None })));
        }
        world.run(10);
        let on =
            |host| world.cloud.servers().iter().filter(|s| s.host.as_deref() == Some(host)).count();
        assert_eq!(on("one"), 0);
        assert_eq!(on("two").max(on("three")), busiest);
    }
}

#[test]
fn a_hard_reboot_starts_the_guest_where_the_server_is_and_one_that_comes_late_does_nothing() {
    let mut world = World::new(Settings::default());
    world.cloud.guest_stopped("one", SERVER);
    let done = world.written(Call::Reboot { server: SERVER });
    assert!(matches!(done, Written::Done { .. }), "{done:?}");
    assert_eq!(world.server().task_state.as_deref(), Some("rebooting_hard"));
    world.run(5);
    assert_eq!(world.cloud.running_on(SERVER), ["one"]);
    assert_eq!((world.server().status.as_str(), world.server().task_state), ("ACTIVE", None));

    // The compute is away; by the time that it reads its queue the server is elsewhere.
    world.cloud.compute_stopped(world.now, "one");
    world.written(Call::Reboot { server: SERVER });
    world.run(90);
    world.written(Call::Evacuate { server: SERVER, destination: Some("two".into()) });
    world.run(30);
    world.cloud.compute_resumed(world.now, "one");
    world.run(30);
    assert_eq!(world.cloud.running_on(SERVER), ["one", "two"], "nobody has ended the first");
    assert!(!world.stopped.contains(&("two".into(), SERVER)), "{:?}", world.stopped);
    let refused = world.written(Call::Reboot { server: Uuid::from_u128(99) });
    assert!(matches!(refused, Written::Refused(_)), "{refused:?}");
}
