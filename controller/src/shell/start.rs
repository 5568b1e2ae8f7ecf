//! From a configuration to a running shell: state, counter of starts, sockets, Nova, core.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fencing::ControllerId;
use fencing::bmc::proxy::Caller;
use fencing::sign::Opener;
use gossip::seal::Envelope;
use gossip::udp::Wire;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::asks::Asks;
use super::incoming::Incoming as Listener;
use super::journal::Journal;
use super::outgoing::{Outgoing, Waiting};
use super::ports::{self, GossipWay, LeasePort, LeaseWay, NodeKeys};
use super::recorder::Recorder;
use super::{Incoming, QUEUE, RunError, Shell, kdump, renew, starts};
use crate::config::Config;
use crate::core::{Lives, Patience, Peer, SNAPSHOT_EVERY, Settings};
use crate::detect::member_id;
use crate::effect::Network;
use crate::event::Event;
use crate::nova::client::{Client, SetupError};
use crate::raft::store::{Identity, Store};
use crate::serve;

/// Gossip packets that may wait to be sent on one network.
const GOSSIP_WAITING: usize = 4096;
/// How long a start waits for Nova before it goes on without: nodes want their acks.
const NOVA_AT_START: Duration = Duration::from_secs(5);
const NOVA_AGAIN: Duration = Duration::from_secs(15);
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

pub(super) async fn start(config: Config) -> Result<Shell, RunError> {
    for note in config.notes() {
        tracing::warn!("{note}");
    }
    let identity = Identity {
        cluster: config.cluster.to_string(),
        controller: format!("{} {}", config.id, config.key.public()),
    };
    let (store, restored) =
        Store::open(&config.state_dir.join("raft"), &identity).map_err(RunError::State)?;
    let starts = starts::raise(&config.state_dir)?;
    let boot = boot()?;
    let nova = nova(&config).await?;
    let (sender, queue) = mpsc::channel(QUEUE);
    let (keys, keys_seen) = watch::channel(NodeKeys::default());
    let mut tasks = JoinSet::new();
    let (gossip, lease) = open_ports(&config, boot, &sender, &keys_seen, &mut tasks).await?;
    let peers = open_peers(&config, &sender, &mut tasks).await?;
    if let Some(address) = config.kdump {
        tasks.spawn(kdump::listen(kdump::open(address).await?, sender.clone()));
    }
    let api = tcp("API", config.api.listen).await?;
    tasks.spawn(serve::serve(api, config.api.token.clone(), sender.clone()));
    if let Some(client) = &nova {
        tasks.spawn(watch_nova(client.clone()));
    }
    let origin = Instant::now();
    let settings = settings(&config, boot, starts, nova.is_some())?;
    let mut recorder = Recorder::new(&config.state_dir, config.record);
    let (core, effects) = renew::begin(&mut recorder, Duration::ZERO, settings, restored);
    tracing::info!(
        controller = %config.id, cluster = %config.cluster, starts, nodes = config.inventory.nodes.len(),
        api = %config.api.listen, "ha-controller starts"
    );
    let mut shell = Shell {
        journal: Journal::new(&config.state_dir),
        recorder,
        lives: Lives::new(if config.lab { Patience::NONE } else { Patience::LONG }, Duration::ZERO),
        may_not_renew: false,
        boot,
        asks: Asks::new(origin, sender),
        caller: Arc::new(Caller {
            cluster: config.cluster,
            me: config.id,
            key: config.key.clone(),
        }),
        inventory: config.inventory.clone(),
        core,
        store,
        origin,
        queue,
        gossip,
        lease,
        peers,
        nova,
        answers: BTreeMap::new(),
        next_ticket: 0,
        keys,
        keys_index: None,
        tasks,
        config,
    };
    shell.carry_out(effects)?;
    let nodes = shell.inventory.nodes.clone().into_iter().collect();
    shell.deliver(Event::Inventory { nodes })?;
    Ok(shell)
}

type Ports = (Vec<GossipWay>, Vec<LeaseWay>);

async fn open_ports(
    config: &Config,
    boot: Uuid,
    queue: &mpsc::Sender<Incoming>,
    keys: &watch::Receiver<NodeKeys>,
    tasks: &mut JoinSet<()>,
) -> Result<Ports, RunError> {
    let (mut gossip, mut lease) = (Vec::new(), Vec::new());
    let opener = Arc::new(Mutex::new(Opener::default()));
    for (place, network) in config.networks.iter().enumerate() {
        let seal = |port| {
            Envelope::new(Arc::clone(&config.gossip_keys), config.cluster, &network.name, port)
        };
        let here = Network(u8::try_from(place).unwrap_or(u8::MAX));
        let failed = |what: &str, address, source| RunError::Listen {
            what: format!("{what} on network {}", network.name),
            address,
            source,
        };
        let address = network.gossip_listen;
        let wire = Wire::bind(address, seal("gossip")).await;
        let wire = wire.map_err(|source| failed("gossip", address, source))?;
        let (outbound, packets) = mpsc::channel(GOSSIP_WAITING);
        gossip.push(GossipWay { queue: outbound, sent: wire.sent() });
        tasks.spawn(ports::gossip(here, wire, packets, queue.clone()));
        let address = network.lease_listen;
        let socket = UdpSocket::bind(address).await;
        let socket = Arc::new(socket.map_err(|source| failed("lease", address, source))?);
        let way = LeaseWay { socket, pings: seal("ping"), sent: Arc::default() };
        let port = LeasePort {
            network: here,
            way: way.clone(),
            cluster: config.cluster,
            id: member_id(config.cluster, config.id),
            boot,
            keys: keys.clone(),
            opener: Arc::clone(&opener),
            queue: queue.clone(),
        };
        tasks.spawn(port.run());
        lease.push(way);
    }
    Ok((gossip, lease))
}

async fn open_peers(
    config: &Config,
    queue: &mpsc::Sender<Incoming>,
    tasks: &mut JoinSet<()>,
) -> Result<BTreeMap<ControllerId, Waiting>, RunError> {
    let others = config.controllers.iter().filter(|(id, _)| **id != config.id);
    let mut peers = BTreeMap::new();
    for (id, controller) in others {
        let waiting = Waiting::default();
        let outgoing = Outgoing {
            cluster: config.cluster,
            me: config.id,
            to: *id,
            address: controller.peer,
            key: config.peer_key.clone(),
            waiting: waiting.clone(),
        };
        tasks.spawn(outgoing.run());
        peers.insert(*id, waiting);
    }
    if !peers.is_empty() {
        let incoming = Listener {
            cluster: config.cluster,
            me: config.id,
            others: peers.keys().copied().collect::<BTreeSet<_>>(),
            key: config.peer_key.clone(),
            queue: queue.clone(),
            present: Mutex::default(),
        };
        let listener = tcp("other controllers", config.peer_listen).await?;
        tasks.spawn(incoming.run(listener));
    }
    Ok(peers)
}

async fn tcp(what: &str, address: std::net::SocketAddr) -> Result<TcpListener, RunError> {
    TcpListener::bind(address).await.map_err(|source| RunError::Listen {
        what: what.to_owned(),
        address,
        source,
    })
}

/// A client that has spoken to Nova, or one that will; a mistake that a person must repair ends the start.
async fn nova(config: &Config) -> Result<Option<Client>, RunError> {
    let Some(settings) = config.nova.clone() else { return Ok(None) };
    let client = Client::new(settings)?;
    match tokio::time::timeout(NOVA_AT_START, client.start()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if error.is_transient() => {
            tracing::warn!(%error, "goes on without Nova; no VM can be evacuated until it answers");
        }
        Ok(Err(error)) => return Err(RunError::Nova(error)),
        Err(_) => tracing::warn!("Nova has not answered yet; no VM can be evacuated until it does"),
    }
    Ok(Some(client))
}

/// Says when Nova can be used, and until then why not.
async fn watch_nova(client: Client) {
    let mut last = String::new();
    loop {
        match client.start().await {
            Ok(started) => {
                tracing::info!(
                    endpoint = started.endpoint, microversion = %started.max_microversion, "Nova answers"
                );
                return;
            }
            Err(error) => say_once(&error, &mut last),
        }
        tokio::time::sleep(NOVA_AGAIN).await;
    }
}

fn say_once(error: &SetupError, last: &mut String) {
    let text = error.to_string();
    if text != *last {
        tracing::warn!("Nova cannot be used: {text}; tried again every {} s", NOVA_AGAIN.as_secs());
        *last = text;
    }
}

pub(super) fn settings(
    config: &Config,
    boot: Uuid,
    starts: u64,
    nova: bool,
) -> Result<Settings, RunError> {
    let peer = |controller: &crate::config::Controller| Peer {
        gossip: controller.gossip.clone(),
        lease: controller.lease.clone(),
        key: controller.key,
        url: controller.url.clone(),
    };
    let seed = getrandom::u64().map_err(|error| RunError::System {
        what: "draw a random seed",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(Settings {
        cluster: config.cluster,
        me: config.id,
        controllers: config.controllers.iter().map(|(id, c)| (*id, peer(c))).collect(),
        ceiling: config.ceiling,
        key: config.key.clone(),
        networks: config.networks.iter().map(|network| network.name.clone()).collect(),
        boot,
        starts,
        times: config.times,
        matrix: config.matrix.clone(),
        waits: config.waits,
        confirm_by_census: config.confirm_by_census,
        watchdog_test: config.watchdog_test,
        nova,
        snapshot_every: SNAPSHOT_EVERY,
        recovery: config.recovery.clone(),
        seed,
    })
}

fn boot() -> Result<Uuid, RunError> {
    let failed = |source| RunError::System { what: "read the boot id of this machine", source };
    let text = std::fs::read_to_string(BOOT_ID).map_err(failed)?;
    Uuid::try_parse(text.trim()).map_err(|error| failed(std::io::Error::other(error.to_string())))
}
