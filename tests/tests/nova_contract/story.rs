//! The story: a host dies, is forced down, evacuated and returns; then there is no room.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use controller::nova::call::{
    Call, MigrationKind, MigrationRecord, MigrationStatus, Reply, ServerRecord, ServiceRecord,
    Written,
};
use controller::nova::client::{Client, Credential, Microversion, Secret, SetupError};
use uuid::Uuid;

use crate::world::World;

const DEADLINE: Duration = Duration::from_secs(90);
/// For a real Nova on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(90);
/// A move that has no record after this time, and whose server rests, was dropped by the conductor.
const DROPPED: Duration = Duration::from_secs(15);
/// Such a move is ordered so often at most.
const ORDERS: u32 = 4;
const REASON: &str = "holdfast contract test";

struct Teller<'a> {
    world: &'a mut World,
    client: Client,
    told: String,
}

/// Tells the story to `world`; answers what our client concluded, a line each.
pub(crate) async fn tell(world: &mut World) -> String {
    let client = Client::new(world.settings.clone()).unwrap();
    let mut teller = Teller { world, client, told: String::new() };
    teller.tidy().await;
    teller.refused_password().await;
    teller.no_labelled_image().await;
    let [a, b, c, d] = teller.four_servers().await;
    let service = teller.death(a).await;
    teller.evacuations([a, b, c], d).await;
    teller.way_back(service, [a, b, c]).await;
    teller.live_migration().await;
    teller.no_room().await;
    let told = std::mem::take(&mut teller.told);
    teller.tidy().await;
    told
}

impl Teller<'_> {
    fn say(&mut self, line: impl AsRef<str>) {
        writeln!(self.told, "{}", line.as_ref()).unwrap();
    }

    /// No servers, and all computes up.
    async fn tidy(&mut self) {
        for id in self.world.raw.servers().await {
            self.world.raw.delete(id).await;
            self.until("a server is deleted", async |teller| teller.server(id).await.is_none())
                .await;
        }
        let wanted = ["compute-1", "compute-2", "compute-3"];
        for host in wanted {
            self.world.start(host);
            let service = self.service(host).await;
            if service.forced_down {
                self.until("forced_down can be cleared", async |teller| {
                    let call = Call::ClearForcedDown { service: service.id };
                    matches!(teller.written(call).await, Written::Done { .. })
                })
                .await;
            }
            self.until("a compute is up", async |teller| teller.service(host).await.up).await;
            if !service.enabled {
                self.written(Call::Enable { service: service.id }).await;
            }
        }
    }

    async fn refused_password(&mut self) {
        let mut settings = self.world.settings.clone();
        if let Credential::Password { password, .. } = &mut settings.credential {
            *password = Secret::new("wrong");
        }
        let line = match Client::new(settings).unwrap().start().await {
            Err(SetupError::Credential { .. }) => "Credential".to_string(),
            other => format!("{other:?}"),
        };
        self.say(format!("wrong password: {line}"));
        let started = self.client.start().await.unwrap();
        let enough = started.max_microversion >= Microversion::new(69);
        self.say(format!("microversion at least 2.69: {enough}"));
    }

    /// Glance filters, and answers lists that our client takes for Glance's.
    async fn no_labelled_image(&mut self) {
        let call = Call::Images { label: "labelled-by-nobody".to_owned() };
        let line = match self.client.call(call, DEADLINE).await {
            Reply::Images(ids) => ids.len().to_string(),
            other => format!("{other:?}"),
        };
        self.say(format!("images labelled by nobody: {line}"));
    }

    async fn four_servers(&mut self) -> [Uuid; 4] {
        let line = match self.call(Call::Service { host: "nohost".into() }).await {
            Reply::Service(None) => "none".to_string(),
            other => format!("{other:?}"),
        };
        self.say(format!("service of nohost: {line}"));
        let mut ids = [Uuid::nil(); 4];
        for (id, name) in ids.iter_mut().zip(["a", "b", "c", "d"]) {
            *id = self.world.raw.boot(name, "1", "compute-1").await;
        }
        let host = "compute-1".to_string();
        let Reply::Servers(rows) = self.call(Call::ServersOn { host }).await else { panic!() };
        let mut names: Vec<_> = rows.into_iter().map(|row| row.name).collect();
        names.sort();
        self.say(format!("on compute-1: {}", names.join(" ")));
        ids
    }

    async fn death(&mut self, a: Uuid) -> Uuid {
        self.evacuate("evacuate a", a, None).await;
        let nobody = Uuid::from_u128(0x1111_1111_2222_3333_4444_5555_5555_5555);
        self.evacuate("evacuate a server that never was", nobody, None).await;
        let line = if self.server(nobody).await.is_none() { "none" } else { "one" };
        self.say(format!("read a server that never was: {line}"));
        self.world.kill("compute-1");
        self.say("compute-1 is killed");
        self.evacuate("evacuate a", a, None).await;
        let service = self.force_down("compute-1").await;
        let read = self.service("compute-1").await;
        self.say(format!("read back: {}", service_line(&read)));
        service
    }

    async fn force_down(&mut self, host: &str) -> Uuid {
        let service = self.service(host).await.id;
        let call = Call::ForceDown { service, disable: Some(REASON.to_string()) };
        let written = self.written(call).await;
        self.say(format!("force down and disable: {}", written_line(&written)));
        service
    }

    async fn evacuations(&mut self, [a, b, c]: [Uuid; 3], d: Uuid) {
        self.evacuate("evacuate a to compute-1", a, Some("compute-1")).await;
        self.evacuate("evacuate a to nohost", a, Some("nohost")).await;
        let written = self.evacuate("evacuate a", a, None).await;
        self.evacuate("evacuate b", b, None).await;
        self.evacuate("evacuate c to compute-3", c, Some("compute-3")).await;
        let Reply::Actions(actions) = self.call(Call::Actions { server: a }).await else {
            panic!()
        };
        let newest = actions.first().unwrap();
        let same = match &written {
            Written::Done { request_id, .. } => *request_id == newest.request_id,
            Written::Refused(_) | Written::NotSent(_) | Written::Unknown(_) => false,
        };
        let whose = if same { "the request id of the reply" } else { "another request id" };
        self.say(format!("action of a: {} with {whose}", newest.action));
        self.evacuate("evacuate d to compute-2", d, Some("compute-2")).await;
        self.evacuate("evacuate d to compute-2 again", d, Some("compute-2")).await;

        self.records("records of a b c", &[a, b, c], &MigrationStatus::Done).await;
        let mut rows = Vec::new();
        for id in [a, b, c] {
            rows.push(self.server(id).await.unwrap());
        }
        let all =
            |pick: fn(&ServerRecord) -> String| rows.iter().map(pick).collect::<Vec<_>>().join(" ");
        let elsewhere = rows.iter().all(|row| row.host.as_deref() != Some("compute-1"));
        let line = format!(
            "a b c: {}, {}, power {}",
            all(|row| row.status.clone()),
            if elsewhere { "all elsewhere" } else { "not all elsewhere" },
            all(|row| row.power_state.to_string()),
        );
        self.say(line);
        self.say(format!("c is on {}", rows[2].host.as_deref().unwrap_or("no host")));
        let read = self.service("compute-1").await;
        self.say(format!("compute-1: {}", service_line(&read)));
        // How d ends is chance, with a real Nova also in REBUILD for ever; what matters is that both were taken on.
        self.until("an order for d has ended", async |teller| {
            let rows = teller.migrations("compute-1", MigrationKind::Evacuation).await;
            rows.iter().filter(|row| row.server == d).any(|row| match row.status {
                MigrationStatus::Accepted | MigrationStatus::PreMigrating => false,
                MigrationStatus::Done
                | MigrationStatus::Completed
                | MigrationStatus::Error
                | MigrationStatus::Failed
                | MigrationStatus::Preparing
                | MigrationStatus::Running
                | MigrationStatus::Cancelled
                | MigrationStatus::Other(_) => true,
            })
        })
        .await;
        self.world.raw.delete(d).await;
        self.until("d is deleted", async |teller| teller.server(d).await.is_none()).await;
    }

    async fn way_back(&mut self, service: Uuid, servers: [Uuid; 3]) {
        let written = self.written(Call::ClearForcedDown { service }).await;
        self.say(format!("clear forced_down: {}", written_line(&written)));
        self.world.start("compute-1");
        let started = Instant::now();
        self.say("compute-1 starts again");
        let read = self.service("compute-1").await;
        self.say(format!("compute-1: {}", service_line(&read)));
        self.records("records of a b c", &servers, &MigrationStatus::Completed).await;
        let written = self.written(Call::ClearForcedDown { service }).await;
        self.say(format!("clear forced_down: {}", short(&written)));
        // A heartbeat of the program that was killed still counts for a while, and then the service is down once more.
        self.until("compute-1 is up", async |teller| {
            started.elapsed() > teller.world.heartbeat_lasts()
                && teller.service("compute-1").await.up
        })
        .await;
        let read = self.service("compute-1").await;
        self.say(format!("compute-1: {}", service_line(&read)));
        let written = self.written(Call::Enable { service }).await;
        self.say(format!("enable: {}", written_line(&written)));
        for id in servers {
            self.world.raw.delete(id).await;
        }
    }

    async fn live_migration(&mut self) {
        let e = self.world.raw.boot("e", "1", "compute-1").await;
        let kind = MigrationKind::LiveMigration;
        let mut written = self.written(Call::LiveMigrate { server: e }).await;
        for _ in 1..ORDERS {
            if self.is_followed(e, kind).await {
                break;
            }
            written = self.written(Call::LiveMigrate { server: e }).await;
        }
        self.say(format!("live-migrate e: {}", short(&written)));
        self.record("record of e", "compute-1", kind, e, &MigrationStatus::Completed).await;
        self.until("e has come to rest", async |teller| {
            teller.server(e).await.is_some_and(|row| row.task_state.is_none())
        })
        .await;
        let row = self.server(e).await.unwrap();
        let place = if row.host.as_deref() == Some("compute-1") { "here" } else { "elsewhere" };
        self.say(format!("e: {} {place}", row.status));
        let written = self.written(Call::Stop { server: e }).await;
        self.say(format!("stop e: {}", short(&written)));
        self.until("e is stopped", async |teller| {
            teller.server(e).await.is_some_and(|row| row.status == "SHUTOFF")
        })
        .await;
        let row = self.server(e).await.unwrap();
        self.say(format!("e: {} power {}", row.status, row.power_state));
        self.world.raw.delete(e).await;
    }

    async fn no_room(&mut self) {
        let mut big = Vec::new();
        for host in ["compute-1", "compute-2", "compute-3"] {
            big.push(self.world.raw.boot(&format!("big on {host}"), "2", host).await);
        }
        self.world.kill("compute-2");
        self.say("compute-2 is killed");
        self.force_down("compute-2").await;
        let (source, kind) = ("compute-2", MigrationKind::Evacuation);
        self.evacuate("evacuate big-2", big[1], None).await;
        self.record("record of big-2", source, kind, big[1], &MigrationStatus::Error).await;
        let row = self.server(big[1]).await.unwrap();
        // Nova adds "There are not enough hosts available." when its scheduler's filters refused, and nothing when
        // Placement had no candidate left; which of them is first is a race between the kill and the last heartbeat.
        let fault = row.fault.as_deref().unwrap_or("no fault");
        let fault = fault.split_once(". ").map_or(fault, |(first, _)| first).trim_end_matches('.');
        let host = row.host.as_deref().unwrap_or("no host");
        self.say(format!("big-2: {} on {host}, {fault}", row.status));
        self.world.raw.delete(big[2]).await;
        let gone = big[2];
        self.until("there is room", async |teller| teller.server(gone).await.is_none()).await;
        self.evacuate("evacuate big-2", big[1], None).await;
        self.record("record of big-2", source, kind, big[1], &MigrationStatus::Done).await;
        let row = self.server(big[1]).await.unwrap();
        let host = row.host.as_deref().unwrap_or("no host");
        self.say(format!("big-2: {} on {host}", row.status));
    }

    async fn evacuate(&mut self, what: &str, server: Uuid, to: Option<&str>) -> Written {
        let destination = to.map(str::to_string);
        let written = self.written(Call::Evacuate { server, destination }).await;
        self.say(format!("{what}: {}", short(&written)));
        written
    }

    /// Waits until the newest evacuation record of each server has `status`, then says what they have.
    async fn records(&mut self, what: &str, servers: &[Uuid], status: &MigrationStatus) {
        self.until(what, async |teller| {
            let rows = teller.migrations("compute-1", MigrationKind::Evacuation).await;
            servers.iter().all(|id| newest(&rows, *id).is_some_and(|row| row.status == *status))
        })
        .await;
        let rows = self.migrations("compute-1", MigrationKind::Evacuation).await;
        let found = servers.iter().map(|id| match newest(&rows, *id) {
            Some(row) => format!("{:?}", row.status).to_lowercase(),
            None => "none".to_string(),
        });
        let found: Vec<_> = found.collect();
        self.say(format!("{what}: {}", found.join(" ")));
    }

    async fn record(
        &mut self,
        what: &str,
        source: &str,
        kind: MigrationKind,
        server: Uuid,
        status: &MigrationStatus,
    ) {
        self.until(what, async |teller| {
            let rows = teller.migrations(source, kind).await;
            newest(&rows, server).is_some_and(|row| row.status == *status)
        })
        .await;
        self.say(format!("{what}: {}", format!("{status:?}").to_lowercase()));
    }

    /// Whether a move that the API took comes to a record. On a busy machine the conductor may not have heard of the host
    /// for so long that it drops the order, and says so to nobody; then a user orders again.
    async fn is_followed(&self, server: Uuid, kind: MigrationKind) -> bool {
        let began = Instant::now();
        loop {
            if newest(&self.migrations("compute-1", kind).await, server).is_some() {
                return true;
            }
            let rests = self.server(server).await.is_some_and(|row| row.task_state.is_none());
            if rests && began.elapsed() > DROPPED {
                return false;
            }
            assert!(began.elapsed() < PATIENCE, "neither followed nor dropped\n{}", self.told);
            tokio::time::sleep(self.world.pause()).await;
        }
    }

    async fn call(&self, call: Call) -> Reply {
        self.client.call(call, DEADLINE).await
    }

    async fn written(&self, call: Call) -> Written {
        match self.call(call).await {
            Reply::Written(written) => written,
            other => panic!("{other:?}"),
        }
    }

    async fn service(&self, host: &str) -> ServiceRecord {
        match self.call(Call::Service { host: host.to_string() }).await {
            Reply::Service(Some(service)) => service,
            other => panic!("{host}: {other:?}"),
        }
    }

    async fn server(&self, server: Uuid) -> Option<ServerRecord> {
        match self.call(Call::Server { server }).await {
            Reply::Server(row) => row,
            other => panic!("{other:?}"),
        }
    }

    async fn migrations(&self, host: &str, kind: MigrationKind) -> Vec<MigrationRecord> {
        match self.call(Call::MigrationsFrom { host: host.to_string(), kind }).await {
            Reply::Migrations(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    async fn until(&self, what: &str, mut reached: impl AsyncFnMut(&Self) -> bool) {
        let began = Instant::now();
        while !reached(self).await {
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", self.told);
            tokio::time::sleep(self.world.pause()).await;
        }
    }
}

fn newest(rows: &[MigrationRecord], server: Uuid) -> Option<&MigrationRecord> {
    rows.iter().filter(|row| row.server == server).max_by_key(|row| row.id)
}

fn short(written: &Written) -> String {
    match written {
        Written::Done { .. } => "done".to_string(),
        Written::Refused(refused) => format!("refused {} {:?}", refused.status, refused.meaning),
        Written::NotSent(why) => format!("not sent: {why}"),
        Written::Unknown(why) => format!("unknown: {why}"),
    }
}

fn written_line(written: &Written) -> String {
    match written {
        Written::Done { service: Some(service), .. } => format!("done, {}", service_line(service)),
        Written::Done { service: None, .. }
        | Written::Refused(_)
        | Written::NotSent(_)
        | Written::Unknown(_) => short(written),
    }
}

fn service_line(service: &ServiceRecord) -> String {
    let mut words = vec![if service.up { "up" } else { "down" }];
    if service.forced_down {
        words.push("forced");
    }
    words.push(if service.enabled { "enabled" } else { "disabled" });
    if !service.enabled {
        words.push(if service.disabled_by_operator() { "by an operator" } else { "ours" });
    }
    words.join(" ")
}
