//! What every act needs: an empty Nova in good order, servers on compute-2, a cluster of Holdfast whose node-2 is that
//! host, and a place between the two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use api::{Incident, State};
use controller::nova::client::Client;
use controller::nova::{
    Call, MigrationKind, MigrationRecord, Reply, ServerRecord, ServiceRecord, Written,
};
use serde_json::json;
use uuid::Uuid;

use crate::between::{Between, Seen};
use crate::run::{self, Running};
use crate::world::World;

/// Nova takes a second or so for each server; the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(120);
/// With a return: forty seconds until no order can arrive late, and a start of nova-compute.
pub(crate) const LATER: Duration = Duration::from_secs(240);
/// The host whose machine dies.
pub(crate) const SOURCE: &str = "compute-2";
/// A controller that was killed and started is a follower again.
const COMES_BACK: Duration = Duration::from_secs(10);
const CALL: Duration = Duration::from_secs(60);
/// Computes that other tests and comparisons start.
const MOST_HOSTS: u8 = 4;

/// A server on [`SOURCE`], by its name and what it is before the machine dies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: &'static str,
    pub(crate) flavor: &'static str,
    pub(crate) is: Is,
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Active,
    Off,
    Error,
    Paused,
    Locked,
}

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) nova: Client,
    pub(crate) lab: Running,
    pub(crate) between: Between,
    pub(crate) servers: BTreeMap<&'static str, Uuid>,
    pub(crate) died: Instant,
    back: Vec<Child>,
}

impl Stage {
    /// Puts Nova into order, boots what is wanted, and starts Holdfast.
    pub(crate) async fn set(wanted: &[Wanted]) -> Stage {
        Self::with(wanted, 3, "1s").await
    }

    /// The same with so many nodes, whose BMCs take so long.
    pub(crate) async fn with(wanted: &[Wanted], nodes: u8, bmc_takes: &str) -> Stage {
        let world = World::real().await;
        let nova = Client::new(world.settings.clone()).unwrap();
        nova.start().await.unwrap();
        tidy(&world, &nova, nodes).await;
        let mut servers = BTreeMap::new();
        for server in wanted {
            servers.insert(server.name, boot(&world, &nova, server).await);
        }
        let address = url_address(&world.env["HOLDFAST_NOVA_COMPUTE_URL"]);
        let between = Between::listen(&world.env["HOLDFAST_NOVA_BETWEEN"], address);
        let through = through(&world.env);
        let (nodes, file) = (nodes.to_string(), through.to_str().unwrap());
        let words = ["--fail", "none", "--keep", "--nodes", &nodes, "--bmc-takes", bmc_takes];
        let lab = run::running(&[&words[..], &["--nova-env", file]].concat());
        let died = Instant::now();
        Stage { world, nova, lab, between, servers, died, back: Vec::new() }
    }

    /// The machine of [`SOURCE`] loses its power.
    pub(crate) fn dies(&mut self) {
        self.world.kill(SOURCE);
        self.power("off");
        self.died = Instant::now();
    }

    /// The machine of [`SOURCE`] hangs: nothing runs on it any more, and its power stays on.
    pub(crate) fn hangs(&mut self) {
        self.world.kill(SOURCE);
        let own = self.lab.dir.join("node-2");
        for part in ["agent", "sentinel", "compute"] {
            kill(part, &own);
        }
        self.died = Instant::now();
    }

    /// Switches the machine by its BMC.
    pub(crate) fn power(&self, to: &str) {
        crate::bmc::power(&self.lab.dir, "node-2", to);
    }

    /// The newest incident of node-2; `None` also while no controller answers.
    pub(crate) fn incident(&self) -> Option<Incident> {
        let incidents = self.lab.try_hactl(&["incidents"]).ok()?;
        let incidents: Vec<Incident> = serde_json::from_value(incidents).ok()?;
        incidents.into_iter().find(|incident| incident.node == "node-2")
    }

    /// Waits until the incident is in this state. Answers the seconds since the death.
    pub(crate) async fn until(&self, state: &str, within: Duration) -> f64 {
        let began = Instant::now();
        loop {
            let incident = self.incident();
            if incident.as_ref().is_some_and(|incident| incident.state == state) {
                return self.died.elapsed().as_secs_f64();
            }
            let waited = began.elapsed() > within;
            assert!(!waited, "not {state} within {within:?}: {incident:#?}\n{}", self.journals());
            pause().await;
        }
    }

    /// What the incident says of a server: its state, and why it was left behind.
    pub(crate) fn told(&self, name: &str) -> (String, String) {
        let vms = self.incident().map(|incident| incident.vms).unwrap_or_default();
        let vm = vms.into_iter().find(|vm| vm.name == name);
        vm.map(|vm| (vm.state, vm.why.unwrap_or_default())).unwrap_or_default()
    }

    pub(crate) fn id(&self, name: &str) -> Uuid {
        self.servers[name]
    }

    pub(crate) async fn server(&self, name: &str) -> ServerRecord {
        let server = server(&self.nova, self.id(name)).await;
        server.unwrap_or_else(|| panic!("{name} is gone"))
    }

    /// Evacuation records of a server, newest first.
    pub(crate) async fn records(&self, name: &str) -> Vec<MigrationRecord> {
        let (host, kind) = (SOURCE.to_owned(), MigrationKind::Evacuation);
        let reply = self.nova.call(Call::MigrationsFrom { host, kind }, CALL).await;
        let Reply::Migrations(records) = reply else { panic!("{reply:?}") };
        let id = self.id(name);
        records.into_iter().filter(|record| record.server == id).collect()
    }

    /// One POST of ours that Nova took on, one record, and it is there.
    pub(crate) async fn moved_once(&self, name: &str, status: &str) -> String {
        let (server, records) = (self.server(name).await, self.records(name).await);
        assert_eq!(server.status, status, "{server:?}");
        assert!(server.host.as_deref().is_some_and(|host| host != SOURCE), "{server:?}");
        assert_eq!(records.len(), 1, "{records:?}");
        let id = self.id(name);
        assert_eq!(self.between.accepted(|seen: &Seen| seen.evacuates(id)), 1, "{name}");
        assert_eq!(self.told(name).0, "moved", "{name}");
        format!("{status} on {}, one record", server.host.unwrap_or_default())
    }

    pub(crate) async fn service(&self, host: &str) -> ServiceRecord {
        service(&self.nova, host).await
    }

    pub(crate) async fn write(&self, call: Call) -> Written {
        written(&self.nova, call).await
    }

    /// Number of the controller that leads.
    pub(crate) fn leader(&self) -> u64 {
        let state: State = serde_json::from_value(self.lab.hactl(&["status"])).unwrap();
        state.leader.expect("one leads")
    }

    /// Kills a controller with SIGKILL.
    pub(crate) fn kill_controller(&self, id: u64) {
        kill("controller", &self.lab.dir.join(format!("controller-{id}")));
    }

    /// Starts it again; it ends with this stage.
    pub(crate) fn start_controller(&mut self, id: u64) {
        let child = Command::new(run::program())
            .args(["internal", "controller", "--config"])
            .arg(self.controller_config(id))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("hactl runs");
        self.back.push(child);
    }

    /// Gives the controllers a policy, and starts each anew with it.
    pub(crate) async fn follow_policy(&mut self, text: &str) {
        let policy = self.lab.dir.join("policy.toml");
        std::fs::write(&policy, text).unwrap();
        self.configure(|config| format!("policy = {policy:?}\n{config}")).await;
    }

    /// Says what they do where VMs do not run as Nova says: keys of `[actual]`.
    pub(crate) async fn compare(&mut self, keys: &str) {
        const TABLE: &str = "\n[actual]\n";
        self.configure(|config| {
            let before = config.split(TABLE).next().unwrap_or_default();
            format!("{before}{TABLE}{keys}")
        })
        .await;
    }

    /// Changes what each controller is configured with, and starts it anew, one after the other.
    async fn configure(&mut self, change: impl Fn(&str) -> String) {
        for id in 1..=3 {
            let path = self.controller_config(id);
            let config = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, change(&config)).unwrap();
            self.kill_controller(id);
            self.start_controller(id);
            tokio::time::sleep(COMES_BACK).await;
            wait("a leader", SOON, async || self.lab.try_hactl(&["status"]).is_ok()).await;
        }
    }

    /// The file that stands for a guest on a node: its agent lists it as a domain.
    pub(crate) fn domain(&self, name: &str, node: &str) -> PathBuf {
        self.lab.dir.join(node).join("domains").join(self.id(name).to_string())
    }

    /// Whether a controller's journal has a line that says so.
    pub(crate) fn journal_says(&self, text: &str) -> bool {
        (1..=3).any(|id| {
            let path = self.lab.dir.join(format!("controller-{id}/state/journal.log"));
            std::fs::read_to_string(path).unwrap_or_default().contains(text)
        })
    }

    /// Revokes every token that the controllers have used so far.
    pub(crate) async fn revoke_tokens(&self) -> usize {
        let tokens = self.between.tokens();
        let url = format!("{}/auth/tokens", self.world.env["HOLDFAST_NOVA_AUTH_URL"]);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        for token in &tokens {
            let asked = http.delete(&url).header("X-Auth-Token", token);
            let answer = asked.header("X-Subject-Token", token).send().await.unwrap();
            assert!(answer.status().is_success() || answer.status() == 404, "{answer:?}");
        }
        tokens.len()
    }

    /// The last words of the controllers, for a failure.
    pub(crate) fn journals(&self) -> String {
        let mut text = String::new();
        for id in 1..=3 {
            let path = self.lab.dir.join(format!("controller-{id}/state/journal.log"));
            let journal = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = journal.lines().collect();
            let last = &lines[lines.len().saturating_sub(25)..];
            text += &format!("controller-{id}\n{}\n", last.join("\n"));
        }
        text
    }

    fn controller_config(&self, id: u64) -> PathBuf {
        self.lab.dir.join(format!("controller-{id}/controller.toml"))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.back {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Kills a program of a lab with SIGKILL, by what it is and the directory whose files it was started with.
fn kill(part: &str, own: &Path) {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let runs_it = |path: &Path| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let line = format!("{} ", String::from_utf8_lossy(&line).replace('\0', " "));
        let own = own.to_str().unwrap();
        let of_it = line.contains(&format!(" {own}/")) || line.contains(&format!(" {own} "));
        line.contains(&format!(" internal {part} ")) && of_it
    };
    let found = processes.map(|entry| entry.path()).find(|path| runs_it(path));
    let found = found.unwrap_or_else(|| panic!("{part} of {} runs", own.display()));
    let pid = found.file_name().unwrap().to_str().unwrap();
    let status = Command::new("kill").args(["-KILL", pid]).status().unwrap();
    assert!(status.success());
}

/// Ends a compute; whether it ran.
fn ends(number: u8) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/nova/compute.sh");
    let mut command = Command::new("bash");
    let command = command.arg(script).args(["term", &number.to_string()]);
    command.output().unwrap().status.success()
}

/// Runs `tests/support/nova/part.sh`.
pub(crate) fn part(deed: &str, name: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/nova/part.sh");
    let output = Command::new("bash").arg(script).args([deed, name]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "part.sh {deed} {name}: {said}");
}

/// Waits until it is so.
pub(crate) async fn wait(what: &str, within: Duration, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < within, "waited {within:?} for {what}");
        pause().await;
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// The file for `hactl lab`, with the region in which we stand between.
fn through(env: &BTreeMap<String, String>) -> PathBuf {
    let region = env["HOLDFAST_NOVA_BETWEEN_REGION"].clone();
    let mut env = env.clone();
    env.insert("HOLDFAST_NOVA_REGION".to_owned(), region);
    let path = Path::new(&env["HOLDFAST_NOVA_DIR"]).join("env-between");
    let lines = env.iter().map(|(key, value)| format!("{key}={value}\n"));
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    path
}

fn url_address(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    rest.split('/').next().unwrap().to_owned()
}

/// No servers, so many computes up and enabled, and no more: a further one would take what nobody else has room for.
pub(crate) async fn tidy(world: &World, nova: &Client, hosts: u8) {
    for number in hosts + 1..=MOST_HOSTS {
        if ends(number) {
            let host = format!("compute-{number}");
            wait("a compute to be down", SOON, async || !service(nova, &host).await.up).await;
        }
    }
    for id in world.raw.servers().await {
        // Nova refuses to delete some that a test left in the middle of something.
        world.raw.order(id, json!({"os-resetState": {"state": "error"}})).await;
        world.raw.delete(id).await;
        wait("a server to be deleted", SOON, async || server(nova, id).await.is_none()).await;
    }
    for number in 1..=hosts {
        let host = &format!("compute-{number}");
        world.start(host);
        let known = service(nova, host).await;
        if known.forced_down {
            wait("forced_down to be cleared", SOON, async || {
                let call = Call::ClearForcedDown { service: known.id };
                matches!(written(nova, call).await, Written::Done { .. })
            })
            .await;
        }
        wait("a compute to be up", SOON, async || service(nova, host).await.up).await;
        if !known.enabled {
            written(nova, Call::Enable { service: known.id }).await;
        }
    }
}

async fn boot(world: &World, nova: &Client, wanted: &Wanted) -> Uuid {
    let id = world.raw.boot(wanted.name, wanted.flavor, SOURCE).await;
    let (action, state) = match wanted.is {
        Is::Active => return id,
        Is::Off => (json!({"os-stop": null}), "stopped"),
        Is::Error => (json!({"os-resetState": {"state": "error"}}), "error"),
        Is::Paused => (json!({"pause": null}), "paused"),
        Is::Locked => (json!({"lock": null}), "active"),
    };
    world.raw.order(id, action).await;
    wait("a server's state", SOON, async || {
        server(nova, id).await.is_some_and(|row| row.vm_state == state && row.task_state.is_none())
    })
    .await;
    id
}

async fn server(nova: &Client, id: Uuid) -> Option<ServerRecord> {
    let reply = nova.call(Call::Server { server: id }, CALL).await;
    let Reply::Server(server) = reply else { panic!("{reply:?}") };
    server
}

pub(crate) async fn service(nova: &Client, host: &str) -> ServiceRecord {
    let reply = nova.call(Call::Service { host: host.to_owned() }, CALL).await;
    let Reply::Service(Some(service)) = reply else { panic!("{reply:?}") };
    service
}

async fn written(nova: &Client, call: Call) -> Written {
    let reply = nova.call(call, CALL).await;
    let Reply::Written(written) = reply else { panic!("{reply:?}") };
    written
}
