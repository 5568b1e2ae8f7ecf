//! The sentinel's sockets: one per network, one for what the agent says, one for what the agent is told.

use std::cell::Cell;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;

use fencing::sent::Total;
use gossip::seal::{Envelope, Keyring};

use super::shell::SentinelError;
use crate::config::{Config, Network};

/// One network's port: renewals and asks, signed; witness pings, sealed.
pub(super) struct Listening {
    pub(super) socket: UdpSocket,
    pub(super) pings: Envelope,
    sent: Cell<Total>,
}

impl Listening {
    /// Sends, and counts what left. Loss is what the protocol is made for; a network that is down refuses at once.
    pub(super) fn send(&self, bytes: &[u8], to: SocketAddr) {
        if self.socket.send_to(bytes, to).is_ok() {
            let mut sent = self.sent.get();
            sent.count(bytes.len());
            self.sent.set(sent);
        }
    }

    /// What left so far.
    pub(super) fn sent(&self) -> Total {
        self.sent.get()
    }
}

/// Where the agent listens for last words. Nobody need be there, and nobody is waited for.
pub(super) struct Agent {
    socket: Option<UnixDatagram>,
    path: PathBuf,
}

impl Agent {
    pub(super) fn new(config: &Config) -> Self {
        let socket = UnixDatagram::unbound().ok();
        // One that would wait is none.
        let socket = socket.filter(|socket| socket.set_nonblocking(true).is_ok());
        Self { socket, path: config.agent_socket() }
    }

    /// Lost where the agent does not run, hangs, or is behind.
    pub(super) fn tell(&self, sentence: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send_to(sentence.as_bytes(), &self.path);
        }
    }
}

/// Binds the port of each network.
pub(super) fn listen(
    config: &Config,
    keyring: &Arc<Keyring>,
) -> Result<Vec<Listening>, SentinelError> {
    let bind = |network: &Network| {
        let address = network.sentinel_listen;
        let failed = |source| SentinelError::Listen { address: address.to_string(), source };
        let socket = UdpSocket::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let pings = Envelope::new(Arc::clone(keyring), config.cluster, &network.name, "ping");
        Ok(Listening { socket, pings, sent: Cell::default() })
    };
    config.networks.iter().map(bind).collect()
}

/// The agent's way in. Whoever writes here still needs two controllers' signatures.
pub(super) fn local_socket(config: &Config) -> Result<UnixDatagram, SentinelError> {
    let path = config.sentinel_socket();
    let failed = |source| SentinelError::Listen { address: path.display().to_string(), source };
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).map_err(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket)
}
