//! The UDP ports of one network: gossip, sealed by the cluster key, and the lease port, where signed renewals and sealed
//! witness pings come in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fencing::NodeId;
use fencing::sign::{self, Opener, PublicKey, Signer};
use gossip::seal::{Envelope, NONCE, OVERHEAD};
use gossip::udp::{Tally, Wire};
use gossip::witness::Probe;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::Incoming;
use crate::effect::Network;
use crate::event::Event;

/// After an error of a socket, so that one which stays is no busy loop.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// Public keys of the nodes, as committed.
pub(super) type NodeKeys = Arc<BTreeMap<NodeId, PublicKey>>;

/// Where a gossip port sends.
pub(super) struct GossipWay {
    pub(super) queue: mpsc::Sender<(SocketAddr, Vec<u8>)>,
    pub(super) sent: Arc<Tally>,
}

/// Carries the gossip of one network until the shell ends. What the queue cannot take is lost, as on a network.
pub(super) async fn gossip(
    network: Network,
    mut wire: Wire,
    mut outbound: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
    queue: mpsc::Sender<Incoming>,
) {
    loop {
        tokio::select! {
            packet = outbound.recv() => match packet {
                Some((to, bytes)) => wire.send(to, &bytes).await,
                None => return,
            },
            packet = async { wire.recv().await.map(|(from, bytes)| (from, bytes.to_vec())) } => match packet {
                Ok((from, bytes)) => {
                    let _ = queue.try_send(Incoming::Event(Event::Gossip { network, from, bytes }));
                }
                Err(error) => {
                    tracing::debug!(%error, "gossip socket");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            },
        }
    }
}

/// Where a lease port sends, for the shell and for those who answer by themselves.
#[derive(Clone)]
pub(super) struct LeaseWay {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) pings: Envelope,
    pub(super) sent: Arc<Tally>,
}

impl LeaseWay {
    /// Seals a ping or pong and sends it.
    pub(super) fn probe(&self, to: SocketAddr, probe: Probe) {
        let (mut nonce, mut sealed) = ([0; NONCE], Vec::new());
        if getrandom::fill(&mut nonce).is_ok() {
            self.pings.seal(nonce, &probe.to_bytes(), &mut sealed);
            self.send(to, &sealed);
        }
    }

    /// Sends what is sealed or signed; lost where the socket is full.
    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if self.socket.try_send_to(bytes, to).is_ok() {
            self.sent.count(bytes.len());
        }
    }
}

/// The lease port of one network.
pub(super) struct LeasePort {
    pub(super) network: Network,
    pub(super) way: LeaseWay,
    pub(super) cluster: Uuid,
    /// Who answers pings here.
    pub(super) id: Uuid,
    /// The boot of this machine.
    pub(super) boot: Uuid,
    pub(super) keys: watch::Receiver<NodeKeys>,
    /// Of all networks: a renewal comes over each of them.
    pub(super) opener: Arc<Mutex<Opener>>,
    pub(super) queue: mpsc::Sender<Incoming>,
}

impl LeasePort {
    /// Opens what comes in until the shell ends: pings are answered here, pongs and renewals handed on.
    pub(super) async fn run(self) {
        // One byte more than the longest, so that a longer datagram is noticed and not cut.
        let mut buffer = [0; sign::LONGEST + 1];
        loop {
            let (length, from) = match self.way.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "lease socket");
                    tokio::time::sleep(AFTER_ERROR).await;
                    continue;
                }
            };
            let Some(datagram) = buffer.get_mut(..length) else { continue };
            if let Some(event) = self.open(from, datagram) {
                let _ = self.queue.try_send(Incoming::Event(event));
            }
        }
    }

    fn open(&self, from: SocketAddr, datagram: &mut [u8]) -> Option<Event> {
        let network = self.network;
        if datagram.len() == Probe::LENGTH + OVERHEAD {
            // A datagram of this length that does not open is left as it was, and may still be a signed one.
            let opened = self.way.pings.open(datagram).ok().map(Probe::parse);
            match opened {
                Some(Some(Probe::Ping { nonce })) => {
                    let pong = Probe::Pong { nonce, id: self.id, boot: self.boot };
                    self.way.probe(from, pong);
                    return None;
                }
                Some(Some(Probe::Pong { nonce, id, boot })) => {
                    return Some(Event::Pong { network, from, nonce, id, boot });
                }
                Some(None) => return None,
                None => {}
            }
        }
        let keys = self.keys.borrow().clone();
        let key = |signer| match signer {
            Signer::Node(node) => keys.get(&node).copied(),
            // Controllers speak to each other over their own connection.
            Signer::Controller(_) => None,
        };
        let mut opener = self.opener.lock().unwrap_or_else(PoisonError::into_inner);
        let (signer, message) = opener.open(self.cluster, &key, datagram)?;
        Some(Event::Lease { network, from, signer, message })
    }
}
