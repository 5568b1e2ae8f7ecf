//! The sentinel's one thread: waits on its sockets and the core's next deadline, and carries effects out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fencing::event::FenceEvent;
use fencing::lease::Message;
use fencing::sign::{self, KeyPair, Opener, PublicKey, Signer};
use fencing::watchdog::{self, Class, Kind};
use fencing::{BootId, ControllerId};
use gossip::seal::{Keyring, NONCE, OVERHEAD};
use gossip::witness::Probe;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;

use super::core::Sentinel;
use super::event::{Effect, Event, ResetReason};
use super::launch::{booted_at, hangup, pinned, seed, start_word, take_priority};
use super::machine;
use super::setup::Setup;
use super::sockets::{Agent, Listening, listen, local_socket};
use super::store::{Report, Store, StoreError};
use crate::config::{Config, ConfigError, MOST_NETWORKS, NodeKeys};
use crate::preflight;

/// Datagrams read from one socket before the clock is looked at again: a flood must not keep it from feeding.
const MOST_AT_ONCE: usize = 64;

/// Effects of one event for which there is room from the start.
const MOST_EFFECTS: usize = 16;

/// Its state is looked at this often, and what is new in it is written down.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where nothing is new, ages and counters are written down again at least this often.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Why the sentinel ended. A node that was armed is reset by its watchdog.
#[derive(Debug, thiserror::Error)]
pub enum SentinelError {
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
    /// A file of its own could not be used. It did not start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A socket could not be bound. It did not start.
    #[error("cannot listen on {address}: is another sentinel running, is the address this node's?")]
    Listen {
        /// The address or path.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused what must not fail. It ended, and feeds no more.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// What the system said.
        #[source]
        source: Errno,
    },
    /// It reset its pretended node, a lab's. It ended.
    #[error("reset: {reason}")]
    Reset {
        /// Why.
        reason: ResetReason,
    },
}

/// Runs the sentinel until the machine ends, or the lab's stand-in for it.
///
/// # Errors
/// [`SentinelError`]; nothing is fed any more.
pub fn run(config: Config) -> Result<Infallible, SentinelError> {
    let mut shell = Shell::start(config)?;
    loop {
        shell.turn()?;
    }
}

/// The program's hands.
pub(super) struct Shell {
    config: Config,
    boot: BootId,
    core: Sentinel,
    store: Store,
    key: KeyPair,
    node_keys: NodeKeys,
    controller_keys: BTreeMap<ControllerId, PublicKey>,
    opener: Opener,
    networks: Vec<Listening>,
    local: UnixDatagram,
    agent: Agent,
    hangup: SignalFd,
    device: Option<watchdog::Device>,
    /// Room for the core's answers, so that a feed needs no memory.
    effects: Vec<Effect>,
    next_look: Duration,
    /// What was written down last, and when.
    reported: Option<(Duration, Report)>,
    /// A reset that was ordered, and carried out on a stand-in.
    reset: Option<ResetReason>,
}

impl Shell {
    pub(super) fn start(config: Config) -> Result<Self, SentinelError> {
        let boot = config.boot()?;
        let now = clock()?;
        let store = Store::open(&config, boot)?;
        let text = config.gossip_key_text()?;
        let keyring = Keyring::parse(&text).map_err(|source| SentinelError::GossipKey {
            path: config.gossip_key_file.clone(),
            source,
        })?;
        let (key, node_keys) = (config.key_pair()?, config.node_keys()?);
        let networks = listen(&config, &Arc::new(keyring))?;
        let local = local_socket(&config)?;
        let agent = Agent::new(&config);
        let setup = Setup {
            cluster: config.cluster,
            node: config.node,
            boot,
            booted_at: booted_at(&config, now),
            times: config.times,
            controllers: pinned(&config),
            has_watchdog: config.watchdog.is_some(),
            hazards: preflight::look(config.preflight.as_ref()),
            start: store.start()?,
            highest_epoch: store.highest_epoch()?,
            seed: seed()?,
        };
        tracing::info!(node = %config.name, %boot, start = ?start_word(&setup), "sentinel starts");
        if config.is_real_machine() {
            take_priority();
        }
        let hangup = hangup()?;
        let controller_keys = config.controllers.iter().map(|c| (c.id, c.key)).collect();
        let core = Sentinel::new(setup);
        // So that a restart before the first adoption finds something, and takes nothing for lost.
        store.save(&core.saved())?;
        Ok(Self {
            config,
            boot,
            core,
            store,
            key,
            node_keys,
            controller_keys,
            opener: Opener::default(),
            networks,
            local,
            agent,
            hangup,
            device: None,
            effects: Vec::with_capacity(MOST_EFFECTS),
            next_look: Duration::ZERO,
            reported: None,
            reset: None,
        })
    }

    /// Waits for one wake-up and does what it brings.
    pub(super) fn turn(&mut self) -> Result<(), SentinelError> {
        let ready = self.wait()?;
        let networks = self.networks.len();
        for (index, _) in ready.iter().take(networks).enumerate().filter(|(_, ready)| **ready) {
            self.read_network(index)?;
        }
        if let Some([local, hangup]) = ready.get(networks..networks + 2) {
            if *local {
                self.read_local()?;
            }
            if *hangup {
                self.read_hangup();
            }
        }
        self.deliver(Event::Timeout)?;
        self.report()?;
        match self.reset {
            None => Ok(()),
            Some(reason) => Err(SentinelError::Reset { reason }),
        }
    }

    /// Waits, and tells which sockets have something: those of the networks, the agent's, and that of signals.
    fn wait(&self) -> Result<[bool; MOST_NETWORKS + 2], SentinelError> {
        let now = clock()?;
        // No timer of its own for the report: a renewal comes as often.
        let due = self.core.poll_timeout().map_or(now + LOOK_EVERY, |(at, _)| at);
        let wait = due.min(now + LOOK_EVERY).saturating_sub(now);
        // Rounded up: waking before a deadline would only turn the loop once more.
        let milliseconds = u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        // In an array: no memory is asked for on the way to a feed.
        let local = [self.local.as_fd(), self.hangup.as_fd()];
        let networks = self.networks.iter().map(|network| network.socket.as_fd());
        let mut fds: [PollFd<'_>; MOST_NETWORKS + 2] =
            std::array::from_fn(|_| PollFd::new(self.hangup.as_fd(), PollFlags::empty()));
        for (place, fd) in fds.iter_mut().zip(networks.chain(local)) {
            *place = PollFd::new(fd, PollFlags::POLLIN);
        }
        match poll(&mut fds, PollTimeout::from(milliseconds)) {
            // Whatever is said of a socket, an error too, is learned by reading it.
            Ok(_) => Ok(fds.map(|fd| fd.revents().is_none_or(|said| !said.is_empty()))),
            Err(Errno::EINTR) => Ok([false; MOST_NETWORKS + 2]),
            Err(source) => Err(SentinelError::System { what: "wait for packets", source }),
        }
    }

    fn read_network(&mut self, index: usize) -> Result<(), SentinelError> {
        // One byte more than the longest, so that a longer datagram is noticed and not cut.
        let mut buffer = [0; sign::LONGEST + 1];
        for _ in 0..MOST_AT_ONCE {
            let Some(network) = self.networks.get(index) else { return Ok(()) };
            let Ok((length, from)) = network.socket.recv_from(&mut buffer) else { return Ok(()) };
            let Some(datagram) = buffer.get_mut(..length) else { continue };
            if self.pong(index, from, datagram) {
                continue;
            }
            let key = |signer| key_of(&self.node_keys, &self.controller_keys, signer);
            let opened = self.opener.open(self.config.cluster, &key, datagram);
            if let Some((signer, message)) = opened {
                let network = u8::try_from(index).unwrap_or(u8::MAX);
                self.deliver(Event::Message { signer, network, from, message })?;
            }
        }
        Ok(())
    }

    /// Answers a witness: this port is real-time, so an agent that hangs changes no reachability.
    fn pong(&self, index: usize, from: SocketAddr, datagram: &mut [u8]) -> bool {
        let Some(network) =
            self.networks.get(index).filter(|_| datagram.len() == Probe::LENGTH + OVERHEAD)
        else {
            return false;
        };
        let Ok(packet) = network.pings.open(datagram) else { return false };
        if let Some(Probe::Ping { nonce }) = Probe::parse(packet) {
            let pong = Probe::Pong { nonce, id: self.config.node.0, boot: self.boot.0 };
            let (mut fresh, mut sealed) = ([0; NONCE], Vec::new());
            if getrandom::fill(&mut fresh).is_ok() {
                network.pings.seal(fresh, &pong.to_bytes(), &mut sealed);
                network.send(&sealed, from);
            }
        }
        true
    }

    fn read_local(&mut self) -> Result<(), SentinelError> {
        let mut buffer = [0; sign::LONGEST + 1];
        for _ in 0..MOST_AT_ONCE {
            let Ok(length) = self.local.recv(&mut buffer) else { return Ok(()) };
            let event = buffer.get(..length).map(postcard::from_bytes::<FenceEvent>);
            if let Some(Ok(event)) = event {
                self.deliver(Event::FenceEvent(event))?;
            }
        }
        Ok(())
    }

    fn read_hangup(&mut self) {
        if !matches!(self.hangup.read_signal(), Ok(Some(_))) {
            return;
        }
        match self.config.node_keys() {
            Ok(keys) => {
                self.node_keys = keys;
                tracing::info!(file = %self.config.keys_file.display(), "keys of the nodes read again");
            }
            Err(error) => tracing::warn!(%error, "the keys in use are kept"),
        }
    }

    fn deliver(&mut self, event: Event) -> Result<(), SentinelError> {
        let mut effects = std::mem::take(&mut self.effects);
        self.core.handle(clock()?, event, &mut effects);
        self.carry_out(effects)
    }

    /// Carries them out and keeps their room for the next ones. What an effect leads to is carried out within it, in room
    /// of its own.
    fn carry_out(&mut self, mut effects: Vec<Effect>) -> Result<(), SentinelError> {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => self.send(&to, &message),
                Effect::Store(saved) => match self.store.save(&saved) {
                    Ok(()) => self.deliver(Event::Stored { n: saved.n })?,
                    Err(error) => {
                        tracing::warn!(%error, n = saved.n, "not reported until it is stored")
                    }
                },
                Effect::StoreEpoch(epoch) => {
                    if let Err(error) = self.store.save_epoch(epoch) {
                        tracing::error!(%error, %epoch, "the epoch is not kept");
                    }
                }
                Effect::OpenWatchdog => self.open_watchdog()?,
                Effect::Feed => self.feed()?,
                Effect::MagicClose => self.close_watchdog(),
                Effect::GateOpen { boot } => {
                    tracing::info!(%boot, "gate open: guests may start");
                    self.told(self.store.open_gate());
                }
                Effect::GateClosed => {
                    tracing::info!(boot = %self.boot, "gate closed");
                    self.told(self.store.close_gate());
                }
                Effect::Warn(warning) => {
                    let sentence = warning.to_string();
                    self.agent.tell(&sentence);
                    tracing::warn!("{sentence}");
                }
                Effect::Reset(reason) => self.reset(reason),
            }
        }
        if effects.capacity() > self.effects.capacity() {
            self.effects = effects;
        }
        Ok(())
    }

    fn told(&self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::error!(%error, boot = %self.boot, "the gate is not as it should be");
        }
    }

    fn send(&self, to: &[(u8, SocketAddr)], message: &Message) {
        let signer = Signer::Node(self.config.node);
        let Some(bytes) = sign::seal(self.config.cluster, signer, &self.key, message) else {
            return;
        };
        for (network, address) in to {
            if let Some(network) = self.networks.get(usize::from(*network)) {
                network.send(&bytes, *address);
            }
        }
    }

    fn open_watchdog(&mut self) -> Result<(), SentinelError> {
        let Some(wanted) = self.config.watchdog.clone() else { return Ok(()) };
        // An armed boot goes by the W it was armed with, whatever the file says since: the leader's wait rests on it.
        let adopted = self.core.adopted();
        let armed = adopted.is_armed(self.config.node, self.boot);
        let entry = adopted.times(self.config.node).filter(|_| armed).map(|times| times.watchdog);
        let timeout = entry.unwrap_or(wanted.timeout);
        let event = match watchdog::Device::open(&wanted.path, wanted.kind, timeout) {
            Ok(device) => {
                let (timeout, class) = (device.timeout(), device.class());
                tracing::info!(%class, identity = device.identity(), ?timeout, "watchdog opened");
                if class == Class::Ipmi {
                    tracing::warn!(
                        "this watchdog is the BMC's: where E1 uses the same BMC, both fail together"
                    );
                }
                if !device.closes_by_magic() || machine::never_stops(&wanted.path) == Some(true) {
                    tracing::warn!(
                        "this watchdog cannot be stopped (nowayout): when its sentinel ends, also a disarmed node is reset"
                    );
                }
                self.device = Some(device);
                Event::WatchdogOpened {
                    timeout,
                    class,
                    counts_for_e2: class.counts_for_e2(wanted.allow_e2),
                }
            }
            Err(error) => Event::WatchdogFailed(error.to_string()),
        };
        self.deliver(event)
    }

    fn feed(&mut self) -> Result<(), SentinelError> {
        if let Some(Err(error)) = self.device.as_mut().map(watchdog::Device::feed) {
            tracing::error!(%error, "not fed");
        }
        let mut effects = std::mem::take(&mut self.effects);
        self.core.after_feed(clock()?, &mut effects);
        self.carry_out(effects)
    }

    fn close_watchdog(&mut self) {
        match self.device.take().map(watchdog::Device::close_magically) {
            Some(Err(error)) => tracing::error!(%error, "not disarmed: it will fire"),
            Some(Ok(())) | None => tracing::info!("watchdog closed"),
        }
    }

    /// A lab's node is reset by its stand-in. A machine is reset only where the boot id is the kernel's own; in any
    /// other case this process just ends, for there is nothing that it could reset.
    fn reset(&mut self, reason: ResetReason) {
        self.agent.tell(&format!("resets this node: {reason}"));
        tracing::error!(%reason, node = %self.config.name, "resets this node");
        self.reset = Some(reason);
        let stand_in = self.config.watchdog.as_ref().filter(|device| device.kind == Kind::StandIn);
        match (stand_in, &mut self.device) {
            (Some(_), Some(device)) => {
                let _ = device.reset_stand_in();
            }
            (Some(stand_in), None) => {
                let _ = watchdog::reset_stand_in(&stand_in.path);
            }
            (None, _) if self.config.is_real_machine() => loop {
                // Never returns, and never feeds again: if the kernel refuses, the watchdog does it.
                let refused = machine::reset();
                tracing::error!(refused, "the kernel does not reset this node; the watchdog will");
                std::thread::sleep(Duration::from_secs(1));
            },
            (None, _) => {}
        }
    }

    fn report(&mut self) -> Result<(), SentinelError> {
        let now = clock()?;
        if now < self.next_look {
            return Ok(());
        }
        self.next_look = now + LOOK_EVERY;
        let class = self.device.as_ref().map(|device| device.class().to_string());
        let sent = (now, self.networks.iter().map(Listening::sent).collect());
        let (status, counters) = (self.core.status(now), self.core.counters());
        let report = Report::new(self.boot, &status, class, counters, sent);
        let young = |at: Duration| now.saturating_sub(at) < REPORT_EVERY;
        if self
            .reported
            .as_ref()
            .is_some_and(|(at, last)| young(*at) && last.says_the_same(&report))
        {
            return Ok(());
        }
        match self.store.report(&report) {
            Ok(()) => self.reported = Some((now, report)),
            Err(error) => tracing::warn!(%error, "the agent is not told"),
        }
        Ok(())
    }
}

fn key_of(
    nodes: &NodeKeys,
    controllers: &BTreeMap<ControllerId, PublicKey>,
    signer: Signer,
) -> Option<PublicKey> {
    match signer {
        Signer::Node(node) => nodes.key(node),
        Signer::Controller(id) => controllers.get(&id).copied(),
    }
}

fn clock() -> Result<Duration, SentinelError> {
    machine::now().map_err(|source| SentinelError::System { what: "read CLOCK_BOOTTIME", source })
}
