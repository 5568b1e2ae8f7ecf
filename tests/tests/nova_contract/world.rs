//! The two clouds that the story is told to.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use controller::nova::client::{Credential, Interface, Reference, Secret, Settings};
use hactl::lab::nova::{NovaSettings, NovaStandin};
use sim::standin::nova::{Latency, Order, Settings as CloudSettings};
use tokio::net::TcpListener;

use crate::raw::Raw;

pub(crate) struct World {
    pub(crate) raw: Raw,
    pub(crate) settings: Settings,
    /// What the file `env` of a real one says.
    pub(crate) env: BTreeMap<String, String>,
    machines: Machines,
}

enum Machines {
    Standin(NovaStandin),
    /// The lock keeps other tests from the lab meanwhile.
    Real {
        _lock: File,
    },
}

impl World {
    pub(crate) async fn standin() -> World {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let computes = ["compute-1", "compute-2", "compute-3"].map(str::to_string).to_vec();
        // Quick, but not so quick that a second order comes after the first has ended.
        let latency = Latency {
            api: Duration::from_millis(2),
            schedule: Duration::from_millis(300),
            cast: Duration::from_millis(5),
            spawn: Duration::from_millis(20),
            finish: Duration::from_millis(10),
            live: Duration::from_millis(20),
        };
        let cloud = CloudSettings { latency, ..CloudSettings::default() };
        let settings = NovaSettings { cloud, computes, ..NovaSettings::default() };
        let (user, password) = (settings.user.clone(), settings.password.clone());
        let (nova, mut orders) = NovaStandin::serve(listener, settings).unwrap();
        let computes = nova.clone();
        // Hypervisors that obey at once.
        tokio::spawn(async move {
            while let Some(order) = orders.recv().await {
                if let Order::Start { host, server } = order {
                    computes.with(|cloud, now| cloud.guest_started(now, &host, server));
                }
            }
        });
        World {
            raw: Raw::new(&nova.auth_url(), &user, &password).await,
            settings: by_password(&nova.auth_url(), "RegionOne", &user, &password),
            env: BTreeMap::new(),
            machines: Machines::Standin(nova),
        }
    }

    /// Brings the lab up if it does not run, and puts its computes into order.
    pub(crate) async fn real() -> World {
        let env = read_env(&env_file());
        let directory = PathBuf::from(&env["HOLDFAST_NOVA_DIR"]);
        let lock = File::create(directory.join("contract-test.lock")).unwrap();
        lock.lock().unwrap();
        let password = std::fs::read_to_string(&env["HOLDFAST_NOVA_PASSWORD_FILE"]).unwrap();
        let auth_url = &env["HOLDFAST_NOVA_AUTH_URL"];
        let user = &env["HOLDFAST_NOVA_USERNAME"];
        let region = &env["HOLDFAST_NOVA_REGION"];
        let world = World {
            raw: Raw::new(auth_url, user, password.trim()).await,
            settings: by_password(auth_url, region, user, password.trim()),
            machines: Machines::Real { _lock: lock },
            env: env.clone(),
        };
        for host in ["compute-1", "compute-2", "compute-3"] {
            world.start(host);
        }
        world
    }

    /// The machine of `host` loses power.
    pub(crate) fn kill(&self, host: &str) {
        match &self.machines {
            Machines::Standin(nova) => nova.with(|cloud, now| cloud.machine_lost(now, host)),
            Machines::Real { .. } => compute("kill", host),
        }
    }

    /// Its nova-compute starts again, without any guest.
    pub(crate) fn start(&self, host: &str) {
        match &self.machines {
            Machines::Standin(nova) => nova.with(|cloud, now| cloud.compute_started(now, host)),
            Machines::Real { .. } => compute("start", host),
        }
    }

    /// For so long a service is up by its last heartbeat: `service_down_time` of the lab that tests start.
    pub(crate) fn heartbeat_lasts(&self) -> Duration {
        match &self.machines {
            Machines::Standin(_) => Duration::ZERO,
            Machines::Real { .. } => Duration::from_secs(10),
        }
    }

    /// How often to look again while waiting.
    pub(crate) fn pause(&self) -> Duration {
        match &self.machines {
            Machines::Standin(_) => Duration::from_millis(20),
            Machines::Real { .. } => Duration::from_millis(500),
        }
    }
}

/// Brings the real Nova up if it does not run. Answers the file that tells how to reach it.
pub(crate) fn env_file() -> PathBuf {
    let output = Command::new("bash").arg(script("up.sh")).arg("3").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "no real Nova ({}); HOLDFAST_SKIP_REAL=1 leaves it out:\n{said}",
        output.status
    );
    let path = String::from_utf8(output.stdout).unwrap();
    PathBuf::from(path.trim().lines().last().unwrap())
}

fn by_password(auth_url: &str, region: &str, user: &str, password: &str) -> Settings {
    let default = || Reference::Name("Default".to_string());
    Settings {
        auth_url: auth_url.to_string(),
        credential: Credential::Password {
            user: user.to_string(),
            user_domain: default(),
            password: Secret::new(password),
            project: Reference::Name("admin".to_string()),
            project_domain: default(),
        },
        region: Some(region.to_string()),
        interface: Interface::Internal,
        ca_file: None,
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("support/nova").join(name)
}

fn compute(deed: &str, host: &str) {
    let number = host.strip_prefix("compute-").unwrap();
    let output = Command::new("bash").arg(script("compute.sh")).args([deed, number]).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "compute.sh {deed} {number}: {said}");
}

fn read_env(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_string(), value.to_string())).collect()
}
