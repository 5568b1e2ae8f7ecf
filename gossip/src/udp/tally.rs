//! Packets and bytes that left by a port, counted where they leave and read elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was sent since the program began: datagrams as they left, sealed or signed, without headers of IP and UDP.
#[derive(Debug, Default)]
pub struct Tally {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// A datagram of so many bytes left.
    pub fn count(&self, bytes: usize) {
        // Two numbers that are read a moment apart are as good as one: they are for people.
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Packets and bytes.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}
