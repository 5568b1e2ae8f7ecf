//! The shell of `ha-controller`: one queue of events, one core, effects carried out in the order in which they came. It
//! waits, opens and seals, and decides nothing.
//!
//! ```text
//!  ports     gossip, lease port of each network  --.                      .--> Store (synced before what follows)
//!  incoming  other controllers                   --+--> queue --> core ---+--> ports, outgoing
//!  asks      answers of BMCs and Nova            --|                      +--> asks
//!  serve     the HTTP API                        --'                      '--> journal, recorder, answers
//! ```

mod asks;
mod carry;
mod error;
mod incoming;
mod journal;
mod kdump;
mod outgoing;
mod ports;
pub mod program;
mod recorder;
mod reload;
mod renew;
mod seal;
mod start;
mod starts;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fencing::ControllerId;
use fencing::bmc::proxy::Caller;
use gossip::udp::Tally;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{Config, Inventory};
use crate::core::{Controller, Lives};
use crate::effect::Ticket;
use crate::event::Event;
use crate::nova::client::Client;
use crate::raft::store::Store;
use crate::record::Frame;
use asks::Asks;
use journal::Journal;
use outgoing::Waiting;
use ports::{GossipWay, LeaseWay, NodeKeys};
use recorder::Recorder;

pub use error::RunError;
pub use starts::StartsError;

/// Events that may wait. Datagrams beyond are lost, connections wait.
const QUEUE: usize = 4096;
/// How long a stop waits for another leader.
const HAND_OVER: Duration = Duration::from_secs(1);
/// How long a stop lets last words leave.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What comes in.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// For the core.
    Event(Event),
    /// From the API.
    Question(Question),
}

/// What the API asks. A dropped answer means that the shell has ended.
#[derive(Debug)]
pub(crate) enum Question {
    /// The whole picture, from the leader alone.
    State(oneshot::Sender<Result<api::State, api::Failure>>),
    /// Which VMs run where, from the leader alone.
    Vms(oneshot::Sender<Result<api::Vms, api::Failure>>),
    /// The picture as this controller has it, for metrics.
    Metrics(oneshot::Sender<(bool, api::State)>),
    /// Whether it turns: the one question without a token, so it costs nothing.
    Alive(oneshot::Sender<()>),
    /// An order.
    Do(api::Request, oneshot::Sender<Result<api::Done, api::Failure>>),
}

/// Runs a controller until SIGTERM or SIGINT; SIGHUP reads matrix and inventory again.
///
/// # Errors
/// [`RunError`]; `Display` has the remedy.
pub fn run(config: Config) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|source| RunError::System { what: "start the runtime", source })?;
    runtime.block_on(async {
        let mut terminate = listen_to(SignalKind::terminate())?;
        let mut interrupt = listen_to(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        run_until(config, stop).await
    })
}

/// As [`run`], until `stop` is ready. Must be polled in a tokio runtime with I/O and time.
///
/// # Errors
/// [`RunError`]; `Display` has the remedy.
pub async fn run_until(config: Config, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let hangup = listen_to(SignalKind::hangup())?;
    let mut shell = start::start(config).await?;
    let result = shell.turn_until(stop, hangup).await;
    shell.tasks.shutdown().await;
    result
}

fn listen_to(kind: SignalKind) -> Result<Signal, RunError> {
    signal(kind).map_err(|source| RunError::System { what: "listen to signals", source })
}

/// The program's hands.
struct Shell {
    config: Config,
    core: Controller,
    store: Store,
    origin: Instant,
    journal: Journal,
    recorder: Recorder,
    /// When the next core begins.
    lives: Lives,
    /// A core cannot begin anew in this process.
    may_not_renew: bool,
    /// Of this machine.
    boot: uuid::Uuid,
    queue: mpsc::Receiver<Incoming>,
    gossip: Vec<GossipWay>,
    lease: Vec<LeaseWay>,
    peers: BTreeMap<ControllerId, Waiting>,
    asks: Asks,
    /// Who asks proxies of BMCs.
    caller: Arc<Caller>,
    nova: Option<Client>,
    inventory: Inventory,
    answers: BTreeMap<Ticket, oneshot::Sender<Result<api::Done, api::Failure>>>,
    next_ticket: u64,
    keys: watch::Sender<NodeKeys>,
    keys_index: Option<u64>,
    tasks: tokio::task::JoinSet<()>,
}

impl Shell {
    async fn turn_until(
        &mut self,
        stop: impl Future<Output = ()>,
        mut hangup: Signal,
    ) -> Result<(), RunError> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = &mut stop => return self.leave().await,
                _ = hangup.recv() => self.reload()?,
                () = tokio::time::sleep_until(due) => self.deliver(Event::Timeout)?,
                Some(incoming) = self.queue.recv() => self.take(incoming)?,
            }
            self.renew_if_long()?;
        }
    }

    /// Says goodbye, and goes on until another leads or a second has passed.
    async fn leave(&mut self) -> Result<(), RunError> {
        let led = self.core.is_leader();
        let now = self.now();
        let mut effects = Vec::new();
        self.recorder.note(&Frame::Leave { now });
        self.core.leave(now, &mut effects);
        self.carry_out(effects)?;
        let end = tokio::time::Instant::now() + if led { HAND_OVER } else { LAST_WORDS };
        while !led || self.core.is_leader() {
            let due = self.due();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(end) => break,
                () = tokio::time::sleep_until(due) => self.deliver(Event::Timeout)?,
                Some(incoming) = self.queue.recv() => self.take(incoming)?,
            }
        }
        let all_sent = async {
            while !self.peers.values().all(Waiting::is_empty) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, all_sent).await;
        self.recorder.end("the controller was stopped");
        tracing::info!("stopped");
        Ok(())
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), RunError> {
        match incoming {
            Incoming::Event(event) => self.deliver(event),
            Incoming::Question(Question::State(answer)) => {
                let state = if self.core.is_leader() {
                    Ok(self.state())
                } else {
                    Err(self.core.not_leader())
                };
                let _ = answer.send(state);
                Ok(())
            }
            Incoming::Question(Question::Vms(answer)) => {
                let leads = self.core.is_leader();
                let vms = self.core.vms(self.now());
                let _ = answer.send(if leads { Ok(vms) } else { Err(self.core.not_leader()) });
                Ok(())
            }
            Incoming::Question(Question::Metrics(answer)) => {
                let _ = answer.send((self.core.is_leader(), self.state()));
                Ok(())
            }
            Incoming::Question(Question::Alive(answer)) => {
                let _ = answer.send(());
                Ok(())
            }
            Incoming::Question(Question::Do(request, answer)) => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.answers.retain(|_, answer| !answer.is_closed());
                self.answers.insert(ticket, answer);
                self.deliver(Event::Order { ticket, request })
            }
        }
    }

    /// The picture, with what left by this controller's ports.
    fn state(&self) -> api::State {
        let mut state = self.core.state(self.now());
        let total = |sent: &Tally| {
            let (packets, bytes) = sent.read();
            api::Total { packets, bytes }
        };
        let ways = self.gossip.iter().zip(&self.lease);
        for (here, (gossip, lease)) in state.sent.iter_mut().zip(ways) {
            (here.gossip, here.lease) = (total(&gossip.sent), total(&lease.sent));
        }
        state
    }

    fn deliver(&mut self, event: Event) -> Result<(), RunError> {
        let (now, wall_ms) = (self.now(), wall_ms());
        let mut effects = Vec::new();
        self.recorder.event(now, wall_ms, &event);
        self.core.handle(now, wall_ms, event, &mut effects);
        self.carry_out(effects)?;
        self.publish_keys();
        Ok(())
    }

    /// Whose renewals are opened follows the registry.
    fn publish_keys(&mut self) {
        let registry = self.core.registry();
        if self.keys_index != Some(registry.index()) {
            self.keys_index = Some(registry.index());
            let keys = registry.nodes().iter().map(|(id, node)| (*id, node.record.key)).collect();
            self.keys.send_replace(Arc::new(keys));
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn due(&self) -> tokio::time::Instant {
        let far = Duration::from_secs(1);
        let due = self.core.poll_timeout().map_or(self.now() + far, |(due, _)| due);
        tokio::time::Instant::from_std(self.origin + due)
    }
}

/// For display alone.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
