//! Everything that a lab has started, in one place, so that one drop ends it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fencing::lease::Profile;
use sim::standin::bmc::{self, Behaviour, BmcServer};
use sim::standin::nova::Settings as CloudSettings;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::cables::Cables;
use super::child::Child;
use super::cloud::{self, Homes, Machines};
use super::files::{self, BMC_USER, NovaAccess, Secrets};
use super::follow::{self, Last};
use super::journal::Journals;
use super::machine::{Machine, News, What};
use super::nova::{NovaSettings, NovaStandin};
use super::plan::{Controller, Node, Plan};
use super::real_nova::RealNova;
use super::timeline::Timeline;
use super::watchdog;
use crate::table::Tone;

/// A lab. Dropping it ends all that it started and removes its files, unless they are to stay.
pub(super) struct Crew {
    pub(super) plan: Arc<Plan>,
    pub(super) cables: Cables,
    pub(super) nova: NovaStandin,
    pub(super) machines: Machines,
    pub(super) bmcs: BTreeMap<String, Arc<Mutex<BmcServer>>>,
    pub(super) controllers: Vec<Member>,
    pub(super) homes: Arc<Mutex<Homes>>,
    pub(super) picture: watch::Receiver<Last>,
    pub(super) journals: Journals,
    tasks: Vec<AbortHandle>,
    stays: bool,
}

/// A controller's place, and the process that fills it.
pub(super) struct Member {
    pub(super) controller: Controller,
    process: Option<Child>,
    back_at: Option<Instant>,
}

/// Where the files of a lab are.
pub(super) enum Place {
    /// In a directory that ends with the lab.
    Temporary,
    /// Here, and they stay.
    Here(PathBuf),
}

impl Crew {
    /// Makes the files and starts the stand-ins; no program runs yet.
    pub(super) async fn gather(
        place: Place,
        nodes: u8,
        defects: bool,
        bmc_takes: Duration,
        real: Option<RealNova>,
        timeline: &Timeline,
    ) -> anyhow::Result<Self> {
        let (dir, stays) = match place {
            Place::Here(dir) => (dir, true),
            Place::Temporary => (fresh_directory()?, false),
        };
        std::fs::create_dir_all(&dir)?;
        let dir = std::fs::canonicalize(dir)?;
        // Cleans up if anything below fails.
        let mut guard = Directory { dir: (!stays).then(|| dir.clone()) };
        let plan = Arc::new(Plan::new(&dir, nodes, defects)?);
        let listener = TcpListener::bind(plan.block.nova()).await?;
        let auth_url = format!("http://{}/v3", plan.block.nova());
        let standin = |secrets: &Secrets| NovaAccess::standin(&plan, &auth_url, secrets);
        let access = |secrets: &Secrets| match &real {
            Some(real) => NovaAccess::real(real),
            None => standin(secrets),
        };
        let secrets = files::write(&plan, access)?;
        let cables = Cables::lay(&plan)?;
        let settings = NovaSettings {
            cloud: CloudSettings::default(),
            password: secrets.nova.clone(),
            ..NovaSettings::default()
        };
        let (nova, orders) = NovaStandin::serve(listener, settings)?;
        let (news, heard) = mpsc::unbounded_channel();
        let machine = |node: &Node| (node.name.clone(), Machine::new(node.clone(), news.clone()));
        let machines: Machines = plan.nodes.iter().map(machine).collect();
        let mut crew = Self {
            picture: watch::channel(Last::default()).1,
            journals: Journals::new(plan.controllers.iter().map(|controller| {
                (controller.name.clone(), controller.dir.join("state").join("journal.log"))
            })),
            controllers: plan.controllers.iter().cloned().map(Member::new).collect(),
            homes: Arc::default(),
            bmcs: BTreeMap::new(),
            tasks: Vec::new(),
            cables,
            nova,
            machines,
            plan,
            stays,
        };
        guard.dir = None;
        crew.connect(orders, heard, timeline);
        crew.watch_over(&secrets, bmc_takes).await?;
        Ok(crew)
    }

    /// News and orders go their ways from now on.
    fn connect(
        &mut self,
        orders: mpsc::UnboundedReceiver<sim::standin::nova::Order>,
        heard: mpsc::UnboundedReceiver<News>,
        timeline: &Timeline,
    ) {
        let (stop, stopped) = mpsc::unbounded_channel();
        self.spawn(cloud::dispatch(self.machines.clone(), orders, stopped));
        let (nova, homes, timeline) = (self.nova.clone(), self.homes.clone(), timeline.clone());
        self.spawn(listen(heard, nova, homes, stop, timeline));
        let (told, picture) = watch::channel(Last::default());
        self.picture = picture;
        self.spawn(follow::follow(Arc::clone(&self.plan), told));
    }

    /// A BMC and a watchdog for every node.
    async fn watch_over(&mut self, secrets: &Secrets, bmc_takes: Duration) -> anyhow::Result<()> {
        let plan = Arc::clone(&self.plan);
        let timeout = Profile::Fast.times().watchdog;
        for node in &plan.nodes {
            let Some(machine) = self.machines.get(&node.name).cloned() else { continue };
            let (guid, seed) = (node.id.into_bytes(), [node.host.0; 32]);
            let settings = bmc::Settings::new(BMC_USER, &secrets.bmc, guid, seed);
            let mut server = BmcServer::new(settings);
            if !bmc_takes.is_zero() {
                server.behave(Behaviour::Slow(bmc_takes));
            }
            let server = Arc::new(Mutex::new(server));
            let socket = UdpSocket::bind(node.bmc).await?;
            let served = (Arc::clone(&server), machine.clone());
            self.spawn(async move {
                let _ = bmc::udp::serve(socket, served.0, served.1).await;
            });
            self.bmcs.insert(node.name.clone(), server);
            watchdog::start(&node.watchdog(), timeout, move |cause| machine.reset(cause))?;
        }
        Ok(())
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task).abort_handle());
    }

    /// Starts every controller.
    pub(super) fn start_controllers(&mut self) -> io::Result<()> {
        self.controllers.iter_mut().try_for_each(Member::start)
    }

    /// Kills a controller with SIGKILL; it is started again after this time.
    pub(super) fn kill_controller(&mut self, id: u64, away: Duration) -> Option<String> {
        let member = self.controllers.iter_mut().find(|member| member.controller.id == id)?;
        member.process.take()?.kill();
        member.back_at = Some(Instant::now() + away);
        Some(member.controller.name.clone())
    }

    /// Starts controllers again whose time has come. Answers their names.
    pub(super) fn bring_back(&mut self) -> io::Result<Vec<String>> {
        let mut back = Vec::new();
        for member in &mut self.controllers {
            if member.back_at.is_some_and(|at| at <= Instant::now()) {
                member.back_at = None;
                member.start()?;
                back.push(member.controller.name.clone());
            }
        }
        Ok(back)
    }

    /// A sentence about a program that ended and should not have.
    pub(super) fn obituary(&mut self) -> Option<String> {
        let controller =
            self.controllers.iter_mut().find_map(|member| member.process.as_mut()?.obituary());
        controller.or_else(|| self.machines.values().find_map(Machine::obituary))
    }

    /// Where VMs run now.
    pub(super) fn homes(&self) -> BTreeMap<Uuid, (String, Instant)> {
        lock(&self.homes).0.clone()
    }
}

impl Member {
    fn new(controller: Controller) -> Self {
        Self { controller, process: None, back_at: None }
    }

    fn start(&mut self) -> io::Result<()> {
        let dir = &self.controller.dir;
        let config = dir.join("controller.toml");
        let words = ["controller", "--config"];
        let log = dir.join("controller.log");
        self.process = Some(Child::start(&self.controller.name, &words, &config, &log)?);
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.nova.stop();
        self.controllers.clear();
        self.machines.values().for_each(|machine| machine.switch_off("the lab ends"));
        self.cables.remove();
        if !self.stays {
            remove(&self.plan.dir);
        }
    }
}

/// Takes news of the nodes: tells Nova, keeps the homes, and prints what a person wants to know.
async fn listen(
    mut heard: mpsc::UnboundedReceiver<News>,
    nova: NovaStandin,
    homes: Arc<Mutex<Homes>>,
    stop: mpsc::UnboundedSender<Uuid>,
    timeline: Timeline,
) {
    while let Some(news) = heard.recv().await {
        lock(&homes).take(&news);
        cloud::tell_nova(&nova, &news);
        match &news.what {
            What::Lost(why) => timeline.happened(news.at, Tone::Bad, &news.node, why),
            What::Stopped(vm) => drop(stop.send(*vm)),
            What::Boots | What::Ready | What::Running(_) | What::Refused(_) => {}
        }
    }
}

/// Removes a directory that was made and not yet given to a crew.
struct Directory {
    dir: Option<PathBuf>,
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            remove(dir);
        }
    }
}

fn fresh_directory() -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let name = format!("holdfast-lab-{}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
    Ok(dir)
}

fn remove(dir: &Path) {
    // What cannot be removed is left to the system's own cleaning of temporary files.
    let _ = std::fs::remove_dir_all(dir);
}

/// A poisoned lock only says that another task panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
