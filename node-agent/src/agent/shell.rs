//! The agent's shell: sockets, timers and child processes on one thread. It decides nothing.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fencing::BootId;
use fencing::event::FenceEvent;
use fencing::sent::Total;
use gossip::seal::{Envelope, Keyring};
use gossip::udp::{Tally, Wire};
use gossip::witness::Probe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::core::{Effect, Event};
use super::life::Life;
use super::{domains, life, measured, words};
use crate::checks;
use crate::config::{Config, ConfigError};
use crate::proxy;
use crate::sentinel;

/// Packets that wait for the core, or for a socket; more are lost, as on any network.
const QUEUE: usize = 1024;

/// After an error of a socket (a network that is down), before it is read again.
const SOCKET_PAUSE: Duration = Duration::from_millis(100);

/// Time for the last words to leave.
const FAREWELL: Duration = Duration::from_millis(200);

/// Why the agent ended. The sentinel goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Something in the configuration or a key file is wrong. It did not start.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gossip key file is no key file. It did not start.
    #[error("{}: {source}", path.display())]
    GossipKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: gossip::seal::KeyError,
    },
    /// The count of its starts could not be read or written. It did not start: gossip would take it for its own past.
    #[error("cannot use {}: it must hold a number, and be writable", path.display())]
    Starts {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A socket could not be bound. It did not start.
    #[error("cannot listen on {address}: is another agent running, is the address this node's?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The runtime could not be made, or the system refused something else. It did not start.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Runs the agent until SIGTERM or SIGINT; then it leaves its groups and returns.
///
/// # Errors
/// [`AgentError`]; it did not start.
pub fn run(config: Config) -> Result<(), AgentError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| AgentError::System { what: "make the runtime", source })?;
    // As a task of its own: the runtime's first future is woken by way of the kernel, each time.
    let served = runtime.block_on(async { tokio::spawn(serve(config)).await });
    // A sensor or a disk that hangs is not waited for.
    runtime.shutdown_background();
    served.unwrap_or_else(|error| {
        let source = io::Error::other(error);
        Err(AgentError::System { what: "go on: a task of its own has ended", source })
    })
}

/// What a wire is asked to send: destination and packet.
type Outgoing = (SocketAddr, Vec<u8>);

/// What came in on a wire.
type Incoming = (SocketAddr, Vec<u8>);

/// A wire that a task owns.
struct Port {
    queue: mpsc::Sender<Outgoing>,
    sent: Arc<Tally>,
}

impl Port {
    fn sent(&self) -> Total {
        let (packets, bytes) = self.sent.read();
        Total { packets, bytes }
    }
}

struct Hands {
    config: Config,
    boot: BootId,
    events: mpsc::Sender<Event>,
    gossip: Vec<Port>,
    pings: Vec<Port>,
    sentinel: Option<UnixDatagram>,
    checks: checks::Shell,
}

async fn serve(config: Config) -> Result<(), AgentError> {
    let origin = Instant::now();
    let boot = config.boot()?;
    let text = config.gossip_key_text()?;
    let keyring = Keyring::parse(&text)
        .map_err(|source| AgentError::GossipKey { path: config.gossip_key_file.clone(), source })?;
    let starts = life::count_start(&config)?;
    let seed = getrandom::u64().map_err(|error| AgentError::System {
        what: "draw a seed",
        source: io::Error::other(error),
    })?;
    let (events, mut inbox) = mpsc::channel(QUEUE);
    let (gossip, pings) = open_wires(&config, Arc::new(keyring), &events).await?;
    let sentinel = UnixDatagram::unbound().ok();
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    if config.sentinel
        && let Err(error) = words::listen(&config, boot)
    {
        tracing::warn!(%error, "the sentinel's last words will not be kept");
    }
    carry_for_controllers(&config).await;
    tracing::info!(node = %config.name, %boot, starts, domains = %config.domains, "agent starts");

    let checks = checks::Shell::open(&config, events.clone());
    let hands = Hands { config, boot, events, gossip, pings, sentinel, checks };
    let mut effects = Vec::new();
    let now = origin.elapsed();
    let mut life = Life::begin(&hands.config, hands.boot, now, (starts, seed), &mut effects);
    loop {
        effects.drain(..).for_each(|effect| hands.carry_out(effect));
        life.begin_anew_if_long(&hands.config, origin.elapsed(), &mut effects);
        let due = life.agent.poll_timeout().map(|(at, _)| at);
        let wait = due.map_or(Duration::from_secs(1), |at| at.saturating_sub(origin.elapsed()));
        let event = tokio::select! {
            // Ending first, so that a flood cannot keep it alive; packets before timers, so that an answer that came in
            // time is seen before the timer that would call it missing.
            biased;
            _ = terminate.recv() => Event::Leave,
            _ = interrupt.recv() => Event::Leave,
            Some(event) = inbox.recv() => event,
            () = tokio::time::sleep(wait) => Event::Timeout,
        };
        let leaves = event == Event::Leave;
        life.handle(origin.elapsed(), event, &mut effects);
        if !leaves && life.agent.poll_timeout().is_some_and(|(at, _)| at <= origin.elapsed()) {
            // A flood of packets must not keep timers from their time.
            life.handle(origin.elapsed(), Event::Timeout, &mut effects);
        }
        if leaves {
            effects.drain(..).for_each(|effect| hands.carry_out(effect));
            tokio::time::sleep(FAREWELL).await;
            life.end("the agent was stopped");
            tracing::info!("agent has left");
            return Ok(());
        }
    }
}

/// Where `[proxy]` says so. A node whose proxy cannot listen is a witness all the same; that its BMCs are not reached is
/// told by `hactl check`.
async fn carry_for_controllers(config: &Config) {
    let Some(wanted) = &config.proxy else { return };
    let setup = proxy::door::Setup {
        cluster: config.cluster,
        node: config.node,
        keys: config.controllers.iter().map(|known| (known.id, known.key)).collect(),
        allow: wanted.allow.clone(),
        ports: wanted.ports.clone(),
    };
    if let Err(error) = proxy::shell::listen(wanted.listen, setup).await {
        tracing::error!(address = %wanted.listen, %error, "no questions to BMCs are carried: correct [proxy]");
    }
}

impl Hands {
    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Gossip { network, to, bytes } => send(&self.gossip, network, to, bytes),
            Effect::Ping { network, to, nonce } => {
                send(&self.pings, network, to, Probe::Ping { nonce }.to_bytes().to_vec());
            }
            Effect::Pong { network, to, nonce } => {
                let pong = Probe::Pong { nonce, id: self.config.node.0, boot: self.boot.0 };
                send(&self.pings, network, to, pong.to_bytes().to_vec());
            }
            Effect::ListDomains { nonce, network, to } => self.list_domains(nonce, network, to),
            Effect::ListUse => self.list_use(),
            Effect::PassToSentinel(event) => self.pass_to_sentinel(&event),
            Effect::End(destroy) => self.end(destroy.order.domain),
            Effect::RunCheck { check, run } => self.checks.run(check, run),
            Effect::PutOff { network, count } => self.say_put_off(network, count),
        }
    }

    fn say_put_off(&self, network: u8, count: u64) {
        let network = self.config.networks.get(usize::from(network)).map_or("?", |n| &n.name);
        tracing::info!(network, count, "gossip waits for its ceiling");
    }

    /// In a task of its own: libvirt may hang, gossip must not.
    fn list_domains(&self, nonce: u64, network: u8, to: SocketAddr) {
        let (source, events) = (self.config.domains.clone(), self.events.clone());
        tokio::spawn(async move {
            let domains = match domains::list(&source).await {
                Ok(domains) => Some(domains),
                Err(error) => {
                    tracing::warn!(%error, "the census gets no answer from this node");
                    None
                }
            };
            let _ = events.send(Event::Domains { nonce, network, to, domains }).await;
        });
    }

    /// In a task of its own too.
    fn list_use(&self) {
        let (source, events) = (self.config.domains.clone(), self.events.clone());
        let own = self
            .gossip
            .iter()
            .zip(&self.pings)
            .map(|(gossip, pings)| (gossip.sent(), pings.sent()));
        let own = own.collect();
        let (has_sentinel, boot) = (self.config.sentinel, self.boot);
        let file = self.config.sentinel_file();
        tokio::spawn(async move {
            let sentinel = if has_sentinel { sentinel::sent(&file, boot).await } else { None };
            // What half of the node sent is not what it sent.
            if sentinel.is_some() == has_sentinel {
                let _ = events.send(Event::Sent { own, sentinel }).await;
            }
            let domains = match measured::measured(&source).await {
                Ok(domains) => Some(domains),
                Err(error) => {
                    tracing::warn!(%error, "no list of domains is sent");
                    None
                }
            };
            let _ = events.send(Event::Use { domains }).await;
        });
    }

    /// The same. What came of it is seen in the next list.
    fn end(&self, domain: Uuid) {
        let source = self.config.domains.clone();
        tracing::warn!(%domain, "a stray copy: two controllers order it to be ended");
        tokio::spawn(async move {
            if let Err(error) = domains::end(&source, domain).await {
                tracing::error!(%domain, %error, "the stray copy was not ended");
            }
        });
    }

    fn pass_to_sentinel(&self, event: &FenceEvent) {
        let epoch = event.order.epoch;
        tracing::warn!(%epoch, "a fence event for this boot: passed to the sentinel");
        let Ok(bytes) = postcard::to_stdvec(event) else { return };
        let sent = self.sentinel.as_ref().map(|s| s.send_to(&bytes, self.config.sentinel_socket()));
        if !matches!(sent, Some(Ok(_))) {
            tracing::error!(%epoch, ?sent, "no sentinel takes the fence event");
        }
    }
}

fn send(ports: &[Port], network: u8, to: SocketAddr, bytes: Vec<u8>) {
    if let Some(port) = ports.get(usize::from(network)) {
        // A full queue is loss, and every layer above lives with loss.
        let _ = port.queue.try_send((to, bytes));
    }
}

fn listen_for(kind: SignalKind) -> Result<tokio::signal::unix::Signal, AgentError> {
    signal(kind).map_err(|source| AgentError::System { what: "wait for a signal", source })
}

type Wires = (Vec<Port>, Vec<Port>);

/// Two wires per network: gossip, and pings. Pings leave from a port that the system chooses, unless the agent has to
/// answer those of others too because there is no sentinel.
async fn open_wires(
    config: &Config,
    keyring: Arc<Keyring>,
    events: &mpsc::Sender<Event>,
) -> Result<Wires, AgentError> {
    let (mut gossip, mut pings) = (Vec::new(), Vec::new());
    for (network, place) in config.networks.iter().zip(0..=u8::MAX) {
        let sealed =
            |port| Envelope::new(Arc::clone(&keyring), config.cluster, &network.name, port);
        let packet = move |(from, bytes)| Some(Event::Gossip { network: place, from, bytes });
        let wire = open_wire(network.gossip_listen, sealed("gossip")).await?;
        gossip.push(spawn_wire(wire, events.clone(), packet));
        let address = if config.sentinel {
            SocketAddr::new(network.sentinel_listen.ip(), 0)
        } else {
            network.sentinel_listen
        };
        let probe = move |(from, bytes): Incoming| match Probe::parse(&bytes)? {
            Probe::Ping { nonce } => Some(Event::Ping { network: place, from, nonce }),
            Probe::Pong { nonce, id, boot } => {
                Some(Event::Pong { network: place, nonce, id, boot })
            }
        };
        let wire = open_wire(address, sealed("ping")).await?;
        pings.push(spawn_wire(wire, events.clone(), probe));
    }
    Ok((gossip, pings))
}

async fn open_wire(address: SocketAddr, envelope: Envelope) -> Result<Wire, AgentError> {
    Wire::bind(address, envelope).await.map_err(|source| AgentError::Listen { address, source })
}

/// A task that owns the wire: what comes in becomes an event, what is queued goes out.
fn spawn_wire(
    mut wire: Wire,
    events: mpsc::Sender<Event>,
    parse: impl Fn(Incoming) -> Option<Event> + Send + 'static,
) -> Port {
    let sent = wire.sent();
    let (sender, mut queue) = mpsc::channel::<Outgoing>(QUEUE);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                // Out before in: a flood must not keep answers from leaving.
                biased;
                outgoing = queue.recv() => match outgoing {
                    Some((to, bytes)) => wire.send(to, &bytes).await,
                    None => return,
                },
                incoming = async { wire.recv().await.map(|(from, bytes)| (from, bytes.to_vec())) } => {
                    match incoming {
                        Ok(incoming) => {
                            if let Some(event) = parse(incoming) {
                                let _ = events.try_send(event);
                            }
                        }
                        Err(error) => {
                            tracing::debug!(%error, "socket");
                            tokio::time::sleep(SOCKET_PAUSE).await;
                        }
                    }
                }
            }
        }
    });
    Port { queue: sender, sent }
}
