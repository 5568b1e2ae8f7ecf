//! The wire: one UDP socket, sealed. It waits, opens and seals, and decides nothing.
//!
//! What comes in is opened first, and dropped unparsed if it does not open. Only what opened costs
//! its source a token, so that nobody without the key can use up the tokens of another by forging
//! its address; what can be replayed is bounded by them.

mod tally;
mod tokens;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::UdpSocket;

use crate::packet::MAX_DATAGRAM;
use crate::seal::{Envelope, Keyring, NONCE, Unopened};
pub use tally::Tally;
use tokens::Tokens;

/// What a wire has carried and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams opened and handed on.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that could not be sent: no route, or a full queue. Nobody waits for them.
    pub unsent: u64,
    /// Shorter than an envelope.
    pub short: u64,
    /// Longer than [`MAX_DATAGRAM`].
    pub long: u64,
    /// Unknown version of the envelope.
    pub version: u64,
    /// Sealed with a key that is not here.
    pub unknown_key: u64,
    /// Forged, changed, or for another cluster, network or port.
    pub broken: u64,
    /// More than the source may send.
    pub too_many: u64,
}

/// A sealed UDP port.
pub struct Wire {
    socket: UdpSocket,
    envelope: Envelope,
    tokens: Tokens,
    origin: Instant,
    counters: Counters,
    sent: Arc<Tally>,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
}

impl Wire {
    /// Binds one address. Bind the address of the network, not the wildcard: then what other
    /// networks send never gets here.
    pub async fn bind(address: SocketAddr, envelope: Envelope) -> io::Result<Self> {
        Ok(Self {
            socket: UdpSocket::bind(address).await?,
            envelope,
            tokens: Tokens::default(),
            origin: Instant::now(),
            counters: Counters::default(),
            sent: Arc::default(),
            // One byte more than allowed, so that a longer datagram is noticed and not cut.
            inbound: vec![0; MAX_DATAGRAM + 1],
            outbound: Vec::with_capacity(MAX_DATAGRAM),
        })
    }

    /// The address bound, with the port the system chose where 0 was given.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for the next datagram that opens, and answers its packet. Cancelling loses nothing. An
    /// error is the socket's; log it, wait a moment, and go on.
    pub async fn recv(&mut self) -> io::Result<(SocketAddr, &[u8])> {
        let (from, length) = loop {
            let (length, from) = self.socket.recv_from(&mut self.inbound).await?;
            if let Some(length) = self.admit(from, length) {
                break (from, length);
            }
        };
        let packet = self.inbound.get(..length).unwrap_or_default();
        Ok((from, packet))
    }

    /// Opens the datagram in `inbound` and moves the packet to its beginning.
    fn admit(&mut self, from: SocketAddr, length: usize) -> Option<usize> {
        let datagram = match self.inbound.get_mut(..length) {
            Some(datagram) if length <= MAX_DATAGRAM => datagram,
            Some(_) | None => {
                self.counters.long += 1;
                return None;
            }
        };
        let opened = match self.envelope.open(datagram) {
            Ok(packet) => packet.len(),
            Err(reason) => {
                self.count(reason);
                return None;
            }
        };
        if !self.tokens.take(self.origin.elapsed(), from.ip()) {
            self.counters.too_many += 1;
            return None;
        }
        self.counters.received += 1;
        let head = crate::seal::HEAD;
        self.inbound.copy_within(head..head + opened, 0);
        Some(opened)
    }

    fn count(&mut self, reason: Unopened) {
        match reason {
            Unopened::Short => self.counters.short += 1,
            Unopened::Version => self.counters.version += 1,
            Unopened::UnknownKey => self.counters.unknown_key += 1,
            Unopened::Broken => self.counters.broken += 1,
        }
    }

    /// Seals a packet and sends it. What cannot be sent is counted and forgotten: every layer above
    /// lives with loss.
    pub async fn send(&mut self, to: SocketAddr, packet: &[u8]) {
        let mut nonce = [0; NONCE];
        if getrandom::fill(&mut nonce).is_err() {
            self.counters.unsent += 1;
            return;
        }
        self.envelope.seal(nonce, packet, &mut self.outbound);
        if self.outbound.len() > MAX_DATAGRAM {
            self.counters.unsent += 1;
            return;
        }
        match self.socket.send_to(&self.outbound, to).await {
            Ok(bytes) => {
                self.counters.sent += 1;
                self.sent.count(bytes);
            }
            Err(error) => {
                tracing::debug!(%to, %error, "not sent");
                self.counters.unsent += 1;
            }
        }
    }

    /// Uses other keys from now on.
    pub fn install(&mut self, keyring: Arc<Keyring>) {
        self.envelope.install(keyring);
    }

    /// What was sent, for others to read while the wire is in use.
    #[must_use]
    pub fn sent(&self) -> Arc<Tally> {
        Arc::clone(&self.sent)
    }

    /// Counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Secret;
    use std::time::Duration;
    use uuid::Uuid;

    async fn wire(network: &str) -> Wire {
        let keyring = Arc::new(Keyring::single(1, Secret::new(&[7; 32])));
        let envelope = Envelope::new(keyring, Uuid::from_u128(1), network, "gossip");
        Wire::bind(SocketAddr::from(([127, 0, 0, 1], 0)), envelope).await.unwrap()
    }

    #[tokio::test]
    async fn what_opens_is_handed_on_and_all_else_is_dropped_and_counted() {
        let (mut here, mut there) = (wire("storage").await, wire("storage").await);
        let mut foreign = wire("tenant").await;
        let to = here.local_addr().unwrap();
        foreign.send(to, b"wrong network").await;
        for noise in [&[][..], &[1; 20], &[9; 60], &[1, 2, 3].repeat(20), &[1; 1300]] {
            foreign.socket.send_to(noise, to).await.unwrap();
        }
        there.send(to, b"holdfast").await;
        let waiting = tokio::time::timeout(Duration::from_secs(10), here.recv());
        let (from, packet) = waiting.await.unwrap().unwrap();
        assert_eq!((from, packet), (there.local_addr().unwrap(), &b"holdfast"[..]));
        let counters = here.counters();
        assert_eq!((counters.received, counters.broken, counters.short), (1, 1, 2));
        assert_eq!((counters.version, counters.unknown_key, counters.long), (1, 1, 1));
        assert_eq!((there.counters().sent, there.counters().unsent), (1, 0));
        assert_eq!(there.sent().read(), (1, (b"holdfast".len() + crate::seal::OVERHEAD) as u64));
    }

    #[tokio::test]
    async fn a_packet_that_would_not_fit_is_not_sent() {
        let mut here = wire("storage").await;
        let to = here.local_addr().unwrap();
        here.send(to, &[0; crate::packet::MAX_PLAIN + 1]).await;
        here.send(to, &[0; crate::packet::MAX_PLAIN]).await;
        assert_eq!((here.counters().sent, here.counters().unsent), (1, 1));
        let (_, packet) = here.recv().await.unwrap();
        assert_eq!(packet.len(), crate::packet::MAX_PLAIN);
    }
}
