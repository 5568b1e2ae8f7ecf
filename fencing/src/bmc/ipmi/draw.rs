//! Random bytes for a session from a seed, so that a core draws nothing from outside.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A stream of bytes: HMAC-SHA256 of a counter under the seed. As unpredictable as the seed, and the
/// same for the same seed.
pub struct Draw {
    seed: Zeroizing<[u8; 32]>,
    drawn: u64,
}

impl Draw {
    /// A stream from a seed, which a shell takes from the operating system.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed: Zeroizing::new(seed), drawn: 0 }
    }

    /// The next 16 bytes.
    pub fn block(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(&*self.seed).expect("any key length will do");
        mac.update(&self.drawn.to_be_bytes());
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        let mut block = [0; 16];
        block.copy_from_slice(&bytes[..16]);
        block
    }

    /// A session id. Never 0, which means "no session" on the wire.
    pub fn session_id(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.block();
        u32::from_le_bytes([a, b, c, d]).max(1)
    }
}
