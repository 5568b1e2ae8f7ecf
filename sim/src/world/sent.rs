//! What the nodes send, counted.

use gossip::seal::OVERHEAD;
use gossip::witness::Probe;

use super::Body;

/// Datagrams that all nodes together have sent, lost ones too, and the bytes of them as UDP carries them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Gossip, witnesses' talk included.
    pub gossip: u64,
    /// Its bytes, sealed.
    pub gossip_bytes: u64,
    /// Pings of witnesses, and answers to pings of witnesses and sweeps.
    pub pings: u64,
    /// Their bytes, sealed.
    pub ping_bytes: u64,
    /// Renewals, asks, vouches and promises. Here they are not written as bytes.
    pub lease: u64,
}

impl Sent {
    pub(super) fn count(&mut self, body: &Body) {
        let bytes = |length: usize| u64::try_from(length + OVERHEAD).unwrap_or(u64::MAX);
        match body {
            Body::Gossip(packet) => {
                self.gossip += 1;
                self.gossip_bytes += bytes(packet.len());
            }
            Body::Ping { .. } | Body::Pong { .. } => {
                self.pings += 1;
                self.ping_bytes += bytes(Probe::LENGTH);
            }
            Body::Lease(..) => self.lease += 1,
        }
    }

    /// What was sent since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            gossip: self.gossip - earlier.gossip,
            gossip_bytes: self.gossip_bytes - earlier.gossip_bytes,
            pings: self.pings - earlier.pings,
            ping_bytes: self.ping_bytes - earlier.ping_bytes,
            lease: self.lease - earlier.lease,
        }
    }
}
